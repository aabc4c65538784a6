"""What poisoned rewards cost, with the envelope and without; and whether garbage is ever promoted.

    python -m diverloop.tests.bench.poisoned_reward [--people 20] [--first 0] [--trials 120]
        [--worlds gaussians,MotorImagery] [--garbage 1000]

Rewards are of a detector of balanced accuracy 0.75 until trial `AFTER` and poisoned from then on.
Nothing drifts, so there is little to gain and much to lose; what the rule itself costs without any
poison is the row ``none``. The figure is the accuracy from `AFTER` on minus that of the frozen
decoder in the same world, person by person;
*worst* is the person who lost most. As JSON. People below 100 are for what is reported.

Three rules are told the poison: ``reward`` and ``bandit`` of the catalogue, and ``swapped``, a rule
that means harm and proposes the calibrated head with its classes exchanged, all the time.
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

from diverloop.rl.envelope.config import EnvelopeConfig
from diverloop.rl.envelope.envelope import Envelope
from diverloop.rl.envelope.version import Proposal
from diverloop.rl.envs import registration
from diverloop.rl.envs.baselines import interval
from diverloop.rl.envs.messenger import ERRORS, NOTHING
from diverloop.rl.learners.learner import Learner
from diverloop.rl.reward.confusion import Confusion
from diverloop.rl.study.arms import Arm
from diverloop.rl.study.living import live
from diverloop.rl.study.worlds import SimulatedWorld, Told
from diverloop.rl.study.worlds import World as Asking
from diverloop.rl.trial import ABSTAINED, Reward, Trial
from diverloop.runtime.catalog import find
from diverloop.runtime.prototype_head import PrototypeHead
from diverloop.tests.rl.envelope.streams import TRIAL_S, Detector, Garbage, Person, World

AFTER, DELAY = 30, 5
POISONS = ("none", "all right", "all wrong", "inverted", "delayed", "adversarial")
WORLDS = ("gaussians", "MotorImagery")
RULES = ("reward", "bandit", "swapped")
ENVELOPES = {"on": EnvelopeConfig(), "off": None}


class Gaussians:
    """Four classes in noise, and a detector that is right three times of four."""

    def __init__(self, seed: int, n_trials: int) -> None:
        self._person = Person(World(n_trials=n_trials), seed)
        self._detector = Detector(0.75, seed)
        self.head = self._person.head()
        self._n, self._meant = -1, -1

    def show(self) -> Trial | None:
        self._n += 1
        if self._n == self._person.world.n_trials:
            return None
        features, self._meant = self._person.trial(self._n)
        return Trial.plain(self._n, features, 4, ABSTAINED, at_s=self._n * TRIAL_S)

    def take(self, option: int) -> Told:
        reward = self._detector.reward(self._n, option == self._meant)
        return Told(meant=self._meant, session=0, rewards=(reward,))


class Poisoned:
    """A world whose rewards are spoilt from a trial on."""

    def __init__(self, world: Asking, poison: str) -> None:
        self._world, self._poison = world, poison
        self.head = world.head
        self.learner: Learner | None = None
        self._trials: dict[int, Trial] = {}
        self._earlier: list[Reward] = []
        self._shown: Trial | None = None

    def show(self) -> Trial | None:
        self._shown = self._world.show()
        return self._shown

    def take(self, option: int) -> Told:
        assert self._shown is not None
        self._trials[self._shown.number] = replace(self._shown, decided=option)
        told = self._world.take(option)
        return replace(told, rewards=tuple(self._spoilt(reward) for reward in told.rewards))

    def _spoilt(self, reward: Reward) -> Reward:
        self._earlier.append(reward)
        if reward.trial < AFTER or self._poison == "none":
            return reward
        if self._poison == "inverted":
            return replace(reward, log_odds=-reward.log_odds, value=1 - reward.value)
        if self._poison == "delayed":
            before = self._earlier[max(0, len(self._earlier) - 1 - DELAY)]
            return replace(reward, log_odds=before.log_odds, value=before.value)
        return Confusion().detected(reward.trial, self._wrong(reward.trial), at_s=reward.at_s)

    def _wrong(self, number: int) -> bool:
        """What the poison calls wrong; the adversary praises what the learner would have said."""
        if self._poison != "adversarial":
            return self._poison == "all wrong"
        assert self.learner is not None
        trial = self._trials[number]
        return int(trial.posterior(self.learner.head).argmax()) != trial.decided


class Swapped:
    """Proposes the calibrated head with its classes exchanged."""

    rule = "exchanges the classes"

    def __init__(self, head: PrototypeHead) -> None:
        self.head = replace(head, prototypes=np.roll(head.prototypes, 1, axis=0))

    def see(self, trial: Trial) -> None:
        """Pass over it."""

    def hear(self, reward: Reward) -> None:
        """Pass over it."""

    def adopt(self, head: PrototypeHead) -> None:
        """Never mind."""


def world_of(kind: str, seed: int, n_trials: int) -> Asking:
    """A person; the same seed gives the same one."""
    if kind == "gaussians":
        return Gaussians(seed, n_trials)
    name = f"diverloop/{kind}-v0"
    assert name in registration.ENVIRONMENTS
    env = gymnasium.make(name, n_trials=n_trials, disable_env_checker=True)
    options = {"drift": {"kind": "none"}, "user": {"lapses": 0.1}, "errp": 0.75}
    return SimulatedWorld(env, seed=seed, options=options)


def maker(rule: str) -> Callable[[PrototypeHead], Learner]:
    """What begins a rule from a head."""
    if rule == "swapped":
        return Swapped
    kind = find("learner", rule)
    return lambda head: kind(head, kind.Config())


def one_course(
    kind: str, seed: int, n_trials: int, rule: str, poison: str, envelope: EnvelopeConfig | None
) -> tuple[float, int]:
    """Accuracy from `AFTER` on, and promotions."""
    world = Poisoned(world_of(kind, seed, n_trials), poison)

    def make(head: PrototypeHead) -> Learner:
        world.learner = maker(rule)(head)
        return world.learner

    told = NOTHING if rule == "frozen" else ERRORS
    course = live(world, Arm(name=rule, make=make, told=told), envelope, seed=seed)
    return float(course.right[AFTER:].mean()), course.promotions


def figures(values: Sequence[float]) -> dict[str, float]:
    """Mean in points, its interval over persons, and the worst of them."""
    data = 100 * np.asarray(values)
    low, high = interval(data.tolist())
    named = {"mean": data.mean(), "low": low, "high": high, "worst": data.min()}
    return {name: round(float(value), 1) for name, value in named.items()}


def measure(
    kind: str, people: Sequence[int], n_trials: int, rules: Sequence[str]
) -> list[dict[str, Any]]:
    """Every rule and poison in a world."""
    frozen = [one_course(kind, seed, n_trials, "frozen", "none", None)[0] for seed in people]
    rows = []
    for rule in rules:
        for poison in POISONS:
            for name, envelope in ENVELOPES.items():
                courses = [one_course(kind, s, n_trials, rule, poison, envelope) for s in people]
                lost = [one[0] - f for one, f in zip(courses, frozen, strict=True)]
                rows.append({
                    "world": kind, "rule": rule, "poison": poison, "envelope": name,
                    "frozen": round(100 * float(np.mean(frozen)), 1), **figures(lost),
                    "promotions": round(float(np.mean([one[1] for one in courses])), 2),
                })  # fmt: skip
                sys.stderr.write(json.dumps(rows[-1]) + "\n")
    return rows


def garbage(kind: str, seed: int, count: int) -> int:
    """How many of so many random heads are promoted, with an honest detector."""
    world = world_of(kind, seed, 10_000 if kind == "gaussians" else 200)
    envelope, learner = Envelope(world.head, EnvelopeConfig()), Garbage(world.head, seed)
    promoted = offered = 0
    while offered < count and (shown := world.show()) is not None:
        trial = replace(shown, decided=int(shown.posterior(envelope.serving.head).argmax()))
        envelope.see(trial)
        for reward in world.take(trial.decided).rewards:
            envelope.hear(reward)
        for _ in range(10):
            learner.see(trial)
            envelope.propose(Proposal(head=learner.head, rule="garbage", trials=(trial.number,)))
            promoted += envelope.review(trial.at_s) is not None
            offered += 1
    return promoted


def main() -> None:
    """Measure, and write JSON to the standard output."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--trials", type=int, default=120)
    parser.add_argument("--worlds", default=",".join(WORLDS))
    parser.add_argument("--rules", default=",".join(RULES))
    parser.add_argument("--garbage", type=int, default=1000)
    asked = parser.parse_args()
    people = range(asked.first, asked.first + asked.people)
    worlds = asked.worlds.split(",")
    report = {
        "people": [people[0], people[-1]],
        "trials": asked.trials,
        "poisoned_from": AFTER,
        "garbage_offered": asked.garbage,
        "garbage_promoted": {kind: garbage(kind, asked.first, asked.garbage) for kind in worlds},
        "rows": [
            row
            for kind in worlds
            for row in measure(kind, people, asked.trials, asked.rules.split(","))
        ],
    }
    json.dump(report, sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
