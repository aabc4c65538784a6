"""Pictures of the signal itself: quality over time, and spectra."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from .drawing import INK, NEUTRAL, WIDTH_IN, bare, colours, dashes, picture, time_axis
from .markup import Html
from .quality import Floats
from .survey import Survey

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Rows of the 10-10 system.
_REGIONS = {
    "FP": "frontal", "AF": "frontal", "F": "frontal", "FC": "central", "C": "central",
    "CP": "central", "FT": "temporal", "T": "temporal", "TP": "temporal", "P": "parietal",
    "PO": "occipital", "O": "occipital", "I": "occipital",
}  # fmt: skip
_MOST_GROUPS = 6
_MOST_GAP_MARKS = 200


def quality_map(survey: Survey, duration_s: float, *, caption: str) -> Html:
    """Channels by time, bright where the signal was good.

    Parameters
    ----------
    survey : Survey
        What was seen.
    duration_s : float
        Length of the session.
    caption : str
        What to see.

    Returns
    -------
    html : Html
        A figure.
    """
    n = len(survey.names)

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        image = axes.imshow(
            np.ma.masked_invalid(survey.index), aspect="auto", cmap="cividis", vmin=0, vmax=1,
            interpolation="nearest", origin="upper",
            extent=(0, survey.index.shape[1] * survey.cell_s, n - 0.5, -0.5),
        )  # fmt: skip
        for first, stop in survey.lost[:_MOST_GAP_MARKS]:
            middle_s = (first + stop) / 2 / survey.rate_hz
            axes.plot([middle_s], [-0.9], "v", color=INK, markersize=4.5, clip_on=False)
        _channel_ticks(axes, survey)
        time_axis(axes, duration_s)
        bare(axes)
        bar = figure.colorbar(image, ax=axes, ticks=[0, 0.5, 1], pad=0.015, aspect=14, shrink=0.9)
        bar.ax.set_yticklabels(["unusable", "doubtful", "good"])
        bar.ax.tick_params(length=0)
        bar.outline.set_visible(False)

    height_in = 0.9 + float(np.clip(0.165 * n, 0.7, 6.2))
    alt = f"Map of signal quality: {n} channels from top to bottom, session time from left to right"
    return picture("quality", height_in, draw, caption=caption, alt=alt)


def _channel_ticks(axes: Axes, survey: Survey) -> None:
    """Every label where there is room; beyond that, as many as can be read. Bad ones stand out."""
    n = len(survey.names)
    step = max(1, int(np.ceil(n / 42)))
    shown = survey.verdicts[::step]
    labels = [entry.name if entry.good else f"! {entry.name}" for entry in shown]
    axes.set_yticks(range(0, n, step), labels, fontsize=7.5 if n <= 42 else 6.5)
    axes.set_ylim(n - 0.5, -0.5)
    for tick, entry in zip(axes.get_yticklabels(), shown, strict=True):
        tick.set_fontweight("normal" if entry.good else "bold")


def region_of(name: str, kind: str) -> str:
    """Group of a channel: lobe for labels of the 10-10 system, shaft or grid for contacts.

    Parameters
    ----------
    name : str
        Label.
    kind : str
        Kind of the channel.

    Returns
    -------
    region : str
        For example ``"central"``, or the letters that a contact's label begins with.
    """
    found = re.match(r"([A-Za-z]*?)(z|10|\d)?$", name.strip())
    if kind == "eeg" and found and found[2] and found[1].upper() in _REGIONS:
        return _REGIONS[found[1].upper()]
    letters = re.match(r"[A-Za-z]*", name.strip())
    return (letters[0] if letters else "") or "all"


def spectra(survey: Survey, kinds: tuple[str, ...], *, caption: str) -> Html:
    """Power against frequency, one line for each group of channels.

    Parameters
    ----------
    survey : Survey
        What was seen.
    kinds : tuple of str
        Kind of every channel of the survey.
    caption : str
        What to see.

    Returns
    -------
    html : Html
        A figure.
    """
    groups = group_rows(survey, kinds)
    shades, strokes = colours(list(groups)), dashes(list(groups))
    eeg = all(kind == "eeg" for kind in kinds)

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        shown = (survey.freqs_hz >= 1) & (survey.freqs_hz <= (60 if eeg else 150))
        for name, rows in groups.items():
            level = 10 * np.log10(np.maximum(np.median(survey.psd[rows], axis=0)[shown], 1e-9))
            axes.plot(
                survey.freqs_hz[shown], level, color=shades[name], linestyle=strokes[name],
                label=f"{name} ({len(rows)})",
            )  # fmt: skip
        if eeg:
            for low, high, name in ((4, 8, "theta"), (8, 13, "alpha, mu"), (13, 30, "beta")):
                axes.axvspan(
                    low, high, color=NEUTRAL, alpha=0.10 if name == "theta" else 0.16, lw=0
                )
                axes.text(
                    (low + high) / 2, 0.98, name, fontsize=7, ha="center",
                    va="top", transform=axes.get_xaxis_transform(), color="#4b5563",
                )  # fmt: skip
        axes.margins(y=0.14)
        axes.set_xlim(1, survey.freqs_hz[shown][-1])
        axes.set_xlabel("Frequency, Hz")
        axes.set_ylabel("Power, dB re 1 µV²/Hz")
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8)

    alt = f"Spectra of {len(groups)} groups of channels"
    return picture("spectra", 0.36 * WIDTH_IN, draw, caption=caption, alt=alt)


def group_rows(survey: Survey, kinds: tuple[str, ...]) -> dict[str, list[int]]:
    """Channels with a spectrum, by region; the smallest regions share a group if there are many."""
    groups: dict[str, list[int]] = {}
    for row, name in enumerate(survey.names):
        if np.isfinite(survey.psd[row]).all():
            groups.setdefault(region_of(name, kinds[row]), []).append(row)
    if len(groups) <= _MOST_GROUPS:
        return groups
    by_size = sorted(groups, key=lambda name: -len(groups[name]))
    kept = {name: groups[name] for name in by_size[: _MOST_GROUPS - 1]}
    kept["others"] = sorted(row for name in by_size[_MOST_GROUPS - 1 :] for row in groups[name])
    return kept


def alpha_peak(survey: Survey, kinds: tuple[str, ...]) -> tuple[str, float, float]:
    """Find the group of channels with the clearest bump from 7 to 14 Hz.

    Parameters
    ----------
    survey : Survey
        What was seen.
    kinds : tuple of str
        Kind of every channel of the survey.

    Returns
    -------
    group : str
        Its name; empty where there is no spectrum.
    peak_hz, height_db : float
        Where the bump is, and how far it stands above a straight line through its neighbours, on
        logarithmic axes; NaN where there is no spectrum.
    """
    freqs: Floats = survey.freqs_hz
    inside = np.flatnonzero((freqs >= 7) & (freqs <= 14))
    around = np.flatnonzero(((freqs >= 4) & (freqs < 7)) | ((freqs > 14) & (freqs <= 20)))
    best = ("", float("nan"), float("nan"))
    if not inside.size or around.size < 4:
        return best
    for name, rows in group_rows(survey, kinds).items():
        level = 10 * np.log10(np.maximum(np.median(survey.psd[rows], axis=0), 1e-9))
        line = np.polyfit(np.log(freqs[around]), level[around], 1)
        above = level[inside] - np.polyval(line, np.log(freqs[inside]))
        if not above.max() <= best[2]:
            best = (name, float(freqs[inside[above.argmax()]]), float(above.max()))
    return best
