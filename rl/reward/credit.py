"""Which decision a reward is about.

It is about the last decision that is neither too fresh nor too old for its kind: an error potential
comes 0.2 to 0.6 s after the feedback [1]_, and its detector answers when its window has passed; a
key is pressed within some seconds.

References
----------
.. [1] Chavarriaga, Sobolewski, Millán. Errare machinale est: the use of error-related potentials
   in brain-machine interfaces. Frontiers in Neuroscience, 2014.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from ..ranges import require


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditConfig:
    """How long after a decision something may still be about it.

    Parameters
    ----------
    earliest_s : float
        Nothing that comes sooner is about it, 0 to 60 s.
    latest_s : float
        Nothing that comes later is, `earliest_s` to 600 s.
    most : int
        Decisions that are kept, 1 to 10000.

    Raises
    ------
    ConfigError
        If a value is out of range.
    """

    earliest_s: float = 0.2
    latest_s: float = 1.5
    most: int = 200

    def __post_init__(self) -> None:
        require(
            self, earliest_s=(0, 60), latest_s=(self.earliest_s, 600), most=(1, 10000)
        )  # fmt: skip


KEY_PRESS = CreditConfig(earliest_s=0.1, latest_s=5.0)
"""Undo, backspace, and other keys."""


class Credit:
    """The last decisions, and which of them something is about.

    Parameters
    ----------
    config : CreditConfig
        What was chosen.
    """

    Config = CreditConfig

    def __init__(self, config: CreditConfig = CreditConfig()) -> None:
        self.config = config
        self._shown: OrderedDict[int, float] = OrderedDict()

    def decided(self, trial: int, at_s: float) -> None:
        """A decision was shown to the person.

        Parameters
        ----------
        trial : int
            Its number.
        at_s : float
            When, in seconds of the loop's clock; does not go back.
        """
        self._shown[trial] = at_s
        while len(self._shown) > self.config.most:
            self._shown.popitem(last=False)

    def about(self, at_s: float) -> int | None:
        """Number of the decision that something is about.

        Parameters
        ----------
        at_s : float
            When it came, in seconds of the loop's clock.

        Returns
        -------
        trial : int or None
            None if it came at the wrong time for all.
        """
        for trial, shown in reversed(self._shown.items()):
            if self.config.earliest_s <= at_s - shown <= self.config.latest_s:
                return trial
        return None
