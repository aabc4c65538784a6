"""Maps of the head: where the signal changed with each class, and where classes differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...messages import Channel
from .drawing import INK, diverging, picture
from .locked import Locked
from .markup import Html
from .quality import Floats
from .wording import spoken

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_HEAD_DEG = 100.0  # from the vertex down to the drawn outline: a little below the ears


def head_maps(
    locked: Locked, channels: Sequence[Channel], good: Sequence[bool], *, caption: str
) -> Html | None:
    """Where on the head each class changed the signal, and where two classes differ.

    Parameters
    ----------
    locked : Locked
        One effect for each trial and channel.
    channels : sequence of Channel
        The channels, with their places.
    good : sequence of bool
        Bad ones are left out, and drawn as crosses.
    caption : str
        What to see.

    Returns
    -------
    html : Html or None
        None if fewer than four good channels have a place.
    """
    placed = [i for i, channel in enumerate(channels) if channel.position_m is not None]
    if sum(good[i] for i in placed) < 4:
        return None
    scalp = all(channels[i].kind == "eeg" for i in placed)
    places = np.array([channels[i].position_m for i in placed])
    flat = _flattened(places) if scalp else _seen_from_the_side(places)
    usable = np.array([good[i] for i in placed])
    maps = _effects(locked)
    limit = max(float(np.nanmax(np.abs([e[placed][usable] for _, e in maps]))), 1e-6)

    def draw(figure: Figure) -> None:
        grid: NDArray[Any] = figure.subplots(1, len(maps), squeeze=False)
        for axes, (title, effect) in zip(grid[0], maps, strict=True):
            axes.set_title(title, loc="center")
            image = _head(axes, flat, effect[placed], usable, limit, scalp=scalp)
            names = [channels[i].name for i in placed]
            if len(names) <= 32:
                for (x, y), name in zip(flat, names, strict=True):
                    axes.annotate(
                        name, (x, y), (0, 4), textcoords="offset points", fontsize=5.5, ha="center"
                    )
        bar = figure.colorbar(image, ax=grid, aspect=18, pad=0.02, shrink=0.8)
        bar.set_label("Microvolts" if locked.cues.brief else "Change, %")
        bar.outline.set_visible(False)

    alt = f"Maps of the head: {', '.join(title for title, _ in maps)}"
    return picture("heads", 2.6, draw, caption=caption, alt=alt)


def _effects(locked: Locked) -> list[tuple[str, Floats]]:
    """Title and effect of every map: percent of power, or microvolts."""
    labels = locked.labels
    of = {label: locked.of_class(label) for label in labels}
    if not locked.cues.brief:
        of = {label: 100 * np.expm1(effect) for label, effect in of.items()}
    maps = [(spoken(label), effect) for label, effect in of.items()][:3]
    if len(labels) == 2:
        first, second = labels
        maps.append((f"{spoken(first)} less {spoken(second)}", of[first] - of[second]))
    return maps


def _flattened(places: Floats) -> Floats:
    """Scalp on paper, distances from the vertex kept; 1 is the drawn outline of the head."""
    middle = _centre(places) if len(places) >= 8 else np.zeros(3)
    around = places - middle
    around = around / np.maximum(np.linalg.norm(around, axis=1, keepdims=True), 1e-9)
    radius = np.degrees(np.arccos(np.clip(around[:, 2], -1, 1))) / _HEAD_DEG
    angle = np.arctan2(around[:, 1], around[:, 0])
    flat: Floats = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])
    return flat


def _centre(places: Floats) -> Floats:
    """Middle of the sphere that fits the electrodes best, by linear least squares."""
    left = np.column_stack([2 * places, np.ones(len(places))])
    solved: Floats = np.linalg.lstsq(left, (places**2).sum(axis=1), rcond=None)[0][:3]
    return solved


def _seen_from_the_side(places: Floats) -> Floats:
    """Contacts in the plane in which they spread most, scaled into the unit circle."""
    centred = places - places.mean(axis=0)
    axes = np.linalg.svd(centred, full_matrices=False)[2][:2]
    flat = centred @ axes.T
    scaled: Floats = flat / max(float(np.linalg.norm(flat, axis=1).max()), 1e-9)
    return scaled


def _head(
    axes: Axes,
    flat: Floats,
    effect: Floats,
    usable: NDArray[np.bool_],
    limit: float,
    *,
    scalp: bool,
) -> Any:
    from matplotlib.patches import Circle

    edge = max(1.0, float(np.linalg.norm(flat, axis=1).max()) + 0.06)
    axes.set(xlim=(-1.15 * edge, 1.15 * edge), ylim=(-1.15 * edge, 1.25 * edge), aspect="equal")
    axes.set_axis_off()
    shown = usable & np.isfinite(effect)
    image: Any
    scale: dict[str, Any] = {"cmap": diverging(), "vmin": -limit, "vmax": limit}
    if scalp:
        image = axes.imshow(
            _between(flat[shown], effect[shown], edge), extent=(-edge, edge, -edge, edge),
            origin="lower", interpolation="bilinear", **scale,
        )  # fmt: skip
        image.set_clip_path(Circle((0, 0), edge, transform=axes.transData))
        axes.add_patch(Circle((0, 0), edge, fill=False, color=INK, lw=1))
        axes.plot(
            [-0.09 * edge, 0, 0.09 * edge],
            [0.996 * edge, 1.1 * edge, 0.996 * edge],
            color=INK,
            lw=1,
        )
        axes.plot(*flat[shown].T, ".", color=INK, markersize=2.5)
    else:
        x, y = flat[shown].T
        image = axes.scatter(x, y, 60, effect[shown], edgecolors=INK, linewidths=0.5, **scale)
    axes.plot(*flat[~shown].T, "x", color=INK, markersize=4)
    return image


def _between(flat: Floats, effect: Floats, edge: float) -> Floats:
    """Smooth values on a square grid."""
    from scipy.interpolate import RBFInterpolator

    line = np.linspace(-edge, edge, 56)
    points = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    smooth = RBFInterpolator(flat, effect, kernel="linear", smoothing=0.02)
    found: Floats = smooth(points).reshape(56, 56)
    return found
