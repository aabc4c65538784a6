from __future__ import annotations

import numpy as np
import pytest

from diverloop.adapters.permutation import (
    GoNoGoConfig,
    PermutationReport,
    go_no_go,
    permute_accuracy,
    permute_auc,
)
from diverloop.runtime.errors import ConfigError


def guessed(n: int, share_right: float, seed: int = 0):
    """Two classes in turn, so many predicted rightly, evenly over both."""
    truth = np.resize(["left", "right"], n)
    rng = np.random.default_rng(seed)
    wrong = rng.permutation(n)[round(share_right * n) :]
    predictions = truth.copy()
    predictions[wrong] = np.where(truth[wrong] == "left", "right", "left")
    return truth, predictions


def test_the_p_value_is_that_of_all_orders_where_they_can_be_counted():
    # 4 and 4, all right: one order of 70, so 1/70 of shufflings are as good.
    truth = ["a"] * 4 + ["b"] * 4
    found = permute_accuracy(truth, truth, n_permutations=20_000)
    assert found.p_value == pytest.approx(1 / 70, rel=0.15)
    assert found.chance == pytest.approx(0.5, abs=0.01)
    # 6 of 8 right (one of each class wrong): 1 + 16 of 70 orders.
    swapped = ["b", "a", "a", "a", "a", "b", "b", "b"]
    assert permute_accuracy(truth, swapped, n_permutations=20_000).p_value == pytest.approx(
        17 / 70, rel=0.05
    )


def test_guessing_is_significant_as_seldom_as_it_should_be():
    rng, found = np.random.default_rng(0), []
    for _ in range(200):
        truth, said = rng.integers(2, size=40), rng.integers(2, size=40)
        found.append(permute_accuracy(truth, said, n_permutations=1000).p_value <= 0.05)
    assert 0.005 <= np.mean(found) <= 0.09


def test_labels_are_shuffled_within_their_block_only():
    # Each block has one class, so the decoder that knows the block is right without any skill.
    truth = ["left"] * 20 + ["right"] * 20
    blocks = ["first"] * 20 + ["second"] * 20
    assert permute_accuracy(truth, truth).p_value < 0.001
    blind = permute_accuracy(truth, truth, blocks)
    assert (blind.p_value, blind.chance) == (1.0, 1.0)
    assert blind.must_reach > 1


def test_what_must_be_reached_is_where_significance_begins():
    for n_right in range(14, 28):
        truth, predictions = guessed(30, n_right / 30)
        found = permute_accuracy(truth, predictions)
        assert (found.p_value <= 0.05) == (found.reached >= found.must_reach - 1e-12)
        assert found.must_beat <= found.must_reach <= found.must_beat + 2 / 30 + 1e-12


def test_many_shufflings_at_once_are_those_of_few(monkeypatch):
    said = guessed(30, 0.7)
    once = permute_accuracy(*said)
    monkeypatch.setattr("diverloop.adapters.permutation._MOST_AT_ONCE", 3000)
    in_parts = permute_accuracy(*said)
    assert in_parts.p_value == pytest.approx(once.p_value, abs=0.015)
    assert in_parts.n_permutations == once.n_permutations == 2000


def test_equal_seeds_give_equal_reports():
    said = guessed(30, 0.7)
    assert permute_accuracy(*said) == permute_accuracy(*said)
    assert permute_accuracy(*said, seed=1) != permute_accuracy(*said)


def test_rare_targets_are_tested_by_the_area_under_the_curve():
    rng = np.random.default_rng(0)
    truth = np.arange(160) % 8 == 0
    skilled = permute_auc(truth, truth + rng.normal(size=160))
    assert skilled.reached > 0.65
    assert skilled.p_value < 0.01
    assert skilled.chance == pytest.approx(0.5, abs=0.01)
    blind = permute_auc(truth, rng.normal(size=160))
    assert blind.p_value > 0.05
    assert blind.reached < blind.must_reach < 0.7
    assert permute_auc(truth, np.zeros(160)).reached == 0.5


def test_a_good_calibration_is_go_in_plain_words():
    verdict = go_no_go(permute_accuracy(*guessed(30, 23 / 30)))
    assert verdict.go
    assert verdict.advice == "go"
    assert verdict.sentence == (
        "Go: 23 of 30 trials right; by chance 95% of such calibrations stay below 20."
    )


def test_a_promising_but_short_calibration_asks_for_more_trials():
    verdict = go_no_go(permute_accuracy(*guessed(16, 11 / 16)))
    assert not verdict.go
    assert verdict.advice == "more trials"
    assert 5 <= verdict.more_trials <= 40
    assert verdict.sentence == (
        "No go: 11 of 16 trials right; by chance 95% of such calibrations stay below 12; that may "
        f"be chance, and about {verdict.more_trials} trials more would tell."
    )


def test_as_many_more_trials_as_advised_do_tell():
    n = 16 + go_no_go(permute_accuracy(*guessed(16, 11 / 16))).more_trials
    rng, told = np.random.default_rng(0), []
    truth = np.resize([0, 1], n)
    for _ in range(100):
        said = np.where(rng.random(n) < 11 / 16, truth, 1 - truth)
        told.append(permute_accuracy(truth, said, n_permutations=1000).p_value <= 0.05)
    assert 0.65 <= np.mean(told) <= 0.97


def test_a_decoder_at_chance_is_told_to_try_otherwise():
    verdict = go_no_go(permute_accuracy(*guessed(30, 0.5)))
    assert (verdict.go, verdict.advice, verdict.more_trials) == (False, "another strategy", 0)
    assert "15 of 30 trials right" in verdict.sentence
    assert "65% would be of use" in verdict.sentence


def test_a_decoder_that_is_surely_too_weak_is_not_usable():
    verdict = go_no_go(permute_accuracy(*guessed(400, 0.56)))
    assert verdict.report.p_value <= 0.05
    assert (verdict.go, verdict.advice) == (False, "not usable")
    assert "out of reach" in verdict.sentence
    assert go_no_go(verdict.report, GoNoGoConfig(least=0.1)).go


def test_what_cannot_be_told_apart_from_chance_is_said():
    verdict = go_no_go(permute_accuracy(["a", "b"], ["a", "b"]))
    assert not verdict.go
    assert "can be right too often to tell" in verdict.sentence


def test_the_verdict_on_an_area_speaks_of_an_area():
    report = PermutationReport(
        statistic="auc",
        n=900,
        reached=0.82,
        chance=0.5,
        must_beat=0.54,
        must_reach=0.541,
        p_value=0.0005,
        alpha=0.05,
        n_permutations=2000,
    )
    assert go_no_go(report).sentence == (
        "Go: an area under the curve of 0.82 from 900 trials; by chance 95% of such calibrations "
        "stay below 0.54."
    )


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: permute_accuracy([], []), "at least 1"),
        (lambda: permute_accuracy(["a"], ["a", "b"]), "equally many"),
        (lambda: permute_accuracy(["a", "b"], ["a", "b"], [1]), "one block for each of 2"),
        (lambda: permute_accuracy(["a"], ["a"], n_permutations=10), "at least 1000, got 10"),
        (lambda: permute_accuracy(["a"], ["a"], alpha=0.0), "alpha must be"),
        (lambda: permute_accuracy(["a"], ["a"], alpha=1e-4), "take at least 9999"),
        (lambda: permute_auc([True, True], [0.1, 0.2]), "2 targets among 2"),
    ],
)
def test_what_cannot_be_tested_is_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_a_share_that_is_none_is_refused():
    with pytest.raises(ConfigError, match="least must be"):
        GoNoGoConfig(least=1.0)
