"""What the loop makes of one of `doors`, and how far that lies from what it makes of the file."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from diverloop.assembly import open_model
from diverloop.runtime.bundle import Bundle
from diverloop.runtime.fanout import FanOut
from diverloop.runtime.feedback import EvidenceFeedback
from diverloop.runtime.loop import Loop
from diverloop.runtime.loop_config import LoopConfig, Stages
from diverloop.runtime.messages import Chunk, Decision, Embedding, Message, Turn, Window
from diverloop.runtime.stages import Encoder, Source

STEP_S = 0.25
"""From one decision to the next."""


@dataclass
class Heard:
    """What the loop made of one door."""

    windows: dict[int, np.ndarray] = field(default_factory=dict)
    decisions: dict[int, Decision] = field(default_factory=dict)
    reads: list[tuple[int, int]] = field(default_factory=list)
    events: list[str] = field(default_factory=list)


class Tapped:
    """A source that remembers when it handed over what."""

    def __init__(self, source: Source, clock: Any, heard: Heard) -> None:
        self._source, self._clock, self._heard = source, clock, heard

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def read(self, wanted: int, until_ns: int) -> Chunk | None:
        chunk = self._source.read(wanted, until_ns)
        if chunk is not None and chunk.samples.shape[1]:
            self._heard.reads.append((chunk.stop_sample, self._clock.now_ns()))
        if chunk is not None:
            self._heard.events += [event.text for event in chunk.events]
        return chunk


class Witness:
    """An encoder that keeps the windows it sees."""

    def __init__(self, encoder: Encoder, heard: Heard) -> None:
        self._encoder, self._heard = encoder, heard

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)

    def encode(self, window: Window) -> Embedding:
        self._heard.windows[window.stop_sample] = window.samples.copy()
        return self._encoder.encode(window)


class Decisions:
    """A watcher that keeps decisions, and ends the loop behind the last one that is wanted."""

    lossless = True

    def __init__(self, heard: Heard, last: int) -> None:
        self._heard, self._last = heard, last
        self.loop: Loop | None = None

    def watch(self, message: Message) -> None:
        if isinstance(message, Turn):
            decision = message.decision
            self._heard.decisions[decision.stop_sample] = decision
            if self.loop is not None and decision.stop_sample >= self._last:
                self.loop.stop()

    def close(self) -> None:
        """Nothing to release."""


def hear(source: Source, clock: Any, bundle: Bundle, last: int) -> Heard:
    """Run the model over a source, to the decision on the last sample that is wanted."""
    model, heard = open_model(bundle, STEP_S), Heard()
    stages = Stages(
        source=Tapped(source, clock, heard),
        conditioner=model.conditioner,
        encoder=Witness(model.encoder, heard),
        adapter=model.adapter,
        feedback=EvidenceFeedback(),
    )
    watcher = Decisions(heard, last)
    # On a busy machine a window may be late, but here none may be skipped.
    watcher.loop = Loop(
        stages, clock=clock, window=model.window, config=LoopConfig(deadline_s=30.0),
        fanout=FanOut([watcher]), accept=model.accept,
    )  # fmt: skip
    watcher.loop.run()
    return heard


def compared(heard: Heard, reference: Heard, off_uv: float) -> dict[str, Any]:
    """How far windows and decisions lie from those of the file."""
    ends = sorted(reference.decisions)
    missing = [end for end in ends if end not in heard.decisions]
    both = [end for end in ends if end in heard.windows and end in reference.windows]
    off = [np.abs(heard.windows[end] - reference.windows[end]).max() for end in both]
    mine, theirs = heard.decisions, reference.decisions
    decided = [end for end in ends if end in mine]
    gaps = [
        np.nanmax(np.abs(mine[end].probabilities - theirs[end].probabilities), initial=0.0)
        for end in decided
    ]
    same = sum(mine[end].label == theirs[end].label for end in decided)
    return {
        "decisions": len(decided),
        "missing": len(missing),
        "windows": len(both),
        "windows_identical": int(sum(one == 0 for one in off)),
        "window_off_uv": float(max(off, default=np.nan)),
        "samples_may_be_off_uv": off_uv,
        "labels_same": same,
        "probability_off": float(max(gaps, default=np.nan)),
        "events": heard.events,
    }


def latency_ms(reads: list[tuple[int, int]], sent: list[tuple[int, int]]) -> dict[str, Any]:
    """From sent to read, over the chunks that came, without those of the first second."""
    counts = [count for count, _ in sent]
    found = []
    for stop, read_ns in reads:
        at = bisect_left(counts, stop)
        if at < len(sent) and read_ns - reads[0][1] > 1e9:
            found.append((read_ns - sent[at][1]) / 1e6)
    if not found:
        return {"chunks": 0}
    return {
        "chunks": len(found),
        "median": round(float(np.median(found)), 3),
        "p99": round(float(np.percentile(found, 99)), 3),
        "most": round(max(found), 3),
    }
