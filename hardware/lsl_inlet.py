"""LSL as a source: one signal stream, and the marker stream that goes with it.

What the library does by itself is kept to a minimum, because it is silent about it: here it
neither corrects clocks, nor smooths stamps, nor reconnects. `Timeline` says which sample is
which, this file reconnects, and both say what they did.

References
----------
Kothe et al. The lab streaming layer for synchronized multimodal recording. Imaging Neuroscience,
2025.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pylsl
from numpy.typing import NDArray

from ..runtime.device_record import DeviceRecord
from ..runtime.errors import ConfigError, SchemaMismatch, SourceUnavailable
from ..runtime.messages import Chunk, Event, EventKind, Marker, StreamSpec
from ..runtime.received import Received
from ..runtime.stages import Clock
from ..runtime.timeline import Placed, Timeline
from .lsl_connection import Connection
from .lsl_description import describe_stream
from .lsl_link import await_pinned, connect, find_one, full_info
from .lsl_markers import LslMarkers
from .lsl_pin import StreamPin


@dataclass(frozen=True, slots=True, kw_only=True)
class LslConfig:
    """Which stream to bind to.

    LSL has no authentication: whoever sends under the right name is believed. So name the stream
    as closely as you can; `source_id` is the device's own identity.

    Parameters
    ----------
    name, type, source_id, hostname : str
        What the stream must be called; empty matches anything, but a name, a type or a source id
        is needed.
    markers : str
        Names of the marker streams, with commas between; ``"*"`` for ``<name>-markers`` where
        there is one, empty for none.
    wait_s : float
        How long to look for the stream, 0.1 to 3600 s.
    buffer_s : float
        Signal kept while the loop is busy, 1 to 360 s.
    silent_s : float
        A stream that brings nothing for so long is looked for anew, 1 to 3600 s: its host may
        have gone without a word. Less than about 6 s, and samples are given up that the network
        would still have brought.
    assume_unit : str
        Unit of channels that name none or an unknown one; empty refuses them.
    pin : StreamPin, optional
        What the stream must be in all that it says of itself; ``diverloop doctor --session FILE
        --pin`` writes it.
    """

    name: str = ""
    type: str = ""
    source_id: str = ""
    hostname: str = ""
    markers: str = "*"
    wait_s: float = 10.0
    buffer_s: float = 10.0
    silent_s: float = 7.0
    assume_unit: str = ""
    pin: StreamPin | None = None

    def __post_init__(self) -> None:
        if not (self.name or self.type or self.source_id):
            raise ConfigError(
                "source.name, source.type and source.source_id are all empty: name the stream "
                'to bind to, for example name = "my-amplifier".'
            )
        if not 0.1 <= self.wait_s <= 3600:
            raise ConfigError(f"source.wait_s must be in [0.1, 3600] s, got {self.wait_s} s.")
        if not 1 <= self.buffer_s <= 360:
            raise ConfigError(f"source.buffer_s must be in [1, 360] s, got {self.buffer_s} s.")
        if not 1 <= self.silent_s <= 3600:
            raise ConfigError(f"source.silent_s must be in [1, 3600] s, got {self.silent_s} s.")
        for key in ("name", "type", "source_id", "hostname", "markers"):
            value = getattr(self, key)
            if "'" in value:
                raise ConfigError(f"source.{key} must not hold a quote ('), got {value!r}.")

    @property
    def wanted(self) -> dict[str, str]:
        """What the resolver has to look for."""
        return {
            "name": self.name,
            "type": self.type,
            "source_id": self.source_id,
            "hostname": self.hostname,
        }


def pin_of(config: LslConfig) -> StreamPin:
    """Pin the one stream that settings name.

    Parameters
    ----------
    config : LslConfig
        What it is called; a pin in it counts no more.

    Returns
    -------
    pin : StreamPin
        Of the stream that is there now.

    Raises
    ------
    SourceUnavailable
        If none answers in time, or several do.
    SchemaMismatch, UnitError
        If its description cannot be used.
    """
    inlet = connect(find_one(config.wanted, config.wait_s), config.buffer_s)
    try:
        info = full_info(inlet, 5.0)
        return StreamPin.of(info, describe_stream(info, config.assume_unit))
    finally:
        inlet.close_stream()


class LslSource:
    """Reads a signal stream and its markers over the lab streaming layer.

    `read` blocks inside the library, with the interpreter lock released, until as many samples
    as wanted have come: that is twice as fast as asking every millisecond, and costs nothing.
    Samples are copied on arrival, because the library's buffer is used again.

    Parameters
    ----------
    config : LslConfig
        Which stream.
    clock : Clock
        The machine's monotonic clock.
    """

    Config = LslConfig
    tested = DeviceRecord(
        what="any stream of the Lab Streaming Layer: most amplifiers have an app for it",
        against="outlets of other processes on one machine (liblsl through pylsl), "
        "with lost, doubled, late and jittering samples, clock steps, restarts, hostile streams; "
        "hosts in network namespaces with delay, loss and partition",
        never="an amplifier; two real machines; a wireless network",
        connect='start the amplifier\'s LSL app, then `kind = "lsl"` and `name = "its name"`; '
        "`diverloop doctor --stream NAME` looks at it first.",
    )

    def __init__(self, config: LslConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._spec: StreamSpec | None = None
        self._link = Connection(config, clock, self._refuse_other, self._tell)
        self._markers: tuple[LslMarkers, ...] = ()
        self._placed: list[Placed] = []
        self._events: list[Event] = []
        self._received: list[Received] = []
        self._n_rows = 0
        self._arrived_ns = 0

    @property
    def spec(self) -> StreamSpec:
        """Rate and channels, in microvolts; known after `open`."""
        if self._spec is None:
            raise SourceUnavailable("The stream is not open yet: call open() first.")
        return self._spec

    @property
    def ended(self) -> bool:
        """A live stream does not end by itself."""
        return False

    def open(self) -> None:
        """Find the stream, check its description, subscribe.

        Raises
        ------
        SourceUnavailable
            If no stream matches in time, or several do.
        SchemaMismatch, UnitError
            If its description cannot be used, or is not that of the pinned stream.
        """
        inlet = self._find()
        info = full_info(inlet, 5.0)
        self._spec = describe_stream(info, self._config.assume_unit)
        assert self._spec.sent is not None
        self._sent = self._spec.sent
        self._as_sent = self._sent.dtype == "<f4" and set(self._sent.microvolts) == {1.0}
        n_kept = max(64, round(self._config.buffer_s * self._spec.rate_hz))
        self._buffer = np.zeros((n_kept, self._spec.n_channels), self._sent.dtype)
        self._timeline = Timeline(self._spec.rate_hz)
        self._link.begin(inlet, self._spec.name, self._spec.source_id)
        self._markers = LslMarkers.beside(info, self._config.markers, self._config.wait_s)

    def _find(self) -> pylsl.StreamInlet:
        config = self._config
        if config.pin is None:
            return connect(find_one(config.wanted, config.wait_s), config.buffer_s)
        inlet, refusals = await_pinned(
            config.wanted, config.pin, config.wait_s, config.buffer_s, self._refuse_impostor
        )
        for refusal in refusals:
            self._tell(EventKind.IMPOSTOR, refusal)
        return inlet

    def read(self, wanted: int, until_ns: int) -> Chunk | None:
        """Wait for samples until the deadline; see `Source.read`."""
        if not self._placed:
            if self._link.inlet is None:
                self._link.await_return(until_ns)
            else:
                self._pull(self._link.inlet, wanted, until_ns)
        return self._next_chunk()

    def close(self) -> None:
        """Unsubscribe and stop looking. Calling it twice is harmless."""
        self._link.close()
        for markers in self._markers:
            markers.close()
        self._markers = ()

    # ------------------------------------------------------------------------------- the samples

    def _pull(self, inlet: pylsl.StreamInlet, wanted: int, until_ns: int) -> None:
        """Block for what is wanted, then take whatever else is there."""
        buffer = self._buffer
        stamps, gone = np.zeros(0), False
        left_s = max(0.0, (until_ns - self._clock.now_ns()) / 1e9)
        try:
            _, stamps = inlet.pull_chunk(left_s, min(wanted, len(buffer)), buffer, as_numpy=True)
            if len(stamps) == wanted < len(buffer) and inlet.samples_available():
                rest = buffer[wanted:]
                _, more = inlet.pull_chunk(0.0, len(rest), rest, as_numpy=True)
                stamps = np.concatenate((stamps, more))
        except pylsl.util.LostError:
            gone = True
        if len(stamps):  # what came before it went
            self._place(buffer[: len(stamps)], stamps)
        if gone:
            self._link.lose()
        elif not len(stamps) and self._link.mind_silence():
            for markers in self._markers:  # of the same host, they would be silent for ever
                markers.lose()

    def _place(self, raw: NDArray[np.generic], stamps: NDArray[np.float64]) -> None:
        now_ns = self._clock.now_ns()
        # A copy, in memory of our own: the next pull overwrites the buffer.
        samples = self._sent.to_microvolts(raw)
        self._link.heard()
        self._received.append(
            Received(
                values=samples.T if self._as_sent else raw.copy(),
                stamps_s=stamps,
                first_row=self._n_rows,
                offset_s=self._link.offset_s,
            )
        )
        if self._link.outage:
            self._link.outage = False
            self._resume(stamps, now_ns)
        self._arrived_ns = now_ns
        self._placed += self._timeline.place(samples, stamps, now_ns / 1e9, self._n_rows)
        self._n_rows += len(stamps)
        self._events += self._timeline.take_events()

    def _resume(self, stamps: NDArray[np.float64], now_ns: int) -> None:
        """Tell the timeline how long the sender was away."""
        if not self._timeline.started:
            # It went before its first sample: there is nothing to measure a gap from.
            self._timeline = Timeline(self.spec.rate_hz)
            return
        own_s = len(stamps) / self.spec.rate_hz
        outage_s = (now_ns - self._arrived_ns) / 1e9 - own_s
        self._timeline.resume(float(stamps[0]), max(0.0, outage_s))

    def _next_chunk(self) -> Chunk | None:
        """The next run of consecutive samples, with whatever else came."""
        markers = self._take_markers()
        events, self._events = tuple(self._events), []
        received, self._received = tuple(self._received), []
        if not (self._placed or markers or events or received):
            return None
        if not self._placed:
            return Chunk(
                samples=np.zeros((self.spec.n_channels, 0), np.float32),
                first_sample=-1,
                arrived_ns=self._clock.now_ns(),
                markers=markers,
                events=events,
                received=received,
            )
        runs = self._take_runs()
        last_stamp_s = runs[-1].last_stamp_s
        blocks = [run.samples for run in runs]
        return Chunk(
            samples=blocks[0] if len(blocks) == 1 else np.concatenate(blocks, axis=1),
            first_sample=runs[0].first_sample,
            arrived_ns=self._arrived_ns,
            lsl_raw_s=last_stamp_s,
            lsl_corrected_s=last_stamp_s + self._link.offset_s,
            markers=markers,
            events=events,
            received=received,
            rows=tuple((run.first_row, run.first_row + run.samples.shape[1]) for run in runs),
        )

    def _take_markers(self) -> tuple[Marker, ...]:
        if not self._timeline.started:
            return ()
        return tuple(
            marker
            for markers in self._markers
            for marker in markers.take(self._timeline, self._link.offset_s)
        )

    def _take_runs(self) -> list[Placed]:
        """Take what follows on one another without a hole."""
        placed = self._placed
        count = 1
        for before, after in pairwise(placed):
            if before.first_sample + before.samples.shape[1] != after.first_sample:
                break
            count += 1
        self._placed = placed[count:]
        return placed[:count]

    # ------------------------------------------------------------------------- is it the same one?

    def _refuse_other(self, inlet: pylsl.StreamInlet) -> None:
        """Raise unless the stream has the rate, channels and units of the one that was lost."""
        spec = self._refuse_impostor(inlet)
        assert spec.sent is not None
        if spec.schema != self.spec.schema:
            raise SchemaMismatch(
                f"A stream {spec.name!r} came back with {spec.n_channels} channels at "
                f"{spec.rate_hz:g} Hz ({', '.join(spec.channel_names[:4])}, ...), not the "
                f"{self.spec.n_channels} at {self.spec.rate_hz:g} Hz in their order that were "
                f"lost; it is refused: restore the sender's settings, or start a new session."
            )
        if (spec.sent.dtype, spec.sent.microvolts) != (self._sent.dtype, self._sent.microvolts):
            raise SchemaMismatch(
                f"The stream {spec.name!r} came back with other units or another number format; "
                f"it is refused: restore the sender's settings, or start a new session."
            )

    def _refuse_impostor(self, inlet: pylsl.StreamInlet) -> StreamSpec:
        """What a stream says of itself; raises unless that is what was pinned, if anything was."""
        info = full_info(inlet, 2.0)
        spec = describe_stream(info, self._config.assume_unit)
        if self._config.pin is not None:
            self._config.pin.check_identity(info)
            self._config.pin.check_schema(spec)
        return spec

    def _tell(self, kind: EventKind, text: str) -> None:
        self._events.append(Event(kind=kind, text=text))
