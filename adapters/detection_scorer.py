"""Online detection: how well the evidence of single events tells two kinds apart.

Where one kind is rare, as targets among flashes or errors among feedback, always saying the other
would score well; the area under the curve does not.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from ..runtime.collection import TrialSpan
from .rates import auc_interval
from .scorer import Judgement
from .trial_scorer import TrialScorer


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionReport:
    """How well two kinds of events were told apart.

    Parameters
    ----------
    kind : str
        The rare one.
    n, n_kind : int
        Events that were judged, and how many of them were of that kind.
    n_correct : int
        Events for which the likelier kind was the true one.
    auc : float
        Probability that an event of that kind has more evidence than another event.
    interval : tuple of 2 float
        Of the area, at 95 %.
    """

    kind: str
    n: int
    n_kind: int
    n_correct: int
    auc: float
    interval: tuple[float, float]

    measure: ClassVar[str] = "detection"

    @property
    def meaning(self) -> str:
        """The area, for a live view."""
        return f"AUC {self.auc:.2f}"

    def sentence(self) -> str:
        """The area with its interval, in words."""
        low, high = self.interval
        return (
            f"{self.n_kind} of {self.n} events were {self.kind}: area under the curve "
            f"{self.auc:.2f} (95 % interval {low:.2f} to {high:.2f}; chance 0.50)."
        )

    def as_dict(self) -> dict[str, Any]:
        """The same as plain numbers."""
        return asdict(self)


class DetectionScorer(TrialScorer):
    """A watcher that judges single events of two kinds.

    Parameters
    ----------
    span : TrialSpan
        Which markers begin an event.
    kind : str
        The rare one of its two classes.
    """

    def __init__(self, span: TrialSpan, kind: str) -> None:
        super().__init__(span)
        self._kind = kind

    def report(self) -> Judgement | None:
        """The area under the curve; None before both kinds were decided on."""
        labels, evidence = self._judged()
        real = np.array([label == self._kind for label in labels], dtype=bool)
        if not 0 < real.sum() < len(real):
            return None
        place = self._classes.index(self._kind)
        margins = np.array([total[place] - total[1 - place] for total in evidence])
        area = auc_interval(margins, real)
        return DetectionReport(
            kind=self._kind,
            n=len(real),
            n_kind=int(real.sum()),
            n_correct=int(((margins > 0) == real).sum()),
            auc=area.value,
            interval=(area.low, area.high),
        )
