"""Commands over ZeroMQ, for people whose keys this machine knows.

The socket publishes, like that of the telemetry: the same keys, the same list of people, the same
doorkeeper (`runtime.doorkeeper`). A listener that is slow or gone costs nothing and is not waited
for; the number in each message says what it missed.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

import zmq

from ..runtime.access import AccessNote
from ..runtime.address import stays_here
from ..runtime.clock import MonotonicClock
from ..runtime.device_record import DeviceRecord
from ..runtime.doorkeeper import Admission
from ..runtime.errors import ConfigError, SinkError
from ..runtime.events import Event, EventKind
from ..runtime.keys import server_key
from ..runtime.messages import Command, Decision, StreamSpec
from ..runtime.people import People
from ..runtime.publishing import Publisher
from .command_form import json_form
from .resting import NOT_OPEN, OVER, no_decision

TOPIC = b"command"
"""The first frame of each message; the second is JSON, see `hardware.command_form`."""

_HIGH_WATER = 100  # a listener that is further behind has no use for what is older
_LINGER_MS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ZmqSinkConfig:
    """Where commands are published, and to whom.

    Parameters
    ----------
    address : str
        A ZeroMQ endpoint; with ``*`` as its port a listener has to be told which it became.
    open_to_all : bool
        Whether everybody on this machine may listen without a key.
    remote : bool
        Whether other machines may connect; never without keys.
    folder : str
        Where the machine's key and the list of people are; empty for the configuration folder.

    Raises
    ------
    ConfigError
        If a value cannot be used, or the address reaches further than the others allow.
    """

    address: str = "tcp://127.0.0.1:5512"
    open_to_all: bool = False
    remote: bool = False
    folder: str = ""

    def __post_init__(self) -> None:
        here = stays_here(self.address, "sinks.address")
        if not here and self.open_to_all:
            raise ConfigError(
                f"sinks.open_to_all is for this machine only, got the address {self.address!r}: "
                f"leave it out, so that listeners need a key."
            )
        if not here and not self.remote:
            raise ConfigError(
                f"sinks.address reaches beyond this machine, got {self.address!r}: say "
                f"sinks.remote = true if others are meant to connect, or use "
                f"'tcp://127.0.0.1:5512'."
            )


class ZmqSink:
    """Publishes every decision, neutral ones included.

    Parameters
    ----------
    config : ZmqSinkConfig, optional
        On this machine and with keys if not given.

    Attributes
    ----------
    address : str
        Where it is bound, while it is open.
    server : str
        Public key that listeners must know; empty if they need none.
    """

    Config = ZmqSinkConfig
    outside = True
    tested = DeviceRecord(
        what="commands over ZeroMQ to people with a key",
        against="subscribers with a key, without one and with a wrong one, over real sockets",
        never="two machines",
        connect='`kind = "zmq"` and `address`; keys by `diverloop keys`; see [](outputs.md).',
    )

    def __init__(self, config: ZmqSinkConfig | None = None) -> None:
        self._config = config or ZmqSinkConfig()
        self._publisher: Publisher | None = None
        self._refused: deque[AccessNote] = deque(maxlen=16)
        self._classes: tuple[str, ...] = ()
        self._sequence = 0
        self.address = self.server = ""

    def open(self, spec: StreamSpec, classes: tuple[str, ...]) -> None:
        """Bind; raises `ConfigError` if that cannot be done, or keys or people cannot be read."""
        self._classes, self._sequence = classes, 0
        try:
            self._publisher = Publisher(
                self._config.address,
                self._admission(),
                domain="command",
                high_water=_HIGH_WATER,
                linger_ms=_LINGER_MS,
            )
        except zmq.ZMQError as error:
            raise ConfigError(
                f"sinks.address {self._config.address!r} cannot be bound ({error}): choose another "
                f"port."
            ) from error
        self.address = self._publisher.address

    def act(self, decision: Decision, command: Command) -> Command:
        """Publish it. The command passes as it is, whoever listens.

        Raises `SinkError` if the address was lost when somebody was shown out.
        """
        if self._publisher is None:
            return command.at_rest(NOT_OPEN)
        try:
            self._publisher.send(self._message(decision, command))
            self._publisher.notices()
            self._publisher.show_out()
        except zmq.ZMQError as error:
            raise SinkError(
                f"The commands at {self.address} are not published any more ({error}): start the "
                f"session again."
            ) from error
        return command

    def take_events(self) -> tuple[Event, ...]:
        """Who was turned away since the last call."""
        events = []
        while self._refused:
            note = self._refused.popleft()
            text = f"A listener of the commands was refused ({note.why}): {note.text}"
            events.append(Event(kind=EventKind.WATCHDOG, text=text, at_ns=note.at_ns))
        return tuple(events)

    def close(self) -> None:
        """Publish a last neutral command; give it 0.2 s. Calling it twice is harmless."""
        if self._publisher is not None and not self._publisher.closed:
            nothing = no_decision(self._classes, OVER)
            self._publisher.send(self._message(nothing, Command(label=None, reason=OVER)))
            self._publisher.close()
        self._publisher = None

    def _admission(self) -> Admission | None:
        if self._config.open_to_all:
            return None
        folder = Path(self._config.folder).expanduser() if self._config.folder else None
        key = server_key(folder)
        self.server = key.public
        return Admission(
            key=key, people=People(folder), report=self._refused.append, clock=MonotonicClock()
        )

    def _message(self, decision: Decision, command: Command) -> list[bytes]:
        number = self._sequence
        self._sequence += 1
        return [TOPIC, json_form(decision, command, number, time.monotonic_ns())]
