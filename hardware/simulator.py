"""A simulated participant with known truth, who reacts to feedback.

`SimulatedParticipant` is a source and a sink in one: as a source it delivers the signal of
somebody who does a task; handed to the loop as a sink as well, it sees every command, learns from
it, and its signal changes. The loop is really closed, and what was intended at every sample is
known.
"""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import SourceUnavailable
from ..runtime.messages import Chunk, Command, Decision, Event, EventKind, Marker, StreamSpec
from ..runtime.stages import Clock
from .montage import montage
from .simulated_brain import Brain
from .simulated_feedback import FeedbackTimeline
from .simulated_speller import SpellerTimeline
from .simulated_task import Reaction, Timeline
from .simulator_config import TASK_CLASSES, Fault, SimulatorConfig

__all__ = ["TASK_CLASSES", "Fault", "SimulatedParticipant", "SimulatorConfig"]

_NS = 1_000_000_000
_SENDER_START_S = 1000.0  # the amplifier's clock is not this machine's


class Delivery:
    """When the simulated amplifier hands over which sample, in whole nanoseconds.

    Sample ``n`` is produced ``(n + 1) / rate`` after the start and delivered with the rest of
    its packet; a stall holds packets back until it is over.

    Parameters
    ----------
    config : SimulatorConfig
        Rate, packet length, duration and faults.
    """

    def __init__(self, config: SimulatorConfig) -> None:
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
        return math.ceil(round(time_s * float(self._rate), 6))

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


def _timeline_of(config: SimulatorConfig) -> Timeline | SpellerTimeline | FeedbackTimeline:
    """What happens to the participant when."""
    if config.task == "speller":
        return SpellerTimeline(config.plan, config.text, config.rate_hz, config.seed)
    if config.task == "error":
        return FeedbackTimeline(config.feedback, config.rate_hz, config.seed)
    return Timeline(config.task, config.labels, config.rate_hz, config.seed)


class SimulatedParticipant:
    """Somebody who does a task, gives signal, and reacts to feedback: a source and a sink.

    Give the same object to the loop as source and among the sinks. The signal follows from the
    configuration and from the commands and when they came; how `read` cuts the stream changes
    no bit of it.

    A command acts on the first internal block (at most 0.1 s) that starts `reaction_s` or more
    after it came; then it stays in view until the next one. `Reaction` describes what it does.
    A label that the participant knows nothing of counts as wrong. Feedback to a window that is
    locked to a marker is judged by that marker's label, any other by what is intended while it
    is seen.

    Parameters
    ----------
    config : SimulatorConfig
        Who is simulated.
    clock : Clock
        Decides when samples exist; a virtual clock jumps, a monotonic one sleeps.

    Examples
    --------
    >>> from diverloop.runtime.clock import VirtualClock
    >>> person = SimulatedParticipant(SimulatorConfig(duration_s=1.0), VirtualClock())
    >>> person.open()
    >>> person.read(250, 2_000_000_000).samples.shape
    (16, 250)
    """

    Config = SimulatorConfig

    def __init__(self, config: SimulatorConfig, clock: Clock) -> None:
        self._config, self._clock = config, clock
        self._channels = montage(config.montage)
        self._delivery = Delivery(config)
        self._is_open = False
        self._restart()

    def _restart(self) -> None:
        """Be at the first sample, as the configuration says."""
        config = self._config
        self._timeline = _timeline_of(config)
        self._reaction = Reaction(config.skill, config.skill_bounds, config.learning_rate)
        self._brain = Brain(config, self._channels, self._timeline)
        self._made = np.empty((len(self._channels), 0), dtype=np.float32)
        self._made_stop = 0
        self._next = 0  # next stream index to deliver
        self._marked = 0  # markers before this index have been delivered
        self._open_ns = 0

    @property
    def spec(self) -> StreamSpec:
        """Rate and rows, readable at any time."""
        config = self._config
        return StreamSpec(
            name=f"simulated {config.task}",
            rate_hz=config.rate_hz,
            channels=self._channels,
            source_id=f"simulator-{config.montage}-{config.seed}",
        )

    @property
    def ended(self) -> bool:
        """True when `duration_s` has been delivered."""
        total = self._delivery.total
        return total is not None and self._next >= total

    @property
    def skill(self) -> float:
        """How deeply the participant modulates now, 0 to 1."""
        return self._reaction.skill

    @property
    def attention(self) -> float:
        """How awake the participant is to the task now, 0 to 1."""
        return self._reaction.attention

    def truth(self, sample: int) -> str:
        """Class intended at a sample.

        Parameters
        ----------
        sample : int
            Stream index, past or future.

        Returns
        -------
        label : str
            A class of the task, or ``"rest"`` when nothing is intended.
        """
        return self._timeline.intended_at(sample / self._config.rate_hz)

    def open(self, spec: StreamSpec | None = None, classes: tuple[str, ...] = ()) -> None:
        """Start the stream, or, called with arguments as a sink is, take note and do nothing.

        Parameters
        ----------
        spec : StreamSpec, optional
            Stream that decisions rest on; given to sinks only.
        classes : tuple of str
            What decisions speak of; given to sinks only.

        Raises
        ------
        SourceUnavailable
            If the stream runs already.
        """
        if spec is not None:
            return
        if self._is_open:
            raise SourceUnavailable(
                "The simulated participant is open already, and has one stream: close it first."
            )
        self._restart()
        self._open_ns = self._clock.now_ns()
        self._is_open = True

    def close(self) -> None:
        """Stop the stream; calling it twice is harmless."""
        self._is_open = False

    def act(self, decision: Decision, command: Command) -> Command:
        """See feedback; the signal shows it after the reaction time.

        Parameters
        ----------
        decision : Decision
            Its marker says what the feedback answers, if anything.
        command : Command
            What is shown.

        Returns
        -------
        command : Command
            The same: everything shown is seen.
        """
        delay_ns = round(self._config.reaction_s * _NS)
        seen = self._delivery.produced(self._clock.now_ns() - self._open_ns + delay_ns)
        if isinstance(self._timeline, SpellerTimeline):
            # Until something is selected a speller shows nothing that could be right or wrong.
            if command.selected:
                self._reaction.show(seen, command.label, None)
                self._timeline.select((seen + 1) / self._config.rate_hz)
            return command
        if isinstance(self._timeline, FeedbackTimeline):
            return command  # what a detector of errors says is not shown to the participant
        asked = None if decision.marker is None else decision.marker.label
        self._reaction.show(seen, command.label, asked)
        return command

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
            raise SourceUnavailable("The simulated participant is closed: open it, then read.")
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
        markers = tuple(self._stamped(one) for one in self._timeline.markers(self._marked, stop))
        self._next = self._marked = stop
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
        return (sample + 1) / self._config.rate_hz

    def _stamped(self, marker: Marker) -> Marker:
        """Add LSL times to a marker: those of its sample."""
        at_s = self._stamp_s(marker.sample)
        return dataclasses.replace(
            marker,
            lsl_raw_s=_SENDER_START_S + at_s,
            lsl_corrected_s=self._open_ns / _NS + at_s,
        )

    def _make(self, first: int, stop: int) -> NDArray[np.float32]:
        """Samples [first, stop) as an array of its own; makes the blocks that are missing."""
        pieces = [self._made]
        start = self._made_stop - self._made.shape[1]
        while self._made_stop < stop:
            pieces.append(self._next_block())
            self._made_stop += self._brain.block_samples
        made = np.concatenate(pieces, axis=1)
        self._made = made[:, stop - start :].copy()
        return made[:, first - start : stop - start].copy()

    def _next_block(self) -> NDArray[np.float32]:
        """Let the participant live through a block, then record it."""
        time_s = self._made_stop / self._config.rate_hz
        length_s = self._brain.block_samples / self._config.rate_hz
        busy = self._timeline.busy_at(time_s)
        intended = self._timeline.intended_at(time_s) if busy else None
        self._reaction.advance(self._made_stop, intended, length_s)
        return self._brain.block(self._reaction.drive)
