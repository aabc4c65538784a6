"""The corpus on disk: what an entry says of itself, how a folder is written, and how it is read.

A folder holds ``corpus.json`` and one float32 array for each entry, at 500 Hz and in microvolts.
Every file is written whole or not at all, so a build that was broken off can go on; what it had
made since the last look at ``corpus.json``, at most one entry in twenty, it makes again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ..runtime.card import versions_now
from ..runtime.errors import ConfigError, RecordingError
from ..runtime.json_text import json_text, parsed_json
from ..runtime.small_file import read_small
from .corpus_array import Signal, write_blocks
from .downloading import file_sha256
from .whole_files import whole_file

RATE_HZ = 500
MODALITIES = ("EEG", "iEEG")
"""A batch names a modality by its place here."""

SUBTYPES = ("grid", "strip", "depth")
"""A batch names the kind of an intracranial electrode by its place here; -1 is unknown."""

_FORMAT = 1
_INDEX = "corpus.json"
_WRITTEN = ("seconds", "stretches", "file", "sha256")  # what the writer fills in
_SHARED = ("channel_names", "positions_mm", "subtypes", "licence", "credit", "conditioning")
_NOWHERE = (float("nan"),) * 3
_INDEX_BYTES = 1 << 30  # hundreds of thousands of recordings
_UNLISTED_SHARE = 0.05  # of the entries may be unlisted, or a long build would rewrite for ever


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusEntry:
    """One recording's signal of one modality.

    Parameters
    ----------
    name : str
        What a person calls it; unique in a corpus.
    data_id : str
        SHA-256 of the recording, or a name that says how to make it again.
    licence : str
        Terms of the recording, which pass on to what is trained on it.
    modality : str
        ``"EEG"`` or ``"iEEG"``.
    channel_names : tuple of str
        Rows of the signal.
    positions_mm : tuple of (float, float, float)
        Place of each row, NaN where unknown: head frame for EEG, MNI for iEEG.
    subtypes : tuple of int
        Kind of each row, a place in `SUBTYPES` or -1.
    calibrated : bool
        False if the recording's unit is unknown and its signal was scaled to a usual size.
    credit : str
        Who is to be named.
    conditioning : mapping
        How the signal was conditioned, and from what part of the recording.
    seconds : float
        Length of the signal; from here on the writer fills in.
    stretches : tuple of (int, int)
        Columns that follow each other without a hole, stop exclusive.
    file : str
        Name of the array in the folder.
    sha256 : str
        Of that file.
    """

    name: str
    data_id: str
    licence: str
    modality: str
    channel_names: tuple[str, ...]
    positions_mm: tuple[tuple[float, float, float], ...]
    subtypes: tuple[int, ...]
    calibrated: bool = True
    credit: str = ""
    conditioning: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    stretches: tuple[tuple[int, int], ...] = ()
    file: str = ""
    sha256: str = ""

    def __post_init__(self) -> None:
        if self.modality not in MODALITIES:
            raise ConfigError(
                f"modality must be one of {', '.join(MODALITIES)}, got {self.modality!r} for "
                f"{self.name}."
            )
        rows = {len(self.channel_names), len(self.positions_mm), len(self.subtypes)}
        if len(rows) != 1 or rows == {0}:
            raise ConfigError(
                f"{self.name} has {len(self.channel_names)} channel names, "
                f"{len(self.positions_mm)} positions and {len(self.subtypes)} subtypes: give one "
                f"of each for every channel, and at least one channel."
            )

    @property
    def n_channels(self) -> int:
        """Rows of the signal."""
        return len(self.channel_names)

    @property
    def n_times(self) -> int:
        """Columns of the signal, all stretches together."""
        return self.stretches[-1][1] if self.stretches else 0

    @property
    def made_from(self) -> str:
        """SHA-256 of everything but the signal: equal if it need not be made again."""
        told = {name: value for name, value in asdict(self).items() if name not in _WRITTEN}
        return digest(told)


class _Index(msgspec.Struct):
    """The index; of many thousand entries one is taken apart at a time."""

    format: int
    entries: list[msgspec.Raw]


class CorpusWriter:
    """Fills a folder, entry by entry; what it was interrupted in is not lost.

    Parameters
    ----------
    folder : str or Path
        Made if it does not exist. Entries that are there already can be kept.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        index = self.folder / _INDEX
        self._before = list(read_index(self.folder)) if index.is_file() else []
        self._entries: list[CorpusEntry] = []
        self._names: set[str] = set()
        self._n_unlisted = 0
        self._made = {old.made_from: old for old in self._before}

    def keep(self, entry: CorpusEntry) -> bool:
        """Take an entry over from before, if it was made from the same and is whole.

        Parameters
        ----------
        entry : CorpusEntry
            Without what the writer fills in.

        Returns
        -------
        kept : bool
            False if its signal has to be made and added.
        """
        old = self._made.get(entry.made_from)
        if old is None:
            return False
        try:
            check_file(self.folder, old, verify=False)
        except RecordingError:
            return False
        self._take(old)
        return True

    def add(self, entry: CorpusEntry, stretches: Iterable[Signal]) -> CorpusEntry:
        """Write an entry whose signal is in memory.

        Parameters
        ----------
        entry : CorpusEntry
            Without what the writer fills in.
        stretches : iterable of ndarray, each of shape (n_channels, n_times)
            Microvolts at 500 Hz; between two of them something is missing.

        Returns
        -------
        entry : CorpusEntry
            Complete.

        Raises
        ------
        RecordingError
            If a stretch has other rows, a value is not finite, or nothing is left.
        """
        return self.add_blocks(entry, ((True, stretch) for stretch in stretches))

    def add_blocks(self, entry: CorpusEntry, blocks: Iterable[tuple[bool, Signal]]) -> CorpusEntry:
        """Write an entry block by block, so that its signal need not fit into memory.

        Parameters
        ----------
        entry : CorpusEntry
            Without what the writer fills in.
        blocks : iterable of (bool, ndarray of shape (n_channels, n_times))
            Microvolts at 500 Hz, and whether something is missing before them.

        Returns
        -------
        entry : CorpusEntry
            Complete.

        Raises
        ------
        RecordingError
            If a block has other rows, a value is not finite, or nothing is left.
        """
        slug = re.sub(r"[^A-Za-z0-9]+", "-", entry.name).strip("-")
        file = f"{slug}-{entry.made_from[:8]}.npy"
        edges: list[int] = []
        with whole_file(self.folder / file) as draft:
            n_times = write_blocks(draft, entry.name, entry.n_channels, blocks, edges)
            sha256 = file_sha256(draft)
        complete = replace(
            entry,
            seconds=n_times / RATE_HZ,
            stretches=tuple(zip(edges, [*edges[1:], n_times], strict=True)),
            file=file,
            sha256=sha256,
        )
        self._take(complete)
        return complete

    def close(self) -> None:
        """Forget entries from before that were neither kept nor added, and their arrays."""
        stale = {entry.file for entry in self._before} - {entry.file for entry in self._entries}
        self._before = []
        self._write_index()
        for file in stale:
            (self.folder / file).unlink(missing_ok=True)

    def _take(self, entry: CorpusEntry) -> None:
        if entry.name in self._names:
            raise RecordingError(
                f"Two entries of the corpus {self.folder} are called {entry.name!r}: name one of "
                f"them otherwise."
            )
        self._entries.append(entry)
        self._names.add(entry.name)
        self._n_unlisted += 1
        if self._n_unlisted >= _UNLISTED_SHARE * (len(self._entries) + len(self._before)):
            self._write_index()

    def _write_index(self) -> None:
        """Entries from before stay listed until `close`, so that a broken build can go on."""
        left = (old for old in self._before if old.name not in self._names)
        listed = [*self._entries, *left]
        self._n_unlisted = 0
        content = {
            "format": _FORMAT,
            "rate_hz": RATE_HZ,
            "unit": "uV",
            "versions": versions_now(),
            "entries": [asdict(entry) for entry in listed],
        }
        with whole_file(self.folder / _INDEX) as draft:
            draft.write_text(json_text(content), encoding="utf-8")


def read_index(folder: Path) -> tuple[CorpusEntry, ...]:
    """Read what a folder says it holds.

    Parameters
    ----------
    folder : Path
        A corpus.

    Returns
    -------
    entries : tuple of CorpusEntry
        As they were written.

    Raises
    ------
    RecordingError
        If there is no corpus, or its index is damaged or of another version.
    """
    index = folder / _INDEX
    if not index.is_file():
        raise RecordingError(f"There is no corpus in {folder} (no {_INDEX}): build one there.")
    try:
        content = msgspec.json.decode(read_small(index, _INDEX_BYTES), type=_Index)
        if content.format != _FORMAT:
            raise RecordingError(
                f"The corpus {folder} has format {content.format}, this version reads "
                f"{_FORMAT}: build it again."
            )
        shared: dict[str, Any] = {}
        return tuple(_entry(parsed_json(bytes(row)), shared) for row in content.entries)
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise RecordingError(
            f"{index} is damaged ({type(error).__name__}: {error}): build the corpus again."
        ) from error


def check_file(folder: Path, entry: CorpusEntry, *, verify: bool) -> None:
    """Refuse an array that is missing or is not what its entry says.

    Parameters
    ----------
    folder : Path
        The corpus.
    entry : CorpusEntry
        What is expected.
    verify : bool
        Compare the hash, too, which reads the whole file.

    Raises
    ------
    RecordingError
        If it is damaged.
    """
    path, expected = folder / entry.file, (entry.n_channels, entry.n_times)
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise RecordingError(
            f"{path} cannot be read ({type(error).__name__}: {error}): build the corpus again."
        ) from error
    if array.shape != expected or array.dtype != np.float32:
        raise RecordingError(
            f"{path} holds {array.dtype} of shape {array.shape}, {_INDEX} says float32 of shape "
            f"{expected}: build the corpus again."
        )
    if verify and file_sha256(path) != entry.sha256:
        raise RecordingError(
            f"{path} has been altered since it was written (its SHA-256 differs): build the "
            f"corpus again."
        )


def digest(told: Any) -> str:
    """SHA-256 of plain values, the same on every machine.

    Parameters
    ----------
    told : dict, list, str, number, bool or None
        Dicts, lists and tuples may be nested.

    Returns
    -------
    sha256 : str
        Hexadecimal.
    """
    # By way of JSON, so that a tuple and the list it is read back as count as the same.
    plain = json.dumps(json.loads(json_text(told)), sort_keys=True)
    return hashlib.sha256(plain.encode()).hexdigest()


def _entry(row: dict[str, Any], shared: dict[str, Any]) -> CorpusEntry:
    """An entry; what many of them have in common is held once."""
    places = [_NOWHERE if None in place else place for place in row["positions_mm"]]
    entry = msgspec.convert({**row, "positions_mm": places}, CorpusEntry)
    for name in _SHARED:
        value = shared.setdefault(f"{name} {row[name]}", getattr(entry, name))
        object.__setattr__(entry, name, value)  # before anybody else has seen it
    return entry
