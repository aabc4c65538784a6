"""Commands into trains of pulses: off by default, behind the gate, into a simulated stimulator.

A table of the session says which selected class asks for which train. The sink watches the stream
it is fed back to: while a train runs it looks at the guard every few milliseconds, and each pulse
becomes a marker, so that conditioning can blank it.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from ..runtime.catalog import find
from ..runtime.device_record import DeviceRecord
from ..runtime.errors import ConfigError
from ..runtime.guard import Guard
from ..runtime.messages import Chunk, Command, Decision, Event, Marker, StreamSpec
from ..runtime.record.signing import load_or_create_key
from ..runtime.stages import Clock, Source
from ..runtime.stimulation import StimulationPermission
from ..runtime.stimulation_gate import StimulationGate
from ..runtime.stimulation_ledger import DoseLedger
from ..runtime.stimulator import Permit
from .stimulation_config import StimulationSinkConfig

_LOOK_NS = 20_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class StimulationSink:
    """Asks the gate for a train when its class is selected. Lets every other command pass.

    Parameters
    ----------
    config : StimulationSinkConfig, optional
        Off if not given.
    """

    Config = StimulationSinkConfig
    tested = DeviceRecord(
        what="requests for stimulation, each of which a gate allows or denies",
        against="the simulated stimulator of this release, which holds and puts out no current",
        never="a stimulator: none can be connected",
        connect='`kind = "stimulation"` and its limits, in simulations; see [](stimulation.md).',
    )

    def __init__(self, config: StimulationSinkConfig | None = None) -> None:
        self._config = config or StimulationSinkConfig()
        self._trains = {train.label: train for train in self._config.trains}
        self._clock: Clock | None = None
        self._guard = Guard()
        self._permission: Permit = _nobody
        self._background = False
        self._writer: _Writer | None = None
        self._events: list[Event] = []
        self.stimulator = find("stimulator", self._config.device)(self._config.simulated)
        self.gate: StimulationGate | None = None

    def attend(
        self, source: Source, *, clock: Clock, guard: Guard, permission: Permit, background: bool
    ) -> Source:
        """Watch a stream.

        Parameters
        ----------
        source : Source
            What is read.
        clock : Clock
            The session's own, not the loop's: looking at it leaves no trace.
        guard : Guard
            The loop's.
        permission : callable
            Says who has enabled stimulation, if anybody has.
        background : bool
            Whether the disk gets a thread of its own.

        Returns
        -------
        source : Source
            With pulses as markers and what the gate says as events; the same if nothing can be
            delivered.
        """
        self._clock, self._guard = clock, guard
        self._permission, self._background = permission, background
        return _Attended(source, self) if self._config.enabled else source

    def open(self, spec: StreamSpec, classes: tuple[str, ...]) -> None:
        """Open ledger and device, if stimulation is enabled.

        Raises `ConfigError` if a train is asked for by no class, or nobody lets this sink see the
        guard; `RecordingError` if the ledger cannot be believed.
        """
        if not self._config.enabled:
            return
        if self._clock is None:
            raise ConfigError("Stimulation needs the loop's guard and clock: call attend first.")
        for label in self._trains:
            if label not in classes:
                raise ConfigError(
                    f"sinks.trains names the class {label!r}, the model has {', '.join(classes)}."
                )
        utc_ns = (datetime.now(UTC) - _EPOCH) // timedelta(microseconds=1) * 1000
        ledger = DoseLedger.open(
            Path(self._config.ledger).expanduser(),
            load_or_create_key(),
            self._clock,
            utc_ns=utc_ns,
            begin=self._config.begin_ledger,
        )
        self.gate = StimulationGate(
            limits=self._config.limits,
            contacts=self._config.contacts,
            stimulator=self.stimulator,
            ledger=ledger,
            tell=self._events.append,
            permission=self._permission,
        )
        self.gate.open([train.request() for train in self._config.trains])
        self._writer = _Writer(self.gate) if self._background else None

    def act(self, decision: Decision, command: Command) -> Command:
        """Ask for a train if this command selects one; neutral, and why, if it is denied."""
        self.look()
        train = self._trains.get(command.label or "") if command.selected else None
        if train is None:
            return command
        if self.gate is None or self._clock is None:
            return command.at_rest("stimulation is off")
        now_ns = self._clock.now_ns()
        name = f"{decision.stop_sample}/{decision.epoch}"
        outcome = self.gate.ask(train.request(now_ns, name), now_ns, self._guard.state)
        if outcome.allowed:
            return command
        return command.at_rest(f"stimulation was denied: {outcome.reason}")

    def look(self) -> bool:
        """Follow the train that runs, if one does; have the ledger written.

        Returns
        -------
        busy : bool
            Whether one still runs.
        """
        if self.gate is None or self._clock is None:
            return False
        self.gate.follow(self._clock.now_ns(), self._guard.state)
        if self.gate.unwritten:
            if self._writer:
                self._writer.wake()
            else:
                self.gate.write()
        return self.gate.busy

    def new_markers(self, chunk: Chunk, rate_hz: float) -> tuple[Marker, ...]:
        """Pulses that began before the end of a chunk, each once.

        Parameters
        ----------
        chunk : Chunk
            With samples.
        rate_hz : float
            Of the stream.

        Returns
        -------
        markers : tuple of Marker
            At the nearest sample of the chunk.
        """
        times = self.gate.new_pulses(chunk.arrived_ns) if self.gate else ()
        last, markers = chunk.stop_sample - 1, []
        for at_ns in times:
            sample = last - round((chunk.arrived_ns - at_ns) * rate_hz / 1e9)
            sample = max(sample, chunk.first_sample)
            back_s = (last - sample) / rate_hz
            markers.append(
                Marker(
                    label=self._config.marker,
                    sample=sample,
                    lsl_raw_s=chunk.lsl_raw_s - back_s,
                    lsl_corrected_s=chunk.lsl_corrected_s - back_s,
                )
            )
        return tuple(markers)

    def take_events(self) -> tuple[Event, ...]:
        """What the gate has said since the last call."""
        taken = tuple(self._events)
        self._events.clear()
        return taken

    def close(self) -> None:
        """End what runs, write the ledger, release the device. Calling it twice is harmless."""
        if self._writer:
            self._writer.close()
        if self.gate is not None and self._clock is not None:
            self.gate.close(self._clock.now_ns())
        self.gate = self._writer = None


class _Attended:
    """A source in which the pulses of a stimulator are marked."""

    def __init__(self, source: Source, sink: StimulationSink) -> None:
        self._source, self._sink = source, sink
        self._came = 0

    @property
    def spec(self) -> StreamSpec:
        return self._source.spec

    @property
    def ended(self) -> bool:
        return self._source.ended

    def open(self) -> None:
        self._came = 0
        self._source.open()

    def close(self) -> None:
        self._source.close()

    def read(self, wanted: int, until_ns: int) -> Chunk | None:
        """As the source does; while a train runs the loop has its turn every few milliseconds."""
        if self._sink.look():
            until_ns = min(until_ns, self._now_ns() + _LOOK_NS)
        chunk = self._source.read(wanted, until_ns)
        self._sink.look()
        events = self._sink.take_events()
        if chunk is None:
            return self._nothing_but(events) if events else None
        markers: Sequence[Marker] = chunk.markers
        if chunk.samples.shape[1]:
            self._came = chunk.stop_sample
            pulses = self._sink.new_markers(chunk, self.spec.rate_hz)
            markers = sorted((*markers, *pulses), key=lambda marker: marker.sample)
        told = tuple(replace(event, sample=self._came) for event in events)
        return replace(chunk, markers=tuple(markers), events=(*chunk.events, *told))

    def _now_ns(self) -> int:
        assert self._sink._clock is not None
        return self._sink._clock.now_ns()

    def _nothing_but(self, events: tuple[Event, ...]) -> Chunk:
        nothing = np.empty((self.spec.n_channels, 0), np.float32)
        return Chunk(
            samples=nothing, first_sample=self._came, arrived_ns=self._now_ns(), events=events
        )


class _Writer:
    """A thread that waits for the disk, so that the loop does not."""

    def __init__(self, gate: StimulationGate) -> None:
        self._gate, self._due, self._over = gate, threading.Event(), False
        self._thread = threading.Thread(target=self._run, name="dose ledger", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """There is something to write."""
        self._due.set()

    def close(self) -> None:
        """Finish what is being written."""
        self._over = True
        self._due.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over:
            self._due.wait()
            self._due.clear()
            self._gate.write()


def _nobody() -> StimulationPermission | None:
    return None
