import pytest

from diverloop.runtime.record.report import Score

PLAIN = {"n": 38, "n_correct": 29, "accuracy": 0.76, "interval": [0.6, 0.87], "chance": 0.5}


def test_a_card_entry_becomes_a_score():
    score = Score.from_plain("trials", {**PLAIN, "p_value": 0.001, "kappa": 0.5})
    assert score is not None
    assert (score.n, score.n_correct, score.interval) == (38, 29, (0.6, 0.87))
    assert score.p_value == 0.001


def test_a_p_value_may_be_missing():
    score = Score.from_plain("trials", PLAIN)
    assert score is not None
    assert score.p_value is None


@pytest.mark.parametrize(
    "plain",
    [
        None,
        3,
        [],
        {},
        {**PLAIN, "interval": [0.1]},
        {**PLAIN, "n": "38"},
        {**PLAIN, "chance": True},
    ],
)
def test_what_is_not_a_score_is_left_out(plain):
    assert Score.from_plain("trials", plain) is None


def test_abstention_counts_all_trials():
    score = Score(
        name="", n=30, n_correct=20, accuracy=2 / 3, interval=(0.5, 0.8), chance=0.5, n_abstained=10
    )
    assert score.abstention == 0.25
