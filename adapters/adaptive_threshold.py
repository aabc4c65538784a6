"""A threshold that follows the outcomes, so that the error comes back to what was allowed.

What a calibration promises ends where the signal drifts. As long as it becomes known whether
decisions were right, from a task with known targets or from error potentials, the threshold can
be moved after each of them: up by a large step after an error, down by a small one after a
success. The steps balance where the share of errors is `alpha`, whatever the drift is [1]_.

References
----------
.. [1] Gibbs, Candès. Adaptive conformal inference under distribution shift. NeurIPS, 2021.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from ..runtime.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptiveConfig:
    """What can be chosen about `AdaptiveThreshold`.

    Parameters
    ----------
    alpha : float
        Share of decided trials that may be wrong, in (0, 0.5].
    rate : float
        How far one outcome moves the threshold, in (0, 1]; large follows fast and jitters.
    lowest, highest : float
        Bounds of the threshold, in [0, 1]. The highest is below 1 for a reason: with a threshold
        that nothing reaches there are no outcomes any more, and no way back.
    """

    alpha: float = 0.1
    rate: float = 0.05
    lowest: float = 0.0
    highest: float = 0.95

    def __post_init__(self) -> None:
        if not 0 < self.alpha <= 0.5 or not 0 < self.rate <= 1:
            raise ConfigError(
                f"alpha must be in (0, 0.5] and rate in (0, 1], got {self.alpha} and {self.rate}: "
                f"change them."
            )
        if not 0 <= self.lowest < self.highest <= 1:
            raise ConfigError(
                f"Needed is 0 <= lowest < highest <= 1, got {self.lowest} and {self.highest}: "
                f"change them."
            )


class AdaptiveThreshold:
    """A threshold that rises after an error and falls a little after every success.

    After T outcomes without touching a bound the share of errors is within
    ``(highest - lowest) / (rate * T)`` of `alpha`, whatever the signal did.

    Parameters
    ----------
    start : float
        First threshold, such as `SelectiveThreshold.threshold`; moved between the bounds.
    config : AdaptiveConfig, optional
        What was chosen.
    """

    Config = AdaptiveConfig

    def __init__(self, start: float, config: AdaptiveConfig | None = None) -> None:
        if not 0 <= start <= 1:
            raise ConfigError(f"start must be in [0, 1], got {start}: it is a probability.")
        self.config = config or AdaptiveConfig()
        self._threshold = min(max(start, self.config.lowest), self.config.highest)
        self._n_right = self._n_wrong = 0

    @property
    def threshold(self) -> float:
        """What the best class must reach now."""
        return self._threshold

    def update(self, right: bool) -> float:
        """Take the outcome of one decided trial into account.

        Parameters
        ----------
        right : bool
            Whether the decision was right. Trials that were not decided, or whose outcome is not
            known, are not reported.

        Returns
        -------
        threshold : float
            The new one.
        """
        self._n_right += right
        self._n_wrong += not right
        moved = self._threshold + self.config.rate * ((not right) - self.config.alpha)
        self._threshold = min(max(moved, self.config.lowest), self.config.highest)
        return self._threshold

    def state(self) -> dict[str, float]:
        """All that it remembers, as plain numbers."""
        return {
            "threshold": self._threshold,
            "n_right": float(self._n_right),
            "n_wrong": float(self._n_wrong),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, float], config: AdaptiveConfig | None = None) -> Self:
        """Go on where another one stopped; `state` is from `state`."""
        found = cls(state["threshold"], config)
        found._n_right, found._n_wrong = int(state["n_right"]), int(state["n_wrong"])
        return found
