"""The threshold of neurofeedback: moved so that reward comes about as often as is wanted.

Two rules, both bounded and both slow against the signal. *Between* blocks the threshold goes to
the quantile at which the last block would have been rewarded as wanted, less boldly from block to
block. *Within* a block it takes a small step every few seconds, up if reward came too often and
down if too rarely, which is stochastic approximation of the same quantile [1]_.

References
----------
.. [1] Robbins, Monro. A stochastic approximation method. Ann. Math. Statist., 1951.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import ConfigError

Floats = NDArray[np.float64]

ADAPTS = ("between", "within", "off")
FEWEST_STEPS = 50
"""Good steps of a course that a threshold may rest on, at least."""

_LEAST_SCALE = 1e-6
_BOLDER_AT_FIRST = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdConfig:
    """What can be chosen about `RewardThreshold`.

    Parameters
    ----------
    target : float
        Share of windows that are rewarded, in [0.1, 0.9].
    adapt : str
        ``"between"`` blocks, ``"within"`` a block, or ``"off"``.
    memory_blocks : int
        Between blocks: how many of the last ones the threshold rests on, about; 1 to 10.
    update_s : float
        Within a block: from one step to the next, 1 to 60 s.
    gain : float
        Within a block: step for a reward rate that is wrong by 1, in scales, 0.05 to 5.
    max_step : float
        Largest change from one block to the next, or within one, in scales, 0.1 to 5.
    """

    target: float = 0.65
    adapt: str = "within"
    memory_blocks: int = 3
    update_s: float = 5.0
    gain: float = 1.0
    max_step: float = 1.5

    def __post_init__(self) -> None:
        if self.adapt not in ADAPTS:
            raise ConfigError(f"adapt must be one of {', '.join(ADAPTS)}, got {self.adapt!r}.")
        for name, low, high in (
            ("target", 0.1, 0.9),
            ("memory_blocks", 1, 10),
            ("update_s", 1, 60),
            ("gain", 0.05, 5),
            ("max_step", 0.1, 5),
        ):
            if not low <= getattr(self, name) <= high:
                raise ConfigError(
                    f"{name} must be in [{low:g}, {high:g}], got {getattr(self, name):g}."
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdChange:
    """That the threshold moved, when and why.

    Parameters
    ----------
    sample : int
        Stream index from which on it holds.
    part : str
        Marker of the part of the session that it rests on.
    reward_rate : float
        Share of windows that were rewarded there; NaN for a baseline.
    old, new : float
        In the measure's units.
    """

    sample: int
    part: str
    reward_rate: float
    old: float
    new: float


class Course:
    """A value for each step of a part of the session, in memory set aside beforehand.

    Parameters
    ----------
    n_steps : int
        How many steps, at least 1.
    """

    def __init__(self, n_steps: int) -> None:
        self._values = np.full(n_steps, np.nan)

    def put(self, step: int, value: float) -> None:
        """Keep a value; the last of a step counts, and what lies beyond the end is the end's."""
        self._values[min(step, len(self._values) - 1)] = value

    def seen(self) -> Floats:
        """Values there are, in order."""
        values: Floats = self._values[np.isfinite(self._values)]
        return values

    def filled(self) -> Floats:
        """From the first value to the last, with holes bridged by straight lines."""
        places = np.flatnonzero(np.isfinite(self._values))
        if not len(places):
            return np.empty(0)
        steps = np.arange(places[0], places[-1] + 1)
        filled: Floats = np.interp(steps, places, self._values[places])
        return filled


def scale_of(values: Floats) -> float:
    """Half the distance that holds the middle 68 %: one standard deviation, artefacts aside."""
    low, high = np.quantile(values, (0.16, 0.84))
    return max(float(high - low) / 2, _LEAST_SCALE)


class RewardThreshold:
    """Follows the quantile of a measure that is reached as often as reward is wanted.

    Parameters
    ----------
    config : ThresholdConfig
        What was chosen.
    value : float
        Where it begins.
    scale : float
        Unit of steps and of the probability, positive; a standard deviation of the measure.
    step_s : float
        Time from one step of the course to the next.
    """

    def __init__(
        self, config: ThresholdConfig, *, value: float, scale: float, step_s: float
    ) -> None:
        self.value, self.scale = value, scale
        self.changes: list[ThresholdChange] = []
        self._config, self._step_s = config, step_s
        self._n_blocks = self._n_steps = 0
        self._in_period = max(1, round(config.update_s / step_s))
        self.open_block()

    @property
    def reward_rate(self) -> float:
        """Share of the block's windows that were rewarded; NaN before the first one."""
        return self._rewarded / self._counted if self._counted else math.nan

    def open_block(self) -> None:
        """Begin to count anew."""
        self._opened_at = self.value
        self._rewarded = self._counted = 0
        self._period, self._period_rewarded, self._period_counted = 0, 0, 0

    def rest_on(self, values: Floats, part: str, sample: int) -> None:
        """Take value and scale from a baseline; fewer than `FEWEST_STEPS` values change nothing.

        Parameters
        ----------
        values : ndarray, shape (n,)
            The measure, finite.
        part : str
            Marker of the baseline.
        sample : int
            Stream index from which on they hold.
        """
        if len(values) >= FEWEST_STEPS:
            self.scale = scale_of(values)
            wanted = float(np.quantile(values, 1 - self._config.target))
            self._move(wanted, part, math.nan, sample)

    def count(self, shown: float, step: int, part: str, sample: int) -> bool:
        """Judge one window of a block, and take a step where that is the rule.

        Parameters
        ----------
        shown : float
            The measure, or what stands for it.
        step : int
            Step of the block, from 0.
        part : str
            Marker of the block.
        sample : int
            Stream index one past the window's last sample.

        Returns
        -------
        rewarded : bool
            By the threshold as it was; a step holds from the next window on.
        """
        rewarded = shown >= self.value
        self._counted += 1
        self._rewarded += rewarded
        if self._config.adapt == "within":
            period = step // self._in_period
            if period != self._period:
                self._step_within(part, sample)
                self._period, self._period_rewarded, self._period_counted = period, 0, 0
            self._period_counted += 1
            self._period_rewarded += rewarded
        return rewarded

    def close_block(self, shown: Floats, part: str, sample: int) -> None:
        """Move between blocks, where that is the rule.

        Parameters
        ----------
        shown : ndarray, shape (n,)
            What the block's windows were judged by, finite; fewer than `FEWEST_STEPS` change
            nothing.
        part : str
            Marker of the block.
        sample : int
            Stream index from which on the new threshold holds.
        """
        if self._config.adapt != "between" or len(shown) < FEWEST_STEPS:
            return
        self._n_blocks += 1
        # The first block counts in full, the second by half: a wrong start is soon made good, and
        # the chance of a single block weighs less and less.
        weight = max(1 / self._n_blocks, 1 / self._config.memory_blocks)
        wanted = float(np.quantile(shown, 1 - self._config.target))
        new = self._bounded(self.value + weight * (wanted - self.value))
        self._move(new, part, self.reward_rate, sample)

    def _step_within(self, part: str, sample: int) -> None:
        if 2 * self._period_counted < self._in_period:
            return  # mostly poor signal: too little to go by
        rate = self._period_rewarded / self._period_counted
        self._n_steps += 1
        # A decreasing gain, as in [1]_, makes a wrong start good; then it has to keep up.
        gain = self._config.gain * max(1.0, _BOLDER_AT_FIRST / self._n_steps)
        step = gain * self.scale * (rate - self._config.target)
        self._move(self._bounded(self.value + step), part, rate, sample)

    def _bounded(self, wanted: float) -> float:
        most = self._config.max_step * self.scale
        return min(max(wanted, self._opened_at - most), self._opened_at + most)

    def _move(self, new: float, part: str, rate: float, sample: int) -> None:
        if new != self.value:
            change = ThresholdChange(
                sample=sample, part=part, reward_rate=rate, old=self.value, new=new
            )
            self.changes.append(change)
            self.value = new
