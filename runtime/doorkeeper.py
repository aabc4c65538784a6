"""Who stands at the door of a socket: only people on the list come in, everybody else is noted.

ZeroMQ asks for each connection with a CURVE key whether to let it in (ZAP, RFC 27). A connection
that proves no key at all, that took another key for this machine's, or that plays back the bytes
of an earlier one, fails before that; the socket's monitor tells of it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import zmq
from zmq.utils import z85
from zmq.utils.monitor import recv_monitor_message

from .access import AccessNote, Action, Why, may
from .keys import CurveKey, check_curve, short_key
from .people import People
from .stages import Clock

_ZAP = "inproc://zeromq.zap.01"
_VERSION = b"1.0"
_POLL_MS = 50
_HANDSHAKE_MS = 2000  # who has proved nothing by then is sent away
# A cable that is pulled says nothing, and TCP would wait for up to twice as long as it was out.
_BEAT_MS, _SILENT_MS = 1000, 4000
_DIAL_AGAIN_MS, _DIAL_AGAIN_AT_MOST_MS, _DIAL_MS = 100, 1000, 2000
_FAILED = zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL

Report = Callable[[AccessNote], None]
"""Takes what was done or refused; called from threads of the link, so it must not wait."""


def serve_curve(socket: zmq.Socket[bytes], key: CurveKey, domain: str) -> None:
    """Let a socket, not yet bound, speak to people with a key only."""
    check_curve()
    socket.setsockopt(zmq.CURVE_SERVER, 1)
    socket.setsockopt_string(zmq.CURVE_SECRETKEY, key.secret)
    socket.setsockopt_string(zmq.ZAP_DOMAIN, domain)
    socket.setsockopt(zmq.HANDSHAKE_IVL, _HANDSHAKE_MS)
    _notice_silence(socket)


def use_curve(socket: zmq.Socket[bytes], key: CurveKey, server: str) -> None:
    """Let a socket, not yet connected, prove a key, and speak to one server only.

    A network that falls silent for 4 s counts as gone: the socket connects again when it can.

    Parameters
    ----------
    socket : zmq.Socket
        For a connection.
    key : CurveKey
        The person's.
    server : str
        Public key of the machine that runs the session.
    """
    check_curve()
    socket.setsockopt_string(zmq.CURVE_PUBLICKEY, key.public)
    socket.setsockopt_string(zmq.CURVE_SECRETKEY, key.secret)
    socket.setsockopt_string(zmq.CURVE_SERVERKEY, server)
    _notice_silence(socket)
    socket.setsockopt(zmq.RECONNECT_IVL, _DIAL_AGAIN_MS)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, _DIAL_AGAIN_AT_MOST_MS)
    socket.setsockopt(zmq.CONNECT_TIMEOUT, _DIAL_MS)


def _notice_silence(socket: zmq.Socket[bytes]) -> None:
    """Let the library say every second that it is there, and expect the same of the other end."""
    socket.setsockopt(zmq.HEARTBEAT_IVL, _BEAT_MS)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, _SILENT_MS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """What a door needs to know.

    Parameters
    ----------
    key : CurveKey
        The machine's own.
    people : People
        Who may come in.
    report : callable
        Hears of everybody who was sent away.
    clock : Clock
        The loop's.
    """

    key: CurveKey
    people: People
    report: Report
    clock: Clock


class Doorkeeper:
    """Answers for one socket who may come in, on a thread of its own.

    Parameters
    ----------
    context : zmq.Context
        Of the socket; it has no other doorkeeper. Everything must be opened in it after this.
    admission : Admission
        Who may come in, and who hears of the others.
    action : Action
        What a role must have the right to.
    """

    def __init__(self, context: zmq.Context[Any], admission: Admission, action: Action) -> None:
        self._admission = admission
        self._people = admission.people
        self._action = action
        self._inside: set[str] = set()
        self._ended = threading.Event()
        self._zap = context.socket(zmq.REP)
        self._zap.setsockopt(zmq.LINGER, 0)
        self._zap.bind(_ZAP)
        self._monitor: zmq.Socket[bytes] | None = None
        self._thread = threading.Thread(target=self._serve, name="doorkeeper", daemon=True)

    def watch(self, socket: zmq.Socket[bytes]) -> None:
        """Begin, for a socket that is not bound yet."""
        self._monitor = socket.get_monitor_socket(_FAILED)
        self._watched = socket
        self._thread.start()

    def close(self) -> None:
        """End the thread, and with it the watch; before the socket itself is closed."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._monitor is not None:
            self._watched.disable_monitor()
            self._monitor.close(0)  # the context would wait for it for ever
            self._monitor = None
        self._zap.close(0)

    def somebody_left_the_list(self) -> bool:
        """Whether somebody who was let in would not be any more. From any thread."""
        found = [self._people.by_key(key) for key in tuple(self._inside)]
        return any(person is None or person.revoked for person in found)

    def _serve(self) -> None:
        assert self._monitor is not None
        poller = zmq.Poller()
        poller.register(self._zap, zmq.POLLIN)
        poller.register(self._monitor, zmq.POLLIN)
        while not self._ended.is_set():
            ready = dict(poller.poll(_POLL_MS))
            if self._zap in ready:
                self._zap.send_multipart(self._answer(self._zap.recv_multipart()))
            if self._monitor in ready:
                recv_monitor_message(self._monitor)
                self._refuse(Why.NO_KEY, "somebody", "A connection proved no key of its own.")

    def _answer(self, asked: list[bytes]) -> list[bytes]:
        version, request = (*asked, b"", b"")[:2]
        if version != _VERSION or len(asked) != 7 or asked[5] != b"CURVE" or len(asked[6]) != 32:
            self._refuse(Why.NO_KEY, "somebody", "A connection came without a key.")
            return [_VERSION, request, b"400", b"No key", b"", b""]
        key, peer = z85.encode(asked[6]).decode(), asked[3].decode("utf-8", "replace")
        if not self._lets_in(key, peer):
            return [_VERSION, request, b"400", b"No access", b"", b""]
        self._inside.add(key)
        return [_VERSION, request, b"200", b"OK", key.encode(), b""]

    def _lets_in(self, key: str, peer: str) -> bool:
        person = self._people.by_key(key)
        if person is None:
            text = "A key that nobody here has was refused."
            self._refuse(Why.UNKNOWN_KEY, f"key {short_key(key)}", text, peer=peer)
            return False
        if person.revoked:
            text = f"The key of {person.name} was revoked."
            self._refuse(Why.REVOKED, person.name, text, role=person.role, peer=peer)
            return False
        if not may(person.role, self._action):
            text = f"The role {person.role} may not {self._action}."
            self._refuse(Why.NOT_ALLOWED, person.name, text, role=person.role, peer=peer)
            return False
        return True

    def _refuse(self, why: Why, who: str, text: str, *, role: str = "", peer: str = "") -> None:
        note = AccessNote(
            at_ns=self._admission.clock.now_ns(),
            who=who,
            role=str(role),
            action=str(self._action) if role else "",
            why=why,
            text=text,
            peer=peer,
        )
        self._admission.report(note)
