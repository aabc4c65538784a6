"""Rows of BrainFlow's table as channels: each electrode once, under the name it has."""

from __future__ import annotations

import pytest

from diverloop.hardware.brainflow_channels import board_channels
from diverloop.runtime.errors import SchemaMismatch

CYTON = {
    "name": "Cyton", "eeg_channels": [1, 2], "emg_channels": [1, 2], "ecg_channels": [1, 2],
    "eeg_names": "Fp1,Fp2", "accel_channels": [9, 10], "battery_channel": 11,
}  # fmt: skip
GLASSES = {
    "name": "Glasses", "eeg_channels": [3, 4], "eog_channels": [5, 6], "emg_channels": [3, 7],
    "eeg_names": "O1,O2",
}  # fmt: skip
SHIRT = {"name": "Shirt", "accel_channels": [2]}


def described(board, kind="", names=(), others=False):
    rows, channels = board_channels(board, kind, names, others=others)
    return [(row, one.name, one.kind) for row, one in zip(rows, channels, strict=True)]


def test_an_electrode_that_is_listed_as_everything_is_taken_once_as_eeg():
    assert described(CYTON) == [(1, "Fp1", "eeg"), (2, "Fp2", "eeg")]


def test_another_kind_can_be_asked_for_and_has_numbers_for_names():
    assert described(CYTON, kind="emg") == [(1, "EMG1", "emg"), (2, "EMG2", "emg")]


def test_electrodes_of_several_kinds_come_each_as_its_own():
    assert described(GLASSES) == [
        (3, "O1", "eeg"), (4, "O2", "eeg"), (5, "EOG1", "eog"), (6, "EOG2", "eog"),
        (7, "EMG1", "emg"),
    ]  # fmt: skip
    assert described(GLASSES, kind="eog") == [(5, "EOG1", "eog"), (6, "EOG2", "eog")]


def test_electrodes_can_be_given_the_names_of_the_places_where_they_are():
    assert [name for _, name, _ in described(CYTON, names=("C3", "C4"))] == ["C3", "C4"]


def test_names_that_do_not_fit_are_replaced_by_numbers_if_they_are_the_librarys():
    assert described(CYTON | {"eeg_names": "Cz"}) == [(1, "EEG1", "eeg"), (2, "EEG2", "eeg")]


def test_what_is_no_electrode_comes_along_if_asked_for():
    assert described(CYTON, others=True)[2:] == [
        (9, "accel1", "misc"), (10, "accel2", "misc"), (11, "battery1", "misc"),
    ]  # fmt: skip
    assert described(SHIRT, others=True) == [(2, "accel1", "misc")]


@pytest.mark.parametrize(
    ("board", "asked", "said"),
    [
        (CYTON, {"kind": "eog"}, "no electrodes of kind 'eog'; it has eeg, emg, ecg"),
        (SHIRT, {}, "no electrodes of kind 'any'; it has none at all: say others = true"),
        (CYTON, {"names": ("C3",)}, "has 2 electrodes, but source.names gives 1"),
        (CYTON, {"names": ("C3", "C3")}, "has 2 electrodes, but source.names gives 1"),
    ],
    ids=["kind", "nothing", "too few names", "the same name"],
)
def test_what_the_board_does_not_have_is_refused_in_one_sentence(board, asked, said):
    with pytest.raises(SchemaMismatch, match=said):
        described(board, **asked)
