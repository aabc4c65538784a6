"""Faults of the control link, in real time: people without the right, and a flood."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress

import zmq

from ..controlling import controlled, entrance
from ..runtime.access import Action, Role
from ..runtime.control import ControlServer
from ..runtime.control_client import ControlClient
from ..runtime.control_config import ControlConfig
from ..runtime.control_wire import Request, write
from ..runtime.errors import AccessError
from ..runtime.keys import CurveKey, new_curve_key
from ..runtime.limits import State
from ..runtime.people import People
from ..runtime.record.audit import read_audit
from .rig import Rig

_TRIES = 5
_PATIENCE_S = 20.0
_PACE_S = 0.06  # the link takes no more than twenty requests a second of a person


def _doors(rig: Rig) -> Callable[[], ControlServer]:
    """Give a session a control link, as one that is started by hand has."""
    opened: list[ControlServer] = []
    rig.keeping = rig.stack.enter_context(
        entrance(ControlConfig(), rig.keeping, rig.clock, live=True)
    )

    def open_link() -> None:
        link = controlled(rig.keeping, rig.loop, rig.adapter, rig.session)
        server = rig.stack.enter_context(link)
        assert server is not None
        opened.append(server)

    rig.ready.append(open_link)
    return lambda: opened[0]


def _enrolled(name: str, role: Role) -> CurveKey:
    key = new_curve_key()
    People().enrol(name, role, key.public)
    return key


def _beside(rig: Rig, act: Callable[[], None]) -> None:
    """Let something run in a thread of its own as soon as the loop runs, to its end."""
    thread = threading.Thread(target=act, daemon=True)
    rig.ready.append(thread.start)
    rig.stack.callback(thread.join, _PATIENCE_S)


def _wrong_keys(rig: Rig) -> None:
    """No key and a wrong one try to stop the session, a viewer tries to arm it."""
    server, viewer = _doors(rig), _enrolled("fault-viewer", Role.VIEWER)
    got: Counter[str] = Counter()

    def intrude() -> None:
        for _ in range(_TRIES):
            got["without a key"] += not _refused_at_the_door(server().address)
            got["with a wrong key"] += not _refused_as_stranger(server())
        with ControlClient(server().address, server().public_key, viewer, _PATIENCE_S) as client:
            for _ in range(_TRIES):
                threading.Event().wait(_PACE_S)
                got["as a viewer"] += client.ask(Action.ARM).done

    def look() -> None:
        through = [f"{count} got through {who}" for who, count in got.items() if count]
        rig.extra["nobody got through"] = ", ".join(through) if got else "nobody tried"
        rig.extra["on record"] = _missing_on_record(rig)

    _beside(rig, intrude)
    rig.after.append(look)


def _refused_at_the_door(address: str) -> bool:
    context = zmq.Context()
    socket = context.socket(zmq.DEALER)
    monitor = socket.get_monitor_socket(
        zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    )
    socket.connect(address)
    socket.send(write(Request(b"", 1, Action.STOP)))
    refused = bool(monitor.poll(round(1000 * _PATIENCE_S))) and not socket.poll(0)
    socket.disable_monitor()
    monitor.close(0)
    context.destroy(linger=0)
    return refused


def _refused_as_stranger(server: ControlServer) -> bool:
    try:
        ControlClient(server.address, server.public_key, new_curve_key(), _PATIENCE_S).close()
    except AccessError:
        return True
    return False


def _missing_on_record(rig: Rig) -> str:
    counted: Counter[str] = Counter()
    for entry in read_audit(rig.keeping.folder):
        if why := entry.details.get("refused"):
            counted[str(why)] += int(entry.details["count"])
    wanted = ("no key", "unknown key", "role does not allow it")
    missing = [f"{counted[why]} of {_TRIES} for {why}" for why in wanted if counted[why] < _TRIES]
    return ", ".join(missing)


def _flood(rig: Rig) -> None:
    """An engineer asks without a pause; an operator's stop has to pass all the same."""
    server = _doors(rig)
    engineer = _enrolled("fault-engineer", Role.ENGINEER)
    operator = _enrolled("fault-operator", Role.OPERATOR)
    over, sent = threading.Event(), Counter[str]()

    def flood() -> None:
        address, public = server().address, server().public_key
        with ControlClient(address, public, engineer, _PATIENCE_S) as flooder:
            while not over.is_set():
                with suppress(AccessError):  # the link takes no more for the moment
                    flooder.send(Action.STATUS)  # and no answer is ever read
                    sent["requests"] += 1

    def press() -> None:
        address, public = server().address, server().public_key
        with ControlClient(address, public, operator, _PATIENCE_S) as client:
            while sent["requests"] < 500 and not over.is_set():
                threading.Event().wait(_PACE_S)
            client.must(Action.STOP)

    def look() -> None:
        few = sent["requests"] < 500
        rig.extra["flooded"] = f"{sent['requests']} requests are no flood" if few else ""
        stopped = rig.guard.state is State.STOPPED
        rig.extra["a stop passed"] = "" if stopped else f"the guard is {rig.guard.state}"

    _beside(rig, flood)
    _beside(rig, press)
    rig.stack.callback(over.set)
    rig.after.append(look)


ACTS: Mapping[str, Callable[[Rig], None]] = {
    "wrong-key": _wrong_keys,
    "control-flood": _flood,
}
"""What is done to a rig that runs in real time."""
