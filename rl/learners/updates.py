"""The finite set of things that may be done to a head after a trial, each a small bounded step.

Every update is a pure function of a head, a trial and what is known of it. None moves a prototype
or the centre by more than a tenth of the distance between prototypes, so that whatever chooses
among them, well or badly, changes little at a time. Prototypes move by how probable each option is
once the reward is known, never by its sign alone: an error says only that it was not this one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ...runtime.prototype_head import Floats, PrototypeHead
from ..trial import ABSTAINED, Reward, Trial

LARGEST_STEP = 0.1
"""Of the distance to the nearest other prototype."""

RATE = 0.06
"""Share of the way to what was seen that one certain trial moves a prototype or the centre."""

TEMPERATURE_STEP = 1.1
LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.1, 20.0

Update = Callable[[PrototypeHead, Trial, Reward | None], PrototypeHead]


def keep(head: PrototypeHead, trial: Trial, reward: Reward | None) -> PrototypeHead:
    """Change nothing."""
    return head


def recentre(head: PrototypeHead, trial: Trial, reward: Reward | None) -> PrototypeHead:
    """Move the centre by what the windows have in common beyond their probable classes.

    Parameters
    ----------
    head : PrototypeHead
        What to change.
    trial : Trial
        What was seen.
    reward : Reward or None
        What is known of it.

    Returns
    -------
    head : PrototypeHead
        All classes have moved together.
    """
    shares = trial.shares(believed(head, trial, reward), len(head.classes))
    beyond = (head.project(trial.features) - shares @ head.prototypes).mean(axis=0)
    step = _shortened(RATE * beyond, LARGEST_STEP * distances(head).min())
    return replace(head, centre=head.centre + step)


def pull_decided(head: PrototypeHead, trial: Trial, reward: Reward | None) -> PrototypeHead:
    """Pull the prototypes to the windows as they belong to the decided option.

    Parameters
    ----------
    head : PrototypeHead
        What to change.
    trial : Trial
        What was seen; if nothing was decided, nothing changes.
    reward : Reward or None
        What is known of it: the less probable the decision, the smaller the step.

    Returns
    -------
    head : PrototypeHead
        Only classes that the decided option names have moved.
    """
    if trial.decided == ABSTAINED:
        return head
    return _pull_one(head, trial, trial.decided, believed(head, trial, reward))


def pull_second(head: PrototypeHead, trial: Trial, reward: Reward | None) -> PrototypeHead:
    """Pull the prototypes to the windows as they belong to the most probable other option.

    Parameters
    ----------
    head : PrototypeHead
        What to change.
    trial : Trial
        What was seen; if nothing was decided, nothing changes.
    reward : Reward or None
        Only one that speaks against the decision changes anything.

    Returns
    -------
    head : PrototypeHead
        Only classes that this option names have moved.
    """
    if reward is None or trial.decided == ABSTAINED or not speaks_against(reward, trial):
        return head
    options = believed(head, trial, reward)
    others = options.copy()
    others[trial.decided] = -1.0
    return _pull_one(head, trial, int(others.argmax()), options)


def pull_told(head: PrototypeHead, trial: Trial, reward: Reward | None) -> PrototypeHead:
    """Pull the second option after a negative reward, the decided one otherwise."""
    if reward is not None and speaks_against(reward, trial):
        return pull_second(head, trial, reward)
    return pull_decided(head, trial, reward)


def recentre_and_pull(head: PrototypeHead, trial: Trial, reward: Reward | None) -> PrototypeHead:
    """Recentre, then pull as told; two bounded steps."""
    return pull_told(recentre(head, trial, reward), trial, reward)


def warm(head: PrototypeHead, trial: Trial, reward: Reward | None) -> PrototypeHead:
    """More modest probabilities, whatever the trial says."""
    return replace(head, temperature=min(head.temperature * TEMPERATURE_STEP, HIGHEST_TEMPERATURE))


def cool(head: PrototypeHead, trial: Trial, reward: Reward | None) -> PrototypeHead:
    """Bolder probabilities, whatever the trial says."""
    return replace(head, temperature=max(head.temperature / TEMPERATURE_STEP, LOWEST_TEMPERATURE))


def towards(head: PrototypeHead, other: PrototypeHead) -> PrototypeHead:
    """One bounded step to another head of the same space.

    Parameters
    ----------
    head, other : PrototypeHead
        From and to.

    Returns
    -------
    head : PrototypeHead
        Equal to `other` if that is within one step. Choosing this again and again arrives there.
    """
    apart = distances(head)
    centre = _shortened(other.centre - head.centre, LARGEST_STEP * apart.min())
    moved = [
        _shortened(theirs - ours, LARGEST_STEP * distance)
        for ours, theirs, distance in zip(head.prototypes, other.prototypes, apart, strict=True)
    ]
    low, high = head.temperature / TEMPERATURE_STEP, head.temperature * TEMPERATURE_STEP
    return replace(
        head,
        centre=head.centre + centre,
        prototypes=head.prototypes + np.stack(moved),
        temperature=float(np.clip(other.temperature, low, high)),
    )


def distances(head: PrototypeHead) -> Floats:
    """From each prototype to the nearest other one, shape (n_classes,)."""
    between = np.linalg.norm(head.prototypes[:, None] - head.prototypes[None], axis=2)
    np.fill_diagonal(between, np.inf)
    nearest: Floats = between.min(axis=1)
    return nearest


def believed(head: PrototypeHead, trial: Trial, reward: Reward | None) -> Floats:
    """How probable each option is to a head, the reward included, shape (n_options,)."""
    options = trial.posterior(head)
    return options if reward is None else reward.weigh(trial, options)


def speaks_against(reward: Reward, trial: Trial) -> bool:
    """Whether a reward makes the decision less probable than it was."""
    if reward.meant >= 0:
        return reward.meant != trial.decided
    return reward.log_odds < 0


def _pull_one(head: PrototypeHead, trial: Trial, option: int, options: Floats) -> PrototypeHead:
    """Each class towards the mean of the windows that `option` gives it."""
    points, member = head.project(trial.features), trial.under[option]
    apart, prototypes = distances(head), head.prototypes.copy()
    for k in np.unique(member):
        step = RATE * options[option] * (points[member == k].mean(axis=0) - prototypes[k])
        prototypes[k] += _shortened(step, LARGEST_STEP * apart[k])
    return replace(head, prototypes=prototypes)


def _shortened(step: Floats, longest: float) -> Floats:
    length = float(np.linalg.norm(step))
    return step if length <= longest else step * (longest / length)
