from __future__ import annotations

import math

import numpy as np
import pytest

from diverloop.adapters.rates import (
    auc,
    auc_interval,
    coverage_curve,
    information_rate,
    mid_ranks,
    mutual_information,
    selective_gain,
)
from diverloop.adapters.scores import information_transfer_rate


def scored(n: int, distance: float, seed: int):
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % 4 == 0
    return distance * truth + rng.normal(size=n), truth


def test_equal_values_share_the_middle_of_their_ranks():
    assert mid_ranks([3.0, 1.0, 3.0, 2.0]).tolist() == [3.5, 1.0, 3.5, 2.0]


def test_the_area_is_the_share_of_pairs_in_the_right_order():
    said, truth = scored(80, 0.7, seed=0)
    said = np.round(said, 1)
    pairs = said[truth][:, None] - said[~truth][None]
    assert auc(said, truth) == pytest.approx(((pairs > 0) + 0.5 * (pairs == 0)).mean())
    assert auc([1, 1, 1, 1], [True, False, True, False]) == 0.5
    assert auc([1, 2, 3, 4], [False, False, True, True]) == 1.0


def test_delongs_interval_covers_as_often_as_it_says():
    real, held = auc(*scored(200_000, 1.0, seed=999)), []
    for seed in range(300):
        found = auc_interval(*scored(80, 1.0, seed))
        held.append(found.low <= real <= found.high)
    assert 0.91 <= np.mean(held) <= 0.985


def test_delongs_spread_is_that_of_a_hand_count():
    # Targets at 2 and 4, others at 1 and 3: shares 1/2 and 1, 1 and 1/2; each varies by 1/8.
    found = auc_interval([2, 4, 1, 3], [True, True, False, False])
    half = 1.959964 * math.sqrt(0.125 / 2 + 0.125 / 2)
    assert found.value == 0.75
    assert found.low == pytest.approx(0.75 - half, abs=1e-6)
    assert found.high == 1.0
    assert math.isnan(auc_interval([2, 1, 3], [True, False, False]).low)


def test_groups_that_share_their_luck_widen_the_interval():
    rng = np.random.default_rng(0)
    truth, people = np.tile(np.arange(40) % 4 == 0, 6), np.repeat(np.arange(6), 40)
    skill = np.array([0.0, 0.0, 0.5, 1.5, 2.5, 3.0])[people]
    said = skill * truth + rng.normal(size=240)
    alone = auc_interval(said, truth)
    grouped = auc_interval(said, truth, people.tolist())
    assert grouped.value == alone.value
    assert (grouped.n, grouped.n_groups, alone.n_groups) == (240, 6, 240)
    assert grouped.high - grouped.low > 1.5 * (alone.high - alone.low)


def test_evenly_spread_errors_carry_what_wolpaw_says():
    confusion = 80 * np.eye(4) + np.full((4, 4), 10) - 10 * np.eye(4)
    accuracy = np.trace(confusion) / confusion.sum()
    found = information_rate(confusion, 3.0, corrected=False)
    assert found == pytest.approx(information_transfer_rate(accuracy, 4, 3.0))


def test_unevenly_spread_errors_carry_more_than_wolpaw_says():
    confusion = [[60, 40, 0, 0], [40, 60, 0, 0], [0, 0, 60, 40], [0, 0, 40, 60]]
    # One bit says which pair, and within it 1 - H(0.4) remains.
    assert mutual_information(confusion, corrected=False) == pytest.approx(1.0290, abs=1e-4)
    assert information_transfer_rate(0.6, 4, 60.0) < 0.8


def test_confusing_all_alike_is_as_good_as_confusing_none():
    assert mutual_information([[0, 50], [50, 0]], corrected=False) == pytest.approx(1.0)
    assert mutual_information([[25, 25], [25, 25]]) == 0.0


def test_no_decision_is_an_outcome_like_others():
    decided = mutual_information([[30, 0], [0, 30]], corrected=False)
    half = mutual_information([[15, 0, 15], [0, 15, 15]], corrected=False)
    assert (decided, half) == (pytest.approx(1.0), pytest.approx(0.5))


def test_few_selections_at_chance_carry_almost_nothing_after_the_correction():
    rng, plain, corrected = np.random.default_rng(0), [], []
    for _ in range(300):
        confusion = rng.multinomial(40, [1 / 16] * 16).reshape(4, 4)
        plain.append(mutual_information(confusion, corrected=False))
        corrected.append(mutual_information(confusion))
    assert np.mean(plain) > 0.14
    # Cut off at 0, so its mean stays a little above.
    assert np.mean(corrected) < 0.4 * np.mean(plain)


def test_perfect_spelling_of_equal_items_carries_the_logarithm_of_their_number():
    assert mutual_information(np.eye(4) * 1000) == pytest.approx(2.0, abs=0.01)
    assert mutual_information(np.eye(4) * 1000, [0.7, 0.1, 0.1, 0.1]) == pytest.approx(
        -0.7 * math.log2(0.7) - 0.3 * math.log2(0.1), abs=0.01
    )


def test_no_selection_as_an_outcome_carries_less_than_a_right_one_and_more_than_a_wrong_one():
    some = np.hstack([np.eye(4) * 800, np.full((4, 1), 200.0)])
    assert mutual_information(some) == pytest.approx(1.6, abs=0.01)
    wrong = np.eye(4) * 800 + (1 - np.eye(4)) * 200 / 3
    assert mutual_information(wrong) < 1.2


@pytest.mark.parametrize(
    ("counts", "prior"),
    [
        (np.zeros((2, 2)), None),
        (np.ones(3), None),
        (np.eye(2), [1.0]),
        (np.array([[1.0, 0.0], [0.0, 0.0]]), [0.0, 1.0]),
    ],
)
def test_counts_or_priors_that_say_nothing_are_refused(counts, prior):
    with pytest.raises(ValueError, match=r"at least one|needs|prior"):
        mutual_information(counts, prior)


def test_confusions_that_never_occur_are_not_corrected_for():
    # Two right selections of each of 36 letters: by degrees of freedom 12 bits would come off.
    assert mutual_information(2 * np.eye(36)) == pytest.approx(math.log2(36))


def test_accuracy_against_coverage_is_a_hand_count():
    curve = coverage_curve([0.9, 0.6, 0.8, 0.6, 0.7], [True, False, True, True, False])
    assert curve.thresholds.tolist() == [0.9, 0.8, 0.7, 0.6]
    assert curve.coverage.tolist() == pytest.approx([0.2, 0.4, 0.6, 1.0])
    assert curve.accuracy.tolist() == pytest.approx([1.0, 1.0, 2 / 3, 0.6])
    assert curve.accuracy_at(0.4) == 1.0
    assert curve.accuracy_at(0.41) == pytest.approx(2 / 3)
    assert curve.accuracy_at(1.0) == pytest.approx(0.6)


def test_confidence_that_knows_something_gains_and_one_that_does_not_gains_nothing():
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.5, 1.0, 300)
    right = rng.random(300) < sure
    knows = selective_gain(sure, right)
    assert knows.low > 0
    assert 0.02 < knows.value < 0.08
    blind = selective_gain(rng.permutation(sure), right)
    assert blind.low < 0 < blind.high


def test_one_group_has_no_interval():
    found = selective_gain([0.9, 0.8, 0.7], [True, True, False], ["a"] * 3, coverage=0.6)
    assert found.value == pytest.approx(1 / 3)
    assert math.isnan(found.low)
    assert found.n_groups == 1


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: auc([1.0, 2.0], [True, True]), "2 targets"),
        (lambda: auc([1.0], [True, False]), "scores of shape"),
        (lambda: auc([np.nan, 1.0], [True, False]), "finite"),
        (lambda: auc_interval([1.0, 2.0], [True, False], ["a", "a"]), "At least 2 groups"),
        (lambda: mutual_information([1, 2]), "confusion matrix"),
        (lambda: mutual_information([[0, 0], [0, 0]]), "at least one"),
        (lambda: information_rate([[1, 0], [0, 1]], 0.0), "selection_s must be positive"),
        (lambda: coverage_curve([], []), "at least 1"),
        (lambda: coverage_curve([np.nan], [True]), "none of them NaN"),
        (lambda: coverage_curve([0.5], [True]).accuracy_at(0.0), "coverage must be"),
    ],
)
def test_what_cannot_be_judged_is_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()
