"""Messages as a session sends them, made in memory, and a teller that hands them out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np

from diverloop.runtime.messages import (
    Channel,
    Chunk,
    Command,
    Decision,
    Embedding,
    StageTimes,
    StreamSpec,
    Turn,
)
from diverloop.runtime.quality import Quality
from diverloop.runtime.telemetry import Telegram

CLASSES = ("left", "right")
STEP_S = 0.05


class Told:
    """A teller that has a number of messages, and then none."""

    def __init__(self, messages: Iterable[Telegram] = ()) -> None:
        self.lost = self.unreadable = 0
        self.messages = deque(messages)
        self.closed = False

    def poll(self, timeout_ms: int) -> Telegram | None:
        """The next one, without waiting."""
        return self.messages.popleft() if self.messages else None

    def close(self) -> None:
        """Note it."""
        self.closed = True


def a_stream(n_channels: int = 4, rate_hz: float = 250.0, kind: str = "eeg") -> StreamSpec:
    """A stream; the first channels have names of the 10-20 system."""
    names = ("C3", "Cz", "C4", "Pz", "Fz", "Oz", "F3", "F4", *(f"E{n}" for n in range(9, 300)))
    channels = tuple(Channel(name=name, kind=kind) for name in names[:n_channels])
    return StreamSpec(name="made", rate_hz=rate_hz, channels=channels)


def a_turn(stop_sample: int, p_left: float = 0.7, *, seed: int = 0, n_features: int = 16) -> Turn:
    """A decision of two classes and how long it took; abstained between 0.45 and 0.55."""
    label = None if abs(p_left - 0.5) < 0.05 else CLASSES[p_left < 0.5]
    reason = "" if label else "too close to call"
    values = np.random.default_rng(seed).normal(size=n_features)
    times = [stop_sample * 4_000_000 + 300_000 * n for n in range(8)]
    return Turn(
        decision=Decision(
            classes=CLASSES,
            probabilities=np.array([p_left, 1 - p_left]),
            label=label,
            reason=reason,
            first_sample=max(stop_sample - 250, 0),
            stop_sample=stop_sample,
        ),
        command=Command(label=label, strength=abs(p_left - 0.5) * 2, reason=reason),
        times=_times(times),
        embedding=Embedding(values=values),
    )


def a_session(
    seconds: float = 4.0, n_channels: int = 4, rate_hz: float = 250.0, kind: str = "eeg"
) -> Iterator[Telegram]:
    """What a session tells in so many seconds: stream, chunks, turns, quality once a second."""
    spec = a_stream(n_channels, rate_hz, kind)
    yield spec
    rng, step = np.random.default_rng(0), round(STEP_S * rate_hz)
    for n in range(round(seconds / STEP_S)):
        first = n * step
        times_s = np.arange(first, first + step) / rate_hz
        rhythm = 20 * np.sin(2 * np.pi * 10 * times_s)
        samples = (rhythm + rng.normal(0, 5, (n_channels, step))).astype(np.float32)
        yield Chunk(samples=samples, first_sample=first, arrived_ns=round(times_s[-1] * 1e9))
        p_left = 0.5 + 0.45 * float(np.sin(n / 10))
        yield a_turn(first + step, p_left, seed=n)
        if n % 20 == 0:
            yield a_quality(spec, sample=first)


def a_quality(spec: StreamSpec, sample: int = 0, bad: tuple[str, ...] = ("Cz",)) -> Quality:
    """Some channels are bad, all others good."""
    names = spec.channel_names
    return Quality(
        channels=names,
        scores=np.array([0.1 if name in bad else 0.95 for name in names]),
        causes=tuple("flat" if name in bad else "" for name in names),
        usable=np.array([name not in bad for name in names]),
        sample=sample,
    )


def _times(moments: list[int]) -> StageTimes:
    names = (
        "due_ns", "arrived_ns", "conditioned_ns", "cut_ns", "encoded_ns", "decided_ns",
        "fed_back_ns", "acted_ns",
    )  # fmt: skip
    return StageTimes(**dict(zip(names, moments, strict=True)))
