"""The amplifier of a simulated person: when which sample exists, is delivered, or is lost.

What the person does is not its business: it asks for blocks of signal and for markers, and hands
over chunks as a real one would.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import SourceUnavailable
from ..runtime.messages import Chunk, Event, EventKind, Marker
from ..runtime.stages import Clock
from .simulated_task import sample_at
from .simulator_config import Fault

_NS = 1_000_000_000
_SENDER_START_S = 1000.0  # the amplifier's clock is not this machine's

Block = NDArray[np.float32]


class Paced(Protocol):
    """What an amplifier needs of a simulated person's settings."""

    @property
    def rate_hz(self) -> float:
        """Sampling rate."""

    @property
    def duration_s(self) -> float:
        """Length of the stream; 0 never ends."""

    @property
    def chunk_s(self) -> float:
        """Samples come in packets of this length."""

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What goes wrong, and when."""


class Delivery:
    """When the simulated amplifier hands over which sample, in whole nanoseconds.

    Sample ``n`` is produced ``(n + 1) / rate`` after the start and delivered with the rest of
    its packet; a stall holds packets back until it is over.

    Parameters
    ----------
    config : Paced
        Rate, packet length, duration and faults.
    """

    def __init__(self, config: Paced) -> None:
        self._rate = Fraction(config.rate_hz).limit_denominator(1000)
        self._packet = max(1, round(config.chunk_s * config.rate_hz))
        self.total = self._at(config.duration_s) if config.duration_s else None
        faults = sorted(config.faults, key=lambda fault: fault.at_s)
        self.gaps = [self._samples(fault) for fault in faults if fault.kind == "gap"]
        self._stalls_ns = [
            (round(fault.at_s * _NS), round(fault.end_s * _NS))
            for fault in faults
            if fault.kind == "stall"
        ]

    def _at(self, time_s: float) -> int:
        """Stream index of the first sample at or after a moment."""
        return sample_at(time_s, float(self._rate))

    def _samples(self, fault: Fault) -> tuple[int, int]:
        """First and stop index of what a gap swallows: at least one sample."""
        first = self._at(fault.at_s)
        return first, max(first + 1, self._at(fault.end_s))

    def produced(self, after_ns: int) -> int:
        """How many samples exist so long after the start."""
        return max(0, after_ns) * self._rate.numerator // (_NS * self._rate.denominator)

    def delivered(self, after_ns: int) -> int:
        """How many samples, lost ones counted, have been handed over so long after the start."""
        for start_ns, end_ns in reversed(self._stalls_ns):
            if start_ns <= after_ns < end_ns:
                after_ns = start_ns
        count = self.produced(after_ns)
        if self.total is not None and count >= self.total:
            return self.total
        return count - count % self._packet

    def due_ns(self, count: int) -> int:
        """How long after the start so many samples have been handed over."""
        count = -(-count // self._packet) * self._packet
        if self.total is not None:
            count = min(count, self.total)
        due_ns = -(-count * _NS * self._rate.denominator // self._rate.numerator)
        for start_ns, end_ns in self._stalls_ns:
            if start_ns <= due_ns < end_ns:
                due_ns = end_ns
        return due_ns

    def lost_between(self, first: int, stop: int) -> tuple[int, int] | None:
        """First gap that touches samples in [first, stop)."""
        return next((gap for gap in self.gaps if gap[0] < stop and gap[1] > first), None)


class SimulatedAmplifier:
    """Delivers what is made block by block, with its packets, stalls and gaps.

    Parameters
    ----------
    who : str
        Whose signal it is, for errors: ``"participant"``.
    config : Paced
        Rate, packets, duration and faults.
    clock : Clock
        Decides when samples exist.
    n_channels : int
        Rows of a block.
    """

    def __init__(self, who: str, config: Paced, clock: Clock, n_channels: int) -> None:
        self._who, self._rate_hz, self._clock = who, config.rate_hz, clock
        self._n_channels = n_channels
        self._delivery = Delivery(config)
        self._is_open = False
        self._rewind()

    def _rewind(self) -> None:
        self._made: Block = np.empty((self._n_channels, 0), dtype=np.float32)
        self._made_stop = 0
        self._next = 0  # next stream index to deliver
        self._open_ns = 0

    @property
    def ended(self) -> bool:
        """True when all that there is has been delivered."""
        total = self._delivery.total
        return total is not None and self._next >= total

    def refuse_open(self) -> None:
        """Raise `SourceUnavailable` if the stream runs already."""
        if self._is_open:
            raise SourceUnavailable(
                f"The simulated {self._who} is open already, and has one stream: close it first."
            )

    def open(
        self,
        make_block: Callable[[int], Block],
        markers: Callable[[int, int], Sequence[Marker]],
    ) -> None:
        """Start the stream at its first sample.

        Parameters
        ----------
        make_block : callable
            From the index of a block's first sample to the block, shape (n_channels, n_times);
            asked in order, each once.
        markers : callable
            From first and stop index to the markers in between, without LSL times.
        """
        self._rewind()
        self._make_block, self._markers = make_block, markers
        self._open_ns = self._clock.now_ns()
        self._is_open = True

    def close(self) -> None:
        """Stop the stream; calling it twice is harmless."""
        self._is_open = False

    def produced(self, delay_s: float) -> int:
        """How many samples will exist so long from now."""
        return self._delivery.produced(self._clock.now_ns() - self._open_ns + round(delay_s * _NS))

    def read(self, wanted: int, until_ns: int) -> Chunk | None:
        """Wait for samples, or until the deadline; see `runtime.stages.Source`.

        Parameters
        ----------
        wanted : int
            How many samples to wait for.
        until_ns : int
            Loop time at which to return at the latest.

        Returns
        -------
        chunk : Chunk or None
            Everything delivered since the last read, up to the next gap; None if that is
            nothing.

        Raises
        ------
        SourceUnavailable
            If the stream does not run.
        """
        if not self._is_open:
            raise SourceUnavailable(f"The simulated {self._who} is closed: open it, then read.")
        if self.ended:
            self._clock.wait_until(until_ns)
            return None
        first = self._skip_lost(self._next)
        due_ns = self._open_ns + self._delivery.due_ns(first + max(wanted, 0))
        self._clock.wait_until(min(due_ns, until_ns))
        arrived_ns = self._clock.now_ns()
        stop = self._delivery.delivered(arrived_ns - self._open_ns)
        lost = self._delivery.lost_between(first, stop)
        stop = stop if lost is None else lost[0]
        total = self._delivery.total
        if total is not None and first >= total:  # the end itself is lost
            self._next = total if stop >= total else self._next
            return None
        return self._chunk(first, stop, arrived_ns) if stop > first else None

    def _skip_lost(self, sample: int) -> int:
        """First index at or after a sample that is not lost."""
        for first, stop in self._delivery.gaps:
            sample = stop if first <= sample < stop else sample
        return sample

    def _chunk(self, first: int, stop: int, arrived_ns: int) -> Chunk:
        """Deliver samples [first, stop), and what happened since the last delivery."""
        lost = first - self._next
        events = (self._gap_event(lost, arrived_ns),) if lost else ()
        markers = tuple(self._stamped(one) for one in self._markers(self._next, stop))
        self._next = stop
        return Chunk(
            samples=self._make(first, stop),
            first_sample=first,
            arrived_ns=arrived_ns,
            lsl_raw_s=_SENDER_START_S + self._stamp_s(stop - 1),
            lsl_corrected_s=self._open_ns / _NS + self._stamp_s(stop - 1),
            markers=markers,
            events=events,
        )

    def _gap_event(self, lost: int, at_ns: int) -> Event:
        """Say what was lost."""
        text = f"{lost} samples were lost, as the simulation was told; the index jumps over them."
        return Event(kind=EventKind.GAP, text=text, sample=self._next, count=lost, at_ns=at_ns)

    def _stamp_s(self, sample: int) -> float:
        """Seconds from the start to the moment a sample was produced."""
        return (sample + 1) / self._rate_hz

    def _stamped(self, marker: Marker) -> Marker:
        """Add LSL times to a marker: those of its sample."""
        at_s = self._stamp_s(marker.sample)
        return dataclasses.replace(
            marker,
            lsl_raw_s=_SENDER_START_S + at_s,
            lsl_corrected_s=self._open_ns / _NS + at_s,
        )

    def _make(self, first: int, stop: int) -> Block:
        """Samples [first, stop) as an array of its own; makes the blocks that are missing."""
        pieces = [self._made]
        start = self._made_stop - self._made.shape[1]
        while self._made_stop < stop:
            pieces.append(self._make_block(self._made_stop))
            self._made_stop += pieces[-1].shape[1]
        made = np.concatenate(pieces, axis=1)
        self._made = made[:, stop - start :].copy()
        return made[:, first - start : stop - start].copy()
