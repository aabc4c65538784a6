"""How a simulated person steers a cursor: by what was seen a while ago and what was meant since.

The person sees the cursor late, rolls it forward with a model of the cursor and of the own recent
intentions, pushes towards the target and brakes near it, as the piecewise linear model of people
with intracortical interfaces does [1]_. Two things are learnt meanwhile: how fast and how
sluggishly the cursor answers (in seconds), and, slowly and not fully, to aim beside the target if
the cursor goes astray, as with rotated cursors [2]_.

References
----------
.. [1] Willett et al. Principled BCI decoder design and parameter selection using a feedback control
   model. Scientific Reports, 2019.
.. [2] Chase, Kass, Schwartz. Behavioral and neural correlates of visuomotor adaptation observed
   through a brain-computer interface in primary motor cortex. J. Neurophysiology, 2012.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import ConfigError

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerConfig:
    """How a person steers. Lengths are in half widths of the workspace.

    Parameters
    ----------
    visual_delay_s : float
        Age of what is seen by the time it changes the intention.
    slow_within : float
        Distance to the target within which the push grows weaker.
    braking_s : float
        Seconds of movement, at the velocity believed, that the person brakes ahead of.
    motor_noise : float
        Standard deviation of the intention as a share of its size, slow (half lost in 0.1 s).
    forgetting_s : float
        Time within which the model of the cursor's speed and sluggishness is learnt anew.
    aiming_rate : float
        Share of the angle by which the cursor went astray that a second of steering corrects.
    aiming_limit : float
        Radians that the person can aim beside the target.
    """

    visual_delay_s: float = 0.2
    slow_within: float = 0.35
    braking_s: float = 0.15
    motor_noise: float = 0.15
    forgetting_s: float = 20.0
    aiming_rate: float = 0.003
    aiming_limit: float = 0.35

    def __post_init__(self) -> None:
        for name in ("slow_within", "forgetting_s"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigError(
                    f"{name} of a controller must be positive, got {getattr(self, name)}: give a "
                    f"positive number."
                )
        for name in ("visual_delay_s", "braking_s", "motor_noise", "aiming_rate", "aiming_limit"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(
                    f"{name} of a controller must not be negative, got {getattr(self, name)}: give "
                    f"0 or more."
                )


class Controller:
    """Sees a cursor and a target step by step, and gives an intention.

    Parameters
    ----------
    config : ControllerConfig
        How the person steers.
    step_s : float
        Length of a step.
    rng : numpy.random.Generator
        Where motor noise comes from.
    """

    Config = ControllerConfig

    def __init__(
        self, config: ControllerConfig, *, step_s: float, rng: np.random.Generator
    ) -> None:
        self._config, self._step_s, self._rng = config, step_s, rng
        late = round(config.visual_delay_s / step_s)
        self._screen: deque[tuple[Floats, Floats, Floats]] = deque(maxlen=late + 1)
        self._meant: deque[Floats] = deque(maxlen=late + 1)
        self._model = CursorModel(forgetting=math.exp(-step_s / config.forgetting_s), step_s=step_s)
        self._tremor = np.zeros(2)
        self.aim = 0.0
        """Angle that is added to where the person would steer, in radians."""

    def intend(self, position: Floats, velocity: Floats, target: Floats) -> Floats:
        """What is meant now, of length 1 at most, shape (2,).

        Parameters
        ----------
        position, velocity, target : ndarray, shape (2,)
            On the screen now; the person sees them after the visual delay.
        """
        self._screen.append((position.copy(), velocity.copy(), target.copy()))
        seen_position, seen_velocity, seen_target = self._screen[0]
        self._learn(seen_velocity)
        since = list(self._meant)[-(len(self._screen) - 1) :] if len(self._screen) > 1 else []
        here, speed = self._model.forward(seen_position, seen_velocity, since, self._step_s)
        towards = seen_target - here
        distance = math.hypot(*towards)
        push = min(1.0, distance / self._config.slow_within) / max(distance, 1e-9)
        brake = self._config.braking_s / self._config.slow_within
        wanted = push * towards - brake * speed * _near(distance, self._config.slow_within)
        meant = self._tremble(_turned(_shortened(wanted), self.aim))
        self._meant.append(_turned(meant, -self.aim))
        return meant

    def _learn(self, seen_velocity: Floats) -> None:
        """From the velocity that followed the oldest intention remembered."""
        if len(self._meant) == self._meant.maxlen and len(self._screen) == self._screen.maxlen:
            meant = self._meant[0]
            self._model.learn(seen_velocity, meant)
            self._aim_anew(seen_velocity, meant)

    def _aim_anew(self, seen: Floats, meant: Floats) -> None:
        size = math.hypot(*seen) * math.hypot(*meant)
        if size < 1e-6:
            return
        astray = math.atan2(meant[0] * seen[1] - meant[1] * seen[0], float(meant @ seen))
        step = self._config.aiming_rate * self._step_s * astray * math.hypot(*meant)
        limit = self._config.aiming_limit
        self.aim = min(limit, max(-limit, self.aim - step))

    def _tremble(self, wanted: Floats) -> Floats:
        keep = 0.5 ** (self._step_s / 0.1)
        fresh = self._rng.standard_normal(2) * math.sqrt(1 - keep**2)
        self._tremor = keep * self._tremor + fresh
        size = self._config.motor_noise * math.hypot(*wanted)
        return _shortened(wanted + size * self._tremor)


class CursorModel:
    """What a person believes of a cursor: it keeps a part of its velocity, and takes up the rest.

    Parameters
    ----------
    forgetting : float
        Weight of the past after a step, below 1.
    step_s : float
        Length of a step.
    """

    def __init__(self, *, forgetting: float, step_s: float) -> None:
        self._forgetting = forgetting
        self.keeps, self.takes = 0.5 ** (step_s / 0.15), 1 - 0.5 ** (step_s / 0.15)
        # As strong as five seconds of moving: a person comes with an idea of how cursors go.
        strength = 5.0 / step_s * 0.3
        self._uu = self._vv = strength
        self._uv = 0.0
        self._ub, self._vb = strength * self.takes, strength * self.keeps
        self._before = np.zeros(2)

    def learn(self, velocity: Floats, meant: Floats) -> None:
        """Least squares, forgetting, of a velocity from the one before and what was meant."""
        old, f = self._before, self._forgetting
        self._uu = f * self._uu + float(meant @ meant)
        self._vv = f * self._vv + float(old @ old)
        self._uv = f * self._uv + float(meant @ old)
        self._ub = f * self._ub + float(meant @ velocity)
        self._vb = f * self._vb + float(old @ velocity)
        self._before = velocity
        determinant = self._uu * self._vv - self._uv**2
        if determinant > 1e-6:
            keeps = (self._uu * self._vb - self._uv * self._ub) / determinant
            takes = (self._vv * self._ub - self._uv * self._vb) / determinant
            self.keeps, self.takes = min(0.98, max(0.0, keeps)), min(5.0, max(0.01, takes))

    def forward(
        self, position: Floats, velocity: Floats, meant: list[Floats], step_s: float
    ) -> tuple[Floats, Floats]:
        """Where the cursor must be by now, and how fast, if it did as it was meant to.

        Parameters
        ----------
        position, velocity : ndarray, shape (2,)
            As seen.
        meant : list of ndarray, shape (2,)
            Intentions since.
        step_s : float
            Length of a step.

        Returns
        -------
        position, velocity : ndarray, shape (2,)
            Believed.
        """
        for u in meant:
            velocity = self.keeps * velocity + self.takes * u
            position = position + step_s * velocity
        return position, velocity


def _near(distance: float, within: float) -> float:
    """How much braking there is: none beyond twice the distance in which the push is weaker."""
    return min(1.0, max(0.0, 2.0 - distance / within))


def _turned(vector: Floats, angle: float) -> Floats:
    c, s = math.cos(angle), math.sin(angle)
    return np.array([c * vector[0] - s * vector[1], s * vector[0] + c * vector[1]])


def _shortened(vector: Floats) -> Floats:
    size = math.hypot(*vector)
    return vector if size <= 1.0 else vector / size
