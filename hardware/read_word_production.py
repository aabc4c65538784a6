"""Read SingleWordProductionDutch: sEEG of ten people who read words aloud, with their voice.

The layout (iBIDS) [1]_: ``participants.tsv`` with a column ``participant_id``, and for each
participant ``sub-01/ieeg/sub-01_task-wordProduction_ieeg.nwb`` beside ``..._channels.tsv``
(columns ``name``, ``type``, ``units``, ``description`` and others). The NWB file, which is HDF5,
has three streams below ``acquisition``: ``iEEG`` (n_times, n_channels) at 1024 Hz in microvolts,
``Audio`` (n_times,) at 48 kHz, and ``Stimulus``, for each of about as many samples as ``iEEG``
has the word that is shown, or nothing. Each has ``data`` and ``timestamps`` in LSL seconds.

Confirmed: names of files and streams, rates and shapes by the authors' loading scripts; unit,
time stamps and the columns ``name`` and ``description`` by notes of people who converted the set.
Not confirmed, because the files could not be had: the spelling of the units in ``channels.tsv``.
The places of contacts are in each person's own AC-PC space; they are not MNI and are left out.

References
----------
.. [1] Verwoert et al. Dataset of speech production in intracranial electroencephalography.
   Scientific Data, 2022.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import RecordingError, UnitError
from ..runtime.messages import Channel, Marker, StreamSpec
from ..runtime.paradigms.utterances import SAY
from ..runtime.units import microvolts_per
from .placement import Placement, place
from .recordings import Recording, check_room, check_signal, data_id_of, load_h5py

TASK = "task-wordProduction"
RATE_HZ, AUDIO_HZ = 1024.0, 48_000.0
REST = "rest"

_KINDS = {"SEEG": "seeg", "ECOG": "ecog", "DBS": "lfp", "EEG": "eeg", "EOG": "eog", "EMG": "emg"}
_BROKEN = (
    OSError, ValueError, TypeError, LookupError, AttributeError, RuntimeError, OverflowError,
    MemoryError,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Voice:
    """What the microphone heard.

    Parameters
    ----------
    samples : ndarray of float32, shape (n_times,)
        Sound, in whatever the file holds; the authors shifted its pitch.
    rate_hz : float
        Sampling rate.
    start_s : float
        Time of its first sample after the first of the sEEG.
    """

    samples: NDArray[np.float32]
    rate_hz: float
    start_s: float


def participant_files(folder: str | Path) -> tuple[Path, ...]:
    """List the recordings of the set in the order of its participants.

    Parameters
    ----------
    folder : str or Path
        ``SingleWordProductionDutch-iBIDS``.

    Returns
    -------
    paths : tuple of Path
        One ``.nwb`` a participant.

    Raises
    ------
    RecordingError
        If the table or one of the files is missing.
    """
    root = Path(folder)
    names = _column(root / "participants.tsv", "participant_id")
    paths = tuple(root / name / "ieeg" / f"{name}_{TASK}_ieeg.nwb" for name in names)
    missing = [path.name for path in paths if not path.is_file()]
    if missing or not paths:
        raise RecordingError(
            f"{root} names {len(names)} participants and lacks {', '.join(missing) or 'all'}; "
            f"unpack the archive of SingleWordProductionDutch again."
        )
    return paths


def read(path: Path, *, stream: str | None = None, assume_unit: str | None = None) -> Recording:
    """Read the sEEG of one participant, and which word was shown when.

    Parameters
    ----------
    path : Path
        The ``.nwb`` of a participant, with its ``_channels.tsv`` beside it.
    stream : str, optional
        Not used: the signal is always ``iEEG``.
    assume_unit : str, optional
        Unit of channels whose own unit is missing or unknown.

    Returns
    -------
    recording : Recording
        In microvolts. A marker ``"say:"`` and the word where it appears, ``"rest"`` where it goes.

    Raises
    ------
    RecordingError
        If h5py is not installed, or the file is damaged or something else.
    UnitError
        If a unit is unknown and none is assumed.
    """
    table = path.with_name(path.name.replace("_ieeg.nwb", "_channels.tsv"))
    names = _column(table, "name")
    kinds, units = (_column(table, name, default="n/a") for name in ("type", "units"))
    data, stamps_s, words, word_stamps_s = _streams(path)
    if data.ndim != 2 or data.shape[1] != len(names):
        raise RecordingError(
            f"{path} holds iEEG of shape {data.shape} and {table.name} names {len(names)} "
            f"channels; a column for each is needed, so one of the two is of another recording."
        )
    factors = np.array([_factor(unit, assume_unit, table) for unit in units])
    check_signal(path, data.T, RATE_HZ)
    where = _placed(path, stamps_s, len(data))
    check_room(path, len(names), where.n_times, len(where.kept))
    samples = np.full((len(names), where.n_times), np.nan, dtype=np.float32)
    samples[:, where.indices] = (data[where.kept] * factors).T
    channels = tuple(
        Channel(name=name, kind=_KINDS.get(kind.upper(), "misc"))
        for name, kind in zip(names, kinds, strict=True)
    )
    return Recording(
        spec=StreamSpec(name=path.stem, rate_hz=RATE_HZ, channels=channels, source_id=path.stem),
        samples=samples,
        data_id=data_id_of([path, table]),
        path=str(path),
        markers=_markers(words, word_stamps_s, where),
        gaps=where.gaps,
        start_lsl_s=float(where.stamps_s[0]),
    )


def read_voice(path: Path) -> Voice:
    """Read the sound that was recorded beside the sEEG.

    Parameters
    ----------
    path : Path
        The ``.nwb`` of a participant.

    Returns
    -------
    voice : Voice
        Sound and when it starts.

    Raises
    ------
    RecordingError
        If h5py is not installed, or the file is damaged or something else.
    """
    sound, stamps_s = _open(path, "Audio")
    _, signal_stamps_s = _open(path, "iEEG", stamps_only=True)
    late_s = 0.0
    if stamps_s is not None and signal_stamps_s is not None:
        late_s = float(stamps_s[0] - signal_stamps_s[0])
    return Voice(samples=sound.astype(np.float32).ravel(), rate_hz=AUDIO_HZ, start_s=late_s)


def _column(path: Path, name: str, default: str | None = None) -> list[str]:
    """One column of a table of BIDS."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RecordingError(
            f"{path} cannot be read ({error}); the set keeps this table beside its recordings."
        ) from error
    if default is None and any(not row.get(name) for row in rows):
        raise RecordingError(f"{path} has no column {name!r}, or holes in it; it is damaged.")
    return [row.get(name) or default or "" for row in rows]


def _factor(unit: str, assume_unit: str | None, table: Path) -> float:
    try:
        return microvolts_per(unit)
    except UnitError as error:
        if assume_unit is None:
            raise UnitError(
                f"{table}: {error} The authors' numbers are uV: assume that."
            ) from error
        return microvolts_per(assume_unit)


def _streams(
    path: Path,
) -> tuple[NDArray[Any], NDArray[Any] | None, list[str], NDArray[Any] | None]:
    """Signal and words, each with its time stamps."""
    data, stamps_s = _open(path, "iEEG")
    shown, word_stamps_s = _open(path, "Stimulus")
    words = [
        word.decode("utf-8", "replace") if isinstance(word, bytes) else str(word)
        for word in shown.ravel().tolist()
    ]
    return data, stamps_s, words, word_stamps_s


def _open(
    path: Path, name: str, *, stamps_only: bool = False
) -> tuple[NDArray[Any], NDArray[np.float64] | None]:
    """Data of a stream and its time stamps, if it has any."""
    h5py = load_h5py(path)
    try:
        with h5py.File(path, "r") as file:
            held = file[f"acquisition/{name}"]
            data = np.empty(0) if stamps_only else held["data"][()]
            stamps_s = held["timestamps"][()] if "timestamps" in held else None
    except _BROKEN as error:
        raise RecordingError(
            f"{path} has no readable acquisition/{name} ({type(error).__name__}: {error}); it is "
            f"damaged or no recording of SingleWordProductionDutch, so copy it again."
        ) from error
    if stamps_s is not None and (
        not len(stamps_s) or (len(stamps_s) != len(data) and not stamps_only)
    ):
        raise RecordingError(
            f"{path} has {len(data)} samples and {len(stamps_s)} time stamps in {name}; each "
            f"sample needs one, so the file is damaged."
        )
    return np.asarray(data), stamps_s


def _placed(path: Path, stamps_s: NDArray[np.float64] | None, n_times: int) -> Placement:
    """Stream index of every sample; without time stamps nothing is known to be lost."""
    try:
        stamps = np.arange(n_times) / RATE_HZ if stamps_s is None else np.asarray(stamps_s, float)
        return place(stamps, RATE_HZ)
    except ValueError as error:
        raise RecordingError(f"{path} cannot be placed in time: {error}") from error


def _markers(
    words: Sequence[str], stamps_s: NDArray[np.float64] | None, where: Placement
) -> tuple[Marker, ...]:
    """Where words appear and go."""
    found, shown = [], ""
    for at, word in enumerate(word.strip() for word in words):
        if word == shown:
            continue
        shown = word
        stamp_s = float(where.stamps_s[0]) + at / RATE_HZ if stamps_s is None else stamps_s[at]
        sample = where.index_at(float(stamp_s))
        if sample is not None:
            label = SAY + word if word else REST
            found.append(
                Marker(label=label, sample=sample, lsl_raw_s=stamp_s, lsl_corrected_s=stamp_s)
            )
    return tuple(found)
