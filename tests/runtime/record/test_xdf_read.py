from __future__ import annotations

import errno
import io
import logging
import os
import struct
import tracemalloc
from contextlib import closing
from pathlib import Path
from xml.etree.ElementTree import ParseError

import numpy as np
import pytest
import pyxdf
from hypothesis import given, settings
from hypothesis import strategies as st

from diverloop.runtime.errors import RecordingError
from diverloop.runtime.record import xdf_chunks, xdf_format, xdf_read
from diverloop.runtime.record.xdf_chunks import stream_xml
from diverloop.runtime.record.xdf_format import NUMBER_FORMATS
from diverloop.runtime.record.xdf_read import (
    Boundary,
    FileHeader,
    Footer,
    Header,
    NumericSamples,
    Offset,
    TextSamples,
    XdfReader,
)
from diverloop.runtime.record.xdf_write import XdfWriter
from tests.data import recording_path

START = xdf_chunks.file_header("2026-01-02T03:04:05")
SIGNAL = stream_xml(name="amp", type="EEG", channel_format="int16", nominal_srate=100.0)
WORDS = stream_xml(name="task", type="Markers", channel_format="string")


@pytest.fixture(autouse=True)
def _quiet_pyxdf(caplog):
    """It logs every damage that these tests make."""
    caplog.set_level(logging.CRITICAL, logger="pyxdf.pyxdf")


def rows(first: int, n_rows: int = 5) -> np.ndarray:
    return np.arange(first, first + n_rows, dtype="<i2")[:, None]


def signal(first: int, n_rows: int = 5) -> bytes:
    return bytes(
        xdf_chunks.numeric_samples(1, rows(first, n_rows), first + np.arange(n_rows) / 100)
    )


SESSION = [
    START,
    xdf_chunks.stream_header(1, SIGNAL),
    xdf_chunks.stream_header(2, WORDS),
    signal(300),
    xdf_chunks.text_samples(2, ["left", "µ 脳"], [300.0, 300.5]),
    xdf_chunks.clock_offset(1, 300.0, 0.125),
    xdf_chunks.boundary(),
    signal(400, 60),
    signal(500),
    xdf_chunks.boundary(),
    signal(600),
    xdf_chunks.text_samples(2, ["right"], [600.0]),
    xdf_chunks.stream_footer(1, first_s=300.0, last_s=600.04, count=75),
    xdf_chunks.stream_footer(2, first_s=300.0, last_s=600.0, count=3),
]
"""The chunks of a whole file, the magic bytes with the first."""

ENDS = np.cumsum([len(chunk) for chunk in SESSION]).tolist()


def comparable(chunk) -> tuple:
    """A chunk as something that `==` understands to the bit."""
    parts = []
    for name in type(chunk).__slots__:
        value = getattr(chunk, name)
        if isinstance(value, np.ndarray):
            value = (value.shape, value.dtype.str, value.tobytes())
        parts.append((name, value))
    return (type(chunk), *parts)


def read(path: Path) -> tuple[list[tuple], XdfReader]:
    reader = XdfReader(path)
    return [comparable(chunk) for chunk in reader], reader


def read_bytes(folder: Path, content: bytes) -> tuple[list[tuple], XdfReader]:
    path = folder / "read.xdf"
    path.write_bytes(content)
    return read(path)


@pytest.fixture
def chunks(tmp_path) -> list[tuple]:
    """What the whole file gives, one entry for each of `SESSION`."""
    given_, reader = read_bytes(tmp_path, b"".join(SESSION))
    assert reader.remarks == ()
    assert len(given_) == len(SESSION)
    return given_


def by_pyxdf(content: bytes | Path) -> dict[int, dict]:
    source = io.BytesIO(content) if isinstance(content, bytes) else str(content)
    streams, _ = pyxdf.load_xdf(source, synchronize_clocks=False, dejitter_timestamps=False)
    return {stream["info"]["stream_id"]: stream for stream in streams}


def joined(reader) -> dict[int, tuple[list, np.ndarray]]:
    """All values and stamps of every stream."""
    values, stamps = {}, {}
    for chunk in reader:
        match chunk:
            case Header():
                values[chunk.stream_id], stamps[chunk.stream_id] = [], [np.zeros(0)]
            case NumericSamples():
                values[chunk.stream_id] += chunk.values.tolist()
                stamps[chunk.stream_id].append(chunk.stamps_s)
            case TextSamples():
                values[chunk.stream_id] += chunk.texts
                stamps[chunk.stream_id].append(chunk.stamps_s)
    return {number: (values[number], np.concatenate(stamps[number])) for number in values}


def pyxdf_values(stream: dict) -> list:
    if isinstance(stream["time_series"], list):
        return [",".join(row) for row in stream["time_series"]]
    return stream["time_series"].tolist()


def test_a_file_comes_back_chunk_by_chunk_in_its_order(tmp_path):
    path = tmp_path / "a.xdf"
    path.write_bytes(b"".join(SESSION))
    start, amp, task, first, words, offset, mark, *_, end, _ = XdfReader(path)
    assert isinstance(start, FileHeader)
    assert "2026-01-02T03:04:05" in start.xml
    assert amp == Header(
        stream_id=1, name="amp", type="EEG", source_id="", channel_count=1, channel_format="int16",
        nominal_srate=100.0, xml=SIGNAL.decode(),
    )  # fmt: skip
    assert (task.stream_id, task.nominal_srate, task.channel_format) == (2, 0.0, "string")
    assert (first.values.dtype, first.values.tolist()) == (np.int16, rows(300).tolist())
    assert first.stamps_s.tolist() == (300 + np.arange(5) / 100).tolist()
    assert (words.texts, words.stamps_s.tolist()) == (("left", "µ 脳"), [300.0, 300.5])
    assert offset == Offset(stream_id=1, collected_s=300.0, offset_s=0.125)
    assert mark == Boundary()
    assert isinstance(end, Footer)
    assert "<sample_count>75</sample_count>" in end.xml


def test_values_are_the_callers_to_keep_and_change(tmp_path):
    path = tmp_path / "a.xdf"
    path.write_bytes(b"".join(SESSION))
    for chunk in XdfReader(path):
        if isinstance(chunk, NumericSamples):
            assert chunk.values.flags.owndata
            assert chunk.values.flags.aligned
            chunk.values[:] = 0
            chunk.stamps_s[:] = 0


_FORMATS = st.sampled_from([*NUMBER_FORMATS, "string"])
_STAMPS = st.floats(width=64)


@st.composite
def _calls(draw):
    """Streams and what is written of them, in any order."""
    formats = draw(st.lists(st.tuples(_FORMATS, st.integers(1, 5)), min_size=1, max_size=4))
    calls = []
    for _ in range(draw(st.integers(0, 12))):
        number = draw(st.integers(0, len(formats) - 1))
        channel_format, n_channels = formats[number]
        n_rows = draw(st.integers(0, 6))
        stamps = draw(st.lists(_STAMPS, min_size=n_rows, max_size=n_rows))
        if draw(st.booleans()):
            calls.append(("offset", number, draw(_STAMPS), draw(_STAMPS)))
        if channel_format == "string":
            texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
            payload = draw(st.lists(texts, min_size=n_rows, max_size=n_rows))
        else:
            dtype = NUMBER_FORMATS[channel_format]
            size = n_rows * n_channels * dtype.itemsize
            payload = np.frombuffer(draw(st.binary(min_size=size, max_size=size)), dtype)
            payload = payload.reshape(n_rows, n_channels)
        calls.append(("rows", number, payload, stamps))
    return formats, calls


@given(_calls())
def test_whatever_the_writer_was_given_the_reader_gives_back_to_the_bit(tmp_path_factory, session):
    formats, calls = session
    path = tmp_path_factory.mktemp("round") / "a.xdf"
    expected = []
    with closing(XdfWriter(path)) as writer:
        for number, (channel_format, n_channels) in enumerate(formats):
            n_channels = 1 if channel_format == "string" else n_channels
            xml = stream_xml(name="n", type="t", channel_format=channel_format)
            counted = b"<channel_count>%d<" % n_channels
            writer.add_stream(number, xml.replace(b"<channel_count>1<", counted))
        for kind, number, first, second in calls:
            if kind == "offset":
                writer.write_offset(number, first, second)
                expected.append((Offset, number, struct.pack("<dd", first, second)))
                continue
            stamps = np.array(second, np.float64)
            if isinstance(first, list):
                writer.write_texts(number, first, stamps)
                whole = (TextSamples, number, tuple(first), stamps.tobytes())
            else:
                writer.write_numbers(number, first, stamps)
                whole = (NumericSamples, number, first.dtype, first.tobytes(), stamps.tobytes())
            if len(stamps):
                expected.append(whole)
        writer.finish()
        tallies, position = writer.tallies, writer.position
    reader, found = XdfReader(path), []
    for chunk in reader:
        match chunk:
            case Offset():
                told = struct.pack("<dd", chunk.collected_s, chunk.offset_s)
                found.append((Offset, chunk.stream_id, told))
            case TextSamples():
                stamps = chunk.stamps_s.tobytes()
                found.append((TextSamples, chunk.stream_id, chunk.texts, stamps))
            case NumericSamples():
                told = (chunk.values.dtype, chunk.values.tobytes(), chunk.stamps_s.tobytes())
                found.append((NumericSamples, chunk.stream_id, *told))
    assert found == expected
    assert reader.remarks == ()
    assert reader.bytes_read == position == path.stat().st_size
    assert str(reader.tallies) == str(tallies)


def test_a_file_cut_at_any_byte_gives_exactly_the_chunks_before_the_cut(tmp_path, chunks):
    whole = b"".join(SESSION)
    for cut in range(len(START), len(whole)):
        kept = sum(end <= cut for end in ENDS)
        found, reader = read_bytes(tmp_path, whole[:cut])
        assert found == chunks[:kept]
        assert reader.bytes_read == ENDS[kept - 1]
        torn = cut - reader.bytes_read
        told = [text for text in reader.remarks if text.startswith(f"The last {torn} bytes")]
        assert len(told) == (torn > 0)
        assert reader.remarks or kept < 2  # without a stream there is no footer to miss


def test_pyxdf_opens_a_cut_file_unless_the_cut_lies_in_a_few_bytes_that_it_does_not_guard(chunks):
    whole, refused = b"".join(SESSION), []
    for cut in range(len(START), len(whole)):
        try:
            streams = by_pyxdf(whole[:cut])
        except (struct.error, ParseError):
            refused.append(cut)
            continue
        # All whole chunks, and perhaps more: it takes a torn last row for a row.
        kept = sum(end <= cut for end in ENDS)
        values = [
            dict(chunk[1:])["values"] for chunk in chunks[:kept] if chunk[0] is NumericSamples
        ]
        read_ = b"".join(value[2] for value in values)
        if 1 in streams:
            assert streams[1]["time_series"].tobytes()[: len(read_)] == read_
    # Two bytes of tag, and the XML or the numbers of chunks that it reads without a try.
    unguarded = {0, 1, 2, 5}
    for cut in refused:
        at = sum(end <= cut for end in ENDS)
        begin = ENDS[at - 1]
        tag = begin + 1 + SESSION[at][0]
        assert at in unguarded or tag <= cut < tag + 2


def test_every_cut_file_opens_in_pyxdf_once_its_torn_end_is_off(tmp_path):
    whole = b"".join(SESSION)
    path = tmp_path / "a.xdf"
    for cut in range(len(START), len(whole), 3):
        path.write_bytes(whole[:cut])
        reader = XdfReader(path)
        before = {number: len(stamps) for number, (_, stamps) in joined(reader).items()}
        XdfWriter.resume(path, reader.bytes_read, reader.tallies).close()
        assert path.read_bytes() == whole[: reader.bytes_read] + xdf_chunks.boundary()
        found = {number: len(one["time_stamps"]) for number, one in by_pyxdf(path).items()}
        assert found == before


@settings(max_examples=40)
@given(data=st.data())
def test_a_larger_file_cut_anywhere_gives_exactly_the_chunks_before_the_cut(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("cut")
    parts = [*SESSION[:3], *(signal(100 * number, 400) for number in range(60)), *SESSION[-2:]]
    ends = np.cumsum([len(part) for part in parts])
    cut = data.draw(st.integers(len(START), int(ends[-1])))
    found, reader = read_bytes(folder, b"".join(parts)[:cut])
    assert len(found) == int((ends <= cut).sum())
    assert reader.bytes_read == ends[len(found) - 1]


@pytest.mark.parametrize("n_bytes", [1, 2, 9, 4096, 3_000_000])
def test_zeros_that_a_power_cut_leaves_at_the_end_are_not_read_as_samples(
    tmp_path, n_bytes, chunks
):
    found, reader = read_bytes(tmp_path, b"".join(SESSION[:9]) + bytes(n_bytes))
    assert found == chunks[:9]
    assert f"The last {n_bytes} bytes hold no whole chunk" in reader.remarks[0]


def test_a_last_chunk_whose_end_is_zeros_is_left_out_whole(tmp_path, chunks):
    for blank in range(12, len(SESSION[7])):
        torn = SESSION[7][:-blank] + bytes(blank)
        found, reader = read_bytes(tmp_path, b"".join(SESSION[:7]) + torn)
        assert found == chunks[:7]
        assert reader.bytes_read == ENDS[6]
        # With its length and tag alone, bytes 0 to 6, it is a chunk of nobody.
        nobody = len(torn) - blank in (6, 7)
        expected = "1 chunks of stream 0" if nobody else f"The last {len(torn)} bytes"
        assert reader.remarks[0].startswith(expected)


@settings(max_examples=100)
@given(garbage=st.binary(min_size=1, max_size=200).filter(lambda b: b[0] not in (1, 4, 8)))
def test_garbage_at_the_end_is_told_and_changes_nothing_before_it(tmp_path_factory, garbage):
    folder = tmp_path_factory.mktemp("garbage")
    expected, _ = read_bytes(folder, b"".join(SESSION))
    found, reader = read_bytes(folder, b"".join(SESSION) + garbage)
    assert found == expected
    assert reader.remarks[0].startswith(f"The last {len(garbage)} bytes")


@pytest.mark.parametrize("with_length", [b"\x08", b"\x04"])
def test_a_length_beyond_the_file_is_a_torn_end_and_takes_no_memory(tmp_path, with_length, chunks):
    head = with_length + b"\xff" * with_length[0] + b"\x03\x00\x01\0\0\0"
    tracemalloc.start()
    found, reader = read_bytes(tmp_path, b"".join(SESSION[:9]) + head + bytes(50))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == chunks[:9]
    assert f"The last {len(head) + 50} bytes" in reader.remarks[0]
    assert peak < 20e6


@pytest.mark.parametrize("tag_and_id", [b"\x03\0\x01\0\0\0", b"\x03\0\x02\0\0\0"])
def test_a_count_of_rows_that_the_chunk_cannot_hold_takes_no_memory(tmp_path, tag_and_id, chunks):
    content = tag_and_id + b"\x08" + b"\xff" * 7 + b"\x0f" + b"\x08" * 40
    lying = bytes([1, len(content)]) + content
    found, reader = read_bytes(tmp_path, b"".join([*SESSION[:9], lying, *SESSION[9:]]))
    assert found == chunks
    assert reader.remarks[0].startswith(f"{len(lying)} bytes from byte {ENDS[8]} on are damaged")


def test_a_damaged_chunk_is_left_out_alone_where_the_next_one_can_be_found(tmp_path, chunks):
    damaged = bytearray(SESSION[7])
    damaged[200:260] = bytes(60)
    content = b"".join([*SESSION[:7], damaged, *SESSION[8:]])
    found, reader = read_bytes(tmp_path, content)
    assert found == chunks[:7] + chunks[8:]
    expected = f"{len(damaged)} bytes from byte {ENDS[6]} on are damaged and were skipped."
    assert reader.remarks == (expected,)


def test_a_damaged_stretch_is_skipped_up_to_the_next_boundary(tmp_path, chunks):
    content = bytearray(b"".join(SESSION))
    content[ENDS[6] + 100 : ENDS[7] + 3] = bytes(ENDS[7] + 3 - ENDS[6] - 100)
    found, reader = read_bytes(tmp_path, bytes(content))
    assert found == chunks[:7] + chunks[9:]
    skipped = ENDS[8] - ENDS[6]
    expected = f"{skipped} bytes from byte {ENDS[6]} on are damaged and were skipped."
    assert reader.remarks == (expected,)


@pytest.mark.parametrize("shift", range(-20, 3))
def test_a_boundary_is_found_wherever_it_lies_between_two_reads(tmp_path, shift, chunks):
    # A read takes 1 MiB; the mark is put around the end of the first one after the damage.
    n_bytes = (1 << 20) + shift
    content = b"".join([*SESSION[:9], b"\x07" * n_bytes, *SESSION[9:]])
    found, reader = read_bytes(tmp_path, content)
    assert found == chunks
    assert reader.remarks[0].startswith(f"{n_bytes} bytes from byte {ENDS[8]} on")


def test_a_boundary_of_another_writer_counts_from_behind_its_mark(tmp_path, chunks):
    wide = struct.pack("<BQH", 8, 18, 5) + xdf_format.BOUNDARY_UUID
    found, _ = read_bytes(tmp_path, b"".join([*SESSION[:9], wide, *SESSION[10:]]))
    assert found == chunks
    found, reader = read_bytes(tmp_path, b"".join([*SESSION[:9], b"\x07", wide, *SESSION[10:]]))
    assert found == chunks[:9] + chunks[10:]
    assert reader.remarks[0].startswith(f"{1 + len(wide)} bytes")


@settings(max_examples=300)
@given(at=st.integers(len(START), ENDS[-1] - 1), blot=st.binary(min_size=1, max_size=80))
def test_no_damage_makes_the_reader_fail_or_touches_what_came_before(tmp_path_factory, at, blot):
    folder = tmp_path_factory.mktemp("blot")
    expected, _ = read_bytes(folder, b"".join(SESSION))
    content = bytearray(b"".join(SESSION))
    content[at : at + len(blot)] = blot
    found, reader = read_bytes(folder, bytes(content))
    before = sum(end <= at for end in ENDS)
    assert found[:before] == expected[:before]
    assert reader.bytes_read <= len(content)


def test_many_damages_do_not_make_as_many_sentences(tmp_path):
    torn = bytearray(SESSION[3])
    torn[10] = 7  # neither stamped nor unstamped
    content = b"".join([*SESSION[:3], *([torn, SESSION[3]] * 20), *SESSION[-2:]])
    found, reader = read_bytes(tmp_path, content)
    assert len(found) == 3 + 20 + 2
    assert reader.remarks[-1] == (
        f"12 more damaged stretches, {12 * len(torn)} bytes in all, were skipped."
    )
    assert len(reader.remarks) == 9


def test_rows_without_a_stamp_get_one_a_period_later_as_in_pyxdf(tmp_path):
    def row(value: int, stamp_s: float | None) -> bytes:
        stamp = b"\x00" if stamp_s is None else struct.pack("<Bd", 8, stamp_s)
        return stamp + struct.pack("<h", value)

    def chunk(*content: bytes) -> bytes:
        body = struct.pack("<HIBB", 3, 1, 1, len(content)) + b"".join(content)
        return bytes([1, len(body)]) + body

    content = b"".join([
        *SESSION[:2],
        chunk(row(1, 5.0), row(2, None), row(3, None), row(4, 7.0), row(5, None)),
        chunk(row(6, None)),
    ])  # fmt: skip
    found, reader = read_bytes(tmp_path, content)
    values, stamps_s = joined(reader)[1]
    assert values == [[1], [2], [3], [4], [5], [6]]
    np.testing.assert_allclose(stamps_s, [5, 5.01, 5.02, 7, 7.01, 7.02], rtol=0, atol=1e-12)
    assert stamps_s.tolist() == by_pyxdf(content)[1]["time_stamps"].tolist()
    assert len(found) == 4


def test_a_stamp_that_nothing_tells_is_not_made_up(tmp_path):
    body = struct.pack("<HIBBBh", 3, 1, 1, 1, 0, 42)
    bare = bytes([1, len(body)]) + body
    content = b"".join([*SESSION[:2], bare, SESSION[3], bare, b"\x07", SESSION[6], bare])
    _, reader = read_bytes(tmp_path, content)
    stamps_s = joined(reader)[1][1]
    assert np.isnan(stamps_s[[0, -1]]).all()  # at the start, and after a damage
    np.testing.assert_allclose(stamps_s[-2], 300.05, rtol=0, atol=1e-12)


def test_rows_of_several_texts_are_joined_by_commas(tmp_path):
    xml = WORDS.replace(b"<channel_count>1<", b"<channel_count>2<")
    body = struct.pack("<HIBBBd", 3, 4, 1, 1, 8, 2.5) + b"\x01\x01a\x04\x02\0\0\0bc"
    chunk = bytes([1, len(body)]) + body
    _, reader = read_bytes(tmp_path, START + xdf_chunks.stream_header(4, xml) + chunk)
    values, stamps_s = joined(reader)[4]
    assert (values, stamps_s.tolist()) == (["a,bc"], [2.5])


def test_chunks_of_a_stream_that_was_never_described_are_told(tmp_path, chunks):
    found, reader = read_bytes(tmp_path, b"".join([START, *SESSION[2:]]))
    assert found == [one for one in chunks if dict(one[1:]).get("stream_id") != 1]
    assert reader.remarks == (
        "6 chunks of stream 1 come without a readable description of it and were left out.",
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"int16", b"undef"), (b"<channel_count>1<", b"<channel_count>x<"), (b"</info>", b"</inf0>")],
)
def test_a_description_that_cannot_be_used_costs_its_own_stream_only(tmp_path, old, new, chunks):
    damaged = SESSION[1].replace(old, new)
    found, reader = read_bytes(tmp_path, b"".join([START, damaged, *SESSION[2:]]))
    assert found == [one for one in chunks if dict(one[1:]).get("stream_id") != 1]
    assert reader.remarks[0].startswith(f"{len(damaged)} bytes from byte {len(START)} on")
    assert reader.remarks[1].startswith("6 chunks of stream 1")


def test_an_unknown_rate_counts_as_none(tmp_path):
    for text in (b"fast", b"", b"-1", b"inf", b"nan"):
        header = xdf_chunks.stream_header(1, SIGNAL.replace(b">100.0<", b">" + text + b"<"))
        _, reader = read_bytes(tmp_path, START + header)
        assert list(reader)[1].nominal_srate == 0


def test_a_file_without_an_end_says_so_once_for_all_its_streams(tmp_path):
    _, reader = read_bytes(tmp_path, b"".join(SESSION[:9]))
    (remark,) = reader.remarks
    assert remark.startswith("No end was written for 'amp', 'task': the file was cut off")


def test_what_is_not_xdf_is_refused_in_one_sentence(tmp_path):
    path = tmp_path / "a.xdf"
    for content in (b"", b"XDF", b"EDF+...", bytes(100), b"\x1f\x8b\x08"):
        path.write_bytes(content)
        with pytest.raises(RecordingError, match="is not an XDF file"):
            XdfReader(path)
    with pytest.raises(RecordingError, match="cannot be read"):
        XdfReader(tmp_path / "absent.xdf")
    with pytest.raises(RecordingError, match="cannot be read"):
        XdfReader(tmp_path)


def test_a_disk_that_fails_midway_is_a_recording_error(tmp_path, monkeypatch):
    def broken(file, at, size):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    path = tmp_path / "a.xdf"
    path.write_bytes(b"".join(SESSION))
    reader = iter(XdfReader(path))
    next(reader)
    monkeypatch.setattr(xdf_read, "head_of", broken)
    with pytest.raises(RecordingError, match="Input/output error"):
        next(reader)


def test_the_magic_bytes_alone_are_a_file_without_chunks(tmp_path):
    found, reader = read_bytes(tmp_path, xdf_format.MAGIC)
    assert (found, reader.bytes_read, reader.remarks) == ([], 4, ())


def test_a_reader_can_be_read_again(tmp_path):
    found, reader = read_bytes(tmp_path, b"".join(SESSION) + b"\x07")
    once = (reader.remarks, reader.bytes_read, reader.tallies)
    assert [comparable(chunk) for chunk in reader] == found
    assert (reader.remarks, reader.bytes_read, reader.tallies) == once


def test_a_long_recording_is_read_in_little_memory(tmp_path):
    path = tmp_path / "a.xdf"
    values = np.ones((100, 64), "<f4")
    xml = stream_xml(name="amp", type="EEG", channel_format="float32")
    with closing(XdfWriter(path)) as writer:
        writer.add_stream(1, xml.replace(b"<channel_count>1<", b"<channel_count>64<"))
        for _ in range(800):
            writer.write_numbers(1, values, np.zeros(100))
    tracemalloc.start()
    n_rows = sum(len(chunk.values) for chunk in XdfReader(path) if hasattr(chunk, "values"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n_rows == 80_000
    assert path.stat().st_size > 20e6
    assert peak < 4e6


@pytest.mark.data
@pytest.mark.parametrize(
    "name",
    [
        "aborted_run", "clock_resets", "derived_truncated", "empty_streams", "mi_switch_a",
        "minimal", "p300_markers_stop_early", "ssvep_dsi7",
    ],
)  # fmt: skip
def test_real_recordings_read_as_in_pyxdf(name):
    path = recording_path(f"xdf/{name}.xdf")
    ours, theirs = joined(XdfReader(path)), by_pyxdf(path)
    assert ours.keys() == theirs.keys()
    for number, (values, stamps_s) in ours.items():
        assert values == pyxdf_values(theirs[number])
        assert np.array_equal(stamps_s, theirs[number]["time_stamps"])


@pytest.mark.data
def test_a_real_recording_that_was_cut_off_says_so():
    path = recording_path("xdf/derived_truncated.xdf")
    reader = XdfReader(path)
    assert sum(len(stamps_s) for _, stamps_s in joined(reader).values()) > 18_000
    torn = path.stat().st_size - reader.bytes_read
    assert reader.remarks[0].startswith(f"The last {torn} bytes hold no whole chunk")


@pytest.mark.data
def test_a_real_recording_with_a_damaged_chunk_lacks_that_chunk_only():
    damaged = XdfReader(recording_path("xdf/derived_corrupt_chunk.xdf"))
    healthy = XdfReader(recording_path("xdf/mi_switch_a.xdf"))
    found = [comparable(chunk) for chunk in damaged]
    expected = [comparable(chunk) for chunk in healthy]
    at = next(k for k, (a, b) in enumerate(zip(found, expected, strict=False)) if a != b)
    assert found == expected[:at] + expected[at + 1 :]
    (remark,) = damaged.remarks
    assert "are damaged and were skipped" in remark
    assert healthy.remarks == ()
