"""Agreement: a class is answered only when enough of the last decisions say the same.

A decoder that is right three times in four is right far more often when two windows in a row must
agree, and what noise makes it say seldom lasts [1]_. The price is time: k windows instead of one.

References
----------
.. [1] Penny, Roberts, Curran, Stokes. EEG-based communication: a pattern recognition approach.
   IEEE Trans. Rehabil. Eng., 2000: decisions that do not last are rejected.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import Literal

from ..runtime.errors import ConfigError
from ..runtime.messages import Decision

_NEUTRAL = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementConfig:
    """How many decisions must agree.

    Parameters
    ----------
    k : int
        So many of the last `n` must name the class, at least 1 and more than half of `n`, so that
        two classes never agree at once.
    n : int
        How far back it is looked, 1 to 1000 decisions.
    neutral : str
        What a decision for no class does. ``"breaks"``: all before it is forgotten, since what was
        seen before a hole says nothing of what comes after. ``"counts"``: it is one of the `n`,
        and agrees with none. ``"skipped"``: as if it had not been.
    longest_gap : int
        If more samples than this lie between the ends of two decisions, all before is forgotten;
        0 does not look.
    """

    k: int = 2
    n: int = 3
    neutral: Literal["breaks", "counts", "skipped"] = "breaks"
    longest_gap: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.k <= self.n <= 1000 or 2 * self.k <= self.n:
            raise ConfigError(
                f"k must be more than half of n and at most n, and n at most 1000, got "
                f"{self.k} of {self.n}: change them."
            )
        if self.neutral not in ("breaks", "counts", "skipped"):
            raise ConfigError(
                f'neutral must be "breaks", "counts" or "skipped", got {self.neutral!r}: choose '
                f"one."
            )
        if self.longest_gap < 0:
            raise ConfigError(
                f"longest_gap must be at least 0 samples, got {self.longest_gap}: 0 does not look."
            )


class Agreement:
    """Lets a decision pass when k of the last n agree with it.

    Parameters
    ----------
    config : AgreementConfig, optional
        How many.

    Notes
    -----
    It remembers n small numbers and where the last decision ended, nothing else; decisions must
    come in order. Other classes than before, or another set of weights, begin anew.
    """

    Config = AgreementConfig

    def __init__(self, config: AgreementConfig | None = None) -> None:
        self.config = config or AgreementConfig()
        self._votes: deque[int] = deque(maxlen=self.config.n)
        self._voters: tuple[tuple[str, ...], int] = ((), 0)
        self._stop = -1

    def clear(self) -> None:
        """Forget all decisions."""
        self._votes.clear()
        self._stop = -1

    def vote(self, row: int | None) -> int | None:
        """Take one decision into account, and nothing but its class.

        Parameters
        ----------
        row : int or None
            Which class, counted from 0; None for no decision.

        Returns
        -------
        agreed : int or None
            The same class if enough agree with it; None otherwise.
        """
        if row is None:
            if self.config.neutral == "breaks":
                self._votes.clear()
            elif self.config.neutral == "counts":
                self._votes.append(_NEUTRAL)
            return None
        self._votes.append(row)
        return row if self._votes.count(row) >= self.config.k else None

    def advance(self, decision: Decision) -> Decision:
        """Hold a decision back until enough agree.

        Parameters
        ----------
        decision : Decision
            The adapter's, in order.

        Returns
        -------
        agreed : Decision
            The same if enough agree; otherwise neutral, with a reason, and its probabilities as
            they were.
        """
        self._begin(decision)
        row = None if decision.label is None else decision.classes.index(decision.label)
        if self.vote(row) is not None or row is None:
            return decision
        return replace(
            decision,
            label=None,
            reason=(
                f"not agreed yet: {self._votes.count(row)} of the last {len(self._votes)} "
                f"decisions say {decision.label}, {self.config.k} of {self.config.n} needed"
            ),
        )

    def _begin(self, decision: Decision) -> None:
        """Forget what does not belong to this decision."""
        voters = (decision.classes, decision.epoch)
        gap = decision.stop_sample - self._stop
        too_far = self.config.longest_gap > 0 and self._stop >= 0 and gap > self.config.longest_gap
        if too_far or voters != self._voters:
            self._votes.clear()
        self._voters, self._stop = voters, decision.stop_sample
