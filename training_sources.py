"""What is learnt from: recordings, or whatever else makes a source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .runtime.catalog import find
from .runtime.clock import VirtualClock
from .runtime.stages import Clock, Source

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
