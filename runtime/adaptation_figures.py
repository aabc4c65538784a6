"""How adaptation stands, for whoever looks on."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptationFigures:
    """Figures of the envelope and of the learner.

    Parameters
    ----------
    learner : str
        Name of the rule.
    epoch : int
        Of the weights that serve, as the envelope knows them.
    n_trials, n_rewards : int
        That the learner was told of.
    n_shadow : int
        Trials at which a proposal decided beside the weights that serve.
    benefit, lower_bound : float
        How much more often the proposal would have been right, and its lower bound; NaN before
        there are trials.
    divergence_nat : float
        Of the last step: mean Kullback-Leibler divergence of decisions; NaN before there was one.
    drift : float
        How far features are from calibration; NaN where it is not known.
    reward_rate : float
        Share of right decisions as rewards tell it; NaN before there are any.
    decided_share : float
        Share of the last trials in which anything was decided; the reward rate is about these
        alone. NaN before there are trials.
    promoted, rolled_back, turned_down : int
        What became of proposals so far.
    waiting : str
        Why nothing was promoted at the last look; empty if something was.
    frozen : str
        Why nothing may change; empty if it may.
    """

    learner: str
    epoch: int
    n_trials: int = 0
    n_rewards: int = 0
    n_shadow: int = 0
    benefit: float = math.nan
    lower_bound: float = math.nan
    divergence_nat: float = math.nan
    drift: float = math.nan
    reward_rate: float = math.nan
    decided_share: float = math.nan
    promoted: int = 0
    rolled_back: int = 0
    turned_down: int = 0
    waiting: str = ""
    frozen: str = ""
