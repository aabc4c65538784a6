"""How people control a session while it runs, and what is noted of it.

A live session that is recorded opens a control link (see ``runtime.control``), leaves its address
in its folder, and puts every act and every refusal on record. Without a record there is no link.
"""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from .console import err
from .keeping import Entrance, Keeping
from .rl.adaptation import Adaptation
from .runtime.access import RIGHTS, SECOND_FACTOR, Action, Permissions, Role
from .runtime.adaptation_config import AdaptationConfig
from .runtime.control import ControlServer, Outcome
from .runtime.control_client import DOOR
from .runtime.control_config import ControlConfig
from .runtime.control_wire import Fact
from .runtime.deciding import Hears
from .runtime.doorkeeper import Admission
from .runtime.errors import ConfigError, RecordingError
from .runtime.guard import Signal
from .runtime.keys import server_key
from .runtime.limits import State
from .runtime.loop import Loop
from .runtime.people import CODES, People, own_person
from .runtime.private_file import write_private
from .runtime.record.access_log import AccessLog
from .runtime.record.note_server import send_note
from .runtime.second_factor import SecondFactors
from .runtime.session import SessionConfig
from .runtime.stages import Adapter, Clock
from .runtime.stimulation import StimulationPermission
from .runtime.stimulator import Permit
from .runtime.telemetry import TelemetryPublisher

_MOST_NOTES = 16


def check_doors(config: ControlConfig, *, live: bool, armed: bool, kept: bool) -> None:
    """Refuse a live run that asks for doors which it cannot have.

    Parameters
    ----------
    config : ControlConfig
        How the session lets itself be controlled.
    live : bool
        Whether it runs in real time; a replay has no doors.
    armed : bool
        Whether commands are to pass from the start.
    kept : bool
        Whether there is a record.

    Raises
    ------
    ConfigError
        If it is to be armed before a required link is held, or nothing would be on record.
    """
    if live and config.required and armed:
        raise ConfigError(
            "control.required lets nobody arm before the link is held, but --arm was given: leave "
            "it out, then run diverloop hold and diverloop arm."
        )
    if live and not kept and config.asked_for:
        raise ConfigError(
            "control.required, control.remote and control.watch go on record, and this run keeps "
            "none: name a folder with --recordings."
        )


@contextmanager
def entrance(
    config: ControlConfig, keeping: Keeping, clock: Clock, *, live: bool
) -> Iterator[Keeping]:
    """Make ready for a session's doors: people, keys, and the record of who came.

    Parameters
    ----------
    config : ControlConfig
        How the session lets itself be controlled.
    keeping : Keeping
        What keeps it.
    clock : Clock
        The session's.
    live : bool
        Whether it runs in real time.

    Yields
    ------
    keeping : Keeping
        The same, with the doors that the session has.

    Raises
    ------
    ConfigError
        If the list of people or a key cannot be used, or an address cannot be bound.
    """
    if not live or not config.enabled:
        yield keeping
        return
    people, key = People(), server_key()
    with ExitStack() as stack:
        log = AccessLog(keeping.audit, clock)
        stack.callback(log.close)
        admission = Admission(key=key, people=people, report=log.put, clock=clock)
        publisher = TelemetryPublisher(config.watch, admission) if config.watch else None
        if publisher:
            stack.callback(publisher.close)  # the loop does, once it has it
        doors = Entrance(admission=admission, permissions=Permissions(), publisher=publisher)
        watchers = (*keeping.watchers, *([publisher] if publisher else []))
        yield replace(keeping, doors=doors, watchers=watchers)


@contextmanager
def controlled(
    keeping: Keeping | None,
    loop: Loop,
    adapter: Adapter,
    session: SessionConfig,
    adaptation: Adaptation | None = None,
) -> Iterator[ControlServer | None]:
    """Let people control a loop while it runs.

    Parameters
    ----------
    keeping : Keeping, optional
        With doors, if it has any.
    loop : Loop
        What is controlled.
    adapter : Adapter
        What decodes; it may hear.
    session : SessionConfig
        How it lets itself be controlled.
    adaptation : Adaptation, optional
        What changes the weights, if anything does.

    Yields
    ------
    server : ControlServer or None
        Open.
    """
    if keeping is None or keeping.doors is None:
        yield None
        return
    doors = keeping.doors
    codes = SecondFactors(doors.admission.people.folder / CODES)
    with _NoteDesk(keeping.folder) as desk:
        hand = _Hand(loop, isinstance(adapter, Hears), desk, session.name, adaptation)
        server = ControlServer(
            session.control,
            doors.admission,
            codes,
            act=hand.act,
            status=hand.status,
            permissions=doors.permissions,
        )
        with server, _word_left(keeping.folder, server, doors.publisher):
            _remind_of_codes(doors.admission.people, codes, session.control.lock_s)
            yield server


def _remind_of_codes(people: People, codes: SecondFactors, lock_s: float) -> None:
    """Say while there is time that arming will want a code, to whoever may have no app for it."""
    person = own_person(people)
    if person is None or Action.ARM not in RIGHTS[person.role] or codes.ever_used(person.name):
        return
    err.print(
        f"After {lock_s / 60:g} minutes without an act {person.name!r} arms with a one-time code "
        f"only, and none was ever given here: unless an authenticator app shows yours, run "
        f"diverloop keys renew {person.name} now.",
        highlight=False,
        markup=False,
    )


def adaptation_refusal(
    config: AdaptationConfig, keeping: Keeping | None, clock: Clock
) -> Callable[[], str]:
    """Why nobody allows the decoder to change, asked each time.

    Parameters
    ----------
    config : AdaptationConfig
        Who has to allow it.
    keeping : Keeping, optional
        With doors, if a clinician can be asked.
    clock : Clock
        The session's.

    Returns
    -------
    why_not : callable
        Gives one sentence's end, or nothing while it is allowed.
    """

    def why_not() -> str:
        if config.permission == "session":
            return ""
        doors = keeping.doors if keeping else None
        held = doors and doors.permissions.holds(Action.ENABLE_ADAPTATION, clock.now_ns())
        return "" if held else "no clinician's permission runs"

    return why_not


def stimulation_permit(keeping: Keeping | None, clock: Clock) -> Permit:
    """Who has enabled stimulation over the control link, asked each time; nobody without one.

    Parameters
    ----------
    keeping : Keeping, optional
        With doors, if it has any.
    clock : Clock
        The session's.

    Returns
    -------
    permit : callable
        Only a clinician with a second factor is ever let enable it: see `runtime.access`.
    """

    def permit() -> StimulationPermission | None:
        doors = keeping.doors if keeping else None
        action = Action.ENABLE_STIMULATION
        held = doors.permissions.current(action, clock.now_ns()) if doors else None
        if held is None:
            return None
        return StimulationPermission(
            who=held.who,
            role=str(Role.CLINICIAN),
            second_factor=action in SECOND_FACTOR,
            enabled_until_ns=held.until_ns,
        )

    return permit


@contextmanager
def _word_left(
    folder: Path, server: ControlServer, publisher: TelemetryPublisher | None
) -> Iterator[None]:
    """Say in the session's folder how to reach it; the file holds no secret."""
    card = {
        "address": server.address,
        "server": server.public_key,
        "watch": publisher.address if publisher else "",
    }
    path = folder / DOOR
    write_private(path, json.dumps(card).encode(), "word of the control link", durable=False)
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)


class _Hand:
    """Does what people may do, on the control link's thread: nothing here waits."""

    def __init__(
        self, loop: Loop, hears: bool, desk: _NoteDesk, name: str, adaptation: Adaptation | None
    ) -> None:
        self._loop = loop
        self._adaptation = adaptation
        self._hears = hears
        self._desk = desk
        self._name = name

    def act(self, action: Action, who: str, text: str) -> Outcome:
        """Do it, or say why it cannot be done."""
        match action:
            case Action.STOP:
                return self._guard(Signal.EMERGENCY_STOP, State.STOPPED)
            case Action.DISARM:
                return self._disarmed()
            case Action.ARM:
                return self._guard(Signal.PERSON_ARMS, State.ARMED, State.HOLDING)
            case Action.RESET:
                return self._guard(Signal.PERSON_RESETS, State.DISARMED)
            case Action.LISTEN | Action.IGNORE:
                return self._told(action, who)
            case Action.NOTE:
                return self._desk.take(text, who)
            case Action.ROLL_BACK | Action.DISABLE_ADAPTATION | Action.ENABLE_ADAPTATION:
                return self._adapted(action, who)
            case Action.ENABLE_STIMULATION | Action.DISABLE_STIMULATION:
                # The permission itself is what counts, and the link keeps it.
                return Outcome(done=True, text=f"It is noted: {action.replace('_', ' ')}.")
            case _:
                return Outcome(done=False, text=f"Nobody here does this: {action}.")

    def status(self) -> Mapping[str, Fact]:
        """How the session stands."""
        return {"session": self._name, "guard": str(self._loop.guard.state)}

    def _guard(self, signal: Signal, *wanted: State) -> Outcome:
        guard = self._loop.guard
        if guard.state in wanted:  # not told again: what waits for the loop must not pile up
            return Outcome(done=True, text=f"The guard is {guard.state}.", changed=False)
        guard.tell(signal)
        state = guard.state
        if state in wanted:
            return Outcome(done=True, text=f"The guard is {state}.")
        hint = ": a clinician resets it first" if state is State.STOPPED else ""
        return Outcome(done=False, text=f"The guard stays {state}{hint}.")

    def _disarmed(self) -> Outcome:
        # A guard that has stopped lets even less pass, and must not be led out of it this way.
        return self._guard(Signal.PERSON_DISARMS, State.DISARMED, State.STOPPED)

    def _adapted(self, action: Action, who: str) -> Outcome:
        adaptation = self._adaptation
        if action is Action.DISABLE_ADAPTATION:  # always done: it only makes things safer
            nothing = "This session names no learner, so nothing adapts."
            return Outcome(done=True, text=adaptation.freeze(who) if adaptation else nothing)
        if adaptation is None:
            text = "This session names no learner: it has no earlier weights, and makes no others."
            return Outcome(done=False, text=text)
        thaws = action is Action.ENABLE_ADAPTATION
        done, text = adaptation.thaw(who) if thaws else adaptation.roll_back(who)
        return Outcome(done=done, text=text)

    def _told(self, action: Action, who: str) -> Outcome:
        if not self._hears:
            return Outcome(done=False, text="This model decodes no speech, so it cannot listen.")
        if action is Action.LISTEN:
            self._loop.inbox.listen(who)
            return Outcome(done=True, text="The decoder is told to listen.")
        self._loop.inbox.ignore(who)
        return Outcome(done=True, text="The decoder is told to listen no more.")


class _NoteDesk:
    """Hands notes to the recorder, which may take its time, on a thread of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._waiting: queue.Queue[tuple[str, str] | None] = queue.Queue(_MOST_NOTES + 1)
        self._thread = threading.Thread(target=self._work, name="note desk", daemon=True)

    def __enter__(self) -> _NoteDesk:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._waiting.put(None)
        self._thread.join()

    def take(self, text: str, who: str) -> Outcome:
        """Take a note, if there is room."""
        if not text:
            return Outcome(done=False, text="A note has at least one character.")
        if self._waiting.qsize() >= _MOST_NOTES:
            return Outcome(done=False, text="The recorder takes no notes at the moment.")
        self._waiting.put((text, who))
        return Outcome(done=True, text="A note was handed to the recorder.")

    def _work(self) -> None:
        while (note := self._waiting.get()) is not None:
            try:
                send_note(self._folder, *note)
            except RecordingError as error:
                err.print(f"A note was not written: {error}", highlight=False, markup=False)
