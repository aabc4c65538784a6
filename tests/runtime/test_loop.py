"""The loop on a virtual clock, with stages that say what they saw.

Row 0 of every stream is the sample's own number, so each window can be compared with the samples
it names: a window that is cut at the wrong place, or across a hole, cannot go unnoticed.
"""

from __future__ import annotations

import itertools
import math
import threading
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diverloop.runtime.clock import MonotonicClock, VirtualClock
from diverloop.runtime.conditioned import Conditioned, Shut
from diverloop.runtime.errors import SchemaMismatch
from diverloop.runtime.fanout import FanOut
from diverloop.runtime.feedback import EvidenceFeedback, FeedbackConfig
from diverloop.runtime.guard import Guard, Signal, State
from diverloop.runtime.loop import Loop
from diverloop.runtime.loop_config import LoopConfig, Stages
from diverloop.runtime.messages import (
    Channel,
    Chunk,
    Command,
    Decision,
    Embedding,
    Event,
    EventKind,
    Marker,
    Promotion,
    StreamSpec,
    Turn,
    Window,
)
from diverloop.runtime.quality import Quality
from diverloop.runtime.signal.condition_config import ConditionConfig
from diverloop.runtime.signal.conditioning import StreamConditioner
from diverloop.runtime.timeline import Timeline
from diverloop.runtime.windows import WindowConfig

RATE_HZ = 1000.0
SECOND_NS = 1_000_000_000
MS_NS = 1_000_000
SPEC = StreamSpec(name="made", rate_hz=RATE_HZ, channels=(Channel(name="nr"), Channel(name="C4")))
WINDOW = WindowConfig(length_s=0.2, step_s=0.05)
PATIENT = LoopConfig(deadline_s=60.0)
LOST = "the window touches lost or unsettled samples"
FAULTS = {
    EventKind.GAP, EventKind.DUPLICATE, EventKind.REORDERED, EventKind.CLOCK_STEP,
    EventKind.JITTER, EventKind.RATE,
}  # fmt: skip


def signal(first: int, stop: int) -> np.ndarray:
    """Row 0 counts samples; row 1 is noise that depends on the sample alone."""
    number = np.arange(first, stop)
    noise = 20 * np.sin(number * 12.9898 + np.sin(number * 78.233) * 43758.5453)
    return np.vstack([number, noise]).astype(np.float32)


# ----------------------------------------------------------------------------- the stages


@dataclass
class Parcel:
    """Samples [first, stop) that arrive together; by default when the last one is produced."""

    first: int
    stop: int
    at_s: float | None = None
    markers: tuple[Marker, ...] = ()
    events: tuple[Event, ...] = ()
    samples: np.ndarray | None = None

    def __post_init__(self) -> None:
        self.at_s = self.stop / RATE_HZ if self.at_s is None else self.at_s
        self.samples = signal(self.first, self.stop) if self.samples is None else self.samples


def parcels(*stretches: tuple[int, int], size: int = 20) -> list[Parcel]:
    """Stretches of the stream, each cut into parcels of a size."""
    return [
        Parcel(at, min(at + size, stop))
        for start, stop in stretches
        for at in range(start, stop, size)
    ]


class Scripted:
    """A source that delivers parcels at their time, as `Source.read` says."""

    def __init__(self, clock: VirtualClock, script: list[Parcel], spec: StreamSpec = SPEC) -> None:
        self.spec = spec
        self._clock = clock
        self._script = list(script)
        self.reads = 0

    @property
    def ended(self) -> bool:
        return not self._script

    def open(self) -> None:
        pass

    def close(self) -> None:
        pass

    def read(self, wanted: int, until_ns: int) -> Chunk | None:
        assert wanted >= 1
        self.reads += 1
        taken: list[Parcel] = []
        while self._script and (not taken or self._script[0].first == taken[-1].stop):
            at_ns = round(self._script[0].at_s * 1e9)
            if at_ns > self._clock.now_ns():
                if sum(p.stop - p.first for p in taken) >= wanted:
                    break
                self._clock.wait_until(min(at_ns, until_ns))
                if at_ns > until_ns:
                    break
            taken.append(self._script.pop(0))
            if taken[-1].stop == taken[-1].first:
                break
        return self._chunk(taken) if taken else None

    def _chunk(self, taken: list[Parcel]) -> Chunk:
        last = taken[-1].stop - 1
        return Chunk(
            samples=np.hstack([p.samples for p in taken]),
            first_sample=taken[0].first,
            arrived_ns=self._clock.now_ns(),
            lsl_raw_s=500.0 + last / self.spec.rate_hz,
            lsl_corrected_s=900.0 + last / self.spec.rate_hz,
            markers=tuple(m for p in taken for m in p.markers),
            events=tuple(e for p in taken for e in p.events),
        )


class Eye:
    """An encoder that keeps what it saw, and takes as long as it is told to."""

    def __init__(self, clock: VirtualClock, work_ns=lambda at_ns: 0) -> None:
        self.seen: list[Window] = []
        self.owners: set[int] = set()
        self._clock, self._work_ns = clock, work_ns

    def open(self, spec: StreamSpec, n_times: int) -> None:
        self.opened_with = (spec, n_times)

    def encode(self, window: Window) -> Embedding:
        assert not window.samples.flags.writeable
        self.owners.add(id(window.samples.base))
        self.seen.append(replace(window, samples=window.samples.copy()))
        self._clock.advance(self._work_ns(self._clock.now_ns()))
        return Embedding(values=window.samples.mean(axis=1))

    def close(self) -> None:
        pass


class Reader:
    """An adapter whose label and probabilities follow from the window alone."""

    classes = ("left", "right")

    def __init__(self) -> None:
        self.epoch = 4

    def decide(self, embedding: Embedding, window: Window) -> Decision:
        p = 0.5 + 0.4 * math.sin(float(embedding.values[-1]))
        self.epoch += 1
        return Decision(
            classes=self.classes,
            probabilities=np.array([p, 1 - p]),
            label="left" if p >= 0.5 else "right",
            first_sample=window.first_sample,
            stop_sample=window.stop_sample,
            epoch=self.epoch,
            marker=window.marker,
            lsl_raw_s=window.lsl_raw_s,
            lsl_corrected_s=window.lsl_corrected_s,
        )


class Hand:
    """A sink that notes what it was asked to do, and when."""

    def __init__(self, clock: VirtualClock) -> None:
        self.asked: list[tuple[int, Decision, Command]] = []
        self._clock = clock

    def open(self, spec: StreamSpec, classes: tuple[str, ...]) -> None:
        self.opened_with = (spec, classes)

    def act(self, decision: Decision, command: Command) -> Command:
        self.asked.append((self._clock.now_ns(), decision, command))
        return command

    def close(self) -> None:
        pass

    @property
    def labels(self) -> list[str | None]:
        return [command.label for _, _, command in self.asked]


class Ledger:
    """Stands in for the fan-out and keeps every message, without a thread."""

    def __init__(self) -> None:
        self.messages: list[object] = []
        self.waiting: list[Event] = []
        self.closed = 0
        self.wakes = 0

    def put(self, message: object) -> None:
        self.messages.append(message)

    def wake(self) -> None:
        self.wakes += 1

    def take_events(self) -> tuple[Event, ...]:
        events, self.waiting = tuple(self.waiting), []
        return events

    def close(self) -> None:
        self.closed += 1

    def events(self, *kinds: EventKind) -> list[Event]:
        return [m for m in self.messages if isinstance(m, Event) and (not kinds or m.kind in kinds)]

    @property
    def turns(self) -> list[Turn]:
        return [message for message in self.messages if isinstance(message, Turn)]


@dataclass
class Rig:
    """A loop with everything that can be asked about it afterwards."""

    script: list[Parcel]
    window: WindowConfig = WINDOW
    config: LoopConfig = PATIENT
    condition: ConditionConfig = field(default_factory=ConditionConfig)
    armed: bool = True
    work_ns: object = lambda at_ns: 0

    def __post_init__(self) -> None:
        self.clock = VirtualClock()
        self.source = Scripted(self.clock, self.script)
        self.conditioner = StreamConditioner(self.condition)
        self.eye, self.reader = Eye(self.clock, self.work_ns), Reader()
        self.hand, self.ledger, self.guard = Hand(self.clock), Ledger(), Guard()
        if self.armed:
            self.guard.tell(Signal.PERSON_ARMS)

    def loop(self, **changes) -> Loop:
        stages = Stages(
            source=changes.pop("source", self.source),
            conditioner=self.conditioner,
            encoder=self.eye,
            adapter=self.reader,
            feedback=changes.pop("feedback", EvidenceFeedback()),
            sinks=changes.pop("sinks", (self.hand,)),
        )
        settings = {"clock": self.clock, "window": self.window, "config": self.config}
        settings |= {"guard": self.guard, "fanout": self.ledger}
        return Loop(stages, **settings | changes)

    def run(self, **changes):
        self.report = self.loop(**changes).run()
        return self

    @property
    def ranges(self) -> list[tuple[int, int]]:
        return [(w.first_sample, w.stop_sample) for w in self.eye.seen]

    @property
    def neutral(self) -> list[Decision]:
        return [turn.decision for turn in self.ledger.turns if turn.decision.label is None]

    def check_windows(self) -> None:
        """Every window holds exactly the samples that it names."""
        for window in self.eye.seen:
            expected = signal(window.first_sample, window.stop_sample)
            np.testing.assert_array_equal(window.samples, expected)


def grid(stop: int, length: int = 200, step: int = 50) -> list[tuple[int, int]]:
    return [(end - length, end) for end in range(length, stop + 1, step)]


# -------------------------------------------------------------------- (a) any cut of the stream

BAND = ConditionConfig(bands_hz=((8.0, 30.0),), reference="average", order=2)


@given(
    sizes=st.lists(st.integers(1, 300), min_size=1, max_size=20),
    condition=st.sampled_from([ConditionConfig(), BAND]),
    lead_s=st.sampled_from([0.0, 0.005, 0.3]),
    hole=st.sampled_from([(0, 0), (600, 601), (700, 1000)]),
)
def test_any_cut_of_the_stream_gives_the_same_windows_and_decisions(sizes, condition, lead_s, hole):
    def outcome(cut: list[Parcel], lead_s: float = 0.005):
        config = LoopConfig(deadline_s=60.0, lead_s=lead_s, stale_s=1.0)
        # Without memory or dwell, commands do not depend on when a window is decoded.
        still = EvidenceFeedback(FeedbackConfig(memory_s=0, dwell_s=0, refractory_s=0))
        rig = Rig(cut, condition=condition, config=config).run(feedback=still)
        windows = [(w.samples.tobytes(), w.first_sample, w.stop_sample) for w in rig.eye.seen]
        decisions = [
            (d.first_sample, d.stop_sample, d.label, d.reason, d.epoch, d.probabilities.tobytes())
            for _, d, _ in rig.hand.asked
        ]
        times = [round(d.lsl_raw_s, 9) for _, d, _ in rig.hand.asked]
        return windows, decisions, times, rig.hand.labels

    cut, sizes = [], itertools.cycle(sizes)
    for start, stop in ((0, hole[0]), (hole[1], 2000)):
        while start < stop:
            size = min(next(sizes), stop - start)
            cut.append(Parcel(start, start + size))
            start += size
    assert outcome(cut, lead_s) == outcome(parcels((0, hole[0]), (hole[1], 2000), size=1))


@given(sizes=st.lists(st.integers(1, 150), min_size=1, max_size=12), step=st.integers(10, 200))
def test_every_window_covers_exactly_the_samples_it_names(sizes, step):
    cut, sizes = [], itertools.cycle(sizes)
    while not cut or cut[-1].stop < 1500:
        first = cut[-1].stop if cut else 0
        cut.append(Parcel(first, first + next(sizes)))
    rig = Rig(cut, window=WindowConfig(length_s=0.2, step_s=step / RATE_HZ)).run()
    rig.check_windows()
    assert rig.ranges == grid(cut[-1].stop, step=step)


def test_the_source_is_never_asked_to_wait_past_the_end_of_a_window():
    asked = []

    class Asked(Scripted):
        def read(self, wanted, until_ns):
            chunk = super().read(wanted, until_ns)
            asked.append((wanted, chunk.stop_sample))
            return chunk

    rig = Rig([])
    rig.run(source=Asked(rig.clock, parcels((0, 1000), size=1)))
    # Before that it looks what persons did, every 50 ms.
    assert [stop for _, stop in asked] == [
        50,
        100,
        150,
        *sorted([end for _, end in grid(1000)] + [end - 5 for _, end in grid(1000)]),
    ]
    assert {wanted for wanted, _ in asked} == {195, 145, 95, 45, 5}


# ------------------------------------------- (b) faults of the stream, end to end through Timeline


@dataclass
class Packet:
    first: int
    stamps: np.ndarray
    at_s: float


class Stamped:
    """Packets with the sender's stamps, placed by `Timeline` as an LSL inlet does it."""

    def __init__(self, clock: VirtualClock, packets: list[Packet]) -> None:
        self.spec = SPEC
        self._clock, self._packets = clock, list(packets)
        self._timeline = Timeline(RATE_HZ)
        self._placed, self._arrived_ns = [], 0

    @property
    def ended(self) -> bool:
        return not self._packets and not self._placed

    def open(self) -> None:
        pass

    def close(self) -> None:
        pass

    def read(self, wanted: int, until_ns: int) -> Chunk | None:
        while not self._placed and self._packets:
            at_ns = round(self._packets[0].at_s * 1e9)
            self._clock.wait_until(min(at_ns, until_ns))
            if at_ns > self._clock.now_ns():
                return None
            packet = self._packets.pop(0)
            samples = signal(packet.first, packet.first + len(packet.stamps))
            self._arrived_ns = self._clock.now_ns()
            self._placed += self._timeline.place(samples, packet.stamps, self._arrived_ns / 1e9)
        events = self._timeline.take_events()
        if not self._placed:
            nothing = np.zeros((2, 0), np.float32)
            return Chunk(samples=nothing, first_sample=-1, arrived_ns=0, events=events)
        placed = self._placed.pop(0)
        return Chunk(
            samples=placed.samples,
            first_sample=placed.first_sample,
            arrived_ns=self._arrived_ns,
            lsl_raw_s=placed.last_stamp_s,
            lsl_corrected_s=placed.last_stamp_s,
            events=events,
        )


def packets(seconds: float = 20.0, rate_hz: float = RATE_HZ, size: int = 20) -> list[Packet]:
    made = []
    for first in range(0, round(seconds * RATE_HZ), size):
        after_s = (first + np.arange(size)) / rate_hz
        made.append(Packet(first, 100.0 + after_s, float(after_s[-1]) + 0.003))
    return made


def lose(made):
    del made[400:425]


def lose_one_sample(made):
    made[400] = Packet(made[400].first + 1, made[400].stamps[1:], made[400].at_s)


def repeat(made):
    again = made[400]
    made.insert(402, Packet(again.first, again.stamps.copy(), made[401].at_s))


def swap(made):
    made[400], made[401] = made[401], made[400]
    made[400].at_s, made[401].at_s = made[401].at_s, made[400].at_s


def shaken(seed: int):
    def shake(made):
        rng, late_s = np.random.default_rng(seed), 0.0
        for packet in made:
            # A sender that is late cannot send the next packet before this one.
            late_s = max(rng.uniform(0, 0.1), late_s - 0.02)
            packet.stamps += late_s
            packet.at_s += late_s

    return shake


def step_clock(made):
    for packet in made[400:]:
        packet.stamps += 0.5


def step_clock_back(made):
    for packet in made[400:]:
        packet.stamps -= 0.5


def run_at(rate_hz: float):
    def run(made):
        made[:] = packets(rate_hz=rate_hz)

    return run


def all_of_them(made):
    step_clock(made)
    for fault in (swap, repeat):
        part = made[300:]
        fault(part)
        made[300:] = part
    del made[200:225]


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (lambda made: None, set()),
        (lose, {EventKind.GAP}),
        (lose_one_sample, {EventKind.GAP}),
        (repeat, {EventKind.DUPLICATE}),
        (swap, {EventKind.REORDERED}),
        (shaken(0), {EventKind.JITTER}),
        (shaken(1), {EventKind.JITTER}),
        (shaken(2), {EventKind.JITTER}),
        (step_clock, {EventKind.CLOCK_STEP}),
        (step_clock_back, {EventKind.CLOCK_STEP}),
        (run_at(RATE_HZ * 1.002), {EventKind.RATE}),
        (run_at(RATE_HZ * 0.995), {EventKind.RATE}),
        (all_of_them, FAULTS - {EventKind.JITTER, EventKind.RATE}),
    ],
    ids=[
        "clean", "loss", "one sample lost", "duplicate", "swap", "jitter", "other jitter",
        "third jitter", "step", "step back", "fast", "slow", "all",
    ],
)  # fmt: skip
def test_each_fault_is_reported_as_what_it_is_and_no_window_is_mistimed(fault, told):
    made = packets()
    fault(made)
    lost = set(range(20_000)) - {p.first + i for p in made for i in range(len(p.stamps))}
    rig = Rig([])
    rig.run(source=Stamped(rig.clock, made))
    rig.check_windows()
    assert {event.kind for event in rig.ledger.events(*FAULTS)} == told
    whole = [r for r in grid(20_000) if not lost & set(range(*r))]
    # A fault near the end of the stream may still be held back to see what follows.
    assert rig.ranges == whole[: len(rig.ranges)]
    assert len(whole) - len(rig.ranges) <= 4
    assert rig.report.samples_lost == len(lost)
    assert rig.report.refused.get(LOST, 0) == len(grid(20_000)) - len(whole)


@pytest.mark.parametrize("fault", [lambda made: None, lose, repeat, swap, step_clock])
def test_a_window_is_due_when_its_last_sample_was_produced(fault):
    made = packets()
    fault(made)
    rig = Rig([])
    rig.run(source=Stamped(rig.clock, made))
    late_s = np.array([w.due_ns / 1e9 - (w.stop_sample - 1) / RATE_HZ for w in rig.eye.seen])
    assert late_s.min() >= 0.003 - 1e-6
    assert late_s.max() <= 0.003 + 0.17  # what is held back arrives that much later
    assert np.median(late_s) == pytest.approx(0.003, abs=1e-6)


# --------------------------------------------------------------------------- (c) a slow encoder

SLOW_NS = 80_300_000


def slow_between(start_s: float, stop_s: float, work_ns: int = SLOW_NS):
    return lambda at_ns: work_ns if start_s * 1e9 <= at_ns < stop_s * 1e9 else 0


def slowed(size: int = 1) -> Rig:
    config = LoopConfig()
    return Rig(parcels((0, 6000), size=size), config=config, work_ns=slow_between(1, 4)).run()


def test_with_a_slow_encoder_no_decision_is_older_than_one_decode_and_one_step():
    ages_ns = [at - d.stop_sample * MS_NS for at, d, _ in slowed().hand.asked]
    assert max(ages_ns) <= SLOW_NS + 50 * MS_NS
    assert max(ages_ns) > SLOW_NS


def test_with_a_slow_encoder_every_window_is_decoded_or_counted_as_skipped():
    rig = slowed()
    rig.check_windows()
    assert set(rig.ranges) <= set(grid(6000))
    assert rig.report.decoded == len(rig.ranges)
    assert rig.report.skipped_late == len(grid(6000)) - len(rig.ranges) > 10
    assert rig.report.windows_due == len(grid(6000))
    late = rig.ledger.events(EventKind.LATE)
    assert sum(event.count for event in late) == rig.report.skipped_late
    assert all(f"{event.count} windows were skipped" in event.text for event in late)


def test_when_the_encoder_is_fast_again_two_steps_are_enough_to_catch_up():
    rig = slowed()
    last_slow = max(at for at, _, _ in rig.hand.asked if at < 4 * SECOND_NS + SLOW_NS)
    after = [(at, d) for at, d, _ in rig.hand.asked if at > last_slow + 100 * MS_NS]
    assert all(at == d.stop_sample * MS_NS for at, d in after)
    stops = [d.stop_sample for _, d in after]
    assert stops == list(range(stops[0], 6001, 50))
    assert stops[0] * MS_NS <= last_slow + 150 * MS_NS


def test_a_decision_after_its_deadline_is_counted_and_said():
    rig = slowed()
    ages_ns = [at - d.stop_sample * MS_NS for at, d, _ in rig.hand.asked]
    late = [age for age in ages_ns if age > 50 * MS_NS]
    assert rig.report.missed_deadlines == len(late) > 10
    said = rig.ledger.events(EventKind.MISSED)
    assert len(said) == len(late)
    assert {event.count for event in said} == {1}
    # The sender's packets are a millisecond long, and the loop looks up when it is done.
    for event, age in zip(said, late, strict=True):
        told_ms = float(event.text.split()[3])
        assert told_ms == pytest.approx(age / 1e6 - 50, abs=1.1)


def test_a_decision_on_its_deadline_is_not_late():
    rig = Rig(parcels((0, 1000), size=1), config=LoopConfig(), work_ns=lambda at: 50 * MS_NS).run()
    assert rig.report.missed_deadlines == 0


# ------------------------------------------------------------------ (d) a burst after a stall


@pytest.mark.parametrize(
    ("deadline_s", "stops"),
    [
        (0.0, [1950, 2000]),
        (0.04, [2000]),
        (0.12, [1900, 1950, 2000]),
        (60.0, range(1050, 2001, 50)),
    ],
)
def test_of_a_burst_only_what_is_within_the_deadline_and_the_newest_are_decoded(deadline_s, stops):
    stalled = [replace(p, at_s=2.0) for p in parcels((1000, 2000))]
    script = [*parcels((0, 1000)), *stalled, *parcels((2000, 3000))]
    rig = Rig(script, config=LoopConfig(deadline_s=deadline_s)).run()
    rig.check_windows()
    burst = [stop for _, stop in rig.ranges if 1000 < stop <= 2000]
    assert burst == list(stops)
    assert rig.report.skipped_late == 20 - len(stops)
    assert rig.report.windows_due == len(grid(3000))


def test_a_late_window_is_decoded_when_there_is_no_newer_one():
    script = [*parcels((0, 200)), Parcel(200, 249, at_s=0.9), Parcel(249, 250, at_s=0.95)]
    script += [replace(p, at_s=1.0) for p in parcels((250, 260))]
    rig = Rig(script, config=LoopConfig(stale_s=1.0)).run()
    assert rig.ranges == [(0, 200), (50, 250)]
    assert rig.report.skipped_late == 0


def test_of_what_a_network_held_up_and_brings_piece_by_piece_nothing_old_acts():
    held_up = [
        replace(parcel, at_s=3.0 + 0.005 * n) for n, parcel in enumerate(parcels((1000, 3600)))
    ]
    script = [*parcels((0, 1000)), *held_up, *parcels((3700, 4500))]
    rig = Rig(script, config=LoopConfig()).run()
    rig.check_windows()
    held = [d for d in rig.neutral if d.reason == "what comes is old: it was held up on its way"]
    assert held
    # Sample 3300 came 0.25 s later than it would have, sample 3600 in time.
    assert not [stop for _, stop in rig.ranges if 1000 < stop < 3250]
    assert rig.ranges[-1][1] == 4500


# ------------------------------------------------------------------------------------ (e) a gap


@given(
    hole=st.integers(0, 1200),
    length=st.integers(1, 240),
    size=st.sampled_from([1, 7, 20, 260]),
    condition=st.sampled_from([ConditionConfig(), ConditionConfig(high_pass_hz=20.0, order=2)]),
    deadline_s=st.sampled_from([0.0, 60.0]),
)
def test_no_window_touches_a_gap_or_what_has_not_settled_behind_it(
    hole, length, size, condition, deadline_s
):
    end = hole + length
    script = parcels((0, hole), (end, 2500), size=size)
    config = LoopConfig(deadline_s=deadline_s, stale_s=1.0)
    rig = Rig(script, condition=condition, config=config).run()
    settle = rig.conditioner.settle_samples
    assert (settle > 0) == bool(condition.high_pass_hz)
    bad = [(0, settle), (hole, end + settle)]
    usable = [r for r in grid(2500) if all(r[1] <= a or b <= r[0] for a, b in bad)]
    assert set(rig.ranges) <= set(usable)
    assert deadline_s == 0 or rig.ranges == usable
    report = rig.report
    assert report.windows_due == len(grid(2500))
    assert report.refused.get(LOST, 0) == len(grid(2500)) - len(usable)
    assert report.skipped_late == len(usable) - len(rig.ranges)
    assert {d.reason for d in rig.neutral} <= {LOST}
    assert report.samples_lost == length
    assert all(np.isnan(d.probabilities).all() for d in rig.neutral)
    before = [i for i, (_, d, _) in enumerate(rig.hand.asked) if d.stop_sample <= hole]
    behind = [i for i, (_, d, _) in enumerate(rig.hand.asked) if d.label and d.first_sample >= end]
    # However late the loop is: one neutral decision lies between what was before and after.
    labels = rig.hand.labels[before[-1] + 1 if before else 0 : behind[0]]
    assert None in labels or not before
    assert all(label is None for label in labels)


def test_a_neutral_decision_names_the_stretch_the_reason_the_weights_and_the_time():
    rig = Rig(parcels((0, 500), (700, 1500))).run()
    neutral = rig.neutral
    stops = [d.stop_sample for d in neutral]
    assert stops == list(range(550, 900, 50))
    for decision in neutral:
        assert decision.first_sample == decision.stop_sample - 200
        assert decision.classes == ("left", "right")
        assert decision.epoch == 4 + 7  # seven windows had been decided
        assert decision.lsl_raw_s == pytest.approx(500 + (decision.stop_sample - 1) / RATE_HZ)


def test_what_was_seen_before_a_gap_is_forgotten_even_if_the_gap_is_noticed_late():
    # All windows across the hole are too old when the burst behind it arrives.
    script = [*parcels((0, 1000)), *[replace(p, at_s=1.6) for p in parcels((1010, 1600))]]

    class Counting(EvidenceFeedback):
        seen: tuple = ()

        def advance(self, decision, now_ns):
            self.seen = (*self.seen, decision.label)
            return super().advance(decision, now_ns)

    feedback = Counting()
    rig = Rig(script, config=LoopConfig(stale_s=1.0)).run(feedback=feedback)
    behind = [d.stop_sample for _, d, _ in rig.hand.asked if d.stop_sample > 1000]
    assert behind == [1050, 1550, 1600]
    assert feedback.seen[-3:].count(None) == 1
    assert feedback.seen[-3] is None
    assert rig.report.refused == {LOST: 4}
    assert rig.report.skipped_late == 6


def test_a_burst_longer_than_memory_right_behind_a_gap_is_taken_in():
    script = [*parcels((0, 500)), Parcel(900, 9000, at_s=9.0), *parcels((9000, 10_000))]
    rig = Rig(script, config=LoopConfig()).run()
    rig.check_windows()
    assert [r for r in rig.ranges if r[0] >= 9000] == [r for r in grid(10_000) if r[0] >= 9000]
    assert rig.report.windows_due == len(grid(10_000))


def test_nothing_is_decoded_before_the_filters_have_settled_at_the_start():
    rig = Rig(parcels((0, 2000)), condition=BAND).run()
    settle = rig.conditioner.settle_samples
    assert settle > 100
    assert rig.ranges == [r for r in grid(2000) if r[0] >= settle]
    assert rig.ranges[0][0] < settle + 50


# --------------------------------------------------------------------------------- (f) staleness


@pytest.mark.parametrize("silence_s", [0.3, 1.0, 10.0])
@pytest.mark.parametrize("stale_s", [0.1, 0.25])
def test_silence_makes_the_output_neutral_once_and_data_makes_it_live_again(silence_s, stale_s):
    resumed = 1000 + round(silence_s * 1000)
    script = parcels((0, 1000), (resumed, resumed + 1000))
    rig = Rig(script, config=LoopConfig(stale_s=stale_s)).run()
    silent = [
        (at, command)
        for at, _, command in rig.hand.asked
        if 1_000_000_000 < at < (resumed + 20) * MS_NS
    ]
    assert silent == [
        (round((1 + stale_s) * 1e9), Command(label=None, reason=f"no new data for {stale_s:g} s"))
    ]
    told = [e for e in rig.ledger.events() if e.kind in (EventKind.STALE, EventKind.FRESH)]
    assert [e.kind for e in told] == [EventKind.STALE, EventKind.FRESH]
    assert told[0].at_ns == round((1 + stale_s) * 1e9)
    # The source may wait for as many samples as were asked for, 45 here, in packets of 20.
    assert resumed + 20 <= told[1].at_ns / MS_NS <= resumed + 60
    assert [e.text for e in rig.ledger.events(EventKind.GUARD)] == [
        "The guard is armed.",
        "The guard went from armed to holding.",
        "The guard went from holding to armed.",
    ]
    assert rig.guard.state is State.ARMED
    assert rig.hand.labels[-1] is not None


def test_a_silence_a_moment_shorter_is_no_silence():
    rig = Rig(parcels((0, 1000), (1229, 2000)), config=LoopConfig(stale_s=0.25)).run()
    assert not rig.ledger.events(EventKind.STALE)


def test_two_silences_are_told_twice():
    rig = Rig(parcels((0, 500), (1500, 2000), (3000, 3500))).run()
    assert len(rig.ledger.events(EventKind.STALE)) == 2
    assert len(rig.ledger.events(EventKind.FRESH)) == 2


def test_markers_alone_do_not_keep_a_silent_stream_fresh():
    ticks = [Parcel(1000, 1000, at_s=1 + i / 100, markers=(Marker(label="tick", sample=1000),))
             for i in range(1, 200)]  # fmt: skip
    rig = Rig([*parcels((0, 1000)), *ticks, *parcels((3000, 3500))]).run()
    assert [e.at_ns for e in rig.ledger.events(EventKind.STALE)] == [1_250_000_000]
    assert None in rig.hand.labels


def test_a_source_that_has_nothing_but_news_does_not_hide_the_silence():
    rig = Rig([])

    class Chatty(Scripted):
        def read(self, wanted, until_ns):
            self.clock.advance(10 * MS_NS)
            self._script = [] if self.clock.now_ns() > SECOND_NS else ["more"]
            nothing = np.zeros((2, 0), np.float32)
            return Chunk(samples=nothing, first_sample=-1, arrived_ns=self.clock.now_ns())

    source = Chatty(rig.clock, ["more"])
    source.clock = rig.clock
    rig.run(source=source)
    assert [event.at_ns for event in rig.ledger.events(EventKind.STALE)] == [250 * MS_NS]
    assert rig.hand.labels == [None]


def test_a_stream_that_never_begins_is_stale_from_the_start():
    rig = Rig([Parcel(0, 10, at_s=1.0)]).run()
    (first,) = rig.ledger.turns
    assert first.decision.reason == "no new data for 0.25 s"
    assert math.isnan(first.decision.lsl_raw_s)
    assert first.times.acted_ns == 250 * MS_NS


# -------------------------------------------------------------------------------- (g) the guard


@pytest.mark.parametrize("signal", [None, Signal.EMERGENCY_STOP, Signal.PERSON_DISARMS])
def test_sinks_see_neutral_commands_while_the_guard_is_not_armed(signal):
    rig = Rig(parcels((0, 1000)), armed=signal is not None)
    if signal is not None:
        rig.guard.tell(signal)
    rig.run()
    assert {d.label for _, d, _ in rig.hand.asked} == {"left", "right"}
    assert set(rig.hand.labels) == {None}
    assert {c.reason for _, _, c in rig.hand.asked} == {f"guard is {rig.guard.state}"}


def test_without_a_guard_of_its_own_a_loop_is_disarmed():
    rig = Rig(parcels((0, 1000))).run(guard=None)
    assert set(rig.hand.labels) == {None}


# --------------------------------------------------------------------------- (h) not a number


def spoilt(script: list[Parcel], first: int, stop: int, value=math.nan) -> list[Parcel]:
    """The same parcels, with row 1 broken in [first, stop)."""
    spoilt = []
    for parcel in script:
        samples = parcel.samples.copy()
        hurt = slice(max(0, first - parcel.first), max(0, stop - parcel.first))
        samples[1, hurt] = value
        spoilt.append(replace(parcel, samples=samples))
    return spoilt


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    ("first", "stop"), [(600, 601), (613, 747), (600, 620), (640, 1000), (0, 30)]
)
@pytest.mark.parametrize("condition", [ConditionConfig(), BAND], ids=["plain", "band"])
def test_samples_that_are_no_numbers_count_as_lost(value, first, stop, condition):
    broken = Rig(spoilt(parcels((0, 2000)), first, stop, value), condition=condition).run()
    config = LoopConfig(deadline_s=60.0, stale_s=1.0)
    lost = Rig(parcels((0, first), (stop, 2000)), condition=condition, config=config).run()
    assert broken.ranges == lost.ranges
    for one, other in zip(broken.eye.seen, lost.eye.seen, strict=True):
        np.testing.assert_array_equal(one.samples, other.samples)
    assert broken.report.samples_lost == lost.report.samples_lost == stop - first
    assert broken.report.refused == lost.report.refused
    told, *more = broken.ledger.events(EventKind.NOT_A_NUMBER)
    assert 0 < told.count <= stop - first
    assert "NaN or infinity in C4 and" in told.text
    assert len(more) <= (stop - first) / RATE_HZ  # one message, however many packets are spoilt


def test_windows_of_a_broken_channel_are_neutral_at_once_and_for_as_long_as_it_lasts():
    rig = Rig(spoilt(parcels((0, 4000)), 1000, 4000)).run()
    after = [(at, command.label) for at, _, command in rig.hand.asked if at > SECOND_NS]
    assert len(after) == 60
    assert {label for _, label in after} == {None}
    assert after[0][0] <= 1_060 * MS_NS
    assert rig.guard.state is State.HOLDING


def test_windows_beside_broken_samples_of_the_same_packet_are_decoded():
    rig = Rig(spoilt(parcels((0, 2000), size=250), 600, 650)).run()
    assert rig.ranges == [r for r in grid(2000) if r[1] <= 600 or r[0] >= 650]
    assert (400, 600) in rig.ranges
    assert (650, 850) in rig.ranges


def test_a_window_behind_broken_samples_is_due_when_it_was_produced():
    # The packet's last samples are broken: the newest good one is older than the packet.
    rig = Rig(spoilt(parcels((0, 1000), size=100), 560, 600)).run()
    assert all(window.due_ns == window.stop_sample * MS_NS for window in rig.eye.seen)


# ------------------------------------------------------------ (i) everything opened is closed


class Boom(Exception):
    """What a stage throws."""


class Fragile:
    """Every stage at once: it notes each call, and throws in one of them."""

    classes = ("left", "right")
    epoch = 0
    settle_samples = 0
    delay_s = 0.0
    ended = False
    spec = SPEC

    def __init__(self, name: str, calls: list[str], breaks: str) -> None:
        self._name, self._calls, self._breaks = name, calls, breaks
        self._next = 0

    def _note(self, call: str) -> None:
        self._calls.append(f"{self._name}.{call}")
        if self._breaks == self._calls[-1]:
            raise Boom(self._breaks)

    def open(self, *given):
        self._note("open")
        return given[0] if given else None

    def close(self):
        self._note("close")

    def read(self, wanted, until_ns):
        self._note("read")
        first, self._next = self._next, self._next + wanted
        return Chunk(samples=signal(first, first + wanted), first_sample=first, arrived_ns=0)

    def process(self, chunk):
        self._note("process")
        return Conditioned(samples=chunk.samples, first_sample=chunk.first_sample)

    def encode(self, window):
        self._note("encode")
        return Embedding(values=np.zeros(1))

    def decide(self, embedding, window):
        self._note("decide")
        return Decision(classes=self.classes, probabilities=np.array([1.0, 0.0]), label="left")

    def advance(self, decision, now_ns):
        self._note("advance")
        return Command(label="left")

    def act(self, decision, command):
        self._note("act")
        return command

    def put(self, message):
        pass

    def wake(self):
        pass

    def take_events(self):
        return ()


OPENED = ["source", "encoder", "screen", "device"]


def break_down(breaks: str) -> list[str]:
    calls: list[str] = []

    def part(name):
        return Fragile(name, calls, breaks)

    stages = Stages(
        source=part("source"),
        conditioner=part("conditioner"),
        encoder=part("encoder"),
        adapter=part("adapter"),
        feedback=part("feedback"),
        sinks=(part("screen"), part("device")),
    )
    loop = Loop(stages, clock=VirtualClock(), window=WINDOW, fanout=part("watchers"))
    with pytest.raises(Boom, match=breaks):
        loop.run()
    return calls


@pytest.mark.parametrize(
    ("breaks", "n_opened"),
    [
        ("source.open", 1), ("conditioner.open", 1), ("encoder.open", 2), ("screen.open", 3),
        ("device.open", 4), ("source.read", 4), ("conditioner.process", 4),
        ("feedback.advance", 4),
    ],
)  # fmt: skip
def test_whatever_breaks_all_that_was_opened_is_closed_in_reverse(breaks, n_opened):
    calls = break_down(breaks)
    closed = [call.removesuffix(".close") for call in calls if call.endswith(".close")]
    assert closed == [*reversed(OPENED[:n_opened]), "watchers"]
    after = calls[calls.index(breaks) + 1 :]
    assert after == [f"{name}.close" for name in closed]


@pytest.mark.parametrize("breaks", ["encode", "decide"])
def test_a_decoder_that_throws_makes_the_output_neutral_and_ends_nothing(breaks, monkeypatch):
    rig = Rig(parcels((0, 1500)))

    def failing(self, *given):
        raise Boom(breaks)

    owner = type(rig.eye) if breaks == "encode" else type(rig.reader)
    monkeypatch.setattr(owner, breaks, failing)
    rig.run()
    assert {one.reason for one in rig.neutral} == {"the decoder failed"}
    assert len(rig.neutral) == 27
    told = [event.text for event in rig.ledger.events(EventKind.FAILED)]
    assert len(told) == 2  # at once, and again after a second
    assert all("raised Boom" in text for text in told)
    assert rig.guard.state is State.HOLDING


def test_a_sink_that_throws_takes_neither_the_loop_nor_its_neighbours_with_it():
    rig = Rig(parcels((0, 1000)))
    rig.ledger.say = rig.ledger.waiting.append
    rig.run(sinks=(Fragile("screen", [], "screen.act"), rig.hand))
    assert {(command.label, command.reason) for _, _, command in rig.hand.asked} == {
        (None, "the sink failed")
    }
    assert len(rig.hand.asked) == 17


@pytest.mark.parametrize("breaks", ["device.close", "encoder.close", "source.close"])
def test_a_stage_that_cannot_be_closed_does_not_keep_the_others_open(breaks):
    calls: list[str] = []
    named = {name: Fragile(name, calls, breaks) for name in (*OPENED, "watchers")}
    rig = Rig([])
    stages = Stages(
        source=named["source"],
        conditioner=rig.conditioner,
        encoder=named["encoder"],
        adapter=rig.reader,
        feedback=EvidenceFeedback(),
        sinks=(named["screen"], named["device"]),
    )
    loop = Loop(stages, clock=rig.clock, window=WINDOW, fanout=named["watchers"])
    loop.stop()
    with pytest.raises(Boom, match=breaks):
        loop.run()
    assert [c for c in calls if c.endswith(".close")] == [
        f"{name}.close" for name in ("device", "screen", "encoder", "source", "watchers")
    ]


def test_a_run_that_ends_well_closes_in_the_same_order_and_never_twice():
    calls: list[str] = []
    named = {name: Fragile(name, calls, "") for name in (*OPENED, "watchers")}
    rig = Rig([])
    stages = Stages(
        source=named["source"],
        conditioner=rig.conditioner,
        encoder=named["encoder"],
        adapter=rig.reader,
        feedback=EvidenceFeedback(),
        sinks=(named["screen"], named["device"]),
    )
    loop = Loop(stages, clock=rig.clock, window=WINDOW, fanout=named["watchers"])
    named["source"].read = lambda wanted, until_ns: loop.stop()
    loop.run()
    assert calls == [
        "source.open", "encoder.open", "screen.open", "device.open",
        "device.close", "screen.close", "encoder.close", "source.close", "watchers.close",
    ]  # fmt: skip


# ----------------------------------------------------------------------------------- (j) stopping


@pytest.mark.parametrize("silent", [False, True])
def test_stop_from_another_thread_ends_the_run_after_the_current_pass(silent):
    rig = Rig(parcels((0, 100_000)) if not silent else [Parcel(0, 1, at_s=1e6)])
    loop = rig.loop()
    read = rig.source.read

    def read_and_stop(wanted, until_ns):
        if rig.source.reads == 7:
            stopper = threading.Thread(target=loop.stop)
            stopper.start()
            stopper.join()
        return read(wanted, until_ns)

    rig.source.read = read_and_stop
    loop.run()
    assert rig.source.reads == 8
    assert rig.ledger.closed == 1


def test_on_the_machines_clock_a_silent_source_cannot_hold_up_a_stop():
    rig = Rig([])
    clock, waiting = MonotonicClock(), threading.Event()

    class Silent(Scripted):
        ended = False

        def read(self, wanted, until_ns):
            waiting.set()
            clock.wait_until(until_ns)

    loop = rig.loop(source=Silent(rig.clock, []), clock=clock, config=LoopConfig(stale_s=0.1))
    thread = threading.Thread(target=loop.run)
    thread.start()
    assert waiting.wait(10)
    loop.stop()
    thread.join(10)
    assert not thread.is_alive()


# -------------------------------------------------------------- (k) times, ranges, provenance


def test_the_times_of_the_stages_never_go_back():
    rig = Rig([*parcels((0, 900), (1500, 2500))], work_ns=lambda at: 3 * MS_NS)

    class Slow:
        """Wraps a stage, so that each call takes a millisecond."""

        def __init__(self, stage):
            self._stage = stage

        def __getattr__(self, name):
            if name in ("process", "decide", "advance", "act"):
                rig.clock.advance(MS_NS)
            return getattr(self._stage, name)

    rig.conditioner, rig.reader = Slow(rig.conditioner), Slow(rig.reader)
    rig.run(feedback=Slow(EvidenceFeedback()), sinks=(Slow(rig.hand),))
    assert len(rig.ledger.turns) > 30
    for turn in rig.ledger.turns:
        t = turn.times
        order = [
            t.due_ns, t.arrived_ns, t.conditioned_ns, t.cut_ns,
            t.encoded_ns, t.decided_ns, t.fed_back_ns, t.acted_ns,
        ]  # fmt: skip
        assert order == sorted(order)
        assert t.acted_ns - t.fed_back_ns == MS_NS
        assert t.fed_back_ns - t.decided_ns == MS_NS
        if turn.embedding is not None:
            assert t.encoded_ns - t.cut_ns == 3 * MS_NS
            assert t.decided_ns - t.encoded_ns == MS_NS
            assert t.due_ns == turn.decision.stop_sample * MS_NS


def test_the_times_before_the_first_sample_do_not_go_back_either():
    rig = Rig([Parcel(0, 1, at_s=1.0)])
    rig.clock.advance(77 * SECOND_NS)
    rig.source._script[0].at_s = 78.0
    rig.run()
    t = rig.ledger.turns[0].times
    assert t.due_ns == t.arrived_ns == t.conditioned_ns == 77 * SECOND_NS < t.cut_ns


@pytest.mark.parametrize("size", [1, 20, 130])
def test_a_decision_carries_its_samples_its_weights_and_the_time_of_its_last_sample(size):
    rig = Rig(parcels((0, 1000), size=size)).run()
    assert [(d.first_sample, d.stop_sample) for _, d, _ in rig.hand.asked] == rig.ranges
    assert [d.epoch for _, d, _ in rig.hand.asked] == list(range(5, 5 + len(rig.ranges)))
    for window in rig.eye.seen:
        last = window.stop_sample - 1
        assert window.lsl_raw_s == pytest.approx(500 + last / RATE_HZ, abs=1e-9)
        assert window.lsl_corrected_s == pytest.approx(900 + last / RATE_HZ, abs=1e-9)
        assert window.marker is None
    turns = rig.ledger.turns
    assert [turn.command for turn in turns] == [command for _, _, command in rig.hand.asked]
    assert all(turn.embedding is not None for turn in turns)


def test_watchers_get_the_description_then_every_chunk_event_and_turn_in_order():
    event = Event(kind=EventKind.SOURCE_BACK, text="back", sample=7)
    rig = Rig([Parcel(0, 200, events=(event,)), *parcels((200, 1000))]).run()
    kinds = [type(message).__name__ for message in rig.ledger.messages]
    assert kinds[:5] == ["StreamSpec", "Event", "Chunk", "Event", "Turn"]
    assert rig.ledger.messages[0] == SPEC
    assert rig.ledger.messages[3] == replace(event, at_ns=200 * MS_NS)
    chunks = [message for message in rig.ledger.messages if isinstance(message, Chunk)]
    assert sum(chunk.samples.shape[1] for chunk in chunks) == 1000
    assert rig.report.events == {"guard": 1, "source_back": 1}


def test_what_the_fan_out_has_to_say_is_counted_and_told():
    rig = Rig(parcels((0, 500)))
    rig.ledger.waiting = [Event(kind=EventKind.OVERFLOW, text="too slow", count=9)]
    rig.run()
    assert rig.report.events["overflow"] == 1
    assert len(rig.ledger.events(EventKind.OVERFLOW)) == 1


def test_real_watchers_see_all_of_it_and_one_that_breaks_disturbs_nobody():
    class Notes:
        lossless = True

        def __init__(self):
            self.got = []

        def watch(self, message):
            self.got.append(message)

        def close(self):
            pass

    class Broken(Notes):
        def watch(self, message):
            raise Boom("a screen without power")

    notes = Notes()
    rig = Rig(parcels((0, 1000))).run(fanout=FanOut([Broken(), notes]))
    assert [m for m in notes.got if isinstance(m, Turn)]
    assert len(rig.ranges) == len(grid(1000))


def test_sinks_act_in_turn_each_on_what_the_one_before_really_did():
    rig = Rig(parcels((0, 1000)))

    class Limiter(Hand):
        def act(self, decision, command):
            return replace(super().act(decision, command), strength=0.125)

    limiter, second = Limiter(rig.clock), Hand(rig.clock)
    rig.run(sinks=(limiter, second))
    assert {command.strength for _, _, command in second.asked} == {0.125}
    assert {turn.command.strength for turn in rig.ledger.turns} == {0.125}
    assert second.opened_with == (SPEC, ("left", "right"))


def test_the_encoder_is_opened_with_what_the_conditioner_makes_of_the_stream():
    rig = Rig(parcels((0, 500)), condition=BAND).run()
    spec, n_times = rig.eye.opened_with
    assert spec.channel_names == ("8-30/nr", "8-30/C4")
    assert n_times == 200


def test_the_first_decision_is_timed_from_the_opening():
    rig = Rig(parcels((0, 1000)))
    loop = rig.loop()
    assert math.isnan(loop.first_decision_s)
    loop.run()
    assert loop.first_decision_s == pytest.approx(0.2)


def test_the_report_adds_filter_delay_and_half_a_window():
    rig = Rig(parcels((0, 2000)), condition=BAND).run()
    assert rig.report.filter_delay_ms == pytest.approx(1e3 * rig.conditioner.delay_s) != 0
    assert rig.report.half_window_ms == 100.0


# ---------------------------------------------------------------------------- (l) locked windows

LOCKED = WindowConfig(length_s=0.2, lock_to=("flash",), offset_s=-0.05)


def flash(sample: int, label: str = "flash") -> Marker:
    return Marker(label=label, sample=sample)


def marked(script: list[Parcel], *deliveries: tuple[float, Marker]) -> list[Parcel]:
    """Add markers that come on their own, at their time."""
    alone = [
        Parcel(round(at_s * RATE_HZ), round(at_s * RATE_HZ), at_s, (marker,))
        for at_s, marker in deliveries
    ]
    return sorted([*script, *alone], key=lambda parcel: parcel.at_s)


def test_a_locked_window_starts_at_its_offset_from_the_marker():
    script = marked(parcels((0, 2000)), (0.4, flash(397)), (1.1, flash(1093)), (1.2, flash(1, "x")))
    rig = Rig(script, window=LOCKED).run()
    rig.check_windows()
    assert rig.ranges == [(347, 547), (1043, 1243)]
    assert [d.marker.sample for _, d, _ in rig.hand.asked] == [397, 1093]


@pytest.mark.parametrize("late_s", [0.0, 0.149, 0.15, 0.3, 1.0])
def test_a_marker_that_comes_late_still_gets_its_window_while_it_is_in_memory(late_s):
    rig = Rig(marked(parcels((0, 4000)), (1.0 + late_s, flash(1000))), window=LOCKED).run()
    rig.check_windows()
    assert rig.ranges == [(950, 1150)]
    acted_ns = rig.hand.asked[0][0]
    assert (
        max(1.15, 1 + late_s) * SECOND_NS <= acted_ns <= (max(1.15, 1 + late_s) + 0.02) * SECOND_NS
    )


def test_a_marker_that_comes_when_its_samples_are_gone_gives_a_neutral_decision():
    rig = Rig(marked(parcels((0, 6000)), (5.0, flash(1000))), window=LOCKED).run()
    assert not rig.ranges
    (decision,) = rig.neutral
    assert decision.reason == LOST
    assert repr(decision.marker) == repr(flash(1000))  # its times are NaN
    assert (decision.first_sample, decision.stop_sample) == (950, 1150)


@pytest.mark.parametrize("sample", [10, 49])
def test_a_marker_too_near_the_start_is_neutral_and_not_moved(sample):
    rig = Rig(marked(parcels((0, 1000)), (0.06, flash(sample))), window=LOCKED).run()
    assert not rig.ranges
    assert [d.first_sample for d in rig.neutral] == [sample - 50]


def test_a_window_long_before_its_marker_is_still_in_memory():
    window = replace(LOCKED, offset_s=-6.0)
    rig = Rig(marked(parcels((0, 9000)), (7.0, flash(7000))), window=window).run()
    rig.check_windows()
    assert rig.ranges == [(1000, 1200)]


@pytest.mark.parametrize("sample", [860, 1000, 1199])
def test_a_marker_beside_or_inside_a_gap_gives_a_neutral_decision_with_the_marker(sample):
    script = marked(parcels((0, 1000), (1200, 3000)), (1.25, flash(sample)), (2.0, flash(2000)))
    rig = Rig(script, window=LOCKED, config=LoopConfig(stale_s=1.0)).run()
    rig.check_windows()
    assert repr([d.marker for d in rig.neutral]) == repr([flash(sample)])
    assert rig.ranges == [(1950, 2150)]


# ------------------------------------------------------------------------------ (m) the door


def test_a_stream_that_is_refused_is_not_read_and_opens_nothing_else():
    rig = Rig(parcels((0, 1000)))
    asked = []

    def accept(spec):
        asked.append(spec)
        raise SchemaMismatch("another amplifier")

    with pytest.raises(SchemaMismatch, match="another amplifier"):
        rig.run(accept=accept)
    assert asked == [SPEC]
    assert rig.source.reads == 0
    assert not hasattr(rig.eye, "opened_with")
    assert not hasattr(rig.hand, "opened_with")
    assert rig.ledger.messages == []


def test_a_stream_that_is_accepted_is_run():
    asked = []
    rig = Rig(parcels((0, 500))).run(accept=asked.append)
    assert asked == [SPEC]
    assert rig.ranges == grid(500)


# ------------------------------------------------------------------------------- (n) memory


def test_memory_is_taken_once_however_long_and_broken_the_stream():
    stretches = [(at, at + 400 - at // 400 % 7) for at in range(0, 120_000, 400)]
    rig = Rig(parcels(*stretches, size=100))
    loop = rig.loop()
    loop.run()
    assert len(rig.eye.owners) == 1
    assert id(loop._ring._memory) in rig.eye.owners
    assert loop._ring.capacity == 200 + 2000
    assert len(loop._trust._shut) <= 8
    assert len(loop._ring._holes) <= 8


@pytest.mark.parametrize(("history_s", "capacity"), [(0.5, 700), (3.0, 3200)])
def test_memory_holds_a_window_and_the_history_asked_for(history_s, capacity):
    rig = Rig(parcels((0, 500)), config=LoopConfig(history_s=history_s))
    loop = rig.loop()
    loop.run()
    assert loop._ring.capacity == capacity


# ------------------------------------------------------------------ what lasts, what starves


def test_after_an_event_that_rules_out_decoding_output_stays_neutral_and_says_why():
    wrong = Event(kind=EventKind.RATE, text="The stream runs at another rate.", lasting=True)
    script = parcels((0, 2000))
    script[50].events = (wrong,)
    rig = Rig(script).run()
    behind = [d for _, d, _ in rig.hand.asked if d.stop_sample > 1020]
    assert len(behind) == 20
    assert {d.label for d in behind} == {None}
    assert {d.reason for d in behind} == {wrong.text}
    assert rig.report.refused == {wrong.text: 20}
    assert max(stop for _, stop in rig.ranges) <= 1020


def test_markers_alone_do_not_keep_a_dead_stream_fresh():
    markers = [
        Parcel(1000, 1000, at_s=1 + 0.1 * k, markers=(Marker(label="cue", sample=1000),))
        for k in range(1, 10)
    ]
    rig = Rig([*parcels((0, 1000)), *markers], config=LoopConfig(stale_s=0.25)).run()
    assert len(rig.ledger.events(EventKind.STALE)) == 1
    at_ns, decision, command = rig.hand.asked[-1]
    assert command.label is None
    assert decision.reason == "no new data for 0.25 s"
    assert at_ns <= 1.35 * SECOND_NS


def test_a_person_who_stops_the_guard_between_two_windows_is_heard_and_reported():
    rig = Rig(parcels((0, 2000)))
    rig.work_ns = rig.eye._work_ns = lambda at_ns: (
        rig.guard.tell(Signal.EMERGENCY_STOP) and 0 if at_ns > SECOND_NS else 0
    )
    rig.run()
    assert [event.text for event in rig.ledger.events(EventKind.GUARD)][-1] == (
        "The guard went from armed to stopped."
    )
    assert {c.label for at_ns, _, c in rig.hand.asked if at_ns > 1.1 * SECOND_NS} == {None}


def test_lateness_is_judged_again_after_every_window_of_a_burst():
    # Three windows come at once, all in time; the first takes so long that the second is late.
    script = [*parcels((0, 300)), Parcel(300, 400, at_s=0.4)]
    config = LoopConfig(deadline_s=0.06)
    rig = Rig(script, config=config, work_ns=lambda at_ns: 80 * MS_NS if at_ns > 0.39e9 else 0)
    rig.run()
    assert rig.ranges[-1] == (200, 400)
    ages = [turn.times.acted_ns - turn.times.due_ns for turn in rig.ledger.turns]
    assert max(ages) <= (80 + 60 + 80) * MS_NS
    slow = Rig(parcels((0, 300), size=300), config=config, work_ns=lambda at_ns: 70 * MS_NS).run()
    assert slow.ranges == [(50, 250), (100, 300)]
    assert slow.report.skipped_late == 1


# ------------------------------------------------------------- other weights, other acts


class Fixed:
    """An adapter that always says the same, of its epoch."""

    def __init__(self, epoch: int, classes=("left", "right"), label="left") -> None:
        self.epoch, self.classes, self._label = epoch, classes, label

    def decide(self, embedding: Embedding, window: Window) -> Decision:
        return Decision(
            classes=self.classes,
            probabilities=np.array([0.9, 0.1]),
            label=self._label,
            first_sample=window.first_sample,
            stop_sample=window.stop_sample,
            epoch=self.epoch,
        )


def promote(epoch: int, reason: str = "it was better") -> Promotion:
    return Promotion(epoch=epoch, kind="fixed", settings={}, reason=reason)


def promoted(*offers: tuple[int, Fixed], stop: int = 1000) -> Rig:
    """A run with `Fixed(1)`, to which others are offered while windows are encoded."""
    rig = Rig(parcels((0, stop)))
    rig.reader = Fixed(1)
    loop = rig.loop()
    waiting = list(offers)

    def offer(at_ns: int) -> int:
        while waiting and at_ns >= waiting[0][0] * MS_NS:
            _, adapter = waiting.pop(0)
            loop.promotions.offer(promote(adapter.epoch), adapter)
        return 0

    rig.eye._work_ns = offer
    rig.report = loop.run()
    assert not waiting
    return rig


def test_other_weights_take_over_between_two_windows_and_watchers_know_from_where():
    rig = promoted((500, Fixed(2, label="right")))
    epochs = [turn.decision.epoch for turn in rig.ledger.turns]
    # Offered while the window that ends at 500 was encoded: it still decides, the next does not.
    stops = [turn.decision.stop_sample for turn in rig.ledger.turns]
    assert [stop for stop, epoch in zip(stops, epochs, strict=True) if epoch == 1][-1] == 500
    assert epochs == [1] * epochs.count(1) + [2] * epochs.count(2)
    assert {t.decision.label for t in rig.ledger.turns if t.decision.epoch == 2} == {"right"}
    kinds = [type(m).__name__ for m in rig.ledger.messages if not isinstance(m, Chunk)]
    assert kinds.count("Promotion") == 1
    (told,) = rig.ledger.events(EventKind.PROMOTED)
    assert (told.text, told.count) == ("Weights of epoch 2 took over: it was better", 2)
    assert told.sample == 500
    assert rig.report.events["promoted"] == 1
    place = rig.ledger.messages.index(told)
    assert isinstance(rig.ledger.messages[place - 1], Promotion)
    before = [m for m in rig.ledger.messages[:place] if isinstance(m, Turn)]
    assert {turn.decision.epoch for turn in before} == {1}


@pytest.mark.parametrize(
    "other",
    [Fixed(1), Fixed(0), Fixed(2, ("right", "left")), Fixed(2, ("left", "right", "feet"))],
    ids=["same epoch", "older", "another order", "more classes"],
)
def test_weights_that_are_not_newer_or_speak_of_other_classes_are_refused_and_told(other):
    rig = promoted((500, other))
    assert {turn.decision.epoch for turn in rig.ledger.turns} == {1}
    assert {turn.decision.classes for turn in rig.ledger.turns} == {("left", "right")}
    (told,) = rig.ledger.events(EventKind.PROMOTED)
    assert told.text == f"Weights of epoch {other.epoch} were refused: those of epoch 1 stay."
    assert told.count == 1
    assert sum(isinstance(message, Promotion) for message in rig.ledger.messages) == 1


def test_several_promotions_are_judged_in_the_order_in_which_they_came():
    offers = ((500, Fixed(3)), (500, Fixed(2)), (500, Fixed(4)), (700, Fixed(4)), (700, Fixed(5)))
    rig = promoted(*offers)
    assert [event.text.split(":")[0] for event in rig.ledger.events(EventKind.PROMOTED)] == [
        "Weights of epoch 3 took over", "Weights of epoch 2 were refused",
        "Weights of epoch 4 took over", "Weights of epoch 4 were refused",
        "Weights of epoch 5 took over",
    ]  # fmt: skip
    assert sorted({turn.decision.epoch for turn in rig.ledger.turns}) == [1, 4, 5]


def test_weights_offered_before_the_start_decide_from_the_first_window_on():
    rig = Rig(parcels((0, 500)))
    rig.reader = Fixed(1)
    loop = rig.loop()
    loop.promotions.offer(promote(7), Fixed(7))
    loop.run()
    assert {turn.decision.epoch for turn in rig.ledger.turns} == {7}


def test_a_neutral_decision_after_a_promotion_names_the_new_weights():
    rig = Rig(spoilt(parcels((0, 1500)), 900, 1500))
    rig.reader = Fixed(1)
    loop = rig.loop()
    loop.promotions.offer(promote(2), Fixed(2))
    loop.run()
    assert rig.neutral
    assert {decision.epoch for decision in rig.neutral} == {2}


class Wilful(Hand):
    """A sink with a will of its own."""

    def __init__(self, clock: VirtualClock, answer) -> None:
        super().__init__(clock)
        self._answer = answer

    def act(self, decision: Decision, command: Command) -> Command:
        return self._answer(super().act(decision, command))


def test_a_turn_says_what_was_asked_only_if_the_sinks_did_something_else():
    busy = Command(label=None, reason="the device is busy")
    rig = Rig(parcels((0, 1000)))
    odd = Wilful(rig.clock, lambda c: busy if len(odd.asked) % 2 else c)
    rig.run(sinks=(odd, rig.hand))
    assert len(rig.ledger.turns) == 17
    for number, (turn, (_, _, asked)) in enumerate(zip(rig.ledger.turns, odd.asked, strict=True)):
        if number % 2:
            assert turn.asked is None
            assert turn.command is asked
        else:
            assert turn.asked is asked
            assert turn.command is busy
        assert rig.hand.asked[number][2] is turn.command


def test_an_answer_that_is_equal_and_yet_another_object_is_told_with_what_was_asked():
    rig = Rig(parcels((0, 1000)))
    rig.run(sinks=(Wilful(rig.clock, replace),))
    assert all(turn.asked == turn.command for turn in rig.ledger.turns)


def test_two_sinks_of_which_the_second_undoes_the_first_did_what_was_asked():
    rig = Rig(parcels((0, 1000)))
    first = Wilful(rig.clock, lambda command: Command(label=None))
    rig.run(sinks=(first, Wilful(rig.clock, lambda command: first.asked[-1][2])))
    assert {turn.asked for turn in rig.ledger.turns} == {None}


def test_what_anybody_tells_reaches_all_watchers_and_is_counted_once():
    rig = Rig(parcels((0, 1000)))
    rig.ledger = Saying()
    loop = rig.loop()
    words = [Event(kind=EventKind.RECORDER, text=f"It lags {n}.", at_ns=n) for n in range(3)]
    threads = [threading.Thread(target=loop.tell, args=(word,)) for word in words[:2]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    rig.eye._work_ns = lambda at_ns: loop.tell(words.pop()) or 0 if len(words) == 3 else 0
    report = loop.run()
    told = rig.ledger.events(EventKind.RECORDER)
    assert sorted(event.text for event in told) == ["It lags 0.", "It lags 1.", "It lags 2."]
    assert report.events["recorder"] == 3
    assert told[-1].at_ns == 2
    assert all(turn.command.label for turn in rig.ledger.turns)


class Saying(Ledger):
    """A ledger to which events can be said, as to a fan-out."""

    def say(self, event: Event) -> None:
        self.waiting = [*self.waiting, event]


# ----------------------------------------------------- what the conditioner says of the stream


class Outspoken:
    """A conditioner that leaves samples alone and says what it is told to, at its sample."""

    settle_samples, delay_s = 0, 0.0

    def __init__(self, said: dict[int, dict]) -> None:
        self._said = said

    def open(self, spec):
        return spec

    def process(self, chunk):
        ready = [at for at in sorted(self._said) if at <= chunk.stop_sample]
        merged: dict = {}
        for at in ready:
            for name, value in self._said.pop(at).items():
                merged[name] = (*merged.get(name, ()), *value) if name != "quality" else value
        return Conditioned(samples=chunk.samples, first_sample=chunk.first_sample, **merged)


def outspoken(said: dict[int, dict], script: list[Parcel], **changes) -> Rig:
    rig = Rig(script, **changes)
    rig.conditioner = Outspoken(said)
    return rig.run()


def test_a_window_knows_which_rows_were_bad_anywhere_in_it():
    masked, healed = np.array([True, False]), np.array([True, True])
    said = {400: {"masks": ((400, masked),)}, 500: {"masks": ((500, healed),)}}
    rig = outspoken(said, parcels((0, 1000)))
    for window in rig.eye.seen:
        touched = window.first_sample < 500 and window.stop_sample > 400
        assert (window.usable is not None) == touched
        if touched:
            assert window.usable.tolist() == [True, False]


def test_a_stretch_that_the_conditioner_shuts_is_not_decoded_and_the_reason_is_given():
    shut = Shut(first=380, stop=420, reason="research guard: a spike")
    rig = outspoken({440: {"shut": (shut,)}}, parcels((0, 1000)))
    late = [r for r in rig.ranges if r[0] < 420 and r[1] > 440]
    assert late == []
    assert {d.reason for d in rig.neutral} == {"research guard: a spike"}
    assert (450, 650) in rig.ranges


def test_what_the_conditioner_notices_is_told_with_its_time_and_its_place():
    event = Event(kind=EventKind.BAD_CHANNEL, text="C4 (flat) is masked.", sample=390, count=1)
    quality = Quality(
        channels=("C4",), scores=np.array([0.1]), causes=("flat",), usable=np.array([False])
    )
    rig = outspoken({400: {"events": (event,), "quality": quality}}, parcels((0, 600)))
    (told,) = rig.ledger.events(EventKind.BAD_CHANNEL)
    assert told == replace(event, at_ns=400 * MS_NS)
    (seen,) = [m for m in rig.ledger.messages if isinstance(m, Quality)]
    assert (seen.at_ns, seen.causes) == (400 * MS_NS, ("flat",))
    assert rig.report.events[EventKind.BAD_CHANNEL] == 1


def test_a_suspected_seizure_stops_output_within_the_step_until_a_person_resets():
    event = Event(kind=EventKind.SEIZURE, text="Research guard, not a diagnosis.", sample=500)
    rig = Rig(parcels((0, 2000)))
    rig.conditioner = Outspoken({500: {"events": (event,)}})
    reset_ns = 1500 * MS_NS

    class Nurse(Ledger):
        def wake(self):
            super().wake()
            if rig.clock.now_ns() >= reset_ns and rig.guard.state is State.STOPPED:
                rig.guard.tell(Signal.PERSON_RESETS)
                rig.guard.tell(Signal.PERSON_ARMS)

    rig.ledger = Nurse()
    rig.run()
    between = [(at, c) for at, _, c in rig.hand.asked if 500 * MS_NS <= at < reset_ns]
    assert len(between) > 10
    assert all(command.label is None for _, command in between)
    reasons = {d.reason for d in rig.neutral}
    assert reasons == {"Research guard, not a diagnosis.", "guard is stopped"}
    assert [command.label for at, _, command in rig.hand.asked if at < 500 * MS_NS and at > 0]
    assert any(c.label for at, _, c in rig.hand.asked if at > reset_ns + 100 * MS_NS)
    texts = [event.text for event in rig.ledger.events(EventKind.GUARD)]
    assert "The guard went from armed to stopped." in texts


@pytest.mark.parametrize("out_hz", [500.0, 125.0, 400.0, 2000.0])
@pytest.mark.parametrize("size", [1, 7, 20, 150])
def test_windows_at_another_rate_are_named_by_the_samples_of_the_source(out_hz, size):
    rig = Rig(
        parcels((0, 3000), size=size),
        window=WindowConfig(length_s=0.2, step_s=0.1),
        condition=ConditionConfig(pick=("nr", "C4"), rate_hz=out_hz),
    ).run()
    assert rig.eye.opened_with[0].rate_hz == out_hz
    assert rig.eye.opened_with[1] == round(0.2 * out_hz)
    assert len(rig.eye.seen) > 20
    period = RATE_HZ / out_hz
    for window in rig.eye.seen:
        # Row 0 counts samples: behind the filter it counts what came its delay ago.
        assert window.samples.shape[1] == round(0.2 * out_hz)
        newest = window.samples[0, -1] + rig.conditioner.delay_s * RATE_HZ
        assert newest == pytest.approx(window.stop_sample - 1, abs=2 * max(1, period) + 2)
        assert window.stop_sample - window.first_sample == pytest.approx(200, abs=period + 1)
        assert window.due_ns == pytest.approx(window.stop_sample * MS_NS, abs=period * MS_NS + 1)
    assert {w.stop_sample for w in rig.eye.seen} <= set(range(3001))


def test_a_locked_window_at_another_rate_begins_at_its_marker():
    marker = Marker(label="flash", sample=1203)
    script = parcels((0, 2000))
    script[60].markers = (marker,)
    rig = Rig(
        script,
        window=WindowConfig(length_s=0.3, lock_to=("flash",)),
        condition=ConditionConfig(pick=("nr", "C4"), rate_hz=250.0),
    ).run()
    (window,) = rig.eye.seen
    assert window.marker == marker
    assert 1203 <= window.first_sample < 1203 + 4
    assert window.samples.shape[1] == 75


@pytest.mark.parametrize("out_hz", [125.0, 500.0, 2000.0])
def test_samples_that_were_lost_are_counted_at_the_rate_of_the_source(out_hz):
    rig = Rig(
        parcels((0, 1000), (1080, 2000), (2160, 3000)),
        condition=ConditionConfig(pick=("nr", "C4"), rate_hz=out_hz),
    ).run()
    assert rig.report.samples_lost == 240


def test_a_gap_at_another_rate_moves_no_window():
    rig = Rig(
        parcels((0, 1003), (1541, 4000)),
        window=WindowConfig(length_s=0.2, step_s=0.1),
        condition=ConditionConfig(pick=("nr", "C4"), rate_hz=400.0),
    ).run()
    after = [w for w in rig.eye.seen if w.first_sample >= 1541]
    assert len(after) > 10
    for window in after:
        newest = window.samples[0, -1] + rig.conditioner.delay_s * RATE_HZ
        assert newest == pytest.approx(window.stop_sample - 1, abs=4)
    assert not [w for w in rig.eye.seen if w.first_sample < 1541 and w.stop_sample > 1003]
