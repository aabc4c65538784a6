"""A conservative linear bandit over updates of the head.

References
----------
- Li, Chu, Langford, Schapire. A contextual-bandit approach to personalized news article
  recommendation. WWW, 2010.
- Kazerouni, Ghavamzadeh, Abbasi-Yadkori, Van Roy. Conservative contextual linear bandits.
  NeurIPS, 2017.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...runtime.errors import ConfigError
from ...runtime.prototype_head import PrototypeHead
from .linucb import LinUCB
from .situation import NAMES
from .update_bandit import LEARNT, UpdateBandit, UpdateBanditConfig


@dataclass(frozen=True, kw_only=True)
class ConservativeLinUCBConfig(UpdateBanditConfig):
    """What a person may choose, beside what every update bandit has.

    Parameters
    ----------
    ridge : float
        Pulls the coefficients of gains to zero, positive.
    width : float
        How far doubt speaks for an action, zero or positive.
    forgetting : float
        What a trial leaves of what was learnt before, above 0, at most 1.
    """

    ridge: float = 1.0
    width: float = 0.5
    forgetting: float = 0.995

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.ridge > 0 and self.width >= 0 and 0 < self.forgetting <= 1):
            raise ConfigError(
                f"A linear bandit needs a ridge above 0, a width of at least 0 and a forgetting "
                f"above 0 and at most 1, got {self.ridge}, {self.width} and {self.forgetting}: "
                f"leave them out to get 1.0, 0.5 and 0.995."
            )


class ConservativeLinUCB(UpdateBandit):
    """LinUCB chooses the update; the conservative bound says whether it is offered.

    Parameters
    ----------
    head : PrototypeHead
        As calibrated.
    config : ConservativeLinUCBConfig
        What a person chose.
    """

    Config = ConservativeLinUCBConfig

    def __init__(
        self, head: PrototypeHead, config: ConservativeLinUCBConfig = ConservativeLinUCBConfig()
    ) -> None:
        policy = LinUCB(len(LEARNT), len(NAMES), config.ridge, config.width, config.forgetting)
        super().__init__(head, config, policy)
