"""Does a protocol that follows the person beat a fixed one? Over simulated persons, as JSON.

    .venv/bin/python tests/bench/protocol.py [--tune]

Persons of seeds below 100 are reported; ``--tune`` takes seeds 100 to 199, on which the settings
were chosen. Every person goes through the same sessions in each arm: ``usual`` keeps the usual
settings, ``random`` draws among those that the bounds allow, ``bandit`` is `ProgressBandit`,
``progress only`` the same without fatigue and frustration as costs, ``known`` knows the person's
best settings and moves there as fast as it may. What counts is what has been learnt at the end,
without the noise of probes, and the mean of the signs of fatigue and frustration.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from diverloop.rl.protocol.bounds import Dose, ProtocolBounds
from diverloop.rl.protocol.history import Outcome
from diverloop.rl.protocol.progress import ProgressBandit, ProgressConfig
from diverloop.rl.protocol.trainee import Trainee, TraineeConfig
from diverloop.runtime.json_text import json_text

SESSIONS = 20
BOUNDS = ProtocolBounds()
PEOPLE = {
    "people differ": TraineeConfig(),
    "people differ, noisy probes": TraineeConfig(probe_noise=0.5),
    "people differ little": TraineeConfig(difficulty_spread=0.2, block_spread=0.2),
    "usual settings are best for all": TraineeConfig(difficulty_spread=0.0, block_spread=0.0),
    "settings hardly matter": TraineeConfig(tolerance=3.0),
}

Policy = Callable[[Trainee, Sequence[Outcome], int], Dose]


def _usual(person: Trainee, outcomes: Sequence[Outcome], seed: int) -> Dose:
    return BOUNDS.usual


def _random(person: Trainee, outcomes: Sequence[Outcome], seed: int) -> Dose:
    doses = BOUNDS.doses(outcomes[-1].dose if outcomes else None)
    return doses[np.random.default_rng((seed, len(outcomes))).integers(len(doses))]


def _known(person: Trainee, outcomes: Sequence[Outcome], seed: int) -> Dose:
    return max(BOUNDS.doses(outcomes[-1].dose if outcomes else None), key=person.efficiency)


def _bandit(config: ProgressConfig) -> Policy:
    bandit = ProgressBandit(BOUNDS, config)
    return lambda person, outcomes, seed: bandit.suggest(outcomes, f"person {seed}").dose


def arms(config: ProgressConfig) -> dict[str, Policy]:
    """Every arm by name."""
    free = replace(config, fatigue_cost=0.0, frustration_cost=0.0)
    return {
        "usual": _usual,
        "random": _random,
        "bandit": _bandit(config),
        "progress only": _bandit(free),
        "known": _known,
    }


def course(person: Trainee, policy: Policy, seed: int) -> tuple[float, float, float]:
    """Skill at the end, and the mean signs of fatigue and frustration."""
    outcomes: list[Outcome] = []
    for _ in range(SESSIONS):
        outcomes.append(person.train(policy(person, outcomes, seed)))
    signs = [(outcome.fatigue, outcome.frustration) for outcome in outcomes]
    fatigue, frustration = np.mean(signs, axis=0).tolist()
    return person.skill, fatigue, frustration


def compared(config: TraineeConfig, bandit: ProgressConfig, seeds: range) -> dict[str, object]:
    """Every arm against the usual protocol, person by person."""
    found = {
        name: np.array([course(Trainee(BOUNDS, config, seed), policy, seed) for seed in seeds])
        for name, policy in arms(bandit).items()
    }
    told: dict[str, object] = {}
    for name, values in found.items():
        better = values[:, 0] - found["usual"][:, 0]
        told[name] = {
            "skill": values[:, 0].mean(),
            "more_than_usual": better.mean(),
            "interval_95": _interval(better),
            "share_of_people_worse_by_0.05": float((better < -0.05).mean()),
            "share_of_people_better_by_0.05": float((better > 0.05).mean()),
            "fatigue": values[:, 1].mean(),
            "frustration": values[:, 2].mean(),
        }
    return told


def _interval(differences: np.ndarray) -> list[float]:
    """Of the mean over persons, by bootstrap."""
    rng = np.random.default_rng(0)
    picks = rng.integers(len(differences), size=(2000, len(differences)))
    return np.quantile(differences[picks].mean(axis=1), [0.025, 0.975]).tolist()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tune", action="store_true", help="the seeds that settings come from")
    seeds = range(100, 200) if parser.parse_args().tune else range(100)
    told = {name: compared(people, ProgressConfig(), seeds) for name, people in PEOPLE.items()}
    print(json_text({"sessions": SESSIONS, "seeds": [seeds[0], seeds[-1]], "people": told}))


if __name__ == "__main__":
    main()
