"""What changes between calibration and now: a library of drifts, by name in ``DRIFTS``.

A drift acts in the whitened space in which people's classes live, where noise within a class has
variance one in every direction, or on the features that come of it. It is a function of the trial
and of the directions that an episode drew, and has no state: the same seed gives the same drift.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

import numpy as np

from ...runtime.errors import ConfigError
from ...runtime.prototype_head import Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Directions:
    """Where the drifts of one episode point.

    Parameters
    ----------
    means : ndarray, shape (n_classes, n_dims)
        Of the classes at calibration, in the whitened space.
    common : ndarray, shape (n_dims,)
        Length 1; four fifths of it lie between classes, where it hurts.
    own : ndarray, shape (n_classes, n_dims)
        One for each class, of length 1 before what all share was taken out: they sum to 0, so that
        recentring cannot undo them.
    new : ndarray, shape (n_classes, n_dims)
        Length 1, away from where the classes are.
    planes : ndarray, shape (2, n_planes, n_dims)
        Pairs of directions to rotate in: one between classes, one away from them.
    order : ndarray of int, shape (n_features,)
        In which order features die.
    """

    means: Floats
    common: Floats
    own: Floats
    new: Floats
    planes: Floats
    order: np.ndarray

    @classmethod
    def drawn(cls, means: Floats, n_features: int, rng: np.random.Generator) -> Self:
        """Draw them for one episode; always takes the same number of numbers from `rng`."""
        n_classes, n_dims = means.shape
        between = np.linalg.svd(means - means.mean(axis=0))[2]
        n_between = min(n_classes - 1, n_dims)
        inside, outside = between[:n_between], between[n_between:]
        common = 0.8 * _unit(rng.standard_normal(n_between) @ inside)
        common += 0.6 * _unit(rng.standard_normal(len(outside)) @ outside)
        own = _unit(rng.standard_normal((n_classes, n_dims)))
        new = _unit(rng.standard_normal((n_classes, len(outside))) @ outside)
        n_planes = min(n_between, len(outside))
        return cls(
            means=means,
            common=_unit(common),
            own=own - own.mean(axis=0),
            new=new,
            planes=np.stack([inside[:n_planes], outside[:n_planes]]),
            order=rng.permutation(n_features),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Change:
    """What a drift does to one trial.

    Parameters
    ----------
    means : ndarray, shape (n_classes, n_dims)
        Where the classes are now, before modulation.
    shift : ndarray, shape (n_dims,)
        Moves everything, rest and noise included.
    gain : float
        Features are multiplied by it, about their mean at calibration.
    dead : ndarray of int
        Features that carry noise only.
    """

    means: Floats
    shift: Floats
    gain: float = 1.0
    dead: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How much, from when, and how fast.

    Parameters
    ----------
    size : float
        What full size means is said by each kind.
    onset : int
        Trial at which it begins.
    over : int
        Trials that it takes to reach full size; 1 is a jump.

    Raises
    ------
    ConfigError
        If a value is outside its bounds.
    """

    kind: ClassVar[str] = ""
    most: ClassVar[float] = 10.0
    size: float = 0.0
    onset: int = 0
    over: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.size <= self.most:
            raise ConfigError(
                f"Size of drift {self.kind!r} must be in [0, {self.most:g}], got {self.size}."
            )
        for name, low in (("onset", 0), ("over", 1)):
            if (value := getattr(self, name)) < low:
                raise ConfigError(
                    f"{name} of drift {self.kind!r} must be at least {low} trials, got {value}."
                )

    def amount(self, trial: int) -> float:
        """Size reached at a trial, counted from 0: none before the onset, then a ramp."""
        return self.size * min(max((trial - self.onset + 1) / self.over, 0.0), 1.0)

    def change(self, trial: int, to: Directions) -> Change:
        """What it does to a trial.

        Parameters
        ----------
        trial : int
            Counted from 0.
        to : Directions
            Of this episode.

        Returns
        -------
        change : Change
            None at all before the onset.
        """
        return _change(to)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoDrift(Drift):
    """All stays as it was at calibration. Size means nothing."""

    kind: ClassVar[str] = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift(Drift):
    """Covariate shift: everything moves together. Size in standard deviations of the noise."""

    kind: ClassVar[str] = "shift"
    size: float = 1.5
    over: int = 200

    def change(self, trial: int, to: Directions) -> Change:
        """Move rest and classes alike."""
        return _change(to, shift=self.amount(trial) * to.common)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation(Drift):
    """What tells classes apart turns into directions that said nothing. Size in degrees."""

    kind: ClassVar[str] = "rotation"
    most: ClassVar[float] = 180.0
    size: float = 60.0
    over: int = 200

    def change(self, trial: int, to: Directions) -> Change:
        """Turn the classes about rest."""
        angle = np.deg2rad(self.amount(trial))
        inside, outside = to.planes
        along = to.means @ inside.T
        turned = to.means + along @ ((np.cos(angle) - 1) * inside + np.sin(angle) * outside)
        return _change(to, means=turned)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassSelective(Drift):
    """Each class goes its own way. Size in standard deviations of the noise."""

    kind: ClassVar[str] = "class_selective"
    size: float = 1.5
    over: int = 200

    def change(self, trial: int, to: Directions) -> Change:
        """Move each class along its own direction; their middle stays."""
        return _change(to, means=to.means + self.amount(trial) * to.own)


@dataclass(frozen=True, slots=True, kw_only=True)
class AbruptRecap(Drift):
    """The cap was put on again: a jump of all classes, together and each for itself.

    Size in standard deviations of the noise; three fifths of it are common, four fifths own.
    """

    kind: ClassVar[str] = "abrupt_recap"
    size: float = 2.0
    onset: int = 100

    def change(self, trial: int, to: Directions) -> Change:
        """Jump."""
        size = self.amount(trial)
        return _change(to, means=to.means + 0.8 * size * to.own, shift=0.6 * size * to.common)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain(Drift):
    """Amplitudes of all features grow slowly. Size is the logarithm of the final factor."""

    kind: ClassVar[str] = "gain"
    most: ClassVar[float] = 3.0
    size: float = 0.7
    over: int = 200

    def change(self, trial: int, to: Directions) -> Change:
        """Multiply."""
        return _change(to, gain=float(np.exp(self.amount(trial))))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelDeath(Drift):
    """Features turn into noise, one after another. Size is the share that is lost in the end."""

    kind: ClassVar[str] = "channel_death"
    most: ClassVar[float] = 1.0
    size: float = 0.4
    over: int = 200

    def change(self, trial: int, to: Directions) -> Change:
        """Lose features in the order drawn."""
        return _change(to, dead=to.order[: round(self.amount(trial) * len(to.order))])


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategySwitch(Drift):
    """The person imagines something else: classes go where none was, as far from rest as before.

    Size is the share of the way: 1 leaves nothing of the old.
    """

    kind: ClassVar[str] = "strategy_switch"
    most: ClassVar[float] = 1.0
    size: float = 0.6
    onset: int = 100

    def change(self, trial: int, to: Directions) -> Change:
        """Leave the old positions and take new ones."""
        size = self.amount(trial)
        lengths = np.linalg.norm(to.means, axis=1, keepdims=True)
        return _change(to, means=(1 - size) * to.means + size * lengths * to.new)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adversarial(Drift):
    """Slow poisoning: each class creeps to the place of the next, which self-training follows.

    Size is the share of the way: beyond one half a class looks like its neighbour.
    """

    kind: ClassVar[str] = "adversarial"
    most: ClassVar[float] = 1.0
    size: float = 0.6
    over: int = 200

    def change(self, trial: int, to: Directions) -> Change:
        """Move each class towards the next one."""
        following = np.concatenate([to.means[1:], to.means[:1]])
        return _change(to, means=to.means + self.amount(trial) * (following - to.means))


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded(Drift):
    """As far as a fitted person moved from run to run. Size is a factor on that.

    Parameters
    ----------
    common, own : float
        Length of the way of all classes together, and of each for itself, in standard deviations
        of the noise; an environment takes them from the person.
    """

    kind: ClassVar[str] = "recorded"
    size: float = 1.0
    over: int = 100
    common: float = 0.0
    own: float = 0.0

    def change(self, trial: int, to: Directions) -> Change:
        """Move both ways."""
        size = self.amount(trial)
        usual = float(np.sqrt((to.own**2).sum(axis=1).mean()))
        return _change(
            to,
            means=to.means + size * self.own / usual * to.own,
            shift=size * self.common * to.common,
        )


DRIFTS: dict[str, type[Drift]] = {
    drift.kind: drift
    for drift in (
        NoDrift, Shift, Rotation, ClassSelective, AbruptRecap, Gain, ChannelDeath, StrategySwitch,
        Adversarial, Recorded,
    )
}  # fmt: skip


def drift_of(wanted: str | Mapping[str, Any] | Drift | None) -> Drift:
    """The drift that an option names.

    Parameters
    ----------
    wanted : str, dict, Drift or None
        A name of ``DRIFTS``; a dict with ``kind`` and any of ``size``, ``onset`` and ``over``; the
        drift itself; None for no drift.

    Returns
    -------
    drift : Drift
        Valid.

    Raises
    ------
    ConfigError
        If the name or a setting is unknown, or a value is outside its bounds.
    """
    if wanted is None or isinstance(wanted, Drift):
        return wanted or NoDrift()
    settings = {"kind": wanted} if isinstance(wanted, str) else dict(wanted)
    kind = settings.pop("kind", None)
    if kind not in DRIFTS:
        raise ConfigError(f"There is no drift {kind!r}; known are {', '.join(DRIFTS)}.")
    known = [field.name for field in fields(Drift)]
    if unknown := sorted(set(settings) - set(known)):
        raise ConfigError(f"A drift has no {unknown[0]!r}; it has {', '.join(known)}.")
    return DRIFTS[kind](**settings)


def _unit(vectors: Floats) -> Floats:
    """Of length 1 along the last axis; nothing stays nothing."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit: Floats = vectors / np.where(lengths > 0, lengths, 1.0)
    return unit


def _change(
    to: Directions,
    *,
    means: Floats | None = None,
    shift: Floats | None = None,
    gain: float = 1.0,
    dead: np.ndarray | None = None,
) -> Change:
    """A change of what is named, and of nothing else."""
    return Change(
        means=to.means if means is None else means,
        shift=np.zeros(to.means.shape[1]) if shift is None else shift,
        gain=gain,
        dead=to.order[:0] if dead is None else dead,
    )
