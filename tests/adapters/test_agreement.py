from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from diverloop.adapters.agreement import Agreement, AgreementConfig
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.messages import Decision

CLASSES = ("left", "right", "feet")


def decision(label: str | None, stop: int = 100) -> Decision:
    probabilities = np.full(3, np.nan)
    if label is not None:
        probabilities = np.where(np.array(CLASSES) == label, 0.8, 0.1)
    return Decision(
        classes=CLASSES,
        probabilities=probabilities,
        label=label,
        reason="" if label else "too poor",
        first_sample=stop - 100,
        stop_sample=stop,
    )


def answers(config: AgreementConfig, said: str) -> str:
    """One letter for each decision in, one for each out; a dot is no decision."""
    names = {name[0]: name for name in CLASSES} | {".": None}
    agreement = Agreement(config)
    found = [
        agreement.advance(decision(names[one], stop=100 * place)).label
        for place, one in enumerate(said, start=1)
    ]
    return "".join(label[0] if label else "." for label in found)


@pytest.mark.parametrize(
    ("k", "n", "said", "answered"),
    [
        (1, 1, "lrf.l", "lrf.l"),
        (2, 2, "llrrl", ".l.r."),
        (2, 3, "lrlrfl", "..lr.."),
        (3, 3, "lllrrr", "..l..r"),
        (3, 4, "lrllrl", "...l.l"),
    ],
)
def test_a_class_is_answered_when_k_of_the_last_n_name_it(k, n, said, answered):
    assert answers(AgreementConfig(k=k, n=n), said) == answered


@pytest.mark.parametrize(
    ("neutral", "answered"),
    [("breaks", ".....l"), ("counts", "..l.ll"), ("skipped", "..l.ll")],
)
def test_no_decision_breaks_or_counts_or_is_skipped(neutral, answered):
    assert answers(AgreementConfig(k=2, n=3, neutral=neutral), "l.l.ll") == answered


def test_counted_neutral_decisions_push_old_votes_out_and_skipped_ones_do_not():
    assert answers(AgreementConfig(k=2, n=3, neutral="counts"), "l..l") == "...."
    assert answers(AgreementConfig(k=2, n=3, neutral="skipped"), "l..l") == "...l"


def test_a_gap_in_time_begins_anew():
    agreement = Agreement(AgreementConfig(k=2, n=2, longest_gap=50))
    assert agreement.advance(decision("left", 100)).label is None
    assert agreement.advance(decision("left", 150)).label == "left"
    assert agreement.advance(decision("left", 201)).label is None
    assert agreement.advance(decision("left", 251)).label == "left"


def test_other_weights_begin_anew():
    agreement = Agreement(AgreementConfig(k=2, n=2))
    agreement.advance(decision("left", 100))
    assert agreement.advance(replace(decision("left", 200), epoch=1)).label is None


def test_what_is_held_back_says_why_and_keeps_its_probabilities():
    agreement = Agreement(AgreementConfig(k=3, n=4))
    agreement.advance(decision("right"))
    agreement.advance(decision("left"))
    held = agreement.advance(decision("left"))
    assert held.label is None
    assert held.reason == "not agreed yet: 2 of the last 3 decisions say left, 3 of 4 needed"
    assert held.probabilities.tolist() == pytest.approx([0.8, 0.1, 0.1])


def test_a_neutral_decision_passes_with_its_own_reason():
    poor = decision(None)
    assert Agreement().advance(poor) is poor


def test_cleared_it_remembers_nothing():
    agreement = Agreement(AgreementConfig(k=2, n=2))
    agreement.vote(1)
    agreement.clear()
    assert agreement.vote(1) is None
    assert agreement.vote(1) == 1


def test_two_classes_never_agree_at_once():
    rng = np.random.default_rng(0)
    agreement, votes = Agreement(AgreementConfig(k=3, n=5)), []
    for row in rng.integers(3, size=500).tolist():
        votes.append(row)
        agreed = agreement.vote(row)
        assert (agreed == row) == (votes[-5:].count(row) >= 3)


@pytest.mark.parametrize(
    "wrong",
    [{"k": 0}, {"k": 4, "n": 3}, {"k": 2, "n": 4}, {"neutral": "maybe"}, {"longest_gap": -1}],
)
def test_settings_outside_their_range_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        AgreementConfig(**wrong)
