"""What adaptation stands between, and how versions are written down."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ..runtime.adaptation_figures import AdaptationFigures
from ..runtime.card import Card
from ..runtime.events import Event
from ..runtime.messages import Promotion
from ..runtime.prototype_head import PrototypeHead
from ..runtime.record.audit import AuditLog
from ..runtime.stages import Adapter, Clock
from .envelope.version import Proposal
from .error_link import ErrorLink
from .reward_desk import RewardDesk
from .trial import Reward, Trial

_MOST_NUMBERS = 32


class Learning(Protocol):
    """A learner, beside or here."""

    tell: Callable[[Event], None]

    def see(self, trial: Trial) -> None:
        """Tell of a decision."""

    def hear(self, reward: Reward) -> None:
        """Tell what became known of a trial."""

    def serve(self, head: PrototypeHead, *, adopt: bool) -> None:
        """Another head serves now."""

    def proposal(self) -> Proposal | None:
        """The newest head that it would like to see serve."""

    def close(self) -> None:
        """End it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What decides in a session, as far as adaptation has to know.

    Parameters
    ----------
    card : Card
        Of the model.
    head : PrototypeHead
        Of its adapter.
    arrays : mapping of str to ndarray
        All that the adapter has learnt.
    from_s : float
        From a cue to the first sample that counts.
    reference : str
        Which of the arrays says where calibration lies; it moves along, see ``Reference``. Empty if
        none does.
    """

    card: Card
    head: PrototypeHead
    arrays: Mapping[str, Any]
    from_s: float = 0.0
    reference: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """Who else has to do with it.

    Parameters
    ----------
    learning : Learning
        The learner.
    rewards : RewardDesk
        What markers and detections say of trials.
    clock : Clock
        The session's.
    adapter_of : callable
        Makes an adapter from a promotion.
    why_not : callable
        Why nobody allows changes now; empty if somebody does.
    errors : ErrorLink, optional
        A detector of error potentials.
    audit : AuditLog, optional
        Where changes go on record.
    post : callable
        Takes figures for whoever looks on.
    """

    learning: Learning
    rewards: RewardDesk
    clock: Clock
    adapter_of: Callable[[Promotion], Adapter]
    why_not: Callable[[], str]
    errors: ErrorLink | None = None
    audit: AuditLog | None = None
    post: Callable[[AdaptationFigures], None] = lambda figures: None


def numbers_on_record(trials: tuple[int, ...]) -> dict[str, Any]:
    """Numbers of trials for the record: all of a few, ends and hash of many.

    Parameters
    ----------
    trials : tuple of int
        As they come.

    Returns
    -------
    details : dict
        Plain values.
    """
    if len(trials) <= _MOST_NUMBERS:
        return {"trials": list(trials)}
    digest = hashlib.sha256(",".join(map(str, trials)).encode()).hexdigest()
    return {
        "n_trials": len(trials),
        "first_trial": trials[0],
        "last_trial": trials[-1],
        "trials_sha256": digest,
    }
