"""The loop's end of the recorder: a watcher that hands everything on and sees that it is kept.

The recorder is a process of its own. Every message stays in memory here until the recorder says
that it is on the disk; if the recorder dies, another is started, cuts the file back to what was
said to be kept, and is sent the rest again. So a recorder can be killed at any moment and the
file is whole. The loop notices nothing: all of this happens on the watcher's thread.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigError, RecordingError
from ..messages import Chunk, Event, EventKind, Message, Turn
from ..wire import encode
from .entries import End, TurnEntry
from .frames import TOPICS, pack
from .manifest import Manifest
from .tape import Pass

FILE = "recording.xdf"
"""Name of the file in the folder of a session."""

_START_LIMIT_S = 20.0
_RETRY_S = 1.0


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
        The session's folder; the recorder writes `FILE` in it.
    manifest : Manifest
        The first line of the tape.
    config : LinkConfig, optional
        How much may wait.

    Raises
    ------
    RecordingError
        If the recorder cannot be started or cannot write there.
    """

    lossless = True

    def __init__(self, folder: Path, manifest: Manifest, config: LinkConfig | None = None) -> None:
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
        self._told_at_s = -60.0
        self._kept_bytes = 0
        self._closed = False
        self._recorder = _Recorder(folder, 0, 0, self._heard)
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
        """Hand a message to the recorder."""
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
        while not self._all_saved(_RETRY_S):
            if not self._recorder.alive:
                self._replace_recorder()
        self._recorder.finish()
        self.done.set()

    # ---------------------------------------------------------------------------------- sending

    def _send_passes(self) -> None:
        while self._passes:
            self._send(self._passes.popleft())

    def _send(self, message: Any) -> None:
        packed = pack(encode(TOPICS[type(message)], message, self._number))
        self._make_room()
        with self._saved:
            self._unsaved.append(_Unsaved(self._number, packed, time.monotonic()))
            self._waiting_bytes += len(packed)
        self._number += 1
        if not self._recorder.write(packed):
            self._replace_recorder()

    def _make_room(self) -> None:
        limit = self._config.unsaved_mib << 20
        while self._waiting_bytes > limit:
            with self._saved:
                self._saved.wait(_RETRY_S)
            if not self._recorder.alive:
                self._replace_recorder()
            self._complain_of_lag()

    def _replace_recorder(self) -> None:
        """Start another recorder where the last one is known to have kept everything."""
        self._recorder.finish()
        with self._saved:
            waiting = list(self._unsaved)
            kept = self._kept_bytes
        first = waiting[0].number if waiting else self._number
        try:
            self._recorder = _Recorder(self._folder, kept, first, self._heard)
        except RecordingError as error:
            self._complain(f"{error} Messages are kept in memory meanwhile.")
            threading.Event().wait(_RETRY_S)
            return
        self.restarts += 1
        self._complain(
            f"The recorder had died and was started again; {len(waiting)} messages that were not "
            f"on the disk yet are sent again, nothing is lost."
        )
        for unsaved in waiting:
            if not self._recorder.write(unsaved.packed):
                return  # the next message, or `close`, tries again

    # ---------------------------------------------------------------------------------- hearing

    def _heard(self, said: dict[str, Any]) -> None:
        """What the recorder says; on the thread that listens to it."""
        if "problem" in said:
            self._complain(said["problem"])
            return
        with self._saved:
            while self._unsaved and self._unsaved[0].number <= said["saved"]:
                self._waiting_bytes -= len(self._unsaved.popleft().packed)
            self._kept_bytes = said["bytes"]
            self._saved.notify_all()

    def _all_saved(self, timeout_s: float) -> bool:
        with self._saved:
            return self._saved.wait_for(lambda: not self._unsaved, timeout_s)

    def _complain_of_lag(self) -> None:
        with self._saved:
            oldest_s = self._unsaved[0].at_s if self._unsaved else math.inf
        lag_s = time.monotonic() - oldest_s
        if lag_s > self._config.lag_s:
            self._complain(
                f"The recording is {lag_s:.0f} s behind on its way to the disk; nothing is lost "
                f"yet: is the disk full or slow?"
            )

    def _complain(self, text: str) -> None:
        now_s = time.monotonic()
        if now_s - self._told_at_s < 10 and "died" not in text:
            return
        self._told_at_s = now_s
        self.tell(Event(kind=EventKind.RECORDER, text=text, at_ns=time.monotonic_ns()))


@dataclass(frozen=True, slots=True)
class _Unsaved:
    number: int
    packed: bytes
    at_s: float


class _Recorder:
    """The process, the pipe to it, and the thread that listens to what it says."""

    def __init__(
        self, folder: Path, kept_bytes: int, first: int, heard: Callable[[dict[str, Any]], None]
    ) -> None:
        command = [
            sys.executable, "-m", "diverloop.runtime.record.recorder",
            str(folder / FILE), str(kept_bytes), str(first),
        ]  # fmt: skip
        # A session of its own: Ctrl-C in the terminal is for the loop, which then says goodbye.
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        self.pid = self._process.pid
        self._heard = heard
        self._ready = threading.Event()
        self._refusal = ""
        self._listener = threading.Thread(target=self._listen, name="recorder", daemon=True)
        self._listener.start()
        if not self._ready.wait(_START_LIMIT_S):
            self._refusal = f"it did not answer within {_START_LIMIT_S:g} s."
        if self._refusal or not self.alive:
            self.finish()
            raise RecordingError(
                f"The recorder cannot work: {self._refusal or 'it ended at once.'}"
            )

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def write(self, packed: bytes) -> bool:
        """Whether it could be handed over; waits while the recorder is busy."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(packed)
            self._process.stdin.flush()
        except (OSError, ValueError):
            return False
        return True

    def finish(self) -> None:
        """Close the pipe and wait for the end; kill it if it is stuck."""
        assert self._process.stdin is not None
        with suppress(OSError, ValueError):
            self._process.stdin.close()
        try:
            self._process.wait(_START_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listener.join()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said = json.loads(line)
            if "refusal" in said:
                self._refusal = said["refusal"]
            elif "ready" not in said:
                self._heard(said)
            self._ready.set()
        self._ready.set()
