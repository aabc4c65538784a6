"""Commands as Open Sound Control over UDP, for sound, light and games.

One bundle for each decision, with the time of sending as its time tag and one message in it
(Wright, 2002: The Open Sound Control 1.0 Specification). Like all of OSC over UDP it has no keys
and no answers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ..runtime.device_record import DeviceRecord
from ..runtime.errors import ConfigError
from ..runtime.messages import Command, Decision, StreamSpec
from .datagram import DatagramLine, check_receiver
from .resting import NOT_OPEN, OVER

NEUTRAL = "neutral"
"""The label in a message that commands nothing."""

ARGUMENTS = ("label", "strength", "selected", "v1", "v2", "v3", "sequence")
"""What a message holds, in order: a string, a float32, an int32, three float32, an int32."""

_ADDRESS = re.compile(r"(/[!-~]+)+")
_RESERVED = set(" #*,?[]{}")  # patterns are for receivers to match with, not for senders


@dataclass(frozen=True, slots=True, kw_only=True)
class OscSinkConfig:
    """Where messages go.

    Parameters
    ----------
    host : str
        Name or address of the receiver.
    port : int
        Its UDP port, 1 to 65535.
    address : str
        OSC address of the messages.
    immediately : bool
        Whether the time tag says "at once" instead of when it was sent: for receivers that take
        any time in the past for late.
    remote : bool
        Whether the receiver may be another machine.

    Raises
    ------
    ConfigError
        If a value cannot be used.
    """

    host: str = "127.0.0.1"
    port: int = 9000
    address: str = "/diverloop/decision"
    immediately: bool = False
    remote: bool = False

    def __post_init__(self) -> None:
        check_receiver(self.host, self.port, remote=self.remote)
        if not _ADDRESS.fullmatch(self.address) or _RESERVED & set(self.address):
            raise ConfigError(
                f"sinks.address must be an OSC address like '/diverloop/decision', without blanks "
                f"and without any of #*,?[]{{}}, got {self.address!r}."
            )


class OscSink:
    """Sends a bundle for every decision, neutral ones included. See `ARGUMENTS`.

    Parameters
    ----------
    config : OscSinkConfig, optional
        To this machine if not given.
    """

    Config = OscSinkConfig
    outside = True
    tested = DeviceRecord(
        what="commands as Open Sound Control over UDP, for Max, TouchDesigner, Unity and others",
        against="messages made by python-osc and read back by it over a real socket",
        never="any of these programs",
        connect='`kind = "osc"`, `host` and `port`; see [](outputs.md).',
        extra="osc",
    )

    def __init__(self, config: OscSinkConfig | None = None) -> None:
        self._config = config or OscSinkConfig()
        self._line: DatagramLine | None = None
        self._sequence = 0

    def open(self, spec: StreamSpec, classes: tuple[str, ...]) -> None:
        """Look the receiver up.

        Raises `ConfigError` if it or the library is not there, or a class is called `NEUTRAL`.
        """
        if NEUTRAL in classes:
            raise ConfigError(
                f"A class is called {NEUTRAL!r}, which means nothing in an OSC message: rename it."
            )
        try:
            from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
            from pythonosc.osc_message_builder import OscMessageBuilder
        except ImportError as error:
            raise ConfigError(
                'The sink "osc" needs python-osc, which is not installed: pip install '
                '"diverloop[osc]".'
            ) from error
        self._immediately: Any = IMMEDIATELY
        self._bundle: Any = OscBundleBuilder
        self._message: Any = OscMessageBuilder
        self._sequence = 0
        self._line = DatagramLine(self._config.host, self._config.port)

    def act(self, decision: Decision, command: Command) -> Command:
        """Send it; raises `SinkError` if this machine cannot. The command passes as it is."""
        if self._line is None:
            return command.at_rest(NOT_OPEN)
        self._line.send(self._packet(command))
        return command

    def close(self) -> None:
        """Send a last neutral message. Calling it twice is harmless."""
        if self._line is not None:
            self._line.close(self._packet(Command(label=None, reason=OVER)))
            self._line = None

    def _packet(self, command: Command) -> bytes:
        message = self._message(self._config.address)
        # A label may hold what an OSC string cannot: a zero byte ends it.
        message.add_arg((command.label or NEUTRAL).replace("\0", ""), "s")
        message.add_arg(float(command.strength), "f")
        message.add_arg(int(command.selected), "i")
        for speed in (*command.velocity, 0.0, 0.0, 0.0)[:3]:
            message.add_arg(float(speed), "f")
        message.add_arg(self._sequence & 0x7FFFFFFF, "i")
        self._sequence += 1
        # A receiver has no other clock in common with us; nothing here is timed by it.
        tag = self._immediately if self._config.immediately else datetime.now(UTC).timestamp()
        bundle = self._bundle(tag)
        bundle.add_content(message.build())
        packet: bytes = bundle.build().dgram
        return packet
