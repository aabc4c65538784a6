"""The loop's end of the recorder: a watcher that hands everything on and sees that it is kept.

The recorder is a process of its own. Every message stays in memory here until the recorder says
that it is on the disk; if the recorder dies, another is started, cuts the file back to what was
said to be kept, and is sent the rest again. So a recorder can be killed at any moment and the
file is whole. The loop notices nothing: all of this happens on the watcher's thread, and that
waits for the recorder only when too much is on its way.
"""

from __future__ import annotations

import json
import math
import os
import select
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ..errors import ConfigError, RecordingError
from ..messages import Chunk, Event, EventKind, Message, Turn
from ..wire import encode
from .entries import End, TurnEntry
from .frames import TOPICS, Kept, pack
from .manifest import Manifest
from .starts import Starts
from .tape import Pass

FILE = "recording.xdf"
"""Name of the file in the folder of a session."""

_START_LIMIT_S = 20.0
_RETRY_S = 1.0
_PATIENCE_S = 0.25
_TELL_EVERY_S = 10.0
_FINISH_TRIES = 5
_PIPE_BYTES = 1 << 20  # the most that a user may have on Linux, and more than any message of ours
_UNENCODABLE = (
    TypeError, ValueError, LookupError, OverflowError, NotImplementedError, msgspec.MsgspecError,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkConfig:
    """How much may wait for the recorder.

    Parameters
    ----------
    unsaved_mib : int
        What may be on its way to the disk, 1 to 65536 MiB; beyond it the messages wait in the
        loop's mailbox, and beyond that they are dropped and counted.
    lag_s : float
        Age of the oldest message that is not on the disk at which people are told, 1 to 60 s.
    """

    unsaved_mib: int = 512
    lag_s: float = 3.0

    def __post_init__(self) -> None:
        if not 1 <= self.unsaved_mib <= 65536:
            raise ConfigError(
                f"record.unsaved_mib must be in [1, 65536] MiB, got {self.unsaved_mib}."
            )
        if not 1 <= self.lag_s <= 60:
            raise ConfigError(f"record.lag_s must be in [1, 60] s, got {self.lag_s} s.")


class RecorderLink:
    """Starts the recorder, feeds it, and replaces it when it dies.

    Parameters
    ----------
    folder : Path
        The session's folder; the recorder writes `FILE` in it, which must not be there yet.
    manifest : Manifest
        The first line of the tape.
    config : LinkConfig, optional
        How much may wait.
    start : callable, optional
        What starts a recorder; a process by default.

    Raises
    ------
    RecordingError
        If the recorder cannot be started or cannot write there.
    """

    lossless = True

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        config: LinkConfig | None = None,
        start: Starts | None = None,
    ) -> None:
        self.tell: Callable[[Event], None] = lambda event: None
        """Who hears of trouble; set it to ``Loop.tell``."""
        self.restarts = 0
        self.watched = False
        """Whether a loop has handed anything over: it will close this link, then."""
        self.done = threading.Event()
        """Set once everything is on the disk and the recorder has gone."""
        self._folder = folder
        self._config = config or LinkConfig()
        self._passes: deque[Pass] = deque()
        self._unsaved: deque[_Unsaved] = deque()
        self._saved = threading.Condition()
        self._waiting_bytes = 0
        self._number = 0
        self._told_at_s: dict[str, float] = {}
        self._kept = Kept()
        self._closed = False
        self._retry_at_s = time.monotonic() + _RETRY_S
        self._start: Starts = start or _Recorder
        self._recorder = self._start(folder, self._kept, 0, self._heard)
        self._recorder.await_beginning()
        self._send(manifest)

    @property
    def recorder_pid(self) -> int:
        """Process number of the present recorder."""
        return self._recorder.pid

    @property
    def unsaved(self) -> int:
        """How many messages are not known to be on the disk yet."""
        return len(self._unsaved)

    def post(self, entry: Pass) -> None:
        """Take a pass of the tape; it is sent with the next message. For the loop's thread."""
        self._passes.append(entry)

    def watch(self, message: Message) -> None:
        """Hand a message to the recorder; waits only while more than allowed is unsaved."""
        self.watched = True
        self._send_passes()
        if isinstance(message, Turn):
            self._send(TurnEntry.of(message))
        elif isinstance(message, Chunk) and message.received:
            # The rows are in it as they were sent: no need to send them twice.
            nothing = np.empty((message.samples.shape[0], 0), np.float32)
            self._send(replace(message, samples=nothing))
        else:
            self._send(message)
        self._complain_of_lag()

    def close(self) -> None:
        """Say goodbye and wait until everything is on the disk. Twice is harmless."""
        if self._closed:
            return
        self._closed = True
        self._send_passes()
        self._send(End(reason="The session ended.", orderly=True))
        self._wait_until(lambda: not self._unsaved)
        for _ in range(_FINISH_TRIES):
            if self._recorder.finish():
                break
            # Everything is on the disk; what it died over are the footers.
            self._replace_recorder()
        else:
            self._recorder.finish()
        self.done.set()

    # ---------------------------------------------------------------------------------- sending

    def _send_passes(self) -> None:
        while self._passes:
            self._send(self._passes.popleft())

    def _send(self, message: Any) -> None:
        try:
            packed = pack(encode(TOPICS[type(message)], message, self._number))
        except _UNENCODABLE as error:
            self._complain(
                "unencodable",
                f"A {type(message).__name__} could not be recorded ({error}), all else goes on: "
                f"this is a fault of the program, please report it.",
            )
            return
        most = self._config.unsaved_mib << 20
        self._wait_until(lambda: self._waiting_bytes <= most)
        with self._saved:
            self._unsaved.append(_Unsaved(self._number, packed, time.monotonic()))
            self._waiting_bytes += len(packed)
        self._number += 1
        self._recorder.take(packed)
        self._see_to_recorder()

    def _wait_until(self, so: Callable[[], bool]) -> None:
        """Keep the recorder at work until something is so."""
        while not so():
            self._see_to_recorder()
            if not self._recorder.push():
                self._recorder.await_room(_PATIENCE_S)
            else:
                with self._saved:
                    self._saved.wait_for(so, _PATIENCE_S)
            self._complain_of_lag()

    def _see_to_recorder(self) -> None:
        if not self._recorder.alive and time.monotonic() >= self._retry_at_s:
            self._replace_recorder()

    def _replace_recorder(self) -> None:
        """Start another recorder where the last one is known to have kept everything."""
        self._retry_at_s = time.monotonic() + _RETRY_S
        self._recorder.finish()  # what it had said is heard, then
        refusal = self._recorder.refusal
        with self._saved:
            waiting = list(self._unsaved)
            kept = self._kept
        first = waiting[0].number if waiting else self._number
        try:
            self._recorder = self._start(self._folder, kept, first, self._heard)
        except RecordingError as error:
            refusal = str(error)
        else:
            self.restarts += 1
            for unsaved in waiting:
                self._recorder.take(unsaved.packed)
        if refusal:
            self._complain("refusal", f"{refusal} Messages are kept in memory meanwhile.")
        else:
            self._complain(
                "death",
                f"The recorder had died and was started again; {len(waiting)} messages that were "
                f"not on the disk yet are sent again, nothing is lost.",
            )

    # ---------------------------------------------------------------------------------- hearing

    def _heard(self, said: dict[str, Any]) -> None:
        """What the recorder says; on the thread that listens to it."""
        if "problem" in said:
            self._complain("problem", said["problem"])
            return
        with self._saved:
            while self._unsaved and self._unsaved[0].number <= said["saved"]:
                self._waiting_bytes -= len(self._unsaved.popleft().packed)
            self._kept = Kept(**said["kept"])
            self._saved.notify_all()

    def _complain_of_lag(self) -> None:
        with self._saved:
            oldest_s = self._unsaved[0].at_s if self._unsaved else math.inf
        lag_s = time.monotonic() - oldest_s
        if lag_s > self._config.lag_s:
            self._complain(
                "lag",
                f"The recording is {lag_s:.0f} s behind on its way to the disk; nothing is lost "
                f"yet: is the disk full or slow?",
            )

    def _complain(self, of: str, text: str) -> None:
        """Tell people of a trouble; of each sort once in a while, because most come in swarms."""
        now_s = time.monotonic()
        if now_s - self._told_at_s.get(of, -math.inf) < _TELL_EVERY_S:
            return
        self._told_at_s[of] = now_s
        self.tell(Event(kind=EventKind.RECORDER, text=text, at_ns=time.monotonic_ns()))


@dataclass(frozen=True, slots=True)
class _Unsaved:
    number: int
    packed: bytes
    at_s: float


class _Recorder:
    """The process, the pipe to it, and the thread that listens to what it says.

    A message for which the pipe has no room waits here: it goes with the next `take` or `push`.
    """

    def __init__(
        self, folder: Path, kept: Kept, first: int, heard: Callable[[dict[str, Any]], None]
    ) -> None:
        command = [
            sys.executable, "-m", "diverloop.runtime.record.recorder",
            str(folder / FILE), json.dumps(asdict(kept)), str(first),
        ]  # fmt: skip
        try:
            # A session of its own: Ctrl-C in the terminal is for the loop, which says goodbye then.
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
            )
        except OSError as error:
            raise RecordingError(f"The recorder cannot be started: {error}.") from error
        assert self._process.stdin is not None
        self._pipe = self._process.stdin.fileno()
        _unblock(self._pipe)
        self.pid = self._process.pid
        self.refusal = ""
        """Why it would not begin; empty while there is no reason."""
        self._heard = heard
        self._waiting: deque[memoryview] = deque()
        self._answered = threading.Event()
        self._ready = False
        self.alive = True
        self._listener = threading.Thread(target=self._listen, name="recorder", daemon=True)
        self._listener.start()

    def await_beginning(self) -> None:
        """Return when it has begun its file; raise `RecordingError` if it does not."""
        if not self._answered.wait(_START_LIMIT_S):
            self._process.kill()
        if not self._ready:
            self.finish()
            limit = f"The recorder did not begin within {_START_LIMIT_S:g} s, or ended at once."
            raise RecordingError(self.refusal or limit)

    def take(self, packed: bytes) -> None:
        """Hand a message over, now or when there is room."""
        self._waiting.append(memoryview(packed))
        self.push()

    def push(self) -> bool:
        """Put into the pipe what there is room for; whether nothing is left."""
        try:
            while self._waiting:
                rest = self._waiting[0][os.write(self._pipe, self._waiting[0]) :]
                if rest:
                    self._waiting[0] = rest
                else:
                    self._waiting.popleft()
        except BlockingIOError:
            return False
        except OSError:
            self._waiting.clear()  # it has died: the next one will be sent all of it
        return True

    def await_room(self, limit_s: float) -> None:
        """Return when the pipe has room, or after so long."""
        room = select.poll()
        room.register(self._pipe, select.POLLOUT)
        room.poll(limit_s * 1e3)

    def finish(self) -> bool:
        """Close the pipe and wait for the end, or make one; whether it was a good one."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._pipe = -1  # the number may soon be that of another file
        with suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(_START_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listener.join()
        self._process.stdout.close()
        return self._process.returncode == 0

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                said = json.loads(line)
            except ValueError:  # it was killed in the middle of a word
                continue
            if "refusal" in said:
                self.refusal = f"The recorder cannot work: {said['refusal']}"
            elif "ready" in said:
                self._ready = True
                self._answered.set()
            else:
                self._heard(said)
        self.alive = False
        self._answered.set()


def _unblock(pipe: int) -> None:
    """Let writing to a full pipe fail instead of wait; where that is not to be had, it waits."""
    if not hasattr(select, "poll"):  # Windows: nothing there tells when a pipe has room again
        return
    with suppress(AttributeError, OSError):
        os.set_blocking(pipe, False)
    if sys.platform == "linux":
        import fcntl

        with suppress(OSError):  # this user has a lower limit
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
