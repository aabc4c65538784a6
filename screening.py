"""What a window is connected to: a running session, an address, or a recording."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from .control_commands import linked, newest_session, person_key
from .runtime.access import RIGHTS, Action, Role
from .runtime.control_client import DOOR, ControlClient, Door, read_door
from .runtime.errors import AccessError, ConfigError
from .runtime.keys import PersonKey
from .runtime.record.holds import left_behind
from .runtime.telemetry import TelemetrySubscriber

_SCHEMES = ("tcp://", "ipc://", "inproc://")


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What a window shows, and what it may do.

    Parameters
    ----------
    title : str
        For its header.
    listen : callable, optional
        Opens the telemetry of a running session; each connection belongs to one thread.
    recording : Path, optional
        Of a session that is over, instead.
    link : callable, optional
        Opens its control link; without it nothing can be asked.
    may : frozenset of Action
        What this person may ask for.
    """

    title: str
    listen: Callable[[], TelemetrySubscriber] | None = None
    recording: Path | None = None
    link: Callable[[], ControlClient] | None = None
    may: frozenset[Action] = field(default_factory=frozenset)


def watched(where: str = "", key: Path | None = None, control: str = "") -> Watched:
    """Find what to look at.

    Parameters
    ----------
    where : str
        Folder of a session, running or over; a recording; the address of a telemetry. Empty for
        the session that began last.
    key : Path, optional
        The person's key file; this user's own without it.
    control : str
        Address of the control link beside that of the telemetry, for a session on another machine.

    Returns
    -------
    found : Watched
        Its session answers, if it runs; nothing is listened to yet. Of a session that was killed
        it is the recording.

    Raises
    ------
    ConfigError
        If there is nothing there.
    AccessError
        If it lets this person in no further, or is gone.
    """
    if where.startswith(_SCHEMES):
        return _elsewhere(where, key, control)
    if control:
        raise ConfigError(
            "--control belongs to the address of a telemetry: a session's folder knows its own, so "
            "leave it out."
        )
    folder = Path(where) if where else newest_session()
    if (folder / DOOR).exists():
        return _running(folder, key)
    if not folder.exists():
        raise ConfigError(
            f"There is no {folder}: name the folder of a session, a recording, or an address such "
            f"as tcp://127.0.0.1:5555."
        )
    return Watched(title=folder.name, recording=folder)


def _elsewhere(where: str, key: Path | None, control: str) -> Watched:
    """A session that is known by its addresses; without the one of its link nothing is asked."""

    def listen() -> TelemetrySubscriber:
        return telemetry_at(where, key)

    if not control:
        return Watched(title=where, listen=listen)
    person = person_key(key)
    door = Door(address=control, server=person.server, watch=where)
    return Watched(
        title=where, listen=listen, link=lambda: linked(door, person), may=_rights(door, person)
    )


def telemetry_at(address: str, key: Path | None) -> TelemetrySubscriber:
    """Listen at an address; with a key if the session asks for one.

    Parameters
    ----------
    address : str
        Of the telemetry.
    key : Path, optional
        The person's key file.

    Returns
    -------
    subscriber : TelemetrySubscriber
        Connected.
    """
    person = person_key(key) if key else None
    return TelemetrySubscriber(
        address, key=person.key if person else None, server=person.server if person else ""
    )


def telemetry_of(folder: Path, door: Door, person: PersonKey) -> TelemetrySubscriber:
    """Listen to the session of a folder, as a person.

    Parameters
    ----------
    folder : Path
        Of the session.
    door : Door
        Of it.
    person : PersonKey
        Who listens.

    Returns
    -------
    subscriber : TelemetrySubscriber
        Connected.

    Raises
    ------
    ConfigError
        If the session tells nobody what it sees.
    """
    if not door.watch:
        raise ConfigError(
            f"The session of {folder} tells nobody what it sees: leave control.watch out of its "
            f"file, so that people with a key can watch it on this machine."
        )
    return TelemetrySubscriber(door.watch, key=person.key, server=door.server)


def _running(folder: Path, key: Path | None) -> Watched:
    door, person = read_door(folder), person_key(key)
    try:
        may = _rights(door, person)
    except AccessError:
        # Killed, it could not take its door along; one that hangs still holds its log.
        if not left_behind(folder):
            raise
        return Watched(title=folder.name, recording=folder)
    return Watched(
        title=folder.name,
        listen=lambda: telemetry_of(folder, door, person),
        link=lambda: linked(door, person),
        may=may,
    )


def _rights(door: Door, person: PersonKey) -> frozenset[Action]:
    """What the session lets this person do."""
    with linked(door, person) as client:
        return RIGHTS[Role(str(client.must(Action.STATUS).facts["role"]))]
