"""Online word error rate: what was decoded against what the task asked to be said."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ...runtime.messages import Chunk, Marker, Message, Turn
from ...runtime.proportions import wilson_interval
from ..scorer import Judgement
from .cutting import OFFSET, SAY
from .error_rates import edit_distance

_DRAWS = 500

Floats = NDArray[np.float64]

Spell = Callable[[str], Sequence[str]]
"""From a text to the labels that it should give."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WordReport:
    """How much of what was to be said was understood.

    Parameters
    ----------
    unit : str
        What was counted: ``"words"``, ``"phonemes"`` or ``"keywords"``.
    n : int
        How many were to be said.
    n_correct : int
        The same less all errors, at least 0.
    n_utterances : int
        Utterances that they were in.
    n_exact : int
        Utterances without any error.
    n_unheard : int
        Utterances during which the decoder did not listen; they are not judged.
    n_unasked : int
        Words that were decoded although nothing was to be said.
    error_rate : float
        Substitutions, deletions and insertions for each that was to be said.
    interval : tuple of 2 float
        Of the share that is right, at 95 %: a bootstrap over utterances, Wilson's without errors.
    """

    unit: str
    n: int
    n_correct: int
    n_utterances: int
    n_exact: int
    n_unheard: int
    n_unasked: int
    error_rate: float
    interval: tuple[float, float]

    measure: ClassVar[str] = "words"

    @property
    def meaning(self) -> str:
        """What counts, for a live view."""
        return f"{self.unit}, error rate {self.error_rate:.2f}"

    def sentence(self) -> str:
        """Error rate with its interval, in words."""
        low, high = (max(0.0, 1 - bound) for bound in reversed(self.interval))
        words = (
            f"{self.n_exact} of {self.n_utterances} utterances without an error; {self.unit} wrong "
            f"or missing, or added: {self.error_rate:.0%} of {self.n} (95 % interval {low:.0%} to "
            f"{high:.0%})."
        )
        if self.n_unasked:
            words += f" Decoded although nothing was to be said: {self.n_unasked}."
        if self.n_unheard:
            words += f" Not judged, because it did not listen: {self.n_unheard} utterances."
        return words

    def as_dict(self) -> dict[str, Any]:
        """The same as plain numbers."""
        return asdict(self)


@dataclass(slots=True)
class _Asked:
    """One utterance that was asked for."""

    text: str
    cued: int
    offset: int = -1
    said: list[str] = field(default_factory=list)
    deaf: bool = False


class WordScorer:
    """A watcher that compares words with the texts that markers ask for.

    A word belongs to the last text that was asked for before it. Utterances are judged once they
    are over.

    Parameters
    ----------
    unit : str
        What a label is.
    spell : callable
        From a text to the labels that it should give.

    Attributes
    ----------
    on_change : callable, optional
        Given the report whenever an utterance was judged.
    """

    lossless = True

    def __init__(self, unit: str = "words", spell: Spell = str.split) -> None:
        self._unit, self._spell = unit, spell
        self._asked: list[_Asked] = []
        self._unasked = 0
        self.on_change: Callable[[Judgement], None] | None = None

    def watch(self, message: Message) -> None:
        """Take note of texts and words."""
        if isinstance(message, Chunk):
            for marker in message.markers:
                self._note(marker)
        elif isinstance(message, Turn):
            self._hear(message)

    def _note(self, marker: Marker) -> None:
        text = marker.label.removeprefix(SAY)
        if text != marker.label and self._spell(text):  # nothing to say is nothing to judge
            self._asked.append(_Asked(text, marker.sample))
        elif marker.label == OFFSET and self._asked and self._asked[-1].offset < 0:
            self._asked[-1].offset = marker.sample

    def _hear(self, turn: Turn) -> None:
        decision = turn.decision
        cues = [one.cued for one in self._asked]
        place = bisect.bisect_right(cues, decision.stop_sample) - 1
        if place < 0:
            self._unasked += decision.label is not None
            return
        asked = self._asked[place]
        if decision.label is not None:
            asked.said.append(decision.label)
            if self.on_change and (report := self.report()):
                self.on_change(report)
        elif decision.reason.startswith("not listening") and self._goes_on(asked, turn):
            asked.deaf = True

    @staticmethod
    def _goes_on(asked: _Asked, turn: Turn) -> bool:
        return asked.offset < 0 or turn.decision.stop_sample <= asked.offset

    def close(self) -> None:
        """Nothing to release."""

    def _over(self) -> list[_Asked]:
        """Utterances that have ended, or were followed by another."""
        last = self._asked[-1:] if self._asked and self._asked[-1].offset >= 0 else []
        return [*self._asked[:-1], *last]

    def report(self) -> WordReport | None:
        """Errors in the utterances that are over; None before the first that was listened to."""
        over = self._over()
        heard = [one for one in over if not one.deaf]
        if not heard:
            return None
        wanted = [self._spell(one.text) for one in heard]
        errors = np.array(
            [edit_distance(one.said, want) for one, want in zip(heard, wanted, strict=True)], float
        )
        lengths = np.array([len(want) for want in wanted], float)
        n = int(lengths.sum())
        return WordReport(
            unit=self._unit,
            n=n,
            n_correct=max(0, n - int(errors.sum())),
            n_utterances=len(heard),
            n_exact=int((errors == 0).sum()),
            n_unheard=len(over) - len(heard),
            n_unasked=self._unasked,
            error_rate=float(errors.sum()) / n,
            interval=_interval(errors, lengths),
        )

    def why_nothing(self) -> str:
        """Whether nothing was asked for, nothing is over, or nobody listened."""
        if not self._asked:
            return "No utterance was judged: no marker said what was to be said."
        if not self._over():
            return "No utterance was judged: the first one was not over at the end."
        return (
            "No utterance was judged: the decoder did not listen. Start it with --listen, or let "
            "it listen with diverloop listen."
        )


def _interval(errors: Floats, lengths: Floats) -> tuple[float, float]:
    """Bootstrap of the share that is right; one utterance alone says nothing of the spread.

    Without any error there is nothing to draw from, and Wilson's interval of the words is given.
    """
    n = len(errors)
    if not errors.any():
        return wilson_interval(int(lengths.sum()), int(lengths.sum()))
    if n < 2:
        return 0.0, 1.0
    drawn = np.random.default_rng(0).integers(n, size=(_DRAWS, n))
    low, high = np.quantile(1 - errors[drawn].sum(1) / lengths[drawn].sum(1), [0.025, 0.975])
    return float(low), float(high)
