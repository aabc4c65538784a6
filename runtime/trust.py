"""Which stretches of the stream may be decoded: none that touches a hole, none unsettled."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .conditioned import Conditioned
from .messages import Chunk, Samples, StreamSpec
from .swarm import Swarm
from .windows import Slot

_MOST_SWARMS = 16  # sets of channels that are told apart
LOST = "the window touches lost or unsettled samples"
OLD = "what comes is old: it was held up on its way"


class Trust:
    """Remembers what may not be decoded: holes, what it takes to recover from them, and the rest.

    Parameters
    ----------
    settle_samples : int
        Samples after the start or a hole that are not to be trusted yet.
    capacity : int
        Stretches further back than so many samples are forgotten.

    Attributes
    ----------
    old : bool
        Whether what came last had been under way for too long, so that nothing may act on it.
    """

    def __init__(self, settle_samples: int, capacity: int) -> None:
        self._settle = settle_samples
        self._capacity = capacity
        self._shut: deque[tuple[int, int, str]] = deque([(0, settle_samples, LOST)])
        self._masks = Masks(capacity)
        self._forbidden = self._suspended = ""
        self.old = False

    def learn(self, conditioned: Conditioned) -> None:
        """Take in what the conditioner says of the stream."""
        for at, usable in conditioned.masks:
            self._masks.change(at, usable)
        for shut in conditioned.shut:
            self.shut(shut.first, shut.stop, shut.reason)

    def usable(self, slot: Slot) -> NDArray[np.bool_] | None:
        """Which rows were good all through a stretch; None if all were."""
        return self._masks.over(slot)

    def lose(self, first: int, stop: int) -> None:
        """Samples ``[first, stop)`` never came, or hold no numbers."""
        self.shut(first, stop + self._settle, LOST)

    def shut(self, first: int, stop: int, reason: str) -> None:
        """Nothing that touches samples ``[first, stop)`` may be decoded."""
        self._shut.append((first, stop, reason))
        while self._shut[0][1] < stop - self._settle - self._capacity:
            self._shut.popleft()

    def forbid(self, reason: str) -> None:
        """From now on nothing may be decoded."""
        self._forbidden = reason

    def suspend(self, reason: str) -> None:
        """Nothing may be decoded until `resume`."""
        self._suspended = reason

    def resume(self) -> None:
        """A person has cleared what `suspend` was called for."""
        self._suspended = ""

    def refusal(self, slot: Slot) -> str:
        """Why a stretch may not be decoded; empty if it may."""
        if refusal := self._forbidden or self._suspended or (OLD if self.old else ""):
            return refusal
        for first, stop, reason in self._shut:
            if first < slot.stop and slot.first < stop:
                return reason
        return ""


class Masks:
    """Remembers which rows were good when.

    Parameters
    ----------
    capacity : int
        What is further back than so many samples is forgotten.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._changes: deque[tuple[int, NDArray[np.bool_]]] = deque()

    def change(self, at: int, usable: NDArray[np.bool_]) -> None:
        """From a sample on other rows are good.

        Parameters
        ----------
        at : int
            Conditioned stream index. What was to change there or later no longer does.
        usable : ndarray of bool, shape (n_rows,)
            True where a row may be looked at.
        """
        while self._changes and self._changes[-1][0] >= at:
            self._changes.pop()  # it never held
        self._changes.append((at, usable))
        while len(self._changes) > 1 and self._changes[1][0] <= at - self._capacity:
            self._changes.popleft()

    def over(self, slot: Slot) -> NDArray[np.bool_] | None:
        """Which rows were good all through a stretch; None if all were."""
        if not self._changes:
            return None
        usable: NDArray[np.bool_] | None = None
        until = slot.stop
        for at, mask in reversed(self._changes):
            if at < until:
                usable = mask if usable is None else usable & mask
            if at <= slot.first:
                break
        return None if usable is None or usable.all() else usable


class Damage:
    """Tells people of samples that are no numbers, once for each episode.

    Parameters
    ----------
    spec : StreamSpec
        The stream.
    """

    def __init__(self, spec: StreamSpec) -> None:
        self._names, self._rate_hz = spec.channel_names, spec.rate_hz
        self._swarms: dict[str, Swarm] = {}

    def tell(self, chunk: Chunk) -> tuple[str, int] | None:
        """What to say of a chunk with NaN or infinity, and of how many samples; None if told."""
        count, text = describe_damage(chunk, self._names)
        figure, _, rest = text.partition(" ")
        if len(self._swarms) > _MOST_SWARMS:
            rest = ""  # channels come and go: one episode for all
        swarm = self._swarms.setdefault(rest, Swarm(self._rate_hz, 60 * self._rate_hz))
        told = swarm.admit(chunk.first_sample, count)
        return (text.replace(figure, str(told), 1), told) if told else None


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


def all_finite(samples: Samples) -> bool:
    """Whether every sample is a number, asked of all at once.

    Parameters
    ----------
    samples : ndarray, shape (n_channels, n_times)
        Signal.
    """
    # A sum of squares is finite only if every term is. One that overflows proves nothing.
    return math.isfinite(np.vdot(samples, samples)) or bool(np.isfinite(samples).all())


def finite_parts(chunk: Chunk, rows: Sequence[int] | None = None) -> Iterator[Chunk]:
    """Cut samples that are no numbers out of a chunk: one of them would stay in the filters.

    Parameters
    ----------
    chunk : Chunk
        With NaN or infinity somewhere.
    rows : sequence of int, optional
        Those that have to be finite; all without it.

    Yields
    ------
    part : Chunk
        A run of samples that are finite in those rows, with its own index and with every row.
    """
    looked_at = chunk.samples if rows is None else chunk.samples[list(rows)]
    good = np.isfinite(looked_at).all(axis=0)
    edges = np.flatnonzero(np.diff(np.r_[False, good, False].astype(np.int8)))
    markers = chunk.markers
    for start, stop in edges.reshape(-1, 2).tolist():
        first = chunk.first_sample + start
        part = chunk.samples[:, start:stop]
        yield replace(chunk, samples=part, first_sample=first, markers=markers)
        markers = ()  # announced once
