"""Puts what was done and refused at a session's doors on record, on a thread of its own.

A flood is written as one entry and a count, so that neither the log nor the memory grows with it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ..access import AccessNote, Action
from ..errors import RecordingError
from ..stages import Clock
from .audit import AuditKind, AuditLog

_SUMMARY_EVERY_NS = 10_000_000_000
_LOOK_EVERY_S = 1.0
_MOST_WAITING = 2000  # acts not yet written; each person's pace bounds them
_MOST_CROWDS = 1000

_KINDS: Mapping[str, AuditKind] = MappingProxyType(
    {
        Action.STOP: AuditKind.EMERGENCY_STOP,
        Action.ARM: AuditKind.ARMED,
        Action.DISARM: AuditKind.DISARMED,
        Action.LET_GO: AuditKind.DISARMED,
        Action.LISTEN: AuditKind.LISTENING,
        Action.IGNORE: AuditKind.LISTENING,
        Action.ROLL_BACK: AuditKind.ROLLBACK,
    }
)
"""What an act that was done is about; whatever is not here, and every refusal, is access."""

_Crowd = tuple[str, ...]


class AccessLog:
    """Writes notes into an audit log: `put` them from any thread, `close` at the end.

    Acts are written one by one. Refusals of one kind, person and action are written at the first,
    and then summed up every ten seconds. If the log cannot be written, what is due is kept, up to
    a bound, and tried again.

    Parameters
    ----------
    log : AuditLog
        Open until after `close`.
    clock : Clock
        The loop's, by which the notes are timed.
    """

    def __init__(self, log: AuditLog, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._waiting: OrderedDict[int, tuple[AccessNote, int]] = OrderedDict()
        self._crowds: dict[_Crowd, tuple[AccessNote, int, int]] = {}
        self._n = 0
        self._lock = threading.Lock()
        self._come = threading.Event()
        self._ended = False
        self.lost = 0
        """Notes for which there was no room: the log could not be written for long."""
        self._thread = threading.Thread(target=self._work, name="access log", daemon=True)
        self._thread.start()

    def put(self, note: AccessNote) -> None:
        """Leave a note; returns at once."""
        with self._lock:
            if note.done or not self._joined_crowd(note):
                self._wait(note, 1)
        self._come.set()

    def close(self) -> None:
        """Write what is left. Twice is harmless."""
        self._ended = True
        self._come.set()
        self._thread.join()

    def _wait(self, note: AccessNote, count: int) -> None:
        if len(self._waiting) >= _MOST_WAITING:
            self.lost += count
            return
        self._n += 1
        self._waiting[self._n] = (note, count)

    def _joined_crowd(self, note: AccessNote) -> bool:
        # Somebody unknown is one crowd, whatever the keys: they cost nothing to draw.
        who = note.who if note.role else ""
        crowd = (who, note.role, note.action, str(note.why))
        if crowd in self._crowds:
            _, count, since_ns = self._crowds[crowd]
            self._crowds[crowd] = (note, count + 1, since_ns)
            return True
        if len(self._crowds) < _MOST_CROWDS:
            self._crowds[crowd] = (note, 0, note.at_ns)
        return False

    def _work(self) -> None:
        while not self._ended:
            self._come.wait(_LOOK_EVERY_S)
            self._come.clear()
            self._sum_up()
            self._write()
        self._sum_up(everything=True)
        self._write()

    def _sum_up(self, *, everything: bool = False) -> None:
        now_ns = self._clock.now_ns()
        with self._lock:
            for crowd, (note, count, since_ns) in tuple(self._crowds.items()):
                if not everything and now_ns - since_ns < _SUMMARY_EVERY_NS:
                    continue
                del self._crowds[crowd]
                if count:
                    self._wait(note, count)
                    self._crowds[crowd] = (note, 0, now_ns)

    def _write(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    return
                place, (note, count) = next(iter(self._waiting.items()))
            try:
                self._log.append(
                    _kind(note),
                    who=note.who,
                    why=_sentence(note, count),
                    details=_said(note, count),
                )
            except RecordingError:
                return
            with self._lock:
                del self._waiting[place]


def _kind(note: AccessNote) -> AuditKind:
    return _KINDS.get(note.action, AuditKind.ACCESS) if note.done else AuditKind.ACCESS


def _sentence(note: AccessNote, count: int) -> str:
    text = note.text or f"{note.action} was done."
    return text if count == 1 else f"{count} more like this: {text}"


def _said(note: AccessNote, count: int) -> dict[str, Any]:
    return {
        "role": note.role,
        "action": note.action,
        "done": note.done,
        "refused": str(note.why) if note.why else "",
        "peer": note.peer,
        "count": count,
        "at_ns": note.at_ns,
    }
