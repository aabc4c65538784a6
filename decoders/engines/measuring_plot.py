"""One figure of what `measure_all` found: latency by engine against the number of channels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...runtime.errors import ConfigError
from ...runtime.record.report.drawing import INK, LINES, colours

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TARGET_MS = 2.0
"""What the median of a hop may take on 64 channels."""

SUFFIXES = (".pdf", ".png", ".svg")

_FLOOR = "#5a626e"
_MARKERS = "osD^vPX*"
_DODGE = 0.035  # of a factor of ten, so that whiskers stand beside each other
_PANEL_IN = (5.6, 4.4)
_STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#6b7280",
    "axes.linewidth": 0.7,
    "legend.frameon": False,
    "savefig.dpi": 150,
    "svg.fonttype": "none",
    "svg.hashsalt": "engines",
}


def plot(figures: dict[str, Any], path: str | Path) -> None:
    """Draw the median of each engine with a whisker to its p99, the floor, target and hop.

    Parameters
    ----------
    figures : dict
        From `measure_all`.
    path : str or Path
        Where; its suffix, one of `SUFFIXES`, says in which format.

    Raises
    ------
    ConfigError
        If matplotlib is not installed, the suffix is another, no engine ran, or the file cannot be
        written.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(
            f"A figure is written as {', '.join(SUFFIXES)}, got {path.name!r}: rename it."
        )
    ran = [one for one in figures["engines"] if "p50_ms" in one]
    if not ran:
        raise ConfigError("No engine ran, so there is nothing to draw: see why in the figures.")
    try:
        from matplotlib import rc_context
    except ImportError as error:
        raise ConfigError(
            'The figure needs matplotlib, which is not installed: pip install "diverloop[report]".'
        ) from error
    with rc_context(_STYLE):
        figure = _drawn(figures, ran)
        try:
            figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
        except OSError as error:
            raise ConfigError(
                f"The figure cannot be written to {path} ({error.strerror}): choose another place."
            ) from error


def _drawn(figures: dict[str, Any], ran: list[dict[str, Any]]) -> Figure:
    from matplotlib.figure import Figure

    contexts = sorted({one["context"] for one in ran})
    width_in = _PANEL_IN[0] * len(contexts) + 1.6
    figure = Figure(figsize=(width_in, _PANEL_IN[1]), layout="constrained")
    panels = figure.subplots(1, len(contexts), squeeze=False, sharey=True)[0]
    for axes, context in zip(panels, contexts, strict=True):
        _panel(axes, figures, ran, context)
    panels[0].set_ylabel("milliseconds a hop")
    handles, labels = panels[-1].get_legend_handles_labels()
    # The legend names the lines in the order in which they lie above each other.
    order = sorted(range(len(labels)), key=lambda place: -_height(ran, labels[place]))
    figure.legend(
        [handles[place] for place in order],
        [labels[place] for place in order],
        loc="outside right upper",
        title="median, whisker to p99",
        alignment="left",
    )
    return figure


def _panel(axes: Axes, figures: dict[str, Any], ran: list[dict[str, Any]], context: int) -> None:
    names = list(dict.fromkeys(_name(one) for one in ran))
    colour = colours(names)
    for place, name in enumerate(names):
        mine = [one for one in ran if _name(one) == name and one["context"] == context]
        mine.sort(key=lambda one: one["channels"])
        shift = 10 ** (_DODGE * (place - (len(names) - 1) / 2))
        middle = [one["p50_ms"] for one in mine]
        axes.errorbar(
            [one["channels"] * shift for one in mine],
            middle,
            yerr=[[0.0] * len(mine), [one["p99_ms"] - one["p50_ms"] for one in mine]],
            label=name,
            color=colour[name],
            linestyle=LINES[place // len(set(colour.values())) % len(LINES)],
            marker=_MARKERS[place % len(_MARKERS)],
            markersize=4.5,
            linewidth=1.3,
            elinewidth=0.9,
            capsize=2.5,
        )
    floors = sorted(
        (one for one in figures["floors"] if one["context"] == context),
        key=lambda one: one["channels"],
    )
    axes.plot(
        [one["channels"] for one in floors],
        [one["floor_ms"] for one in floors],
        color=_FLOOR,
        linewidth=2.2,
        marker="_",  # a single size has no line
        markersize=12,
        linestyle=(0, (1, 1)),
        label="arithmetic floor",
    )
    last = context == max(one["context"] for one in ran)
    _scales(axes, sorted({one["channels"] for one in ran}), figures["hop_ms"], last)
    axes.set_title(f"{figures['student']['name']}, context {context} hops", loc="left")


def _scales(axes: Axes, channels: list[int], hop_ms: float, named: bool) -> None:
    from matplotlib.ticker import FuncFormatter, NullLocator

    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(channels, [str(n) for n in channels])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(channels[0] / 1.35, channels[-1] * 1.35)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda ms, _: f"{ms:g}"))
    axes.set_xlabel("channels")
    for level_ms, words in ((hop_ms, "a hop"), (TARGET_MS, "target at 64")):
        axes.axhline(level_ms, color=INK, linewidth=0.8, linestyle="--", zorder=0)
        if named:
            axes.annotate(
                f"{words}\n{level_ms:g} ms",
                (1.0, level_ms),
                xycoords=("axes fraction", "data"),
                xytext=(5, 0),
                textcoords="offset points",
                verticalalignment="center",
                color=INK,
            )


def _height(ran: list[dict[str, Any]], name: str) -> float:
    """Largest median of an engine; 0 for what is none."""
    return max((one["p50_ms"] for one in ran if _name(one) == name), default=0.0)


def _name(entry: dict[str, Any]) -> str:
    return f"{entry['engine']} {entry['precision']}"
