"""Read EDF, BDF, BrainVision, FIF and EEGLAB recordings through MNE, the extra ``mne``.

MNE turns units it knows into volts and leaves the numbers of every other unit as they are, so
the unit has to be looked at again here: a channel in an unknown unit would otherwise be wrong
by a million without a word.
"""

from __future__ import annotations

import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import DiverloopError, RecordingError, UnitError
from ..runtime.messages import Channel, Marker, StreamSpec
from ..runtime.units import microvolts_per
from .recordings import Recording, check_signal, data_id_of, unreadable

_KINDS = {"eeg": "eeg", "ecog": "ecog", "seeg": "seeg", "dbs": "lfp", "eog": "eog", "emg": "emg"}
"""MNE channel type -> kind here; every other type is ``"misc"``."""

_TURNED_INTO_VOLTS = {".edf": "μV µV uV mV V", ".bdf": "μV µV uV mV V", ".vhdr": "µV mV V nV"}
"""Suffix -> units whose numbers MNE turns into volts; exactly as written, case included."""

_FIFF_VOLT = 107
_SKIPPED = "BAD_ACQ_SKIP"  # MNE's name for a stretch that the recorder did not write


def read(path: Path, *, stream: str | None, assume_unit: str | None) -> Recording:
    """Open a recording that MNE can read; `stream` has no meaning here, the file holds one.

    Parameters
    ----------
    path : Path
        An existing file; for BrainVision the ``.vhdr``, for EEGLAB the ``.set``.
    stream : str, optional
        Not used.
    assume_unit : str, optional
        Unit of channels whose own unit is missing or unknown.

    Returns
    -------
    recording : Recording
        Stimulus channels have become markers, together with the annotations.

    Raises
    ------
    RecordingError
        If MNE is not installed, or cannot read the file.
    UnitError
        If a unit is unknown and none is assumed.
    """
    if path.suffix.lower() == ".fif":
        _refuse_circle(path)
    with _Foreign(path):
        return _read(path, assume_unit)


class _Foreign:
    """What goes wrong in MNE becomes a `RecordingError`: it also raises what has no kind."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> None:
        if kind is None or not issubclass(kind, Exception) or issubclass(kind, DiverloopError):
            return
        raise unreadable(self._path, f"{self._path.suffix} file for MNE", error) from error


def _refuse_circle(path: Path) -> None:
    """Each tag of a FIF file says where the next one is; MNE follows even in a circle."""
    size = path.stat().st_size
    seen: set[int] = set()
    at = 0
    with path.open("rb") as file:
        while 0 <= at <= size - 16:
            if at in seen:
                raise RecordingError(
                    f"{path} comes back to byte {at} when it is read from tag to tag; it is "
                    f"damaged, so copy it again from its source."
                )
            seen.add(at)
            file.seek(at)
            _, _, n_bytes, follows = struct.unpack(">iiii", file.read(16))
            at = at + 16 + n_bytes if follows == 0 else follows


def _read(path: Path, assume_unit: str | None) -> Recording:
    raw, notes = _open(path)
    kinds = raw.get_channel_types()
    rows = [row for row, kind in enumerate(kinds) if kind != "stim"]
    factors = [_factor(path, raw, row, assume_unit) for row in rows]
    rate_hz = float(raw.info["sfreq"])
    volts = raw.get_data(picks=rows) if rows else np.empty((0, raw.n_times))
    samples = np.ascontiguousarray(volts * np.asarray(factors)[:, None], dtype=np.float32)
    check_signal(path, samples, rate_hz)
    gaps = _gaps(raw)
    for start, stop in gaps:
        samples[:, start:stop] = np.nan
    channels = tuple(_channel(raw.info["chs"][row], kinds[row]) for row in rows)
    return Recording(
        spec=StreamSpec(name=path.stem, rate_hz=rate_hz, channels=channels, source_id=path.stem),
        samples=samples,
        data_id=data_id_of([path, *_companions(path, raw)]),
        path=str(path),
        markers=_markers(path, raw, rate_hz),
        gaps=gaps,
        notes=notes,
    )


def _open(path: Path) -> tuple[Any, tuple[str, ...]]:
    try:
        import mne
    except ImportError as error:
        raise RecordingError(
            f'{path} needs MNE-Python to be read; install it with: pip install "diverloop[mne]"'
        ) from error
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        # A file need not be called *_raw.fif to be one.
        warnings.filterwarnings("ignore", message=".*naming conventions")
        raw = mne.io.read_raw(path, preload=True, verbose="warning")
    return raw, tuple(dict.fromkeys(_first_line(one.message) for one in said))


def _first_line(text: object) -> str:
    return (str(text).strip().splitlines() or [""])[0]


def _factor(path: Path, raw: Any, row: int, assume_unit: str | None) -> float:
    """Microvolts per one of the numbers that MNE returns for a channel."""
    unit = _written_unit(path, raw, row)
    if unit in _TURNED_INTO_VOLTS.get(path.suffix.lower(), "V").split():
        return microvolts_per("V")
    try:
        return microvolts_per(unit)
    except UnitError as error:
        if assume_unit is not None:
            return microvolts_per(assume_unit)
        if raw.get_channel_types(picks=[row])[0] not in _KINDS:
            return 1.0  # a temperature or a trigger stays the number it is
        raise UnitError(f"Channel {raw.ch_names[row]!r} of {path}: {error}") from error


def _written_unit(path: Path, raw: Any, row: int) -> str:
    """Unit as the file writes it, before MNE tidies its spelling."""
    if path.suffix.lower() in (".edf", ".bdf"):
        return _edf_units(path)[row]
    if path.suffix.lower() == ".vhdr":
        return str(raw._orig_units.get(raw.ch_names[row], ""))
    # FIF stores SI units, and MNE takes EEGLAB's convention of microvolts.
    return "V" if int(raw.info["chs"][row]["unit"]) == _FIFF_VOLT else ""


def _edf_units(path: Path) -> list[str]:
    """Physical dimension of every channel, annotation channels left out as MNE does."""
    with path.open("rb") as file:
        n_signals = int(file.read(256)[252:])
        header = file.read(256 * n_signals)
    labels = [header[16 * n : 16 * (n + 1)] for n in range(n_signals)]
    # Label (16 bytes) and transducer (80 bytes) of all channels come before the 8-byte units.
    units = [header[96 * n_signals + 8 * n :][:8] for n in range(n_signals)]
    return [
        unit.decode("latin-1").strip()
        for label, unit in zip(labels, units, strict=True)
        if label.strip() not in (b"EDF Annotations", b"BDF Annotations")
    ]


def _channel(described: Any, kind: str) -> Channel:
    at = np.asarray(described["loc"][:3], dtype=float)
    known = bool(np.isfinite(at).all() and at.any())
    return Channel(
        name=str(described["ch_name"]),
        kind=_KINDS.get(kind, "misc"),
        position_m=(float(at[0]), float(at[1]), float(at[2])) if known else None,
    )


def _annotated(raw: Any) -> list[tuple[int, int, str]]:
    """Annotations as (start, stop, text) in samples of this recording."""
    marked, rate_hz = raw.annotations, raw.info["sfreq"]
    # MNE counts an onset from when the device started; a FIF file may begin later.
    starts = np.round((marked.onset - raw.first_time) * rate_hz).astype(int)
    lengths = np.round(marked.duration * rate_hz).astype(int)
    return [
        (int(start), int(start + length), str(text))
        for start, length, text in zip(starts, lengths, marked.description, strict=True)
    ]


def _gaps(raw: Any) -> tuple[tuple[int, int], ...]:
    # Through a mask, because MNE may name one stretch twice: as written and as it finds it.
    lost = np.zeros(raw.n_times + 2, dtype=np.int8)
    for start, stop, text in _annotated(raw):
        if text == _SKIPPED:
            lost[max(start, 0) + 1 : min(stop, raw.n_times) + 1] = 1
    edges = np.flatnonzero(np.diff(lost)).tolist()
    return tuple(zip(edges[::2], edges[1::2], strict=True))


def _markers(path: Path, raw: Any, rate_hz: float) -> tuple[Marker, ...]:
    spoken = [(start, text) for start, _, text in _annotated(raw) if text != _SKIPPED]
    found = sorted([*spoken, *_triggers(path, raw)], key=lambda pair: pair[0])
    return tuple(
        Marker(label=label, sample=at, lsl_raw_s=at / rate_hz, lsl_corrected_s=at / rate_hz)
        for at, label in found
        if 0 <= at < raw.n_times
    )


def _triggers(path: Path, raw: Any) -> list[tuple[int, str]]:
    if "stim" not in raw.get_channel_types():
        return []
    import mne

    # BioSemi writes its own state into the upper 8 of 24 bits; the task owns the lower 16.
    mask: dict[str, Any] = (
        {"mask": 0xFFFF, "mask_type": "and"} if path.suffix.lower() == ".bdf" else {}
    )
    events: NDArray[np.integer] = mne.find_events(
        raw, shortest_event=1, consecutive=True, verbose="error", **mask
    )
    return [(int(at) - int(raw.first_samp), str(int(code))) for at, _, code in events]


def _companions(path: Path, raw: Any) -> list[Path]:
    """Files with the signal, where the given one is only a header."""
    named = [Path(name) for name in raw.filenames if name is not None]
    return sorted(name for name in named if name.resolve() != path.resolve() and name.is_file())
