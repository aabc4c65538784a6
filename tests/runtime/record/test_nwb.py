"""Recordings as NWB files: valid, exact, and without what must not leave."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest

from diverloop.runtime.errors import ConfigError, RecordingError
from diverloop.runtime.record import nwb
from diverloop.runtime.record.deidentify import DeidentifyOptions
from diverloop.runtime.record.nwb import NwbOptions, export_nwb

from .example import CLASSES, INTRACRANIAL, LOST, RATE_HZ, SCALP, SECRETS, foreign, recording

pynwb = pytest.importorskip("pynwb", reason="pip install 'diverloop[export]'")

KEYED = DeidentifyOptions(participant="P07", key="k")
SETS = {"eeg": SCALP, "ieeg": INTRACRANIAL}


def exported(path, channels=SCALP, **more):
    options = NwbOptions(**{"deidentify": KEYED, "institution": "A clinic", **more})
    return export_nwb(recording(channels), path, options)


@pytest.fixture(scope="module", params=SETS)
def kept(request, tmp_path_factory):
    """A file for those who only read, and the channels it was made from."""
    path, channels = tmp_path_factory.mktemp("nwb") / "x.nwb", SETS[request.param]
    exported(path, channels, bads={channels[1].name: "loose"})
    return path, channels


@pytest.fixture
def written(kept):
    """The same, opened."""
    path, channels = kept
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*session_start_time.*")
        with pynwb.NWBHDF5IO(path, "r") as io:
            yield io.read(), channels


@pytest.mark.parametrize("make", [recording, lambda: recording(INTRACRANIAL), foreign])
def test_pynwb_finds_no_error(tmp_path, make):
    export_nwb(make(), tmp_path / "x.nwb", NwbOptions(deidentify=KEYED))
    assert list(pynwb.validate(path=str(tmp_path / "x.nwb"))) == []


@pytest.mark.parametrize("make", [recording, lambda: recording(INTRACRANIAL), foreign])
def test_nwbinspector_finds_nothing_but_suggestions_that_privacy_explains(tmp_path, make):
    nwbinspector = pytest.importorskip("nwbinspector", reason="pip install nwbinspector")
    options = NwbOptions(deidentify=KEYED, institution="A clinic")
    export_nwb(make(), tmp_path / "x.nwb", options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = list(nwbinspector.inspect_nwbfile(nwbfile_path=str(tmp_path / "x.nwb")))
    names = {message.check_function_name for message in found}
    # Shifted dates, no names of people; and "decoding" is what the module holds.
    assert names <= {
        "check_session_start_time_old_date",
        "check_experimenter_exists",
        "check_processing_module_name",
    }


def test_samples_come_back_bit_for_bit_with_nan_where_they_were_lost(written):
    file, channels = written
    series = file.acquisition["ElectricalSeries"]
    assert series.data.dtype == np.float32
    assert series.conversion == 1e-6
    assert (series.rate, series.starting_time) == (RATE_HZ, 0.0)
    assert np.array_equal(series.data[:].T, recording(channels).samples(), equal_nan=True)


def test_lost_samples_are_invalid_times(written):
    table = written[0].invalid_times.to_dataframe()
    found = (table[["start_time", "stop_time"]] * RATE_HZ).to_numpy().round().astype(int)
    assert tuple(map(tuple, found.tolist())) == LOST


def test_markers_come_back_at_their_samples(written):
    table = written[0].events["markers"].to_dataframe()
    wanted = [(m.sample, m.label) for m in recording().markers[:4]]
    assert list(zip(table["sample"], table["annotation"], strict=True))[:4] == wanted
    assert [round(t * RATE_HZ) for t in table["timestamp"]][:4] == [s for s, _ in wanted]


def test_cues_are_trials_up_to_the_next_marker(written):
    table = written[0].trials.to_dataframe()
    assert list(table["label"]) == ["left", "right", "left"]
    assert list(table["stop_time"][:2]) == list(table["start_time"][1:])


def test_positions_come_back_equal_in_metres_and_rounded_in_nwb_s_own_axes(written):
    file, channels = written
    table = file.electrodes.to_dataframe()
    axes = table[["right_m", "anterior_m", "superior_m"]].to_numpy()
    for channel, row, own in zip(channels, axes, table[["x", "y", "z"]].to_numpy(), strict=True):
        right, anterior, superior = channel.position_m or (np.nan,) * 3
        assert np.array_equal(row, (right, anterior, superior), equal_nan=True)
        assert own == pytest.approx([-anterior * 1e6, -superior * 1e6, right * 1e6], nan_ok=True)


def test_electrodes_carry_name_kind_and_status(written):
    file, channels = written
    table = file.electrodes.to_dataframe()
    assert list(table["label"]) == [channel.name for channel in channels]
    assert list(table["kind"]) == [channel.kind for channel in channels]
    assert list(table["good"]) == [index != 1 for index in range(len(channels))]
    assert table["status"][1] == "loose"


def test_decisions_come_back_with_probabilities_and_latency(written):
    table = written[0].processing["decoding"]["decisions"].to_dataframe()
    turns = recording().turns
    assert list(table["label"]) == [turn.decision.label or "none" for turn in turns]
    assert list(table["first_sample"]) == [turn.decision.first_sample for turn in turns]
    found = np.stack(list(table["probabilities"]))
    wanted = np.stack([turn.decision.probabilities for turn in turns])
    assert found.shape[1] == len(CLASSES)
    assert np.array_equal(found, wanted, equal_nan=True)
    assert set(table["latency_ms"]) == {8.0}


def test_session_and_subject_are_named_and_dated_by_stand_ins(written):
    file = written[0]
    assert file.subject.subject_id == "sub-P07"
    assert file.session_start_time.year < 1925
    assert "not a medical device" in file.experiment_description
    assert {"markers", "loop", "notes"} == set(file.events)


@pytest.mark.parametrize("datatype", SETS)
def test_nothing_that_names_the_participant_is_in_the_file(tmp_path, datatype):
    exported(tmp_path / "x.nwb", SETS[datatype])
    content = (tmp_path / "x.nwb").read_bytes()
    texts = [secret for secret in SECRETS if len(secret) > 4]
    assert [secret for secret in texts if secret.encode() in content] == []


def test_a_file_of_another_program_says_that_its_date_is_not_known(tmp_path):
    report = export_nwb(foreign(), tmp_path / "x.nwb", NwbOptions(deidentify=KEYED))
    assert any("1902" in remark for remark in report.remarks)


def test_a_file_that_is_there_is_replaced_only_when_told(tmp_path):
    exported(tmp_path / "x.nwb")
    before = (tmp_path / "x.nwb").read_bytes()
    with pytest.raises(RecordingError, match="there already"):
        exported(tmp_path / "x.nwb")
    assert (tmp_path / "x.nwb").read_bytes() == before
    exported(tmp_path / "x.nwb", overwrite=True)
    assert (tmp_path / "x.nwb").read_bytes() != before


def test_nothing_is_left_when_writing_fails(tmp_path):
    def broken():
        yield from list(recording().chunks())[:3]
        raise OSError("the recording is on a stick that was pulled")

    calls = iter([recording().chunks, broken])
    record = replace(recording(), chunks=lambda: next(calls)())
    with pytest.raises(OSError, match="stick"):
        export_nwb(record, tmp_path / "x.nwb")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_exported_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"\.nwb"):
        exported(tmp_path / "x.h5")
    with pytest.raises(ConfigError, match="Oz"):
        exported(tmp_path / "x.nwb", bads={"Oz": "loose"})
    with pytest.raises(RecordingError, match="no sample"):
        export_nwb(replace(recording(), n_times=0), tmp_path / "x.nwb")
    with pytest.raises(ConfigError, match=r"export\.sex"):
        NwbOptions(sex="x")
    with pytest.raises(ConfigError, match=r"export\.description"):
        NwbOptions(description=" ")


def test_a_missing_package_is_named_with_its_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr(nwb, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"pynwb.*diverloop\[export\]"):
        exported(tmp_path / "x.nwb")


def test_intervals_of_decisions_stand_in_order_whatever_came_late(tmp_path):
    record = recording()
    mixed = replace(record, turns=(record.turns[8], record.turns[2], record.turns[5]))
    export_nwb(mixed, tmp_path / "x.nwb", NwbOptions(deidentify=KEYED))
    with pynwb.NWBHDF5IO(tmp_path / "x.nwb", "r") as file:
        starts = file.read().processing["decoding"]["decisions"]["start_time"][:]
    assert starts.tolist() == sorted(starts)


def test_a_velocity_comes_back_along_its_axes(tmp_path):
    record = recording()
    moving = [
        replace(turn, command=replace(turn.command, velocity=(0.1 * number, -1.0)))
        for number, turn in enumerate(record.turns[:3])
    ]
    still = replace(record.turns[3], command=replace(record.turns[3].command, velocity=()))
    moved = replace(record, turns=(*moving, still))
    export_nwb(moved, tmp_path / "x.nwb", NwbOptions(deidentify=KEYED))
    with pynwb.NWBHDF5IO(tmp_path / "x.nwb", "r") as file:
        found = file.read().processing["decoding"]["decisions"]["velocity"][:]
    assert sorted(np.asarray(found).tolist()) == [[0, -1], [0, 0], [0.1, -1], [0.2, -1]]


@pytest.mark.parametrize("days", [42_000, 100_000])
def test_the_day_of_the_export_is_shifted_too(tmp_path, days):
    privacy = DeidentifyOptions(participant="P07", shift_days=days)
    export_nwb(recording(), tmp_path / "x.nwb", NwbOptions(deidentify=privacy))
    with pynwb.NWBHDF5IO(tmp_path / "x.nwb", "r") as file:
        assert file.read().file_create_date[0].year < 1925
