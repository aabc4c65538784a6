"""A person's end of the control link. For one thread."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zmq
from zmq.utils.monitor import recv_monitor_message

from .access import Action, Why
from .address import seen_from_here
from .control_wire import MOST_BYTES, Reply, Request, read_reply, write
from .doorkeeper import use_curve
from .errors import AccessError, ConfigError, DiverloopError
from .keys import CurveKey

DOOR = "control.json"
"""Where a session leaves word of how to control it."""

SIGN_EVERY_S = 0.2
"""How often whoever holds the link gives a sign of life."""

_REFUSED = (
    zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """How to reach a session.

    Parameters
    ----------
    address : str
        Of its control link.
    server : str
        Its public key.
    watch : str
        Of its telemetry for people with a key; empty if there is none.
    """

    address: str
    server: str
    watch: str = ""


def read_door(folder: Path) -> Door:
    """Read how to control the session of a folder; raises `AccessError` if none can be."""
    try:
        card = json.loads((folder / DOOR).read_text(encoding="utf-8"))
        found = {name: str(card[name]) for name in ("address", "server", "watch")}
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise AccessError(
            f"No session that can be controlled runs in {folder}: give the folder that the session "
            f"named when it began."
        ) from error
    return Door(
        address=seen_from_here(found["address"]),
        server=found["server"],
        watch=seen_from_here(found["watch"]),
    )


class ControlClient:
    """Asks a running session for things.

    Parameters
    ----------
    address : str
        Where its control link is.
    server : str
        Its public key: only who has the other half can answer.
    key : CurveKey
        The person's.
    timeout_s : float
        How long to wait for an answer.

    Raises
    ------
    ConfigError
        If the address or a key is none.
    AccessError
        If the session refuses the key, or nobody answers.
    """

    def __init__(self, address: str, server: str, key: CurveKey, timeout_s: float = 2.0) -> None:
        self._address = address
        self._timeout_s = timeout_s
        self._n = 0
        self._nonce = b""
        self._context: zmq.Context[Any] = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        try:
            use_curve(self._socket, key, server)
            self._socket.setsockopt(zmq.LINGER, 0)
            self._socket.setsockopt(zmq.MAXMSGSIZE, MOST_BYTES)
            self._monitor = self._socket.get_monitor_socket(_REFUSED)
            self._socket.connect(address)
        except zmq.ZMQError as error:
            self.close()
            raise ConfigError(
                f"The control address {address!r} or the session's key cannot be used ({error}): "
                f"give the folder that the session named when it began."
            ) from error
        try:
            self._open()
        except AccessError:
            self.close()
            raise

    def __enter__(self) -> ControlClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Disconnect. Twice is harmless."""
        self._context.destroy(linger=0)

    def ask(self, action: Action, *, code: str = "", text: str = "") -> Reply:
        """Ask for something, and wait for the answer.

        Parameters
        ----------
        action : Action
            What for.
        code : str
            One-time code, where one is needed.
        text : str
            Of a note.

        Returns
        -------
        reply : Reply
            Also if it was refused: look at ``done``.

        Raises
        ------
        AccessError
            If nobody answers.
        """
        reply = self._answer_to(self.send(action, code=code, text=text))
        if reply.why != Why.REPLAYED:
            return reply
        # The network broke and came back as another connection; nothing was done for this one.
        self._open()
        return self._answer_to(self.send(action, code=code, text=text))

    def must(self, action: Action, *, code: str = "", text: str = "") -> Reply:
        """Ask as `ask` does, but raise `AccessError` if it is refused."""
        reply = self.ask(action, code=code, text=text)
        if not reply.done:
            raise AccessError(reply.text)
        return reply

    def send(self, action: Action, *, code: str = "", text: str = "") -> int:
        """Ask for something without waiting; returns the number of the request."""
        self._n += 1
        try:
            request = Request(self._nonce, self._n, action, code, text)
            self._socket.send(write(request), zmq.NOBLOCK)
        except zmq.Again as error:
            raise AccessError(self._nobody()) from error
        return self._n

    def sign_of_life(self) -> None:
        """Hold the link: to be called five times a second by what must not hang unnoticed.

        It does not wait. Silence of half a second is an emergency stop, so no thread of its own
        calls it here: that thread would live on where a screen or a person does not.
        """
        self.send(Action.HOLD)
        while self._socket.poll(0):
            reply = _read(self._socket.recv())
            if reply.nonce:
                self._nonce = reply.nonce
            elif reply.why == Why.REPLAYED:  # another connection: open it, without waiting
                self._nonce = b""
                self.send(Action.STATUS)

    def _open(self) -> None:
        self._nonce = b""
        reply = self._answer_to(self.send(Action.STATUS))
        if not reply.done:
            raise AccessError(reply.text)
        self._nonce = reply.nonce

    def _answer_to(self, n: int) -> Reply:
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._monitor, zmq.POLLIN)
        deadline_s = time.monotonic() + self._timeout_s
        while (left_s := deadline_s - time.monotonic()) > 0:
            ready = dict(poller.poll(int(left_s * 1e3) + 1))
            if self._socket in ready:
                reply = _read(self._socket.recv())
                # 0: so unreadable, or its sender so unknown, that it cannot say to what.
                if reply.n in (n, 0):
                    return reply
            if self._monitor in ready:
                recv_monitor_message(self._monitor)
                raise AccessError(
                    f"The session at {self._address} did not accept this key, or is not the one "
                    f"that was meant: have the key enrolled there with diverloop keys new."
                )
        raise AccessError(self._nobody())

    def _nobody(self) -> str:
        return (
            f"Nobody at {self._address} answered within {self._timeout_s:g} s: has the session "
            f"ended?"
        )


def _read(frame: bytes) -> Reply:
    try:
        return read_reply(frame)
    except DiverloopError as error:
        raise AccessError(f"The session answers otherwise than expected: {error}") from error
