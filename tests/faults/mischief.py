"""What goes wrong inside a session that `sessions` records: late work, persons, devices, samples.

Everything random follows from the `Random` that is handed in, but for what a thread does.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from random import Random

import numpy as np

from diverloop.assembly import Model, open_adapter
from diverloop.keeping import Keeping
from diverloop.runtime.clock import MonotonicClock, VirtualClock
from diverloop.runtime.guard import Signal
from diverloop.runtime.loop import Loop
from diverloop.runtime.messages import (
    Chunk,
    Command,
    Decision,
    Embedding,
    Promotion,
    StreamSpec,
    Window,
)
from diverloop.runtime.stages import Source


class Mischief:
    """What happens to a session from within, at windows drawn from a seed.

    Parameters
    ----------
    random : Random
        Draws.
    model : Model
        Whose encoder is late, and whose weights are changed.
    clock : MonotonicClock or VirtualClock
        On which it is late.
    n_windows : int
        About how many windows there will be.
    """

    def __init__(
        self, random: Random, model: Model, clock: MonotonicClock | VirtualClock, n_windows: int
    ) -> None:
        self.done: Counter[str] = Counter()
        self.loop: Loop | None = None
        self.keeping: Keeping | None = None
        self._random, self._clock = random, clock
        self._encoder, self._adapter, self._card = model.encoder, model.adapter, model.card
        self._epoch = model.adapter.epoch
        acts = (self._late, self._late, self._person, self._person, self._promote, self._kill)
        self._due: dict[int, list[Callable[[], None]]] = {}
        for _ in range(random.randrange(2, 14)):
            self._due.setdefault(random.randrange(1, n_windows), []).append(random.choice(acts))
        if random.random() < 0.2:
            self._due.setdefault(random.randrange(n_windows // 2, n_windows), []).append(self._end)
        self._n = 0

    # As an encoder.

    def open(self, spec: StreamSpec, n_times: int) -> None:
        self._encoder.open(spec, n_times)

    def encode(self, window: Window) -> Embedding:
        self._n += 1
        for act in self._due.get(self._n, ()):
            act()
        return self._encoder.encode(window)

    def close(self) -> None:
        self._encoder.close()

    # What it does.

    def from_outside(self, stopped: threading.Event) -> None:
        """The same acts but lateness, from another thread, until told to stop."""
        acts = (self._person, self._promote)
        while not stopped.wait(self._random.uniform(0.2, 2.0)):
            self._random.choice(acts)()

    def _late(self) -> None:
        by_ns = round(self._random.choice((2e6, 30e6, 150e6, 400e6)))
        self.done["late"] += 1
        if isinstance(self._clock, VirtualClock):
            self._clock.advance(by_ns)
            return
        until_ns = self._clock.now_ns() + by_ns
        while self._clock.now_ns() < until_ns:
            pass

    def _person(self) -> None:
        assert self.loop is not None
        told = self._random.choice(
            (Signal.PERSON_ARMS, Signal.PERSON_ARMS, Signal.PERSON_DISARMS, Signal.EMERGENCY_STOP)
        )
        self.done[str(told)] += 1
        self.loop.guard.tell(told)
        if told is Signal.EMERGENCY_STOP:
            self.loop.guard.tell(Signal.PERSON_RESETS)
            self.loop.guard.tell(Signal.PERSON_ARMS)

    def _promote(self) -> None:
        assert self.loop is not None
        arrays = dict(self._adapter.to_arrays())  # type: ignore[attr-defined]
        rng = np.random.default_rng(self._random.randrange(1 << 32))
        for name in ("weights", "bias"):
            arrays[name] = arrays[name] + rng.normal(0, 0.3, arrays[name].shape)
        refused = self._random.random() < 0.2
        self._epoch += 0 if refused else self._random.randrange(1, 3)
        promotion = Promotion(
            epoch=self._epoch,
            kind=self._card.adapter,
            settings={**self._card.adapter_config, "abstain_below": self._random.choice((0, 0.6))},
            arrays=arrays,
            reason="The draw wanted it.",
        )
        self.done["promotion"] += 1
        self.loop.promotions.offer(promotion, open_adapter(promotion))

    def _kill(self) -> None:
        assert self.keeping is not None
        if self._random.random() < 0.5:
            self.done["recorder killed"] += 1
            with suppress(ProcessLookupError):  # it has not come back yet
                os.kill(self.keeping.link.recorder_pid, signal.SIGKILL)

    def _end(self) -> None:
        assert self.loop is not None
        self.done["ended early"] += 1
        self.loop.stop()


class Device:
    """A sink that now and then does less than it was asked to."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._share = random.choice((0.0, 0.0, 0.1, 0.5))
        self.refused = 0

    def open(self, spec: StreamSpec, classes: tuple[str, ...]) -> None:
        pass

    def act(self, decision: Decision, command: Command) -> Command:
        if command.label is None or self._random.random() >= self._share:
            return command
        self.refused += 1
        if self._random.random() < 0.5:
            return Command(label=None, reason="the device was busy")
        return replace(command, strength=command.strength / 3, selected=False)

    def close(self) -> None:
        pass


class Damaged:
    """A source some of whose samples are no numbers."""

    def __init__(self, source: Source, random: Random, length_s: float) -> None:
        self._source = source
        self._holes = [
            (at_s, at_s + random.choice((0.001, 0.02, 0.4)), random.choice((np.nan, np.inf)))
            for at_s in (random.uniform(0, length_s) for _ in range(random.choice((0, 0, 1, 3))))
        ]
        self._row = random.randrange(4)

    @property
    def spec(self) -> StreamSpec:
        return self._source.spec

    @property
    def ended(self) -> bool:
        return self._source.ended

    def open(self) -> None:
        self._source.open()

    def read(self, wanted: int, until_ns: int) -> Chunk | None:
        chunk = self._source.read(wanted, until_ns)
        if chunk is not None:
            at_s = (chunk.first_sample + np.arange(chunk.samples.shape[1])) / self.spec.rate_hz
            for first_s, stop_s, value in self._holes:
                chunk.samples[self._row, (first_s <= at_s) & (at_s < stop_s)] = value
        return chunk

    def close(self) -> None:
        self._source.close()
