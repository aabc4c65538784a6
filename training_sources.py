"""What is learnt from: recordings, or whatever else makes a source."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .runtime.catalog import find
from .runtime.clock import VirtualClock
from .runtime.messages import Chunk, Samples
from .runtime.signal.conditioning import StreamConditioner
from .runtime.stages import Clock, Source
from .runtime.trust import finite_parts

Progress = Callable[[str, int, int], None]
"""Told what is being done, how far, and of how much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSource:
    """One recording to fit on.

    Parameters
    ----------
    name : str
        What the card calls it.
    data_id : str
        SHA-256 of the recording, or a name that says how to make it again.
    make : callable
        From a clock to the source.
    """

    name: str
    data_id: str
    make: Callable[[Clock], Source]


def recordings(paths: Sequence[Path], assume_unit: str | None = None) -> list[TrainingSource]:
    """Recordings as training sources.

    Parameters
    ----------
    paths : sequence of Path
        Files that `diverloop.hardware.recordings` reads.
    assume_unit : str, optional
        Unit where a file names none.

    Returns
    -------
    sources : list of TrainingSource
        In the order given.
    """
    replay = find("source", "replay")

    def source(path: Path) -> TrainingSource:
        settings = replay.Config(path=str(path), assume_unit=assume_unit)
        recording = replay(settings, VirtualClock()).recording
        return TrainingSource(
            name=path.name,
            data_id=recording.data_id,
            make=lambda clock: replay(settings, clock),
        )

    return [source(path) for path in paths]


def settled(
    source: Source, conditioner: StreamConditioner, rows: Sequence[int]
) -> Iterator[tuple[bool, Samples]]:
    """Conditioned signal, without what the filters need to settle after the start and each hole.

    Parameters
    ----------
    source : Source
        Open; what it has left is read.
    conditioner : StreamConditioner
        Open on it.
    rows : sequence of int
        Of the source: a sample that one of them lacks is a hole.

    Yields
    ------
    starts : bool
        Whether a stretch without a hole begins with this block.
    samples : ndarray, shape (n_rows, n_times)
        The next of it; may be empty.
    """
    stop, skip = -1, 0
    for chunk in _finite_chunks(source, rows):
        done = conditioner.process(chunk)
        starts = done.first_sample != stop
        if starts:
            skip = conditioner.settle_samples
        stop = done.stop_sample
        yield starts, done.samples[:, skip:]
        skip -= min(skip, done.samples.shape[1])


def _finite_chunks(source: Source, rows: Sequence[int]) -> Iterator[Chunk]:
    """What a source delivers, cut so that no sample is missing: a NaN would stay in the filters."""
    while not source.ended:
        chunk = source.read(round(source.spec.rate_hz), 2**62)
        if chunk is None or not chunk.samples.shape[1]:
            continue
        yield from finite_parts(replace(chunk, markers=(), events=()), rows)
