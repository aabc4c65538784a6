"""From samples to pixels: the least and the greatest of each column, as upright strokes.

A trace is drawn as one stroke per pixel column, from the least to the greatest value that it takes
there. A spike of one sample is never lost, whatever the window, and a new piece of signal costs
only its own columns: this is what makes 60 frames a second cheap.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .trace_store import BIN, TraceStore

Read = Callable[[int, int], NDArray[np.floating]]
Pixels = NDArray[np.uint32]
"""Shape (height, width), ``0xffRRGGBB``."""

SHADES = 32
"""Steps from the ground to a full colour, for the ends of strokes."""
_FAINTEST = 6  # steps below which an end is left out


def extents(
    read: Read, first: int, stop: int, per_column: float, newest: int
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """The least and the greatest value of a polyline through the samples, in each pixel column.

    Column ``n`` is from sample ``n * per_column`` to ``(n + 1) * per_column``, so the same samples
    fall into the same column however often they are drawn.

    Parameters
    ----------
    read : callable
        Gives samples, shape (n_times, n_shown), of a stretch of stream indices.
    first, stop : int
        Columns, stop exclusive.
    per_column : float
        Samples.
    newest : int
        Stream index of the newest sample that there is: a column ends there, if it is not over.

    Returns
    -------
    low, high : ndarray, shape (n_columns, n_shown)
        NaN where a sample of the column is not known.
    """
    edges = np.minimum(np.arange(first, stop + 1) * per_column, newest)
    whole = np.floor(edges).astype(np.int64)
    begin = int(whole[0])
    samples = read(begin, min(int(whole[-1]) + 2, newest + 1))
    at = whole - begin
    share = (edges - whole)[:, None].astype(samples.dtype)
    after = samples[np.minimum(at + 1, len(samples) - 1)]
    # An edge that lies on a sample needs no other one, which may be missing.
    on_edge = np.where(share > 0, samples[at] + share * (after - samples[at]), samples[at])
    # A column has samples of its own, beyond those on its edges, unless it is shorter than one.
    inside = np.minimum(at[:-1] + 1, len(samples) - 1)
    low = np.minimum.reduceat(samples, inside, axis=0)
    high = np.maximum.reduceat(samples, inside, axis=0)
    bare = (at[1:] <= at[:-1])[:, None]
    ends = on_edge[:-1], on_edge[1:]
    # reduceat runs the last column to the end of all samples: one too far, mend it here.
    last = samples[inside[-1] : at[-1] + 1]
    if len(last):
        low[-1], high[-1] = last.min(axis=0), last.max(axis=0)
    low = np.minimum(*ends, where=bare, out=np.minimum(low, np.minimum(*ends)))
    high = np.maximum(*ends, where=bare, out=np.maximum(high, np.maximum(*ends)))
    return low, high


def bin_extents(
    store: TraceStore, channels: NDArray[np.intp], first: int, stop: int, per_column: float
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """The same from the store's bins, for columns of several bins each.

    Neighbouring columns share a bin, so that their strokes meet.

    Parameters
    ----------
    store : TraceStore
        Where the bins are.
    channels : ndarray of int, shape (n_shown,)
        Which channels.
    first, stop : int
        Columns, stop exclusive.
    per_column : float
        Samples, at least two bins of them.

    Returns
    -------
    low, high : ndarray, shape (n_columns, n_shown)
        NaN where a sample of the column is not known.
    """
    edges = np.floor(np.arange(first, stop + 1) * (per_column / BIN)).astype(np.int64)
    begin = int(edges[0])
    lows, highs = (part[:, channels] for part in store.read_bins(begin, int(edges[-1]) + 1))
    at = edges - begin
    low = np.minimum.reduceat(lows, at, axis=0)
    high = np.maximum.reduceat(highs, at, axis=0)
    return np.minimum(low[:-1], lows[at[1:]]), np.maximum(high[:-1], highs[at[1:]])


def shades(ground: str, colour: str) -> NDArray[np.uint32]:
    """The steps between two colours.

    Parameters
    ----------
    ground, colour : str
        ``"#rrggbb"``.

    Returns
    -------
    steps : ndarray of uint32, shape (SHADES + 1,)
        From `ground` to `colour`.
    """
    begin, end = ([int(text[n : n + 2], 16) for n in (1, 3, 5)] for text in (ground, colour))
    red, green, blue = np.linspace(begin, end, SHADES + 1).round().astype(np.uint32).T
    return np.asarray(0xFF000000 | red << 16 | green << 8 | blue, dtype=np.uint32)


def stroke(
    pixels: Pixels,
    x: NDArray[np.integer],
    top: NDArray[np.floating],
    bottom: NDArray[np.floating],
    colours: NDArray[np.uint32],
) -> None:
    """Draw upright strokes with soft ends.

    Parameters
    ----------
    pixels : ndarray, shape (height, width)
        Drawn into.
    x : ndarray of int, shape (n_strokes,)
        Columns.
    top, bottom : ndarray, shape (n_strokes,)
        In pixels from above, finite; drawn one pixel tall at least, and cut at the edges.
    colours : ndarray of uint32, shape (n_strokes, SHADES + 1)
        Of each, from the ground to its own.
    """
    height, width = pixels.shape
    flat = pixels.reshape(-1)
    thin = np.maximum(1.0 - (bottom - top), 0.0) / 2
    top = np.clip(top - thin, 0, height - 1)
    bottom = np.clip(bottom + thin, top, height - 1e-3)
    above, below = top.astype(np.int64), bottom.astype(np.int64)
    at_top = np.rint((1.0 - (top - above)) * SHADES).astype(np.int64)
    at_bottom = np.rint((bottom - below) * SHADES).astype(np.int64)
    for row, shade in ((above, at_top), (below, at_bottom)):
        drawn = shade >= _FAINTEST
        flat[(row * width + x)[drawn]] = colours[drawn, shade[drawn]]
    tall = np.maximum(below - above - 1, 0)
    begins = np.cumsum(tall) - tall
    down = np.arange(int(tall.sum())) - np.repeat(begins, tall)
    flat[np.repeat((above + 1) * width + x, tall) + down * width] = np.repeat(colours[:, -1], tall)
