"""The loop's own cost per window against channels, rate and window length, as JSON.

    python tests/bench/scaling.py [--windows 1000] [--rounds 3] [--plot docs/images/scaling.png]

Each figure is the best round's median and 99th percentile of one pass, from the samples' arrival
to the sink, with an encoder that does nothing: `diverloop.runtime.benchmark`. The rounds are
interleaved, so that a disturbance hits all cases alike. Run it on a machine that is otherwise
idle.
"""

from __future__ import annotations

import argparse
import json
import platform
from pathlib import Path

from diverloop.runtime.benchmark import BenchmarkCase, run_case

AXES = {
    "n_channels": (16, 32, 64, 128, 256, 512),
    "rate_hz": (250.0, 500.0, 1000.0, 2000.0, 4000.0),
    "length_s": (0.25, 0.5, 1.0, 2.0, 4.0),
}


def measure(windows: int, rounds: int, conditioned: bool) -> dict[str, list[dict[str, float]]]:
    """Best of several rounds, for every value of every axis."""
    best: dict[str, list[dict[str, float]]] = {}
    for _ in range(rounds):
        for axis, values in AXES.items():
            rows = best.setdefault(axis, [{axis: value} for value in values])
            for row, value in zip(rows, values, strict=True):
                case = BenchmarkCase(**{axis: value}, n_windows=windows, conditioned=conditioned)
                figures = run_case(case)
                for key in ("p50_us", "p99_us"):
                    row[key] = round(min(row.get(key, figures[key]), figures[key]), 1)
    return best


def plot(found: dict[str, dict[str, list[dict[str, float]]]], path: Path) -> None:
    """One panel an axis, one line with and one without conditioning."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = {"n_channels": "channels", "rate_hz": "rate (Hz)", "length_s": "window (s)"}
    figure, panels = pyplot.subplots(1, 3, figsize=(10, 3.2), sharey=True, layout="constrained")
    for panel, (axis, words) in zip(panels, names.items(), strict=True):
        for (label, rows), colour in zip(found.items(), ("#1f5fa8", "#c2571a"), strict=True):
            x = [row[axis] for row in rows[axis]]
            panel.plot(x, [row["p50_us"] for row in rows[axis]], "o-", color=colour, label=label)
            panel.plot(x, [row["p99_us"] for row in rows[axis]], ":", color=colour, alpha=0.7)
        panel.set(xscale="log", yscale="log", xlabel=words)
        panel.set_xticks(x, [f"{value:g}" for value in x])
        panel.minorticks_off()
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("own cost per window (us)")
    panels[0].legend(frameon=False)
    figure.suptitle("Median (solid) and 99th percentile (dotted) of one pass through the loop")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)


def main() -> None:
    """Measure, print, plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--plot", type=Path)
    asked = parser.parse_args()
    found = {
        "samples as they come": measure(asked.windows, asked.rounds, conditioned=False),
        "reference and band-pass": measure(asked.windows, asked.rounds, conditioned=True),
    }
    print(json.dumps({"machine": platform.processor() or platform.machine(), **found}, indent=1))
    if asked.plot:
        plot(found, asked.plot)


if __name__ == "__main__":
    main()
