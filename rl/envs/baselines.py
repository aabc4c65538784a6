"""What the simplest decoders reach in the environments, under each drift. As JSON.

    python -m diverloop.rl.envs.baselines [--people 20] [--drifts shift,rotation] [--arms frozen]

Every person is a seed; people 0 and up are for reporting, people from 100 on for tuning. The
decoder is a prototype head fitted on the calibration that each episode begins with. The arms need
no package beside this one: *frozen* changes nothing, *recentred* follows the mean of all windows,
and the *oracle* is told what was meant after each decision and follows the mean of each class.

References
----------
- Efron, Tibshirani. An Introduction to the Bootstrap, 1993.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np

from ...runtime.errors import ConfigError
from ...runtime.prototype_head import Floats, PrototypeHead
from ..learners.frozen import Frozen
from ..learners.learner import Learner
from ..trial import UNKNOWN, Reward, Trial
from .bridge import play
from .drift import DRIFTS
from .messenger import NOTHING, TRUTH
from .registration import ENVIRONMENTS

ONSET, RAMP = 40, 60
"""Trials before a drift begins, and that it takes where it is gradual."""

FORGETS = 0.05
"""Share of the new in a running mean: a half-life of 14 trials."""

_WITH_PEOPLE = ("MotorImagery-v0", "P300Speller-v0")
_JUMPS = ("abrupt_recap", "strategy_switch")
_DRAWS = 2000


class MeanFollower(Frozen):
    """Moves the centre so that the running mean of windows stays where calibration had it."""

    rule = "the centre follows the mean of all windows"

    def see(self, trial: Trial) -> None:
        """Move the centre a little, by good trials only."""
        if trial.quality < 0.5:
            return
        # A window of class k is expected in the share in which the head believes in it, or flashes
        # that are mostly no target would pull the centre to where nontargets lie.
        shares = trial.shares(trial.posterior(self.head), len(self.head.classes))
        expected = (shares @ self.head.prototypes).mean(axis=0)
        off = self.head.project(trial.features).mean(axis=0) - expected
        self.adopt(replace(self.head, centre=self.head.centre + FORGETS * off))


class ClassFollower(Frozen):
    """Knows what was meant, and moves the prototype of each class to the mean of its windows."""

    rule = "prototypes follow what was meant"

    def __init__(self, head: PrototypeHead) -> None:
        super().__init__(head)
        self._last: Trial | None = None

    def see(self, trial: Trial) -> None:
        """Remember it until the truth is told, which is at once."""
        self._last = trial

    def hear(self, reward: Reward) -> None:
        """Move the prototypes of the classes that the windows were of."""
        trial = self._last
        if trial is None or reward.meant == UNKNOWN or trial.quality < 0.5:
            return
        points, classes = self.head.project(trial.features), trial.under[reward.meant]
        prototypes = self.head.prototypes.copy()
        for k in np.unique(classes):
            prototypes[k] += FORGETS * (points[classes == k].mean(axis=0) - prototypes[k])
        self.adopt(replace(self.head, prototypes=prototypes))


ARMS: dict[str, tuple[Callable[[PrototypeHead], Learner], str]] = {
    "frozen": (Frozen, NOTHING),
    "recentred": (MeanFollower, NOTHING),
    "oracle": (ClassFollower, TRUTH),
}
"""Who decides, and what they are told."""


def interval(values: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """Interval of 95 % for the mean over people, by resampling them.

    Parameters
    ----------
    values : sequence of float
        One for each person.
    seed : int
        Of the resampling.

    Returns
    -------
    low, high : float
        Percentiles.
    """
    data = np.asarray(values, dtype=np.float64)
    drawn = np.random.default_rng(seed).integers(len(data), size=(_DRAWS, len(data)))
    low, high = np.percentile(data[drawn].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def late_accuracy(name: str, drift: str, arm: str, people: Sequence[int]) -> Floats:
    """Accuracy of the second half of an episode, when every drift has reached its size.

    Parameters
    ----------
    name : str
        Of an environment in which people are simulated.
    drift : str
        Of `DRIFTS`.
    arm : str
        Of `ARMS`.
    people : sequence of int
        Seeds.

    Returns
    -------
    accuracy : ndarray, shape (n_people,)
        Of each.
    """
    env = gymnasium.make(name, disable_env_checker=True, n_trials=2 * (ONSET + RAMP))
    make, told = ARMS[arm]
    setting = {"kind": drift, "onset": ONSET, "over": 1 if drift in _JUMPS else RAMP}
    played = [
        play(env, make, seed=seed, options={"drift": setting, "user": seed}, told=told)
        for seed in people
    ]
    return np.array([one.accuracy(ONSET + RAMP) for one in played])


def measure(
    name: str, drifts: Sequence[str], arms: Sequence[str], people: Sequence[int]
) -> dict[str, dict[str, Any]]:
    """The table, by drift and arm.

    Parameters
    ----------
    name : str
        Of the environment.
    drifts, arms : sequence of str
        Rows and columns.
    people : sequence of int
        Seeds.

    Returns
    -------
    table : dict
        Mean accuracy with its interval over people; for other arms than frozen also the mean gain
        on it, person by person, with its interval.
    """
    table: dict[str, dict[str, Any]] = {}
    for drift in drifts:
        frozen = late_accuracy(name, drift, "frozen", people)
        row = table[drift] = {}
        for arm in arms:
            values = frozen if arm == "frozen" else late_accuracy(name, drift, arm, people)
            row[arm] = _summary(values)
            if arm != "frozen":
                row[arm]["gain"] = _summary(values - frozen)
    return table


def _summary(values: Floats) -> dict[str, Any]:
    low, high = interval(values.tolist())
    return {"mean": round(float(values.mean()), 4), "interval": [round(low, 4), round(high, 4)]}


def _names(text: str, known: Sequence[str]) -> list[str]:
    """Names separated by commas, all of them known."""
    names = text.split(",") if text else list(known)
    if unknown := [name for name in names if name not in known]:
        raise ConfigError(f"There is no {unknown[0]!r}; known are {', '.join(known)}.")
    return names


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what the command line asks for, and write it to the standard output."""
    parser = argparse.ArgumentParser(prog="diverloop.rl.envs.baselines", description=__doc__)
    known = [name for name in ENVIRONMENTS if name.split("/")[1] in _WITH_PEOPLE]
    parser.add_argument("--env", default=known[0], choices=known)
    parser.add_argument("--drifts", default="", help="separated by commas; all if none is given")
    parser.add_argument("--arms", default="", help="separated by commas; all if none is given")
    parser.add_argument("--people", type=int, default=20, help="how many, numbered from --first")
    parser.add_argument("--first", type=int, default=0, help="100 and more are for tuning")
    asked = parser.parse_args(arguments)
    people = list(range(asked.first, asked.first + max(2, asked.people)))
    drifts = _names(asked.drifts, [kind for kind in DRIFTS if kind != "recorded"])
    table = measure(asked.env, drifts, _names(asked.arms, list(ARMS)), people)
    json.dump({"env": asked.env, "people": [people[0], people[-1]], "late": table},
              sys.stdout, indent=1)  # fmt: skip
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
