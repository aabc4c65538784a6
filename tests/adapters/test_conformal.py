from __future__ import annotations

import math

import numpy as np
import pytest

from diverloop.adapters.conformal import ConformalConfig, ConformalSets, selective_threshold
from diverloop.runtime.errors import ConfigError


def drawn(n: int, seed: int, sharpness: float = 2.0, n_classes: int = 2, boast: float = 1.0):
    """Probabilities and truth drawn from them; with `boast` they claim more than is true."""
    rng = np.random.default_rng(seed)
    scores = sharpness * rng.normal(size=(n, n_classes))
    real, said = softmax(scores), softmax(boast * scores)
    truth = (rng.random((n, 1)) > real.cumsum(axis=1)[:, :-1]).sum(axis=1)
    return said, truth


def softmax(scores):
    weight = np.exp(scores - scores.max(axis=1, keepdims=True))
    return weight / weight.sum(axis=1, keepdims=True)


def error_of(threshold, probabilities, truth):
    decided = probabilities.max(axis=1) >= threshold
    return float((probabilities.argmax(axis=1) != truth)[decided].mean())


def two_class(confidence, right):
    """Rows whose best class is the first, with this probability; right where it is true."""
    sure = np.asarray(confidence, dtype=float)
    return np.stack([sure, 1 - sure], axis=1), np.where(np.broadcast_to(right, sure.shape), 0, 1)


def test_the_threshold_is_what_a_hand_count_gives():
    # One imagined error more: 1/11 with the ten surest, 2/14 with the next three, 3/15 beyond.
    sure = [0.95] * 10 + [0.8] * 3 + [0.7]
    right = [True] * 10 + [True, True, False] + [False]
    found = selective_threshold(*two_class(sure, right), ConformalConfig(alpha=0.1))
    assert (found.threshold, found.n) == (0.95, 14)
    assert (found.coverage, found.error) == (pytest.approx(10 / 14), 0.0)
    looser = selective_threshold(*two_class(sure, right), ConformalConfig(alpha=0.15))
    assert looser.threshold == pytest.approx(0.8)
    assert looser.error == pytest.approx(1 / 13)


def test_equally_sure_trials_are_decided_together_or_not_at_all():
    found = selective_threshold(
        *two_class([0.8] * 12, [True] * 10 + [False] * 2), ConformalConfig(alpha=0.1)
    )
    assert found.threshold is None


@pytest.mark.parametrize("boast", [1.0, 4.0])
@pytest.mark.parametrize("alpha", [0.1, 0.2])
def test_on_average_the_error_of_new_trials_is_what_was_allowed(alpha, boast):
    later = drawn(8000, seed=999, boast=boast)
    errors = []
    for seed in range(60):
        found = selective_threshold(*drawn(200, seed, boast=boast), ConformalConfig(alpha=alpha))
        errors.append(error_of(found.threshold, *later))
    assert np.mean(errors) <= alpha + 0.005
    # And it is not bought by deciding nothing: boasting probabilities are moved up, that is all.
    assert np.mean(errors) > 0.7 * min(alpha, error_of(0.0, *later))


def test_the_sure_promise_fails_in_no_more_calibrations_than_it_says():
    later = drawn(8000, seed=999)
    config = ConformalConfig(alpha=0.15, promise="sure", delta=0.1)
    found = [selective_threshold(*drawn(150, seed), config).threshold for seed in range(150)]
    errors = [error_of(one, *later) for one in found if one is not None]
    assert len(errors) > 110
    assert np.mean(np.array(errors) > 0.15) <= 0.1


def test_the_sure_promise_asks_for_more_than_the_mean_one():
    said = drawn(300, seed=3)
    sure = selective_threshold(*said, ConformalConfig(alpha=0.15, promise="sure"))
    mean = selective_threshold(*said, ConformalConfig(alpha=0.15))
    assert sure.threshold > mean.threshold
    assert sure.coverage < mean.coverage


@pytest.mark.parametrize("promise", ["sure", "mean"])
def test_the_fewest_trials_that_are_announced_suffice_and_one_less_does_not(promise):
    config = ConformalConfig(alpha=0.1, promise=promise)
    sure = np.linspace(0.99, 0.6, config.fewest)
    assert selective_threshold(*two_class(sure, True), config).threshold == pytest.approx(0.6)
    fewer = selective_threshold(*two_class(sure[1:], True), config)
    assert fewer.threshold is None
    assert f"with {config.fewest - 1} trials: at least {config.fewest} are needed" in fewer.sentence


def test_a_coin_gets_no_promise_and_is_told_so():
    rng = np.random.default_rng(0)
    sure, right = rng.uniform(0.5, 0.6, 200), rng.random(200) < 0.5
    found = selective_threshold(*two_class(sure, right), ConformalConfig(alpha=0.1))
    assert found.threshold is None
    assert (found.coverage, math.isnan(found.error)) == (0.0, True)
    assert found.sentence.startswith("An error of at most 10% cannot be promised: not even")


def test_the_sentence_of_a_threshold_says_what_it_decides():
    found = selective_threshold(*drawn(400, seed=1), ConformalConfig(alpha=0.1))
    assert found.sentence == (
        f"From a probability of {found.threshold:.2f} on, on average at most 10% of decisions are "
        f"wrong; that decides {found.coverage:.0%} of trials like those of the calibration."
    )


def test_windows_of_one_trial_weigh_as_one():
    probabilities, truth = drawn(60, seed=4)
    config = ConformalConfig(alpha=0.2)
    by_trial = selective_threshold(probabilities, truth, config)
    copies = [np.repeat(one, 5, axis=0) for one in (probabilities, truth)]
    by_window = selective_threshold(*copies, config, np.repeat(np.arange(60), 5).tolist())
    assert (by_window.threshold, by_window.n) == (by_trial.threshold, 60)
    assert by_window.error == pytest.approx(by_trial.error)
    assert selective_threshold(*copies, config).n == 300


@pytest.mark.parametrize("kind", ["lac", "aps"])
@pytest.mark.parametrize("n", [30, 300])
def test_sets_hold_the_true_class_as_often_as_promised(kind, n):
    later, truth = drawn(8000, seed=999, n_classes=4, boast=2.0)
    held = []
    for seed in range(60):
        fitted = drawn(n, seed, n_classes=4, boast=2.0)
        sets = ConformalSets.fit(*fitted, alpha=0.2, kind=kind)
        held.append(sets.sets(later)[np.arange(len(truth)), truth].mean())
    assert 0.8 - 0.015 <= np.mean(held) <= 0.8 + 1 / n + 0.03


def test_too_few_trials_exclude_nothing():
    sets = ConformalSets.fit(*drawn(8, seed=0, n_classes=3), alpha=0.1)
    assert sets.sets([[1.0, 0.0, 0.0]]).all()
    assert sets.decide([0.98, 0.01, 0.01]) is None
    assert "No class can be excluded with 8 trials" in sets.sentence
    assert "record at least 9" in sets.sentence
    assert math.isfinite(ConformalSets.fit(*drawn(9, seed=0, n_classes=3), alpha=0.1).limit)


def test_a_set_of_one_class_is_a_decision_and_others_are_not():
    sets = ConformalSets(kind="lac", alpha=0.1, limit=0.6, n=100)
    assert sets.decide([0.1, 0.8, 0.1]) == 1
    assert sets.decide([0.45, 0.45, 0.1]) is None
    assert ConformalSets(kind="lac", alpha=0.1, limit=0.3, n=100).decide([0.4, 0.3, 0.3]) is None


def test_accumulated_sets_hold_the_most_probable_classes_until_they_suffice():
    sets = ConformalSets(kind="aps", alpha=0.1, limit=0.85, n=100)
    assert sets.sets([[0.6, 0.25, 0.15], [0.4, 0.15, 0.45]]).tolist() == [
        [True, True, False],
        [True, False, True],
    ]


@pytest.mark.parametrize(
    ("probabilities", "targets", "says"),
    [
        ([], [], "at least 1"),
        ([[0.5, 0.5]], [0, 1], "one target for each trial"),
        ([[3.0, -2.0]], [0], "after the softmax"),
        ([[np.nan, 0.5]], [0], "in \\[0, 1\\]"),
        ([[0.5, 0.5]], [2], "rows of 2 classes"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused(probabilities, targets, says):
    with pytest.raises(ValueError, match=says):
        selective_threshold(probabilities, targets)
    with pytest.raises(ValueError, match=says):
        ConformalSets.fit(probabilities, targets)


def test_missing_groups_are_refused():
    with pytest.raises(ValueError, match="one group for each of 20 trials, got 1"):
        selective_threshold(*drawn(20, seed=0), groups=["a"])


@pytest.mark.parametrize("wrong", [{"alpha": 0.0}, {"delta": 0.6}, {"promise": "maybe"}])
def test_settings_outside_their_range_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        ConformalConfig(**wrong)


def test_an_unknown_kind_of_set_is_refused():
    with pytest.raises(ConfigError, match='"lac" or "aps"'):
        ConformalSets.fit(*drawn(20, seed=0), kind="other")
