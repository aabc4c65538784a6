"""Commands as UDP datagrams: the smallest way out, for programs and microcontrollers.

There is no key and no answer. Whoever can send to the receiver's port can pretend to be this
program, and nobody here knows whether a datagram arrived; see `hardware.zmq_sink` for a way out
with keys.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from ..runtime.device_record import DeviceRecord
from ..runtime.errors import ConfigError
from ..runtime.messages import Command, Decision, StreamSpec
from .command_form import binary_form, class_index, json_form
from .datagram import DatagramLine, check_receiver
from .resting import NOT_OPEN, OVER, no_decision

FORMS = ("json", "binary")


@dataclass(frozen=True, slots=True, kw_only=True)
class UdpSinkConfig:
    """Where datagrams go, and what they look like.

    Parameters
    ----------
    host : str
        Name or address of the receiver.
    port : int
        Its UDP port, 1 to 65535.
    form : str
        ``"json"`` or ``"binary"``; see `hardware.command_form`.
    remote : bool
        Whether the receiver may be another machine.

    Raises
    ------
    ConfigError
        If a value cannot be used.
    """

    host: str = "127.0.0.1"
    port: int = 5510
    form: str = "json"
    remote: bool = False

    def __post_init__(self) -> None:
        check_receiver(self.host, self.port, remote=self.remote)
        if self.form not in FORMS:
            raise ConfigError(f"sinks.form must be one of {', '.join(FORMS)}, got {self.form!r}.")


class UdpSink:
    """Sends a datagram for every decision, neutral ones included.

    Parameters
    ----------
    config : UdpSinkConfig, optional
        To this machine if not given.
    """

    Config = UdpSinkConfig
    outside = True
    tested = DeviceRecord(
        what="commands as datagrams for any program, JSON or a C struct",
        against="a receiver of this project on a real socket, also behind the watchdog",
        never="two machines; a wireless network",
        connect='`kind = "udp"`, `host` and `port`; see [](outputs.md).',
    )

    def __init__(self, config: UdpSinkConfig | None = None) -> None:
        self._config = config or UdpSinkConfig()
        self._line: DatagramLine | None = None
        self._index: dict[str | None, int] = {}
        self._classes: tuple[str, ...] = ()
        self._sequence = 0

    def open(self, spec: StreamSpec, classes: tuple[str, ...]) -> None:
        """Look the receiver up; raises `ConfigError` if it has no address."""
        self._classes, self._index = classes, class_index(classes)
        self._sequence = 0
        self._line = DatagramLine(self._config.host, self._config.port)

    def act(self, decision: Decision, command: Command) -> Command:
        """Send it; raises `SinkError` if this machine cannot. The command passes as it is."""
        if self._line is None:
            return command.at_rest(NOT_OPEN)
        self._line.send(self._datagram(decision, command))
        return command

    def close(self) -> None:
        """Send a last neutral command. Calling it twice is harmless."""
        if self._line is not None:
            nothing = no_decision(self._classes, OVER)
            self._line.close(self._datagram(nothing, Command(label=None, reason=OVER)))
            self._line = None

    def _datagram(self, decision: Decision, command: Command) -> bytes:
        number, now_ns = self._sequence, time.monotonic_ns()
        self._sequence += 1
        if self._config.form == "json":
            return json_form(decision, command, number, now_ns)
        return binary_form(decision, command, number, now_ns, self._index)
