"""A detector that errs: what it saw of a decision, as odds and as an unbiased value.

A detector of errors is known by two rates: of the wrong decisions it finds the share `tpr`, of the
right ones it leaves the share `tnr` in peace. Bayes' rule turns what it saw into odds; and since
the rates are known, the bias that its mistakes put into the share of right decisions can be taken
out, in the mean over many [1]_. A detector barely better than chance would be divided by nearly
nothing there, and says nothing instead.

References
----------
.. [1] Rogan, Gladen. Estimating prevalence from the results of a screening test. American J.
   Epidemiology, 1978.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..ranges import require
from ..trial import Reward

LEAST_RATES = 1.3
"""Sum of both rates below which a detector says nothing: balanced accuracy 0.65."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfusionConfig:
    """What is known of a detector.

    Parameters
    ----------
    tpr : float
        Share of wrong decisions that it calls wrong, 0.01 to 0.99.
    tnr : float
        Share of right decisions that it does not call wrong, 0.01 to 0.99.
    error_share : float
        How often decisions were wrong when its probabilities were calibrated, 0.01 to 0.99.
    band_low, band_high : float
        A probability of error in between says nothing, 0 to 1.
    source : str
        What its rewards are said to come from.

    Raises
    ------
    ConfigError
        If a value is out of range.
    """

    tpr: float = 0.75
    tnr: float = 0.75
    error_share: float = 0.5
    band_low: float = 0.4
    band_high: float = 0.6
    source: str = "error potential"

    def __post_init__(self) -> None:
        require(
            self, tpr=(0.01, 0.99), tnr=(0.01, 0.99), error_share=(0.01, 0.99), band_low=(0, 1),
            band_high=(self.band_low, 1),
        )  # fmt: skip


class Confusion:
    """Detections and probabilities to rewards.

    Parameters
    ----------
    config : ConfusionConfig
        What is known of the detector.
    """

    Config = ConfusionConfig

    def __init__(self, config: ConfusionConfig = ConfusionConfig()) -> None:
        self.config = config

    @property
    def says_something(self) -> bool:
        """Whether it is far enough from chance."""
        return self.config.tpr + self.config.tnr >= LEAST_RATES - 1e-9

    def detected(self, trial: int, wrong: bool, *, at_s: float = 0.0) -> Reward:
        """Reward for what the detector called right or wrong.

        Parameters
        ----------
        trial : int
            Number of the trial.
        wrong : bool
            Whether it called the decision wrong.
        at_s : float
            When, in seconds of the loop's clock.

        Returns
        -------
        reward : Reward
            With log-odds 0 and value 0.5 from a detector that is too near to chance.
        """
        if not self.says_something:
            return Reward(trial=trial, at_s=at_s, source=self.config.source)
        tpr, tnr = self.config.tpr, self.config.tnr
        odds = (1 - tnr) / tpr if wrong else tnr / (1 - tpr)
        return Reward(
            trial=trial, log_odds=math.log(odds), value=self._value(wrong), at_s=at_s,
            source=self.config.source,
        )  # fmt: skip

    def judged(self, trial: int, probability: float, *, at_s: float = 0.0) -> Reward:
        """Reward for a calibrated probability of error.

        Parameters
        ----------
        trial : int
            Number of the trial.
        probability : float
            That the decision was wrong, as calibrated with `error_share` of wrong ones.
        at_s : float
            When, in seconds of the loop's clock.

        Returns
        -------
        reward : Reward
            With log-odds 0 and value 0.5 within the guard band, for what is no probability, and
            from a detector that is too near to chance.
        """
        config = self.config
        inside = config.band_low <= probability <= config.band_high
        if not self.says_something or not 0 <= probability <= 1 or inside:
            return Reward(trial=trial, at_s=at_s, source=config.source)
        # What calibration expected of any decision is taken out: it is no evidence of this one.
        odds = _logit(1 - probability) - _logit(1 - config.error_share)
        return Reward(
            trial=trial, log_odds=odds, value=self._value(probability > 0.5), at_s=at_s,
            source=config.source,
        )  # fmt: skip

    def _value(self, wrong: bool) -> float:
        """Unbiased estimate of whether the decision was right."""
        missed = 1 - self.config.tpr
        return ((0.0 if wrong else 1.0) - missed) / (self.config.tnr - missed)


def _logit(probability: float) -> float:
    safe = min(max(probability, 1e-6), 1 - 1e-6)
    return math.log(safe / (1 - safe))
