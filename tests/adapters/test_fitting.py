from __future__ import annotations

import json

import numpy as np
import pytest

from diverloop.adapters.cross_validation import FitConfig
from diverloop.adapters.fitting import Fitted, fit_linear
from diverloop.adapters.linear import LinearAdapter
from diverloop.decoders.common_spatial_patterns import (
    CommonSpatialPatterns,
    CommonSpatialPatternsConfig,
)
from diverloop.decoders.filterbank_covariance import (
    FilterbankCovariance,
    FilterbankCovarianceConfig,
)
from diverloop.runtime.errors import ConfigError

N_BANDS, N_CHANNELS, N_TIMES = 2, 4, 60
MIXING = np.random.default_rng(7).normal(size=(N_CHANNELS, N_CHANNELS))


def imagery(n_trials: int = 16, per_trial: int = 2, gain: float = 2.5, seed: int = 0):
    """Trials alternate; the class's own source is louder by `gain`."""
    rng = np.random.default_rng(seed)
    trials = np.repeat(np.arange(n_trials), per_trial)
    labels = np.array(["left", "right"])[trials % 2]
    sources = rng.normal(size=(len(trials), N_BANDS, N_CHANNELS, N_TIMES))
    for place, name in enumerate(("left", "right")):
        sources[labels == name, :, place] *= gain
    return (MIXING @ sources).reshape(len(trials), -1, N_TIMES), labels, trials


def covariance(windows, labels) -> FilterbankCovariance:
    return FilterbankCovariance.fit(windows, None, FilterbankCovarianceConfig(n_bands=N_BANDS))


def patterns(windows, labels) -> CommonSpatialPatterns:
    config = CommonSpatialPatternsConfig(n_bands=N_BANDS, n_pairs=1)
    return CommonSpatialPatterns.fit(windows, labels, config)


class Mean:
    """An encoder that learns nothing, so that what is learnt elsewhere can be seen."""

    def encode_many(self, windows):
        return windows.mean(axis=2)


BOTH = pytest.mark.parametrize(
    ("fit_encoder", "config"),
    [(covariance, FitConfig(n_folds=3)), (patterns, FitConfig(n_folds=3, classifier="lda"))],
)


@BOTH
def test_a_fit_reads_trials_it_has_not_seen(fit_encoder, config):
    windows, labels, trials = imagery()
    fitted = fit_linear(windows, labels, trials, fit_encoder=fit_encoder, config=config)
    unseen, truth, _ = imagery(seed=1)
    probabilities = fitted.adapter.probabilities(fitted.encoder.encode_many(unseen))
    guesses = np.array(fitted.adapter.classes)[probabilities.argmax(axis=1)]
    assert (guesses == truth).mean() > 0.9
    assert fitted.report["cross_validation"]["accuracy"] > 0.9
    assert fitted.report["n_trials"] == 16
    assert fitted.report["n_windows"] == 32


@BOTH
def test_labels_drawn_at_random_score_at_chance(fit_encoder, config):
    windows, _, trials = imagery(n_trials=40, per_trial=1, gain=1.0)
    labels = np.random.default_rng(3).permutation(["left", "right"] * 20)
    fitted = fit_linear(windows, labels, trials, fit_encoder=fit_encoder, config=config)
    low, high = fitted.report["cross_validation"]["interval"]
    assert low < 0.5 < high


@BOTH
def test_a_fit_gives_the_same_twice(fit_encoder, config):
    first, second = (
        fit_linear(*imagery(), fit_encoder=fit_encoder, config=config) for _ in range(2)
    )
    assert first.report == second.report
    for name, array in first.adapter.to_arrays().items():
        np.testing.assert_array_equal(second.adapter.to_arrays()[name], array)


def test_windows_of_one_trial_never_sit_on_both_sides():
    windows, labels, trials = imagery()
    # The first sample of each window carries its trial's number, to be seen by the encoder.
    windows[:, 0, 0] = trials
    seen: list[tuple[set[float], set[float]]] = []

    class Spy(Mean):
        def __init__(self, known: set[float]) -> None:
            self.known = known

        def encode_many(self, windows):
            seen.append((self.known, set(windows[:, 0, 0])))
            return super().encode_many(windows)

    fit_linear(
        windows,
        labels,
        trials,
        fit_encoder=lambda windows, labels: Spy(set(windows[:, 0, 0])),
        config=FitConfig(n_folds=3),
    )
    # Noise that outliers are learnt from is of no trial.
    seen = [pair for pair in seen if all(float(number).is_integer() for number in pair[1])]
    held_out = [asked for known, asked in seen if asked != known]
    # Three outer folds, and three inner ones for each of them and for the final fit.
    assert len(held_out) == 3 + 4 * 3
    assert all(asked.isdisjoint(known) for known, asked in seen if asked != known)


def test_neighbouring_trials_are_held_out_together():
    windows, labels, trials = imagery(n_trials=12, per_trial=1)
    windows[:, 0, 0] = trials
    left_out = []

    def remember(windows, labels):
        left_out.append(sorted(set(range(12)) - set(windows[:, 0, 0].astype(int))))
        return Mean()

    fit_linear(
        windows, labels, trials, fit_encoder=remember, config=FitConfig(n_folds=3, costs=(1.0,))
    )
    assert left_out == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], []]


def test_each_recording_is_also_predicted_from_the_others():
    windows, labels, trials = imagery()
    recordings = np.where(trials < 8, "morning", "evening")
    # A trial's number may come again in the next recording.
    report = fit_linear(
        windows,
        labels,
        trials % 8,
        recordings,
        fit_encoder=patterns,
        config=FitConfig(classifier="lda"),
    ).report
    assert report["n_trials"] == 16
    assert report["leave_one_recording_out"]["n"] == 16
    assert report["leave_one_recording_out"]["accuracy"] > 0.8


def test_a_report_is_plain_enough_for_a_card():
    report = fit_linear(*imagery(), fit_encoder=covariance).report
    assert json.loads(json.dumps(report, allow_nan=False))["classes"] == ["left", "right"]


def test_a_class_with_more_trials_is_not_preferred():
    rng = np.random.default_rng(0)
    trials = np.arange(60)
    labels = np.where(trials % 4 == 0, "rare", "often")
    windows = rng.normal(size=(60, 1, 5)) + np.where(labels == "rare", 1.0, -1.0)[:, None, None]
    for classifier in ("logistic", "lda"):
        config = FitConfig(classifier=classifier)
        fitted = fit_linear(
            windows, labels, trials, fit_encoder=lambda windows, labels: Mean(), config=config
        )
        # Halfway between the two means nothing speaks for either class.
        assert fitted.adapter.probabilities(np.zeros(1)) == pytest.approx([0.5, 0.5], abs=0.15)


def test_a_feature_that_never_changes_does_no_harm():
    windows, labels, trials = imagery()
    windows[:, 0] = 3.0
    fitted: Fitted[Mean] = fit_linear(
        windows, labels, trials, fit_encoder=lambda windows, labels: Mean()
    )
    assert np.isfinite(fitted.adapter.to_arrays()["weights"]).all()
    assert isinstance(fitted.adapter, LinearAdapter)


def test_what_was_chosen_reaches_the_adapter():
    config = FitConfig(classifier="lda", abstain_below=0.7, min_quality=0.2)
    adapter = fit_linear(*imagery(), fit_encoder=patterns, config=config).adapter
    assert (adapter.config.abstain_below, adapter.config.min_quality) == (0.7, 0.2)


def test_progress_is_told_step_by_step_to_the_end():
    told: list[tuple[int, int]] = []
    fit_linear(
        *imagery(),
        fit_encoder=patterns,
        config=FitConfig(classifier="lda", n_folds=4),
        progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(done, 5) for done in range(1, 6)]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"classifier": "forest"}, "classifier must be"),
        ({"n_folds": 1}, "n_folds must be"),
        ({"costs": ()}, "costs must be"),
        ({"costs": (0.0,)}, "costs must be"),
    ],
)
def test_settings_outside_their_range_are_refused(fields, words):
    with pytest.raises(ConfigError, match=words):
        FitConfig(**fields)
