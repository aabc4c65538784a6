"""The recorder: a process that writes what a session sends it, and outlives the session's death.

It is started by `RecorderLink`. Each message is in the file, in the system's hands, as soon as it
has been read, and on the disk a quarter of a second later; then the session is told so, and may
forget it. A full disk is said, waited for, and costs nothing but memory at the other end. A
message that cannot be written at all is said, too, and left out; the next one is another matter.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from traceback import extract_tb
from types import TracebackType
from typing import Any, BinaryIO

from ..errors import DiverloopError, RecordingError
from ..wire import decode
from .contents import Note
from .entries import End
from .frames import TYPES, Kept, read_parts
from .layout import TAPE, Begun, Layout
from .manifest import utc_now
from .note_server import NoteServer
from .xdf_read import Header, TextSamples, XdfReader
from .xdf_write import XdfWriter

_SYNC_EVERY_S = 0.25
_RETRY_S = 0.5
_TELL_EVERY = 20  # retries between two words about a full disk
_NOT_ON_DISK = 3
_GONE = "The session went away without a word."


class Recorder:
    """Writes the messages of a pipe into a file.

    Parameters
    ----------
    path : Path
        The file.
    kept : Kept
        What an earlier recorder of this file said last; of 0 bytes for a new file.
    first : int
        Number of the first message that will come.
    say : callable
        Takes what the session is to be told.

    Raises
    ------
    RecordingError
        If the file is there already, or cannot be gone on with, or written.
    """

    def __init__(
        self, path: Path, kept: Kept, first: int, say: Callable[[dict[str, Any]], None]
    ) -> None:
        self._say = say
        self._putting = threading.Lock()
        self._reporting = threading.Lock()
        self._ended = threading.Event()
        self._running = self._reading = self._leaving = False
        self._written = first - 1
        if kept.bytes:
            self._writer, begun = resume(path, kept)
        else:
            self._writer, begun = XdfWriter(path, created_utc=utc_now()), Begun()
        self._orderly = begun.ended
        self._layout = Layout(self._writer, self._insist, begun)
        self._kept = self._written, self._layout.kept()
        self._report()

    def run(self, pipe: BinaryIO, folder: Path) -> None:
        """Write until the pipe ends or somebody says `leave`, then finish the file.

        Parameters
        ----------
        pipe : binary file
            Where messages come from.
        folder : Path
            Where to leave word of how notes can be sent.
        """
        self._running = True
        syncing = threading.Thread(target=self._keep_syncing, name="sync", daemon=True)
        syncing.start()
        try:
            with NoteServer(folder, self._note, self._say_problem), suppress(_LeaveError):
                self._say({"ready": True})
                while (parts := self._next(pipe)) is not None:
                    self._take(parts)
        finally:
            self._ended.set()
            syncing.join()
        self._report()
        if not self._orderly:
            # After the last word to the session: if it lives, its next recorder cuts this off.
            gone = "The recorder was told to end." if self._leaving else _GONE
            self._layout.put(End(reason=gone, orderly=False))
        self._insist(self._writer.finish)
        self._writer.close()

    def leave(self) -> None:
        """Finish the file once the message in hand is in it. For a signal handler.

        Raises
        ------
        BaseException
            One that `run` waits for, if there is no message in hand.
        """
        self._leaving = True
        if self._reading:
            self._reading = False
            raise _LeaveError

    def _next(self, pipe: BinaryIO) -> list[bytes] | None:
        self._reading = True
        parts = None if self._leaving else read_parts(pipe)
        self._reading = False
        return parts

    def _take(self, parts: list[bytes]) -> None:
        """Write a message; if that cannot be done, it is over and done with all the same."""
        with self._putting:
            with _Bulkhead(self._say_problem):
                _, message = decode(parts, TYPES)
                self._orderly = isinstance(message, End)
                self._layout.put(message)
            self._written += 1
            self._kept = self._written, self._layout.kept()

    def _note(self, note: Note) -> None:
        """Write a note; it is on the disk, and the session knows that, when this returns."""
        with self._putting:
            self._layout.put(note)
            self._kept = self._written, self._layout.kept()
        self._report()

    def _insist(self, act: Callable[[], None]) -> None:
        """Do it until it is done: a full disk may be emptied, and the samples are not lost yet."""
        tries = 0
        while True:
            try:
                act()
                return
            except RecordingError as error:
                if not _of_disk(error) or self._leaving or not self._running:
                    raise
                if tries % _TELL_EVERY == 0:
                    self._say_problem(f"{error} The recorder keeps trying.")
                tries += 1
                threading.Event().wait(_RETRY_S)

    def _keep_syncing(self) -> None:
        while not self._ended.wait(_SYNC_EVERY_S):
            self._report()

    def _report(self) -> None:
        """Bring what is written to the disk, and say how much that is."""
        with self._reporting:  # or an older word could overtake a newer one
            saved, kept = self._kept
            try:
                self._writer.sync()
            except RecordingError as error:
                # A disk that fails here may have forgotten what it had taken: only the session
                # can help, by sending it again to the next recorder.
                if not self._running:
                    raise
                self._say_problem(str(error))
                os._exit(_NOT_ON_DISK)
            self._say({"saved": saved, "kept": asdict(kept)})

    def _say_problem(self, text: str) -> None:
        self._say({"problem": text})


def resume(path: Path, kept: Kept) -> tuple[XdfWriter, Begun]:
    """Open a file whose recorder died.

    Parameters
    ----------
    path : Path
        The file.
    kept : Kept
        Where it was last known to be whole; what lies behind is cut off.

    Returns
    -------
    writer : XdfWriter
        Ready to go on.
    begun : Begun
        What the layout has to know of what is in it.
    """
    reader = XdfReader(path)
    begun = Begun(grid_s=kept.grid_s, row_shift=kept.row_shift)
    for chunk in reader:
        if isinstance(chunk, Header):
            begun.streams[chunk.stream_id] = chunk.name
        elif isinstance(chunk, TextSamples) and chunk.stream_id == TAPE:
            begun.learn(chunk.texts)
        if reader.bytes_read >= kept.bytes:
            break
    return XdfWriter.resume(path, kept.bytes, reader.tallies), begun


def main(arguments: list[str]) -> int:
    """Run a recorder: the path of the file, what is kept as JSON, the first message's number."""
    path, kept, first = Path(arguments[0]), Kept(**json.loads(arguments[1])), int(arguments[2])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "nice"):
        with suppress(OSError):
            os.nice(5)  # the loop goes first
    talk = threading.Lock()

    def say(what: dict[str, Any]) -> None:
        with talk, suppress(OSError):  # a session that has died hears nothing
            os.write(1, json.dumps(what).encode() + b"\n")

    try:
        recorder = Recorder(path, kept, first, say)
    except DiverloopError as error:
        say({"refusal": str(error)})
        return 2
    signal.signal(signal.SIGTERM, lambda *_: recorder.leave())
    try:
        recorder.run(sys.stdin.buffer, path.parent)
    except DiverloopError as error:
        say({"problem": str(error)})
        return 1
    return 0


class _LeaveError(BaseException):
    """Somebody wants the recorder to end while it waits for a message."""


def _of_disk(error: BaseException | None) -> bool:
    return isinstance(error, RecordingError) and isinstance(error.__cause__, OSError)


class _Bulkhead:
    """Keeps what one message does wrong from all others, and says so.

    What the disk or the memory does wrong is no fault of the message: that ends the recorder, and
    the session sends it again.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if kind is None or not issubclass(kind, Exception):
            return False
        if _of_disk(error) or issubclass(kind, OSError | MemoryError):
            return False
        where = extract_tb(trace)[-1]
        self._say(
            f"A message could not be recorded: {kind.__name__}: {error} "
            f"({Path(where.filename).name}, line {where.lineno}); all else goes on."
        )
        return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
