"""Recordings in a zarr store as what a corpus is built from, read chunk by chunk.

A store is an array, or a group whose arrays, at any depth, are recordings. Each array has two
dimensions, channels and samples, and says of itself in its attributes::

    rate_hz        sampling rate; sfreq is understood, too
    channel_names  one for each row; ch_names is understood, too
    unit           V, mV, uV or nV
    kinds          eeg, ecog, seeg, lfp, ... for each row; eeg if it is left out
    positions_m    three numbers for each row, or null
    licence, line_hz, credit

What an array leaves out is taken from the groups above it. NaN means that nothing was recorded.
Signal is never in memory as a whole: that is what this is for. The extra ``corpus`` installs zarr.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .corpus_folder import FolderTerms
from .corpus_recipe import CorpusSource
from .runtime.errors import ConfigError, RecordingError
from .runtime.messages import Channel, Chunk, StreamSpec
from .runtime.stages import Clock
from .runtime.units import microvolts_per
from .training_sources import TrainingSource

_BLOCK_S = 10.0  # what is read at once, rounded up to whole chunks of the store
_BROKEN = (OSError, ValueError, LookupError, TypeError, RuntimeError, ArithmeticError)


def is_zarr(path: Path) -> bool:
    """Whether a path looks like a zarr store, of format 2 or 3."""
    return any((path / name).is_file() for name in ("zarr.json", ".zgroup", ".zarray"))


def zarr_sources(path: Path, terms: FolderTerms) -> dict[str, Callable[[], CorpusSource]]:
    """List the recordings of a store.

    Parameters
    ----------
    path : Path
        A folder that holds a zarr store.
    terms : FolderTerms
        What the store leaves open.

    Returns
    -------
    sources : dict of str to callable
        Name of each recording, and what opens it: no signal is read before.

    Raises
    ------
    ConfigError
        If zarr is not installed, or the store holds no recording.
    RecordingError
        If it cannot be read.
    """
    try:
        import zarr
    except ImportError as error:
        raise ConfigError(
            "Reading zarr needs its library: pip install 'diverloop[corpus]'."
        ) from error
    try:
        found = _arrays(zarr.open(str(path), mode="r"), "", {})
    except _BROKEN as error:
        raise RecordingError(
            f"{path} cannot be read as a zarr store ({type(error).__name__}: {error})."
        ) from error
    if not found:
        raise ConfigError(
            f"{path} holds no array of two dimensions: a recording is one, channels by samples."
        )
    return {
        f"{path.name}/{name}".rstrip("/"): partial(_source, path, name, array, told, terms)
        for name, (array, told) in found.items()
    }


def _arrays(
    node: Any, name: str, above: Mapping[str, Any]
) -> dict[str, tuple[Any, dict[str, Any]]]:
    """Arrays of two dimensions below a node, by path, with their attributes and inherited ones."""
    told = {**above, **dict(node.attrs)}
    if hasattr(node, "ndim"):
        return {name: (node, told)} if node.ndim == 2 else {}
    found: dict[str, tuple[Any, dict[str, Any]]] = {}
    for key, child in sorted(node.members()):
        found |= _arrays(child, f"{name}/{key}".lstrip("/"), told)
    return found


def _source(
    path: Path, name: str, array: Any, told: Mapping[str, Any], terms: FolderTerms
) -> CorpusSource:
    where = f"{path.name}/{name}".rstrip("/")
    stream = partial(ZarrStream, where, array, told)
    spec = stream().spec
    line_hz = terms.line_hz if terms.line_hz is not None else told.get("line_hz")
    if not isinstance(line_hz, int | float):
        raise RecordingError(
            f"{where} does not tell its line_hz: say it with --line-hz, 0 for none."
        )
    licence = terms.licence or str(told.get("licence") or "")
    if not licence:
        raise RecordingError(
            f"{where} names no licence: say what allows a model to be trained on it with --licence."
        )
    return CorpusSource(
        source=TrainingSource(name=where, data_id=_data_id(path / name, spec), make=stream),
        licence=licence,
        credit=str(told.get("credit") or path.name),
        line_hz=float(line_hz),
        modality=terms.modality,
    )


def _data_id(folder: Path, spec: StreamSpec) -> str:
    """SHA-256 over the files of an array by their names, and over what is said of its rows."""
    whole = hashlib.sha256(f"{spec.schema}{[one.position_m for one in spec.channels]}".encode())
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        whole.update(file.relative_to(folder).as_posix().encode())
        with file.open("rb") as content:
            whole.update(hashlib.file_digest(content, "sha256").digest())
    return whole.hexdigest()


class ZarrStream:
    """A recording in a zarr store, read block after block.

    Parameters
    ----------
    name : str
        What a person calls it.
    array : zarr.Array
        Two dimensions: channels and samples, or samples and channels.
    told : mapping
        Its attributes.
    clock : Clock, optional
        Tells when blocks arrive; nothing waits for it.

    Raises
    ------
    RecordingError
        If the attributes do not describe the array.
    UnitError
        If its unit is unknown.
    """

    def __init__(
        self, name: str, array: Any, told: Mapping[str, Any], clock: Clock | None = None
    ) -> None:
        self._name, self._array, self._clock = name, array, clock
        self.spec = _spec(name, array, told)
        self._factor = microvolts_per(str(told.get("unit", "")))
        self._rows_first = array.shape[0] == self.spec.n_channels
        axis = 1 if self._rows_first else 0
        self._n_times = int(array.shape[axis])
        chunk = max(1, int(array.chunks[axis]))
        self._block = chunk * math.ceil(_BLOCK_S * self.spec.rate_hz / chunk)
        self._next = 0

    @property
    def ended(self) -> bool:
        """True once every sample has been returned."""
        return self._next >= self._n_times

    def open(self) -> None:
        """Begin at the beginning."""
        self._next = 0

    def read(self, wanted: int, until_ns: int) -> Chunk | None:
        """Read the next block.

        Parameters
        ----------
        wanted, until_ns : int
            As in `diverloop.runtime.stages.Source.read`; a file makes nobody wait.

        Returns
        -------
        chunk : Chunk or None
            None after the end.

        Raises
        ------
        RecordingError
            If the store cannot be read there.
        """
        first, stop = self._next, min(self._next + self._block, self._n_times)
        if first == stop:
            return None
        place = np.s_[:, first:stop] if self._rows_first else np.s_[first:stop, :]
        try:
            block = np.asarray(self._array[place], dtype=np.float64)
        except _BROKEN as error:
            raise RecordingError(
                f"{self._name} cannot be read at sample {first} ({type(error).__name__}: {error})."
            ) from error
        self._next = stop
        samples = (block if self._rows_first else block.T) * self._factor
        return Chunk(
            samples=np.ascontiguousarray(samples, dtype=np.float32),
            first_sample=first,
            arrived_ns=self._clock.now_ns() if self._clock else 0,
        )

    def close(self) -> None:
        """Nothing is open."""


def _spec(name: str, array: Any, told: Mapping[str, Any]) -> StreamSpec:
    rate_hz = told.get("rate_hz", told.get("sfreq"))
    names = told.get("channel_names", told.get("ch_names"))
    if not isinstance(rate_hz, int | float) or not 1 <= rate_hz <= 1e6 or not names:
        raise RecordingError(
            f"{name} must tell rate_hz and channel_names in its attributes, got {rate_hz!r} and "
            f"{names!r}."
        )
    rows = [str(one) for one in names]
    kinds = [str(one) for one in told.get("kinds") or ["eeg"] * len(rows)]
    places = list(told.get("positions_m") or [None] * len(rows))
    lengths = {len(rows), len(kinds), len(places)}
    if len(lengths) != 1 or len(rows) not in array.shape or len(set(rows)) != len(rows):
        raise RecordingError(
            f"{name} has the shape {tuple(array.shape)}, {len(rows)} channel_names, {len(kinds)} "
            f"kinds and {len(places)} positions: give one of each, all names different, for every "
            f"row."
        )
    try:
        channels = tuple(
            Channel(name=row, kind=kind, position_m=None if place is None else _place(place))
            for row, kind, place in zip(rows, kinds, places, strict=True)
        )
    except (TypeError, ValueError) as error:
        raise RecordingError(
            f"{name} has positions_m that are not three numbers or null ({error})."
        ) from error
    return StreamSpec(name=name, rate_hz=float(rate_hz), channels=channels)


def _place(place: Any) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in place)
    return x, y, z
