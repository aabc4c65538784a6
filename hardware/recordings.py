"""Recordings: a file becomes a stream description, samples in microvolts, and markers.

Every format ends in the same `Recording`, with one column for every *stream index*: samples that
were never recorded have a column too, filled with NaN and named in ``Recording.gaps``, so an index
is always a time. `READERS` says which suffix is read by which module; a reader is imported when
a file asks for it, because MNE takes seconds to load.
"""

from __future__ import annotations

import hashlib
import importlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import RecordingError
from ..runtime.messages import Marker, StreamSpec

READERS = {
    ".npz": "read_npz",
    ".xdf": "read_xdf",
    ".edf": "read_mne",
    ".bdf": "read_mne",
    ".vhdr": "read_mne",
    ".fif": "read_mne",
    ".set": "read_mne",
}
"""Suffix of a file -> module of this folder whose ``read`` opens it."""

_BIDS = ("eeg", "ieeg")  # how names of BIDS recordings end, before the suffix
_SLOWEST_HZ, _FASTEST_HZ = 1e-3, 1e7
_ROOMY = 1 << 26  # values of float32: 256 MiB
_MOST_GAP = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A stretch of signal as it was recorded, holes included.

    Parameters
    ----------
    spec : StreamSpec
        Rate and rows.
    samples : ndarray of float32, shape (n_channels, n_times)
        Signal in microvolts, one column for every stream index. Treat it as read-only.
    data_id : str
        SHA-256 of the file's bytes; where a header names a file with the signal, that file's
        bytes follow. Equal for equal data, so a result can name what it was computed on.
    path : str
        Where it was read from.
    markers : tuple of Marker
        Labels in order of their stream index.
    gaps : tuple of (int, int)
        Ranges of stream indices, stop exclusive, that were never recorded; NaN in `samples`.
    start_lsl_s : float
        LSL time of stream index 0, in the clock of the machine that recorded; 0.0 where the
        file knows none.
    notes : tuple of str
        What the reader noticed and repaired, one sentence each.
    stamps : tuple of (int, float)
        LSL times that samples were really stamped with, by stream index, ten a second; empty
        where the file knows none. The nominal grid of `lsl_s` runs away from them.
    """

    spec: StreamSpec
    samples: NDArray[np.float32]
    data_id: str
    path: str
    markers: tuple[Marker, ...] = ()
    gaps: tuple[tuple[int, int], ...] = ()
    start_lsl_s: float = 0.0
    notes: tuple[str, ...] = ()
    stamps: tuple[tuple[int, float], ...] = ()

    @property
    def n_times(self) -> int:
        """Number of stream indices, lost ones included."""
        return int(self.samples.shape[1])

    @property
    def duration_s(self) -> float:
        """Length in seconds at the nominal rate, holes included."""
        return self.n_times / self.spec.rate_hz

    def lsl_s(self, sample: int) -> float:
        """LSL time of a stream index on the nominal grid, in seconds."""
        return self.start_lsl_s + sample / self.spec.rate_hz

    def blocks(self, n_times: int) -> tuple[tuple[int, int], ...]:
        """Cut what was recorded into pieces, as an amplifier delivers them.

        Parameters
        ----------
        n_times : int
            Longest piece, in samples, at least 1.

        Returns
        -------
        blocks : tuple of (int, int)
            Ranges of stream indices in order, stop exclusive; none reaches into a gap.
        """
        edges = [0, *(edge for gap in self.gaps for edge in gap), self.n_times]
        held = zip(edges[::2], edges[1::2], strict=True)
        return tuple(
            (first, min(first + n_times, stop))
            for start, stop in held
            for first in range(start, stop, n_times)
        )

    def excerpt(self, start_s: float = 0.0, stop_s: float | None = None) -> Recording:
        """Cut a stretch out; its stream index starts again at 0.

        Parameters
        ----------
        start_s, stop_s : float
            From where to where, in seconds after the first sample; a `stop_s` of None, or past
            the end, is the end.

        Returns
        -------
        excerpt : Recording
            Shares its samples with this one.

        Raises
        ------
        RecordingError
            If nothing is left between the two, or nothing of it was ever recorded.
        """
        first = round(start_s * self.spec.rate_hz)
        stop = self.n_times
        if stop_s is not None:
            stop = min(stop, round(stop_s * self.spec.rate_hz))
        if not 0 <= first < stop:
            raise RecordingError(
                f"{self.path} lasts {self.duration_s:.3f} s, and start_s = {start_s}, stop_s = "
                f"{stop_s} leave nothing of it; choose 0 <= start_s < stop_s inside the recording."
            )
        inside = ((max(a, first) - first, min(b, stop) - first) for a, b in self.gaps)
        gaps = tuple((a, b) for a, b in inside if a < b)
        if gaps == ((0, stop - first),):
            raise RecordingError(
                f"{self.path} has nothing between start_s = {start_s} and stop_s = {stop_s}: all "
                f"of it lies in a gap; choose another stretch."
            )
        return replace(
            self,
            samples=self.samples[:, first:stop],
            markers=tuple(
                replace(marker, sample=marker.sample - first)
                for marker in self.markers
                if first <= marker.sample < stop
            ),
            gaps=gaps,
            start_lsl_s=self.lsl_s(first),
            stamps=tuple((at - first, s) for at, s in self.stamps if first <= at < stop),
        )


def read_recording(
    path: str | Path, *, stream: str | None = None, assume_unit: str | None = None
) -> Recording:
    """Open a recording, in whatever format of `READERS` it is.

    Parameters
    ----------
    path : str or Path
        The file. For BrainVision the ``.vhdr``, for EEGLAB the ``.set``.
    stream : str, optional
        Name or type of the stream to take, for files that hold several (XDF).
    assume_unit : str, optional
        Unit of channels whose own unit is missing or unknown; a known unit is never overruled.

    Returns
    -------
    recording : Recording
        Signal in microvolts, markers, and what is missing. A BIDS recording without markers of its
        own has those of the ``_events.tsv`` beside it.

    Raises
    ------
    RecordingError
        If the file is missing, damaged beyond reading, empty, or of no known format.
    UnitError
        If a unit is unknown and `assume_unit` is not given, or is itself unknown.
    """
    file = Path(path)
    if not file.is_file():
        raise RecordingError(f"There is no file {file}; check the path of the recording.")
    if file.suffix.lower() not in READERS:
        raise RecordingError(
            f"{file} ends in {file.suffix!r}; recordings end in {', '.join(READERS)}."
        )
    if file.stat().st_size == 0:
        raise RecordingError(f"{file} is empty (0 bytes); copy it again from where it was made.")
    reader = importlib.import_module(f".{READERS[file.suffix.lower()]}", __package__)
    recording = cast(Recording, reader.read(file, stream=stream, assume_unit=assume_unit))
    return recording if recording.markers else _marked_beside(recording, file)


def _marked_beside(recording: Recording, file: Path) -> Recording:
    """With the markers of the BIDS table beside it, if it has none and there is such a table."""
    name, _, suffix = file.stem.rpartition("_")
    table = file.with_name(f"{name}_events.tsv")
    if suffix not in _BIDS or not table.is_file():
        return recording
    from .bids_events import with_events

    marked = with_events(recording, table)
    together = marked_id(recording.data_id, data_id_of([table]))
    said = f"It has no markers of its own; they are those of {table.name}."
    return replace(marked, data_id=together, notes=(*marked.notes, said))


def marked_id(recording: str, table: str) -> str:
    """What a recording is called that has its markers from a table beside it.

    Parameters
    ----------
    recording, table : str
        SHA-256 of both, as `data_id_of` gives them.

    Returns
    -------
    data_id : str
        Another one as soon as either changes.
    """
    return hashlib.sha256(f"{recording}{table}".encode()).hexdigest()


def describe(recording: Recording) -> dict[str, Any]:
    """Summarise a recording in plain types, ready for JSON.

    Parameters
    ----------
    recording : Recording
        What to describe.

    Returns
    -------
    summary : dict
        Path, identity, rate, rows, duration in seconds, gaps, how often each marker label
        occurs, and the reader's notes.
    """
    spec = recording.spec
    return {
        "path": recording.path,
        "data_id": recording.data_id,
        "name": spec.name,
        "source_id": spec.source_id,
        "schema": spec.schema,
        "rate_hz": spec.rate_hz,
        "duration_s": recording.duration_s,
        "start_lsl_s": recording.start_lsl_s,
        "n_channels": spec.n_channels,
        "n_times": recording.n_times,
        "channels": [{"name": row.name, "kind": row.kind} for row in spec.channels],
        "markers": dict(sorted(Counter(marker.label for marker in recording.markers).items())),
        "gaps": [list(gap) for gap in recording.gaps],
        "lost_samples": sum(stop - start for start, stop in recording.gaps),
        "notes": list(recording.notes),
    }


def data_id_of(paths: Iterable[Path]) -> str:
    """SHA-256 of files read one after the other, as a hexadecimal string.

    Parameters
    ----------
    paths : iterable of Path
        The file, and the files its header names.

    Returns
    -------
    data_id : str
        For a single file what ``sha256sum`` prints.
    """
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def unreadable(path: Path, what: str, error: BaseException | None) -> RecordingError:
    """The refusal of a file that its reader cannot take apart.

    Parameters
    ----------
    path : Path
        The file.
    what : str
        What its suffix says it is, for example ``"XDF file"``.
    error : BaseException, optional
        What the reader raised; its first line is told.

    Returns
    -------
    refusal : RecordingError
        To be raised.
    """
    said = (str(error).strip().splitlines() or ["no reason given"])[0]
    return RecordingError(
        f"{path} is not a readable {what} ({type(error).__name__}: {said}); it is damaged or not "
        f"what its suffix says, so copy it again from its source."
    )


def load_h5py(path: Path) -> Any:
    """The library that reads HDF5; raises `RecordingError` where it is missing."""
    try:
        import h5py
    except ImportError as error:
        raise RecordingError(
            f"{path} needs h5py to be read; install it with: pip install h5py"
        ) from error
    return h5py


def check_signal(path: Path, samples: NDArray[np.floating], rate_hz: float) -> None:
    """Refuse a signal that holds no sample or has no usable rate.

    Parameters
    ----------
    path : Path
        File it came from, for the message.
    samples : ndarray, shape (n_channels, n_times)
        Its signal.
    rate_hz : float
        Its nominal rate.

    Raises
    ------
    RecordingError
        If there is nothing to replay.
    """
    if samples.ndim != 2 or 0 in samples.shape:
        raise RecordingError(
            f"{path} holds a signal of shape {samples.shape}; a recording has at least one "
            f"channel and one sample, so it was probably stopped before any data came."
        )
    if not _SLOWEST_HZ <= rate_hz <= _FASTEST_HZ:  # NaN is refused, too
        raise RecordingError(
            f"{path} gives a sampling rate of {rate_hz} Hz; a replay needs one from "
            f"{_SLOWEST_HZ:g} to {_FASTEST_HZ:g} Hz."
        )


def check_room(path: Path, n_channels: int, n_times: int, n_held: int) -> None:
    """Refuse a signal that would be nearly all gap: its time stamps are damaged, or a trap.

    Parameters
    ----------
    path : Path
        File it came from, for the message.
    n_channels, n_times : int
        Shape it would have.
    n_held : int
        Samples of each channel that the file holds.

    Raises
    ------
    RecordingError
        If it would take more than 256 MiB, and more than twenty times what was recorded.
    """
    if n_channels * n_times > max(_ROOMY, _MOST_GAP * n_channels * n_held):
        raise RecordingError(
            f"{path} holds {n_held} samples of each channel, and its time stamps spread them over "
            f"{n_times}: they are damaged, so copy the file again, or cut it where it pauses."
        )
