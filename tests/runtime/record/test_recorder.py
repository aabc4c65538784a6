"""The recorder from inside: what it does with a pipe, with a disk, and with an older file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from diverloop.runtime.errors import RecordingError
from diverloop.runtime.record import recorder as recorder_module
from diverloop.runtime.record.entries import End
from diverloop.runtime.record.frames import Kept
from diverloop.runtime.record.layout import FIRST_MARKERS, SIGNAL
from diverloop.runtime.record.link import FILE
from diverloop.runtime.record.note_server import send_note
from diverloop.runtime.record.recorder import Recorder, resume
from diverloop.runtime.record.repair import repair
from diverloop.runtime.record.xdf_read import XdfReader

from .flow import (
    FROM_LSL,
    GOODBYE,
    MANIFEST,
    SIMULATED,
    Flow,
    as_sent,
    content,
    entries,
    kinds,
    packed,
    record,
    undisturbed,
)


def test_the_pipe_becomes_a_file(tmp_path):
    flow = Flow(n_steps=30)
    said = record(tmp_path, packed(MANIFEST, *flow, GOODBYE))
    assert content(tmp_path / FILE) == undisturbed(flow)
    assert said[0]["saved"] == -1, "a new file is on the disk before the session begins"
    assert said[1] == {"ready": True}
    assert said[-1]["saved"] == 1 + len(list(flow))
    assert list(tmp_path.iterdir()) == [tmp_path / FILE], "no address stays"


@pytest.mark.parametrize("missing", [1, 7, 200, 5000])
def test_a_pipe_that_ends_in_the_middle_of_a_message_leaves_a_finished_file(tmp_path, missing):
    flow = Flow(n_steps=30)
    record(tmp_path, packed(MANIFEST, *flow)[:-missing])
    found = entries(tmp_path)
    assert found[-1] == End(reason="The session went away without a word.", orderly=False)
    lost = flow.counts - kinds(tmp_path)
    assert 1 <= lost.total() <= 1 + missing // 50
    assert repair(tmp_path).whole


def test_nothing_but_a_session_may_speak_to_it(tmp_path):
    with pytest.raises(RecordingError, match="not by hand"):
        record(tmp_path, b"hello, is anybody there?")


def test_what_is_said_to_be_kept_is_where_the_file_can_be_cut(tmp_path):
    flow = Flow(n_steps=8)
    messages = [MANIFEST, *flow]
    said: list[dict[str, Any]] = []
    recorder = Recorder(tmp_path / FILE, Kept(), 0, said.append)
    for parts in as_sent(*messages):
        recorder._take(parts)
        recorder._report()
    reader = XdfReader(tmp_path / FILE)
    ends = {reader.bytes_read for _ in reader}
    assert [one["saved"] for one in said] == list(range(-1, len(messages)))
    assert {one["kept"]["bytes"] for one in said} <= ends
    recorder._writer.close()


@pytest.mark.parametrize("spec", [FROM_LSL, SIMULATED], ids=["lsl", "simulated"])
def test_a_file_that_is_gone_on_with_anywhere_becomes_that_of_an_undisturbed_run(tmp_path, spec):
    flow = Flow(n_steps=24, spec=spec)
    parts = as_sent(MANIFEST, *flow, GOODBYE)
    path = tmp_path / FILE
    kept = Kept()
    for n in range(0, len(parts), 3):
        recorder = Recorder(path, kept, n, lambda said: None)
        for one in parts[n : n + 3]:
            recorder._take(one)
        kept = Kept(**json.loads(json.dumps(asdict(recorder._kept[1]))))
        # What the next message left behind when the recorder was killed in the middle of it.
        for one in parts[n + 3 : n + 4]:
            recorder._take(one)
        recorder._writer.close()
        with path.open("ab") as file:
            file.write(b"\x04torn")
    record(tmp_path, b"", kept, len(parts))
    assert content(path) == undisturbed(flow)


def test_a_resumed_file_is_known_again_spec_grid_and_markers(tmp_path):
    flow = Flow(n_steps=30)
    record(tmp_path, packed(MANIFEST, *flow, GOODBYE))
    reader = XdfReader(tmp_path / FILE)
    ends = [reader.bytes_read for _ in reader]
    whole = content(tmp_path / FILE)
    n_footers = len(reader.tallies)
    kept = Kept(bytes=ends[-1 - n_footers], grid_s=12.5, row_shift=-3)
    writer, begun = resume(tmp_path / FILE, kept)
    writer.close()
    assert begun.spec == FROM_LSL
    assert begun.ended
    assert (begun.grid_s, begun.row_shift) == (12.5, -3)
    assert begun.streams[SIGNAL] == "amp"
    assert {begun.streams[FIRST_MARKERS + n] for n in range(3)} == {"cues", "keys", "amp"}
    assert content(tmp_path / FILE) == whole[:-n_footers]


def test_an_end_in_the_midst_of_a_tape_is_no_end(tmp_path):
    record(tmp_path, packed(MANIFEST, GOODBYE, *Flow(n_steps=1)))
    assert entries(tmp_path)[-1] == End(
        reason="The session went away without a word.", orderly=False
    )


def test_a_file_shorter_than_what_was_kept_is_refused(tmp_path):
    record(tmp_path, packed(MANIFEST, *Flow(n_steps=2)))
    length = (tmp_path / FILE).stat().st_size
    with pytest.raises(RecordingError, match="cannot be resumed"):
        Recorder(tmp_path / FILE, Kept(bytes=length + 1), 5, lambda said: None)


def test_a_disk_that_fails_for_a_while_costs_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(recorder_module, "_RETRY_S", 0.001)
    real, failed = os.write, []

    def failing(file: int, data: Any) -> int:
        if len(failed) < 45 and bytes(data[:1]) and begun:
            failed.append(file)
            raise OSError(28, "No space left on device")
        return real(file, data)

    begun: list[bool] = []
    flow = Flow(n_steps=10)
    said: list[dict[str, Any]] = []
    recorder = Recorder(tmp_path / FILE, Kept(), 0, said.append)
    begun.append(True)
    monkeypatch.setattr(os, "write", failing)
    recorder.run(BytesIO(packed(MANIFEST, *flow, GOODBYE)), tmp_path)
    assert content(tmp_path / FILE) == undisturbed(flow)
    problems = [one["problem"] for one in said if "problem" in one]
    assert 1 <= len(problems) <= 3
    assert "No space left" in problems[0]
    assert "keeps trying" in problems[0]


def test_a_disk_that_cannot_keep_what_it_took_ends_the_recorder_before_it_says_saved(
    tmp_path, monkeypatch
):
    said: list[dict[str, Any]] = []
    recorder = Recorder(tmp_path / FILE, Kept(), 0, said.append)
    recorder._running = True

    def failing(file: int) -> None:
        raise OSError(5, "Input/output error")

    class Ended(BaseException):
        pass

    def ended(status: int) -> None:
        raise Ended

    monkeypatch.setattr(os, "fdatasync", failing)
    monkeypatch.setattr(os, "_exit", ended)
    recorder._take(*as_sent(MANIFEST))
    n_said = len(said)
    with pytest.raises(Ended):
        recorder._report()
    assert "Input/output error" in said[n_said]["problem"]
    assert len(said) == n_said + 1
    recorder._writer.close()


def test_an_older_word_never_overtakes_a_newer_one(tmp_path):
    said: list[dict[str, Any]] = []
    recorder = Recorder(tmp_path / FILE, Kept(), 0, said.append)
    (parts,) = as_sent(MANIFEST)
    stop = threading.Event()

    def report() -> None:
        while not stop.is_set():
            recorder._report()

    threads = [threading.Thread(target=report) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(300):
        recorder._take(parts)
    stop.set()
    for thread in threads:
        thread.join()
    told = [(one["saved"], one["kept"]["bytes"]) for one in said]
    assert told == sorted(told)
    recorder._writer.close()


@contextmanager
def process(folder: Path, *arguments: str):
    """A recorder as the link starts it."""
    command = [sys.executable, "-m", "diverloop.runtime.record.recorder"]
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    arguments = arguments or (str(folder / FILE), "{}", "0")
    with subprocess.Popen([*command, *arguments], **options) as started:
        try:
            yield started
        finally:
            started.kill()


def await_ready(started: subprocess.Popen) -> None:
    while "ready" not in json.loads(started.stdout.readline()):
        pass


@pytest.mark.parametrize("quiet", [True, False])
def test_it_finishes_the_file_when_the_system_tells_it_to_end(tmp_path, quiet):
    flow = Flow(n_steps=200)
    with process(tmp_path) as started:
        await_ready(started)
        data = packed(MANIFEST, *flow)
        started.stdin.write(data)
        started.stdin.flush()
        if quiet:
            while json.loads(started.stdout.readline()).get("saved", 0) < len(list(flow)):
                pass
        started.send_signal(signal.SIGTERM)
        started.wait(30)
        assert started.returncode == 0
        assert started.stderr.read() == b""
    assert entries(tmp_path)[-1] == End(reason="The recorder was told to end.", orderly=False)
    assert repair(tmp_path).whole
    chunks = [line for line in content(tmp_path / FILE) if "'texts'" in line]
    assert (
        chunks[: len(chunks) // 2]
        == [line for line in undisturbed(flow) if "'texts'" in line][: len(chunks) // 2]
    )
    if quiet:
        assert kinds(tmp_path) == flow.counts


def test_ctrl_c_in_the_terminal_is_not_for_the_recorder(tmp_path):
    with process(tmp_path) as started:
        await_ready(started)
        started.send_signal(signal.SIGINT)
        started.stdin.write(packed(MANIFEST, GOODBYE))
        started.stdin.close()
        started.wait(30)
    assert started.returncode == 0
    assert entries(tmp_path)[-1] == GOODBYE


def test_it_says_why_it_cannot_begin(tmp_path):
    with process(tmp_path, str(tmp_path / "no" / FILE), "{}", "0") as started:
        said = json.loads(started.stdout.readline())
        assert started.wait(30) == 2
    assert "cannot be opened for recording" in said["refusal"]


def test_a_session_that_is_gone_does_not_make_it_complain(tmp_path):
    with process(tmp_path) as started:
        await_ready(started)
        started.stdout.close()
        started.stdin.write(packed(MANIFEST, *Flow(n_steps=3), GOODBYE))
        started.stdin.close()
        assert started.wait(30) == 0
        assert started.stderr.read() == b""
    assert entries(tmp_path)[-1] == GOODBYE


def test_a_note_is_confirmed_when_it_is_on_the_disk_and_the_session_knows(tmp_path):
    with process(tmp_path) as started:
        await_ready(started)
        started.stdin.write(packed(MANIFEST))
        started.stdin.flush()
        send_note(tmp_path, "now", "me")
        started.kill()
        words = [json.loads(line) for line in started.stdout]
    # The manifest may be written before the note or behind it.
    known = (tmp_path / FILE).read_bytes()[: words[-1]["kept"]["bytes"]]
    assert b"me: now" in known


def test_a_folder_in_which_no_address_can_be_left_is_told_and_recorded_in(tmp_path):
    (tmp_path / "recorder.json").mkdir()
    said = record(tmp_path, packed(MANIFEST, *Flow(n_steps=2), GOODBYE))
    assert any("Notes cannot be sent" in one.get("problem", "") for one in said)
    assert entries(tmp_path)[-1] == GOODBYE
