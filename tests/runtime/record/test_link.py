"""The real recorder, a process of its own, with a real pipe and a real file."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest

from diverloop.runtime.errors import ConfigError, RecordingError
from diverloop.runtime.messages import Chunk, Event, EventKind, Marker
from diverloop.runtime.record import link as link_module
from diverloop.runtime.record.contents import Note
from diverloop.runtime.record.entries import End
from diverloop.runtime.record.link import FILE, LinkConfig, RecorderLink
from diverloop.runtime.record.note_server import ADDRESS_FILE, send_note
from diverloop.runtime.record.reading import open_record
from diverloop.runtime.record.repair import repair

from .flow import (
    FROM_LSL,
    INT16,
    MANIFEST,
    N_CHANNELS,
    N_ROWS,
    SIMULATED,
    Flow,
    at_ns,
    content,
    entries,
    kinds,
    lsl_chunk,
    pyxdf_streams,
    rows,
    stamps_s,
    undisturbed,
    until,
)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """A test has no second to wait before it starts the next recorder."""
    monkeypatch.setattr(link_module, "_RETRY_S", 0.02)


def test_where_nothing_tells_when_a_pipe_has_room_it_is_left_to_wait(monkeypatch):
    ours, theirs = os.pipe()
    monkeypatch.delattr(link_module.select, "poll")
    link_module._unblock(theirs)
    assert os.get_blocking(theirs)
    os.close(ours)
    os.close(theirs)


class Told:
    """A link whose complaints are kept."""

    def __init__(self, folder: Path, config: LinkConfig | None = None) -> None:
        self.link = RecorderLink(folder, MANIFEST, config)
        self.events: list[Event] = []
        self.link.tell = self.events.append

    @property
    def text(self) -> str:
        return " ".join(event.text for event in self.events)


def kill(link: RecorderLink, how: int = signal.SIGKILL) -> None:
    os.kill(link.recorder_pid, how)


def gone(pid: int) -> bool:
    """Whether a process has ended; a zombie has."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


@contextmanager
def in_background(act, *arguments) -> Iterator[threading.Thread]:
    """Do something on another thread; it has to be done at the end of the block, or soon after."""
    thread = threading.Thread(target=act, args=arguments, daemon=True)
    thread.start()
    yield thread
    until(lambda: not thread.is_alive(), "the end of the other thread")


def test_everything_that_was_sent_is_in_the_file_for_pyxdf_and_for_us(tmp_path):
    flow = Flow(n_steps=60)
    link = RecorderLink(tmp_path, MANIFEST)
    flow.send(link)
    link.close()
    assert link.done.is_set()
    assert link.unsaved == 0
    assert kinds(tmp_path) == flow.counts
    streams = pyxdf_streams(tmp_path / FILE)
    signal_stream, marker_stream = streams["amp"]
    sent = np.concatenate([rows(n) for n in range(60)])
    assert signal_stream["time_series"].dtype == np.int16
    np.testing.assert_array_equal(signal_stream["time_series"], sent)
    np.testing.assert_array_equal(
        signal_stream["time_stamps"], np.concatenate([stamps_s(n) for n in range(60)])
    )
    assert set(signal_stream["clock_values"]) == {-1000.0, -1000.0001, -1000.0002}
    assert [row[0] for row in marker_stream["time_series"]] == [
        f"amp {n}" for n in (6, 19, 32, 45, 58)
    ]
    assert len(streams["cues"][0]["time_series"]) == 12
    assert len(streams["keys"][0]["time_series"]) == 7
    assert len(streams["diverloop-decisions"][0]["time_series"]) == 60
    assert len(streams["diverloop-events"][0]["time_series"]) == 9
    for stream in (one for named in streams.values() for one in named):
        assert int(stream["footer"]["info"]["sample_count"][0]) == len(stream["time_series"])
    record = open_record(tmp_path)
    assert record.remarks == ()
    assert record.n_times == 600
    np.testing.assert_array_equal(record.samples(), INT16.to_microvolts(sent))
    assert len(record.turns) == 60
    assert record.manifest == MANIFEST


def test_what_is_read_back_is_what_was_sent(tmp_path):
    flow = Flow()
    link = RecorderLink(tmp_path, MANIFEST)
    flow.send(link)
    link.close()
    chunks = [entry for entry in entries(tmp_path) if isinstance(entry, Chunk)]
    for n, chunk in enumerate(chunks):
        sent = lsl_chunk(n)
        np.testing.assert_array_equal(chunk.samples, sent.samples)
        bare = {"samples": sent.samples, "received": (), "rows": ()}
        assert replace(chunk, samples=sent.samples) == replace(sent, **bare)
    assert len(chunks) == 40


@pytest.mark.parametrize("spec", [FROM_LSL, SIMULATED], ids=["lsl", "simulated"])
@pytest.mark.parametrize("seed", range(2))
def test_a_recorder_killed_at_random_moments_leaves_the_file_of_an_undisturbed_run(
    tmp_path, spec, seed
):
    flow = Flow(n_steps=120, spec=spec)
    random = Random(seed)
    moments = set(random.sample(range(300), 3))
    told = Told(tmp_path)
    link = told.link

    def between(n: int) -> None:
        if n in moments:
            kill(link)
        elif random.random() < 0.02:
            # Now and then the disk is a little ahead, so that not all has to be sent again.
            seen = link.unsaved
            until(lambda: link.unsaved < seen or seen == 0 or not link._recorder.alive)

    flow.send(link, between)
    link.close()
    assert link.restarts >= 1
    assert "nothing is lost" in told.text
    assert content(tmp_path / FILE) == undisturbed(flow)


def test_a_recorder_that_is_killed_again_and_again_loses_nothing(tmp_path):
    flow = Flow(n_steps=80)
    told = Told(tmp_path)

    def between(n: int) -> None:
        if n % 20 == 10:
            kill(told.link)
            until(lambda: not told.link._recorder.alive)
            until(lambda: time.monotonic() > told.link._retry_at_s)

    flow.send(told.link, between)
    told.link.close()
    assert told.link.restarts >= 8
    assert content(tmp_path / FILE) == undisturbed(flow)
    deaths = [event for event in told.events if "died" in event.text]
    assert len(deaths) == 1, "a swarm of deaths is told once in a while"
    assert deaths[0].kind == EventKind.RECORDER


@pytest.mark.parametrize("seed", range(3))
def test_a_recorder_killed_while_the_link_is_closing_is_replaced(tmp_path, seed):
    flow = Flow(n_steps=30)
    random = Random(seed)
    told = Told(tmp_path)
    link = told.link
    flow.send(link)
    with in_background(link.close):
        for _ in range(3):
            # Anywhere between the goodbye and the last footer.
            threading.Event().wait(random.uniform(0, 0.3))
            try:
                kill(link)
            except ProcessLookupError:
                break
    assert link.done.is_set()
    assert content(tmp_path / FILE) == undisturbed(flow)
    assert repair(tmp_path).whole


def test_a_recorder_killed_over_the_footers_is_replaced(tmp_path):
    flow = Flow(n_steps=5)
    link = RecorderLink(tmp_path, MANIFEST)
    flow.send(link)
    real, killed = link._recorder.finish, []

    def finish() -> bool:
        if not killed:
            killed.append(link.recorder_pid)
            kill(link)
        return real()

    link._recorder.finish = finish
    link.close()
    assert link.restarts == 1
    assert link.recorder_pid not in killed
    assert content(tmp_path / FILE) == undisturbed(flow)


def test_a_recorder_that_stands_still_makes_the_watcher_wait_and_people_hear_of_it(tmp_path):
    told = Told(tmp_path, LinkConfig(unsaved_mib=1, lag_s=1.0))
    link = told.link
    link.watch(FROM_LSL)
    until(lambda: link.unsaved == 0)
    kill(link, signal.SIGSTOP)
    n_events, text = 400, "x" * 10_000
    sent = []

    def send() -> None:
        for n in range(n_events):
            link.watch(Event(kind=EventKind.GAP, text=f"{n} {text}", at_ns=at_ns(n)))
            sent.append(n)

    with in_background(send) as thread:
        until(lambda: "behind" in told.text, "a word about the lag")
        assert thread.is_alive()
        assert len(sent) < n_events
        assert 1 << 20 < link._waiting_bytes < (1 << 20) + 20_000
        kill(link, signal.SIGCONT)
    link.close()
    assert link.restarts == 0
    assert {event.kind for event in told.events} == {EventKind.RECORDER}
    texts = [entry.text for entry in entries(tmp_path) if isinstance(entry, Event)]
    assert texts == [f"{n} {text}" for n in range(n_events)]


def test_a_watcher_does_not_wait_for_a_recorder_that_stands_still_while_memory_lasts(tmp_path):
    link = RecorderLink(tmp_path, MANIFEST)
    kill(link, signal.SIGSTOP)
    flow = Flow(n_steps=2000)
    flow.send(link)
    assert link.unsaved > 6000
    assert link._recorder.push() is False, "more than the pipe holds is waiting"
    kill(link, signal.SIGCONT)
    link.close()
    assert kinds(tmp_path) == flow.counts


def test_a_recorder_that_is_killed_while_it_stands_still_is_replaced(tmp_path):
    flow = Flow(n_steps=50)
    told = Told(tmp_path)
    kill(told.link, signal.SIGSTOP)
    flow.send(told.link)
    kill(told.link)
    told.link.close()
    assert content(tmp_path / FILE) == undisturbed(flow)


@pytest.mark.long
def test_a_recorder_that_cannot_start_again_is_tried_at_a_pace_and_told_once(tmp_path, monkeypatch):
    monkeypatch.setattr(link_module, "_RETRY_S", 0.5)
    flow = Flow(n_steps=100)
    told = Told(tmp_path)
    link = told.link
    link.watch(flow.spec)
    until(lambda: link.unsaved == 0)
    (tmp_path / FILE).rename(tmp_path / "elsewhere")
    kill(link)
    until(lambda: not link._recorder.alive)
    for message in list(flow)[1:]:
        link.post(message) if type(message).__name__ == "Pass" else link.watch(message)
    with in_background(link.close):
        until(lambda: "cannot" in told.text, "a refusal")
        until(lambda: link.restarts >= 3)
        (tmp_path / "elsewhere").rename(tmp_path / FILE)
    assert link.restarts < 60
    assert sum("cannot be read" in event.text for event in told.events) == 1
    assert content(tmp_path / FILE) == undisturbed(flow)


def test_a_recorder_that_is_told_to_end_by_the_system_is_replaced_while_the_session_lives(
    tmp_path,
):
    flow = Flow(n_steps=60)
    link = RecorderLink(tmp_path, MANIFEST)

    def between(n: int) -> None:
        if n == 90:
            until(lambda: link.unsaved == 0)
            kill(link, signal.SIGTERM)
            until(lambda: not link._recorder.alive)
            assert entries(tmp_path)[-1] == End(
                reason="The recorder was told to end.", orderly=False
            )
            assert repair(tmp_path).whole

    flow.send(link, between)
    link.close()
    assert link.restarts == 1
    assert content(tmp_path / FILE) == undisturbed(flow)


SESSION = """
import sys
from pathlib import Path
from diverloop.runtime.messages import Event, EventKind, StreamSpec, Channel
from diverloop.runtime.record.link import RecorderLink
from diverloop.runtime.record.manifest import Manifest
link = RecorderLink(Path(sys.argv[1]), Manifest(
    session="s", settings={}, model_sha256="", live=True, started_utc="", started_ns=0))
link.watch(StreamSpec(name="amp", rate_hz=100.0, channels=(Channel(name="C1"),)))
for n in range(200):
    link.watch(Event(kind=EventKind.GAP, text=str(n), at_ns=n))
print(link.recorder_pid, flush=True)
sys.stdin.read()
"""


def test_when_the_session_dies_its_recorder_finishes_the_file(tmp_path):
    command = [sys.executable, "-c", SESSION, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as session:
        recorder = int(session.stdout.readline())
        session.kill()
    until(lambda: gone(recorder), "the end of the recorder")
    assert not (tmp_path / ADDRESS_FILE).exists()
    found = entries(tmp_path)
    assert [entry.text for entry in found if isinstance(entry, Event)] == [
        str(n) for n in range(200)
    ]
    assert found[-1] == End(reason="The session went away without a word.", orderly=False)
    assert open_record(tmp_path).remarks == ("The session went away without a word.",)
    assert repair(tmp_path).whole
    for stream in (one for named in pyxdf_streams(tmp_path / FILE).values() for one in named):
        assert "footer" in stream


@contextmanager
def no_room_for(pid: int, path: Path, n_bytes: int) -> Iterator[None]:
    """A disk that has so many bytes left, for one process: the kernel limits its files."""
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    length = path.stat().st_size if path.exists() else 0
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (length + n_bytes, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


on_linux = pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs prlimit of Linux")


@on_linux
@pytest.mark.parametrize("room", [0, 1, 3000])
def test_a_full_disk_is_told_and_nothing_is_lost_when_there_is_room_again(tmp_path, room):
    flow = Flow(n_steps=100)
    told = Told(tmp_path)
    link = told.link
    link.watch(flow.spec)
    until(lambda: link.unsaved == 0)
    with no_room_for(link.recorder_pid, tmp_path / FILE, room):
        for message in list(flow)[1:]:
            link.post(message) if type(message).__name__ == "Pass" else link.watch(message)
        until(lambda: "keeps trying" in told.text, "a word about the disk")
        assert link.unsaved > 0
        assert not list(tmp_path.glob("*.torn"))
    link.close()
    assert link.restarts == 0
    assert {event.kind for event in told.events} == {EventKind.RECORDER}
    assert content(tmp_path / FILE) == undisturbed(flow)


@on_linux
def test_a_recorder_killed_over_a_full_disk_loses_nothing_either(tmp_path):
    flow = Flow(n_steps=60)
    told = Told(tmp_path)
    link = told.link
    with no_room_for(link.recorder_pid, tmp_path / FILE, 5000):
        flow.send(link)
        until(lambda: "keeps trying" in told.text, "a word about the disk")
        kill(link)
        until(lambda: not link._recorder.alive)
    link.close()
    assert link.restarts == 1
    assert content(tmp_path / FILE) == undisturbed(flow)


@on_linux
def test_a_recorder_that_is_told_to_end_over_a_full_disk_ends(tmp_path):
    flow = Flow(n_steps=60)
    told = Told(tmp_path)
    link = told.link
    with no_room_for(link.recorder_pid, tmp_path / FILE, 5000):
        flow.send(link)
        until(lambda: "keeps trying" in told.text, "a word about the disk")
        kill(link, signal.SIGTERM)
        until(lambda: not link._recorder.alive, "the end of the recorder")
    link.close()
    assert link.restarts == 1
    assert content(tmp_path / FILE) == undisturbed(flow)


def test_messages_larger_than_the_pipe_survive_the_recorder(tmp_path):
    told = Told(tmp_path)
    link = told.link
    link.watch(FROM_LSL)
    sent = [f"{n} {chr(97 + n) * 2_500_000}" for n in range(12)]
    for n, text in enumerate(sent):
        link.watch(Event(kind=EventKind.GAP, text=text, at_ns=at_ns(n)))
        if n in (3, 8):
            kill(link)
            until(lambda: not link._recorder.alive)
            until(lambda: time.monotonic() > link._retry_at_s)
    link.close()
    assert link.restarts == 2
    assert [entry.text for entry in entries(tmp_path) if isinstance(entry, Event)] == sent


def test_a_folder_that_is_not_there_is_refused_in_one_sentence(tmp_path):
    with pytest.raises(RecordingError, match=r"cannot be opened for recording .*[:;] name a"):
        RecorderLink(tmp_path / "nowhere", MANIFEST)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_not_writable_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(RecordingError, match="Permission denied"):
        RecorderLink(tmp_path, MANIFEST)


def test_a_recording_that_is_there_is_never_overwritten(tmp_path):
    (tmp_path / FILE).write_bytes(b"XDF: somebody's evidence")
    with pytest.raises(RecordingError, match="File exists"):
        RecorderLink(tmp_path, MANIFEST)
    assert (tmp_path / FILE).read_bytes() == b"XDF: somebody's evidence"


@on_linux
@pytest.mark.parametrize("room", [0, 50, 1000])
def test_a_disk_that_is_full_at_the_start_is_refused(tmp_path, room):
    with (
        no_room_for(os.getpid(), tmp_path / FILE, room),
        pytest.raises(RecordingError, match="could not be written"),
    ):
        RecorderLink(tmp_path, MANIFEST)


def test_a_recorder_that_does_not_start_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(RecordingError, match="did not begin"):
        RecorderLink(tmp_path, MANIFEST)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    with pytest.raises(RecordingError, match="cannot be started"):
        RecorderLink(tmp_path, MANIFEST)


def test_a_recorder_that_says_nothing_is_refused_after_a_while(tmp_path, monkeypatch):
    mute = tmp_path / "mute"
    mute.write_text("#!/bin/sh\nexec cat >/dev/null\n")
    mute.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(mute))
    monkeypatch.setattr(link_module, "_START_LIMIT_S", 0.2)
    with pytest.raises(RecordingError, match=r"within 0\.2 s"):
        RecorderLink(tmp_path, MANIFEST)


def test_notes_land_in_the_stream_and_on_the_tape(tmp_path):
    link = RecorderLink(tmp_path, MANIFEST)
    Flow(n_steps=3).send(link)
    send_note(tmp_path, "He looks tired. 疲れ", "nurse-2")
    send_note(tmp_path, "Pause")
    link.close()
    record = open_record(tmp_path)
    assert [(note.who, note.text) for note in record.notes] == [
        ("nurse-2", "He looks tired. 疲れ"),
        ("", "Pause"),
    ]
    (stream,) = pyxdf_streams(tmp_path / FILE)["diverloop-notes"]
    assert [row[0] for row in stream["time_series"]] == ["nurse-2: He looks tired. 疲れ", "Pause"]
    assert stream["time_stamps"].tolist() == [note.at_ns / 1e9 for note in record.notes]


def test_a_note_that_was_confirmed_survives_the_recorder(tmp_path):
    link = RecorderLink(tmp_path, MANIFEST)
    link.watch(FROM_LSL)
    for n in range(4):
        before = link.recorder_pid
        until(lambda before=before: recorded_by(tmp_path) == before, "word of the new recorder")
        send_note(tmp_path, f"note {n}")
        kill(link)
        until(lambda: not link._recorder.alive)
        link.watch(lsl_chunk(n))
        assert link.recorder_pid != before
    link.close()
    notes = [entry.text for entry in entries(tmp_path) if isinstance(entry, Note)]
    assert notes == [f"note {n}" for n in range(4)]
    with pytest.raises(RecordingError, match="Nothing is being recorded"):
        send_note(tmp_path, "too late")


def recorded_by(folder: Path) -> int:
    """Process number that the folder names; 0 if there is none."""
    try:
        return json.loads((folder / ADDRESS_FILE).read_text())["pid"]
    except (OSError, ValueError):
        return 0


def test_rows_that_the_mailbox_dropped_do_not_shift_those_that_follow(tmp_path):
    link = RecorderLink(tmp_path, MANIFEST)
    link.watch(FROM_LSL)
    dropped = {3, 4, 9}
    for n in range(14):
        if n not in dropped:
            link.watch(lsl_chunk(n))
        if n == 6:
            kill(link)
            until(lambda: not link._recorder.alive)
    link.close()
    chunks = [entry for entry in entries(tmp_path) if isinstance(entry, Chunk)]
    assert [chunk.first_sample // N_ROWS for chunk in chunks] == sorted(set(range(14)) - dropped)
    for chunk in chunks:
        sent = INT16.to_microvolts(rows(chunk.first_sample // N_ROWS))
        np.testing.assert_array_equal(chunk.samples, sent)


def test_a_message_that_cannot_be_encoded_is_told_and_the_rest_is_recorded(tmp_path):
    flow = Flow(n_steps=10)
    told = Told(tmp_path)
    flow.send(told.link)
    told.link.watch(Event(kind=EventKind.GAP, text=object()))
    told.link.watch(object())
    told.link.close()
    assert "could not be recorded" in told.text
    assert content(tmp_path / FILE) == undisturbed(flow)


def test_a_message_that_cannot_be_written_is_told_and_the_rest_is_recorded(tmp_path):
    flow = Flow(n_steps=10)
    told = Told(tmp_path)
    flow.send(told.link)
    told.link.watch(Event(kind=EventKind.GAP, text="half", count=1.5))
    narrow = np.zeros((4, 2), "<i2")
    chunk = lsl_chunk(10)
    told.link.watch(replace(chunk, received=(replace(chunk.received[0], values=narrow),)))
    until(lambda: told.link.unsaved == 0)
    told.link.close()
    assert "could not be recorded" in told.text
    assert told.link.restarts == 0
    assert kinds(tmp_path) == flow.counts


def test_a_chunk_of_markers_alone_and_an_empty_one_are_kept(tmp_path):
    link = RecorderLink(tmp_path, MANIFEST)
    link.watch(FROM_LSL)
    nothing = np.zeros((N_CHANNELS, 0), np.float32)
    marker = Marker(label="early", sample=0)
    link.watch(Chunk(samples=nothing, first_sample=-1, arrived_ns=at_ns(0), markers=(marker,)))
    empty = replace(lsl_chunk(0).received[0], values=np.zeros((0, 4), "<i2"), stamps_s=np.zeros(0))
    link.watch(Chunk(samples=nothing, first_sample=-1, arrived_ns=at_ns(1), received=(empty,)))
    link.watch(lsl_chunk(0))
    link.close()
    record = open_record(tmp_path)
    assert record.n_times == N_ROWS
    assert record.markers[0].label == "early"
    assert [len(one["time_series"]) for one in pyxdf_streams(tmp_path / FILE)["amp-markers"]] == [1]


@pytest.mark.long
def test_closing_again_and_again_leaves_no_process_thread_or_file_behind(tmp_path):
    def census() -> tuple[set[str], int]:
        return (
            {thread.name for thread in threading.enumerate()},
            len(list(Path("/proc/self/fd").iterdir())),
        )

    def once(n: int) -> int:
        folder = tmp_path / str(n)
        folder.mkdir()
        link = RecorderLink(folder, MANIFEST)
        Flow(n_steps=2).send(link)
        if n % 3 == 1:
            kill(link)
        link.close()
        link.close()
        return link.recorder_pid

    once(0)
    before = census()
    pids = [once(n) for n in range(1, 6)]
    assert census() == before
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids), "no zombie stays"


def test_a_link_that_no_loop_has_used_closes(tmp_path):
    link = RecorderLink(tmp_path, MANIFEST)
    assert not link.watched
    link.close()
    assert kinds(tmp_path) == {"Manifest": 1, "End": 1}


@pytest.mark.parametrize(
    ("name", "value"), [("unsaved_mib", 0), ("unsaved_mib", 65537), ("lag_s", 0.9), ("lag_s", 61)]
)
def test_settings_out_of_range_are_refused(name, value):
    with pytest.raises(ConfigError, match=f"record.{name}"):
        LinkConfig(**{name: value})
