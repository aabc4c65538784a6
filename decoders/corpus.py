"""The corpus: conditioned signal of many recordings, to train on.

The arrays are mapped for the moment of a draw, so a corpus may be larger than memory. What was
lost in a recording is not in its array: ``CorpusEntry.stretches`` says where the pieces are joined,
and nothing that is drawn reaches across a joint.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import ConfigError, RecordingError
from .corpus_array import Signal
from .corpus_drawing import CLIP_UV, Batch, DrawPlan, chances, draw_segments
from .corpus_files import (
    MODALITIES,
    RATE_HZ,
    SUBTYPES,
    CorpusEntry,
    CorpusWriter,
    check_file,
    digest,
    read_index,
)

__all__ = [
    "CLIP_UV",
    "MODALITIES",
    "RATE_HZ",
    "SUBTYPES",
    "Batch",
    "Corpus",
    "CorpusEntry",
    "CorpusWriter",
    "DrawPlan",
    "Signal",
]

_ENTRY_TRIES = 20


class Corpus:
    """Entries on disk, or some of them; it can be handed to another process.

    Parameters
    ----------
    folder : Path
        Where the arrays are.
    entries : sequence of CorpusEntry
        Which of them.
    """

    def __init__(self, folder: Path, entries: Sequence[CorpusEntry]) -> None:
        self.folder = Path(folder)
        self.entries = tuple(entries)
        self._likely: dict[DrawPlan, NDArray[np.float64]] = {}

    @classmethod
    def open(cls, folder: str | Path, *, verify: bool = False) -> Corpus:
        """Open a corpus that was built before.

        Parameters
        ----------
        folder : str or Path
            Where it was built.
        verify : bool
            Read every array and compare its hash; sizes are always compared.

        Returns
        -------
        corpus : Corpus
            All its entries.

        Raises
        ------
        RecordingError
            If there is none, or it is damaged.
        """
        folder = Path(folder)
        entries = read_index(folder)
        if not entries:
            raise RecordingError(f"The corpus {folder} has no entry: build it again.")
        for entry in entries:
            check_file(folder, entry, verify=verify)
        return cls(folder, entries)

    @classmethod
    def build(
        cls, folder: str | Path, signals: Iterable[tuple[CorpusEntry, Sequence[Signal]]]
    ) -> Corpus:
        """Write signals that are conditioned already; an older corpus in the folder is replaced.

        Parameters
        ----------
        folder : str or Path
            Where to.
        signals : iterable of (CorpusEntry, sequence of ndarray)
            Each entry with its stretches, as `CorpusWriter.add` takes them.

        Returns
        -------
        corpus : Corpus
            Open.
        """
        writer = CorpusWriter(folder)
        for entry, stretches in signals:
            writer.add(entry, stretches)
        writer.close()
        return cls.open(folder)

    @property
    def sha256(self) -> str:
        """Hash over entries and the hashes of their arrays: one string that names the data."""
        return digest([asdict(entry) for entry in self.entries])

    @property
    def seconds(self) -> float:
        """Length of all entries together."""
        return math.fsum(entry.seconds for entry in self.entries)

    def samples(self, place: int) -> Signal:
        """Signal of an entry, mapped from disk.

        Parameters
        ----------
        place : int
            Which of `entries`.

        Returns
        -------
        samples : memmap of float32, shape (n_channels, n_times)
            Read-only; see ``CorpusEntry.stretches`` for joints. Mapped anew at every call: a map
            that is kept would hold in memory all that was ever read through it.
        """
        path = self.folder / self.entries[place].file
        return cast(Signal, np.load(path, mmap_mode="r", allow_pickle=False))

    def only(self, *, modality: str) -> Corpus:
        """The entries of one modality.

        Parameters
        ----------
        modality : str
            ``"EEG"`` or ``"iEEG"``.

        Returns
        -------
        corpus : Corpus
            The same folder.

        Raises
        ------
        RecordingError
            If there are none.
        """
        kept = [entry for entry in self.entries if entry.modality == modality]
        if not kept:
            has = ", ".join(sorted({entry.modality for entry in self.entries}))
            raise RecordingError(
                f"The corpus {self.folder} has no {modality!r} entry, only {has or 'none'}: build "
                f"it with recordings of that modality."
            )
        return Corpus(self.folder, kept)

    def split(self, share: float, seed: int) -> tuple[Corpus, Corpus]:
        """Set recordings aside for a validation loss.

        Parameters
        ----------
        share : float
            Share of the seconds of each modality to set aside, in (0, 1). Entries of the same
            recording stay together; a modality's last recording is never set aside.
        seed : int
            Chooses which.

        Returns
        -------
        kept, aside : Corpus
            The second reaches `share` or passes it by less than one recording, unless a modality
            has too few.

        Raises
        ------
        ConfigError
            If the share is not between 0 and 1, or no modality has two recordings.
        """
        if not 0 < share < 1:
            raise ConfigError(f"share must be between 0 and 1, got {share:g}: 0.1 is usual.")
        rng = np.random.default_rng(seed)
        aside: set[str] = set()
        for modality in MODALITIES:
            aside |= self._set_aside(modality, share, rng, aside)
        kept = [entry for entry in self.entries if entry.data_id not in aside]
        if not aside:
            raise ConfigError(
                f"The corpus {self.folder} has one recording of each modality and cannot be "
                f"split: build it with more."
            )
        held = [entry for entry in self.entries if entry.data_id in aside]
        return Corpus(self.folder, kept), Corpus(self.folder, held)

    def _set_aside(
        self, modality: str, share: float, rng: np.random.Generator, aside: set[str]
    ) -> set[str]:
        lengths: dict[str, float] = {}
        for entry in self.entries:
            if entry.modality == modality:
                lengths[entry.data_id] = lengths.get(entry.data_id, 0.0) + entry.seconds
        wanted = share * sum(lengths.values())
        taken = {name for name in lengths if name in aside}
        for place in rng.permutation(len(lengths)):
            name = list(lengths)[place]
            reached = sum(lengths[one] for one in taken) >= wanted
            if not reached and len(taken | {name}) < len(lengths):
                taken.add(name)
        return taken

    def draw(self, rng: np.random.Generator, n: int, plan: DrawPlan) -> Batch:
        """Draw segments of one recording.

        Parameters
        ----------
        rng : Generator
            Everything random comes from it: the same state draws the same batch.
        n : int
            Segments, each with channels and a start of its own.
        plan : DrawPlan
            How.

        Returns
        -------
        batch : Batch
            On the CPU.

        Raises
        ------
        RecordingError
            If no entry is as long as the fewest patches, or most channels are bad wherever one
            looks.
        """
        if plan not in self._likely:
            self._likely[plan] = chances(self.entries, plan)
        likely = self._likely[plan]
        for _ in range(_ENTRY_TRIES):
            place = int(rng.choice(len(likely), p=likely))
            batch = draw_segments(self.entries[place], self.samples(place), rng, n, plan)
            if batch is not None:
                return batch
        raise RecordingError(
            f"In {_ENTRY_TRIES} entries of {self.folder} (the last is {self.entries[place].name}) "
            f"most channels were bad in {plan.tries} places each: check units and mains "
            f"frequency, or raise draw.clipped_share = {plan.clipped_share:g}."
        )
