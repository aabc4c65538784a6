"""Decoders that adapt while somebody steers: ``diverloop/Cursor-v0`` after two kinds of drift.

    .venv/bin/python tests/bench/cursor_learning.py

Prints one JSON object. PERSONS=4 TARGETS=60 for a quick look (16 and 120 by default; minutes of one
core for each person). Seeds from 0; settings were looked at on seeds from 100 only.

Each person (lapses, fatigue, frustration drawn) calibrates in open loop and steers a session.
``rotation``: all preferred directions turn by 45 degrees at target 10. ``slow``: they turn by 60
degrees between targets 10 and the end. ``none``: nothing changes, to see what adapting costs.

Arms: ``frozen``; ``smooth_batch`` and ``refit`` are told the target by the program; ``hindsight``
is SmoothBatch that takes where a selection was made as the target of the path before, and is told
no target; ``actor_critic`` is told no target, only acquired or given up, time, and error signals
(balanced accuracy 0.75, once a second, late). ``exploring`` is the actor-critic that tries and
never learns: what it costs to explore. ``recalibrated`` is a decoder calibrated anew with the
drift in place, whole (for ``slow``, as it is in the end), from the first target on: it may be wrong
before, and is the oracle after.

Time of a target that was given up counts whole (10 s). ``last`` is the last third of the targets,
``after`` all since the drift began. Intervals are 95 %, bootstrap over persons; ``against_frozen``
is paired.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from cursor_effects import interval

from diverloop.rl.closed_loop.actor_critic import ActorCritic, ActorCriticConfig
from diverloop.rl.closed_loop.intentions import IntentionConfig
from diverloop.rl.closed_loop.session import calibrate, steer
from diverloop.rl.closed_loop.smooth_batch import SmoothBatch, SmoothBatchConfig, refit
from diverloop.rl.closed_loop.steering import Frozen, VelocityLearner
from diverloop.rl.closed_loop.velocity_head import VelocityHead
from diverloop.rl.envs.cursor import CursorEnv
from diverloop.rl.envs.tuning import TuningDriftConfig

FIRST = int(os.environ.get("FIRST", "0"))
PERSONS = int(os.environ.get("PERSONS", "16"))
TARGETS = int(os.environ.get("TARGETS", "120"))
ONSET = 10

DRIFTS = {
    "none": TuningDriftConfig(),
    "rotation": TuningDriftConfig(kind="rotation", size=math.pi / 4, onset=ONSET),
    "slow": TuningDriftConfig(
        kind="rotation", size=math.pi / 3, onset=ONSET, trials=TARGETS - ONSET
    ),
}
TOLD = {"smooth_batch", "refit"}
ARMS: dict[str, Callable[[VelocityHead, int], VelocityLearner]] = {
    "frozen": lambda head, _: Frozen(head),
    "smooth_batch": lambda head, _: SmoothBatch(head),
    "refit": lambda head, _: SmoothBatch(head, refit()),
    "hindsight": lambda head, _: SmoothBatch(
        head, SmoothBatchConfig(intentions=IntentionConfig(target="hindsight"))
    ),
    "actor_critic": lambda head, seed: ActorCritic(head, ActorCriticConfig(seed=seed)),
    "exploring": lambda head, seed: ActorCritic(head, ActorCriticConfig(seed=seed, actor_rate=0.0)),
    "recalibrated": lambda head, _: Frozen(head),
}


def person(seed: int, drift: TuningDriftConfig) -> dict[str, np.ndarray]:
    """Success and time of every target, shape (2, n_targets), by arm."""
    shown, hidden = CursorEnv(target_shown=True), CursorEnv()
    head = calibrate(shown, seed=seed)
    whole = replace(drift, onset=0, trials=0)
    outcomes = {}
    for arm, make in ARMS.items():
        used = head if arm != "recalibrated" else calibrate(shown, seed=seed, drift=whole)
        env = shown if arm in TOLD else hidden
        options = {"n_targets": TARGETS, "drift": drift}
        session = steer(env, make(used, seed), seed=seed, options=options)
        outcomes[arm] = np.stack([session.acquired.astype(float), session.took_s])
    return outcomes


def main() -> None:
    """Print the JSON."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    told: dict[str, object] = {"persons": PERSONS, "first_seed": FIRST, "targets": TARGETS}
    spans = {"after": slice(ONSET, None), "last": slice(-(TARGETS // 3), None)}
    for name, drift in DRIFTS.items():
        rows = [person(seed, drift) for seed in range(FIRST, FIRST + PERSONS)]
        table = {arm: np.stack([row[arm] for row in rows]) for arm in ARMS}
        told[name] = {
            arm: {
                span: {
                    "success": interval(values[:, 0, where].mean(axis=1)),
                    "time_s": interval(values[:, 1, where].mean(axis=1)),
                    "against_frozen_s": interval(
                        (values - table["frozen"])[:, 1, where].mean(axis=1)
                    ),
                }
                for span, where in spans.items()
            }
            for arm, values in table.items()
        }
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
