from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diverloop.adapters.folds import Trials, contiguous_folds, held_out_folds, recording_folds
from diverloop.runtime.errors import ConfigError


def trials_of(labels, trials, recordings=None) -> Trials:
    return Trials.of(np.array(labels), np.array(trials), recordings, n_windows=len(labels))


def test_windows_are_grouped_by_recording_and_trial():
    recordings = np.array(["a", "a", "a", "b", "b", "b"])
    got = trials_of(["l", "l", "r", "r", "r", "l"], [4, 4, 7, 4, 4, 7], recordings)
    assert got.of_window.tolist() == [0, 0, 1, 2, 2, 3]
    assert got.labels.tolist() == ["l", "r", "r", "l"]
    assert got.recordings == ("a", "a", "b", "b")
    assert got.classes == ("l", "r")
    assert got.targets.tolist() == [0, 1, 1, 0]
    assert got.windows_of(np.array([0, 2])).tolist() == [0, 1, 3, 4]


def test_numbers_as_labels_become_text():
    assert trials_of([3, 4], [0, 1]).classes == ("3", "4")


def test_a_trial_with_two_labels_is_refused():
    with pytest.raises(ConfigError, match="a trial has one label"):
        trials_of(["l", "r", "r"], [0, 0, 1])


def test_lengths_must_agree_and_two_classes_be_there():
    with pytest.raises(ConfigError, match="3 windows, 2 labels"):
        Trials.of(np.array(["l", "r"]), np.arange(3), None, n_windows=3)
    with pytest.raises(ConfigError, match="at least 2 classes"):
        trials_of(["l", "l"], [0, 1])


def test_a_report_counts_only_trials_that_were_predicted():
    known = trials_of(["l", "r", "l", "r"], [0, 1, 2, 3])
    scores = np.array([[1.0, 0.0], [1.0, 0.0], [np.nan, np.nan], [0.0, 1.0]])
    report = known.report(scores)
    assert (report["n"], report["n_correct"]) == (3, 2)
    assert report["confusion"] == ((1, 0), (1, 1))


labelled = st.lists(st.sampled_from("lr"), min_size=4).filter(
    lambda names: min(names.count("l"), names.count("r")) >= 2
)


@given(labelled, st.integers(2, 6))
def test_every_trial_is_held_out_once_and_every_class_stays_on_both_sides(names, n_folds):
    labels = np.array(names)
    folds = contiguous_folds(labels, n_folds)
    assert 2 <= len(folds) <= n_folds
    assert sorted(np.concatenate(folds).tolist()) == list(range(len(labels)))
    for fold in folds:
        assert set(labels[fold]) == set(np.delete(labels, fold)) == {"l", "r"}


@given(st.integers(1, 5), st.integers(2, 5))
def test_alternating_classes_give_blocks_of_time(per_fold, n_folds):
    labels = np.array(["l", "r"] * (per_fold * n_folds))
    blocks = np.array_split(np.arange(len(labels)), n_folds)
    for fold, block in zip(contiguous_folds(labels, n_folds), blocks, strict=True):
        np.testing.assert_array_equal(fold, block)


def test_a_class_with_one_trial_cannot_be_held_out():
    with pytest.raises(ConfigError, match="'r' has 1 trial"):
        contiguous_folds(np.array(["l", "l", "r"]), 2)


def test_each_recording_is_held_out_where_the_others_suffice():
    labels, trials = ["l", "r"] * 6, list(range(12))
    known = trials_of(labels, trials, np.repeat(["a", "b", "c"], 4))
    assert [fold.tolist() for fold in recording_folds(known)] == [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [8, 9, 10, 11],
    ]
    assert recording_folds(trials_of(labels, trials)) == []
    lopsided = trials_of(labels, trials, np.array(["a"] * 10 + ["b"] * 2))
    assert recording_folds(lopsided) == []


def of_recordings(labels: list[str], recordings: list[int]) -> Trials:
    return Trials(
        classes=tuple(sorted(set(labels))),
        of_window=np.arange(len(labels)),
        labels=np.array(labels),
        recordings=tuple(recordings),
    )


def test_whole_recordings_are_held_out_where_every_class_is_in_the_others():
    trials = of_recordings(["a", "b"] * 9, [0] * 6 + [1] * 6 + [2] * 6)
    folds = held_out_folds(trials, 5)
    assert [fold.tolist() for fold in folds] == [list(range(n, n + 6)) for n in (0, 6, 12)]


def test_many_recordings_are_held_out_with_their_neighbours():
    trials = of_recordings(["a", "b"] * 8, [n // 2 for n in range(16)])
    folds = held_out_folds(trials, 4)
    assert [fold.tolist() for fold in folds] == [list(range(n, n + 4)) for n in (0, 4, 8, 12)]


def test_blocks_of_time_are_held_out_where_a_recording_holds_a_class_alone():
    trials = of_recordings(["a"] * 4 + ["b"] * 4, [0] * 4 + [1] * 4)
    folds = held_out_folds(trials, 2)
    assert [fold.tolist() for fold in folds] == [[0, 1, 4, 5], [2, 3, 6, 7]]


def test_folds_of_some_trials_count_places_among_them():
    trials = of_recordings(["a", "b"] * 9, [0] * 6 + [1] * 6 + [2] * 6)
    folds = held_out_folds(trials, 5, np.arange(6, 18))
    assert [fold.tolist() for fold in folds] == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]]
