"""The second stage: a slow language model in another process that may correct the first.

The adapter asks and goes on; the first stage's text stands. An answer that comes is told to the
adapter's `Inbox` like everything else from outside, and becomes an event. One that
never comes is not missed: no call here waits, whether the other process is slow, stopped, dead
or was never there. Of requests that could not be sent yet only the newest is kept.

It may be on another machine: then both ends prove their keys (CURVE), and what somebody says does
not travel in the clear. That it is gone, is back, or refuses the key is told as an event.

On the wire each request and each answer is one JSON object in one frame, see `Request`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import zmq
from zmq.utils.monitor import recv_monitor_message

from ...runtime.address import stays_here
from ...runtime.doorkeeper import use_curve
from ...runtime.errors import ConfigError
from ...runtime.inbox import Kind, Told
from ...runtime.json_text import parsed_json
from ...runtime.keys import PersonKey
from ...runtime.messages import Event, EventKind

_LONGEST_ANSWER = 65_536  # bytes
_MOST_ANSWERS = 16  # taken in at one look
FORGET = b'{"forget": true}'
_REFUSED = zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
_NEWS = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED | _REFUSED


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the second stage is asked.

    Parameters
    ----------
    utterance : int
        Counted from 1 in each session.
    version : int
        Grows with every word of the utterance; an answer names both.
    final : bool
        Whether the utterance is over.
    hypotheses : tuple of (str, float)
        Texts and their log scores, the best first.
    """

    utterance: int
    version: int
    final: bool
    hypotheses: tuple[tuple[str, float], ...]

    def to_bytes(self) -> bytes:
        """As it goes over the wire."""
        return json.dumps(asdict(self)).encode()


class SecondStage(Protocol):
    """What the adapter needs of a second stage. Nothing here may wait."""

    def ask(self, request: Request) -> None:
        """Ask, and let older requests that wait be forgotten."""

    def answers(self) -> tuple[Told, ...]:
        """Corrections that have come since the last call."""

    def forget(self) -> None:
        """What was said before is to be forgotten, here and over there."""


class RemoteSecondStage:
    """A second stage in another process, here or on another machine, over ZeroMQ.

    Parameters
    ----------
    address : str
        Where it listens: ``tcp://127.0.0.1:PORT`` or ``ipc://PATH``, or with a key
        ``tcp://HOST:PORT``.
    key : PersonKey, optional
        With which the session is known there, and the other machine's public key.
    tell : callable
        Takes an event when the second stage is gone, is back, or refuses.

    Raises
    ------
    ConfigError
        If the address reaches beyond this machine without a key, or is none.
    """

    def __init__(
        self,
        address: str,
        key: PersonKey | None = None,
        tell: Callable[[Event], None] = lambda event: None,
    ) -> None:
        _check_reach(address, keyed=key is not None)
        self._address, self._tell = address, tell
        self._connected, self._said = False, ""
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.SNDHWM, 1)
        self._socket.setsockopt(zmq.RCVHWM, _MOST_ANSWERS)
        self._socket.setsockopt(zmq.MAXMSGSIZE, _LONGEST_ANSWER)
        # Without a peer nothing is queued: what waits here can still be replaced.
        self._socket.setsockopt(zmq.IMMEDIATE, 1)
        try:
            if key is not None:
                use_curve(self._socket, key.key, key.server)
            self._monitor: Any = self._socket.get_monitor_socket(_NEWS)
            self._socket.connect(address)
        except zmq.ZMQError as error:
            self.close()
            raise ConfigError(f"Nothing can be reached at {address!r}: {error}.") from error
        self._waiting: list[bytes] = []
        self.replaced = self.not_understood = 0

    def ask(self, request: Request) -> None:
        """Ask now, or as soon as the other process takes requests."""
        forgets = [frame for frame in self._waiting if frame == FORGET][:1]
        self.replaced += len(self._waiting) - len(forgets)
        self._waiting = [*forgets, request.to_bytes()]
        self._look()
        if not self._connected and not self._said:
            self._say("is not there")
        self._send()

    def answers(self) -> tuple[Told, ...]:
        """Corrections that have come since the last call."""
        self._look()
        self._send()
        found = []
        for _ in range(_MOST_ANSWERS):
            try:
                frame = self._socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                break
            if (told := read_answer(frame)) is None:
                self.not_understood += 1
            else:
                found.append(told)
        return tuple(found)

    def forget(self) -> None:
        """Drop what waits, and tell the other process to forget."""
        self._waiting = [FORGET]
        self._send()

    def close(self) -> None:
        """Leave. Calling it twice is harmless."""
        self._context.destroy(linger=0)

    def _look(self) -> None:
        """Hear from the library how the connection stands."""
        for _ in range(_MOST_ANSWERS):
            if not self._monitor.poll(0):
                return
            news = recv_monitor_message(self._monitor)["event"]
            before, self._connected = self._connected, news == zmq.EVENT_HANDSHAKE_SUCCEEDED
            if self._connected and self._said:
                self._say("is there again")
                self._said = ""
            elif news & _REFUSED:
                self._say("refuses this key, or is not the one that the key was made for")
            elif before and not self._connected:
                self._say("is gone")

    def _say(self, how: str) -> None:
        """Let people know, once for each change."""
        if how == self._said:
            return
        self._said = how
        end = "" if self._connected else ": what the first stage reads stands"
        text = f"The language model at {self._address} {how}{end}."
        self._tell(Event(kind=EventKind.SECOND_STAGE, text=text))

    def _send(self) -> None:
        while self._waiting:
            try:
                self._socket.send(self._waiting[0], zmq.NOBLOCK)
            except zmq.Again:
                return
            del self._waiting[0]


def read_answer(frame: bytes) -> Told | None:
    """A correction from the wire; None if it is nothing of the kind."""
    try:
        said = parsed_json(frame)
        text, utterance, version = said["text"], said["utterance"], said["version"]
    except (ValueError, TypeError, KeyError):
        return None
    if not (isinstance(text, str) and type(utterance) is type(version) is int):
        return None
    return Told(kind=Kind.CORRECT, text=text, utterance=utterance, version=version)


def _check_reach(address: str, *, keyed: bool) -> None:
    if not stays_here(address, "address of the second stage") and not keyed:
        raise ConfigError(
            f"Without a key the second stage must be on this machine, at tcp://127.0.0.1:PORT or "
            f"ipc://PATH, got {address!r}: what somebody says does not travel unprotected; give "
            f"model.second_stage_key, or an address here."
        )
