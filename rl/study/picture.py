"""The study as one figure: what each arm recovers, and whom it harms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .arms import FROZEN, ORACLE

_ON, _OFF, _INK, _FAINT = "#0b6e99", "#c2570c", "#1c1c1c", "#8a8a8a"


def draw_study(report: Mapping[str, Any], path: Path) -> None:
    """Write the figure; a part without a loss to recover shows accuracies alone.

    Parameters
    ----------
    report : mapping
        From the study.
    path : Path
        Of the PNG.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    parts = [name for name in report["parts"] if name.startswith("all ") or "all drifts" in name]
    figure = Figure(figsize=(11, 2.9 * max(1, len(parts)) + 0.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(max(1, len(parts)), 3, squeeze=False)
    for row, name in zip(axes, parts, strict=False):
        arms = report["parts"][name]["arms"]
        _bars(row[0], arms, "accuracy", f"{name}\naccuracy")
        middle = [one for one in arms if one["arm"] not in (FROZEN, ORACLE)]
        _bars(row[1], middle, "recovered", "share of the drift loss recovered", goal=0.5)
        _bars(row[2], middle, "harmed", "sessions > 2 points below frozen", goal=0.05)
    figure.suptitle(
        "Rules of adaptation on the same trials. Blue: held by the envelope, orange: not. "
        f"{report['notice']}",
        fontsize=9,
        color=_INK,
    )
    figure.savefig(path, dpi=130)


def _bars(
    axis: Any, arms: Sequence[Mapping[str, Any]], key: str, title: str, goal: float | None = None
) -> None:
    """A point and its interval for each arm, with the envelope above and without below."""
    names = list(dict.fromkeys(str(one["arm"]) for one in arms))
    if goal is not None:
        axis.axvline(goal, color=_FAINT, linewidth=1, linestyle="--")
    for one in arms:
        found = one[key]
        if found["value"] is None:
            continue
        ends = one["arm"] in (FROZEN, ORACLE)
        colour = _INK if ends else _ON if one["held"] else _OFF
        at = names.index(str(one["arm"])) + (0.0 if ends else -0.16 if one["held"] else 0.16)
        if found["low"] is not None:
            axis.plot([found["low"], found["high"]], [at, at], color=colour, linewidth=1.6)
        axis.plot(found["value"], at, "o" if one["held"] or ends else "s", color=colour, ms=5)
    axis.set_yticks(range(len(names)), names, fontsize=8)
    axis.invert_yaxis()
    axis.set_title(title, fontsize=9, loc="left")
    axis.tick_params(axis="x", labelsize=8)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
