"""Decisions as a FieldTrip buffer: whoever reads FieldTrip buffers can read what is decided."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..runtime.device_record import DeviceRecord
from ..runtime.errors import ConfigError
from ..runtime.messages import Command, Decision, StreamSpec
from .decision_row import DecisionRow
from .fieldtrip_buffer import FieldTripBuffer
from .fieldtrip_events import BufferEvent
from .fieldtrip_server import FieldTripServer
from .fieldtrip_wire import PORT, Header, names_chunk, notes_chunk
from .resting import NOT_OPEN

_FAREWELL_S = 0.2  # for the last neutral to be fetched: loopback takes 1 ms, a wireless network 100


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldTripSinkConfig:
    """Where decisions are served.

    Parameters
    ----------
    host : str
        Address to listen on. The protocol has neither passwords nor encryption: any address but
        this machine's own lets everybody in that network read.
    port : int
        TCP port, 0 to 65535; 0 lets the system choose.
    rate_hz : float
        Decisions a second, as the header announces them: the protocol has no irregular streams.
        One over the session's step. Samples are not spaced by it: ``stop_sample`` says when.
    keep : int
        Decisions that can be fetched, 10 to 1,000,000.
    """

    host: str = "127.0.0.1"
    port: int = PORT
    rate_hz: float = 10.0
    keep: int = 10_000

    def __post_init__(self) -> None:
        if not self.host:
            raise ConfigError('sinks.host must not be empty: use "127.0.0.1" for this machine.')
        if not 0 <= self.port <= 65_535:
            raise ConfigError(f"sinks.port must be in [0, 65535], got {self.port}.")
        if not 0 < self.rate_hz <= 1e4:
            raise ConfigError(f"sinks.rate_hz must be in (0, 10000] Hz, got {self.rate_hz} Hz.")
        if not 10 <= self.keep <= 1_000_000:
            raise ConfigError(f"sinks.keep must be in [10, 1000000], got {self.keep}.")


class FieldTripSink:
    """Serves every decision as a sample, and an event whenever the command changes or selects.

    Channels are those of `decision_row.DecisionRow`, in float64. An event has the type
    ``command`` and the class or ``neutral`` as its value, or the type ``selected`` and the class.
    Clients can read and nothing else.

    Parameters
    ----------
    config : FieldTripSinkConfig
        Where.
    """

    Config = FieldTripSinkConfig
    outside = True
    tested = DeviceRecord(
        what="decisions as a FieldTrip buffer: FieldTrip, MNE-Realtime and BCI2000 can read one",
        against="this project's own source and MNE-Realtime's client",
        never="FieldTrip under MATLAB; BCI2000",
        connect='`kind = "fieldtrip"` and `port`; it serves this machine alone unless `host` says '
        "otherwise; see [](fieldtrip.md).",
    )

    def __init__(self, config: FieldTripSinkConfig | None = None) -> None:
        self._config = config or FieldTripSinkConfig()
        self._server: FieldTripServer | None = None
        self._row = DecisionRow(())
        self._shown: str | None = None
        self._n_sent = 0

    @property
    def port(self) -> int:
        """Where it serves."""
        return self._server.port if self._server else self._config.port

    def open(self, spec: StreamSpec, classes: tuple[str, ...]) -> None:
        """Begin to serve; raises `ConfigError` if the port is taken."""
        self._row = DecisionRow(classes)
        config = self._config
        buffer = FieldTripBuffer(most_samples=config.keep, most_events=config.keep, read_only=True)
        notes = {
            "classes": ",".join(classes),
            "decoded_stream": spec.name,
            "schema": "diverloop-decisions-2",
            "notice": "Investigational, not a medical device.",
        }
        header = Header(
            n_channels=len(self._row.labels),
            rate_hz=config.rate_hz,
            dtype="<f8",
            chunks=(names_chunk(self._row.labels), notes_chunk(notes)),
        )
        buffer.put_header(header)
        self._shown, self._n_sent = None, 0
        self._server = FieldTripServer(buffer, config.host, config.port)

    def act(self, decision: Decision, command: Command) -> Command:
        """Add one decision; the command passes through as it is."""
        if self._server is None:
            return command.at_rest(NOT_OPEN)
        self._send(self._server, self._row.fill(decision, command), command)
        return command

    def close(self) -> None:
        """Add a last neutral, then end. Calling it twice is harmless."""
        server, self._server = self._server, None
        if server is None:
            return
        self._send(server, self._row.farewell(), Command(label=None))
        if server.n_clients:
            # A server that goes takes with it whatever has not been fetched.
            threading.Event().wait(_FAREWELL_S)
        server.close()

    def _send(self, server: FieldTripServer, values: NDArray[np.float64], command: Command) -> None:
        events = []
        if command.selected:
            events.append(("selected", command.label or "neutral"))
        if command.label != self._shown:
            self._shown = command.label
            events.append(("command", command.label or "neutral"))
        server.buffer.put_events(
            [BufferEvent(sample=self._n_sent, type=kind, value=word) for kind, word in events]
        )
        server.buffer.put_rows(values[None, :])
        self._n_sent += 1
