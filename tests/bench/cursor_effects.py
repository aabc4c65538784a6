"""Known effects of gain, delay and smoothing on the simulated person of ``diverloop/Cursor-v0``.

    .venv/bin/python tests/bench/cursor_effects.py

Prints one JSON object; PERSONS=4 for a quick look (12 by default, seeds from 0; nothing was tuned
on seeds below 100). Each person calibrates in open loop, then steers 30 targets with each setting;
the first 10 are left out, in which the person gets used to the cursor. The person neither lapses
nor tires here. ``more`` is the mean over persons of what a setting has more than the first, with
its 95 % interval by bootstrap over persons.

What is expected, from people with intracortical arrays: a gain that is too low is slow and one that
is too high overshoots, so that the time has its least in the middle; smoothing makes the cursor
react later and move with less jitter (Willett et al., Scientific Reports, 2019); 100, 200 and 300
ms of added delay each make control worse (Willett et al., J. Neural Engineering, 2013).

Where the model fails: noise of features is Gaussian, white in time and does not depend on the
intention; the person's strategy does not change with the size of the target; targets are dwelt on,
never clicked; and there is one target at a time, so that nothing wrong can be selected.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import replace

import numpy as np

from diverloop.rl.closed_loop.session import Session, calibrate, steer
from diverloop.rl.closed_loop.steering import Frozen
from diverloop.rl.closed_loop.velocity_head import VelocityHead
from diverloop.rl.envs.cursor import CursorEnv
from diverloop.rl.envs.person import PersonConfig

FIRST = int(os.environ.get("FIRST", "0"))
PERSONS = int(os.environ.get("PERSONS", "12"))
TARGETS, LEFT_OUT = 30, 10
GAINS = (0.2, 0.4, 0.8, 1.2, 1.8)
SMOOTHINGS = (0.6, 0.8, 0.9, 0.95)
DELAYS_S = (0.0, 0.1, 0.2, 0.3)
MEASURES = ("mean_time_s", "success", "exits", "reaction_s", "jitter")


def measures(session: Session) -> dict[str, float]:
    """Of one session; time and success without the targets left out."""
    used = slice(LEFT_OUT, None)
    return {
        **session.score,
        "mean_time_s": float(session.took_s[used].mean()),
        "success": float(session.acquired[used].mean()),
    }


def summary(persons: list[list[dict[str, float]]], settings: tuple[float, ...]) -> list[object]:
    """Means over persons for each setting, and differences to the first."""
    table = np.array([[[one[name] for name in MEASURES] for one in row] for row in persons])
    rows = []
    for n, setting in enumerate(settings):
        row: dict[str, object] = {"setting": setting}
        for k, name in enumerate(MEASURES):
            row[name] = round(float(table[:, n, k].mean()), 3)
            row[f"{name}_more"] = interval(table[:, n, k] - table[:, 0, k])
        rows.append(row)
    return rows


def interval(values: np.ndarray) -> list[float]:
    """Mean and 95 % interval by bootstrap over persons."""
    picks = np.random.default_rng(0).integers(len(values), size=(2000, len(values)))
    low, high = np.quantile(values[picks].mean(axis=1), [0.025, 0.975])
    return [round(float(x), 3) for x in (values.mean(), low, high)]


def main() -> None:
    """Print the JSON."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    steady = PersonConfig.steady()
    shown = CursorEnv(person=steady, target_shown=True)
    env = CursorEnv(person=steady, n_targets=TARGETS)
    rows: dict[str, list[list[dict[str, float]]]] = {"gain": [], "smoothing": [], "delay": []}
    for seed in range(FIRST, FIRST + PERSONS):
        head = calibrate(shown, seed=seed)

        def go(used: VelocityHead, delay_s: float = 0.0, seed: int = seed) -> dict[str, float]:
            options = {"added_delay_s": delay_s}
            return measures(steer(env, Frozen(used), seed=seed, options=options))

        rows["gain"].append([go(replace(head, gain=gain)) for gain in GAINS])
        rows["smoothing"].append([go(replace(head, smoothing=keep)) for keep in SMOOTHINGS])
        rows["delay"].append([go(head, delay_s) for delay_s in DELAYS_S])
    told = {
        "persons": PERSONS,
        "first_seed": FIRST,
        "gain": summary(rows["gain"], GAINS),
        "smoothing": summary(rows["smoothing"], SMOOTHINGS),
        "delay_s": summary(rows["delay"], DELAYS_S),
    }
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
