"""Online accuracy: decisions against the cues that the task put into the stream."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..runtime.collection import TrialSpan
from ..runtime.messages import Chunk, Decision, Marker, Message, StreamSpec, Turn
from .scores import AccuracyReport, accuracy_report


class TrialScorer:
    """A watcher that judges whole trials: the sum of the log probabilities within each.

    Parameters
    ----------
    span : TrialSpan
        Which markers begin a trial and which part of it counts.
    on_change : callable, optional
        Given the report whenever a decision has changed it.
    """

    lossless = True

    def __init__(
        self, span: TrialSpan, on_change: Callable[[AccuracyReport], None] | None = None
    ) -> None:
        self._span = span
        self._on_change = on_change
        self._cues: list[Marker] = []
        self._evidence: dict[int, NDArray[np.float64]] = {}
        self._classes: tuple[str, ...] = ()
        self._rate_hz = 0.0

    def watch(self, message: Message) -> None:
        """Take note of cues and decisions."""
        if isinstance(message, StreamSpec):
            self._rate_hz = message.rate_hz
        elif isinstance(message, Chunk):
            self._cues += message.markers
        elif isinstance(message, Turn) and message.decision.label is not None:
            self._add(message.decision)

    def _add(self, decision: Decision) -> None:
        # A cue comes before the windows it is judged by, so each decision finds its trial at once.
        trial = self._span.trial_of(decision, self._cues, self._rate_hz)
        if trial < 0:
            return
        self._classes = decision.classes
        before = self._evidence.get(trial, np.zeros(len(decision.classes)))
        # A probability of exactly 0 would outweigh every other window of the trial.
        self._evidence[trial] = before + np.log(np.maximum(decision.probabilities, 1e-12))
        report = self.report() if self._on_change else None
        if self._on_change and report:
            self._on_change(report)

    def close(self) -> None:
        """Nothing to release."""

    def outcomes(self) -> tuple[tuple[Marker, str | None], ...]:
        """Every trial's cue, called after what it asks for, and what was decided, if anything."""
        asked = [self._span.label(self._cues, place) for place in range(len(self._cues))]
        return tuple(
            (replace(cue, label=label), self._decided(place))
            for place, (cue, label) in enumerate(zip(self._cues, asked, strict=True))
            if label is not None
        )

    def _decided(self, trial: int) -> str | None:
        if trial not in self._evidence:
            return None
        return self._classes[int(np.argmax(self._evidence[trial]))]

    def report(self) -> AccuracyReport | None:
        """Scores over the trials that have at least one decision; None before the first."""
        evidence = dict(self._evidence)
        if not evidence:
            return None
        labels = [str(self._span.label(self._cues, trial)) for trial in evidence]
        predicted = [self._classes[int(np.argmax(total))] for total in evidence.values()]
        return accuracy_report(labels, predicted, self._classes)
