"""Pictures of what the signal did around the cues: ERD maps, averages, spectra."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .drawing import INK, NEUTRAL, colours, dashes, diverging, picture
from .locked import Locked
from .markup import Html
from .quality import Floats
from .wording import spoken

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_USUAL = {False: ("C3", "Cz", "C4"), True: ("Cz", "Pz", "Oz")}


def shown_rows(
    locked: Locked, names: Sequence[str], good: Sequence[bool]
) -> tuple[list[int], bool]:
    """Which channels to draw.

    Parameters
    ----------
    locked : Locked
        What was found.
    names : sequence of str
        Labels of the channels.
    good : sequence of bool
        Which of them were good.

    Returns
    -------
    rows : list of int
        Up to three.
    usual : bool
        True if they are the usual places of the task; False if they were picked because the
        classes differ most there, which flatters.
    """
    place = {name.strip().upper(): row for row, name in enumerate(names)}
    usual = [place[n.upper()] for n in _USUAL[locked.cues.brief] if n.upper() in place]
    if len(usual) >= 2:
        return usual, True
    apart = np.where(good if any(good) else [True] * len(names), locked.separation(), -1.0)
    return sorted(np.argsort(np.nan_to_num(apart, nan=-1.0))[::-1][:3].tolist()), False


def erd_maps(locked: Locked, names: Sequence[str], rows: list[int], *, caption: str) -> Html:
    """Time by frequency for every class and channel, with the band's course below.

    Parameters
    ----------
    locked : Locked
        Power around the cues.
    names : sequence of str
        Labels of all channels.
    rows : list of int
        Channels to draw.
    caption : str
        What to see.

    Returns
    -------
    html : Html
        A figure.
    """
    labels = locked.labels
    change = locked.log_change()
    shades, strokes = colours(locked.cues.labels), dashes(locked.cues.labels)
    places = [locked.cues.labels.index(label) for label in labels]
    smooth = np.array([[_smoothed(change[place, row]) for row in rows] for place in places])
    # Power cannot fall by more than 100 %, so a wider scale would leave its blue half unused.
    limit = float(np.clip(np.quantile(np.abs(smooth), 0.99), 20, 100))

    def draw(figure: Figure) -> None:
        heights = [1.0] * len(labels) + [0.95]
        grid: NDArray[Any] = figure.subplots(
            len(labels) + 1, len(rows), sharex=True, squeeze=False, height_ratios=heights
        )
        for i, label in enumerate(labels):
            for axes, row in zip(grid[i], rows, strict=True):
                image = _map(axes, locked, smooth[i, rows.index(row)], limit)
                axes.set_title(f"{names[row]}, {spoken(label)}", color=shades[label])
            grid[i, 0].set_ylabel("Hz")
        for axes, row in zip(grid[-1], rows, strict=True):
            _course(axes, locked, change[:, row], labels, shades, strokes)
            axes.set_title(f"{names[row]}, {_band(locked)}")
            axes.set_xlabel("Seconds from the cue")
            axes.set_ylim(-1.2 * limit, 1.2 * limit)
        grid[-1, 0].set_ylabel("Change, %")
        grid[-1, -1].legend(loc="best", fontsize=7)
        bar = figure.colorbar(image, ax=grid[:-1], aspect=26, pad=0.01)
        bar.set_label("Less (blue) or more power, %")
        bar.outline.set_visible(False)

    alt = f"Maps of power change around the cues at {', '.join(names[row] for row in rows)}"
    return picture("erd", 1.1 + 1.35 * (len(labels) + 0.9), draw, caption=caption, alt=alt)


def _smoothed(change: Floats) -> Floats:
    """Percent, over neighbouring frequencies: (n_times, n_freqs) in, the same out."""
    wide = np.pad(change, ((0, 0), (1, 1)), mode="edge")
    mean = 0.25 * wide[:, :-2] + 0.5 * wide[:, 1:-1] + 0.25 * wide[:, 2:]
    found: Floats = 100 * np.expm1(mean)
    return found


def _band(locked: Locked) -> str:
    low, high = locked.band_hz
    return f"{low:g} to {high:g} Hz"


def _map(axes: Axes, locked: Locked, change: Floats, limit: float) -> Any:
    times_s, freqs_hz = locked.times_s, locked.freqs_hz
    half_s = (times_s[1] - times_s[0]) / 2
    extent = (times_s[0] - half_s, times_s[-1] + half_s, freqs_hz[0] - 0.5, freqs_hz[-1] + 0.5)
    image = axes.imshow(
        change.T, origin="lower", aspect="auto", extent=extent, cmap=diverging(), vmin=-limit,
        vmax=limit, interpolation="bilinear",
    )  # fmt: skip
    axes.axvline(0, color=INK, lw=0.8, ls=(0, (3, 2)))
    return image


def _course(
    axes: Axes,
    locked: Locked,
    change: Floats,
    labels: Sequence[str],
    shades: dict[str, str],
    strokes: dict[str, Any],
) -> None:
    inside = (locked.freqs_hz >= locked.band_hz[0]) & (locked.freqs_hz <= locked.band_hz[1])
    for label in labels:
        log_change = change[locked.cues.labels.index(label)][:, inside].mean(axis=1)
        course = 100 * np.expm1(log_change)
        axes.plot(
            locked.times_s, course, color=shades[label], linestyle=strokes[label],
            label=spoken(label),
        )  # fmt: skip
    axes.axhline(0, color=NEUTRAL, lw=0.8)
    axes.axvline(0, color=INK, lw=0.8, ls=(0, (3, 2)))


def before_and_after(
    locked: Locked, names: Sequence[str], rows: list[int], *, caption: str
) -> Html:
    """Spectra before the cue and while each class was asked for.

    Parameters
    ----------
    locked : Locked
        Power around the cues.
    names : sequence of str
        Labels of all channels.
    rows : list of int
        Channels to draw.
    caption : str
        What to see.

    Returns
    -------
    html : Html
        A figure.
    """
    labels = locked.labels
    shades, strokes = colours(locked.cues.labels), dashes(locked.cues.labels)
    weights = np.array(locked.used, float)
    before = np.nansum(
        locked.mean[:, :, locked.baseline].mean(axis=2) * weights[:, None, None], axis=0
    ) / max(weights.sum(), 1)
    during = locked.mean[:, :, locked.times_s >= 1.0].mean(axis=2)

    def draw(figure: Figure) -> None:
        grid: NDArray[Any] = figure.subplots(1, len(rows), sharey=True, squeeze=False)
        for axes, row in zip(grid[0], rows, strict=True):
            decibels = 10 / np.log(10)
            axes.plot(locked.freqs_hz, decibels * before[row], color=NEUTRAL, lw=3, label="before")
            for label in labels:
                level = decibels * during[locked.cues.labels.index(label), row]
                axes.plot(
                    locked.freqs_hz, level, color=shades[label], linestyle=strokes[label],
                    label=spoken(label),
                )  # fmt: skip
            axes.set_title(names[row])
            axes.set_xlabel("Frequency, Hz")
        grid[0, 0].set_ylabel("Power, dB re 1 µV²/Hz")
        grid[0, -1].legend(loc="upper right", fontsize=7)

    alt = f"Spectra before and after the cue at {', '.join(names[row] for row in rows)}"
    return picture("cue-spectra", 2.1, draw, caption=caption, alt=alt)


def averages(locked: Locked, names: Sequence[str], rows: list[int], *, caption: str) -> Html:
    """Event-locked averages with their 95 % band.

    Parameters
    ----------
    locked : Locked
        Averages around the events.
    names : sequence of str
        Labels of all channels.
    rows : list of int
        Channels to draw.
    caption : str
        What to see.

    Returns
    -------
    html : Html
        A figure.
    """
    labels = locked.labels
    shades, strokes = colours(locked.cues.labels), dashes(locked.cues.labels)

    def draw(figure: Figure) -> None:
        grid: NDArray[Any] = figure.subplots(1, len(rows), sharey=True, squeeze=False)
        for axes, row in zip(grid[0], rows, strict=True):
            for label in labels:
                place = locked.cues.labels.index(label)
                mean, half = locked.mean[place, row], 1.96 * locked.error[place, row]
                times_ms = 1e3 * locked.times_s
                axes.fill_between(
                    times_ms, mean - half, mean + half, color=shades[label], alpha=0.18, lw=0
                )
                axes.plot(
                    times_ms, mean, color=shades[label], linestyle=strokes[label],
                    label=f"{spoken(label)} ({locked.used[place]})",
                )  # fmt: skip
            axes.axhline(0, color=NEUTRAL, lw=0.8)
            axes.axvline(0, color=INK, lw=0.8, ls=(0, (3, 2)))
            axes.set_title(names[row])
            axes.set_xlabel("Milliseconds from the event")
        grid[0, 0].set_ylabel("Microvolts")
        grid[0, -1].legend(loc="upper right", fontsize=7)

    alt = f"Averages around the events at {', '.join(names[row] for row in rows)}"
    return picture("averages", 2.4, draw, caption=caption, alt=alt)
