"""How far a head may move at once; what goes further is brought back along the way it came."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...runtime.prototype_head import Floats, PrototypeHead

HALVINGS = 20
"""Of the interval in which the longest allowed step is sought."""

_FIXED = ("mean", "scale", "basis", "log_priors")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How far one step may go.

    Parameters
    ----------
    kl : float
        Nats from the head that serves.
    kl_block : float
        Nats from the head that served when the block began.
    share : float
        Of the mean distance between prototypes.
    """

    kl: float
    kl_block: float
    share: float


def unfit(new: PrototypeHead, old: PrototypeHead) -> str:
    """Why a head cannot stand in for another at all; empty if it can.

    Parameters
    ----------
    new, old : PrototypeHead
        What is proposed, and what was calibrated.

    Returns
    -------
    why : str
        A clause that begins with "it".
    """
    if not isinstance(new, PrototypeHead):
        return f"it is a {type(new).__name__} and no head"
    if new.classes != old.classes:
        return "it has other classes"
    changed = [
        name for name in _FIXED if not np.array_equal(getattr(new, name), getattr(old, name))
    ]
    if changed:
        return f"it changes {', '.join(changed)}, which stay as calibrated"
    if new.prototypes.shape != old.prototypes.shape:
        return "it has prototypes of another shape"
    arrays = (new.prototypes, new.centre)
    if not all(np.isfinite(one).all() and (np.abs(one) < 1e6).all() for one in arrays):
        return "it holds numbers that no signal has"
    return ""


def divergence(new: PrototypeHead, old: PrototypeHead, windows: Floats) -> float:
    """Mean KL(new || old) of the class probabilities, in nats.

    Parameters
    ----------
    new, old : PrototypeHead
        Of the same classes.
    windows : ndarray, shape (n_windows, n_features)
        What it is measured on.

    Returns
    -------
    kl : float
        Never negative.
    """
    logs = [_log_probabilities(head, windows) for head in (new, old)]
    per_window = (np.exp(logs[0]) * (logs[0] - logs[1])).sum(axis=1)
    return max(0.0, float(per_window.mean()))


def step_share(new: PrototypeHead, old: PrototypeHead) -> float:
    """Longest way of a prototype, as a share of the mean distance between them.

    Only the sum of a prototype and the centre matters to a decision, so that is what moves.
    """
    ways = (new.prototypes + new.centre) - (old.prototypes + old.centre)
    pairs = np.triu_indices(len(old.prototypes), 1)
    between = np.linalg.norm(old.prototypes[pairs[0]] - old.prototypes[pairs[1]], axis=1).mean()
    return float(np.linalg.norm(ways, axis=1).max() / max(between, 1e-9))


def between(old: PrototypeHead, new: PrototypeHead, share: float) -> PrototypeHead:
    """A head on the straight way from one to another.

    Parameters
    ----------
    old, new : PrototypeHead
        Its ends, in the same space.
    share : float
        0 is the old one, 1 the new one.

    Returns
    -------
    head : PrototypeHead
        Prototypes and centre in proportion, temperature in its logarithm.
    """
    if share >= 1:
        return new
    return replace(
        old,
        prototypes=old.prototypes + share * (new.prototypes - old.prototypes),
        centre=old.centre + share * (new.centre - old.centre),
        temperature=float(old.temperature * (new.temperature / old.temperature) ** share),
    )


def shorten(
    new: PrototypeHead,
    serving: PrototypeHead,
    at_block: PrototypeHead,
    windows: Floats,
    limits: Limits,
) -> tuple[PrototypeHead, float]:
    """Go as far towards a head as the limits allow.

    Parameters
    ----------
    new : PrototypeHead
        Where to.
    serving : PrototypeHead
        Where from.
    at_block : PrototypeHead
        What served when the block began.
    windows : ndarray, shape (n_windows, n_features)
        The last ones.
    limits : Limits
        Of this step.

    Returns
    -------
    head : PrototypeHead
        The new one itself if it lies within.
    share : float
        How much of the way that is; 0 if nothing of it is allowed.
    """

    def allowed(head: PrototypeHead) -> bool:
        return (
            step_share(head, serving) <= limits.share
            and divergence(head, serving, windows) <= limits.kl
            and divergence(head, at_block, windows) <= limits.kl_block
        )

    if allowed(new):
        return new, 1.0
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if allowed(between(serving, new, middle)) else (low, middle)
    return between(serving, new, low), low


def _log_probabilities(head: PrototypeHead, windows: Floats) -> Floats:
    logs = head.scores(windows) + head.log_priors / head.temperature
    logs = logs - logs.max(axis=1, keepdims=True)
    sums: Floats = logs - np.log(np.exp(logs).sum(axis=1, keepdims=True))
    return sums
