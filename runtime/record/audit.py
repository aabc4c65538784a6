"""The audit log: who did what, when and why, in a file that shows if anybody touched it.

Each entry is one line of JSON that carries the hash of the line before it, and a signed head
beside the log names the last one (after Schneier and Kelsey, 1999). An edited, deleted,
repeated, moved or cut line breaks the chain or no longer fits the head, and a new head needs the
private key. What this cannot show: an older copy of both files, put back together. The hash of
the last entry, written down elsewhere, for example in a printed report, shows that too.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import RecordingError
from ..messages import Event, EventKind, Message
from ..stages import Clock
from .audit_chain import (
    FORMAT_VERSION,
    HEAD_NAME,
    LOG_NAME,
    TORN,
    AuditEntry,
    AuditHead,
    AuditVerdict,
    inspect,
    line_of,
    read_audit,
    sealed,
    signed,
    text_hash,
    verify_audit,
)
from .audit_kinds import OF_EVENT, AuditKind
from .holds import hold
from .manifest import utc_now
from .signing import PrivateKey, plain, public_text, sync_folder, write_through

__all__ = [
    "AuditEntry", "AuditKind", "AuditLog", "AuditVerdict", "AuditWatcher", "read_audit",
    "verify_audit",
]  # fmt: skip

_DRAFT_NAME = ".audit.head.draft"
_BINARY = getattr(os, "O_BINARY", 0)  # Windows would write carriage returns into the log
_APPEND = os.O_WRONLY | os.O_APPEND | _BINARY
_REPLACE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _BINARY
_SUMMARY_EVERY_NS = 10_000_000_000
# A bad stretch brings these by the thousand; every other kind is written down each time.
_CROWDING = {
    EventKind.GAP, EventKind.DUPLICATE, EventKind.REORDERED, EventKind.JITTER,
    EventKind.NOT_A_NUMBER, EventKind.LATE, EventKind.MISSED, EventKind.OVERFLOW,
}  # fmt: skip
_EVENT_DETAILS = ("kind", "sample", "count", "at_ns", "lasting")


class AuditLog:
    """Writes the log: `create` or `resume` it, `append`, `close`. Any thread may append.

    An append returns once the entry and its head are on the disk, or raises and leaves neither.
    That takes milliseconds: it is not for the loop's thread.
    """

    def __init__(self, folder: Path, key: PrivateKey, clock: Clock, log_id: str) -> None:
        self._folder, self._key, self._clock, self._id = folder, key, clock, log_id
        self._lock = threading.Lock()
        self._file = -1
        self._n = self._size = 0
        self._last = text_hash(log_id)
        self._unfinished = False

    @classmethod
    def create(cls, folder: str | Path, key: PrivateKey, clock: Clock) -> AuditLog:
        """Begin a log; its first entry proves that it can be written.

        Parameters
        ----------
        folder : str or Path
            Made if missing.
        key : PrivateKey
            Signs every head.
        clock : Clock
            The loop's.

        Raises
        ------
        RecordingError
            If the folder has a log already, or it cannot be written.
        """
        log = cls(Path(folder), key, clock, secrets.token_hex(16))
        if any((log._folder / name).exists() for name in (LOG_NAME, HEAD_NAME)):
            raise RecordingError(
                f"The folder {folder} has an audit log already, and none is ever overwritten: "
                f"choose another folder with --recordings."
            )
        try:
            if not log._folder.exists():
                log._folder.mkdir(parents=True)
                sync_folder(log._folder.parent)
            log._file = os.open(log.path, _APPEND | os.O_CREAT | os.O_EXCL, 0o644)
        except OSError as error:
            raise log._unwritable(error) from error
        hold(log._file)
        try:
            log._append(AuditKind.LOG_OPENED, "diverloop", "This log was begun.", log._origin())
        except RecordingError:
            log._withdraw()
            raise
        return log

    @classmethod
    def resume(cls, folder: str | Path, key: PrivateKey, clock: Clock) -> AuditLog:
        """Go on with a log that verifies. Nothing in it is changed or cut away.

        Parameters
        ----------
        folder : str or Path
            Where it is.
        key : PrivateKey
            The one that has signed it so far.
        clock : Clock
            The loop's.

        Raises
        ------
        RecordingError
            If the log does not verify with this key, is still being written by another process,
            or cannot be written.
        """
        verdict, chain = inspect(folder, key.public)
        if not verdict.ok:
            raise RecordingError(
                f"The audit log in {folder} cannot be continued: {verdict.first_fault} Keep it "
                f"as it is, and choose another folder with --recordings."
            )
        log = cls(Path(folder), key, clock, chain.log_id)
        log._n, log._last, log._size = len(chain.entries), chain.entries[-1].hash, chain.ends[-1]
        try:
            log._file = os.open(log.path, _APPEND)
            if not hold(log._file):
                log.close()
                raise RecordingError(f"A session still writes the log in {folder}: let it end.")
            if verdict.n_signed < log._n:
                log._place_head(utc_now())
        except OSError as error:
            log.close()
            raise log._unwritable(error) from error
        if chain.torn:
            log._name_torn(chain.torn)
        return log

    @property
    def path(self) -> Path:
        """The file with the entries."""
        return self._folder / LOG_NAME

    @property
    def n_entries(self) -> int:
        """How many entries are on the disk and signed."""
        return self._n

    @property
    def head_hash(self) -> str:
        """Hash of the last entry: written down elsewhere, it vouches for the whole log."""
        return self._last

    def append(
        self, what: AuditKind, *, who: str, why: str, details: Mapping[str, Any] | None = None
    ) -> AuditEntry:
        """Put an entry on record.

        Parameters
        ----------
        what : AuditKind
            What happened.
        who : str
            The person, or the part of the program, that did it.
        why : str
            One sentence for a person.
        details : mapping, optional
            Plain values; NaN and infinity become null.

        Returns
        -------
        entry : AuditEntry
            As it was written.

        Raises
        ------
        ConfigError
            If the details hold what JSON cannot.
        RecordingError
            If it cannot be written, or something else has changed the file.
        """
        return self._append(what, who, why, details or {})

    def close(self) -> None:
        """Write no more. Twice is harmless."""
        with self._lock:
            if self._file >= 0:
                os.close(self._file)
            self._file = -1

    def _origin(self) -> dict[str, Any]:
        return {"log": self._id, "format": FORMAT_VERSION, "public_key": public_text(self._key)}

    def _withdraw(self) -> None:
        """Leave nothing of a log that could not be begun: the folder can be used again."""
        self.close()
        for name in (LOG_NAME, HEAD_NAME, _DRAFT_NAME):
            (self._folder / name).unlink(missing_ok=True)

    def _name_torn(self, torn: bytes) -> None:
        """Say what a crash tore off, so that `verify_audit` knows what it is."""
        self._size += len(torn)
        why = f"A crash tore off the entry before this one; {len(torn)} bytes of it are left."
        details = {TORN: text_hash(torn)}
        self._append(AuditKind.FAULT, "diverloop", why, details, first=b"\n")

    def _append(
        self, what: str, who: str, why: str, details: Mapping[str, Any], first: bytes = b""
    ) -> AuditEntry:
        told = plain({"who": who, "what": what, "why": why, "details": details})
        with self._lock:
            utc, mono_ns = utc_now(), self._clock.now_ns()
            entry = AuditEntry(n=self._n, utc=utc, mono_ns=mono_ns, previous=self._last, **told)
            entry = sealed(entry)
            try:
                self._check_untouched()
                self._commit(entry, first + line_of(entry))
            except OSError as error:
                raise self._unwritable(error) from error
        return entry

    def _check_untouched(self) -> None:
        if self._file < 0:
            raise RecordingError(f"The audit log {self.path} is closed: resume it to go on.")
        if self._unfinished:
            self._roll_back()
        size = os.fstat(self._file).st_size
        if size != self._size:
            raise RecordingError(
                f"The audit log {self.path} has {size} bytes where this session left "
                f"{self._size}: something else changed it, so keep it as evidence."
            )

    def _commit(self, entry: AuditEntry, line: bytes) -> None:
        """All or nothing: without its head the line is taken back."""
        before = self._n, self._size, self._last
        self._unfinished = True
        try:
            write_through(self._file, line)
            self._n, self._size, self._last = self._n + 1, self._size + len(line), entry.hash
            self._place_head(entry.utc)
        except OSError:
            self._n, self._size, self._last = before
            self._roll_back()
            raise
        self._unfinished = False
        # The new head has its name. If that cannot be made sure of, the entry stays all the same
        # and the caller hears of it: an entry that is there twice is better than one too few.
        sync_folder(self._folder)

    def _roll_back(self) -> None:
        os.ftruncate(self._file, self._size)
        os.fsync(self._file)
        self._unfinished = False

    def _place_head(self, utc: str) -> None:
        """Sign the log as it is now; a reader sees the old head or the new one, never half."""
        head = AuditHead(
            log=self._id,
            entries=self._n,
            last=self._last,
            size=self._size,
            utc=utc,
            public_key=public_text(self._key),
        )
        draft = self._folder / _DRAFT_NAME
        file = os.open(draft, _REPLACE, 0o644)
        try:
            write_through(file, line_of(signed(head, self._key)))
        finally:
            os.close(file)
        os.replace(draft, self._folder / HEAD_NAME)

    def _unwritable(self, error: OSError) -> RecordingError:
        # Once there are entries, a session is running, or an old one is looked at again.
        cost = "nothing more goes on record" if self._n else "a session cannot start without it"
        return RecordingError(
            f"The audit log {self.path} cannot be written ({error.strerror}): {cost}; free space "
            f"or choose another folder with --recordings."
        )


class AuditWatcher:
    """Puts what the loop reports on record: guard, faults, promotions.

    Kinds that come by the thousand are written at the first occurrence, and then summed up, one
    entry per kind and ten seconds of loop time, when the next event comes or at the end. If the
    log cannot be written, the session goes on: what is due is kept in memory and tried again
    with every event, and marked ``written_late`` in its details.

    Parameters
    ----------
    log : AuditLog
        Open; it is not closed here.
    who : str
        Name under which the entries go.
    """

    lossless = True

    def __init__(self, log: AuditLog, *, who: str = "loop") -> None:
        self._log = log
        self._who = who
        self._due: deque[_Due] = deque()
        self._crowds: dict[EventKind, _Crowd] = {}

    @property
    def pending(self) -> int:
        """How many entries could not be written so far."""
        return len(self._due)

    def watch(self, message: Message) -> None:
        """Take a message; only an `Event` leaves something behind."""
        if not isinstance(message, Event):
            return
        self._sum_up(message.at_ns)
        crowd = self._crowds.get(message.kind)
        if crowd is not None and not message.lasting:
            crowd.add(message)
        else:
            self._due.append(_due(message))
            if message.kind in _CROWDING:
                self._crowds.setdefault(message.kind, _Crowd(message.at_ns))
        self._write()

    def close(self) -> None:
        """Sum up what is left, and try once more. Twice is harmless."""
        self._due.extend(crowd.summary() for crowd in self._crowds.values() if crowd.n_events)
        self._crowds.clear()
        self._write()

    def _sum_up(self, now_ns: int) -> None:
        over = [k for k, c in self._crowds.items() if now_ns - c.since_ns >= _SUMMARY_EVERY_NS]
        for kind in over:
            crowd = self._crowds.pop(kind)
            if crowd.n_events:
                self._due.append(crowd.summary())
                self._crowds[kind] = _Crowd(now_ns)

    def _write(self) -> None:
        while self._due:
            what, why, details = self._due[0]
            try:
                self._log.append(what, who=self._who, why=why, details=details)
            except RecordingError:
                for *_, late in self._due:
                    late["written_late"] = True
                return
            self._due.popleft()


_Due = tuple[AuditKind, str, dict[str, Any]]


def _due(event: Event) -> _Due:
    what = OF_EVENT.get(event.kind, AuditKind.FAULT)
    return what, event.text, {name: getattr(event, name) for name in _EVENT_DETAILS}


class _Crowd:
    """Events of one kind that are not worth an entry each."""

    def __init__(self, since_ns: int) -> None:
        self.since_ns = since_ns
        self.n_events = self._count = 0
        self._first = self._last = Event(kind=EventKind.LATE, text="")

    def add(self, event: Event) -> None:
        self._first = self._first if self.n_events else event
        self._last = event
        self.n_events += 1
        self._count += event.count

    def summary(self) -> _Due:
        first, last = self._first, self._last
        if self.n_events == 1:
            return _due(last)
        why = f"{self.n_events} more events of kind {last.kind}, the last: {last.text}"
        places = {"first_sample": first.sample, "last_sample": last.sample}
        times = {"from_ns": first.at_ns, "until_ns": last.at_ns}
        counts = {"kind": last.kind, "events": self.n_events, "count": self._count}
        return AuditKind.FAULT, why, counts | places | times
