from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diverloop.adapters.scores import (
    accuracy_report,
    bootstrap_ci,
    information_transfer_rate,
    wilson_interval,
)

counts = st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def test_wilson_matches_the_value_worked_out_by_hand():
    # 8 of 10, z = 1.96: centre (0.8 + 0.19208) / 1.38416, half-width 0.22675.
    low, high = wilson_interval(8, 10)
    assert low == pytest.approx(0.4902, abs=1e-4)
    assert high == pytest.approx(0.9433, abs=1e-4)


@given(counts)
def test_wilson_contains_the_proportion_and_stays_in_range(pair):
    low, high = wilson_interval(*pair)
    assert 0 <= low <= pair[0] / pair[1] <= high <= 1


@given(counts)
def test_wilson_mirrors_when_successes_and_failures_swap(pair):
    low, high = wilson_interval(*pair)
    mirrored = wilson_interval(pair[1] - pair[0], pair[1])
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-12)


@given(counts)
def test_wilson_bounds_solve_the_score_equation(pair):
    # The bounds are the proportions p from which the observed one is exactly z deviations away.
    k, n = pair
    for bound in wilson_interval(k, n):
        if 0 < bound < 1:
            z = (k / n - bound) / math.sqrt(bound * (1 - bound) / n)
            assert abs(z) == pytest.approx(1.959964, abs=1e-4)


def test_more_confidence_needs_a_wider_interval():
    narrow, wide = wilson_interval(15, 20, 0.8), wilson_interval(15, 20, 0.99)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


@pytest.mark.parametrize("arguments", [(-1, 5), (6, 5), (0, 0), (1, 2, 0.0), (1, 2, 1.0)])
def test_wilson_refuses_what_makes_no_sense(arguments):
    with pytest.raises(ValueError, match=r"got"):
        wilson_interval(*arguments)


def test_a_report_worked_out_by_hand():
    # Truth: 6 left, 4 right; 5 left and 2 right found.
    labels = ["left"] * 6 + ["right"] * 4
    predictions = ["left"] * 5 + ["right"] + ["right"] * 2 + ["left"] * 2
    report = accuracy_report(labels, predictions, ("left", "right"))
    assert report.confusion == ((5, 1), (2, 2))
    assert (report.n, report.n_correct, report.accuracy) == (10, 7, 0.7)
    assert report.balanced_accuracy == pytest.approx((5 / 6 + 2 / 4) / 2)
    # Expected agreement: (6 * 7 + 4 * 3) / 100 = 0.54.
    assert report.kappa == pytest.approx((0.7 - 0.54) / (1 - 0.54))
    assert report.chance == 0.6
    by_hand = sum(math.comb(10, k) * 0.6**k * 0.4 ** (10 - k) for k in range(7, 11))
    assert report.p_value == pytest.approx(by_hand, rel=1e-12)
    assert report.as_dict()["interval"] == wilson_interval(7, 10)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1))
def test_a_report_does_not_depend_on_the_order_of_trials(pairs):
    labels, predictions = zip(*pairs, strict=True)
    shuffled = zip(*reversed(pairs), strict=True)
    assert accuracy_report(labels, predictions, "abc") == accuracy_report(*shuffled, "abc")


@given(st.lists(st.sampled_from("abc"), min_size=2).filter(lambda names: len(set(names)) > 1))
def test_being_always_right_has_kappa_one(labels):
    report = accuracy_report(labels, labels, "abc")
    assert report.kappa == pytest.approx(1)
    assert report.balanced_accuracy == report.accuracy == 1


@given(st.lists(st.sampled_from("abc"), min_size=1), st.sampled_from("abc"))
def test_always_saying_the_same_has_kappa_zero_and_no_small_p_value(labels, guess):
    report = accuracy_report(labels, [guess] * len(labels), "abc")
    assert report.kappa == pytest.approx(0, abs=1e-12)
    assert report.p_value >= 0.4


def test_nothing_right_has_p_value_one():
    assert accuracy_report(["a", "b"], ["b", "a"], "ab").p_value == 1


@pytest.mark.parametrize(
    ("labels", "predictions"), [([], []), (["a"], []), (["a"], ["z"]), (["z"], ["a"])]
)
def test_a_report_refuses_what_cannot_be_compared(labels, predictions):
    with pytest.raises(ValueError, match="got"):
        accuracy_report(labels, predictions, "ab")


def test_information_transfer_rate_at_its_known_points():
    assert information_transfer_rate(1.0, 4, 2.0) == pytest.approx(60)
    assert information_transfer_rate(0.5, 2, 1.0) == 0
    assert information_transfer_rate(0.1, 2, 1.0) == 0
    # 0.9 of two classes: 1 - H(0.1) = 0.531 bits, twenty selections a minute.
    assert information_transfer_rate(0.9, 2, 3.0) == pytest.approx(20 * 0.5310044, abs=1e-5)


@given(st.integers(2, 40), st.floats(0, 1), st.floats(0, 1))
def test_information_transfer_rate_grows_with_accuracy(n_classes, one, other):
    low, high = sorted((one, other))
    rates = [information_transfer_rate(each, n_classes, 1.0) for each in (low, high)]
    assert -1e-9 <= rates[0] <= rates[1] + 1e-9
    assert rates[1] <= 60 * math.log2(n_classes) + 1e-9


@pytest.mark.parametrize("arguments", [(1.1, 2, 1.0), (0.5, 1, 1.0), (0.5, 2, 0.0)])
def test_information_transfer_rate_refuses_what_makes_no_sense(arguments):
    with pytest.raises(ValueError, match="must be"):
        information_transfer_rate(*arguments)


def test_bootstrap_draws_whole_groups():
    # Two groups that agree within: a resample's mean is 0, 0.5 or 1, nothing between.
    values, groups = [0.0] * 50 + [1.0] * 50, ["s1"] * 50 + ["s2"] * 50
    assert bootstrap_ci(values, groups, n_resamples=200) == (0.0, 1.0)


def test_bootstrap_of_equal_values_is_a_point_and_equal_seeds_agree():
    assert bootstrap_ci([0.7] * 6, list("aabbcc"), n_resamples=50) == pytest.approx((0.7, 0.7))
    values = np.random.default_rng(1).normal(size=30)
    groups = [index // 3 for index in range(30)]
    first = bootstrap_ci(values, groups, seed=3, n_resamples=200)
    assert first == bootstrap_ci(values, groups, seed=3, n_resamples=200)
    assert first != bootstrap_ci(values, groups, seed=4, n_resamples=200)


def test_bootstrap_of_the_mean_has_the_width_that_theory_gives():
    values = np.random.default_rng(0).normal(size=400)
    low, high = bootstrap_ci(values, range(400), n_resamples=1000)
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)


def test_bootstrap_takes_another_statistic_and_orders_values_by_group():
    values = [1.0, 100.0, 2.0, 100.0]
    groups = ["a", "b", "a", "b"]
    interval = bootstrap_ci(
        values, groups, statistic=lambda pooled: float(pooled.min()), n_resamples=100
    )
    assert interval == (1.0, 100.0)


def test_bootstrap_refuses_a_single_participant():
    with pytest.raises(ValueError, match="At least 2 groups"):
        bootstrap_ci([1.0, 2.0], ["a", "a"])
    with pytest.raises(ValueError, match="One group for each value"):
        bootstrap_ci([1.0, 2.0], ["a"])


def test_accuracy_is_said_with_its_interval_and_chance():
    text = accuracy_report(["a", "b", "a", "b"], ["a", "b", "a", "a"], ("a", "b")).sentence()
    assert text.startswith("3 of 4 trials right: accuracy 0.75 (95 % interval 0.30 to 0.95; ")
    assert "chance 0.50" in text
