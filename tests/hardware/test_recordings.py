"""Recordings: every format opens to the same thing, or refuses with a sentence."""

from __future__ import annotations

import hashlib
import json
import struct

import numpy as np
import pytest

from diverloop.hardware.recordings import READERS, Recording, describe, read_recording
from diverloop.runtime.errors import RecordingError, UnitError
from diverloop.runtime.messages import Channel, Marker, StreamSpec

from ..data import recording_path

RATE_HZ = 100.0


# --- files made here ---------------------------------------------------------------------------


def write_npz(path, **changes):
    """A small file in the project's layout: 2 channels, 300 samples, 2 events."""
    arrays = {
        "data": np.arange(600, dtype=np.int16).reshape(2, 300),
        "scale": np.array([0.5, 2.0]),
        "offset": np.array([10.0, -1.0]),
        "units": np.array("mV"),
        "fs": np.array(RATE_HZ),
        "ch_names": np.array(["C3", "aux"]),
        "ch_types": np.array(["eeg", "misc"]),
        "ch_pos": np.array([[0.01, 0.02, 0.03], [np.nan] * 3], dtype=np.float32),
        "ev_sample": np.array([200, 50]),
        "ev_code": np.array([2, 1]),
        "ev_label": np.array(["right", "left"]),
    } | changes
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
    return path


def _chunk(tag, content):
    body = struct.pack("<H", tag) + content
    return struct.pack("<BI", 4, len(body)) + body


def _header(number, name, kind, rate_hz, layout, n_channels=1, desc="<desc/>"):
    text = (
        f"<info><name>{name}</name><type>{kind}</type><channel_count>{n_channels}</channel_count>"
        f"<nominal_srate>{rate_hz}</nominal_srate><channel_format>{layout}</channel_format>"
        f"<source_id>serial-7</source_id>{desc}</info>"
    )
    return _chunk(2, struct.pack("<I", number) + text.encode())


def _described(*rows):
    inside = "".join(
        f"<channel><label>{label}</label><type>{kind}</type><unit>{unit}</unit>{more}</channel>"
        for label, kind, unit, more in rows
    )
    return f"<desc><channels>{inside}</channels></desc>"


def _numbers(number, stamps_s, values):
    rows = b"".join(
        struct.pack("<Bd", 8, at) + np.asarray(row, "<f4").tobytes()
        for at, row in zip(stamps_s, values, strict=True)
    )
    return _chunk(3, struct.pack("<IBI", number, 4, len(stamps_s)) + rows)


def _words(number, stamps_s, words):
    rows = b"".join(
        struct.pack("<BdBI", 8, at, 4, len(word.encode())) + word.encode()
        for at, word in zip(stamps_s, words, strict=True)
    )
    return _chunk(3, struct.pack("<IBI", number, 4, len(stamps_s)) + rows)


EEG_DESC = _described(
    ("C3", "EEG", "millivolts", "<location><X>10</X><Y>20</Y><Z>30</Z></location>"),
    ("TRG", "Trigger", "none", ""),
)


def write_xdf(path, *, lost=np.s_[400:600], desc=EEG_DESC, more=b""):
    """1000 samples of 2 channels with a hole, and a marker stream; the value is the index."""
    held = np.delete(np.arange(1000), lost)
    path.write_bytes(
        b"XDF:"
        + _chunk(1, b"<info><version>1.0</version></info>")
        + _header(1, "amp", "EEG", RATE_HZ, "float32", 2, desc)
        + _header(2, "task", "Markers", 0, "string")
        + _numbers(1, 50 + held / RATE_HZ, np.column_stack([held, -held]))
        + _words(2, [50 + 1.004, 50 + 5.0, 50 + 7.0, 99.0], ["left", "lost", "right", "after"])
        + more
    )
    return path


# --- npz ---------------------------------------------------------------------------------------


def test_an_npz_becomes_microvolts_with_names_kinds_and_places(tmp_path):
    recording = read_recording(write_npz(tmp_path / "run.npz"))
    expected = (np.arange(600).reshape(2, 300) * [[0.5], [2.0]] + [[10.0], [-1.0]]) * 1000
    np.testing.assert_allclose(recording.samples, expected)
    assert recording.samples.dtype == np.float32
    assert recording.spec.channel_names == ("C3", "aux")
    assert recording.spec.channels[0].position_m == pytest.approx((0.01, 0.02, 0.03))
    assert recording.spec.channels[1] == Channel(name="aux", kind="misc")
    assert recording.spec.rate_hz == RATE_HZ
    assert recording.gaps == ()


def test_markers_come_in_the_order_of_the_stream(tmp_path):
    recording = read_recording(write_npz(tmp_path / "run.npz"))
    assert [(one.label, one.sample) for one in recording.markers] == [("left", 50), ("right", 200)]
    assert recording.markers[1].lsl_raw_s == 2.0


def test_the_identity_of_the_data_is_the_checksum_of_the_file(tmp_path):
    path = write_npz(tmp_path / "run.npz")
    assert read_recording(path).data_id == hashlib.sha256(path.read_bytes()).hexdigest()


def test_an_unknown_unit_is_refused_unless_one_is_assumed(tmp_path):
    path = write_npz(tmp_path / "run.npz", units=np.array("a.u."))
    with pytest.raises(UnitError, match=r"'a\.u\.' is not known"):
        read_recording(path)
    assumed = read_recording(path, assume_unit="uV")
    assert assumed.samples[0, 2] == 11.0


def test_assuming_a_unit_never_overrules_a_known_one(tmp_path):
    path = write_npz(tmp_path / "run.npz")
    known, assumed = read_recording(path), read_recording(path, assume_unit="V")
    np.testing.assert_array_equal(known.samples, assumed.samples)


def test_places_written_in_millimetres_are_metres_here(tmp_path):
    places = np.array([[10.0, 20.0, 30.0], [np.nan] * 3])
    recording = read_recording(write_npz(tmp_path / "run.npz", ch_pos=places))
    assert recording.spec.channels[0].position_m == pytest.approx((0.01, 0.02, 0.03))
    assert recording.spec.channels[1].position_m is None


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"data": None, "epochs": np.zeros((3, 2, 5))}, "lacks data.*epochs"),
        ({"scale": np.ones(3)}, "describes 2 channels"),
        ({"ev_sample": np.array([5, 300])}, r"events at \[300\] of 300 samples"),
        ({"ev_label": np.array(["left"])}, "2 event samples, 1 labels"),
        ({"data": np.zeros((2, 0), np.int16)}, "at least one channel and one sample"),
        ({"fs": np.array(0.0)}, "sampling rate of 0.0 Hz"),
        ({"ch_names": np.array([{}, {}], dtype=object)}, "not a readable .npz"),
    ],
)
def test_an_npz_that_holds_something_else_is_refused_with_the_reason(tmp_path, changes, sentence):
    with pytest.raises(RecordingError, match=sentence):
        read_recording(write_npz(tmp_path / "run.npz", **changes))


def test_a_lone_array_called_npz_is_refused(tmp_path):
    with (tmp_path / "run.npz").open("wb") as file:
        np.save(file, np.zeros((2, 5)))
    with pytest.raises(RecordingError, match=r"not a readable \.npz archive"):
        read_recording(tmp_path / "run.npz")


def test_a_truncated_npz_is_refused(tmp_path):
    path = write_npz(tmp_path / "run.npz")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(RecordingError, match=r"not a readable \.npz archive"):
        read_recording(path)


# --- any file ----------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", READERS)
def test_a_file_of_noise_is_refused_whatever_its_suffix(tmp_path, suffix):
    path = tmp_path / f"noise{suffix}"
    path.write_bytes(np.random.default_rng(7).bytes(4096))
    with pytest.raises(RecordingError, match="noise"):
        read_recording(path)


@pytest.mark.parametrize("suffix", READERS)
def test_an_empty_file_is_refused_whatever_its_suffix(tmp_path, suffix):
    path = tmp_path / f"empty{suffix}"
    path.touch()
    with pytest.raises(RecordingError, match="is empty"):
        read_recording(path)


def test_a_missing_file_and_an_unknown_suffix_are_named(tmp_path):
    with pytest.raises(RecordingError, match=r"There is no file .*gone\.npz"):
        read_recording(tmp_path / "gone.npz")
    (tmp_path / "log.txt").write_text("1,2,3")
    with pytest.raises(RecordingError, match=r"'\.txt'; recordings end in \.npz"):
        read_recording(tmp_path / "log.txt")


# --- xdf ---------------------------------------------------------------------------------------


def test_a_hole_in_an_xdf_keeps_its_columns_and_is_filled_with_nan(tmp_path):
    recording = read_recording(write_xdf(tmp_path / "run.xdf"))
    assert recording.gaps == ((400, 600),)
    assert recording.n_times == 1000
    assert np.isnan(recording.samples[:, 400:600]).all()
    held = np.r_[0:400, 600:1000]
    np.testing.assert_array_equal(recording.samples[0, held], held * 1000)
    assert recording.start_lsl_s == 50.0


def test_xdf_markers_land_on_the_next_sample_and_keep_their_place_inside_a_hole(tmp_path):
    recording = read_recording(write_xdf(tmp_path / "run.xdf"))
    placed = [(one.label, one.sample) for one in recording.markers]
    assert placed == [("left", 101), ("lost", 500), ("right", 700)]
    assert recording.markers[0].lsl_raw_s == pytest.approx(51.004)
    assert "1 markers lie outside the signal and were left out." in recording.notes


def test_xdf_channels_carry_kind_place_and_unit(tmp_path):
    recording = read_recording(write_xdf(tmp_path / "run.xdf"))
    c3, trigger = recording.spec.channels
    assert c3 == Channel(name="C3", kind="eeg", position_m=(0.01, 0.02, 0.03))
    assert trigger == Channel(name="TRG", kind="misc")
    assert recording.samples[1, 7] == -7  # a trigger stays the number it is
    assert (recording.spec.name, recording.spec.source_id) == ("amp", "serial-7")


def test_numbers_on_an_irregular_marker_stream_are_markers_too(tmp_path):
    more = _header(3, "codes", "Markers", 0, "float32") + _numbers(3, [52.0], [[33.0]])
    recording = read_recording(write_xdf(tmp_path / "run.xdf", more=more))
    assert ("33.0", 200) in [(one.label, one.sample) for one in recording.markers]


def test_a_stream_is_chosen_by_name_or_type_and_eeg_comes_first(tmp_path):
    desc = _described(("x", "Accelerometer", "g", ""))
    more = _header(3, "belt", "Motion", 50, "float32", 1, desc)
    more += _numbers(3, 50 + np.arange(4000) / 50, np.ones((4000, 1)))
    path = write_xdf(tmp_path / "run.xdf", more=more)
    assert read_recording(path).spec.name == "amp"
    assert read_recording(path, stream="belt").spec.rate_hz == 50
    assert read_recording(path, stream="Motion").spec.channel_names == ("x",)
    with pytest.raises(RecordingError, match=r"type 'nothing' .* it holds 'amp'"):
        read_recording(path, stream="nothing")


def test_an_xdf_without_units_is_refused_unless_one_is_assumed(tmp_path):
    path = write_xdf(tmp_path / "run.xdf", desc="<desc/>")
    with pytest.raises(UnitError, match=r"stream 'amp': The unit '' is not known"):
        read_recording(path)
    assumed = read_recording(path, assume_unit="uV")
    assert assumed.spec.channel_names == ("ch1", "ch2")
    assert assumed.samples[0, 7] == 7


# --- mne ---------------------------------------------------------------------------------------


def fif(path, *, skipped=False):
    mne = pytest.importorskip("mne")
    info = mne.create_info(["C3", "veog", "STI"], RATE_HZ, ["eeg", "eog", "stim"])
    data = np.arange(3000, dtype=float).reshape(3, 1000) * 1e-6
    data[2] = 0
    data[2, 300:310] = 5
    raw = mne.io.RawArray(data, info, first_samp=250, verbose="error")
    said = mne.Annotations([1.0], [0.0], ["cue"])
    if skipped:
        said.append(4.0, 2.0, "BAD_ACQ_SKIP")
    raw.set_annotations(said)
    raw.save(path, verbose="error")
    return read_recording(path)


def test_a_fif_gives_microvolts_annotations_and_triggers(tmp_path):
    recording = fif(tmp_path / "sub_raw.fif")
    np.testing.assert_allclose(recording.samples[1], np.arange(1000, 2000), rtol=1e-6)
    assert [channel.kind for channel in recording.spec.channels] == ["eeg", "eog"]
    assert [(one.label, one.sample) for one in recording.markers] == [("cue", 100), ("5", 300)]
    assert recording.notes == ()


def test_a_stretch_that_the_recorder_skipped_is_a_gap(tmp_path):
    recording = fif(tmp_path / "sub_raw.fif", skipped=True)
    assert recording.gaps == ((400, 600),)
    assert np.isnan(recording.samples[:, 400:600]).all()
    assert "BAD_ACQ_SKIP" not in describe(recording)["markers"]


def bids_npz(tmp_path, name, **changes):
    """A recording called as in BIDS, with a table of events beside it."""
    (tmp_path / "sub-1_task-mi_events.tsv").write_text(
        "onset\tduration\ttrial_type\n0.5\t0\tleft\nn/a\t0\tnever\n1.0\t0\tright\n99\t0\tlate\n"
    )
    return read_recording(write_npz(tmp_path / name, **changes))


def test_a_bids_recording_without_markers_has_those_of_the_table_beside_it(tmp_path):
    none = {"ev_sample": np.array([], int), "ev_label": np.array([], str)}
    recording = bids_npz(tmp_path, "sub-1_task-mi_eeg.npz", **none)
    assert [(one.label, one.sample) for one in recording.markers] == [("left", 50), ("right", 100)]
    assert "1 of 4 events" in recording.notes[0]
    assert "sub-1_task-mi_events.tsv" in recording.notes[1]
    data_id = recording.data_id
    (tmp_path / "sub-1_task-mi_events.tsv").write_text("onset\ttrial_type\n0.5\tright\n")
    assert read_recording(tmp_path / "sub-1_task-mi_eeg.npz").data_id != data_id


def test_a_recording_with_markers_or_another_name_keeps_what_it_has(tmp_path):
    assert bids_npz(tmp_path, "sub-1_task-mi_eeg.npz").markers[1].sample == 200
    none = {"ev_sample": np.array([], int), "ev_label": np.array([], str)}
    assert bids_npz(tmp_path, "sub-1_task-mi_other.npz", **none).markers == ()


def edf_with_unit(path, unit):
    pytest.importorskip("mne")
    content = bytearray(recording_path("formats/eegmmidb_S001R04.edf").read_bytes())
    n_signals = int(content[252:256])
    first = 256 + 96 * n_signals
    content[first : first + 8] = unit.encode("latin-1").ljust(8)
    path.write_bytes(content)
    return path


@pytest.mark.data
@pytest.mark.parametrize(("unit", "factor"), [("uV", 1), ("UV", 1), ("mV", 1e3), ("nV", 1e-3)])
def test_the_unit_of_an_edf_counts_as_written_whatever_mne_makes_of_it(tmp_path, unit, factor):
    truth = read_recording(recording_path("formats/eegmmidb_S001R04.edf")).samples[0]
    read = read_recording(edf_with_unit(tmp_path / "run.edf", unit)).samples[0]
    np.testing.assert_allclose(read, truth * factor, rtol=1e-5)


@pytest.mark.data
def test_an_edf_of_unknown_unit_is_refused_unless_one_is_assumed(tmp_path):
    path = edf_with_unit(tmp_path / "run.edf", "adc")
    with pytest.raises(UnitError, match=r"Channel 'Fc5\.' of .*'adc' is not known"):
        read_recording(path)
    assert read_recording(path, assume_unit="uV").n_times == 20000


@pytest.mark.data
def test_a_truncated_edf_opens_with_what_is_left_and_says_so(tmp_path):
    path = tmp_path / "cut.edf"
    content = recording_path("formats/eegmmidb_S001R04.edf").read_bytes()
    path.write_bytes(content[: len(content) // 2])
    recording = read_recording(path)
    assert 9000 < recording.n_times < 11000
    assert "does not match the file size" in recording.notes[0]


@pytest.mark.data
def test_an_edf_and_the_npz_made_from_it_hold_the_same_signal_and_cues():
    edf = read_recording(recording_path("formats/eegmmidb_S001R04.edf"))
    npz = read_recording(recording_path("mi/eegmmidb_S001_R04.npz"))
    np.testing.assert_allclose(edf.samples[:, : npz.n_times], npz.samples, atol=1e-3)
    assert [one.sample for one in edf.markers] == [one.sample for one in npz.markers]


@pytest.mark.data
def test_the_identity_of_a_brainvision_recording_covers_its_data_file(tmp_path):
    for suffix in ("vhdr", "vmrk", "dat"):
        source = recording_path(f"formats/testbva.{suffix}")
        (tmp_path / source.name).write_bytes(source.read_bytes())
    before = read_recording(tmp_path / "testbva.vhdr").data_id
    changed = bytearray((tmp_path / "testbva.dat").read_bytes())
    changed[100] ^= 1
    (tmp_path / "testbva.dat").write_bytes(changed)
    assert read_recording(tmp_path / "testbva.vhdr").data_id != before


# --- real files --------------------------------------------------------------------------------

REAL = [
    # name, channels, rate in Hz, seconds, markers, gaps
    ("mi/eegmmidb_S001_R06.npz", 64, 160, 125.0, 30, ()),
    ("p300/gtec_S1.npz", 8, 250, 243.5, 1200, ()),
    ("p300/muse_M1_ses1_run1.npz", 5, 256, 120.0, None, ()),
    ("erp/muse_L1_ses1_run1.npz", 5, 256, 120.0, 260, ()),
    ("ssvep/muse_V1_run1.npz", 5, 256, 120.0, 32, ()),
    ("speech/feis_F01_articulators.npz", 14, 256, 160.0, 160, ()),
    ("xdf/mi_switch_a.xdf", 16, 256, 121.1, 637, ()),
    ("xdf/aborted_run.xdf", 16, 256, 42.6, 180, ()),
    ("xdf/p300_markers_stop_early.xdf", 16, 256, 74.5, 74, ()),
    ("xdf/ssvep_dsi7.xdf", 8, 300, 110.0, 258, ()),
    ("xdf/empty_streams.xdf", 1, 1, 10.0, 1, ()),
    ("xdf/derived_truncated.xdf", 16, 256, 74.1, None, ()),
    ("xdf/derived_corrupt_chunk.xdf", 16, 256, 121.1, 637, ((5685, 5710),)),
    ("ecog/mne_sample_ecog_ictal.edf", 78, 999.41, 21.7, 1, ()),
    ("formats/eeglab_test.bdf", 16, 256, 60.0, 80, ()),
    ("formats/testbva.vhdr", 32, 200, 10.6, 16, ()),
    ("formats/eeglab_data.set", 32, 128, 238.3, 154, ()),
]


@pytest.mark.data
@pytest.mark.parametrize(("name", "n_channels", "rate_hz", "seconds", "n_markers", "gaps"), REAL)
def test_a_real_recording_opens(name, n_channels, rate_hz, seconds, n_markers, gaps):
    if not name.endswith(("npz", "xdf")):
        pytest.importorskip("mne")
    recording = read_recording(recording_path(name))
    assert recording.spec.n_channels == n_channels
    assert recording.spec.rate_hz == pytest.approx(rate_hz, abs=0.01)
    assert recording.duration_s == pytest.approx(seconds, abs=0.1)
    assert n_markers is None or len(recording.markers) == n_markers
    assert recording.gaps == gaps
    held = np.ones(recording.n_times, dtype=bool)
    for start, stop in gaps:
        held[start:stop] = False
    assert np.isfinite(recording.samples[:, held]).all()
    assert np.abs(recording.samples[:, held]).max() < 1e6  # a volt: wrong units would exceed it


@pytest.mark.data
@pytest.mark.parametrize(
    "name",
    [
        "ssvep/exo_X01_run1.npz",
        "ecog/berlin_B1_buttonpress.npz",
        "xdf/minimal.xdf",
        "xdf/clock_resets.xdf",
    ],
)
def test_a_real_recording_without_a_unit_needs_one_assumed(name):
    with pytest.raises(UnitError, match="assume_unit"):
        read_recording(recording_path(name))
    assert read_recording(recording_path(name), assume_unit="uV").n_times > 1


@pytest.mark.data
def test_a_clock_reset_is_one_gap_and_the_true_rate_is_noted():
    recording = read_recording(recording_path("xdf/clock_resets.xdf"), assume_unit="uV")
    ((start, stop),) = recording.gaps
    assert start == 12876
    # 273.6 s without a sample, in samples of the rate at which they really came
    assert stop - start == pytest.approx(273.6 * 93.17, rel=0.01)
    assert recording.notes == ("Stream 'BioSemi' promised 100 Hz and came at 93.17 Hz.",)


@pytest.mark.data
def test_a_truncated_xdf_opens_and_says_what_is_missing():
    recording = read_recording(recording_path("xdf/derived_truncated.xdf"))
    assert any("has no footer" in note and "74.1 s" in note for note in recording.notes)


@pytest.mark.data
def test_a_damaged_xdf_equals_the_whole_one_outside_the_damage():
    whole = read_recording(recording_path("xdf/mi_switch_a.xdf"))
    damaged = read_recording(recording_path("xdf/derived_corrupt_chunk.xdf"))
    held = np.r_[0:5685, 5710 : whole.n_times]
    np.testing.assert_array_equal(damaged.samples[:, held], whole.samples[:, held])
    assert damaged.markers == whole.markers
    assert "25 samples of stream 'g.USBamp-1' are damaged" in damaged.notes[0]


# --- the recording itself ----------------------------------------------------------------------


def small(gaps=((30, 50),)):
    samples = np.arange(200, dtype=np.float32).reshape(2, 100)
    for start, stop in gaps:
        samples[:, start:stop] = np.nan
    channels = (Channel(name="C3"), Channel(name="aux", kind="misc"))
    return Recording(
        spec=StreamSpec(name="made", rate_hz=10.0, channels=channels),
        samples=samples,
        data_id="0" * 64,
        path="made.npz",
        markers=(Marker(label="a", sample=5), Marker(label="b", sample=60)),
        gaps=gaps,
        start_lsl_s=500.0,
    )


def test_blocks_cover_what_was_recorded_and_stop_at_gaps():
    blocks = small().blocks(8)
    covered = np.concatenate([np.arange(start, stop) for start, stop in blocks])
    np.testing.assert_array_equal(covered, np.r_[0:30, 50:100])
    assert max(stop - start for start, stop in blocks) == 8
    assert (24, 30) in blocks
    assert (50, 58) in blocks


def test_an_excerpt_counts_from_zero_and_keeps_its_time():
    cut = small().excerpt(4.0, 7.0)
    assert cut.n_times == 30
    assert cut.gaps == ((0, 10),)
    assert [(one.label, one.sample) for one in cut.markers] == [("b", 20)]
    assert cut.start_lsl_s == 504.0
    np.testing.assert_array_equal(cut.samples[:, 10:], small().samples[:, 50:70])


def test_an_excerpt_of_everything_is_the_recording():
    whole, cut = small(), small().excerpt()
    assert (cut.gaps, cut.start_lsl_s) == (whole.gaps, whole.start_lsl_s)
    # As text, because the times of these markers are NaN, which equals nothing.
    assert repr(cut.markers) == repr(whole.markers)
    np.testing.assert_array_equal(cut.samples, whole.samples)


@pytest.mark.parametrize(("start_s", "stop_s"), [(10.0, None), (4.0, 4.0), (-1.0, 2.0)])
def test_an_excerpt_of_nothing_is_refused(start_s, stop_s):
    with pytest.raises(RecordingError, match=r"lasts 10\.000 s"):
        small().excerpt(start_s, stop_s)


def test_an_excerpt_that_lies_in_a_gap_is_refused():
    with pytest.raises(RecordingError, match="all of it lies in a gap"):
        small().excerpt(3.0, 5.0)


def test_a_description_is_plain_json_and_says_what_is_there():
    summary = json.loads(json.dumps(describe(small())))
    assert summary["markers"] == {"a": 1, "b": 1}
    assert summary["gaps"] == [[30, 50]]
    assert summary["lost_samples"] == 20
    assert summary["channels"][1] == {"name": "aux", "kind": "misc"}
    assert summary["duration_s"] == 10.0


@pytest.mark.parametrize(
    "changes",
    [
        {"data": np.zeros((2, 3 << 21))},
        {"data": np.zeros((2, 3), dtype="c16")},
        {"fs": np.array([100.0, 100.0])},
        {"scale": np.ones((2, 1))},
        {"ch_pos": np.zeros((3, 3))},
        {"ev_sample": np.array(["a", "b"])},
    ],
)
def test_an_npz_that_lies_or_is_a_bomb_is_refused_before_it_is_unpacked(tmp_path, changes):
    whole = dict(np.load(write_npz(tmp_path / "whole.npz")))
    np.savez_compressed(tmp_path / "a.npz", **(whole | changes))
    with pytest.raises(RecordingError, match=r"no signal|damaged"):
        read_recording(tmp_path / "a.npz")


def test_time_stamps_that_ask_for_gigabytes_of_gap_are_refused(tmp_path):
    late = _numbers(1, [5e8 + n / RATE_HZ for n in range(400)], np.zeros((400, 2)))
    with pytest.raises(RecordingError, match="time stamps"):
        read_recording(write_xdf(tmp_path / "a.xdf", more=late))


def test_a_fif_file_whose_tags_lead_in_a_circle_is_refused(tmp_path):
    pytest.importorskip("mne", reason="FIF is read by MNE")
    tags = struct.pack(">iiii20x", 100, 31, 20, 0) + struct.pack(">iiii4x", 104, 3, 4, 36)
    (tmp_path / "a.fif").write_bytes(tags)
    with pytest.raises(RecordingError, match="comes back to byte 36"):
        read_recording(tmp_path / "a.fif")
