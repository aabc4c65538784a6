"""A picture of what the session thought of its signal while it ran."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...messages import EventKind
from .drawing import ALARM, INK, PALE, bare, colours, picture, time_axis
from .markup import Html
from .watch import Watch

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_ROWS = 30
"""Electrodes that are drawn; more could not be read."""

_COLUMNS = 1400
# From the seventh cause on colours repeat, so their bars are hatched.
_N_COLOURS, _HATCH = 6, "////"
_ROW_NAMES = {
    EventKind.SPIKE: "Spike-like",
    EventKind.RIPPLE: "Ripples",
    EventKind.BLANKED: "Pulses",
    EventKind.CLEANED: "Overcleaned",
}


def watch_picture(watch: Watch, duration_s: float, *, caption: str) -> Html:
    """The one number over time; below it who was masked, and what was found.

    Parameters
    ----------
    watch : Watch
        With something in it.
    duration_s : float
        Length of the session.
    caption : str
        What to see.

    Returns
    -------
    html : Html
        A figure.
    """
    names = watch.names[:MOST_ROWS]
    rows = [*names, *(_ROW_NAMES[kind] for kind in watch.found)]
    rows += ["Seizure?"] if watch.suspicions else []

    def draw(figure: Figure) -> None:
        if len(watch.overall):
            heights = [3, max(len(rows), 1)]
            over, axes = figure.subplots(2, 1, sharex=True, height_ratios=heights)
            _quality_line(over, watch)
        else:
            axes = figure.subplots()
        _masks(figure, axes, watch, names, duration_s)
        for y, at_s in enumerate(watch.found.values(), start=len(names)):
            axes.vlines(_columns(at_s, duration_s), y - 0.34, y + 0.34, color=INK, lw=0.8)
        for suspicion in watch.suspicions:
            _suspicion(axes, len(rows) - 1, suspicion.at_s, suspicion.halt)
        axes.set_yticks(range(len(rows)), rows)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        time_axis(axes, duration_s)
        bare(axes)

    height_in = 0.75 + 0.21 * len(rows) + (0.75 if len(watch.overall) else 0)
    alt = f"Signal quality as the session saw it, with rows for {', '.join(rows)}"
    return picture("watch", height_in, draw, caption=caption, alt=alt)


def _quality_line(axes: Axes, watch: Watch) -> None:
    every = max(1, int(np.ceil(len(watch.overall) / _COLUMNS)))
    at = np.arange(0, len(watch.overall), every)
    worst = np.minimum.reduceat(watch.overall, at)
    axes.plot(watch.times_s[at], worst, color="#0072B2", lw=1.2)
    axes.set_ylim(0, 1.05)
    axes.set_yticks([0, 0.5, 1])
    axes.set_ylabel("Quality")
    axes.tick_params(axis="x", labelbottom=False)


def _masks(
    figure: Figure, axes: Axes, watch: Watch, names: tuple[str, ...], duration_s: float
) -> None:
    from matplotlib.patches import Patch

    causes = list(dict.fromkeys(mask.cause or "not told" for mask in watch.masks))
    shades = colours(causes)
    looks: dict[str, Any] = {
        cause: {
            "facecolor": shades[cause],
            "hatch": _HATCH if place >= _N_COLOURS else None,
            "edgecolor": "white",
            "linewidth": 0,
        }
        for place, cause in enumerate(causes)
    }
    for y in range(len(names)):
        axes.barh(y, duration_s, left=0, height=0.1, color=PALE)
    for mask in watch.masks:
        if mask.name not in names:
            continue
        look = looks[mask.cause or "not told"]
        width_s = max(mask.stop_s - mask.start_s, duration_s / 400)
        axes.barh(names.index(mask.name), width_s, left=mask.start_s, height=0.68, **look)
    handles: list[Any] = [Patch(label=cause, **look) for cause, look in looks.items()]
    if handles:
        figure.legend(handles=handles, loc="outside upper right", ncols=6, fontsize=7.5)


def _suspicion(axes: Axes, y: int, at_s: float, halt: Any) -> None:
    if halt is not None:
        width_s = halt.stop_s - halt.start_s
        axes.barh(y, width_s, left=halt.start_s, height=0.3, color=ALARM, alpha=0.45)
    axes.plot([at_s], [y], marker="D", color=ALARM, markeredgecolor="white", markersize=7)


def _columns(at_s: NDArray[np.float64], duration_s: float) -> NDArray[np.float64]:
    """Each place once, however many findings lie in it."""
    cell_s = max(duration_s, 1e-9) / _COLUMNS
    places: NDArray[np.float64] = np.unique(np.floor(at_s / cell_s))
    return (places + 0.5) * cell_s
