"""Batches drawn from recordings, as DIVER-1 draws them.

A random number of channels and of patches [1]_, here patches that follow each other; the signal
is clipped, and channels that would be clipped for long are left out.

References
----------
.. [1] Han et al. DIVER-1: deep integration of vast electrophysiological recordings at scale. 2025.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import ConfigError, RecordingError
from .corpus_array import Signal
from .corpus_files import MODALITIES, CorpusEntry

if TYPE_CHECKING:
    import torch

CLIP_UV = {"EEG": 100.0, "iEEG": 200.0}
"""Where drawn signal is cut off, and what the models divide by."""

_FLAT_UV = 1e-3  # from the lowest to the highest sample of an electrode that is not connected


class Batch(NamedTuple):
    """What flows in training: segments of one recording, so that nothing is padded.

    Parameters
    ----------
    x : Tensor of float32, shape (B, C, T)
        Microvolts at 500 Hz, clipped to `CLIP_UV`.
    positions : Tensor of float32, shape (B, C, 3)
        Millimetres, NaN where unknown.
    modality : Tensor of int64, shape (B,)
        0 for EEG, 1 for iEEG.
    subtypes : Tensor of int64, shape (B, C)
        Places in `SUBTYPES`, -1 where unknown.
    usable : Tensor of bool, shape (B, C)
        False where a bad channel had to fill up a segment that has too few good ones.
    """

    x: torch.Tensor
    positions: torch.Tensor
    modality: torch.Tensor
    subtypes: torch.Tensor
    usable: torch.Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawPlan:
    """How batches are drawn.

    Parameters
    ----------
    patch : int
        Samples of a patch, for example 500 (1 s) or 50 (0.1 s).
    max_channels, max_patches : int
        Most channels and consecutive patches of a segment. Both numbers are drawn from a scaled
        Beta(3, 1), three quarters of the most on average.
    min_channels, min_patches : int
        Fewest, where the recording has as many.
    power : float
        How the chance of an entry grows with its seconds: 1 is in proportion, 0 is alike.
    clipped_share : float
        A channel of which more than this share has to be clipped is bad.
    average_share : float
        Share of segments that are re-referenced to the mean of the recording's electrodes (flat
        ones apart) before anything else; the others stay as they were recorded.
    tries : int
        How often another place is looked for when most channels are bad.
    """

    patch: int = 500
    max_channels: int = 32
    max_patches: int = 30
    min_channels: int = 1
    min_patches: int = 1
    power: float = 1.0
    clipped_share: float = 1 / 30
    average_share: float = 0.0
    tries: int = 20

    def __post_init__(self) -> None:
        for name, high in (("patch", 50_000), ("max_channels", 4096), ("max_patches", 10_000),
                           ("min_channels", self.max_channels),
                           ("min_patches", self.max_patches), ("tries", 10_000)):  # fmt: skip
            if not 1 <= getattr(self, name) <= high:
                raise ConfigError(f"draw.{name} must be in 1 to {high}, got {getattr(self, name)}.")
        for name in ("power", "clipped_share", "average_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"draw.{name} must be in [0, 1], got {getattr(self, name):g}.")


def chances(entries: Sequence[CorpusEntry], plan: DrawPlan) -> NDArray[np.float64]:
    """How likely each entry is to be drawn from.

    Parameters
    ----------
    entries : sequence of CorpusEntry
        What there is.
    plan : DrawPlan
        How it is drawn from.

    Returns
    -------
    chances : ndarray, shape (n_entries,)
        They add up to 1; 0 for entries that are too short.

    Raises
    ------
    RecordingError
        If all are too short.
    """
    needed = plan.min_patches * plan.patch
    seconds = np.array([entry.seconds for entry in entries])
    long_enough = np.array([_longest(entry) >= needed for entry in entries])
    weights = np.where(long_enough, seconds**plan.power, 0.0)
    if not weights.any():
        raise RecordingError(
            f"No entry of the corpus holds {needed} samples in one piece: lower "
            f"draw.min_patches = {plan.min_patches} or draw.patch = {plan.patch}."
        )
    return np.asarray(weights / weights.sum())


def draw_segments(
    entry: CorpusEntry, signal: Signal, rng: np.random.Generator, n: int, plan: DrawPlan
) -> Batch | None:
    """Draw segments of one entry.

    Parameters
    ----------
    entry : CorpusEntry
        At least as long as the plan's fewest patches.
    signal : ndarray, shape (n_channels, n_times)
        Its samples.
    rng : Generator
        Everything random comes from it.
    n : int
        Segments.
    plan : DrawPlan
        How.

    Returns
    -------
    batch : Batch or None
        None if most channels are bad in every place that was tried.
    """
    most_patches = min(_longest(entry) // plan.patch, plan.max_patches)
    n_rows = _count(rng, plan.min_channels, min(entry.n_channels, plan.max_channels))
    n_times = _count(rng, plan.min_patches, most_patches) * plan.patch
    limit_uv = CLIP_UV[entry.modality]
    x = np.empty((n, n_rows, n_times), dtype=np.float32)
    rows = np.empty((n, n_rows), dtype=np.intp)
    good = np.empty((n, n_rows), dtype=bool)
    for segment in range(n):
        found = _place(entry, signal, n_times, rng, plan)
        if found is None:
            return None
        piece, bad = found
        order = rng.permutation(entry.n_channels)
        good_first = order[np.argsort(bad[order], kind="stable")]
        rows[segment] = np.sort(good_first[:n_rows])
        good[segment] = ~bad[rows[segment]]
        np.clip(piece[rows[segment]], -limit_uv, limit_uv, out=x[segment])
    return _batch(entry, x, rows, good)


def _place(
    entry: CorpusEntry, signal: Signal, n_times: int, rng: np.random.Generator, plan: DrawPlan
) -> tuple[Signal, NDArray[np.bool_]] | None:
    """A piece of every row, and which rows are bad there; None where most always are."""
    averaged = rng.random() < plan.average_share
    for _ in range(plan.tries):
        start = _start(entry, n_times, rng)
        piece = np.array(signal[:, start : start + n_times], order="C")
        flat = np.ptp(piece, axis=1) < _FLAT_UV
        if averaged and not flat.all():
            piece = piece - piece[~flat].mean(axis=0)
        clipped = np.abs(piece) > CLIP_UV[entry.modality]
        bad = flat | (clipped.mean(axis=1) > plan.clipped_share)
        if 2 * bad.sum() <= entry.n_channels:
            return piece, bad
    return None


def _longest(entry: CorpusEntry) -> int:
    """Samples of the longest stretch."""
    return max((stop - first for first, stop in entry.stretches), default=0)


def _count(rng: np.random.Generator, fewest: int, most: int) -> int:
    """A number from a scaled Beta(3, 1), `fewest` to `most`, or `most` if that is less."""
    return min(most, max(fewest, math.ceil(rng.beta(3.0, 1.0) * most)))


def _start(entry: CorpusEntry, n_times: int, rng: np.random.Generator) -> int:
    """Where a segment begins: any column from which it does not reach across a joint."""
    room = np.array([max(0, stop - first - n_times + 1) for first, stop in entry.stretches])
    at = int(rng.integers(room.sum()))
    stretch = int(np.searchsorted(np.cumsum(room), at, side="right"))
    return entry.stretches[stretch][0] + at - int(room[:stretch].sum())


def _batch(entry: CorpusEntry, x: Signal, rows: NDArray[np.intp], good: NDArray[np.bool_]) -> Batch:
    import torch

    positions = np.array(entry.positions_mm, dtype=np.float32)[rows]
    subtypes = np.array(entry.subtypes, dtype=np.int64)[rows]
    modality = np.full(len(x), MODALITIES.index(entry.modality), dtype=np.int64)
    return Batch(*(torch.from_numpy(part) for part in (x, positions, modality, subtypes, good)))
