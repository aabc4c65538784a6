"""What any implementation of a stage must pass: the clauses of `stages`, tried out.

Call the check for your stage from a test of your own; it returns nothing and raises
`ConformanceError` with the clause that was broken.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from .deciding import Follows, Hears, Tells
from .errors import ConformanceError, SchemaMismatch
from .inbox import Inbox
from .messages import (
    Channel,
    Chunk,
    Command,
    Decision,
    Embedding,
    Event,
    EventKind,
    StageTimes,
    StreamSpec,
    Turn,
    Window,
)
from .pace import Pace
from .stages import Adapter, Clock, Conditioner, Encoder, Feedback, Sink, Source, Watcher


def check_clock(clock: Clock) -> None:
    """Try a clock: it never goes back, and waiting for the past takes no time.

    Parameters
    ----------
    clock : Clock
        Any.
    """
    _demand(_offers(clock, "now_ns wait_until"), "a clock has now_ns and wait_until")
    before = clock.now_ns()
    _demand(isinstance(before, int), "now_ns is a whole number")
    clock.wait_until(before - 1_000_000_000)
    after = clock.now_ns()
    _demand(after >= before, "a clock never goes back")
    # Half a second leaves room for a machine that is busy with something else.
    _demand(after < before + 500_000_000, "waiting for the past takes no time")
    clock.wait_until(clock.now_ns() + 1_000_000)
    _demand(clock.now_ns() >= before + 1_000_000, "wait_until returns at the deadline, not before")


def check_source(source: Source, clock: Clock, *, seconds: float = 1.0) -> None:
    """Try a source: opening, reading to a deadline, growing indices, memory of its own, closing.

    Parameters
    ----------
    source : Source
        Not yet open; must deliver samples.
    clock : Clock
        The clock it was given.
    seconds : float
        How much of its signal to read.
    """
    _demand(_offers(source, "open read close"), "a source has spec, ended, open, read and close")
    try:
        source.open()
        # Only now: before it, a live source does not know its spec.
        _demand(
            _offers(source, "spec ended open read close"),
            "a source has spec, ended, open, read and close",
        )
        spec = source.spec
        _demand(spec.rate_hz > 0 and spec.n_channels > 0, "spec has a rate and channels")
        names = spec.channel_names
        _demand(len(set(names)) == len(names), "channel names are different from each other")
        _check_reading(source, clock, seconds)
    finally:
        source.close()
        source.close()


def _check_reading(source: Source, clock: Clock, seconds: float) -> None:
    spec, kept, stop = source.spec, [], 0
    end_ns = clock.now_ns() + round((seconds + 10) * 1e9)
    while stop < seconds * spec.rate_hz and not source.ended:
        _demand(clock.now_ns() < end_ns, f"{seconds} s of signal come within {seconds + 10} s")
        chunk = source.read(max(1, round(0.05 * spec.rate_hz)), clock.now_ns() + 200_000_000)
        if chunk is None or not chunk.samples.shape[-1]:
            # A virtual clock would stand still for a source that never waits.
            clock.wait_until(clock.now_ns() + 1_000_000)
        if chunk is None:
            continue
        samples = chunk.samples
        _demand(
            samples.ndim == 2 and len(samples) == spec.n_channels, "a chunk has a row a channel"
        )
        _demand(samples.dtype.kind == "f", "samples are floating point")
        _demand(chunk.arrived_ns <= clock.now_ns(), "a chunk has arrived before it is returned")
        if samples.shape[1]:
            _demand(chunk.first_sample >= stop, "indices grow from chunk to chunk")
            stop = chunk.stop_sample
            kept.append((samples, samples.copy()))
    _demand(bool(kept), "samples come")
    same = all(np.array_equal(now, then, equal_nan=True) for now, then in kept)
    _demand(same, "a source never touches again what it has returned")


def check_conditioner(conditioner: Conditioner, spec: StreamSpec, *, seed: int = 0) -> None:
    """Try a conditioner: any cut gives the same output, a gap restarts it.

    Parameters
    ----------
    conditioner : Conditioner
        Any.
    spec : StreamSpec
        A stream it accepts.
    seed : int
        For signal and cuts.
    """
    _demand(
        _offers(conditioner, "settle_samples delay_s open process"),
        "a conditioner has open, process and two figures",
    )
    rng = np.random.default_rng(seed)
    signal = (20 * rng.standard_normal((spec.n_channels, 400))).astype(np.float32)
    out = conditioner.open(spec)
    _demand(
        conditioner.settle_samples >= 0 and conditioner.delay_s >= 0, "figures are not negative"
    )
    whole = conditioner.process(_chunk(signal, 0)).samples
    pace = Pace.between(spec.rate_hz, out.rate_hz)
    announced = (out.n_channels, pace.conditioned(400))
    _demand(whole.shape == announced, "the output has the rows and the rate that open announced")
    conditioner.open(spec)
    edges = [0, *sorted(rng.choice(np.arange(1, 400), 9, replace=False).tolist()), 400]
    cuts = pairwise(edges)
    parts = [conditioner.process(_chunk(signal[:, a:b], a)).samples for a, b in cuts]
    _demand(np.array_equal(np.concatenate(parts, axis=1), whole), "any cut gives the same output")
    # Where both counts meet: elsewhere the samples lie otherwise between those of the source.
    after = conditioner.process(_chunk(signal, -(-1000 // pace.down) * pace.down)).samples
    _demand(np.array_equal(after, whole), "a jump in the index restarts the state")


def check_encoder(encoder: Encoder, spec: StreamSpec, n_times: int, *, seed: int = 0) -> None:
    """Try an encoder: it repeats itself, forgets across a gap, heeds a mask, refuses other rows.

    Parameters
    ----------
    encoder : Encoder
        Any.
    spec : StreamSpec
        Conditioned stream it was made for.
    n_times : int
        Samples in a window.
    seed : int
        For the signal.
    """
    _demand(_offers(encoder, "open encode close"), "an encoder has open, encode and close")
    signal = np.random.default_rng(seed).standard_normal((spec.n_channels, n_times))
    signal.flags.writeable = False
    encoder.open(spec, n_times)
    first = encoder.encode(_window(signal)).values.copy()
    encoder.encode(_window(np.flip(signal, axis=1)))
    again = encoder.encode(_window(signal)).values
    _demand(first.ndim == 1 and bool(np.isfinite(first).all()), "an embedding is finite and flat")
    _demand(np.array_equal(first, again), "windows of no stream know nothing of each other")
    _check_mask(encoder, signal)
    again = encoder.encode(_window(signal)).values
    _demand(np.array_equal(first, again), "a mask is forgotten with its window")
    _check_gap(encoder, spec, n_times, seed)
    encoder.close()
    encoder.close()
    foreign = StreamSpec(
        name="foreign", rate_hz=spec.rate_hz, channels=(*spec.channels, Channel(name="one more"))
    )
    try:
        encoder.open(foreign, n_times)
    except SchemaMismatch:
        return
    raise ConformanceError("An encoder must refuse a stream with other rows (SchemaMismatch).")


def _check_gap(encoder: Encoder, spec: StreamSpec, n_times: int, seed: int) -> None:
    """What a stream gives depends on nothing before its last gap, nor before `open`."""
    step = max(1, n_times // 5)
    signal = np.random.default_rng(seed + 1).standard_normal((spec.n_channels, n_times + 6 * step))
    signal.flags.writeable = False

    def heard(first: int) -> list[NDArray[np.floating]]:
        return [
            encoder.encode(
                replace(_window(signal[:, at : at + n_times]), conditioned_first=first + at)
            ).values.copy()
            for at in range(0, 7 * step, step)
        ]

    encoder.open(spec, n_times)
    begun, behind_a_gap = heard(0), heard(10**6)
    encoder.open(spec, n_times)
    again = heard(10**6)
    _demand(np.array_equal(begun, behind_a_gap), "what came before a gap does not matter")
    _demand(np.array_equal(begun, again), "what came before open does not matter")


def _check_mask(encoder: Encoder, signal: NDArray[np.float64]) -> None:
    usable = np.arange(len(signal)) > 0
    found = []
    for value in (0.0, 1e6, math.nan):
        held = signal.copy()
        held[0] = value
        found.append(encoder.encode(replace(_window(held), usable=usable)))
    values = [embedding.values for embedding in found]
    same = all(np.array_equal(values[0], other, equal_nan=True) for other in values)
    _demand(same, "what masked rows hold does not matter")
    said = all(np.isfinite(one.values).all() or one.quality == 0 for one in found)
    _demand(said, "with masked rows an embedding is finite, or its quality is 0")


def check_adapter(adapter: Adapter, n_features: int, *, seed: int = 0) -> None:
    """Try an adapter: probabilities, and neutral where there is nothing to read.

    Parameters
    ----------
    adapter : Adapter
        Any.
    n_features : int
        Size of the embeddings it was made for.
    seed : int
        For the embeddings.
    """
    _demand(_offers(adapter, "classes epoch decide"), "an adapter has classes, epoch and decide")
    classes = adapter.classes
    _demand(len(set(classes)) == len(classes) >= 2, "there are two classes or more, all different")
    window = _window(np.zeros((1, 10)))
    values = np.random.default_rng(seed).standard_normal(n_features)
    decision = adapter.decide(Embedding(values=values), window)
    total = float(decision.probabilities.sum())
    _demand(math.isclose(total, 1, abs_tol=1e-9), "probabilities sum to 1")
    _demand(decision.label is None or decision.label in classes, "a label is a class or None")
    _demand(decision.stop_sample == window.stop_sample, "a decision names its samples")
    _demand(decision.epoch == adapter.epoch, "a decision names its weights")
    lost = adapter.decide(Embedding(values=np.full(n_features, np.nan)), window)
    _demand(lost.label is None and bool(lost.reason), "an embedding of NaN gives neutral, and why")
    _check_talk(adapter, Embedding(values=values), window)


def _check_talk(adapter: Adapter, embedding: Embedding, window: Window) -> None:
    """Try what an adapter may offer beside deciding."""
    if isinstance(adapter, Hears):
        inbox = Inbox()
        adapter.hear(inbox)
        inbox.listen("somebody")
        adapter.decide(embedding, window)
        _demand(not inbox.take(), "an adapter that hears looks once for each window")
    if isinstance(adapter, Tells):
        told = adapter.take_events()
        _demand(all(isinstance(one, Event) for one in told), "an adapter tells events")
        _demand(not adapter.take_events(), "an event is told once")
    if isinstance(adapter, Follows):
        adapter.follow(_Stranger())
        after = adapter.decide(embedding, window)
        _demand(after.epoch == adapter.epoch, "an adapter of another kind is not followed")


class _Stranger:
    """An adapter that has nothing that another could go on with."""

    classes = ("no", "yes")
    epoch = 0

    def decide(self, embedding: Embedding, window: Window) -> Decision:
        raise NotImplementedError


def check_feedback(feedback: Feedback) -> None:
    """Try a feedback rule: neutral in, neutral out.

    Parameters
    ----------
    feedback : Feedback
        Any.
    """
    _demand(_offers(feedback, "advance"), "a feedback rule has advance")
    sure = feedback.advance(_decision("yes"), 0)
    _demand(sure.label in (None, "yes", "no"), "a command's label is a class or None")
    _demand(0 <= sure.strength <= 1, "strength lies between 0 and 1")
    _demand(all(-1 <= v <= 1 for v in sure.velocity), "velocity lies between -1 and 1")
    neutral = feedback.advance(_decision(None), 1_000_000)
    _demand(neutral.label is None and not neutral.selected, "a neutral decision commands nothing")
    _demand(not any(neutral.velocity), "a neutral decision moves nothing")
    _demand(bool(neutral.reason), "a neutral command says why")


def check_sink(sink: Sink, spec: StreamSpec) -> None:
    """Try a sink: it takes commands and neutrals, reports what it did, closes twice.

    Parameters
    ----------
    sink : Sink
        Any.
    spec : StreamSpec
        Stream that the decisions rest on.
    """
    _demand(_offers(sink, "open act close"), "a sink has open, act and close")
    try:
        sink.open(spec, ("yes", "no"))
        for label in ("yes", None, "no"):
            asked = Command(label=label, reason="" if label else "tried out")
            done = sink.act(_decision(label), asked)
            _demand(isinstance(done, Command), "act returns what was really done")
            _demand(done.label in (label, None), "a sink does what it is asked, or nothing")
    finally:
        sink.close()
        sink.close()


def check_watcher(watcher: Watcher, spec: StreamSpec) -> None:
    """Try a watcher: it takes every kind of message.

    Parameters
    ----------
    watcher : Watcher
        Any.
    spec : StreamSpec
        The first message.
    """
    _demand(_offers(watcher, "lossless watch close"), "a watcher has lossless, watch and close")
    _demand(isinstance(watcher.lossless, bool), "lossless is true or false")
    watcher.watch(spec)
    watcher.watch(_chunk(np.zeros((spec.n_channels, 3), np.float32), 0))
    watcher.watch(Event(kind=EventKind.GAP, text="Tried out."))
    watcher.watch(_turn("yes"))
    watcher.watch(_turn(None))
    watcher.close()


def _offers(stage: object, members: str) -> bool:
    """Whether a stage has all members, wherever they come from.

    `isinstance` with a protocol does not see those that ``__getattr__`` provides (Python 3.12).
    """
    return all(hasattr(stage, name) for name in members.split())


def _demand(kept: bool, clause: str) -> None:
    if not kept:
        raise ConformanceError(f"A clause of the protocol is broken: {clause}.")


def _chunk(samples: NDArray[np.float32], first_sample: int) -> Chunk:
    return Chunk(samples=samples, first_sample=first_sample, arrived_ns=0)


def _window(samples: NDArray[np.float64]) -> Window:
    n_times = samples.shape[1]
    return Window(samples=samples, first_sample=7, stop_sample=7 + n_times, due_ns=0)


def _turn(label: str | None) -> Turn:
    times = StageTimes(
        due_ns=0, arrived_ns=1, conditioned_ns=2, cut_ns=3,
        encoded_ns=4, decided_ns=5, fed_back_ns=6, acted_ns=7,
    )  # fmt: skip
    reason = "" if label else "tried out"
    return Turn(decision=_decision(label), command=Command(label=label, reason=reason), times=times)


def _decision(label: str | None) -> Decision:
    yes = {"yes": 0.9, "no": 0.1, None: math.nan}[label]
    return Decision(
        classes=("yes", "no"),
        probabilities=np.array([yes, 1 - yes]),
        label=label,
        reason="" if label else "tried out",
        first_sample=0,
        stop_sample=10,
    )
