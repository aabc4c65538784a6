from __future__ import annotations

import os
import resource
import signal
from contextlib import closing
from random import Random

import numpy as np
import pytest

from diverloop.runtime.errors import RecordingError
from diverloop.runtime.record import repair as repairing
from diverloop.runtime.record.entries import End
from diverloop.runtime.record.link import FILE, RecorderLink
from diverloop.runtime.record.note_server import ADDRESS_FILE
from diverloop.runtime.record.reading import open_record
from diverloop.runtime.record.repair import RepairReport, repair
from diverloop.runtime.record.xdf_chunks import stream_xml
from diverloop.runtime.record.xdf_format import BOUNDARY_UUID
from diverloop.runtime.record.xdf_read import Footer, Header, XdfReader
from diverloop.runtime.record.xdf_write import XdfWriter

from .flow import (
    GOODBYE,
    MANIFEST,
    Flow,
    content,
    entries,
    kinds,
    packed,
    pyxdf_streams,
    record,
    until,
)

N_CUTS = 40


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> bytes:
    """A recording that ended well."""
    folder = tmp_path_factory.mktemp("whole")
    record(folder, packed(MANIFEST, *Flow(n_steps=20), GOODBYE))
    return (folder / FILE).read_bytes()


def ends_of(data: bytes, path) -> list[int]:
    """Where the chunks of a file end."""
    path.write_bytes(data)
    reader = XdfReader(path)
    return [reader.bytes_read for _ in reader]


def broken_off(folder, data: bytes):
    path = folder / FILE
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("seed", range(N_CUTS))
def test_a_recording_cut_anywhere_gets_an_end_and_loses_no_whole_chunk(tmp_path, whole, seed):
    first = ends_of(whole, tmp_path / "all.xdf")[2]
    cut = Random(seed).randrange(first, len(whole))
    path = broken_off(tmp_path, whole[:cut])
    before = content(path)
    n_lines = len(entries(path)) if b'{"manifest"' in whole[:cut] else 0
    report = repair(tmp_path)
    assert not report.whole
    assert report.kept_bytes + report.torn_bytes == cut
    repaired = path.read_bytes()
    assert repaired[: report.kept_bytes] == whole[: report.kept_bytes]
    if report.torn_bytes:
        assert report.torn_file == tmp_path / "recording.torn"
        assert report.torn_file.read_bytes() == whole[report.kept_bytes : cut]
    else:
        assert report.torn_file is None
    assert content(path)[: len(before)] == before
    reader = XdfReader(path)
    found = list(reader)
    assert reader.remarks == ()
    headers = [chunk.stream_id for chunk in found if isinstance(chunk, Header)]
    footers = [chunk.stream_id for chunk in found if isinstance(chunk, Footer)]
    assert sorted(footers) == sorted(headers), "one footer for each stream"
    end = entries(path)[-1]
    assert isinstance(end, End)
    assert len(entries(path)) == n_lines + (b'{"end"' not in whole[: report.kept_bytes])
    for stream in (one for named in pyxdf_streams(path).values() for one in named):
        assert int(stream["footer"]["info"]["sample_count"][0]) == len(stream["time_stamps"])
    repaired_at = path.stat().st_mtime_ns
    assert repair(path) == RepairReport(path=path, whole=True, kept_bytes=len(repaired))
    assert (path.read_bytes(), path.stat().st_mtime_ns) == (repaired, repaired_at)


def test_a_whole_recording_is_not_touched(tmp_path, whole):
    path = broken_off(tmp_path, whole)
    before = path.stat()
    report = repair(tmp_path)
    assert report.whole
    assert "nothing was done" in report.sentence()
    assert path.read_bytes() == whole
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert [file.name for file in tmp_path.iterdir()] == [FILE]


def test_a_recording_that_only_lacks_its_footers_is_given_them(tmp_path, whole):
    ends = ends_of(whole, tmp_path / "all.xdf")
    n_footers = sum(isinstance(one, Footer) for one in XdfReader(tmp_path / "all.xdf"))
    path = broken_off(tmp_path, whole[: ends[-1 - n_footers]])
    report = repair(tmp_path)
    assert (report.torn_bytes, report.torn_file) == (0, None)
    assert "nothing had to be taken away" in report.sentence()
    assert entries(path)[-1] == GOODBYE, "the end that is there is the true one"
    assert content(path) == content(tmp_path / "all.xdf")


def test_what_was_repaired_says_so_when_it_is_opened(tmp_path, whole):
    ends = ends_of(whole, tmp_path / "all.xdf")
    broken_off(tmp_path, whole[: ends[len(ends) * 2 // 3] + 5])  # in the middle of a chunk
    (tmp_path / "all.xdf").unlink()
    (remark, *_) = [line for line in open_record(tmp_path).remarks if "repair" in line]
    assert "`diverloop repair`" in remark
    report = repair(tmp_path)
    assert f"{report.torn_bytes} torn bytes" in report.sentence()
    assert any("broke off" in line for line in open_record(tmp_path).remarks)
    assert len(open_record(tmp_path).remarks) == 1


def test_torn_bytes_that_were_kept_before_are_not_overwritten(tmp_path, whole):
    (tmp_path / "recording.torn").write_bytes(b"older")
    broken_off(tmp_path, whole[:-1500])
    report = repair(tmp_path)
    assert report.torn_file.name == "recording.torn-2"
    assert (tmp_path / "recording.torn").read_bytes() == b"older"


def test_garbage_behind_a_whole_file_is_moved_away(tmp_path, whole):
    path = broken_off(tmp_path, whole + b"\x00" * 5000)
    report = repair(tmp_path)
    assert report.torn_bytes == 5000
    assert content(path) == content(broken_off(tmp_path, whole))


def test_damage_in_the_midst_stays_and_is_remarked(tmp_path, whole):
    at = whole.index(BOUNDARY_UUID) if BOUNDARY_UUID in whole else len(whole) // 2
    data = bytearray(whole[:-2000])
    data[at - 400 : at - 300] = bytes(100)
    path = broken_off(tmp_path, bytes(data))
    report = repair(tmp_path)
    assert any("damaged" in remark for remark in report.remarks)
    assert path.read_bytes()[: report.kept_bytes] == data[: report.kept_bytes]
    assert pyxdf_streams(path)


def test_a_file_of_another_program_is_repaired_too(tmp_path):
    path = tmp_path / "other.xdf"
    with closing(XdfWriter(path)) as writer:
        writer.add_stream(3, stream_xml(name="eeg", type="EEG", channel_format="float32"))
        writer.write_numbers(3, np.arange(9, dtype="<f4")[:, None], np.arange(9.0))
    with path.open("ab") as file:
        file.write(b"\x04\x99")
    assert not repair(path).whole
    (stream,) = pyxdf_streams(path)["eeg"]
    assert len(stream["time_series"]) == 9
    assert stream["footer"]["info"]["sample_count"] == ["9"]
    assert (tmp_path / "other.torn").read_bytes() == b"\x04\x99"


def test_a_recording_that_is_being_written_is_refused(tmp_path):
    link = RecorderLink(tmp_path, MANIFEST)
    Flow(n_steps=20).send(link)
    until(lambda: link.unsaved == 0)
    with pytest.raises(
        RecordingError, match=f"still being written, by process {link.recorder_pid}"
    ):
        repair(tmp_path)
    link.close()
    assert kinds(tmp_path) == Flow(n_steps=20).counts
    assert repair(tmp_path).whole


def test_a_recorder_that_was_killed_is_no_hindrance_even_if_nobody_asked_for_its_end(tmp_path):
    link = RecorderLink(tmp_path, MANIFEST)
    Flow(n_steps=20).send(link)
    os.kill(link.recorder_pid, signal.SIGKILL)
    until(lambda: not link._recorder.alive)
    assert (tmp_path / ADDRESS_FILE).exists()
    assert not repair(tmp_path).whole
    link._recorder.finish()


@pytest.mark.parametrize("lives", [True, False])
def test_windows_is_asked_without_a_signal_which_would_be_ctrl_c_there(
    tmp_path, whole, monkeypatch, lives
):
    broken_off(tmp_path, whole[:-1500])
    (tmp_path / ADDRESS_FILE).write_text('{"pid": 7}')
    monkeypatch.setattr(repairing.sys, "platform", "win32")
    monkeypatch.setattr(os, "kill", None)
    monkeypatch.setattr(repairing, "_lives_on_windows", lambda pid: lives and pid == 7)
    if lives:
        with pytest.raises(RecordingError, match="still being written, by process 7"):
            repair(tmp_path)
    else:
        assert not repair(tmp_path).whole


@pytest.mark.parametrize(
    "card",
    ["", "[]", "{}", '{"pid": "no"}', '{"pid": 99999999999999999999}', '{"pid": OWN}'],
)
def test_an_address_that_names_no_living_process_is_no_hindrance(tmp_path, whole, card):
    broken_off(tmp_path, whole[:-1500])
    (tmp_path / ADDRESS_FILE).write_text(card.replace("OWN", str(os.getpid())))
    assert not repair(tmp_path).whole


def test_a_file_that_ends_before_its_first_stream_cannot_be_repaired(tmp_path, whole):
    path = broken_off(tmp_path, whole[:130])
    with pytest.raises(RecordingError, match="nothing in it to repair"):
        repair(tmp_path)
    assert path.read_bytes() == whole[:130]


def test_what_is_no_recording_is_refused(tmp_path):
    with pytest.raises(RecordingError, match="There is no recording"):
        repair(tmp_path)
    (tmp_path / FILE).write_bytes(b"PK\x03\x04")
    with pytest.raises(RecordingError, match="not an XDF file"):
        repair(tmp_path)


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs prlimit of Linux")
def test_without_room_for_the_torn_bytes_nothing_is_cut(tmp_path, whole):
    path = broken_off(tmp_path, whole[:-1500])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        with pytest.raises(RecordingError, match="so nothing was repaired"):
            repair(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.read_bytes() == whole[:-1500]
    assert [file.name for file in tmp_path.iterdir()] == [FILE]
