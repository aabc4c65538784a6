"""The second process: it holds the outputs, and makes them safe when the loop is not.

The sinks that act outside this program live here, and what they are to do comes through a socket
from `Plug`, the loop's end. A loop that hangs in its own code, in a driver of a GPU or in the
garbage collector, that was stopped by a signal or killed, gives no sign of life; then the outputs
turn neutral by themselves, by the clock of this process. Nothing is asked of the loop for that.

    python -m diverloop.runtime.watchdog DESCRIPTOR LIMIT_NS

is started by a session, not by hand.
"""

from __future__ import annotations

import select
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from .catalog import find
from .clock import MonotonicClock
from .deciding import Tells
from .errors import DiverloopError
from .messages import Command, Decision, Event, StreamSpec
from .realtime import RealtimeConfig, realtime
from .settings import build
from .shield import ShieldedSink
from .stages import Clock, Sink
from .vigil import Vigil
from .wire import decode, encode

LONGEST = 1 << 16
"""Bytes of the longest message between loop and watchdog."""

# Above the loop: it sleeps nearly always, and has to be on time when everything else is busy.
_PUNCTUAL = RealtimeConfig(fifo_priority=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """Which sinks to open, and for what.

    Parameters
    ----------
    sinks : tuple of (str, mapping)
        Name in the catalogue, and settings.
    spec : StreamSpec
        The decoded stream.
    classes : tuple of str
        What is decided.
    """

    sinks: tuple[tuple[str, Mapping[str, Any]], ...]
    spec: StreamSpec
    classes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The sinks are open, or why they are not.

    Parameters
    ----------
    refusal : str
        Empty if they are.
    """

    refusal: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acting:
    """What the sinks are to do.

    Parameters
    ----------
    decision : Decision
        What it rests on.
    command : Command
        As the guard let it through.
    number : int
        By which the answer names it.
    """

    decision: Decision
    command: Command
    number: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """A sign of life, in both directions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """An emergency stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bye:
    """The session is over in good order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Did:
    """What the sinks did with a command.

    Parameters
    ----------
    asked, done : Command
        What they were asked for, and what they really did.
    number : int
        Of the command.
    sent_ns : int
        When the last of them was done, on this machine's monotonic clock.
    """

    asked: Command
    done: Command
    number: int = 0
    sent_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A sink has something to tell people: it failed, or turned somebody away.

    Parameters
    ----------
    event : Event
        What.
    """

    event: Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Woke:
    """The loop is heard again after too long a silence; the outputs were safe meanwhile.

    Parameters
    ----------
    silent_ns : int
        How long.
    """

    silent_ns: int


_TYPES: dict[bytes, type] = {
    kind.__name__.encode(): kind
    for kind in (Opening, Opened, Acting, Beat, Stop, Bye, Did, Told, Woke)
}
Said = Opening | Opened | Acting | Beat | Stop | Bye | Did | Told | Woke


def packed(said: Said) -> bytes:
    """A message between loop and watchdog as one datagram."""
    return msgspec.msgpack.encode(encode(type(said).__name__.encode(), said))


def unpacked(datagram: bytes) -> Said:
    """The way back; raises `DiverloopError` for what is no such message."""
    try:
        frames = msgspec.msgpack.decode(datagram, type=list[bytes])
    except msgspec.MsgspecError as error:
        raise DiverloopError(f"Got {len(datagram)} bytes that are no message ({error}).") from error
    said: Said = decode(frames, _TYPES)[1]
    return said


class Watchdog:
    """Serves one loop until it says goodbye or is gone.

    Parameters
    ----------
    link : socket
        Keeps datagrams apart, and ends when the other end is gone.
    limit_ns : int
        Silence after which the outputs are made safe.
    clock : Clock
        Of this process.
    """

    def __init__(self, link: socket.socket, limit_ns: int, clock: Clock) -> None:
        self._link = link
        self._clock = clock
        self._vigil = Vigil(limit_ns)
        self._sinks: list[Sink] = []
        self._tellers: list[Tells] = []
        self._classes: tuple[str, ...] = ()

    def run(self) -> None:
        """Open the sinks, pass commands on, make the outputs safe without them, close."""
        with ExitStack() as stack:
            if not self._open(stack):
                return
            while (said := self._next()) is not None and not isinstance(said, Bye):
                self._take(said)
            self._rest("the loop is gone" if said is None else "the session is over")

    def _open(self, stack: ExitStack) -> bool:
        opening = unpacked(self._link.recv(LONGEST) or packed(Bye()))
        if not isinstance(opening, Opening):
            return False
        self._classes = opening.classes
        try:
            for kind, settings in opening.sinks:
                cls = find("sink", kind)
                sink: Sink = cls(build(cls.Config, settings, f"sinks.{kind}"))
                stack.callback(sink.close)
                sink.open(opening.spec, opening.classes)
                # One that fails takes neither the others nor this process with it.
                self._sinks.append(ShieldedSink(sink, self._tell))
                if isinstance(sink, Tells):
                    self._tellers.append(sink)
        except DiverloopError as error:
            self._say(Opened(refusal=str(error)))
            return False
        self._say(Opened())
        return True

    def _next(self) -> Said | None:
        """What the loop says next; None when it is gone. Meanwhile the outputs are seen to."""
        while True:
            if select.select([self._link], [], [], self._vigil.left_s(self._clock.now_ns()))[0]:
                try:
                    datagram = self._link.recv(LONGEST)
                except ConnectionError:
                    return None
                return unpacked(datagram) if datagram else None
            if self._vigil.watch(self._clock.now_ns()):
                self._rest(self._vigil.safe_because)
                self._vigil_again()

    def _vigil_again(self) -> None:
        """Sinks are told again and again that they rest: a device may have missed it."""
        while not select.select([self._link], [], [], 0.05)[0]:
            self._rest(self._vigil.safe_because)

    def _take(self, said: Said) -> None:
        if isinstance(said, Stop):  # of whoever pressed it, so no sign of the loop's life
            self._vigil.stop()
            self._rest(self._vigil.safe_because)
            return
        silent_ns = self._vigil.hear(self._clock.now_ns())
        if silent_ns:
            self._say(Woke(silent_ns=silent_ns))
        match said:
            case Acting(decision=decision, command=command, number=number):
                self._act(decision, command, number)
            case Beat():
                self._say(said)
            case _:
                pass

    def _act(self, decision: Decision, command: Command, number: int) -> None:
        done = self._vigil.permit(command)
        for sink in self._sinks:
            done = sink.act(decision, done)
        sent_ns = self._clock.now_ns()
        self._say(Did(asked=command, done=done, number=number, sent_ns=sent_ns))
        for teller in self._tellers:
            for event in teller.take_events():
                self._tell(event)

    def _rest(self, reason: str) -> None:
        command = Command(label=None, reason=f"watchdog: {reason}")
        nothing = Decision(
            classes=self._classes,
            probabilities=np.full(len(self._classes), np.nan),
            label=None,
            reason=command.reason,
        )
        for sink in self._sinks:
            sink.act(nothing, command)

    def _tell(self, event: Event) -> None:
        self._say(Told(event=event))

    def _say(self, said: Said) -> None:
        with suppress(OSError):  # the loop is gone, as the socket's end will tell, or is deaf
            self._link.send(packed(said), socket.MSG_DONTWAIT)


def main(arguments: Sequence[str]) -> int:
    """Run a watchdog: the descriptor of its socket, and the longest silence in nanoseconds."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the loop, which says goodbye then
    with socket.socket(fileno=int(arguments[0])) as link, realtime(_PUNCTUAL):
        Watchdog(link, int(arguments[1]), MonotonicClock()).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
