"""Parts of a joined encoder are read one by one; recordings are seen from centres of their own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from diverloop.adapters.calibration import fit_temperature
from diverloop.adapters.choosing import Candidate, choose
from diverloop.adapters.cross_validation import REFERENCE_TRIALS, CrossValidation, FitConfig
from diverloop.adapters.fitting import fit_linear
from diverloop.adapters.folds import Trials, contiguous_folds, recording_folds
from diverloop.adapters.weights import Reading
from diverloop.decoders.aligned_covariance import AlignedCovariance
from diverloop.decoders.filterbank_covariance import FilterbankCovarianceConfig
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.prototype_head import PrototypeHead, softmax

SIZES = (3, 12)
LDA = FitConfig(classifier="lda", n_folds=4)
PARTS = (LDA, FitConfig(classifier="logistic", scale="common", costs=(1e-1, 1.0)))


class Rows:
    """A joined encoder that learns nothing: its features are the samples."""

    def __init__(self, rows=slice(None)) -> None:
        self._rows = rows
        self.sizes = SIZES

    def encode_many(self, windows):
        return windows[:, self._rows, 0]


def trials(n: int = 60, seed: int = 0, n_classes: int = 2):
    """Both parts know something of the class, and err in different trials."""
    rng = np.random.default_rng(seed)
    targets = np.arange(n) % n_classes
    features = rng.standard_normal((n, sum(SIZES)))
    for start, gain in ((0, 1.2), (SIZES[0], 1.5)):
        features[np.arange(n), start + targets] += gain
    return features[:, :, None], np.array(["a", "b", "c"])[targets], np.arange(n)


def validation(config: FitConfig, rows=slice(None), **made) -> CrossValidation:
    windows, labels, number = trials(**made)
    return CrossValidation(
        windows, Trials.of(labels, number, None, n_windows=len(windows)),
        lambda windows, labels: Rows(rows), config,
    )  # fmt: skip


@pytest.mark.parametrize("n_classes", [2, 3])
def test_joined_scores_are_the_mean_of_the_parts_each_at_its_own_temperature(n_classes):
    joined = validation(replace(LDA, parts=PARTS), n_classes=n_classes)
    everything = np.arange(60)
    rehearsal = joined.rehearse(everything)
    _, weights = joined.fit(everything, rehearsal.readings)
    classes = ("a", "b", "c")[:n_classes]
    windows = trials(seed=1, n_classes=n_classes)[0]
    found = weights.adapter(classes, LDA).scores(windows[:, :, 0])
    expected, rehearsed = np.zeros_like(found), np.zeros_like(rehearsal.scores)
    for rows, part in ((slice(0, 3), PARTS[0]), (slice(3, 15), PARTS[1])):
        alone = validation(replace(part, n_folds=4), rows, n_classes=n_classes)
        held_out = alone.rehearse(everything)
        temperature = fit_temperature(held_out.scores, np.arange(60) % n_classes)
        _, own = alone.fit(everything, held_out.readings)
        expected += own.adapter(classes, LDA).scores(windows[:, rows, 0]) / (2 * temperature)
        rehearsed += held_out.scores / (2 * temperature)
    np.testing.assert_allclose(found, expected)
    np.testing.assert_allclose(rehearsal.scores, rehearsed)


def test_together_parts_that_err_apart_do_better_than_the_better_one():
    right = {"joined": [], "first": [], "second": []}
    for seed in range(4):
        for name, config, rows in (
            ("joined", replace(LDA, parts=PARTS), slice(None)),
            ("first", LDA, slice(0, 3)),
            ("second", replace(PARTS[1], n_folds=4), slice(3, 15)),
        ):
            judged = validation(config, rows, seed=seed)
            folds = [np.arange(60)[place::4] for place in range(4)]
            scores = judged.predict(folds)
            right[name].append((scores.argmax(axis=1) == np.arange(60) % 2).mean())
    means = {name: np.mean(each) for name, each in right.items()}
    assert means["joined"] > max(means["first"], means["second"]) + 0.02


def test_a_report_says_how_every_part_was_read():
    windows, labels, number = trials()
    fitted = fit_linear(
        windows, labels, number, fit_encoder=lambda windows, labels: Rows(),
        config=replace(LDA, parts=PARTS),
    )  # fmt: skip
    first, second = fitted.report["parts"]
    assert first["cost"] is None
    assert second["cost"] in PARTS[1].costs
    assert first["temperature"] > 0
    assert fitted.adapter.to_arrays()["weights"].shape == (2, sum(SIZES))


def test_without_parts_nothing_is_divided():
    alone = validation(replace(LDA, parts=()))
    assert alone.choose_readings(np.arange(60)) == (Reading(),)


def test_parts_within_parts_are_refused():
    with pytest.raises(ConfigError, match="of its own"):
        FitConfig(parts=(LDA, replace(LDA, parts=PARTS)))


# Recordings that are each seen from a reference of their own, judged without a leak.

N_CHANNELS, N_TIMES, N_TRIALS, PER_TRIAL = 4, 60, 24, 2
CONFIG = FilterbankCovarianceConfig(n_bands=1, n_components=None, shrinkage=1e-3)
PLAIN = FitConfig(classifier="lda")


def day(seed: int, moved_by: float = 0.2) -> np.ndarray:
    """Windows of one day under a cap of its own, two for each trial; classes alternate."""
    rng = np.random.default_rng(seed)
    loud = np.ones((2, N_CHANNELS))
    loud[0, 0] = loud[1, 1] = 1.6
    sources = rng.normal(size=(N_TRIALS * PER_TRIAL, N_CHANNELS, N_TIMES))
    sources *= loud[np.arange(len(sources)) // PER_TRIAL % 2, :, None]
    cap = np.eye(N_CHANNELS) + moved_by * rng.normal(size=(N_CHANNELS, N_CHANNELS))
    return cap @ sources * 10


def days_of(n_days: int) -> Trials:
    n_windows = n_days * N_TRIALS * PER_TRIAL
    number = np.arange(n_windows) // PER_TRIAL
    labels = np.array(["left", "right"])[number % 2]
    return Trials.of(labels, number, number // N_TRIALS, n_windows=n_windows)


def aligned_validation(windows: np.ndarray, *, aligned: bool = True, seen=None) -> CrossValidation:
    def fit(windows, labels, recordings=None):
        if seen is not None:
            seen.append((windows, recordings))
        return AlignedCovariance.fit(windows, labels, CONFIG, recordings)

    n_days = len(windows) // (N_TRIALS * PER_TRIAL)
    return CrossValidation(windows, days_of(n_days), fit, PLAIN, aligned=aligned)


def share_right(scores: np.ndarray, of: slice = slice(None)) -> float:
    right = scores.argmax(axis=1) == np.arange(len(scores)) % 2
    return float(right[of].mean())


def test_an_encoder_is_told_of_training_windows_alone_and_which_recording_each_is_of():
    windows, seen = np.concatenate([day(1), day(2)]), []
    fold = contiguous_folds(days_of(2).labels, 5)[1]
    aligned_validation(windows, seen=seen).held_out(fold)
    ((given, recordings),) = seen
    kept = np.flatnonzero(~np.isin(np.arange(len(windows)) // PER_TRIAL, fold))
    np.testing.assert_array_equal(given, windows[kept])
    np.testing.assert_array_equal(recordings, kept // (N_TRIALS * PER_TRIAL))


def test_in_a_recording_that_is_known_a_held_out_trial_changes_no_other():
    windows = np.concatenate([day(1), day(2)])
    other, fold = windows.copy(), contiguous_folds(days_of(2).labels, 5)[1]
    other[fold[3] * PER_TRIAL] *= np.linspace(1, 5, N_CHANNELS)[:, None]
    one, two = (aligned_validation(each).held_out(fold)[0] for each in (windows, other))
    assert np.flatnonzero((one != two).any(axis=1)).tolist() == [3]


@pytest.mark.parametrize(("changed", "touched"), [(2, range(REFERENCE_TRIALS, 24)), (12, ())])
def test_the_first_trials_of_a_new_recording_give_the_reference_of_the_later_ones(changed, touched):
    windows = np.concatenate([day(1), day(2)])
    other, fold = windows.copy(), recording_folds(days_of(2))[1]
    assert fold[0] == N_TRIALS
    other[fold[changed] * PER_TRIAL] *= np.linspace(1, 5, N_CHANNELS)[:, None]
    one, two = (aligned_validation(each).held_out(fold)[0] for each in (windows, other))
    assert np.flatnonzero((one != two).any(axis=1)).tolist() == sorted({changed, *touched})


def test_another_day_under_another_cap_is_decoded_from_its_own_centre():
    found = {True: [], False: []}
    late = slice(REFERENCE_TRIALS, None)
    for seed in range(6):
        windows = np.concatenate([day(10 * seed + number) for number in range(3)])
        for aligned in found:
            fold = recording_folds(days_of(3))[2]
            scores, _ = aligned_validation(windows, aligned=aligned).held_out(fold)
            found[aligned].append(share_right(scores, late))
    assert np.mean(found[True]) > 0.9
    assert np.mean(found[True]) > np.mean(found[False]) + 0.05


def test_a_way_that_aligns_says_what_its_score_means():
    windows = np.concatenate([day(1), day(2)])

    def fitted(aligned: bool):
        return choose([
            Candidate(
                name="it", windows=windows, trials=days_of(2), config=PLAIN, aligned=aligned,
                fit_encoder=lambda w, y, r=None: AlignedCovariance.fit(w, y, CONFIG, r),
            )
        ]).fitted  # fmt: skip

    one = fitted(aligned=True)
    assert "first 8 trials, without labels" in one.report["alignment"]
    assert one.encoder.recordings == {0, 1}
    assert "alignment" not in fitted(aligned=False).report
    # What serves is the centre of the last recording.
    last = windows[len(windows) // 2 :]
    np.testing.assert_allclose(
        one.encoder.encode_many(last), one.encoder.encode_many(last, np.ones(len(last), int))
    )


def test_parts_that_can_be_adapted_make_one_head():
    each = replace(LDA, classifier="prototypes")
    joined = validation(replace(each, parts=(each, each)), n_classes=3)
    everything = np.arange(60)
    readings = (Reading(temperature=0.7), Reading(temperature=1.9))
    _, weights = joined.fit(everything, readings)
    windows = trials(n_classes=3)[0][:, :, 0]
    parts = np.split(windows, [SIZES[0]], axis=1)
    labels = np.array(["a", "b", "c"])[everything % 3]
    each = np.arange(60)  # a trial is a window here
    heads = [PrototypeHead.fit(part, labels, ("a", "b", "c"), trials=each) for part in parts]
    logs = [
        head.scores(part) / reading.temperature / 2
        for head, part, reading in zip(heads, parts, readings, strict=True)
    ]
    found = weights.adapter(("a", "b", "c"), LDA, temperature=1.3)
    np.testing.assert_allclose(found.probabilities(windows), softmax(sum(logs) / 1.3))
    assert found.head is not None
    np.testing.assert_allclose(found.head.scores(windows), sum(logs) / 1.3)
