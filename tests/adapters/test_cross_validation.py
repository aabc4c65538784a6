"""Recordings that are each seen from a reference of their own, judged without a leak."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.adapters.choosing import Candidate, choose
from diverloop.adapters.cross_validation import REFERENCE_TRIALS, CrossValidation, FitConfig
from diverloop.adapters.folds import Trials, contiguous_folds, recording_folds
from diverloop.decoders.aligned_covariance import AlignedCovariance
from diverloop.decoders.filterbank_covariance import FilterbankCovarianceConfig

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


def trials(n_days: int) -> Trials:
    n_windows = n_days * N_TRIALS * PER_TRIAL
    number = np.arange(n_windows) // PER_TRIAL
    labels = np.array(["left", "right"])[number % 2]
    return Trials.of(labels, number, number // N_TRIALS, n_windows=n_windows)


def validation(windows: np.ndarray, *, aligned: bool = True, seen=None) -> CrossValidation:
    def fit(windows, labels, recordings=None):
        if seen is not None:
            seen.append((windows, recordings))
        return AlignedCovariance.fit(windows, labels, CONFIG, recordings)

    n_days = len(windows) // (N_TRIALS * PER_TRIAL)
    return CrossValidation(windows, trials(n_days), fit, PLAIN, aligned=aligned)


def accuracy(scores: np.ndarray, of: slice = slice(None)) -> float:
    right = scores.argmax(axis=1) == np.arange(len(scores)) % 2
    return float(right[of].mean())


def test_an_encoder_is_told_of_training_windows_alone_and_which_recording_each_is_of():
    windows, seen = np.concatenate([day(1), day(2)]), []
    fold = contiguous_folds(trials(2).labels, 5)[1]
    validation(windows, seen=seen).held_out(fold)
    ((given, recordings),) = seen
    kept = np.flatnonzero(~np.isin(np.arange(len(windows)) // PER_TRIAL, fold))
    np.testing.assert_array_equal(given, windows[kept])
    np.testing.assert_array_equal(recordings, kept // (N_TRIALS * PER_TRIAL))


def test_in_a_recording_that_is_known_a_held_out_trial_changes_no_other():
    windows = np.concatenate([day(1), day(2)])
    other, fold = windows.copy(), contiguous_folds(trials(2).labels, 5)[1]
    other[fold[3] * PER_TRIAL] *= np.linspace(1, 5, N_CHANNELS)[:, None]
    one, two = (validation(each).held_out(fold)[0] for each in (windows, other))
    assert np.flatnonzero((one != two).any(axis=1)).tolist() == [3]


@pytest.mark.parametrize(("changed", "touched"), [(2, range(REFERENCE_TRIALS, 24)), (12, ())])
def test_the_first_trials_of_a_new_recording_give_the_reference_of_the_later_ones(changed, touched):
    windows = np.concatenate([day(1), day(2)])
    other, fold = windows.copy(), recording_folds(trials(2))[1]
    assert fold[0] == N_TRIALS
    other[fold[changed] * PER_TRIAL] *= np.linspace(1, 5, N_CHANNELS)[:, None]
    one, two = (validation(each).held_out(fold)[0] for each in (windows, other))
    assert np.flatnonzero((one != two).any(axis=1)).tolist() == sorted({changed, *touched})


def test_another_day_under_another_cap_is_decoded_from_its_own_centre():
    found = {True: [], False: []}
    late = slice(REFERENCE_TRIALS, None)
    for seed in range(6):
        windows = np.concatenate([day(10 * seed + number) for number in range(3)])
        for aligned in found:
            fold = recording_folds(trials(3))[2]
            scores, _ = validation(windows, aligned=aligned).held_out(fold)
            found[aligned].append(accuracy(scores, late))
    assert np.mean(found[True]) > 0.9
    assert np.mean(found[True]) > np.mean(found[False]) + 0.05


def test_a_way_that_aligns_says_what_its_score_means():
    windows = np.concatenate([day(1), day(2)])

    def fitted(aligned: bool):
        return choose([
            Candidate(
                name="it", windows=windows, trials=trials(2), config=PLAIN, aligned=aligned,
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
