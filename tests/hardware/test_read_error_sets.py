"""Public sets of error potentials, from files of their layout that the tests write."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from scipy.io import savemat

from diverloop.adapters.error_potential import ERROR_POTENTIAL
from diverloop.hardware.read_error_sets import PAUSE_S, read
from diverloop.runtime.errors import RecordingError, UnitError

NAMES = ("Fp1", "FCz", "Cz", "P08", "EOG")


def monitoring(path, runs, *, labels=("FCz", "Cz", "Status"), rates=(512, 512)):
    """A session as 013-2015 has it: a cell array of structs, one label too many."""
    cells = np.empty((1, len(runs)), dtype=object)
    for place, (eeg, events) in enumerate(runs):
        cells[0, place] = {
            "eeg": eeg,
            "header": {
                "Subject": 1,
                "Session": 1,
                "SampleRate": rates[place],
                "Label": np.array(labels, dtype=object).reshape(-1, 1),
                "EVENT": {
                    "POS": np.array([at for at, _ in events], float).reshape(-1, 1),
                    "TYP": np.array([code for _, code in events], float).reshape(-1, 1),
                },
            },
        }
    savemat(path, {"run": cells})
    return path


def two_runs(path, **fields):
    eeg = np.arange(4000.0).reshape(2000, 2)
    events = [[(1, 1), (10, 5), (700, 6), (800, 4)], [(5, 10), (1900, 9), (1901, 8)]]
    return eeg, monitoring(path, [(eeg, events[0]), (-eeg, events[1])], **fields)


def spelling(path, n_times=400, events=(100, 250), **fields):
    table = {
        "Time": np.arange(n_times) / 200,
        **{n: np.full(n_times, 1.0 + k) for k, n in enumerate(NAMES)},
    }
    table["FeedBackEvent"] = np.isin(np.arange(n_times), events).astype(int)
    table |= fields
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(table)
        writer.writerows(zip(*table.values(), strict=True))
    return path


def answers(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["IdFeedBack", "Prediction"])
        writer.writerows(rows)


def told(recording):
    return [(marker.label, marker.sample) for marker in recording.markers]


def test_runs_of_a_session_follow_each_other_with_a_gap_between(tmp_path):
    eeg, path = two_runs(tmp_path / "Subject01_s1.mat")
    recording = read(path)
    second = 2000 + round(PAUSE_S * 512)
    assert recording.spec.channel_names == ("FCz", "Cz")
    assert recording.spec.rate_hz == 512
    assert recording.gaps == ((2000, second),)
    np.testing.assert_array_equal(recording.samples[:, :2000], eeg.T)
    np.testing.assert_array_equal(recording.samples[:, second:], -eeg.T)
    assert np.isnan(recording.samples[:, 2000:second]).all()


def test_events_are_counted_from_one_and_only_feedback_is_kept(tmp_path):
    _, path = two_runs(tmp_path / "Subject01_s1.mat")
    second = 2000 + round(PAUSE_S * 512)
    assert told(read(path)) == [
        ("feedback:right", 9),
        ("feedback:wrong", 699),
        ("feedback:right", second + 4),
        ("feedback:wrong", second + 1899),
    ]


def test_a_session_of_one_run_is_read_too(tmp_path):
    path = monitoring(tmp_path / "Subject06_s2.mat", [(np.ones((50, 2)), [(50, 6)])])
    assert told(read(path)) == [("feedback:wrong", 49)]


def test_the_task_knows_what_every_marker_of_both_sets_means(tmp_path):
    _, path = two_runs(tmp_path / "Subject01_s1.mat")
    markers = read(path).markers
    labels = [ERROR_POTENTIAL.span.label(markers, place) for place in range(len(markers))]
    assert labels == ["right", "wrong", "right", "wrong"]
    assert {marker.label for marker in markers} <= set(ERROR_POTENTIAL.window.lock_to)


def test_feedback_of_the_speller_is_labelled_by_the_table_beside_its_folder(tmp_path):
    path = spelling(tmp_path / "train" / "Data_S02_Sess01.csv")
    rows = [("S02_Sess01_FB002", 0), ("S02_Sess01_FB001", 1), ("S02_Sess02_FB001", 0)]
    answers(tmp_path / "TrainLabels.csv", rows)
    recording = read(path)
    assert told(recording) == [("feedback:right", 100), ("feedback:wrong", 250)]
    assert recording.spec.channel_names == ("Fp1", "FCz", "Cz", "PO8", "EOG")
    assert [channel.kind for channel in recording.spec.channels] == ["eeg"] * 4 + ["eog"]
    np.testing.assert_array_equal(recording.samples[:, 7], [1, 2, 3, 4, 5])
    assert recording.spec.rate_hz == 200


def test_without_labels_feedback_stays_unknown_and_that_is_noted(tmp_path):
    recording = read(spelling(tmp_path / "Data_S01_Sess05.csv"))
    assert told(recording) == [("feedback", 100), ("feedback", 250)]
    assert "TrainLabels.csv" in recording.notes[0]


def test_another_unit_can_be_assumed(tmp_path):
    path = spelling(tmp_path / "Data_S01_Sess05.csv")
    np.testing.assert_allclose(read(path, assume_unit="mV").samples, 1000 * read(path).samples)
    with pytest.raises(UnitError):
        read(path, assume_unit="furlong")


def test_what_is_damaged_is_refused(tmp_path):
    train = tmp_path / "train"
    path = spelling(train / "Data_S02_Sess01.csv")
    answers(tmp_path / "TrainLabels.csv", [("S02_Sess01_FB001", 1)])
    with pytest.raises(RecordingError, match="2 times"):
        read(path)
    jumping = np.arange(400) / 200 + (np.arange(400) > 200)
    with pytest.raises(RecordingError, match="jumps in time after line 202"):
        read(spelling(train / "Data_S03_Sess01.csv", Time=jumping))
    (tmp_path / "Subject01_s1.mat").write_bytes(b"no matlab")
    with pytest.raises(RecordingError, match="013-2015"):
        read(tmp_path / "Subject01_s1.mat")
    _, mixed = two_runs(tmp_path / "Subject02_s1.mat", rates=(512, 256))
    with pytest.raises(RecordingError, match="differ"):
        read(mixed)
    with pytest.raises(RecordingError, match="has no runs"):
        read(monitoring(tmp_path / "Subject04_s1.mat", []))
    _, timeless = two_runs(tmp_path / "Subject05_s1.mat", rates=(np.nan, np.nan))
    with pytest.raises(RecordingError, match="sampling rate of nan Hz"):
        read(timeless)
    (tmp_path / "TrainLabels.csv").write_text(f'IdFeedBack,Prediction\n"{"x" * 200_000}",1\n')
    with pytest.raises(RecordingError, match="no table of IdFeedBack and Prediction"):
        read(path)
    late = monitoring(tmp_path / "Subject03_s1.mat", [(np.ones((50, 2)), [(51, 6)])])
    with pytest.raises(RecordingError, match="outside"):
        read(late)
    with pytest.raises(RecordingError, match="no known set"):
        read(tmp_path / "renamed.csv")
