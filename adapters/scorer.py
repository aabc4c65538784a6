"""The seam for scores: who watches a session's decisions, and what is said of them at the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from ..runtime.messages import Chunk, Marker, Message, StreamSpec, Turn


class Judgement(Protocol):
    """How a session went, for people and for programs."""

    @property
    def n(self) -> int:
        """How many were judged."""

    @property
    def n_correct(self) -> int:
        """How many of them were right."""

    @property
    def interval(self) -> tuple[float, float]:
        """Bounds of the share that is right, at 95 %."""

    @property
    def measure(self) -> str:
        """One word for programs."""

    @property
    def meaning(self) -> str:
        """A few words beside a score that is shown live."""

    def sentence(self) -> str:
        """The whole of it in words."""

    def as_dict(self) -> dict[str, Any]:
        """The same as plain numbers."""


class Scorer(Protocol):
    """A watcher that judges decisions where the truth is known."""

    lossless: bool

    on_change: Callable[[Judgement], None] | None
    """Called with the judgement whenever a decision has changed it."""

    def watch(self, message: Message) -> None:
        """Take note of cues and decisions."""

    def close(self) -> None:
        """Nothing comes any more."""

    def report(self) -> Judgement | None:
        """What there is to say; None if nothing could be judged."""

    def why_nothing(self) -> str:
        """One sentence on why nothing could be judged."""


def watch_whole(
    scorer: Scorer, spec: StreamSpec, markers: Sequence[Marker], turns: Sequence[Turn]
) -> None:
    """Let a scorer watch a session that is over.

    Parameters
    ----------
    scorer : Scorer
        Fresh.
    spec : StreamSpec
        The signal.
    markers : sequence of Marker
        In order.
    turns : sequence of Turn
        In order.
    """
    nothing = np.empty((spec.n_channels, 0), np.float32)
    scorer.watch(spec)
    scorer.watch(Chunk(samples=nothing, first_sample=0, arrived_ns=0, markers=tuple(markers)))
    for turn in turns:
        scorer.watch(turn)
