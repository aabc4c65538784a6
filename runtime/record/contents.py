"""A recorded session in memory: small things whole, the signal piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..card import Card
from ..messages import Chunk, Event, Marker, StreamSpec, Turn
from ..quality import Quality
from .manifest import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a person wrote down during a session.

    Parameters
    ----------
    text : str
        In their words.
    who : str
        Who wrote it; empty where unknown.
    at_ns : int
        When, on the loop's clock.
    """

    text: str
    who: str
    at_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a recording holds; reports and exports are made from it.

    Parameters
    ----------
    path : Path
        The file.
    spec : StreamSpec
        The signal stream.
    n_times : int
        Number of stream indices, lost samples included.
    chunks : callable
        Gives the signal anew at every call, as `Chunk` after `Chunk` in order, so that hours
        need not fit into memory. Indices that no chunk holds were lost.
    manifest : Manifest, optional
        None for a file that another program recorded.
    card : Card, optional
        The model that decoded, where its copy was found.
    markers : tuple of Marker
        In order of their sample.
    turns : tuple of Turn
        Decisions with their commands and times, in order; without embeddings.
    events : tuple of Event
        Faults, guard, promotions, in order.
    qualities : tuple of Quality
        What the conditioner thought of the signal, about once a second, in order.
    notes : tuple of Note
        In order.
    start_lsl_s : float
        LSL time of stream index 0 in the clock of the machine that recorded; 0 where unknown.
    start_ns : int
        The loop's clock at stream index 0, as well as the first arrival can tell.
    remarks : tuple of str
        What the reader noticed: a missing end, damaged stretches. One sentence each.
    """

    path: Path
    spec: StreamSpec
    n_times: int
    chunks: Callable[[], Iterator[Chunk]]
    manifest: Manifest | None = None
    card: Card | None = None
    markers: tuple[Marker, ...] = ()
    turns: tuple[Turn, ...] = ()
    events: tuple[Event, ...] = ()
    qualities: tuple[Quality, ...] = ()
    notes: tuple[Note, ...] = ()
    start_lsl_s: float = 0.0
    start_ns: int = 0
    remarks: tuple[str, ...] = ()

    @property
    def duration_s(self) -> float:
        """Length in seconds at the nominal rate, holes included."""
        return self.n_times / self.spec.rate_hz

    @property
    def classes(self) -> frozenset[str]:
        """What the decoder could choose from, by its card and by its decisions."""
        told = self.turns[0].decision.classes if self.turns else ()
        return frozenset((*(self.card.classes if self.card else ()), *told))

    def sample_at(self, at_ns: int) -> int:
        """Stream index at a moment of the loop's clock, kept inside the recording."""
        index = round((at_ns - self.start_ns) / 1e9 * self.spec.rate_hz)
        return min(max(index, 0), max(self.n_times - 1, 0))

    def samples(self) -> NDArray[np.float32]:
        """The whole signal at once.

        Returns
        -------
        samples : ndarray, shape (n_channels, n_times)
            Microvolts; NaN where samples were lost.
        """
        whole = np.full((self.spec.n_channels, self.n_times), np.nan, np.float32)
        for chunk in self.chunks():
            whole[:, chunk.first_sample : chunk.stop_sample] = chunk.samples
        return whole
