"""Decisions to a velocity: continuous control of a cursor, a chair, an arm.

Each class that has a direction pulls along it, as far as its probability exceeds chance. The pull
is smoothed by a leaky integrator, and what is left of it behind a dead zone is the velocity. Where
nothing can be decoded it is zero at once: what moves on after its signal is lost cannot be stopped
by thought.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from .errors import ConfigError
from .messages import Command, Decision

Vector = tuple[float, ...]

STANDING = "standing still: no direction stands out"
NOT_FINITE = "standing still: the probabilities are not finite"

_MOST_AXES = 3
_UNIT_WITHIN = 0.01  # people write 0.71 for the half of a right angle


@dataclass(frozen=True, slots=True, kw_only=True)
class VelocityConfig:
    """How probabilities become a velocity.

    Parameters
    ----------
    directions : mapping of str to sequence of float
        Where each class pulls to: a vector of length 1 with as many numbers as there are axes, 1
        to 3. A class without one, such as rest, pulls nowhere, so the velocity fades while it
        leads.
    time_constant_s : float
        With which the velocity follows the pull, 0 to 10 s; 0 follows at once.
    dead_zone : float
        Share of the full pull below which nothing moves, 0 to below 1. Behind it the speed begins
        at 0, so there is no jump.
    gain : float
        Speed per pull, above 0 to 10.
    maximum : float
        Largest speed, as a share of the full one, above 0 to 1.
    patience_s : float
        Decisions further apart than this begin from rest, above 0 to 60 s.

    Raises
    ------
    ConfigError
        If a value is out of range, or directions are none, no unit vectors or of several lengths.
    """

    directions: Mapping[str, Vector]
    time_constant_s: float = 0.3
    dead_zone: float = 0.1
    gain: float = 1.0
    maximum: float = 1.0
    patience_s: float = 1.0

    def __post_init__(self) -> None:
        if not self.directions:
            raise ConfigError(
                "feedback.directions is empty: name at least one class and where it pulls to, for "
                "example left = [-1.0, 0.0]."
            )
        for name, vector in self.directions.items():
            _check_direction(name, vector)
        lengths = sorted({len(vector) for vector in self.directions.values()})
        if len(lengths) > 1:
            raise ConfigError(
                f"feedback.directions must all have as many axes, got {lengths[0]} and "
                f"{lengths[-1]}: fill up with zeros."
            )
        for name, low, high, unit, low_too in (
            ("time_constant_s", 0.0, 10.0, " s", True),
            ("gain", 0.0, 10.0, "", False),
            ("maximum", 0.0, 1.0, "", False),
            ("patience_s", 0.0, 60.0, " s", False),
        ):
            value = getattr(self, name)
            if not (low <= value <= high and (low_too or value > low)):
                raise ConfigError(
                    f"feedback.{name} must be in {'[' if low_too else '('}{low:g}, {high:g}]"
                    f"{unit}, got {value}{unit}."
                )
        if not 0 <= self.dead_zone < 1:
            raise ConfigError(
                f"feedback.dead_zone must be in [0, 1), got {self.dead_zone}: at 1 nothing would "
                f"ever move."
            )

    @property
    def n_axes(self) -> int:
        """Along how many axes there is a velocity."""
        return len(next(iter(self.directions.values())))


def _check_direction(name: str, vector: Vector) -> None:
    numbers = isinstance(vector, tuple | list) and all(
        isinstance(x, int | float) and not isinstance(x, bool) for x in vector
    )
    if not numbers or not 1 <= len(vector) <= _MOST_AXES:
        raise ConfigError(
            f"feedback.directions.{name} must be 1 to {_MOST_AXES} numbers, got {vector!r}."
        )
    length = math.hypot(*vector)
    if not abs(length - 1) <= _UNIT_WITHIN:
        raise ConfigError(
            f"feedback.directions.{name} must have length 1, got {vector!r} with {length:g}: "
            f"divide by that, and set the speed with gain; leave the class out if it pulls nowhere."
        )


class VelocityFeedback:
    """Leaky integration of where the probabilities pull to.

    With n classes, class k pulls with ``e_k = max(0, p_k - 1/n) / (1 - 1/n)`` along its direction
    d_k: nothing at chance, 1 if it is certain, and never more than 1 together. The velocity's state
    follows ``v <- a v + (1 - a) sum_k e_k d_k`` with ``a = exp(-dt / time_constant)``, so that the
    distance between decisions does not change how fast it answers.

    Parameters
    ----------
    config : VelocityConfig
        Directions, time constant, dead zone, limits.
    classes : tuple of str, optional
        Of the decoder; empty does not check them.

    Raises
    ------
    ConfigError
        If a direction belongs to no class.

    Notes
    -----
    A command is neutral exactly if its velocity is zero, also while an old movement fades: a guard
    that lets nothing but neutral commands pass lets nothing move. While something moves, the
    command bears the class whose direction is nearest to that of the velocity, and the speed is its
    strength. Nothing is ever selected.
    """

    Config = VelocityConfig

    def __init__(self, config: VelocityConfig, classes: tuple[str, ...] = ()) -> None:
        unknown = sorted(set(config.directions) - set(classes)) if classes else []
        if unknown:
            raise ConfigError(
                f"feedback.directions names {', '.join(unknown)}, and the decoder knows "
                f"{', '.join(classes)}: name its classes."
            )
        self._config = config
        self._directions = {name: _unit(vector) for name, vector in config.directions.items()}
        self._rest = (0.0,) * config.n_axes
        self._state = self._rest
        self._last_ns: int | None = None

    def advance(self, decision: Decision, now_ns: int) -> Command:
        """Take one decision into account.

        Parameters
        ----------
        decision : Decision
            What the adapter said.
        now_ns : int
            Loop time.

        Returns
        -------
        command : Command
            With the velocity; neutral and at rest at once if the decision was neutral.
        """
        if decision.label is None:
            return self._stop(decision.reason)
        pull = self._pull(decision)
        if not all(map(math.isfinite, pull)):
            return self._stop(NOT_FINITE)
        self._follow(pull, now_ns)
        velocity = self._velocity()
        if not any(velocity):
            return Command(label=None, reason=STANDING, velocity=self._rest)
        label = max(self._directions, key=lambda name: _along(self._directions[name], velocity))
        return Command(label=label, strength=min(1.0, math.hypot(*velocity)), velocity=velocity)

    def _stop(self, reason: str) -> Command:
        self._state, self._last_ns = self._rest, None
        return Command(label=None, reason=reason, velocity=self._rest)

    def _pull(self, decision: Decision) -> Vector:
        n_classes = len(decision.classes)
        chance = 1 / n_classes if n_classes > 1 else 0.0
        total = list(self._rest)
        for name, probability in zip(
            decision.classes, decision.probabilities.tolist(), strict=True
        ):
            # max() would swallow NaN, which has to come out.
            above = 0.0 if probability <= chance else (probability - chance) / (1 - chance)
            for axis, part in enumerate(self._directions.get(name, ())):
                total[axis] += above * part
        return tuple(total)

    def _follow(self, pull: Vector, now_ns: int) -> None:
        elapsed_s = math.inf if self._last_ns is None else (now_ns - self._last_ns) / 1e9
        self._last_ns = now_ns
        if elapsed_s > self._config.patience_s:
            self._state = self._rest
            elapsed_s = 0.0
        constant_s = self._config.time_constant_s
        keep = math.exp(-elapsed_s / constant_s) if constant_s else 0.0
        self._state = tuple(
            keep * old + (1 - keep) * new for old, new in zip(self._state, pull, strict=True)
        )

    def _velocity(self) -> Vector:
        """What is left behind the dead zone, along the same direction."""
        config, pull = self._config, math.hypot(*self._state)
        left = (pull - config.dead_zone) / (1 - config.dead_zone)
        if pull == 0 or left <= 0:
            return self._rest
        scale = min(config.gain * left, config.maximum) / pull
        most = config.maximum
        # Rounding may carry a component past the limit by a last bit.
        return tuple(max(-most, min(most, scale * part)) for part in self._state)


def _unit(vector: Vector) -> Vector:
    length = math.hypot(*vector)
    return tuple(float(part) / length for part in vector)


def _along(direction: Vector, velocity: Vector) -> float:
    return sum(a * b for a, b in zip(direction, velocity, strict=True))
