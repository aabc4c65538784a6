from __future__ import annotations

import errno
import logging
import os
import resource
import subprocess
from contextlib import closing
from types import SimpleNamespace

import numpy as np
import pytest
import pyxdf

from diverloop.runtime.errors import RecordingError
from diverloop.runtime.messages import Channel
from diverloop.runtime.record import xdf_chunks
from diverloop.runtime.record.xdf_chunks import stream_xml
from diverloop.runtime.record.xdf_format import NUMBER_FORMATS, Tally
from diverloop.runtime.record.xdf_read import XdfReader
from diverloop.runtime.record.xdf_write import XdfWriter

SENDER_XML = (
    '<?xml version="1.0"?>\n<info>\n\t<name>Gerät &amp; Söhne</name><type>EEG</type>'
    "<channel_count>2</channel_count><nominal_srate>250.00000000000</nominal_srate>"
    "<channel_format>float32</channel_format><created_at>1.5</created_at><uid>u</uid>"
    "<desc><oddity a='1'/></desc></info>"
).encode()


def numbers(channel_format: str, n_rows: int = 40, n_channels: int = 3) -> np.ndarray:
    """Any bit pattern, so NaN, infinity and denormals too."""
    dtype = NUMBER_FORMATS[channel_format]
    rng = np.random.default_rng(len(channel_format))
    raw = rng.integers(0, 256, n_rows * n_channels * dtype.itemsize, np.uint8)
    return raw.view(dtype).reshape(n_rows, n_channels)


def described(channel_format: str, n_channels: int = 1, **changes) -> bytes:
    channels = [Channel(name=f"C{number}") for number in range(n_channels)]
    settings = {"name": channel_format, "type": "EEG", "nominal_srate": 100.0} | changes
    return stream_xml(channel_format=channel_format, channels=channels, **settings)


def load(path, **options) -> dict[int, dict]:
    options = {"synchronize_clocks": False, "dejitter_timestamps": False} | options
    streams, _ = pyxdf.load_xdf(str(path), **options)
    return {stream["info"]["stream_id"]: stream for stream in streams}


def steps(writer: XdfWriter):
    """What a short session writes, call by call."""
    stamps_s = 100 + np.arange(5) / 100
    yield lambda: writer.add_stream(1, described("int16", 2))
    yield lambda: writer.add_stream(2, described("string", nominal_srate=0.0))
    for turn in range(4):
        rows = np.arange(10, dtype="<i2").reshape(5, 2) + turn
        yield lambda rows=rows, turn=turn: writer.write_numbers(
            1, rows, stamps_s + turn, now_s=6.0 * turn
        )
        yield lambda turn=turn: writer.write_texts(
            2, [f"cue {turn}", "µ"], [100 + turn, 101 + turn]
        )
        yield lambda turn=turn: writer.write_offset(1, 100.0 + turn, 0.25)
        yield lambda turn=turn: writer.write_offset(2, 100.0 + turn, 0.0)
    yield writer.write_boundary
    yield writer.finish


@pytest.fixture
def whole(tmp_path) -> bytes:
    """The bytes of a short session that nothing disturbed."""
    path = tmp_path / "undisturbed.xdf"
    with closing(XdfWriter(path, created_utc="2026-01-02T03:04:05")) as writer:
        for step in steps(writer):
            step()
    return path.read_bytes()


@pytest.mark.parametrize("channel_format", NUMBER_FORMATS)
def test_pyxdf_reads_every_number_format_bit_for_bit(tmp_path, channel_format):
    values = numbers(channel_format)
    stamps_s = 1e6 + np.random.default_rng(1).standard_normal(40).cumsum()
    path = tmp_path / "a.xdf"
    with closing(XdfWriter(path)) as writer:
        writer.add_stream(7, described(channel_format, 3))
        writer.write_numbers(7, values[:25], stamps_s[:25])
        writer.write_numbers(7, np.asfortranarray(values[25:]), stamps_s[25:].tolist())
        writer.finish()
    stream = load(path)[7]
    assert stream["time_series"].dtype == values.dtype
    assert stream["time_series"].tobytes() == values.tobytes()
    assert stream["time_stamps"].tobytes() == stamps_s.tobytes()
    footer = stream["footer"]["info"]
    assert int(footer["sample_count"][0]) == 40
    assert float(footer["first_timestamp"][0]) == stamps_s[0]
    assert float(footer["last_timestamp"][0]) == stamps_s[-1]


def test_pyxdf_reads_texts_of_any_language_and_length(tmp_path):
    texts = ["", "left", "µV ≠ 脳 🧠", "line\nbreak\x00nul", "x" * 300, '{"a": 1}']
    path = tmp_path / "a.xdf"
    with closing(XdfWriter(path)) as writer:
        writer.add_stream(0, described("string"))
        writer.write_texts(0, texts, np.arange(6.0))
    assert [row[0] for row in load(path)[0]["time_series"]] == texts


@pytest.mark.parametrize("synchronize", [True, False])
def test_pyxdf_corrects_stamps_by_our_clock_offsets_only_if_asked(tmp_path, synchronize):
    stamps_s = 500 + np.arange(1000) / 100
    path = tmp_path / "a.xdf"
    with closing(XdfWriter(path)) as writer:
        writer.add_stream(1, described("float32", 2))
        for turn in range(10):
            writer.write_offset(1, 500.0 + turn, -3.5)
        writer.write_numbers(1, np.zeros((1000, 2), "<f4"), stamps_s)
        writer.finish()
    stream = load(path, synchronize_clocks=synchronize)[1]
    expected = stamps_s - 3.5 if synchronize else stamps_s
    np.testing.assert_allclose(stream["time_stamps"], expected, rtol=0, atol=1e-9)
    offsets = stream["footer"]["info"]["clock_offsets"][0]["offset"]
    assert [float(one["time"][0]) for one in offsets] == stream["clock_times"]
    assert {float(one["value"][0]) for one in offsets} == {-3.5}


def test_the_footer_holds_the_rate_that_was_measured(tmp_path):
    path = tmp_path / "a.xdf"
    with closing(XdfWriter(path)) as writer:
        writer.add_stream(1, described("int8", 1))
        writer.add_stream(2, described("int8", 1))
        writer.write_numbers(1, np.zeros((11, 1), "i1"), np.arange(11) / 50)
        writer.finish()
    rates = {key: one["footer"]["info"]["measured_srate"][0] for key, one in load(path).items()}
    assert float(rates[1]) == pytest.approx(50)
    assert float(rates[2]) == 0


def test_the_senders_description_is_written_to_the_byte(tmp_path):
    path = tmp_path / "a.xdf"
    with closing(XdfWriter(path)) as writer:
        writer.add_stream(3, SENDER_XML)
        assert writer.tallies == {3: Tally(channel_format="float32", channel_count=2)}
    assert SENDER_XML in path.read_bytes()
    assert load(path)[3]["info"]["name"] == ["Gerät & Söhne"]


def test_every_call_is_one_write_of_whole_chunks(tmp_path, monkeypatch):
    written = []
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: written.append(len(data)) or real(fd, data))
    path = tmp_path / "a.xdf"
    with closing(XdfWriter(path)) as writer:
        ends = [writer.position]
        for step in steps(writer):
            step()
            ends.append(writer.position)
            assert path.stat().st_size == writer.position
    assert written == np.diff(ends, prepend=0).tolist()


def test_nothing_is_written_for_no_rows(tmp_path):
    with closing(XdfWriter(tmp_path / "a.xdf")) as writer:
        writer.add_stream(1, described("int8"))
        writer.add_stream(2, described("string"))
        before = writer.position
        writer.write_numbers(1, np.zeros((0, 1), "i1"), [])
        writer.write_texts(2, [], [])
        assert writer.position == before


def test_a_boundary_comes_as_often_as_was_asked_on_the_callers_clock(tmp_path):
    path = tmp_path / "a.xdf"
    with closing(XdfWriter(path, boundary_every_s=10.0)) as writer:
        writer.add_stream(1, described("int8"))
        boundaries = []
        for now_s in (5.0, 9.0, 14.9, 15.0, 16.0, 24.9, 40.0, 3.0, 12.9, None):
            before = path.read_bytes()
            writer.write_numbers(1, np.zeros((1, 1), "i1"), [now_s or 0.0], now_s=now_s)
            added = path.read_bytes()[len(before) :]
            boundaries.append(added.startswith(xdf_chunks.boundary()))
    # due at 15 and 40, and when the clock goes back to 3
    assert boundaries == [False, False, False, True, False, False, True, True, False, False]


def test_a_file_that_broke_off_goes_on_as_if_nothing_had_been_but_for_a_boundary(tmp_path, whole):
    undisturbed = tmp_path / "undisturbed.xdf"
    path = tmp_path / "a.xdf"
    calls = len(list(steps(SimpleNamespace(write_boundary=None, finish=None))))
    for stop in range(calls):
        path.unlink(missing_ok=True)
        writer = XdfWriter(path, created_utc="2026-01-02T03:04:05")
        for step, _ in zip(steps(writer), range(stop), strict=False):
            step()
        at = writer.position
        writer.close()
        with path.open("ab") as file:
            file.write(whole[at : at + 9])  # torn in the next chunk
        reader = XdfReader(path)
        list(reader)
        assert reader.bytes_read == at
        with closing(XdfWriter.resume(path, at, reader.tallies)) as writer:
            assert path.read_bytes() == whole[:at] + xdf_chunks.boundary()
            for step in list(steps(writer))[stop:]:
                step()
        again, once = load(path), load(undisturbed)
        assert again.keys() == once.keys()
        for number, stream in once.items():
            assert np.array_equal(again[number]["time_series"], stream["time_series"])
            assert again[number]["time_stamps"].tolist() == stream["time_stamps"].tolist()
            assert again[number]["footer"] == stream["footer"]


def test_what_is_no_recording_or_too_short_is_not_resumed_and_not_touched(tmp_path):
    path = tmp_path / "a.xdf"
    for content, at in ((b"hello, world", 8), (b"XDF:", 5), (b"XDF:", 3), (b"", 0)):
        path.write_bytes(content)
        with pytest.raises(RecordingError, match=f"cannot be resumed at byte {at}"):
            XdfWriter.resume(path, at, {})
        assert path.read_bytes() == content
    with pytest.raises(RecordingError, match="cannot be opened"):
        XdfWriter.resume(tmp_path / "absent.xdf", 4, {})


def test_a_recording_is_never_overwritten(tmp_path):
    path = tmp_path / "a.xdf"
    path.write_bytes(b"precious")
    with pytest.raises(RecordingError, match="File exists"):
        XdfWriter(path)
    assert path.read_bytes() == b"precious"
    with pytest.raises(RecordingError, match="No such file"):
        XdfWriter(tmp_path / "no folder" / "a.xdf")


class SmallDisk:
    """Stands for `os.write` on a disk with so many bytes left."""

    def __init__(self, left: int) -> None:
        self.left = left
        self._real = os.write

    def __call__(self, fd: int, data) -> int:
        if self.left == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        done = self._real(fd, memoryview(data)[: self.left])
        self.left -= done
        return done


def refusal_of(step) -> RecordingError | None:
    try:
        step()
    except RecordingError as error:
        return error
    return None


def test_a_full_disk_leaves_whole_chunks_and_the_repeated_call_loses_nothing(
    tmp_path, monkeypatch, whole
):
    path = tmp_path / "a.xdf"
    start = len(xdf_chunks.file_header("2026-01-02T03:04:05"))
    refusals = 0
    for left in range(0, len(whole) - start, 13):
        path.unlink(missing_ok=True)
        with closing(XdfWriter(path, created_utc="2026-01-02T03:04:05")) as writer:
            disk = SmallDisk(left)
            monkeypatch.setattr(os, "write", disk)
            for step in steps(writer):
                before = writer.position
                refused = refusal_of(step)
                if refused is not None:
                    assert refused.__cause__.errno == errno.ENOSPC
                    assert writer.position == before
                    assert path.read_bytes() == whole[:before]
                    refusals += 1
                    disk.left = len(whole)
                    step()
            monkeypatch.undo()
        assert path.read_bytes() == whole
    assert refusals == len(range(0, len(whole) - start, 13))


def test_a_file_that_never_began_is_not_left_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "write", SmallDisk(6))
    with pytest.raises(RecordingError, match="No space left"):
        XdfWriter(tmp_path / "a.xdf")
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []


def test_a_torn_chunk_that_could_not_be_taken_back_is_before_the_next_one(tmp_path, monkeypatch):
    def broken(fd, length):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    path = tmp_path / "a.xdf"
    with closing(XdfWriter(path)) as writer:
        before = path.read_bytes()
        monkeypatch.setattr(os, "write", SmallDisk(7))
        monkeypatch.setattr(os, "ftruncate", broken)
        for _ in range(2):
            with pytest.raises(RecordingError, match="Input/output error"):
                writer.write_boundary()
        assert path.stat().st_size == len(before) + 7
        monkeypatch.undo()
        writer.write_boundary()
    assert path.read_bytes() == before + xdf_chunks.boundary()


def test_a_limit_that_the_kernel_sets_is_met_like_a_full_disk(tmp_path, whole):
    path = tmp_path / "a.xdf"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with closing(XdfWriter(path, created_utc="2026-01-02T03:04:05")) as writer:
        for step in steps(writer):
            try:
                resource.setrlimit(resource.RLIMIT_FSIZE, (writer.position + 15, hard))
                with pytest.raises(RecordingError) as caught:
                    step()
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            assert caught.value.__cause__.errno == errno.EFBIG
            assert path.read_bytes() == whole[: writer.position]
            step()
    assert path.read_bytes() == whole


def test_a_disk_that_is_really_full_loses_nothing_once_there_is_room(tmp_path):
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if made.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {made.stderr.strip()}")
    try:
        ballast = tmp_path / "ballast"
        ballast.write_bytes(bytes(100_000))
        path = tmp_path / "a.xdf"
        rows = np.arange(40_000, dtype="<i4").reshape(10_000, 4)
        with closing(XdfWriter(path)) as writer:
            writer.add_stream(1, described("int32", 4))
            before = path.read_bytes()
            with pytest.raises(RecordingError, match="No space left"):
                writer.write_numbers(1, rows[:4000], np.arange(4000.0))
            assert path.read_bytes() == before
            ballast.unlink()
            writer.write_numbers(1, rows[:4000], np.arange(4000.0))
            writer.finish()
        assert np.array_equal(load(path)[1]["time_series"], rows[:4000])
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_disk_that_cannot_sync_says_so(tmp_path, monkeypatch):
    def broken(fd):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with closing(XdfWriter(tmp_path / "a.xdf")) as writer:
        writer.sync()
        monkeypatch.setattr(os, "fdatasync", broken, raising=False)
        with pytest.raises(RecordingError, match="Input/output error") as caught:
            writer.sync()
    assert caught.value.__cause__.errno == errno.EIO


def test_the_end_is_written_once_and_again_only_after_more_has_come(tmp_path):
    path = tmp_path / "a.xdf"
    with closing(XdfWriter(path)) as writer:
        writer.add_stream(1, described("int8"))
        writer.finish()
        once = writer.position
        writer.finish()
        assert writer.position == once
        writer.write_numbers(1, np.zeros((3, 1), "i1"), np.arange(3.0))
        writer.finish()
        writer.close()
    assert load(path)[1]["footer"]["info"]["sample_count"] == ["3"]


def test_what_a_stream_did_not_announce_is_refused_and_nothing_is_written(tmp_path):
    with closing(XdfWriter(tmp_path / "a.xdf")) as writer:
        writer.add_stream(1, described("float32", 2))
        writer.add_stream(2, described("string"))
        before = writer.position
        row = np.zeros((1, 2), "<f4")
        for call, reason in (
            (lambda: writer.write_numbers(9, row, [0.0]), "no stream 9"),
            (lambda: writer.write_offset(9, 0.0, 0.0), "no stream 9"),
            (lambda: writer.write_numbers(1, row.astype("<f8"), [0.0]), "2 channels in float32"),
            (lambda: writer.write_numbers(1, row[:, :1], [0.0]), r"got shape \(1, 1\)"),
            (lambda: writer.write_numbers(2, row, [0.0]), "1 channels in string"),
            (lambda: writer.write_texts(1, ["a"], [0.0]), "got texts"),
            (lambda: writer.add_stream(1, described("int8")), "holds a stream 1 already"),
            (lambda: writer.add_stream(3, b"<info>"), "cannot be read"),
            (lambda: writer.add_stream(3, b"<info/>"), "cannot be read"),
            (
                lambda: writer.add_stream(3, SENDER_XML.replace(b"float32", b"undefined")),
                "undefined",
            ),
            (lambda: writer.add_stream(3, SENDER_XML.replace(b">2<", b">-2<")), "-2 channels"),
        ):
            with pytest.raises(RecordingError, match=reason):
                call()
        assert writer.position == before
        assert writer.tallies[1].count == 0


def test_boundaries_cannot_be_switched_off(tmp_path):
    with pytest.raises(RecordingError, match="boundary_every_s"):
        XdfWriter(tmp_path / "a.xdf", boundary_every_s=0.0)


def test_pyxdf_has_nothing_to_complain_about(tmp_path, whole, caplog):
    with caplog.at_level(logging.WARNING):
        load(tmp_path / "undisturbed.xdf", synchronize_clocks=True)
    assert not caplog.records
