"""Which stretches of the stream may be decoded: none that touches a hole, none unsettled."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from .messages import Chunk
from .windows import Slot

LOST = "the window touches lost or unsettled samples"


class Trust:
    """Remembers holes in the stream and what the conditioner needs to recover from them.

    Parameters
    ----------
    settle_samples : int
        Samples after the start or a hole that are not to be trusted yet.
    capacity : int
        Holes further back than so many samples are forgotten.
    """

    def __init__(self, settle_samples: int, capacity: int) -> None:
        self._settle = settle_samples
        self._capacity = capacity
        self._shut: deque[tuple[int, int]] = deque([(0, settle_samples)])
        self._forbidden = ""

    def lose(self, first: int, stop: int) -> None:
        """Samples ``[first, stop)`` never came, or hold no numbers."""
        self._shut.append((first, stop + self._settle))
        while self._shut[0][1] < stop - self._capacity:
            self._shut.popleft()

    def forbid(self, reason: str) -> None:
        """From now on nothing may be decoded."""
        self._forbidden = reason

    def allows(self, slot: Slot) -> bool:
        """Whether a stretch may be decoded."""
        if self._forbidden:
            return False
        return all(stop <= slot.first or slot.stop <= first for first, stop in self._shut)

    @property
    def reason(self) -> str:
        """Why a stretch was not allowed."""
        return self._forbidden or LOST


def describe_damage(chunk: Chunk, channel_names: Sequence[str]) -> tuple[int, str]:
    """Say what is wrong with a chunk that holds NaN or infinity.

    Parameters
    ----------
    chunk : Chunk
        The chunk.
    channel_names : sequence of str
        Its rows.

    Returns
    -------
    count : int
        Samples that are not finite in every row.
    text : str
        One sentence with the channels.
    """
    bad = ~np.isfinite(chunk.samples)
    names = ", ".join(channel_names[int(row)] for row in np.flatnonzero(bad.any(axis=1)))
    count = int(bad.any(axis=0).sum())
    return count, (
        f"{count} samples hold NaN or infinity in {names} and are treated as lost: check the "
        f"cable and the amplifier."
    )


def finite_parts(chunk: Chunk) -> Iterator[Chunk]:
    """Cut samples that are no numbers out of a chunk: one of them would stay in the filters.

    Parameters
    ----------
    chunk : Chunk
        With NaN or infinity somewhere.

    Yields
    ------
    part : Chunk
        A run of samples that are finite in every row, with its own index.
    """
    good = np.isfinite(chunk.samples).all(axis=0)
    edges = np.flatnonzero(np.diff(np.r_[False, good, False].astype(np.int8)))
    for start, stop in edges.reshape(-1, 2).tolist():
        first = chunk.first_sample + start
        yield replace(chunk, samples=chunk.samples[:, start:stop], first_sample=first)
