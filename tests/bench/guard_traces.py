"""The guard and the second guard judge the same random sessions: what do they differ in?

    python tests/bench/guard_traces.py [--looks 1000000] [--seed 0]

Half of the sessions keep to binary fractions (times of 1/512 s, velocities of 1/8), where floats
are exact and every threshold is met and missed by one step; in the other half times are any
nanosecond, and velocities and limits any number. Time stands still, jumps ahead and runs back,
numbers are NaN, infinite or too large, and persons do several things between two looks. Label,
selection, reason, strength and state have to agree exactly, velocities to 1e-9. Prints one JSON
object: how many looks, sessions and disagreements, and how often each reason was given, so that
it can be seen that no rule was left out.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from diverloop.runtime.guard import Signal, next_state
from diverloop.runtime.limits import GuardConfig, Look, Memory, entered, judge
from diverloop.runtime.messages import Command

sys.path.append(str(Path(__file__).resolve().parents[1]))

from second_guard import SecondGuard

TICK_NS = 1_953_125  # 1/512 s
SIGNALS = {
    "arm": Signal.PERSON_ARMS,
    "disarm": Signal.PERSON_DISARMS,
    "stop": Signal.EMERGENCY_STOP,
    "seizure": Signal.SEIZURE_SUSPECTED,
    "reset": Signal.PERSON_RESETS,
    "watchdog": Signal.WATCHDOG,
}
TOLD = ((), ("arm",), ("disarm",), ("reset",), ("stop",), ("seizure",), ("watchdog",),
        ("disarm", "arm"), ("stop", "reset", "arm"))  # fmt: skip
SHARES = (0.93, 0.03, 0.002, 0.02, 0.002, 0.002, 0.002, 0.006, 0.006)
TICKS = (0, 1, 32, 64, 128, 129, 512, 8192, 30720, -32, -1024)
TICK_SHARES = (0.03, 0.1, 0.4, 0.2, 0.1, 0.04, 0.08, 0.007, 0.003, 0.03, 0.01)
WRONG = (math.nan, math.inf, -math.inf, 1.125, -1.125, 1.0 + 2**-52, 5.0)

Step = tuple[tuple[str, ...], Look]


def config_of(rng: np.random.Generator, exact: bool) -> GuardConfig:
    """Limits that a session often runs into."""

    def number(*grid: float) -> float:
        value = float(rng.choice(grid))
        return value if exact else round(value * rng.uniform(1.0, 1.5), 3)

    return GuardConfig(
        min_quality=number(0.0, 0.125, 0.5),
        late_in_row=int(rng.integers(1, 5)),
        max_speed=number(0.125, 0.375, 0.5) if rng.random() < 0.7 else 1.0,
        slew_per_s=number(0.25, 0.5, 2.0, 8.0, 512.0),
        reach_s=number(0.0, 0.125, 0.5, 4.0),
        selections_per_min=int(rng.choice([1, 2, 5, 60, 600])),
        min_dwell_s=number(0.0, 0.0625, 0.5, 2.0),
        break_every_s=number(60.0, 128.0, 512.0),
        armed_at_most_s=number(60.0, 120.0, 1024.0, 8192.0),
    )


def commands_of(rng: np.random.Generator, count: int, exact: bool) -> Iterator[Command]:
    """Labels that stay for a while, velocities mostly along one way, some numbers wrong."""
    labels = np.repeat(rng.choice(["a", "b", ""], count, p=[0.5, 0.35, 0.15]), 5)[:count]
    labels[rng.random(count) < 0.05] = ""
    sizes = rng.integers(0, 9, (count, 4)) / 8 if exact else rng.random((count, 4))
    ways = np.where(rng.random((count, 4)) < 0.8, 1, -1) * rng.choice([-1, 1], 4)
    axes = rng.choice([0, 1, 2, 3, 4], count, p=[0.1, 0.2, 0.39, 0.3, 0.01])
    strengths = rng.integers(0, 9, count) / 8
    selects = rng.random(count) < 0.2
    reasons = rng.choice(["", "no new data"], count)
    wrong = rng.random(count) < 0.02
    for i in range(count):
        velocity = (sizes[i, : axes[i]] * ways[i, : axes[i]]).tolist()
        strength = float(strengths[i])
        if wrong[i]:
            bad = WRONG[int(rng.integers(len(WRONG)))]
            if velocity and rng.random() < 0.7:
                velocity[-1] = bad
            else:
                strength = bad
        label = str(labels[i]) or None
        yield Command(
            label=label,
            strength=strength,
            selected=bool(selects[i]),
            reason="" if label else str(reasons[i]),
            velocity=tuple(velocity),
        )


def session(rng: np.random.Generator, count: int, exact: bool) -> Iterator[Step]:
    """What persons did before each look, and the look."""
    steps = rng.choice(TICKS, count, p=TICK_SHARES) * TICK_NS
    if not exact:
        steps = (steps * rng.uniform(0.5, 1.5, count)).astype(np.int64)
    times = (int(rng.integers(0, 1000)) * TICK_NS + np.cumsum(steps)).tolist()
    told = rng.choice(len(TOLD), count, p=SHARES).tolist()
    qualities = rng.choice([0.0, 0.125 - 2**-20, 0.125, 0.5, 1.0, math.nan], count,
                           p=[0.01, 0.02, 0.05, 0.1, 0.81, 0.01]).tolist()  # fmt: skip
    late = (np.convolve(rng.random(count) < 0.08, np.ones(3), "same") > 0).tolist()
    for i, command in enumerate(commands_of(rng, count, exact)):
        look = Look(command=command, now_ns=times[i], quality=qualities[i], late=late[i])
        yield TOLD[told[i]] if i else ("arm",), look


def differing(command: Command, state: str, second: Command, second_state: str) -> list[str]:
    """In which parts two answers differ."""
    parts = [
        name
        for name in ("label", "selected", "reason", "strength")
        if getattr(command, name) != getattr(second, name)
    ]
    if state != second_state:
        parts.append("state")
    same_axes = len(command.velocity) == len(second.velocity)
    if not same_axes or any(
        not abs(mine - other) <= 1e-9
        for mine, other in zip(command.velocity, second.velocity, strict=False)
    ):
        parts.append("velocity")
    return parts


def kind_of(asked: Command, passed: Command) -> str:
    """What the guard did, in a few words."""
    if passed.label is None:
        return passed.reason.split(" is ")[0] if "quality" in passed.reason else passed.reason
    if asked.selected and not passed.selected:
        return "passed, not selected"
    if passed.selected:
        return "selected"
    return "passed" if passed is asked else "passed, slower"


def run(looks: int, seed: int, per_session: int = 1000) -> dict[str, object]:
    """Both guards over so many looks."""
    rng = np.random.default_rng(seed)
    reasons: Counter[str] = Counter()
    disagreements: Counter[str] = Counter()
    first: dict[str, str] = {}
    began = time.perf_counter()
    sessions = math.ceil(looks / per_session)
    for number in range(sessions):
        exact = number % 2 == 0
        config = config_of(rng, exact)
        memory, second = Memory(), SecondGuard(config)
        count = min(per_session, looks - number * per_session)
        for signals, look in session(rng, count, exact):
            for name in signals:
                memory = entered(memory, next_state(memory.state, SIGNALS[name]))
                second.happens(name)
            memory, passed = judge(memory, look, config)
            other = second.look(look.command, look.now_ns, look.quality, look.late)
            reasons[kind_of(look.command, passed)] += 1
            for part in differing(passed, memory.state, other, second.state):
                disagreements[part] += 1
                first.setdefault(part, f"session {number}: {signals} {look} {passed} {other}")
    return {
        "looks": looks,
        "sessions": sessions,
        "seed": seed,
        "disagreements": sum(disagreements.values()),
        "differing_in": dict(disagreements),
        "first": first,
        "reasons": dict(reasons.most_common()),
        "seconds": round(time.perf_counter() - began, 1),
    }


def main() -> None:
    """Compare them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--looks", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print(json.dumps(run(arguments.looks, arguments.seed), indent=2))


if __name__ == "__main__":
    main()
