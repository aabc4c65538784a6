"""A simulated amplifier behind a link that spoils its packets on purpose: for fault campaigns.

The packets are numbered, stamped and given their places by the same `Timeline` that follows a
live LSL stream, and every row that arrives is kept as it came. So what a loop sees, and what a
recording must hold, is what a real link of that kind would have given them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..runtime.clock import VirtualClock
from ..runtime.errors import ConfigError, SourceUnavailable
from ..runtime.messages import Chunk, Event, EventKind, StreamSpec
from ..runtime.received import Received, Sent
from ..runtime.stages import Clock
from ..runtime.timeline import Placed, Timeline
from .simulator import SimulatedParticipant, SimulatorConfig

KINDS = (
    "drop", "twice", "swap", "jitter", "step", "rate", "stall", "away", "nan", "inf", "scale",
    "flat",
)  # fmt: skip
"""What a link can do; see `LinkFault`."""

_STARTED_S = 5000.0  # of the sender's own clock
_PACKET_S = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkFault:
    """Something that a link does to the packets of a stretch of time.

    Parameters
    ----------
    kind : str
        ``"drop"`` loses them. ``"twice"`` brings each two times, ``"swap"`` every other one before
        its predecessor. ``"jitter"`` scatters their stamps by up to `size` seconds. ``"step"``
        sets the sender's clock forward by `size` seconds, for good. ``"rate"`` makes the whole
        stream faster by the share `size`. ``"stall"`` holds them back and brings all at once.
        ``"away"`` takes the sender down, until it returns with another clock. ``"nan"`` and
        ``"inf"`` spoil the first channel. ``"scale"`` multiplies by `size`, as a wrong unit does.
        ``"flat"`` silences the first channel.
    at_s, length_s : float
        When it begins, in seconds of stream time, and how long it lasts.
    size : float
        How much, where that means something.

    Raises
    ------
    ConfigError
        If there is no such kind.
    """

    kind: str
    at_s: float = 0.0
    length_s: float = 1e9
    size: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(f"A link can do {', '.join(KINDS)}, got {self.kind!r}: choose one.")

    def holds(self, at_s: float) -> bool:
        """Whether it is on at a moment of the stream."""
        return self.at_s <= at_s < self.at_s + self.length_s


@dataclass(slots=True)
class _Packet:
    arrives_s: float
    first: int
    values: NDArray[np.float32]
    stamps_s: NDArray[np.float64]
    returned: bool = False

    @property
    def stop(self) -> int:
        return self.first + len(self.values)


class FaultyLink:
    """Source: a simulated participant, and what befalls its packets on the way.

    Parameters
    ----------
    config : SimulatorConfig
        Who is simulated; its `duration_s` must be set.
    faults : sequence of LinkFault
        What goes wrong.
    clock : Clock
        Decides when packets arrive.
    linger_s : float
        How long the source goes on after the last packet.
    order : sequence of int
        Rows in another order, names and signal alike; empty leaves them.

    Attributes
    ----------
    invalid : list of (int, int)
        Stream indices, stop exclusive, that were lost or hold no numbers.
    silences_s : list of (float, float)
        When no valid sample came for longer than a packet, in seconds since `open`.
    """

    def __init__(
        self,
        config: SimulatorConfig,
        faults: Sequence[LinkFault],
        clock: Clock,
        linger_s: float = 0.0,
        order: Sequence[int] = (),
    ) -> None:
        self._faults, self._clock = tuple(faults), clock
        self._linger_s = linger_s
        own = VirtualClock()
        person = SimulatedParticipant(config, own)
        person.open()
        n_times = round(config.duration_s * config.rate_hz)
        chunk = person.read(n_times, round((config.duration_s + 1) * 1e9))
        assert chunk is not None
        rows = list(order or range(person.spec.n_channels))
        self._values = np.ascontiguousarray(chunk.samples[rows].T)
        self._spec = replace(
            person.spec,
            channels=tuple(person.spec.channels[row] for row in rows),
            sent=Sent(dtype="<f4", microvolts=(1.0,) * person.spec.n_channels),
        )
        self.invalid: list[tuple[int, int]] = []
        self.silences_s: list[tuple[float, float]] = []
        self._delivered: list[NDArray[np.float32]] = []
        self._is_open = False
        self._packets = deque(self._sent())

    @property
    def spec(self) -> StreamSpec:
        """Rate and rows."""
        return self._spec

    @property
    def ended(self) -> bool:
        """True when all has come, and `linger_s` is over."""
        if not self._is_open or self._packets or self._placed or self._events:
            return False
        return self._now_s() >= self._end_s

    @property
    def signal(self) -> NDArray[np.float32]:
        """What is sent before anything is spoilt, shape (n_channels, n_times), microvolts."""
        return self._values.T

    @property
    def delivered(self) -> NDArray[np.float32]:
        """All rows that have reached this process, as they came, shape (n_rows, n_channels)."""
        nothing = np.empty((0, self._spec.n_channels), np.float32)
        return np.concatenate([nothing, *self._delivered])

    def open(self) -> None:
        """Begin to send."""
        self._timeline = Timeline(self._spec.rate_hz)
        self._opened_ns = self._arrived_ns = self._clock.now_ns()
        self._placed: list[Placed] = []
        self._received: list[Received] = []
        self._events: list[Event] = []
        self._n_rows = 0
        self._away = False
        self._is_open = True

    def close(self) -> None:
        """Stop. Calling it twice is harmless."""
        self._is_open = False

    def read(self, wanted: int, until_ns: int) -> Chunk | None:
        """Wait for samples, or until the deadline; see `runtime.stages.Source`."""
        if not self._is_open:
            raise SourceUnavailable("The faulty link is closed: open it, then read.")
        if not self._placed:
            self._pull(wanted, until_ns)
        return self._next_chunk()

    # ---------------------------------------------------------------------------- what is sent

    def _on(self, kind: str, at_s: float) -> LinkFault | None:
        return next((one for one in self._faults if one.kind == kind and one.holds(at_s)), None)

    def _sent(self) -> list[_Packet]:
        rate_hz = self._spec.rate_hz
        drift = sum(one.size for one in self._faults if one.kind == "rate")
        period_s = 1 / (rate_hz * (1 + drift))
        size = max(1, round(_PACKET_S * rate_hz))
        noise = np.random.default_rng(0)
        packets: list[_Packet] = []
        returned, valid_s = False, 0.0
        for first in range(0, len(self._values) - size + 1, size):
            at_s = first / rate_hz
            packet = _Packet(
                arrives_s=(first + size) * period_s,
                first=first,
                values=self._spoilt(first, first + size),
                stamps_s=_STARTED_S + np.arange(first, first + size, dtype=np.float64) * period_s,
            )
            gone = self._on("drop", at_s) or self._on("away", at_s)
            if gone or not np.isfinite(packet.values).all():
                self.invalid.append((packet.first, packet.stop))
            else:
                if packet.arrives_s - valid_s > 2 * _PACKET_S:
                    self.silences_s.append((valid_s, packet.arrives_s))
                valid_s = packet.arrives_s
            if gone:
                returned = returned or gone.kind == "away"
                continue
            packet.returned, returned = returned, False
            self._stamp(packet, at_s, noise)
            packets.append(packet)
        self._end_s = len(self._values) * period_s + self._linger_s
        if self._end_s - valid_s > 2 * _PACKET_S:
            self.silences_s.append((valid_s, self._end_s))
        return self._rearranged(packets)

    def _spoilt(self, first: int, stop: int) -> NDArray[np.float32]:
        values = self._values[first:stop].copy()
        at_s = first / self._spec.rate_hz
        for kind, number in (("nan", np.nan), ("inf", np.inf), ("flat", 0.0)):
            if self._on(kind, at_s):
                values[:, 0] = number
        if wrong := self._on("scale", at_s):
            values *= np.float32(wrong.size)
        return values

    def _stamp(self, packet: _Packet, at_s: float, noise: np.random.Generator) -> None:
        if step := self._on("step", at_s):
            packet.stamps_s += step.size
        if any(one.kind == "away" and one.at_s < at_s for one in self._faults):
            packet.stamps_s -= _STARTED_S - 3.0  # a machine that was started anew
        if jitter := self._on("jitter", at_s):
            packet.stamps_s += noise.uniform(-jitter.size, jitter.size)

    def _rearranged(self, packets: list[_Packet]) -> list[_Packet]:
        rate_hz = self._spec.rate_hz
        found: list[_Packet] = []
        for packet in packets:
            at_s = packet.first / rate_hz
            if stall := self._on("stall", at_s):
                packet.arrives_s = max(packet.arrives_s, stall.at_s + stall.length_s)
            found.append(packet)
            if self._on("twice", at_s):
                found.append(replace(packet))
        for place in range(1, len(found), 2):
            early, late = found[place - 1], found[place]
            if self._on("swap", early.first / rate_hz) and self._on("swap", late.first / rate_hz):
                early.arrives_s, late.arrives_s = late.arrives_s, late.arrives_s
                found[place - 1], found[place] = late, early
        for stall in (one for one in self._faults if one.kind == "stall"):
            self.silences_s.append((stall.at_s, stall.at_s + stall.length_s))
        return found

    # ------------------------------------------------------------------------- what has arrived

    def _now_s(self) -> float:
        return (self._clock.now_ns() - self._opened_ns) / 1e9

    def _pull(self, wanted: int, until_ns: int) -> None:
        n_new = 0
        while self._packets:
            due_ns = self._opened_ns + round(self._packets[0].arrives_s * 1e9)
            if due_ns > self._clock.now_ns():
                if n_new >= wanted:
                    return
                self._note_absence(due_ns)
                self._clock.wait_until(min(due_ns, until_ns))
                if due_ns > until_ns:
                    return
            packet = self._packets.popleft()
            self._place(packet)
            n_new += len(packet.values)
        if not n_new:
            self._clock.wait_until(until_ns)

    def _note_absence(self, due_ns: int) -> None:
        """An LSL inlet hears within a moment that its sender is gone."""
        if self._packets[0].returned and not self._away and due_ns - self._clock.now_ns() > 1e8:
            self._away = True
            self._tell(EventKind.SOURCE_LOST, f"The stream {self._spec.name!r} is gone.")

    def _place(self, packet: _Packet) -> None:
        now_ns = self._clock.now_ns()
        self._delivered.append(packet.values)
        self._received.append(
            Received(values=packet.values, stamps_s=packet.stamps_s, first_row=self._n_rows)
        )
        if packet.returned:
            self._away = False
            outage_s = (now_ns - self._arrived_ns) / 1e9 - len(packet.values) / self._spec.rate_hz
            self._tell(EventKind.SOURCE_BACK, f"The stream {self._spec.name!r} is back.")
            self._timeline.resume(float(packet.stamps_s[0]), max(0.0, outage_s))
        self._arrived_ns = now_ns
        samples = np.ascontiguousarray(packet.values.T)
        self._placed += self._timeline.place(samples, packet.stamps_s, now_ns / 1e9, self._n_rows)
        self._n_rows += len(packet.values)
        self._events += self._timeline.take_events()

    def _next_chunk(self) -> Chunk | None:
        events, self._events = tuple(self._events), []
        received, self._received = tuple(self._received), []
        if not (self._placed or events or received):
            return None
        if not self._placed:
            return Chunk(
                samples=np.zeros((self._spec.n_channels, 0), np.float32),
                first_sample=-1,
                arrived_ns=self._clock.now_ns(),
                events=events,
                received=received,
            )
        count = 1
        for before, after in pairwise(self._placed):
            if before.first_sample + before.samples.shape[1] != after.first_sample:
                break
            count += 1
        runs, self._placed = self._placed[:count], self._placed[count:]
        return Chunk(
            samples=np.concatenate([run.samples for run in runs], axis=1),
            first_sample=runs[0].first_sample,
            arrived_ns=self._arrived_ns,
            lsl_raw_s=runs[-1].last_stamp_s,
            lsl_corrected_s=runs[-1].last_stamp_s,
            events=events,
            received=received,
            rows=tuple((run.first_row, run.first_row + run.samples.shape[1]) for run in runs),
        )

    def _tell(self, kind: EventKind, text: str) -> None:
        self._events.append(Event(kind=kind, text=text))
