"""Tables and sidecars of BIDS."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diverloop.runtime.errors import RecordingError
from diverloop.runtime.messages import Channel, StreamSpec
from diverloop.runtime.record.bids_tables import (
    channel_rows,
    coordinate_system,
    datatype_of,
    electrode_rows,
    lost_ranges,
    merged,
    rows_of,
    signal_sidecar,
    tsv,
    unique_names,
)

from .example import INTRACRANIAL, LOST, SCALP, recording


def spec_of(*kinds):
    channels = tuple(Channel(name=f"X{k}", kind=kind) for k, kind in enumerate(kinds))
    return StreamSpec(name="x", rate_hz=250.0, channels=channels)


@pytest.mark.parametrize(
    ("kinds", "datatype"),
    [(("eeg", "eog"), "eeg"), (("eeg", "seeg"), "ieeg"), (("lfp",), "ieeg"), (("ecog",), "ieeg")],
)
def test_any_intracranial_channel_makes_it_ieeg(kinds, datatype):
    assert datatype_of(spec_of(*kinds)) == datatype


def test_a_stream_without_electrodes_is_refused():
    with pytest.raises(RecordingError, match="emg, misc"):
        datatype_of(spec_of("misc", "emg"))


def test_names_become_unique_and_stay_on_one_line():
    names = ("C3", "C3", "", "a\tb", "C3-2")
    channels = [Channel(name=name) for name in names]
    assert unique_names(channels) == ["C3", "C3-2", "channel 3", "a b", "C3-2-2"]


def test_lost_ranges_are_the_holes_and_the_missing_end():
    assert tuple(lost_ranges(recording())) == LOST


def test_channels_say_what_they_are_and_why_they_are_bad():
    rows = channel_rows(recording().spec, [c.name for c in SCALP], {"C4": "loose"}, "Cz")
    assert [row["type"] for row in rows] == ["EEG", "EEG", "EEG", "EOG", "EMG", "MISC"]
    assert [row["status"] for row in rows].count("bad") == 1
    assert rows[1]["status_description"] == "loose"
    assert (rows[0]["reference"], rows[3]["reference"]) == ("Cz", None)


def test_an_intracranial_table_leaves_scalp_positions_out():
    spec = recording(INTRACRANIAL).spec
    rows = electrode_rows(spec, [c.name for c in INTRACRANIAL], "ieeg")
    assert [row["name"] for row in rows] == ["LAH1", "LAH2", "G1", "G2", "STN1"]
    assert rows[3]["x"] is None


def test_without_any_position_there_is_no_table():
    assert electrode_rows(spec_of("eeg"), ["X0"], "eeg") == []


def test_scalp_positions_do_not_claim_to_be_measured():
    assert "need not have been measured" in str(coordinate_system("eeg", "", ""))


def test_an_intracranial_space_is_the_one_that_was_said():
    content = coordinate_system("ieeg", "MNI152NLin2009cAsym", "n/a")
    assert content["iEEGCoordinateSystem"] == "MNI152NLin2009cAsym"
    assert content["iEEGCoordinateUnits"] == "m"


def test_the_sidecar_counts_channels_and_states_the_length():
    content = signal_sidecar(recording(INTRACRANIAL), "ieeg", {"TaskName": "mi"})
    counts = [content[f"{kind}ChannelCount"] for kind in ("SEEG", "ECOG", "EEG")]
    assert counts == [3, 2, 1]
    assert content["RecordingDuration"] == 8.0
    assert content["SoftwareFilters"] == "n/a"


@given(st.floats(allow_infinity=False, allow_nan=False))
def test_numbers_in_a_table_read_back_equal(number):
    assert float(rows_of(tsv([{"a": number}], ["a"]))[0]["a"]) == number


def test_what_is_not_known_is_written_n_a():
    row = {"a": None, "b": math.nan, "c": "", "e": True}
    assert tsv([row], ["a", "b", "c", "d", "e"]).splitlines()[1] == "n/a\tn/a\tn/a\tn/a\ttrue"


def test_merging_replaces_equal_keys_and_keeps_every_column():
    there, new = "id\tage\na\t3\nb\t4\n", "id\thand\nb\tR\nc\tL\n"
    assert merged(there, new) == "id\tage\thand\na\t3\tn/a\nb\tn/a\tR\nc\tn/a\tL\n"
