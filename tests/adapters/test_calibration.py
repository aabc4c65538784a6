from __future__ import annotations

import math

import numpy as np
import pytest

from diverloop.adapters.calibration import fit_temperature, log_loss, platt, soften


def drawn(n_trials: int = 20000, n_classes: int = 3, seed: int = 0):
    """Scores whose softmax is exactly right, and classes drawn from it."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(n_trials, n_classes)) * 2
    # The largest of score plus Gumbel noise is a draw from the softmax.
    return scores, (scores + rng.gumbel(size=scores.shape)).argmax(axis=1)


@pytest.mark.parametrize("too_sure_by", [0.25, 1.0, 4.0])
def test_the_temperature_undoes_scores_that_are_too_sure_by_a_factor(too_sure_by):
    scores, targets = drawn()
    assert fit_temperature(scores * too_sure_by, targets) == pytest.approx(too_sure_by, rel=0.05)


def test_the_temperature_is_the_best_one():
    scores, targets = drawn(200)
    best = fit_temperature(scores, targets)
    for other in (best * 0.95, best * 1.05):
        assert log_loss(scores, targets, best) < log_loss(scores, targets, other)


def test_a_few_trials_without_an_error_do_not_make_certain():
    targets = np.array([0, 1] * 4)
    scores = np.where(np.arange(2) == targets[:, None], 1.0, -1.0)
    certainty = 1 / (1 + np.exp(-2 / fit_temperature(scores, targets)))
    # Four of four with one imagined trial of the other class: five of six.
    assert certainty == pytest.approx(5 / 6, abs=1e-4)


def test_scores_that_know_nothing_become_a_coin():
    targets = np.array([0, 1] * 50)
    scores = np.where(np.arange(100)[:, None] % 4 < 2, [[3.0, -3.0]], [[-3.0, 3.0]])
    probability = 1 / (1 + np.exp(-6 / fit_temperature(scores, targets)))
    assert probability == pytest.approx(0.5, abs=0.05)


def test_softened_targets_worked_out_by_hand():
    soft = soften(np.array([0, 0, 1]), 2)
    np.testing.assert_allclose(soft, [[3 / 4, 1 / 4], [3 / 4, 1 / 4], [1 / 3, 2 / 3]])


def test_equal_scores_lose_the_logarithm_of_the_number_of_classes():
    targets = np.array([0, 1, 2, 3])
    assert log_loss(np.zeros((4, 4)), targets) == pytest.approx(np.log(4))


def test_calibrated_odds_find_the_truth_behind_stretched_and_shifted_margins():
    rng = np.random.default_rng(0)
    real = rng.random(4000) < 0.25
    margins = 5 * (rng.standard_normal(4000) + 1.5 * real) + 20
    slope, offset = platt(margins, real)
    # Two normal densities 1.5 apart: log odds rise by 1.5 a standard deviation, here 5.
    assert slope == pytest.approx(0.3, abs=0.02)
    probable = 1 / (1 + np.exp(-(slope * margins + offset)))
    assert probable.mean() == pytest.approx(real.mean(), abs=0.01)
    for low, high in ((0.0, 0.2), (0.2, 0.5), (0.5, 1.0)):
        inside = (probable >= low) & (probable < high)
        assert probable[inside].mean() == pytest.approx(real[inside].mean(), abs=0.04)


def test_margins_that_say_nothing_leave_the_share_of_errors():
    real = np.arange(40) % 4 == 0
    slope, offset = platt(-1.0 * real, real)
    assert 0 < slope < 0.01
    assert 1 / (1 + math.exp(-offset)) == pytest.approx(0.25, abs=0.01)
