from __future__ import annotations

import numpy as np
import pytest

from diverloop.adapters.calibration import fit_temperature, log_loss, soften


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
