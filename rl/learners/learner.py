"""What every rule of adaptation offers."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from ...runtime.prototype_head import PrototypeHead
from ..trial import Reward, Trial


@runtime_checkable
class Learner(Protocol):
    """Proposes heads. It decides nothing: an envelope outside it lets its heads serve, or not.

    Called from one thread. It must be deterministic: the same calls in the same order give the
    same heads, to the bit, on the same machine.
    """

    @property
    def head(self) -> PrototypeHead:
        """What it would decide with now."""

    @property
    def rule(self) -> str:
        """What it last did, in a few words for a person and the audit log."""

    def see(self, trial: Trial) -> None:
        """A decision was made; nothing is known of its worth yet."""

    def hear(self, reward: Reward) -> None:
        """Something became known of a trial seen before; of an unknown or old one, nothing."""

    def adopt(self, head: PrototypeHead) -> None:
        """It was rolled back to another head: go on from that one."""
