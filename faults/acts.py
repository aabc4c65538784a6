"""What befalls a session from within, by the names that rows of the fault matrix give."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..adapters.linear import OUTLIERS, LinearAdapter
from ..adapters.outliers import Outliers
from ..decoders.engines.engine import Bools, EngineAbout, Hop
from ..decoders.engines.standby import StandbyEngine
from ..decoders.student_config import StudentConfig
from ..runtime.errors import EngineError
from ..runtime.guard import Signal
from ..runtime.limits import State
from ..runtime.messages import (
    Command,
    Decision,
    Embedding,
    Event,
    EventKind,
    Message,
    StreamSpec,
    Window,
)
from ..runtime.stages import Encoder
from . import learner
from .rig import AT, CLASSES, MANY, Rig

# --- decoders and sinks ------------------------------------------------------------------------


class _Boom(RuntimeError):
    """What nobody has thought of."""


class _Throws:
    """Encoder or adapter that throws for some windows."""

    classes = CLASSES

    def __init__(self, inner: Any, first: int, stop: int) -> None:
        self._inner, self._first, self._stop, self._n = inner, first, stop, 0

    @property
    def epoch(self) -> int:
        """Of what is inside."""
        return int(self._inner.epoch)

    def _turn(self) -> None:
        self._n += 1
        if self._first <= self._n < self._stop:
            raise _Boom("an index was out of range")

    def open(self, spec: StreamSpec, n_times: int) -> None:
        self._inner.open(spec, n_times)

    def encode(self, window: Window) -> Embedding:
        self._turn()
        embedding: Embedding = self._inner.encode(window)
        return embedding

    def decide(self, embedding: Embedding, window: Window) -> Decision:
        self._turn()
        decision: Decision = self._inner.decide(embedding, window)
        return decision

    def close(self) -> None:
        self._inner.close()


def _encoder_throws(rig: Rig) -> None:
    inner: Encoder = rig.encoder.inner
    rig.encoder.inner = _Throws(inner, AT, AT + MANY)
    _nothing_passes(rig, "the decoder failed", MANY)


def _adapter_throws(rig: Rig) -> None:
    rig.adapter = _Throws(rig.adapter, AT, AT + MANY)
    _nothing_passes(rig, "the decoder failed", MANY)


def _nothing_passes(rig: Rig, reason: str, count: int) -> None:
    """So many decisions must be neutral for a reason, and commands must pass behind them."""

    def look() -> None:
        places = [n for n, (_, one, _) in enumerate(rig.witness.seen) if one.reason == reason]
        after = rig.witness.seen[places[-1] + 1 :] if places else []
        wrong = "" if len(places) == count else f"{len(places)} decisions were neutral, not {count}"
        if not any(command.label for _, _, command in after):
            wrong = wrong or "nothing was commanded any more, though it was over"
        rig.extra["neutral meanwhile"] = wrong

    rig.after.append(look)


def _encoder_says_nan(rig: Rig) -> None:
    class Blank:
        def __init__(self, inner: Encoder) -> None:
            self.inner, self.n = inner, 0

        def open(self, spec: StreamSpec, n_times: int) -> None:
            self.inner.open(spec, n_times)

        def encode(self, window: Window) -> Embedding:
            self.n += 1
            embedding = self.inner.encode(window)
            if AT <= self.n < AT + MANY:
                return replace(embedding, values=np.full_like(embedding.values, np.nan))
            return embedding

        def close(self) -> None:
            self.inner.close()

    rig.encoder.inner = Blank(rig.encoder.inner)
    _nothing_passes(rig, "the window could not be encoded: features are not finite", MANY)


class _Calibrated:
    """An adapter that takes what it sees at first for calibration, as a fitted model does."""

    classes = CLASSES

    def __init__(self, inner: LinearAdapter) -> None:
        self._inner, self._seen = inner, list[NDArray[np.floating]]()

    @property
    def epoch(self) -> int:
        return self._inner.epoch

    def decide(self, embedding: Embedding, window: Window) -> Decision:
        self._seen.append(embedding.values)
        if len(self._seen) == AT:
            known = Outliers.fit(np.stack(self._seen[:-1])).to_arrays()
            arrays = {OUTLIERS + name: array for name, array in known.items()}
            self._inner = LinearAdapter.from_arrays(
                self._inner.config, {**self._inner.to_arrays(), **arrays}
            )
        return self._inner.decide(embedding, window)


class _Louder:
    """An encoder that sees ten times the signal from some window on."""

    def __init__(self, inner: Encoder) -> None:
        self._inner, self._n = inner, 0

    def open(self, spec: StreamSpec, n_times: int) -> None:
        self._inner.open(spec, n_times)

    def encode(self, window: Window) -> Embedding:
        self._n += 1
        gain = 10.0 if self._n >= AT else 1.0
        return self._inner.encode(replace(window, samples=gain * window.samples))

    def close(self) -> None:
        self._inner.close()


def _unlike_calibration(rig: Rig) -> None:
    assert isinstance(rig.adapter, LinearAdapter)
    rig.adapter = _Calibrated(rig.adapter)
    rig.encoder.inner = _Louder(rig.encoder.inner)

    def look() -> None:
        decided = [one for _, one, _ in rig.witness.seen]
        at = next((n for n, one in enumerate(decided) if one.reason.startswith("unlike")), None)
        answered = [one for one in decided[at:] if one.label is not None] if at else []
        wrong = "" if at else "it was never noticed"
        rig.extra["no class is answered"] = f"{len(answered)} were" if answered else wrong
        before = any(one.label is not None for one in decided[: at or 0])
        rig.extra["classes before"] = "" if before else "none were answered"

    rig.after.append(look)


def _decoder_late(rig: Rig) -> None:
    for n in range(AT, AT + 5):
        rig.at[n] = lambda: rig.clock.wait_until(rig.clock.now_ns() + 450_000_000)


class _Engine:
    """An engine that has a few numbers to say, and stops for good at a hop."""

    def __init__(self, name: str, stops_at: int) -> None:
        self.about = EngineAbout(name=name, precision="fp32", device=name, version="1")
        self._left = stops_at

    def restart(self) -> None:
        pass

    def hear(self, hop_uv: Hop, usable: Bools) -> NDArray[np.float32]:
        self._left -= 1
        if self._left < 0:
            raise EngineError("The GPU is gone.")
        return np.ascontiguousarray(hop_uv.std(axis=1))

    def close(self) -> None:
        pass


class _OnEngine:
    """An encoder that hears every window through an engine, and says what the engine says of it."""

    def __init__(self, inner: Encoder, hop: int, engine: StandbyEngine) -> None:
        self.inner, self.engine, self._hop = inner, engine, hop
        self.worst = 0.0

    def open(self, spec: StreamSpec, n_times: int) -> None:
        self.inner.open(spec, n_times)

    def encode(self, window: Window) -> Embedding:
        hop = np.ascontiguousarray(window.samples[:, -self._hop :], np.float32)
        heard = self.engine.hear(hop, np.ones(len(hop), bool))
        self.worst = max(self.worst, float(np.abs(heard - hop.std(axis=1)).max()))
        notes = self.engine.take_notes()
        events = tuple(Event(kind=EventKind.ENGINE, text=text) for text in notes)
        return replace(self.inner.encode(window), events=events)

    def close(self) -> None:
        self.inner.close()


def _gpu_lost(rig: Rig) -> None:
    config = StudentConfig()
    pair = StandbyEngine(_Engine("gpu", AT), _Engine("cpu", 1 << 30), config, 8)
    encoder = _OnEngine(rig.encoder.inner, config.hop, pair)
    rig.encoder.inner = encoder

    def look() -> None:
        on = pair.about.device
        rig.extra["the spare runs"] = "" if on == "cpu" else f"{on} does"
        rig.extra["no hop is lost"] = "" if encoder.worst == 0 else "a hop was heard otherwise"

    rig.after.append(look)


class _Sink:
    """A sink that throws, or does other than it is asked to, for some commands."""

    def __init__(self, throws: bool) -> None:
        self._throws, self._n = throws, 0

    def open(self, spec: StreamSpec, classes: tuple[str, ...]) -> None:
        pass

    def act(self, decision: Decision, command: Command) -> Command:
        self._n += 1
        if not AT <= self._n < AT + MANY:
            return command
        if self._throws:
            raise _Boom("the arm is not plugged in")
        return Command(label=None, reason="the device was busy")

    def close(self) -> None:
        pass


def _sink_throws(rig: Rig) -> None:
    rig.sinks.insert(0, _Sink(throws=True))


def _sink_refuses(rig: Rig) -> None:
    rig.sinks.insert(0, _Sink(throws=False))


# --- watchers ----------------------------------------------------------------------------------


class _Watcher:
    """A watcher that throws, or never comes back."""

    lossless = True

    def __init__(self, act: Callable[[], None]) -> None:
        self._act, self._n = act, 0

    def watch(self, message: Message) -> None:
        self._n += 1
        if self._n == AT:
            self._act()

    def close(self) -> None:
        pass


def _watcher_throws(rig: Rig) -> None:
    def boom() -> None:
        raise _Boom("the screen is gone")

    rig.watchers.append(_Watcher(boom))


def _watcher_without_memory(rig: Rig) -> None:
    def hog() -> None:
        np.empty(1 << 62, np.uint8)

    rig.watchers.append(_Watcher(hog))


def _watcher_hangs(rig: Rig) -> None:
    over = threading.Event()

    def hang() -> None:
        over.wait(30.0)

    rig.watchers.append(_Watcher(hang))
    rig.stack.callback(over.set)


# --- persons -----------------------------------------------------------------------------------


def _emergency_stop(rig: Rig) -> None:
    def look() -> None:
        states = rig.guard.state
        rig.extra["stopped to the end"] = "" if states is State.STOPPED else f"it is {states}"
        late = [one for at, _, one in rig.witness.seen if at > pressed[0] and one.label is not None]
        rig.extra["nothing after the stop"] = "" if not late else f"{len(late)} commands passed"

    pressed: list[int] = []

    def press() -> None:
        pressed.append(rig.clock.now_ns())
        rig.guard.tell(Signal.EMERGENCY_STOP)

    rig.at[AT] = press
    rig.after.append(look)


def _stop_while_late(rig: Rig) -> None:
    _emergency_stop(rig)
    press = rig.at[AT]

    def hang() -> None:
        press()
        rig.clock.wait_until(rig.clock.now_ns() + 800_000_000)

    rig.at[AT] = hang


ACTS: Mapping[str, Callable[[Rig], None]] = {
    "encoder-throws": _encoder_throws,
    "adapter-throws": _adapter_throws,
    "encoder-says-nan": _encoder_says_nan,
    "decoder-late": _decoder_late,
    "unlike-calibration": _unlike_calibration,
    "gpu-lost": _gpu_lost,
    "sink-throws": _sink_throws,
    "sink-refuses": _sink_refuses,
    "watcher-throws": _watcher_throws,
    "watcher-without-memory": _watcher_without_memory,
    "watcher-hangs": _watcher_hangs,
    **learner.ACTS,
    "emergency-stop": _emergency_stop,
    "stop-while-late": _stop_while_late,
}
"""What is done to a rig before it runs."""
