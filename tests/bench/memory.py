"""Memory over one hour of signal, at the pace the machine allows, as JSON.

    python tests/bench/memory.py [--hours 1]

The whole chain runs: simulated participant who reacts to feedback, filter bank, ring, covariance
encoder, adapter, feedback, guard, scorer, decision log. The resident set is read every five
minutes of signal; the figure that counts is its slope after the first ten.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

import numpy as np

from diverloop.adapters.trial_scorer import TrialScorer
from diverloop.assembly import assemble, open_model
from diverloop.demo import SPAN, DemoPlan, calibrate
from diverloop.hardware.simulator import SimulatorConfig
from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.decision_log import DecisionLog
from diverloop.runtime.messages import Message, Turn
from diverloop.runtime.session import PartConfig, SessionConfig

EVERY_S = 300


class MemoryWatch:
    """Reads the resident set whenever five more minutes of signal have been decided."""

    lossless = True

    def __init__(self, rate_hz: float) -> None:
        self.readings: list[tuple[float, float]] = []
        self._rate_hz = rate_hz

    def watch(self, message: Message) -> None:
        if isinstance(message, Turn):
            at_s = message.decision.stop_sample / self._rate_hz
            if at_s >= EVERY_S * (len(self.readings) + 1):
                self.readings.append((at_s, resident_mib()))

    def close(self) -> None:
        pass


def resident_mib() -> float:
    """Resident set of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    """Run an hour, print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=1.0)
    hours = parser.parse_args().hours
    if hours < 0.3:
        parser.error(f"--hours is {hours:g}: a slope needs 0.3 or more.")
    if not sys.platform.startswith("linux"):
        sys.exit("This benchmark reads /proc: run it on Linux.")
    model = open_model(calibrate(DemoPlan(), lambda *_: None))
    settings = SimulatorConfig(seed=11, duration_s=3600 * hours, classes=("left", "right"))
    session = SessionConfig(
        name="memory",
        source=PartConfig(kind="simulator", settings=settings),
        model=Path("demo.bundle"),
    )
    watch = MemoryWatch(settings.rate_hz)
    watchers = (watch, TrialScorer(SPAN), DecisionLog(os.devnull))
    began_s = time.monotonic()
    loop = assemble(session, clock=VirtualClock(), watchers=watchers, armed=True, model=model)
    report = loop.run()
    at_s, mib = np.array(watch.readings)[1:].T
    slope = float(np.polyfit(at_s / 3600, mib, 1)[0])
    print(
        json.dumps(
            {
                "hours_of_signal": hours,
                "wall_s": round(time.monotonic() - began_s, 1),
                "windows_decoded": report.decoded,
                "resident_mib": [[round(s / 60), round(m, 2)] for s, m in watch.readings],
                "slope_mib_per_hour": round(slope, 3),
                "slope_percent_per_hour": round(100 * slope / float(mib.mean()), 3),
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
