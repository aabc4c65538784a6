"""A recorded session without a recorder's process: run a loop, keep, alter, write, replay.

Everything random follows from the seed of a `Trial`: faults of the stream, how the clock jumps,
what persons do and when, other weights, disobedient sinks, and how far the mailbox lags behind.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from diverloop.adapters.linear import LinearAdapter, LinearConfig
from diverloop.assembly import open_adapter
from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.errors import ReplayDivergedError
from diverloop.runtime.fanout import DirectFanOut, FanOut
from diverloop.runtime.feedback import EvidenceFeedback, FeedbackConfig
from diverloop.runtime.guard import Guard, Signal
from diverloop.runtime.latency import LatencyReport
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
from diverloop.runtime.received import Received, Sent
from diverloop.runtime.record.compare import Comparer, Comparison
from diverloop.runtime.record.entries import End, TurnEntry, write_entry
from diverloop.runtime.record.exact import ExactReplay, ReplayedSink, ReplayedSource
from diverloop.runtime.record.frames import TOPICS, TYPES, pack, read_parts
from diverloop.runtime.record.layout import Begun, Layout
from diverloop.runtime.record.manifest import Manifest
from diverloop.runtime.record.tape import Pass, Tape
from diverloop.runtime.record.xdf_chunks import stream_xml
from diverloop.runtime.record.xdf_write import XdfWriter
from diverloop.runtime.signal.condition_config import ConditionConfig
from diverloop.runtime.signal.conditioning import StreamConditioner
from diverloop.runtime.timeline import Placed, Timeline
from diverloop.runtime.windows import WindowConfig
from diverloop.runtime.wire import decode, encode

RATE_HZ = 250.0
MS_NS = 1_000_000
CLASSES = ("left", "right")
NAMES = ("C3", "Cz", "C4")
CHANNELS = tuple(Channel(name=name) for name in NAMES)
WINDOW = WindowConfig(length_s=0.2, step_s=0.04)
BAND = ConditionConfig(reference="average", bands_hz=((8.0, 30.0),), order=1)
OF_WATCHERS = (EventKind.OVERFLOW, EventKind.RECORDER)
PERSONS = (
    Signal.PERSON_ARMS, Signal.PERSON_ARMS, Signal.PERSON_ARMS, Signal.PERSON_DISARMS,
    Signal.EMERGENCY_STOP, Signal.PERSON_RESETS, Signal.PERSON_RESETS,
)  # fmt: skip
MANIFEST = Manifest(
    session="taped", settings={"loop": {"stale_s": 0.25}}, model_sha256="0" * 64, live=True,
    started_utc="2026-01-01T00:00:00+00:00", started_ns=0,
)  # fmt: skip
NOTHING = np.zeros((len(NAMES), 0), np.float32)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What a session goes through; chances are per packet, per clock reading, or per command."""

    seed: int = 0
    n_packets: int = 150
    form: str = "plain"  # or "f4", "i2": rows as sent, in microvolts or in halves of them
    condition: ConditionConfig = field(default_factory=ConditionConfig)
    window: WindowConfig = WINDOW
    config: LoopConfig = field(default_factory=LoopConfig)
    abstain_below: float = 0.55
    faults: float = 0.04
    jumps: float = 0.01
    persons: float = 0.02
    promotions: float = 0.005
    wilful: float = 0.3
    lag: int = 0
    dead: bool = False  # the first electrode gives nothing from the middle on
    breaks: str = ""  # "sink", "source" or "encoder" throws, in the middle of the session


class Broken(BaseException):
    """What ends a loop wherever it is, as a signal to end does; errors of stages do not."""


# ------------------------------------------------------------------------------------ the world


class RestlessClock(VirtualClock):
    """A clock that goes on while code runs, sometimes by far too much, and lets others act."""

    def __init__(self, rng: np.random.Generator, jumps: float) -> None:
        super().__init__(7 * MS_NS)
        self._rng, self._jumps = rng, jumps
        self.meanwhile: Callable[[], None] = lambda: None

    def now_ns(self) -> int:
        self.advance(int(self._rng.integers(0, 20_000)))
        if self._rng.random() < self._jumps:
            self.advance(int(self._rng.integers(20, 300)) * MS_NS)
        self.meanwhile()
        return super().now_ns()


@dataclass
class Packet:
    values: np.ndarray  # (n_times, n_channels), as sent
    stamps_s: np.ndarray
    at_s: float
    away_s: float = 0.0  # the sender was away for so long, and has another clock


def packets(trial: Trial, rng: np.random.Generator) -> list[Packet]:
    """Packets with losses, repeats, swaps, pauses, returns and values that are no numbers."""
    made: list[Packet] = []
    number, clock_s = 0, 100.0
    while len(made) < trial.n_packets:
        away_s = 0.0
        fault = rng.choice(["lost", "pause", "away", "nan"]) if _bad(trial, rng) else ""
        if fault in ("lost", "pause", "away"):
            lost = int(rng.integers(1, 60)) + (100 if fault != "lost" else 0)
            number += lost
            away_s = lost / RATE_HZ if fault == "away" and made else 0.0
            clock_s += 1000.0 if away_s else 0.0
        index = np.arange(number, number := number + int(rng.integers(1, 25)))
        values = rng.normal(0, 40, (len(index), len(NAMES)))
        if trial.dead and len(made) > trial.n_packets // 2:
            values[:, 0] = 7.0
        if fault == "nan" and trial.form != "i2":
            values[rng.integers(len(values)), rng.integers(len(NAMES))] = np.nan
        values = values.astype({"i2": "<i2"}.get(trial.form, "<f4"))
        made.append(Packet(values, clock_s + index / RATE_HZ, number / RATE_HZ, away_s))
    if trial.faults and trial.n_packets > 120:
        again = int(rng.integers(30, 60))
        made.insert(again + 1, replace(made[again], at_s=made[again].at_s + 0.001, away_s=0.0))
        swapped = int(rng.integers(80, 120))
        made[swapped], made[swapped + 1] = made[swapped + 1], made[swapped]
    return made


def _bad(trial: Trial, rng: np.random.Generator) -> bool:
    return bool(rng.random() < trial.faults)


class World:
    """A source of packets, placed by `Timeline` as the LSL source does it."""

    def __init__(self, trial: Trial, clock: VirtualClock, rng: np.random.Generator) -> None:
        self._trial, self._clock, self._rng = trial, clock, rng
        self._packets = deque(packets(trial, rng))
        self._timeline = Timeline(RATE_HZ)
        self._placed: list[Placed] = []
        self._received: list[Received] = []
        self._events: list[Event] = []
        self._n_rows = self._n_reads = self._arrived_ns = 0
        self.spec = StreamSpec(name="made", rate_hz=RATE_HZ, channels=CHANNELS, sent=self._sent())

    def _sent(self) -> Sent | None:
        if self._trial.form == "plain":
            return None
        xml = stream_xml(
            name="made", type="EEG", nominal_srate=RATE_HZ, channels=CHANNELS,
            channel_format={"f4": "float32", "i2": "int16"}[self._trial.form],
        )  # fmt: skip
        factor = {"f4": 1.0, "i2": 0.5}[self._trial.form]
        return Sent(
            dtype=f"<{self._trial.form}", microvolts=(factor,) * 3, description=xml.decode()
        )

    @property
    def ended(self) -> bool:
        return not self._packets and not self._placed

    def open(self) -> None:
        pass

    def close(self) -> None:
        pass

    def read(self, wanted: int, until_ns: int) -> Chunk | None:
        self._n_reads += 1
        if self._trial.breaks == "source" and self._n_reads == 90:
            raise Broken("the cable")
        if not self._placed and not self._take_due() and self._packets:
            self._clock.wait_until(min(until_ns, round(self._packets[0].at_s * 1e9)))
            self._take_due()
        return self._next_chunk()

    def _take_due(self) -> bool:
        due = False
        while self._packets and self._packets[0].at_s * 1e9 <= self._clock.now_ns():
            due = True
            self._take(self._packets.popleft())
        return due

    def _take(self, packet: Packet) -> None:
        self._arrived_ns = self._clock.now_ns()
        if packet.away_s and self._timeline.started:
            self._events.append(Event(kind=EventKind.SOURCE_BACK, text="It is back."))
            self._timeline.resume(float(packet.stamps_s[0]), packet.away_s)
        samples = packet.values.T.astype(np.float32, order="C")
        if self.spec.sent:
            samples = self.spec.sent.to_microvolts(packet.values)
            self._received.append(
                Received(values=packet.values, stamps_s=packet.stamps_s, first_row=self._n_rows)
            )
        at_s = self._arrived_ns / 1e9
        self._placed += self._timeline.place(samples, packet.stamps_s, at_s, self._n_rows)
        self._n_rows += len(packet.values)
        self._events += self._timeline.take_events()

    def _next_chunk(self) -> Chunk | None:
        events, self._events = tuple(self._events), []
        received, self._received = tuple(self._received), []
        if not self._placed:
            if not (events or received):
                return None
            return Chunk(
                samples=NOTHING, first_sample=-1, arrived_ns=self._clock.now_ns(), events=events,
                received=received,
            )  # fmt: skip
        runs = self._runs()
        stop = runs[-1].first_sample + runs[-1].samples.shape[1]
        rows = tuple((run.first_row, run.first_row + run.samples.shape[1]) for run in runs)
        return Chunk(
            samples=np.concatenate([run.samples for run in runs], axis=1),
            first_sample=runs[0].first_sample,
            arrived_ns=self._arrived_ns,
            lsl_raw_s=runs[-1].last_stamp_s,
            lsl_corrected_s=runs[-1].last_stamp_s + 0.25,
            markers=tuple(self._markers(stop)),
            events=events,
            received=received,
            rows=rows if self.spec.sent else (),
        )

    def _runs(self) -> list[Placed]:
        count = 1
        for before, after in pairwise(self._placed):
            if before.first_sample + before.samples.shape[1] != after.first_sample:
                break
            count += 1
        taken, self._placed = self._placed[:count], self._placed[count:]
        return taken

    def _markers(self, stop: int) -> Iterator[Marker]:
        if self._rng.random() < 0.1:
            yield Marker(label='cue, "left"\n', sample=stop - 1, stream="cues")
            yield Marker(label="flash", sample=stop + 3, lsl_raw_s=1.5, lsl_corrected_s=2.5)


class Means:
    """An encoder whose features show every sample of the window."""

    def __init__(self, breaks: bool = False) -> None:
        self._left = 40 if breaks else -1

    def open(self, spec: StreamSpec, n_times: int) -> None:
        pass

    def encode(self, window: Window) -> Embedding:
        self._left -= 1
        if self._left == 0:
            raise Broken("the encoder")
        return Embedding(values=window.samples.astype(np.float64).mean(axis=1))

    def close(self) -> None:
        pass


def weights(
    epoch: int, classes: tuple[str, ...] = CLASSES, abstain_below: float = 0.55
) -> LinearAdapter:
    """Weights that differ with their epoch."""
    rng = np.random.default_rng(epoch)
    return LinearAdapter(
        LinearConfig(classes=classes, abstain_below=abstain_below),
        mean=np.zeros(3), scale=np.ones(3), weights=rng.normal(0, 0.4, (len(classes), 3)),
        bias=np.zeros(len(classes)), temperature=1.5, epoch=epoch,
    )  # fmt: skip


def promotion(adapter: LinearAdapter) -> Promotion:
    """All that is needed to make an adapter again."""
    return Promotion(
        epoch=adapter.epoch, kind="linear", settings=asdict(adapter.config),
        arrays=adapter.to_arrays(), reason="They were better in the shadow.", who="rule",
    )  # fmt: skip


class Wilful:
    """A sink that sometimes does something else than it was asked to."""

    def __init__(self, trial: Trial, rng: np.random.Generator) -> None:
        self._trial, self._rng, self._left = trial, rng, 40

    def open(self, spec: StreamSpec, classes: tuple[str, ...]) -> None:
        pass

    def act(self, decision: Decision, command: Command) -> Command:
        self._left -= 1
        if self._trial.breaks == "sink" and self._left == 0:
            raise Broken("the device")
        if self._rng.random() >= self._trial.wilful:
            return command
        return [
            Command(label=None, reason="the device is busy"),
            replace(command),  # equal, yet another object
            replace(command, strength=command.strength / 2),
            replace(command, selected=not command.selected),
        ][self._rng.integers(4)]

    def close(self) -> None:
        pass


# -------------------------------------------------------------------------------- the recording


class Postbox:
    """Collects what `RecorderLink` would send, in the order in which it would send it."""

    lossless = True

    def __init__(self) -> None:
        self.sent: list[Any] = [MANIFEST]
        self._passes: deque[Pass] = deque()

    def post(self, entry: Pass) -> None:
        self._passes.append(entry)

    def watch(self, message: Any) -> None:
        self._send_passes()
        if isinstance(message, Turn):
            message = TurnEntry.of(message)
        elif isinstance(message, Chunk) and message.received:
            message = replace(message, samples=NOTHING)
        self.sent.append(over_the_pipe(message))

    def close(self) -> None:
        self._send_passes()
        self.sent.append(End(reason="The session ended.", orderly=True))

    def _send_passes(self) -> None:
        while self._passes:
            self.sent.append(over_the_pipe(self._passes.popleft()))


def over_the_pipe(message: Any) -> Any:
    """A message as the recorder's process gets it."""
    parts = read_parts(BytesIO(pack(encode(TOPICS[type(message)], message))))
    assert parts is not None
    return decode(parts, TYPES)[1]


class LaggingFanOut(FanOut):
    """Delivers in the loop's thread, but always some messages late."""

    def __init__(self, watchers: Sequence[Any], lag: int, rng: np.random.Generator) -> None:
        super().__init__(())
        self._late, self._lag, self._rng = tuple(watchers), lag, rng
        self._box: deque[Any] = deque()

    def put(self, message: Any) -> None:
        self._box.append(message)
        kept = int(self._rng.integers(self._lag + 1))
        while len(self._box) > kept:
            self._deliver()

    def close(self) -> None:
        while self._box:
            self._deliver()
        for watcher in self._late:
            watcher.close()

    def _deliver(self) -> None:
        message = self._box.popleft()
        for watcher in self._late:
            watcher.watch(message)


class Ledger:
    """Keeps turns and events as lines of the tape, without those that concern watchers."""

    lossless = True

    def __init__(self) -> None:
        self.lines: list[str] = []

    def watch(self, message: Any) -> None:
        if isinstance(message, Turn):
            self.lines.append(write_entry(TurnEntry.of(message)))
        elif isinstance(message, Event) and message.kind not in OF_WATCHERS:
            self.lines.append(write_entry(message))

    def close(self) -> None:
        pass


@dataclass
class Session:
    """A session that was run, and what would have been sent to the recorder."""

    trial: Trial
    sent: list[Any]
    lines: list[str]
    report: LatencyReport

    def all(self, kind: type) -> list[Any]:
        """Everything of a kind that was sent."""
        return [message for message in self.sent if isinstance(message, kind)]

    @property
    def turns(self) -> list[TurnEntry]:
        return self.all(TurnEntry)

    def kinds(self) -> set[EventKind]:
        return {event.kind for event in self.all(Event)}


def run(
    trial: Trial,
    *,
    taped: bool = True,
    others: Callable[[Loop], Callable[[], None]] | None = None,
    behind: Callable[[Any], Any] = lambda source: source,
) -> Session:
    """Run a session and keep what a recorder would get, or run it without any tape."""
    rng = np.random.default_rng(trial.seed)
    clock = RestlessClock(rng, trial.jumps)
    box, ledger = Postbox(), Ledger()
    tape = Tape(clock, box.post)
    guard = tape.guard if taped else Guard()
    guard.tell(Signal.PERSON_ARMS)
    world = behind(World(trial, clock, rng))
    stages = Stages(
        source=tape.source(world) if taped else world,
        conditioner=StreamConditioner(trial.condition),
        encoder=Means(trial.breaks == "encoder"),
        adapter=weights(1, abstain_below=trial.abstain_below),
        feedback=_feedback(),
        sinks=(Wilful(trial, rng), Wilful(replace(trial, breaks=""), rng)),
    )
    loop = Loop(
        stages, clock=tape.clock if taped else clock, window=trial.window, config=trial.config,
        guard=guard,         fanout=LaggingFanOut((box, ledger), trial.lag, rng),
        promotions=tape.promotions if taped else None,
    )  # fmt: skip
    clock.meanwhile = others(loop) if others else _others(trial, loop, rng)
    try:
        loop.run()
    except Broken:
        assert trial.breaks
    return Session(trial, box.sent, ledger.lines, loop.report())


def _others(trial: Trial, loop: Loop, rng: np.random.Generator) -> Callable[[], None]:
    """What other threads do between any two steps of the loop."""
    newest = [1]

    def meanwhile() -> None:
        if rng.random() < trial.persons:
            loop.guard.tell(PERSONS[rng.integers(len(PERSONS))])
        if rng.random() < trial.promotions:
            newest[0] += int(rng.integers(0, 3))  # sometimes no newer than what decides already
            classes = CLASSES if rng.random() < 0.8 else ("feet", "tongue")
            adapter = weights(newest[0], classes)
            loop.promotions.offer(promotion(adapter), adapter)
        if rng.random() < trial.persons / 4:
            loop.tell(Event(kind=EventKind.RECORDER, text="It lags."))

    return meanwhile


def _feedback() -> EvidenceFeedback:
    return EvidenceFeedback(
        FeedbackConfig(memory_s=0.1, select_at=0.6, dwell_s=0.05, refractory_s=0.1)
    )


def write(path: Path, sent: Sequence[Any], *, finished: bool = False) -> Path:
    """Write messages as the recorder's process does, or as one that is killed."""
    path.unlink(missing_ok=True)
    writer = XdfWriter(path)
    layout = Layout(writer, lambda act: act(), Begun())
    for message in sent:
        layout.put(message)
    if finished:
        writer.finish()
    writer.close()
    return path


# ----------------------------------------------------------------------------------- the replay


@dataclass
class Outcome:
    """What a replay gave."""

    comparison: Comparison
    lines: list[str]
    report: LatencyReport


def replay(path: Path, trial: Trial, adapter: LinearAdapter | None = None) -> Outcome:
    """Run a written session again, with fresh stages."""
    tape = ExactReplay(path, open_adapter)
    comparer, ledger = Comparer(tape), Ledger()
    stages = Stages(
        source=ReplayedSource(tape),
        conditioner=StreamConditioner(trial.condition),
        encoder=Means(),
        adapter=adapter or weights(1, abstain_below=trial.abstain_below),
        feedback=_feedback(),
        sinks=(ReplayedSink(tape),),
    )
    loop = Loop(
        stages, clock=tape, window=trial.window, config=trial.config, guard=tape.guard,
        fanout=DirectFanOut((comparer, ledger)), promotions=tape.promotions,
    )  # fmt: skip
    try:
        report = loop.run()
    except ReplayDivergedError:
        if comparer.result().first is None:
            raise
        report = loop.report()  # it diverged because of what had differed before
    return Outcome(comparer.result(), ledger.lines, report)
