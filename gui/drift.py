"""Whether a session still looks to its decoder like the calibration did.

What is told is the `distance` of the last half minute from the calibration, over the distance that
pieces of the calibration have from each other: 1 is as far as the calibration itself strays.
"""

from __future__ import annotations

import math
from collections import deque
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from .drift_reference import FEWEST_SAMPLES, MOST_SAMPLES, Floats, Recent, Reference

SETTLING_S = 60.0
"""The first minute of a session stands for the calibration where none is given."""

LIKE, MOVED = 1.5, 3.0
"""Up to the first, a session is like its calibration; from the second on, it has moved."""

_LEAST_SCALE = 0.25  # standard deviations: a calibration of one piece has no scatter of its own


class Verdict(StrEnum):
    """Whether today is like the calibration."""

    WAITING = "waiting"
    LIKE = "like"
    AWAY = "away"
    MOVED = "moved"


_SAID = {
    Verdict.LIKE: "Today's signal is like the calibration.",
    Verdict.AWAY: "Today's signal is somewhat away from the calibration: watch it.",
    Verdict.MOVED: "Today's signal has moved: recentre with diverloop recentre.",
}


class Drift:
    """Follows a session's embeddings, against a reference or against its own first minute.

    Parameters
    ----------
    reference : Reference, optional
        The calibration. Without it the first minute of the session is taken for it.
    n_points, n_indices : int
        How many of the newest points and indices are remembered.
    """

    def __init__(
        self, reference: Reference | None = None, *, n_points: int = 160, n_indices: int = 900
    ) -> None:
        self._given = reference
        self.points: deque[tuple[float, float, str]] = deque(maxlen=n_points)
        """Newest last: along the first two directions, and the decided class."""
        self.indices: deque[tuple[float, float]] = deque(maxlen=n_indices)
        """Seconds of the stream and index, one a second."""
        self.forget()

    def forget(self) -> None:
        """Know nothing but the reference that was given."""
        self.reference = self._given
        self.index = math.nan
        self.problem = ""
        self.points.clear()
        self.indices.clear()
        self._settling: list[tuple[float, Floats]] = []
        self._every = 1  # of the turns, while settling
        self._n, self._first_s, self._last_s = 0, math.nan, math.nan
        self._recent: Recent | None = None

    @property
    def settling_s(self) -> float:
        """How much of the first minute is still to come; 0 once there is a reference."""
        if self.reference is not None:
            return 0.0
        passed = 0.0 if math.isnan(self._first_s) else self._last_s - self._first_s
        return max(SETTLING_S - passed, 0.0)

    @property
    def is_own(self) -> bool:
        """Whether the session is compared with its own first minute."""
        return self._given is None

    @property
    def verdict(self) -> Verdict:
        """Whether today is like the calibration."""
        if math.isnan(self.index):
            return Verdict.WAITING
        return (
            Verdict.LIKE if self.index <= LIKE
            else Verdict.AWAY if self.index < MOVED
            else Verdict.MOVED
        )  # fmt: skip

    def sentence(self) -> str:
        """The verdict in one sentence, and what it rests on."""
        if self.problem:
            return self.problem
        if self.reference is None:
            if math.isnan(self._first_s):
                return "No embedding has come yet."
            return f"Learning what this session is like: {self.settling_s:.0f} s to go."
        if self.verdict is Verdict.WAITING:
            return "No embedding has come since the reference was made."
        said = _SAID[self.verdict]
        return (
            said.replace("the calibration", "the session's first minute") if self.is_own else said
        )

    def take(self, values: NDArray[np.floating], label: str | None, at_s: float) -> None:
        """Learn one embedding.

        Parameters
        ----------
        values : ndarray, shape (n_features,)
            The embedding; one that is not finite is passed over.
        label : str, optional
            The decided class.
        at_s : float
            End of its window, seconds of the stream; what runs backwards begins anew.
        """
        if not np.isfinite(values).all():
            return
        if at_s < self._last_s:
            self.forget()
        step_s = 0.0 if math.isnan(self._last_s) else at_s - self._last_s
        if math.isnan(self._first_s):
            self._first_s = at_s
        self._last_s = at_s
        if self.reference is None:
            self._settle(np.asarray(values, float), at_s)
        elif len(values) == self.reference.n_features:
            self._follow(self.reference, np.asarray(values, float), label or "", at_s, step_s)
        else:
            self._other_length(len(values), self.reference.n_features)

    def _settle(self, values: Floats, at_s: float) -> None:
        if self._settling and len(self._settling[0][1]) != len(values):
            self._settling.clear()
        if self._n % self._every == 0:
            self._settling.append((at_s, values))
        self._n += 1
        if len(self._settling) > MOST_SAMPLES:  # thinned, so that a fast session fits, too
            del self._settling[1::2]
            self._every *= 2
        if not self.settling_s and len(self._settling) >= FEWEST_SAMPLES:
            samples = np.array([sample for _, sample in self._settling])
            span_s = self._settling[-1][0] - self._settling[0][0]
            self.reference = Reference.of_samples(samples, span_s / (len(samples) - 1))
            self._settling.clear()

    def _follow(
        self, reference: Reference, values: Floats, label: str, at_s: float, step_s: float
    ) -> None:
        seen = reference.seen(values)
        self.problem = ""
        self.points.append((float(seen[0]), float(seen[1]), label))
        self._recent = self._recent or Recent(len(seen))
        self._recent.take(seen, step_s)
        if not self.indices or at_s - self.indices[-1][0] >= 1.0:
            self.index = self._recent.distance() / max(reference.strays, _LEAST_SCALE)
            self.indices.append((at_s, self.index))

    def _other_length(self, got: int, wanted: int) -> None:
        if self.is_own:  # another encoder took over: its own beginning is learnt
            self.forget()
            return
        self.index = math.nan
        self.problem = (
            f"Embeddings have {got} features, the calibration's have {wanted}: give the reference "
            "of the model that is running."
        )
