"""Pictures of how often the decoder was right, and of how well it knew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .drawing import ALARM, INK, NEUTRAL, PALE, picture
from .inputs import ReliabilityBin, Score
from .markup import Html
from .wording import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BLUE = "#0072B2"


def intervals(name: str, scores: Sequence[Score], *, caption: str) -> Html:
    """A dot with its interval for every score, one below the other.

    Parameters
    ----------
    name : str
        Unique on the page.
    scores : sequence of Score
        What to draw.
    caption : str
        What to see.

    Returns
    -------
    html : Html
        A figure.
    """

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for place, score in enumerate(scores):
            low, high = (100 * end for end in score.interval)
            axes.plot([low, high], [place, place], color=_BLUE, lw=3, solid_capstyle="round")
            axes.plot([100 * score.accuracy], [place], "o", color=_BLUE, markersize=8)
            axes.plot([100 * score.chance] * 2, [place - 0.35, place + 0.35], color=ALARM, lw=1.5,
                      ls=(0, (3, 2)), label="guessing" if not place else None)  # fmt: skip
            said = f"{percent(score.accuracy)}  ({score.n_correct} of {score.n})"
            axes.text(101, place, said, va="center", clip_on=False)
        axes.set_yticks(range(len(scores)), [score.name for score in scores])
        axes.set_ylim(len(scores) - 0.4, -0.6)
        _share_axis(axes, "x")
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
        axes.legend(loc="upper left", fontsize=7.5)

    alt = "Accuracy with interval: " + ", ".join(f"{s.name} {percent(s.accuracy)}" for s in scores)
    return picture(name, 0.75 + 0.42 * len(scores), draw, caption=caption, alt=alt)


def _share_axis(axes: Axes, which: str) -> None:
    ticks = [0, 25, 50, 75, 100]
    labels = [f"{tick} %" for tick in ticks]
    if which == "x":
        axes.set_xlim(0, 100)
        axes.set_xticks(ticks, labels)
    else:
        axes.set_ylim(0, 100)
        axes.set_yticks(ticks, labels)


def blocks(overall: Score, each: Sequence[Score], *, caption: str) -> Html:
    """Bars with intervals and the chance line: block by block, then all together.

    Parameters
    ----------
    overall : Score
        Over all trials.
    each : sequence of Score
        Block by block.
    caption : str
        What to see.

    Returns
    -------
    html : Html
        A figure.
    """
    scores = [*(score for score in each if score.n), overall]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for place, score in enumerate(scores):
            last = place == len(scores) - 1
            share, (low, high) = 100 * score.accuracy, (100 * end for end in score.interval)
            axes.bar(place, share, width=0.62, color=_BLUE if last else "#8fbfdd", zorder=1)
            axes.plot([place, place], [low, high], color=INK, lw=1.4, zorder=3)
            axes.plot([place - 0.34, place + 0.34], [100 * score.chance] * 2, color=ALARM, lw=1.6,
                      ls=(0, (3, 2)), zorder=4, label=None if place else "guessing")  # fmt: skip
            axes.text(place, 2, percent(score.accuracy), ha="center", va="bottom", zorder=5,
                      color="white" if last else INK, fontweight="bold")  # fmt: skip
        names = [f"{score.name}\n{score.n_correct} of {score.n}" for score in scores]
        axes.set_xticks(range(len(scores)), names, fontsize=8 if len(scores) < 10 else 6)
        axes.set_xlim(-0.6, max(len(scores), 4) - 0.4)
        axes.tick_params(axis="x", length=0)
        _share_axis(axes, "y")
        axes.legend(loc="upper left", fontsize=7.5, bbox_to_anchor=(0, 1.12))

    alt = "Accuracy by block: " + ", ".join(f"{s.name} {percent(s.accuracy)}" for s in scores)
    return picture("blocks", 2.5, draw, caption=caption, alt=alt)


def reliability(bins: Sequence[ReliabilityBin], *, caption: str) -> Html:
    """How often the decoder was right against how sure it was.

    Parameters
    ----------
    bins : sequence of ReliabilityBin
        At least one.
    caption : str
        What to see.

    Returns
    -------
    html : Html
        A figure.
    """

    def draw(figure: Figure) -> None:
        axes, side = figure.subplots(1, 2, width_ratios=[1, 1.1])
        sure = np.array([entry.confidence for entry in bins])
        right = np.array([entry.share_right for entry in bins])
        n = np.array([entry.n for entry in bins])
        axes.plot([0, 100], [0, 100], color=NEUTRAL, lw=1, ls=(0, (4, 3)))
        axes.vlines(100 * sure, 100 * sure, 100 * right, color=PALE, lw=4, zorder=1)
        axes.plot(100 * sure, 100 * right, color=_BLUE, lw=1.2, zorder=2)
        axes.scatter(100 * sure, 100 * right, s=18 + 90 * n / n.max(), color=_BLUE, zorder=3)
        _share_axis(axes, "x")
        _share_axis(axes, "y")
        axes.set_aspect("equal")
        axes.set_xlabel("How sure it was")
        axes.set_ylabel("How often it was right")
        axes.text(4, 92, "modest", fontsize=8, color="#4b5563")
        axes.text(96, 4, "overconfident", fontsize=8, ha="right", color="#4b5563")
        width = 100 * max(0.02, min(np.diff(sure).min() if len(sure) > 1 else 0.1, 0.1)) * 0.8
        side.bar(100 * sure, n, width=width, color="#8fbfdd")
        side.set_xlim(0, 100)
        side.set_xticks([0, 25, 50, 75, 100], ["0 %", "25 %", "50 %", "75 %", "100 %"])
        side.set_xlabel("How sure it was")
        side.set_ylabel("Number of decisions")

    alt = f"Reliability diagram with {len(bins)} groups of decisions"
    return picture("reliability", 2.7, draw, caption=caption, alt=alt)
