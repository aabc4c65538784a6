from __future__ import annotations

import numpy as np
import pytest

from diverloop.adapters.reliability import calibration_error, expected_calibration_error

rng_of = np.random.default_rng


def drawn(n: int, sharpness: float = 1.0, seed: int = 0):
    """Outcomes drawn from probabilities, which are then reported with other certainty."""
    rng = rng_of(seed)
    scores = rng.normal(size=(n, 3)) * 1.5
    truth = (rng.random((n, 1)) > softmax(scores).cumsum(axis=1)[:, :2]).sum(axis=1)
    return softmax(scores * sharpness), truth


def softmax(scores):
    weight = np.exp(scores - scores.max(axis=1, keepdims=True))
    return weight / weight.sum(axis=1, keepdims=True)


def test_the_error_is_what_a_hand_count_gives():
    probabilities = np.array([[0.9, 0.1], [0.1, 0.9], [0.4, 0.6], [0.6, 0.4]])
    truth = np.array([0, 1, 0, 1])
    # By confidence: two at 0.6, both wrong; two at 0.9, both right.
    for adaptive in (True, False):
        found = expected_calibration_error(probabilities, truth, n_bins=2, adaptive=adaptive)
        wide = (abs(0 - 0.6) * 2 + abs(1 - 0.9) * 2) / 4
        one_bin = abs(0.5 - 0.75)
        # Bins of equal width put 0.6 and 0.9 together above one half.
        assert found == pytest.approx(wide if adaptive else one_bin, abs=1e-12)


def test_an_event_is_judged_by_its_own_probability():
    assert expected_calibration_error([0.1] * 10, [1] + [0] * 9) == pytest.approx(0.18)
    assert expected_calibration_error([0.1] * 10, [1] + [0] * 9, n_bins=1) == pytest.approx(0.0)


def test_true_probabilities_have_a_small_error_and_exaggerated_ones_a_large_one():
    honest = expected_calibration_error(*drawn(20_000))
    boastful = expected_calibration_error(*drawn(20_000, sharpness=3.0))
    timid = expected_calibration_error(*drawn(20_000, sharpness=0.3))
    assert honest < 0.015
    assert boastful > 0.1
    assert timid > 0.1


def test_few_trials_of_a_perfect_predictor_have_the_error_that_is_announced():
    errors = [calibration_error(*drawn(60, seed=seed), n_resamples=50) for seed in range(30)]
    seen = np.mean([one.error for one in errors])
    announced = np.mean([one.expected_if_perfect for one in errors])
    assert seen > 0.08
    assert announced == pytest.approx(seen, rel=0.15)
    assert np.mean([one.p_value for one in errors]) > 0.35


def test_exaggeration_is_told_from_chance():
    found = calibration_error(*drawn(400, sharpness=3.0), n_resamples=200)
    assert found.p_value < 0.01
    assert found.interval[0] > found.expected_if_perfect
    assert found.interval[0] < found.error < found.interval[1]


def test_whole_groups_are_resampled():
    probabilities, truth = drawn(300)
    runs = np.repeat(np.arange(3), 100)
    probabilities[runs == 2] = np.eye(3)[(truth[runs == 2] + 1) % 3]
    by_run = calibration_error(probabilities, truth, runs.tolist(), n_resamples=200).interval
    by_trial = calibration_error(probabilities, truth, n_resamples=200).interval
    assert by_run[1] - by_run[0] > 3 * (by_trial[1] - by_trial[0])


def test_equal_seeds_give_equal_intervals():
    first = calibration_error(*drawn(100), n_resamples=50).as_dict()
    assert first == calibration_error(*drawn(100), n_resamples=50).as_dict()


@pytest.mark.parametrize(
    ("probabilities", "targets", "says"),
    [
        ([], [], "at least 1"),
        ([[0.5, 0.5]], [0, 1], "one target for each trial"),
        ([[2.0, -1.0]], [0], "after the softmax"),
        ([[np.nan, 1.0]], [0], "in \\[0, 1\\]"),
    ],
)
def test_what_cannot_be_judged_is_refused(probabilities, targets, says):
    with pytest.raises(ValueError, match=says):
        expected_calibration_error(probabilities, targets)


def test_no_bins_and_missing_groups_are_refused():
    with pytest.raises(ValueError, match="n_bins must be at least 1, got 0"):
        expected_calibration_error(*drawn(5), n_bins=0)
    with pytest.raises(ValueError, match="one group for each of 5 trials, got 2"):
        calibration_error(*drawn(5), ["a", "b"])
