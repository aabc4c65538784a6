"""Frozen: the head of calibration, whatever happens. The arm that every other is held against."""

from __future__ import annotations

from dataclasses import dataclass

from ...runtime.prototype_head import PrototypeHead
from ..trial import Reward, Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenConfig:
    """Nothing to choose."""


class Frozen:
    """Learner: changes nothing.

    Parameters
    ----------
    head : PrototypeHead
        To stay with.
    config : FrozenConfig
        Nothing to choose.
    """

    Config = FrozenConfig

    def __init__(self, head: PrototypeHead, config: FrozenConfig = FrozenConfig()) -> None:
        self.config = config
        self._head = head

    @property
    def head(self) -> PrototypeHead:
        """The one it was made with, or was told to adopt."""
        return self._head

    @property
    def rule(self) -> str:
        """Always the same."""
        return "nothing changes"

    def see(self, trial: Trial) -> None:
        """Pass over a trial."""

    def hear(self, reward: Reward) -> None:
        """Pass over a reward."""

    def adopt(self, head: PrototypeHead) -> None:
        """Stay with another head from here on."""
        self._head = head
