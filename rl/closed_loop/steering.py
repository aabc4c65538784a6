"""What learners of continuous control are told: steps, and the paths they make up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from .velocity_head import VelocityHead

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Step:
    """One step of steering.

    Parameters
    ----------
    features : ndarray, shape (n_features,)
        Of the step.
    position : ndarray, shape (2,)
        Of the cursor when they arose, in half widths of the workspace.
    velocity : ndarray, shape (2,)
        Decoded from them, in half widths a second.
    seconds : float
        Length of the step.
    target : ndarray, shape (2,), or None
        Where the program set it; None where only the person knows.
    error_log_odds : tuple of float
        Of each error signal that arrived in this step.
    ended : bool or None
        Whether a target was acquired with this step (True) or given up (False).
    """

    features: Floats
    position: Floats
    velocity: Floats
    seconds: float
    target: Floats | None = None
    error_log_odds: tuple[float, ...] = ()
    ended: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Path:
    """The way to one target, or the way that did not lead there.

    Parameters
    ----------
    features : ndarray, shape (n_steps, n_features)
        Of its steps.
    positions, velocities : ndarray, shape (n_steps, 2)
        As in `Step`.
    seconds : float
        How long it took.
    target : ndarray, shape (2,), or None
        As in `Step`.
    acquired : bool
        Whether it ended in the target.
    """

    features: Floats
    positions: Floats
    velocities: Floats
    seconds: float
    target: Floats | None
    acquired: bool


@runtime_checkable
class VelocityLearner(Protocol):
    """Proposes velocity decoders. Deterministic; called from one thread, once a step."""

    @property
    def head(self) -> VelocityHead:
        """What the next step is decoded with."""

    @property
    def rule(self) -> str:
        """What it last did, in a few words."""

    def watch(self, step: Step) -> None:
        """A step was decoded and shown."""

    def adopt(self, head: VelocityHead) -> None:
        """Another decoder serves from here on: go on from it."""


class Frozen:
    """The decoder of the calibration, as it was.

    Parameters
    ----------
    head : VelocityHead
        Of the calibration.
    """

    rule = "frozen"

    def __init__(self, head: VelocityHead) -> None:
        self.head = head

    def watch(self, step: Step) -> None:
        """Nothing follows from it."""

    def adopt(self, head: VelocityHead) -> None:
        """Go on with another."""
        self.head = head


class PathKeeper:
    """Gathers steps until a target is acquired or given up; keeps one path at a time.

    Parameters
    ----------
    longest_s : float
        Of a path that is not yet ended, only this much of its end is kept.
    """

    def __init__(self, longest_s: float = 60.0) -> None:
        self._longest_s, self._seconds = longest_s, 0.0
        self._steps: list[Step] = []

    def add(self, step: Step) -> Path | None:
        """A step; gives the path if it ended with this one."""
        self._steps.append(step)
        self._seconds += step.seconds
        if self._seconds > self._longest_s:
            self._seconds -= self._steps.pop(0).seconds
        if step.ended is None:
            return None
        steps, seconds = self._steps, self._seconds
        self._steps, self._seconds = [], 0.0
        return Path(
            features=np.array([one.features for one in steps]),
            positions=np.array([one.position for one in steps]),
            velocities=np.array([one.velocity for one in steps]),
            seconds=seconds,
            target=step.target,
            acquired=step.ended,
        )
