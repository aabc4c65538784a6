"""The recorder: a process that writes what a session sends it, and outlives the session's death.

It is started by `RecorderLink`. Each message is in the file, in the system's hands, as soon as it
has been read, and on the disk a quarter of a second later; then the session is told so, and may
forget it. A full disk is said, waited for, and costs nothing but memory at the other end.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from ..errors import DiverloopError, RecordingError
from ..wire import decode
from .entries import End
from .frames import TYPES, read_parts
from .layout import TAPE, Begun, Layout
from .manifest import utc_now
from .note_server import NoteServer
from .xdf_read import Header, TextSamples, XdfReader
from .xdf_write import XdfWriter

_SYNC_EVERY_S = 0.25
_RETRY_S = 0.5
_TELL_EVERY = 20  # retries between two words about a full disk


class Recorder:
    """Writes the messages of a pipe into a file.

    Parameters
    ----------
    path : Path
        The file.
    kept_bytes : int
        0 for a new file; else the length to which an earlier recorder had kept everything.
    first : int
        Number of the first message that will come.
    say : callable
        Takes what the session is to be told.
    """

    def __init__(
        self, path: Path, kept_bytes: int, first: int, say: Callable[[dict[str, Any]], None]
    ) -> None:
        self._say = say
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._written = first - 1
        if kept_bytes:
            self._writer, begun = resume(path, kept_bytes)
        else:
            path.unlink(missing_ok=True)  # of a recorder that died before it had kept anything
            self._writer, begun = XdfWriter(path, created_utc=utc_now()), Begun()
        self._layout = Layout(self._writer, self._insist, begun)
        self._kept = (self._written, self._writer.position)

    def run(self, pipe: BinaryIO, folder: Path) -> None:
        """Write until the pipe ends, then finish the file.

        Parameters
        ----------
        pipe : binary file
            Where messages come from.
        folder : Path
            Where to leave word of how notes can be sent.
        """
        syncing = threading.Thread(target=self._keep_syncing, name="sync", daemon=True)
        syncing.start()
        self._say({"ready": True})
        orderly = False
        with NoteServer(folder, self._put), suppress(_ShutDown):
            while (parts := read_parts(pipe)) is not None:
                number, message = decode(parts, TYPES)
                self._put(message, number)
                orderly = isinstance(message, End)
        if not orderly:
            self._put(End(reason="The session went away without a word.", orderly=False))
        self._ended.set()
        syncing.join()
        self._insist(self._writer.finish)
        self._report()
        self._writer.close()

    def _put(self, message: Any, number: int | None = None) -> None:
        with self._lock:
            self._layout.put(message)
            if number is not None:
                self._written = number
            self._kept = (self._written, self._writer.position)

    def _insist(self, act: Callable[[], None]) -> None:
        """Do it until it is done: a full disk may be emptied, and the samples are not lost yet."""
        tries = 0
        while True:
            try:
                act()
                return
            except RecordingError as error:
                if not isinstance(error.__cause__, OSError):
                    raise
                if tries % _TELL_EVERY == 0:
                    self._say({"problem": f"{error} The recorder keeps trying."})
                tries += 1
                threading.Event().wait(_RETRY_S)

    def _keep_syncing(self) -> None:
        while not self._ended.wait(_SYNC_EVERY_S):
            self._report()

    def _report(self) -> None:
        """Bring what is written to the disk, and say how much that is."""
        saved, position = self._kept
        self._insist(self._writer.sync)
        self._say({"saved": saved, "bytes": position})


def resume(path: Path, kept_bytes: int) -> tuple[XdfWriter, Begun]:
    """Open a file whose recorder died.

    Parameters
    ----------
    path : Path
        The file.
    kept_bytes : int
        Its length when it was last known to be whole; what lies behind is cut off.

    Returns
    -------
    writer : XdfWriter
        Ready to go on.
    begun : Begun
        What the layout has to know of what is in it.
    """
    reader = XdfReader(path)
    begun = Begun()
    for chunk in reader:
        if reader.bytes_read > kept_bytes:
            break
        if isinstance(chunk, Header):
            begun.streams[chunk.name] = chunk.stream_id
        elif isinstance(chunk, TextSamples) and chunk.stream_id == TAPE:
            begun.learn(chunk.texts)
        if reader.bytes_read == kept_bytes:
            break
    return XdfWriter.resume(path, kept_bytes, reader.tallies), begun


def main(arguments: list[str]) -> int:
    """Run a recorder: the path of the file, the bytes kept, the first message's number."""
    path, kept_bytes, first = Path(arguments[0]), int(arguments[1]), int(arguments[2])
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "nice"):
        with suppress(OSError):
            os.nice(5)  # the loop goes first
    talk = threading.Lock()

    def say(what: dict[str, Any]) -> None:
        with talk, suppress(OSError):  # a session that has died hears nothing
            sys.stdout.write(json.dumps(what) + "\n")
            sys.stdout.flush()

    try:
        recorder = Recorder(path, kept_bytes, first, say)
    except DiverloopError as error:
        say({"refusal": str(error)})
        return 2
    recorder.run(sys.stdin.buffer, path.parent)
    return 0


class _ShutDown(BaseException):
    """The system is shutting down."""


def _leave(number: int, frame: object) -> NoReturn:
    raise _ShutDown


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
