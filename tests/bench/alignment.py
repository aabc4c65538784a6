"""How well `Alignment` finds a clock that it knows only from arrivals, over many seeds.

    python -m diverloop.tests.bench.alignment [--seeds 20] [--seconds 300] [--quiet-hours 4]

Every stream has a sender's clock 100 ppm off, an offset, and arrivals that are up to 20 ms late, of
a family of delays. Error is measured against the truth after a minute, once a tenth of a second.
Steps come at a random moment; quiet hours have none, so that every step told there is false.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from diverloop.runtime.alignment import Alignment

Delays = Callable[[np.random.Generator, int], NDArray[np.float64]]

JITTER_S = 0.02
SETTLED_S = 60.0
FAMILIES: dict[str, Delays] = {
    "uniform 0 to 20 ms": lambda rng, n: rng.uniform(0, JITTER_S, n),
    "exponential, mean 20 ms": lambda rng, n: rng.exponential(JITTER_S, n),
    "half normal, SD 20 ms": lambda rng, n: np.abs(rng.normal(0, JITTER_S, n)),
    "gamma of shape 2, mean 20 ms": lambda rng, n: rng.gamma(2.0, JITTER_S / 2, n),
    "uniform with stalls of 0.5 s": lambda rng, n: _stalled(rng, n),
}
STEPS_S = (-0.5, -0.05, 0.05, 0.5)


def _stalled(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """Once in some 20 s nothing passes for half a second, then all of it at once."""
    delays = rng.uniform(0, JITTER_S, n)
    for at in np.flatnonzero(rng.random(n) < 1 / (20 * 50)):
        held = min(25, n - at)
        delays[at : at + held] += np.arange(held, 0, -1) / 50
    return delays


class Clocks:
    """A sender's clock and its packets, as they arrive.

    Parameters
    ----------
    rng : numpy.random.Generator
        For everything that is drawn.
    seconds, rate_hz : float
        How long, and packets a second.
    delays : callable
        What packets wait.
    drift : float
        By how much the sender's seconds are shorter: 1e-4 is 100 ppm.
    """

    def __init__(
        self, rng: np.random.Generator, seconds: float, rate_hz: float, delays: Delays, drift: float
    ) -> None:
        n = round(seconds * rate_hz)
        self.true_s = 1000.0 + np.arange(n) / rate_hz
        self.stamps_s = (self.true_s - 1000.0) * (1 + drift) + rng.uniform(-5000, 5000)
        arrived = self.true_s + delays(rng, n)
        self.arrived_s = np.maximum.accumulate(arrived)  # of one connection: no packet overtakes

    def step(self, at_s: float, size_s: float) -> None:
        """Let the sender's clock jump."""
        self.stamps_s[self.true_s >= at_s] += size_s


def errors_s(
    clocks: Clocks, alignment: Alignment, after_s: float = SETTLED_S
) -> NDArray[np.float64]:
    """Aligned minus true time of the newest sample, ten times a second once it has settled."""
    found = []
    every = max(1, round(0.1 / (clocks.true_s[1] - clocks.true_s[0])))
    rows = zip(
        clocks.true_s.tolist(), clocks.stamps_s.tolist(), clocks.arrived_s.tolist(), strict=True
    )
    for number, (true_s, stamp_s, arrived_s) in enumerate(rows):
        alignment.hear(stamp_s, arrived_s)
        if number % every == 0 and true_s - 1000.0 >= after_s:
            found.append(float(alignment.to_loop(np.array([stamp_s]))[0]) - true_s)
    return np.array(found)


def accuracy(family: str, seeds: int, seconds: float) -> dict[str, float]:
    """Worst of many seeds, for one family of delays."""
    sds, biases, alarms = [], [], 0
    for seed in range(seeds):
        rng = np.random.default_rng([seed, 1])
        drift = 1e-4 * (1 if seed % 2 else -1)
        alignment = Alignment()
        found = errors_s(Clocks(rng, seconds, 50.0, FAMILIES[family], drift), alignment)
        sds.append(float(found.std()))
        biases.append(float(found.mean()))
        alarms += len(alignment.take_steps())
    return {
        "median_sd_ms": 1e3 * float(np.median(sds)),
        "worst_sd_ms": 1e3 * max(sds),
        "median_bias_ms": 1e3 * float(np.median(biases)),
        "worst_bias_ms": 1e3 * max(biases, key=abs),
        "false_steps": alarms,
    }


def detection(family: str, size_s: float, seeds: int) -> dict[str, float | int]:
    """How long it takes to tell a step, and the error right after."""
    waits, sizes, missed, before = [], [], 0, 0
    for seed in range(seeds):
        rng = np.random.default_rng([seed, 2])
        clocks = Clocks(rng, 60.0, 50.0, FAMILIES[family], 1e-4)
        at_s = 1000.0 + float(rng.uniform(30, 50))
        clocks.step(at_s, size_s)
        told = _first_step(clocks, at_s)
        before += told is not None and told[0] < at_s
        missed += told is None
        if told is not None and told[0] >= at_s:
            waits.append(told[0] - at_s)
            sizes.append(told[1] - size_s)
    return {
        "step_ms": 1e3 * size_s,
        "median_s": float(np.median(waits)) if waits else math.nan,
        "worst_s": max(waits, default=math.nan),
        "worst_size_error_ms": 1e3 * max(map(abs, sizes), default=math.nan),
        "missed": missed,
        "told_before": before,
    }


def _first_step(clocks: Clocks, at_s: float) -> tuple[float, float] | None:
    alignment = Alignment()
    for stamp_s, arrived_s in zip(clocks.stamps_s.tolist(), clocks.arrived_s.tolist(), strict=True):
        alignment.hear(stamp_s, arrived_s)
        if steps := alignment.take_steps():
            return arrived_s, steps[0]
    return None


def quiet(family: str, hours: int) -> dict[str, float]:
    """False steps in hours without any."""
    alarms = 0
    for seed in range(hours):
        rng = np.random.default_rng([seed, 3])
        alignment = Alignment()
        clocks = Clocks(rng, 3600.0, 50.0, FAMILIES[family], 1e-4)
        for stamp_s, arrived_s in zip(
            clocks.stamps_s.tolist(), clocks.arrived_s.tolist(), strict=True
        ):
            alignment.hear(stamp_s, arrived_s)
        alarms += len(alignment.take_steps())
    return {
        "hours": hours,
        "false_steps": alarms,
        "per_hour": alarms / hours if hours else math.nan,
    }


def measure(seeds: int, seconds: float, hours: int) -> dict[str, object]:
    """All of it, for every family of delays."""
    return {
        family: {
            "accuracy": accuracy(family, seeds, seconds),
            "steps": [detection(family, size_s, seeds) for size_s in STEPS_S],
            "quiet": quiet(family, hours),
        }
        for family in FAMILIES
    }


def main(arguments: list[str]) -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--quiet-hours", type=int, default=4)
    options = parser.parse_args(arguments)
    print(json.dumps(measure(options.seeds, options.seconds, options.quiet_hours), indent=2))


if __name__ == "__main__":
    main(sys.argv[1:])
