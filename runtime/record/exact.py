"""Exact replay: the same loop, given again what determined it.

Clock, source, guard, promotions, inbox and sinks are stand-ins that answer as the tape says; the loop
cannot tell, and there is no other code. If the loop ever asks for something that the recorded one
did not ask for, the replay stops there with `ReplayDivergedError`: it is another run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import RecordingError, ReplayDivergedError
from ..messages import Chunk, Command, Decision, Event, Promotion, StreamSpec
from ..promotion import Promotions
from ..stages import Adapter
from .entries import End, Entry, TurnEntry
from .manifest import Manifest
from .reading import TapeReader
from .tape import BROKEN, CHUNK, Pass, ReplayedGuard, ReplayedInbox

_OTHER = "it is not the same program, configuration or model."


class ExactReplay:
    """The tape of a recorded session, and the stand-ins that read from it; a clock itself.

    What is on the tape is taken in the order of each kind: passes may stand before the messages
    that belong to them, because they travel lighter.

    Parameters
    ----------
    path : str or Path
        A session's folder, or its file.
    adapter_of : callable
        Makes an adapter from a recorded `Promotion`.

    Raises
    ------
    RecordingError
        If it cannot be read, or breaks off before the stream was opened.
    """

    def __init__(self, path: str | Path, adapter_of: Callable[[Promotion], Adapter]) -> None:
        self._reader = TapeReader(path)
        self._entries: Iterator[Entry | Chunk] = iter(self._reader)
        self._adapter_of = adapter_of
        self._passes: deque[Pass] = deque()
        self._chunks: deque[Chunk] = deque()
        self._promoted: deque[Promotion] = deque()
        self._results: deque[TurnEntry | Event] = deque()
        self._acted: deque[TurnEntry] = deque()
        self._readings: deque[int] = deque()
        self._number = -1
        self.diverged = False
        """Whether the replay stopped with `ReplayDivergedError`."""
        self.end: End | None = None
        self.manifest: Manifest | None = None
        self.spec: StreamSpec | None = None
        self.guard = ReplayedGuard()
        self.promotions = Promotions()
        self.inbox = ReplayedInbox()
        while self.spec is None and (entry := next(self._entries, None)) is not None:
            self._take(entry)
        if not self._has(self._passes) or self.spec is None or self.manifest is None:
            raise RecordingError(
                f"{self._reader.file} breaks off before the first pass of the loop was over: "
                f"there is nothing to replay in it."
            )
        self._begin_pass()

    def now_ns(self) -> int:
        """What the recorded clock said when it was asked here.

        Raises
        ------
        ReplayDivergedError
            If it was not asked.
        """
        if not self._readings:
            raise self._diverged(
                f"In pass {self._number} the loop asked for the time once more than the "
                f"recorded one did: {_OTHER}"
            )
        return self._readings.popleft()

    def wait_until(self, deadline_ns: int) -> None:
        """Nothing: all that had to be waited for has happened."""

    @property
    def ended(self) -> bool:
        """Whether there is no further pass that can be replayed."""
        if not self._has(self._passes) or self._passes[0].outcome == BROKEN:
            return True
        # Passes travel lighter than chunks: of a loop that was killed, more of them arrived.
        without = self._passes[0].outcome == CHUNK and not self._has(self._chunks)
        return without and self.broke_off

    @property
    def broke_off(self) -> bool:
        """Whether the recorded loop was killed, or failed in mid-pass; known at the end."""
        broken = any(left.outcome == BROKEN for left in self._passes)
        return broken or self.end is None or not self.end.orderly

    def next_chunk(self) -> Chunk | None:
        """End the pass and begin the next: what the recorded source gave then.

        Raises
        ------
        ReplayDivergedError
            If the loop has asked for the time less often than the recorded one, or the tape
            lacks the chunk.
        """
        if self._readings:
            raise self._diverged(
                f"In pass {self._number} the loop asked for the time {len(self._readings)} times "
                f"less than the recorded one did: {_OTHER}"
            )
        if self._begin_pass().outcome != CHUNK:
            return None
        if not self._has(self._chunks):
            raise self._diverged(
                f"The chunk of pass {self._number} is missing on the tape: the recorder was too "
                f"slow and lost it, as an event in the recording says."
            )
        return self._chunks.popleft()

    def answer(self, command: Command) -> Command:
        """What the recorded sinks made of a command, if it is the one they were given.

        Its strength may be another one: that is for the comparison to judge.
        """
        entry = self._acted.popleft() if self._has(self._acted) else None
        if entry is None or entry.asked is None:
            return command
        given = replace(entry.asked, strength=command.strength)
        return entry.command if given == command else command

    def next_result(self) -> TurnEntry | Event | None:
        """The next turn or event that was recorded; None at the end."""
        return self._results.popleft() if self._has(self._results) else None

    def _diverged(self, text: str) -> ReplayDivergedError:
        self.diverged = True
        return ReplayDivergedError(text)

    def _begin_pass(self) -> Pass:
        current = self._passes.popleft()
        if current.number != self._number + 1:
            raise RecordingError(
                f"{self._reader.file} holds pass {current.number} of the loop after pass "
                f"{self._number}: a part of the recording is damaged, what comes before it can "
                f"still be exported."
            )
        self._number = current.number
        self._readings.extend(current.readings_ns)
        self.guard.begin_pass(current.heard)
        self.inbox.begin_pass(current.told)
        for _ in range(current.promotions):
            if self._has(self._promoted):
                promotion = self._promoted.popleft()
                self.promotions.offer(promotion, self._adapter_of(promotion))
        return current

    def _has(self, queue: deque[Any]) -> bool:
        """Read on until there is something in a queue; False if the tape ends before."""
        while not queue:
            entry = next(self._entries, None)
            if entry is None:
                return False
            self._take(entry)
        return True

    def _take(self, entry: Entry | Chunk) -> None:
        match entry:
            case Pass():
                self._passes.append(entry)
            case Chunk():
                self._chunks.append(entry)
            case TurnEntry():
                self._results.append(entry)
                self._acted.append(entry)
            case Event():
                self._results.append(entry)
            case Promotion():
                self._promoted.append(entry)
            case Manifest():
                self.manifest = entry
            case StreamSpec():
                self.spec = entry
            case End():
                self.end = entry
            case _:
                pass  # notes, quality


class ReplayedSource:
    """The source of an exact replay.

    Parameters
    ----------
    replay : ExactReplay
        Whose tape is read.
    """

    def __init__(self, replay: ExactReplay) -> None:
        self._replay = replay

    @property
    def spec(self) -> StreamSpec:
        """Of the recorded stream."""
        assert self._replay.spec is not None
        return self._replay.spec

    @property
    def ended(self) -> bool:
        """Whether the tape is at its end."""
        return self._replay.ended

    def open(self) -> None:
        """Nothing: the tape is open."""

    def read(self, wanted: int, until_ns: int) -> Chunk | None:
        """What the recorded source gave here."""
        return self._replay.next_chunk()

    def close(self) -> None:
        """Nothing to release."""


class ReplayedSink:
    """The sinks of an exact replay: they did what the recorded ones did.

    Parameters
    ----------
    replay : ExactReplay
        Whose tape is read.
    """

    def __init__(self, replay: ExactReplay) -> None:
        self._replay = replay

    def open(self, spec: StreamSpec, classes: tuple[str, ...]) -> None:
        """Nothing: no device is touched."""

    def act(self, decision: Decision, command: Command) -> Command:
        """What the recorded sinks really did when they were asked for this."""
        return self._replay.answer(command)

    def close(self) -> None:
        """Nothing to release."""
