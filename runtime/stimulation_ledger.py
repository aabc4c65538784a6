"""The dose ledger: what a person was really given, kept so that a restart forgets nothing.

It is an audit log of its own, in a folder of the person's: appended to, brought to the disk, each
entry bound to the one before by its hash, the last one signed. A ledger that does not verify
allows nothing.

Disks are slow, and a train must not begin before its cost is on record. So the cost of the dearest
train there is gets reserved beforehand, a train uses the reservation up at no delay, and what it
really cost is written afterwards, with the next reservation; until then no other train may begin.
After a crash a reservation that was open counts as given, up to the moment at which the ledger is
opened again.

Its clock is the wall clock once, at the opening, and from there on the loop's: setting the wall
clock back or forth while a session runs changes nothing.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from .errors import RecordingError
from .record.audit import AuditEntry, AuditKind, AuditLog, read_audit
from .record.audit_chain import HEAD_NAME, LOG_NAME
from .record.signing import PrivateKey
from .stages import Clock
from .stimulation import PastTrain

RESERVED, DELIVERED, ASSUMED, RELEASED = "reserved", "delivered", "assumed", "released"
_CHARGE = "pc:"
_MEMORY_NS = 2 * 86_400_000_000_000  # what the rules of a day look at, twice


class DoseLedger:
    """What was given. `open` it, `reserve`, and then `deliver` and `write` in turns; `close`.

    `write`, `reserve` and `close` wait for the disk; `deliver`, `past` and `covers` do not, and are
    for the loop's thread.

    Parameters
    ----------
    log : AuditLog
        Open; closed with the ledger.
    clock : Clock
        The loop's.
    who : str
        In whose name entries are made.
    anchor_ns : int
        Clock of the ledger less clock of the loop.
    past : sequence of PastTrain
        What was given before.
    """

    def __init__(
        self,
        log: AuditLog,
        clock: Clock,
        who: str,
        anchor_ns: int,
        past: tuple[PastTrain, ...] = (),
    ) -> None:
        self._log, self._clock, self._who, self._anchor_ns = log, clock, who, anchor_ns
        self._past = list(past)
        self._due: deque[PastTrain] = deque()
        self._reserved: dict[str, int] = {}
        self._standing: dict[str, int] = {}
        self._writing = threading.Lock()
        self.fault = ""

    @classmethod
    def open(
        cls,
        folder: str | Path,
        key: PrivateKey,
        clock: Clock,
        *,
        utc_ns: int,
        who: str = "diverloop",
        begin: bool = False,
    ) -> DoseLedger:
        """Open a person's ledger.

        Parameters
        ----------
        folder : str or Path
            The person's.
        key : PrivateKey
            Signs, and must have signed.
        clock : Clock
            The loop's.
        utc_ns : int
            Now, in nanoseconds since 1970 in UTC.
        who : str
            In whose name entries are made.
        begin : bool
            Whether a ledger may be begun if there is none: only for a person who was never
            stimulated, since a ledger that is lost must not look like one that is empty.

        Returns
        -------
        ledger : DoseLedger
            Nothing is reserved yet.

        Raises
        ------
        RecordingError
            If it is missing, does not verify, or cannot be written.
        """
        folder = Path(folder)
        known = any((folder / name).exists() for name in (LOG_NAME, HEAD_NAME))
        if not known and not begin:
            raise RecordingError(
                f"There is no dose ledger in {folder}: put it back from a copy, or, if this person "
                f"was never stimulated, let one be begun (begin_ledger = true)."
            )
        log: AuditLog | None = None
        try:
            log = (AuditLog.resume if known else AuditLog.create)(folder, key, clock)
            past, open_since_ns, left_open = _read(read_audit(folder))
        except RecordingError as error:
            if log is not None:
                log.close()
            raise RecordingError(
                f"The dose ledger in {folder} cannot be believed, so nothing is allowed: {error}"
            ) from error
        ledger = cls(log, clock, who, utc_ns - clock.now_ns(), past)
        if left_open:
            # The wall clock may have been set back since; time never runs backwards here.
            train = PastTrain(
                start_ns=min(open_since_ns, utc_ns), end_ns=utc_ns, charges_pc=left_open
            )
            ledger._append(ASSUMED, "A session ended without saying what it gave.", train)
            ledger._past.append(train)
        return ledger

    @property
    def past(self) -> tuple[PastTrain, ...]:
        """What was given in the last day, or a little more."""
        return tuple(self._past)

    @property
    def due(self) -> bool:
        """Whether something that was given is not on the disk yet, and can still be written."""
        return bool(self._due) and not self.fault

    def now_ns(self, loop_ns: int) -> int:
        """The ledger's clock at a moment of the loop's."""
        return loop_ns + self._anchor_ns

    def covers(self, charges_pc: Mapping[str, int]) -> bool:
        """Whether the disk holds all that was given, and a reservation for so much.

        Parameters
        ----------
        charges_pc : mapping of str to int
            By contact.
        """
        if self.fault or self._due:
            return False
        return all(self._reserved.get(name, 0) >= pc for name, pc in charges_pc.items())

    def reserve(self, charges_pc: Mapping[str, int]) -> None:
        """Put the cost of the dearest train on record; it is renewed after each. Waits.

        Parameters
        ----------
        charges_pc : mapping of str to int
            By contact.
        """
        self._standing = dict(charges_pc)
        self.write()

    def deliver(self, train: PastTrain) -> None:
        """Take note of a train; it uses the reservation up. Does not wait.

        Parameters
        ----------
        train : PastTrain
            As it was delivered.
        """
        oldest_ns = train.end_ns - _MEMORY_NS
        self._past = [one for one in self._past if one.end_ns > oldest_ns] + [train]
        self._due.append(train)

    def write(self) -> None:
        """Bring to the disk what is due, then reserve anew. Waits; for a thread of its own.

        If the disk fails, ``fault`` says so, and nothing is covered any more.
        """
        with self._writing:
            try:
                while self._due:
                    train = self._due[0]
                    self._append(DELIVERED, "A train was delivered.", train)
                    self._reserved = {}
                    self._due.popleft()
                if self._standing and self._reserved != self._standing:
                    now_ns = self.now_ns(self._clock.now_ns())
                    reserved = PastTrain(start_ns=now_ns, end_ns=now_ns, charges_pc=self._standing)
                    self._append(RESERVED, "The dearest train may be delivered.", reserved)
                    self._reserved = dict(self._standing)
            except RecordingError as error:
                self.fault = str(error)

    def close(self) -> None:
        """Write what is due and give the reservation back. Twice is harmless."""
        self._standing = {}
        self.write()
        with self._writing:
            if self._reserved and not self.fault:
                now_ns = self.now_ns(self._clock.now_ns())
                nothing = PastTrain(start_ns=now_ns, end_ns=now_ns, charges_pc={})
                try:
                    self._append(RELEASED, "No train will be delivered any more.", nothing)
                except RecordingError as error:
                    self.fault = str(error)
            self._reserved = {}
            self._log.close()

    def _append(self, state: str, why: str, train: PastTrain) -> None:
        details: dict[str, str | int] = {
            "state": state,
            "start_utc_ns": train.start_ns,
            "end_utc_ns": train.end_ns,
        }
        details |= {_CHARGE + name: pc for name, pc in train.charges_pc.items()}
        self._log.append(AuditKind.STIMULATION, who=self._who, why=why, details=details)


def _read(entries: tuple[AuditEntry, ...]) -> tuple[tuple[PastTrain, ...], int, dict[str, int]]:
    """All trains, and since when what has been reserved without an answer."""
    trains: list[PastTrain] = []
    since_ns, left_open = 0, dict[str, int]()
    for entry in entries:
        if entry.what != AuditKind.STIMULATION:
            continue
        state, train = _train_of(entry)
        left_open = {}
        if state == RESERVED:
            since_ns, left_open = train.start_ns, dict(train.charges_pc)
        elif state in (DELIVERED, ASSUMED):
            trains.append(train)
    return tuple(trains), since_ns, left_open


def _train_of(entry: AuditEntry) -> tuple[str, PastTrain]:
    details = entry.details
    state = details.get("state")
    numbers = {
        name: value
        for name, value in details.items()
        if name in ("start_utc_ns", "end_utc_ns") or name.startswith(_CHARGE)
    }
    sound = all(type(one) is int and one >= 0 for one in numbers.values())
    timed = {"start_utc_ns", "end_utc_ns"} <= numbers.keys()
    if state not in (RESERVED, DELIVERED, ASSUMED, RELEASED) or not (sound and timed):
        raise RecordingError(f"entry {entry.n} says nothing that is known of a dose.")
    start_ns, end_ns = numbers.pop("start_utc_ns"), numbers.pop("end_utc_ns")
    charges = {name.removeprefix(_CHARGE): value for name, value in numbers.items()}
    return state, PastTrain(start_ns=start_ns, end_ns=end_ns, charges_pc=charges)
