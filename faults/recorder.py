"""The recorder in a thread: for trials that are over before a process would have started."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..runtime.record.frames import Kept
from ..runtime.record.link import FILE
from ..runtime.record.recorder import Recorder


class ThreadRecorder:
    """The recorder in a thread of this process: a process takes a second to start."""

    def __init__(
        self, folder: Path, kept: Kept, first: int, heard: Callable[[dict[str, Any]], None]
    ) -> None:
        self.pid, self.refusal, self.alive = os.getpid(), "", True
        ours, theirs = os.pipe()
        self._pipe = os.fdopen(theirs, "wb")
        self._begun = threading.Event()
        self._heard = heard
        recorder = Recorder(folder / FILE, kept, first, self._hear)
        self._thread = threading.Thread(
            target=self._run, args=(recorder, ours, folder), name="recorder", daemon=True
        )
        self._thread.start()

    def await_beginning(self) -> None:
        """Wait until it has begun."""
        self._begun.wait()

    def take(self, packed: bytes) -> None:
        """Hand a message over; waits while the pipe is full."""
        self._pipe.write(packed)
        self._pipe.flush()

    def push(self) -> bool:
        """Nothing ever waits here."""
        return True

    def await_room(self, limit_s: float) -> None:
        """There is room."""

    def finish(self) -> bool:
        """Close the pipe, and wait for the end."""
        if not self._pipe.closed:
            self._pipe.close()
        self._thread.join()
        return True

    def _hear(self, said: dict[str, Any]) -> None:
        if "ready" in said:
            self._begun.set()
        else:
            self._heard(said)

    def _run(self, recorder: Recorder, pipe: int, folder: Path) -> None:
        with os.fdopen(pipe, "rb") as readable:
            recorder.run(readable, folder)
        self.alive = False
