"""How well `diverloop timing` recovers delays that are known, over a grid of conditions.

    python tests/bench/timing_truth.py [--json FILE] [--n 120]

Each cell simulates a photodiode behind an amplifier's anti-alias filter, with a delay between
-1 and 1 s drawn anew, jitter, drift, flashes that are missing and glitches that nobody announced.
Errors are what came out minus what was put in.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from diverloop.hardware.simulated_photodiode import PhotodiodeConfig, SimulatedPhotodiode
from diverloop.runtime.timing import TimingReport, analyse
from diverloop.runtime.timing_onsets import find_onsets

RATES_HZ = (250.0, 500.0, 1000.0, 5000.0, 30_000.0)
JITTERS_MS = (0.0, 0.5, 3.0)
DRIFTS_PPM = (0.0, 50.0, -200.0)
MISSING = (0.0, 0.05)
RISES_MS = (0.1, 0.5, 1.0, 5.0)
"""10 to 90 % rise of the light: LED, OLED, fast and ordinary liquid crystal."""
LIMIT_MS = 0.2


def measure(cell: dict[str, float], n: int, seed: int) -> tuple[TimingReport, dict[str, float]]:
    """One simulated measurement, and the truth about it."""
    rng = np.random.default_rng(seed)
    marker_s = 1.5 + np.cumsum(rng.uniform(0.3, 0.7, n))
    true_s = (
        rng.uniform(-1, 1)
        + cell["drift_ppm"] * 1e-6 * marker_s
        + cell["jitter_ms"] / 1e3 * rng.standard_normal(n)
    )
    seen = rng.random(n) >= cell["missing"]
    shown_s = (marker_s + true_s)[seen]
    strays_s = (marker_s + true_s)[10 :: max(2, round(1 / (cell["missing"] + 1e-9)))] + 0.17
    lit_s = np.sort(np.concatenate((shown_s, strays_s if cell["missing"] else strays_s[:0])))
    config = PhotodiodeConfig(on_s=0.05, rise_s=cell["rise_ms"] / 1e3, noise=5.0)
    rate_hz = cell["rate_hz"]
    light = SimulatedPhotodiode(config, rate_hz, lit_s, seed)
    signal = light.samples(0, round((lit_s[-1] + 0.5) * rate_hz))
    report = analyse(marker_s * rate_hz, find_onsets(signal, rate_hz).samples, rate_hz)
    flat_s = (true_s - cell["drift_ppm"] * 1e-6 * marker_s)[seen]
    truth = {
        "median_ms": 1e3 * float(np.median(true_s[seen])),
        "jitter_ms": 1e3 * float(flat_s.std(ddof=1)),
        "drift_ppm": cell["drift_ppm"],
        "missing": int((~seen).sum()),
        "extra": len(lit_s) - len(shown_s),
    }
    return report, truth


def judged(cell: dict[str, float], n: int, seed: int) -> dict[str, Any]:
    """A cell with its errors."""
    report, truth = measure(cell, n, seed)
    return {
        **cell,
        "delay_error_ms": report.delay.median_ms - truth["median_ms"],
        "jitter_error_ms": report.jitter_ms - truth["jitter_ms"],
        "drift_error_ppm": report.drift.ppm - truth["drift_ppm"],
        "drift_in_interval": report.drift.interval_ppm[0] - 0.1
        <= truth["drift_ppm"]
        <= report.drift.interval_ppm[1] + 0.1,
        "missing_error": report.n_missing - truth["missing"],
        "extra_error": report.n_extra - truth["extra"],
        "steps": len(report.steps),
    }


def worst(cells: list[dict[str, Any]], key: str) -> float:
    """The largest error, either way."""
    return max(abs(cell[key]) for cell in cells)


def main() -> None:
    """Run the grid and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=120, help="markers in each cell")
    parser.add_argument("--json", type=Path, help="write the whole grid here")
    asked = parser.parse_args()
    began_s = time.monotonic()
    grid = itertools.product(RATES_HZ, JITTERS_MS, DRIFTS_PPM, MISSING, RISES_MS)
    names = ("rate_hz", "jitter_ms", "drift_ppm", "missing", "rise_ms")
    cells = [
        judged(dict(zip(names, values, strict=True)), asked.n, seed)
        for seed, values in enumerate(grid)
    ]
    table = {
        f"{rate_hz:g} Hz": {
            f"rise {rise_ms:g} ms": round(
                worst(
                    [c for c in cells if (c["rate_hz"], c["rise_ms"]) == (rate_hz, rise_ms)],
                    "delay_error_ms",
                ),
                4,
            )
            for rise_ms in RISES_MS
        }
        for rate_hz in RATES_HZ
    }
    found = {
        "cells": len(cells),
        "markers_in_each": asked.n,
        "limit_ms": LIMIT_MS,
        "within_limit": sum(abs(cell["delay_error_ms"]) <= LIMIT_MS for cell in cells),
        "worst_delay_error_ms": table,
        "worst_jitter_error_ms": worst(cells, "jitter_error_ms"),
        "worst_drift_error_ppm": worst(cells, "drift_error_ppm"),
        "drift_in_interval": sum(cell["drift_in_interval"] for cell in cells),
        "cells_with_wrong_counts": sum(
            bool(cell["missing_error"] or cell["extra_error"]) for cell in cells
        ),
        "cells_with_steps": sum(bool(cell["steps"]) for cell in cells),
        "worst_cell": max(cells, key=lambda cell: abs(cell["delay_error_ms"])),
        "seconds": round(time.monotonic() - began_s, 1),
    }
    if asked.json:
        asked.json.write_text(json.dumps({**found, "grid": cells}, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
