"""Online accuracy: decisions against the cues that the task put into the stream."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..runtime.collection import TrialSpan
from ..runtime.messages import Chunk, Decision, Marker, Message, StreamSpec, Turn
from .scorer import Judgement
from .scores import accuracy_report


class TrialScorer:
    """A watcher that judges whole trials: the sum of the log probabilities within each.

    Parameters
    ----------
    span : TrialSpan
        Which markers begin a trial and which part of it counts.

    Attributes
    ----------
    on_change : callable, optional
        Given the report whenever a decision has changed it.
    """

    lossless = True

    def __init__(self, span: TrialSpan) -> None:
        self.span = span
        self.on_change: Callable[[Judgement], None] | None = None
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
        trial = self.span.trial_of(decision, self._cues, self._rate_hz)
        if trial < 0:
            return
        self._classes = decision.classes
        before = self._evidence.get(trial, np.zeros(len(decision.classes)))
        # A probability of exactly 0 would outweigh every other window of the trial.
        self._evidence[trial] = before + np.log(np.maximum(decision.probabilities, 1e-12))
        report = self.report() if self.on_change else None
        if self.on_change and report:
            self.on_change(report)

    def close(self) -> None:
        """Nothing to release."""

    def outcomes(self) -> tuple[tuple[Marker, str | None], ...]:
        """Every trial's cue, called after what it asks for, and what was decided, if anything."""
        asked = [self.span.label(self._cues, place) for place in range(len(self._cues))]
        return tuple(
            (replace(cue, label=label), self._decided(place))
            for place, (cue, label) in enumerate(zip(self._cues, asked, strict=True))
            if label is not None
        )

    def _decided(self, trial: int) -> str | None:
        if trial not in self._evidence:
            return None
        return self._classes[int(np.argmax(self._evidence[trial]))]

    def report(self) -> Judgement | None:
        """Scores over the trials that have at least one decision; None before the first."""
        if not self._evidence:
            return None
        labels, evidence = self._judged()
        predicted = [self._classes[int(np.argmax(total))] for total in evidence]
        return accuracy_report(labels, predicted, self._classes)

    def _judged(self) -> tuple[list[str], list[NDArray[np.float64]]]:
        """What each decided trial asked for, and the evidence in it."""
        evidence = dict(self._evidence)
        labels = [str(self.span.label(self._cues, trial)) for trial in evidence]
        return labels, list(evidence.values())

    def why_nothing(self) -> str:
        """Whether there were no cues, or no decisions."""
        cues = sum(
            self.span.label(self._cues, place) is not None for place in range(len(self._cues))
        )
        if not cues:
            return "No trial was judged: the stream carried no cue of the model's classes."
        return f"No trial was judged: nothing was decided in the {cues} trials that were cued."
