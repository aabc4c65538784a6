"""Each check accepts a good stand-in, and refuses one that breaks a single clause."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from diverloop.decoders.joined import JoinedPart
from diverloop.runtime.catalog import CATALOG, find
from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.conditioned import Conditioned
from diverloop.runtime.conformance import (
    check_adapter,
    check_clock,
    check_conditioner,
    check_encoder,
    check_feedback,
    check_sink,
    check_source,
    check_watcher,
)
from diverloop.runtime.errors import ConformanceError, SchemaMismatch
from diverloop.runtime.messages import (
    Channel,
    Chunk,
    Command,
    Decision,
    Embedding,
    StreamSpec,
    Turn,
)
from diverloop.runtime.signal.condition_config import ConditionConfig
from diverloop.runtime.signal.conditioning import StreamConditioner

SPEC = StreamSpec(
    name="made", rate_hz=200.0, channels=tuple(Channel(name=name) for name in ("C3", "Cz", "C4"))
)
NAN = math.nan


# ---------------------------------------------------------------------------- good stand-ins


class GoodSource:
    def __init__(self, clock: VirtualClock) -> None:
        self.spec, self.ended, self.next, self.n_closed = SPEC, False, 0, 0
        self.clock = clock

    def open(self) -> None:
        self.next = 0

    def read(self, wanted: int, until_ns: int) -> Chunk | None:
        self.clock.advance(round(wanted * 1e9 / SPEC.rate_hz))
        self.next += wanted
        samples = np.full((3, wanted), self.next, np.float32)
        return self.chunk(samples, self.next - wanted)

    def chunk(self, samples, first_sample: int, **changes) -> Chunk:
        return Chunk(
            samples=samples,
            first_sample=first_sample,
            **{"arrived_ns": self.clock.now_ns()} | changes,
        )

    def close(self) -> None:
        self.n_closed += 1


class GoodConditioner:
    settle_samples, delay_s = 3, 0.01

    def open(self, spec: StreamSpec) -> StreamSpec:
        self.last, self.next = None, 0
        return spec

    def process(self, chunk: Chunk) -> Conditioned:
        """The difference from sample to sample."""
        if self.last is None or chunk.first_sample != self.next:
            self.last = chunk.samples[:, :1]
        out = np.diff(chunk.samples, axis=1, prepend=self.last)
        self.last, self.next = chunk.samples[:, -1:], chunk.stop_sample
        return Conditioned(samples=out, first_sample=chunk.first_sample)


class GoodEncoder:
    n_closed = 0

    def open(self, spec: StreamSpec, n_times: int) -> None:
        if spec.schema != SPEC.schema:
            raise SchemaMismatch("other rows")

    def encode(self, window) -> Embedding:
        values = window.samples.var(axis=1)
        if window.usable is not None:
            values[~window.usable] = 1.0
        return Embedding(values=values)

    def close(self) -> None:
        self.n_closed += 1


class GoodAdapter:
    classes, epoch = ("yes", "no"), 7

    def decide(self, embedding: Embedding, window) -> Decision:
        lost = not np.isfinite(embedding.values).all()
        return self.decision(window, "lost" if lost else "")

    def decision(self, window, reason: str, **changes) -> Decision:
        settled = {
            "classes": self.classes,
            "probabilities": np.full(2, NAN if reason else 0.5),
            "label": None if reason else "yes",
            "reason": reason,
            "first_sample": window.first_sample,
            "stop_sample": window.stop_sample,
            "epoch": self.epoch,
        }
        return Decision(**settled | changes)


class GoodFeedback:
    def advance(self, decision: Decision, now_ns: int) -> Command:
        if decision.label is None:
            return Command(label=None, reason=decision.reason)
        return Command(label=decision.label, strength=0.9)


class GoodSink:
    n_closed = 0

    def open(self, spec: StreamSpec, classes: tuple[str, ...]) -> None:
        pass

    def act(self, decision: Decision, command: Command) -> Command:
        return command

    def close(self) -> None:
        self.n_closed += 1


class GoodWatcher:
    lossless = True

    def __init__(self) -> None:
        self.got: list[object] = []
        self.n_closed = 0

    def watch(self, message: object) -> None:
        self.got.append(message)

    def close(self) -> None:
        self.n_closed += 1


def test_good_stand_ins_pass_and_what_was_opened_is_closed():
    clock = VirtualClock()
    source, encoder, sink, watcher = GoodSource(clock), GoodEncoder(), GoodSink(), GoodWatcher()
    check_clock(clock)
    check_source(source, clock, seconds=0.5)
    check_conditioner(GoodConditioner(), SPEC)
    check_encoder(encoder, SPEC, 50)
    check_adapter(GoodAdapter(), 4)
    check_feedback(GoodFeedback())
    check_sink(sink, SPEC)
    check_watcher(watcher, SPEC)
    assert source.n_closed == encoder.n_closed == sink.n_closed == 2
    assert watcher.n_closed == 1
    assert [type(message).__name__ for message in watcher.got] == [
        "StreamSpec", "Chunk", "Event", "Turn", "Turn",
    ]  # fmt: skip


def test_a_quiet_or_abstaining_stand_in_passes_too():
    """Neutral commands, empty chunks, short recordings and cautious sinks break no clause."""

    class Sleepy(GoodSource):
        turn = 0

        def read(self, wanted, until_ns):
            self.turn += 1
            if self.turn % 3 == 1:
                self.clock.wait_until(until_ns)
                return None
            if self.turn % 3 == 2:
                return self.chunk(np.zeros((3, 0), np.float32), -1)
            self.ended = self.turn > 9
            return super().read(wanted, until_ns)

    class Silent(GoodFeedback):
        def advance(self, decision, now_ns):
            return Command(label=None, reason="always")

    class Refusing(GoodSink):
        def act(self, decision, command):
            return Command(label=None, reason="switched off")

    clock = VirtualClock()
    source = Sleepy(clock)
    check_source(source, clock, seconds=60.0)
    assert source.ended
    check_feedback(Silent())
    check_sink(Refusing(), SPEC)


# --------------------------------------------------------------------------- one clause broken


def broken(good, **changes):
    """A stand-in with some members replaced; Ellipsis takes one away."""
    members = {name: value for name, value in changes.items() if value is not ...}
    gone = {name for name, value in changes.items() if value is ...}
    kept = {name: value for name, value in vars(good).items() if name not in gone}
    return type(f"Broken{good.__name__}", (), kept | members)


class RunsBack(VirtualClock):
    def wait_until(self, deadline_ns):
        self._now_ns = deadline_ns


class WaitsForThePast(VirtualClock):
    def wait_until(self, deadline_ns):
        self.advance(abs(deadline_ns - self.now_ns()))


class WakesEarly(VirtualClock):
    def wait_until(self, deadline_ns):
        super().wait_until(deadline_ns - 1)


class CountsSeconds(VirtualClock):
    def now_ns(self):
        return super().now_ns() / 1e9


@pytest.mark.parametrize(
    ("clock", "clause"),
    [
        (object(), "a clock has now_ns and wait_until"),
        (CountsSeconds(), "now_ns is a whole number"),
        (RunsBack(10**12), "a clock never goes back"),
        (WaitsForThePast(10**12), "waiting for the past takes no time"),
        (WakesEarly(10**12), "wait_until returns at the deadline, not before"),
    ],
)
def test_a_clock_that_breaks_a_clause_is_refused(clock, clause):
    with pytest.raises(ConformanceError, match=clause):
        check_clock(clock)


class Reused(GoodSource):
    memory = np.zeros((3, 10), np.float32)

    def read(self, wanted, until_ns):
        chunk = super().read(wanted, until_ns)
        self.memory[:] = self.next
        return replace(chunk, samples=self.memory[:, :wanted])


def reading(change):
    """A source whose chunks are changed on their way out."""

    def read(self, wanted, until_ns):
        return change(self, GoodSource.read(self, wanted, until_ns))

    return broken(GoodSource, read=read)


def nothing_after_the_start(self):
    self.spec, self.ended = SPEC, True


@pytest.mark.parametrize(
    ("cls", "clause"),
    [
        (broken(GoodSource, read=...), "a source has spec, ended, open, read and close"),
        (
            broken(GoodSource, open=lambda s: setattr(s, "spec", replace(SPEC, rate_hz=0.0))),
            "spec has a rate and channels",
        ),
        (
            broken(GoodSource, open=lambda s: setattr(s, "spec", replace(SPEC, channels=()))),
            "spec has a rate and channels",
        ),
        (
            broken(
                GoodSource,
                open=lambda s: setattr(s, "spec", replace(SPEC, channels=SPEC.channels[:1] * 3)),
            ),
            "channel names are different from each other",
        ),
        (broken(GoodSource, read=lambda *_: None), "0.5 s of signal come within 10.5 s"),
        (
            reading(lambda s, c: replace(c, samples=c.samples[:, :0])),
            "0.5 s of signal come within 10.5 s",
        ),
        (reading(lambda s, c: replace(c, samples=c.samples[:2])), "a chunk has a row a channel"),
        (reading(lambda s, c: replace(c, samples=c.samples[0])), "a chunk has a row a channel"),
        (
            reading(lambda s, c: replace(c, samples=c.samples.astype(np.int32))),
            "samples are floating point",
        ),
        (
            reading(lambda s, c: replace(c, arrived_ns=c.arrived_ns + 1)),
            "a chunk has arrived before it is returned",
        ),
        (reading(lambda s, c: replace(c, first_sample=0)), "indices grow from chunk to chunk"),
        (
            reading(lambda s, c: replace(c, first_sample=c.first_sample - (c.first_sample > 0))),
            "indices grow from chunk to chunk",
        ),
        (broken(GoodSource, open=nothing_after_the_start), "samples come"),
        (Reused, "a source never touches again what it has returned"),
    ],
)
def test_a_source_that_breaks_a_clause_is_refused_and_closed(cls, clause):
    clock = VirtualClock()
    source = cls(clock)
    with pytest.raises(ConformanceError, match=clause):
        check_source(source, clock, seconds=0.5)
    assert source.n_closed == (2 if hasattr(cls, "read") else 0)


def test_a_source_that_cannot_be_opened_is_closed_and_its_error_passes():
    class Unplugged(GoodSource):
        def open(self):
            raise OSError("no cable")

    clock = VirtualClock()
    source = Unplugged(clock)
    with pytest.raises(OSError, match="no cable"):
        check_source(source, clock)
    assert source.n_closed == 2


def scaled_by_chunk(self, chunk):
    return replace(chunk, samples=chunk.samples - chunk.samples.mean())


def never_restarted(self, chunk):
    self.next = chunk.first_sample
    return GoodConditioner.process(self, chunk)


@pytest.mark.parametrize(
    ("cls", "clause"),
    [
        (broken(GoodConditioner, delay_s=...), "a conditioner has open, process and two figures"),
        (broken(GoodConditioner, settle_samples=-1), "figures are not negative"),
        (broken(GoodConditioner, delay_s=-0.1), "figures are not negative"),
        (
            broken(GoodConditioner, process=lambda s, c: replace(c, samples=c.samples[:2])),
            "the output has the rows and the rate that open announced",
        ),
        (
            broken(GoodConditioner, process=lambda s, c: replace(c, samples=c.samples[:, ::2])),
            "the output has the rows and the rate that open announced",
        ),
        (broken(GoodConditioner, process=scaled_by_chunk), "any cut gives the same output"),
        (broken(GoodConditioner, process=never_restarted), "a jump in the index restarts"),
    ],
)  # fmt: skip
def test_a_conditioner_that_breaks_a_clause_is_refused(cls, clause):
    with pytest.raises(ConformanceError, match=clause):
        check_conditioner(cls(), SPEC)


class Staring(GoodEncoder):
    def encode(self, window):
        return Embedding(values=window.samples.var(axis=1))


class Silent(GoodEncoder):
    def encode(self, window):
        lost = window.usable is not None
        return Embedding(values=np.full(3, NAN) if lost else window.samples.var(axis=1))


class Haunted(GoodEncoder):
    seen = 0

    def encode(self, window):
        self.seen += window.usable is not None
        shift = float(self.seen) if window.usable is None else 0.0
        return Embedding(values=super().encode(window).values + shift)


class Remembering(GoodEncoder):
    total = 0.0

    def encode(self, window):
        self.total += 1
        return Embedding(values=window.samples.var(axis=1) + self.total)


class Clinging(GoodEncoder):
    """Remembers its stream, and goes on remembering it across a gap."""

    total = 0.0

    def open(self, spec, n_times):
        super().open(spec, n_times)
        self.total = 0.0

    def encode(self, window):
        streams = window.conditioned_first >= 0
        self.total += streams
        said = super().encode(window)
        return replace(said, values=said.values + streams * self.total)


@pytest.mark.parametrize(
    ("cls", "clause"),
    [
        (broken(GoodEncoder, encode=...), "an encoder has open, encode and close"),
        (
            broken(GoodEncoder, encode=lambda s, w: Embedding(values=np.array([NAN]))),
            "an embedding is finite and flat",
        ),
        (
            broken(GoodEncoder, encode=lambda s, w: Embedding(values=w.samples)),
            "an embedding is finite and flat",
        ),
        (Remembering, "windows of no stream know nothing of each other"),
        (Clinging, "what came before a gap does not matter"),
        (Staring, "what masked rows hold does not matter"),
        (Silent, "with masked rows an embedding is finite, or its quality is 0"),
        (Haunted, "a mask is forgotten with its window"),
        (broken(GoodEncoder, open=lambda *_: None), "refuse a stream with other rows"),
    ],
)
def test_an_encoder_that_breaks_a_clause_is_refused(cls, clause):
    with pytest.raises(ConformanceError, match=clause):
        check_encoder(cls(), SPEC, 50)


def test_an_encoder_that_writes_into_its_window_fails_on_the_spot():
    class Vandal(GoodEncoder):
        def encode(self, window):
            window.samples[:] -= window.samples.mean()
            return super().encode(window)

    with pytest.raises(ValueError, match="read-only"):
        check_encoder(Vandal(), SPEC, 50)


def deciding(**changes):
    """An adapter whose decisions on good windows are changed on their way out."""

    def decide(self, embedding, window):
        decision = GoodAdapter.decide(self, embedding, window)
        return decision if decision.reason else replace(decision, **changes)

    return broken(GoodAdapter, decide=decide)


def decides_on_anything(self, embedding, window):
    return self.decision(window, "")


@pytest.mark.parametrize(
    ("cls", "clause"),
    [
        (broken(GoodAdapter, epoch=...), "an adapter has classes, epoch and decide"),
        (broken(GoodAdapter, classes=("yes",)), "two classes or more, all different"),
        (broken(GoodAdapter, classes=("yes", "yes")), "two classes or more, all different"),
        (deciding(probabilities=np.array([0.5, 0.6])), "probabilities sum to 1"),
        (deciding(label="maybe"), "a label is a class or None"),
        (deciding(stop_sample=-1), "a decision names its samples"),
        (deciding(epoch=6), "a decision names its weights"),
        (
            broken(GoodAdapter, decide=decides_on_anything),
            "an embedding of NaN gives neutral, and why",
        ),
        (
            broken(
                GoodAdapter,
                decide=lambda s, e, w: replace(GoodAdapter.decide(s, e, w), reason=""),
            ),
            "an embedding of NaN gives neutral, and why",
        ),
    ],
)  # fmt: skip
def test_an_adapter_that_breaks_a_clause_is_refused(cls, clause):
    with pytest.raises(ConformanceError, match=clause):
        check_adapter(cls(), 4)


@pytest.mark.parametrize(
    ("advance", "clause"),
    [
        (lambda s, d, t: Command(label="maybe"), "a command's label is a class or None"),
        (lambda s, d, t: Command(label=d.label, strength=1.1, reason="x"), "strength lies between"),
        (lambda s, d, t: Command(label=d.label, strength=-1.0, reason="x"), "strength lies betw"),
        (lambda s, d, t: Command(label="yes"), "a neutral decision commands nothing"),
        (
            lambda s, d, t: Command(label=d.label, selected=True, reason="x"),
            "a neutral decision commands nothing",
        ),
        (lambda s, d, t: Command(label=d.label), "a neutral command says why"),
        (..., "a feedback rule has advance"),
    ],
)  # fmt: skip
def test_a_feedback_rule_that_breaks_a_clause_is_refused(advance, clause):
    with pytest.raises(ConformanceError, match=clause):
        check_feedback(broken(GoodFeedback, advance=advance)())


@pytest.mark.parametrize(
    ("act", "clause"),
    [
        (lambda s, d, c: None, "act returns what was really done"),
        (lambda s, d, c: Command(label="yes"), "a sink does what it is asked, or nothing"),
        (lambda s, d, c: Command(label="other"), "a sink does what it is asked, or nothing"),
        (..., "a sink has open, act and close"),
    ],
)
def test_a_sink_that_breaks_a_clause_is_refused_and_closed(act, clause):
    sink = broken(GoodSink, act=act)()
    with pytest.raises(ConformanceError, match=clause):
        check_sink(sink, SPEC)
    assert sink.n_closed == (0 if act is ... else 2)


@pytest.mark.parametrize(
    ("changes", "clause"),
    [
        ({"watch": ...}, "a watcher has lossless, watch and close"),
        ({"lossless": "yes"}, "lossless is true or false"),
    ],
)
def test_a_watcher_that_breaks_a_clause_is_refused(changes, clause):
    with pytest.raises(ConformanceError, match=clause):
        check_watcher(broken(GoodWatcher, **changes)(), SPEC)


def test_a_watcher_that_cannot_take_a_decision_is_found_out():
    class Picky(GoodWatcher):
        def watch(self, message):
            assert not isinstance(message, Turn), "no decisions, please"

    with pytest.raises(AssertionError, match="no decisions, please"):
        check_watcher(Picky(), SPEC)


# ---------------------------------------------------------------- the catalogue's own entries

BANDS = ((8.0, 12.0), (16.0, 24.0))


def recording(folder) -> str:
    """A small recording in the project's own layout."""
    path, rng = folder / "small.npz", np.random.default_rng(0)
    np.savez(
        path,
        data=rng.integers(-300, 300, (3, 500), dtype=np.int16), scale=np.full(3, 0.1),
        offset=np.zeros(3), units="uV", fs=200.0, ch_names=np.array(["C3", "Cz", "C4"]),
        ch_types=np.array(["eeg"] * 3), ch_pos=np.full((3, 3), NAN),
        ev_sample=np.array([100]), ev_label=np.array(["left"]),
    )  # fmt: skip
    return str(path)


def conditioned() -> StreamSpec:
    return StreamConditioner(ConditionConfig(bands_hz=BANDS, order=2)).open(SPEC)


SETTINGS: dict[str, dict[str, object]] = {
    "aligned_covariance": {"n_bands": 2, "n_components": 2},
    "band_power": {"n_bands": 2},
    "csp": {"n_bands": 2, "n_pairs": 1},
    "envelope_frames": {},
    "evoked_epoch": {"rate_hz": SPEC.rate_hz, "n_filters": 2},
    "fbcca": {"rate_hz": SPEC.rate_hz, "frequencies_hz": (10.0, 15.0), "top_hz": 40.0},
    "filterbank_covariance": {"n_bands": 2, "n_components": 2},
    "flicker_covariance": {"rate_hz": SPEC.rate_hz, "frequencies_hz": (10.0, 15.0)},
    "joined": {
        "parts": (
            JoinedPart(encoder="xdawn"),
            JoinedPart(encoder="band_power", settings={"n_bands": 2}),
        )
    },
    "trca": {"rate_hz": SPEC.rate_hz, "top_hz": 40.0},
    "xdawn": {"n_filters": 2},
}


def fitted(name: str):
    """An encoder of the catalogue, fitted on noise."""
    rng = np.random.default_rng(1)
    windows = rng.standard_normal((20, 6, 100))
    labels = np.array(["left", "right"] * 10)
    cls = find("encoder", name)
    return cls.fit(windows, labels, cls.Config(**SETTINGS[name]))


@pytest.mark.parametrize("config", [{"chunk_s": 0.02}, {"chunk_s": 0.3, "start_s": 0.5}])
def test_the_replay_source_conforms(tmp_path, config):
    clock, cls = VirtualClock(), find("source", "replay")
    check_source(cls(cls.Config(path=recording(tmp_path), **config), clock), clock)


@pytest.mark.parametrize("config", [{}, {"montage": "ecog8x8", "rate_hz": 500.0, "chunk_s": 0.0}])
def test_the_simulator_conforms_as_source_and_as_sink(config):
    clock, cls = VirtualClock(), find("source", "simulator")
    check_source(cls(cls.Config(**config), clock), clock, seconds=0.5)
    check_sink(cls(cls.Config(**config), clock), SPEC)


def test_the_null_sink_conforms():
    check_sink(find("sink", "null")(), SPEC)


# These need torch, and the student a file of weights: they conform in tests beside their own files.
@pytest.mark.parametrize("name", sorted(set(CATALOG["encoder"]) - {"cnn", "student"}))
def test_every_encoder_conforms(name):
    check_encoder(fitted(name), conditioned(), 100)


@pytest.mark.parametrize("abstain_below", [0.0, 0.99])
def test_the_linear_adapter_conforms(abstain_below):
    cls = find("adapter", "linear")
    config = cls.Config(classes=("left", "right"), abstain_below=abstain_below)
    weights = np.random.default_rng(2).standard_normal((1, 5))
    adapter = cls(
        config, mean=np.zeros(5), scale=np.ones(5), weights=weights, bias=np.zeros(1), epoch=3
    )
    check_adapter(adapter, 5)


def test_no_entry_of_the_catalogue_is_left_out_here():
    # The LSL ones need a network, and others a plan or a speaker: they conform in the tests beside
    # their own files, and so do the rules of feedback. A task is no stage.
    here = {"replay", "simulator", "null", "linear", *SETTINGS}
    beside = {
        "lsl", "brainflow", "speaker", "cnn", "student", "speller", "neurofeedback", "evidence",
        "velocity", "speech", "stimulation", "simulated", "fieldtrip", "rda", "blackrock",
        "udp", "osc", "zmq", "serial", "parallel", "keyboard", "frozen", "recentring",
        "recalibration", "pseudo_labels", "entropy", "reward", "bandit", "neural_bandit",
    }  # fmt: skip
    listed = {name for kind, names in CATALOG.items() if kind != "task" for name in names}
    assert listed == here | beside
