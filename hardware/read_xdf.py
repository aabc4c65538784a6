"""Read XDF: one signal stream, and the markers of every stream that speaks in words.

In a session of our own, what the loop wrote about itself (tape, events, notes) is passed over: it
comes in words, too, but it is no cue. Clocks are brought together by the file's own clock
offsets; the stamps are not smoothed by the reader, because `placement` has to see them as they
came to tell what was lost.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import RecordingError, UnitError
from ..runtime.messages import Channel, Marker, StreamSpec
from ..runtime.record.layout import EVENTS_NAME, NOTES_NAME, TAPE_NAME
from ..runtime.units import microvolts_per
from .own_recording import taped_spec
from .placement import Placement, believable, place
from .recordings import Recording, check_room, check_signal, data_id_of, unreadable

_KINDS = ("eeg", "ecog", "seeg", "lfp", "eog", "emg")
_OWN_WORDS = (TAPE_NAME, EVENTS_NAME, NOTES_NAME)
_RATE_OFF = 0.01  # share of the nominal rate from which the true one is worth a note
_BROKEN = (
    OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError, OverflowError,
    MemoryError, EOFError, struct.error, ParseError,
)  # fmt: skip

Stream = dict[str, Any]
"""One stream as pyxdf returns it."""


def read(path: Path, *, stream: str | None, assume_unit: str | None) -> Recording:
    """Open an XDF recording.

    Parameters
    ----------
    path : Path
        An existing file.
    stream : str, optional
        Name or type of the signal stream; by default the one of type EEG, or the largest.
    assume_unit : str, optional
        Unit of channels whose own unit is missing or unknown.

    Returns
    -------
    recording : Recording
        With ``Recording.gaps`` where samples were lost, and notes on what could not be read.

    Raises
    ------
    RecordingError
        If nothing usable can be read.
    UnitError
        If a unit is unknown and none is assumed.
    """
    streams, complaints = _load(path)
    chosen = _choose(path, streams, stream)
    spec = _spec(chosen)
    values = np.asarray(chosen["time_series"], dtype=np.float64)
    stamps_s = np.asarray(chosen["time_stamps"], dtype=np.float64)
    check_signal(path, values.T, spec.rate_hz)
    damaged = _damaged(stamps_s, values)
    placed = _place(path, np.where(damaged, np.nan, stamps_s), spec.rate_hz)
    check_room(path, spec.n_channels, placed.n_times, len(placed.kept))
    own = _of_tape(streams, chosen, spec)
    if own is not None and own.sent is not None:
        rows = np.asarray(chosen["time_series"])[placed.kept]
        spec, signal = own, own.sent.to_microvolts(rows)
    else:
        signal = (values[placed.kept] * _factors(chosen, assume_unit)).T.astype(np.float32)
    samples = np.full((spec.n_channels, placed.n_times), np.nan, dtype=np.float32)
    samples[:, placed.indices] = signal
    markers, outside = _markers(streams, placed)
    return Recording(
        spec=spec,
        samples=samples,
        data_id=data_id_of([path]),
        path=str(path),
        markers=markers,
        gaps=placed.gaps,
        start_lsl_s=float(placed.stamps_s[0]),
        notes=(*complaints, *_notes(chosen, placed, int(damaged.sum()), spec.rate_hz, outside)),
        stamps=_stamps(placed, spec.rate_hz),
    )


def _load(path: Path) -> tuple[list[Stream], tuple[str, ...]]:
    import pyxdf

    with _complaints() as heard, path.open("rb") as file:
        try:
            streams, _ = pyxdf.load_xdf(file, synchronize_clocks=True, dejitter_timestamps=False)
        except _BROKEN as error:
            raise unreadable(path, "XDF file", error) from error
    return streams, tuple(f"While reading: {text.rstrip('.')}." for text in heard)


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """Collect what pyxdf logs as an error, and keep it off the terminal."""
    heard: list[str] = []
    logger = logging.getLogger("pyxdf.pyxdf")

    class _Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno >= logging.ERROR:
                heard.append(record.getMessage())

    listener, propagated = _Listener(), logger.propagate
    logger.addHandler(listener)
    logger.propagate = False
    try:
        yield heard
    finally:
        logger.removeHandler(listener)
        logger.propagate = propagated


def _said(stream: Stream, key: str) -> str:
    """One field of a stream's header, empty where it is missing."""
    return str((stream["info"].get(key) or [""])[0] or "")


def _rate_hz(stream: Stream) -> float:
    return float(_said(stream, "nominal_srate") or 0)


def _is_words(stream: Stream) -> bool:
    return _said(stream, "channel_format") == "string"


def _choose(path: Path, streams: list[Stream], wanted: str | None) -> Stream:
    signals = [one for one in streams if not _is_words(one) and _rate_hz(one) > 0]
    if wanted is not None:
        signals = [one for one in signals if wanted in (_said(one, "name"), _said(one, "type"))]
    filled = [one for one in signals if len(one["time_stamps"])]
    if not filled:
        found = ", ".join(
            f"{_said(one, 'name')!r} ({_said(one, 'type')}, {len(one['time_stamps'])} samples)"
            for one in streams
        )
        asked = "no signal" if wanted is None else f"no signal of name or type {wanted!r}"
        raise RecordingError(
            f"{path} holds {asked} with a sampling rate and samples; it holds {found or 'nothing'}."
        )
    called_eeg = [one for one in filled if _said(one, "type").lower() == "eeg"]
    return max(called_eeg or filled, key=lambda one: np.asarray(one["time_series"]).size)


def _described(stream: Stream) -> list[dict[str, Any]]:
    """Channel descriptions, one for each channel, empty where the header has none."""
    desc = stream["info"].get("desc") or [None]
    channels = (desc[0] or {}).get("channels") or [None]
    rows = list((channels[0] or {}).get("channel") or []) if channels[0] else []
    n_channels = int(_said(stream, "channel_count"))
    return rows if len(rows) == n_channels else [{} for _ in range(n_channels)]


def _field(row: dict[str, Any], key: str) -> str:
    return str((row.get(key) or [""])[0] or "").strip()


def _kind(row: dict[str, Any], stream: Stream) -> str:
    said = (_field(row, "type") or _said(stream, "type")).lower()
    return said if said in _KINDS else "misc"


def _position_m(row: dict[str, Any]) -> tuple[float, float, float] | None:
    """Place in metres; XDF writes millimetres."""
    where = (row.get("location") or [None])[0]
    try:
        x, y, z = (float(where[axis][0]) / 1e3 for axis in "XYZ")
    except (TypeError, ValueError, LookupError):
        return None
    return (x, y, z) if np.isfinite([x, y, z]).all() else None


def _spec(stream: Stream) -> StreamSpec:
    channels = tuple(
        Channel(
            name=_field(row, "label") or f"ch{number}",
            kind=_kind(row, stream),
            position_m=_position_m(row),
        )
        for number, row in enumerate(_described(stream), start=1)
    )
    return StreamSpec(
        name=_said(stream, "name"),
        rate_hz=_rate_hz(stream),
        channels=channels,
        source_id=_said(stream, "source_id"),
    )


def _of_tape(streams: list[Stream], chosen: Stream, spec: StreamSpec) -> StreamSpec | None:
    """The session's own view, where it had a mapping, or knows units that the header lacks."""
    own = taped_spec(streams, spec.name, spec.n_channels)
    if own is None or own.sent is None:
        return None
    mapped = bool(own.sent.rows or own.sent.factors) or own.channel_names != spec.channel_names
    unit_missing = not all(_field(row, "unit") for row in _described(chosen))
    return own if mapped or (unit_missing and not own.sent.description) else None


def _factors(stream: Stream, assume_unit: str | None) -> NDArray[np.float64]:
    return np.array([_factor(row, stream, assume_unit) for row in _described(stream)])


def _factor(row: dict[str, Any], stream: Stream, assume_unit: str | None) -> float:
    try:
        return microvolts_per(_field(row, "unit"))
    except UnitError as error:
        if assume_unit is not None:
            return microvolts_per(assume_unit)
        if _kind(row, stream) == "misc":
            return 1.0  # a counter or a trigger stays the number it is
        raise UnitError(
            f"Channel {_field(row, 'label') or '(unnamed)'!r} of stream "
            f"{_said(stream, 'name')!r}: {error}"
        ) from error


def _damaged(stamps_s: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Rows that were read from overwritten bytes, as far as their stamps give them away."""
    damaged: NDArray[np.bool_] = np.logical_not(believable(stamps_s))
    # Zeroed bytes read as samples of zero with a stamp that continues the last good one, until
    # the reader loses its step; so the blank rows that lead into a damaged stretch belong to it.
    # A quarter of zeros is enough: the first and the last of them are torn in the middle.
    zeros = values == 0
    blank = zeros[:, zeros.mean(axis=0) < 0.5].sum(axis=1) >= max(1, values.shape[1] / 4)
    for at in np.flatnonzero(damaged[1:] & ~damaged[:-1]).tolist():
        while at >= 0 and blank[at]:
            damaged[at] = True
            at -= 1
    return damaged


def _place(path: Path, stamps_s: NDArray[np.float64], rate_hz: float) -> Placement:
    try:
        return place(stamps_s, rate_hz)
    except ValueError as error:
        raise RecordingError(
            f"{path} cannot be placed in time: {error} Copy the file again from its source."
        ) from error


def _stamps(placed: Placement, rate_hz: float) -> tuple[tuple[int, float], ...]:
    """Some of the stamps, for whoever has to know moments better than to a sample."""
    some = slice(None, None, max(1, round(rate_hz / 10)))
    return tuple(zip(placed.indices[some].tolist(), placed.stamps_s[some].tolist(), strict=True))


def _markers(streams: list[Stream], placed: Placement) -> tuple[tuple[Marker, ...], int]:
    """Markers inside the recording in order, and how many lie outside it."""
    spoken = [pair for stream in streams for pair in _spoken(stream)]
    markers = [
        Marker(label=label, sample=at, lsl_raw_s=stamp_s, lsl_corrected_s=stamp_s)
        for stamp_s, label in sorted(spoken, key=lambda pair: pair[0])
        if (at := placed.index_at(stamp_s)) is not None
    ]
    return tuple(markers), len(spoken) - len(markers)


def _spoken(stream: Stream) -> Iterator[tuple[float, str]]:
    """Stamp in seconds and label of everything a marker stream says."""
    numbers_as_markers = _rate_hz(stream) == 0 and "marker" in _said(stream, "type").lower()
    if not (_is_words(stream) or numbers_as_markers) or _said(stream, "name") in _OWN_WORDS:
        return
    for stamp_s, row in zip(stream["time_stamps"], stream["time_series"], strict=True):
        if np.isfinite(stamp_s):
            yield float(stamp_s), ",".join(str(part) for part in row)


def _notes(
    stream: Stream, placed: Placement, n_damaged: int, rate_hz: float, n_outside: int
) -> Iterator[str]:
    name, n_read = _said(stream, "name"), len(stream["time_stamps"])
    footer = (stream.get("footer") or {}).get("info")
    if not footer:
        yield (
            f"Stream {name!r} has no footer: the file was cut off, or its writer was stopped; "
            f"{n_read} samples ({n_read / rate_hz:.1f} s) could be read."
        )
    promised = int((footer or {}).get("sample_count", [n_read])[0])
    if promised > n_read:
        yield f"Stream {name!r} should hold {promised} samples; {n_read} could be read."
    if n_damaged:
        yield f"{n_damaged} samples of stream {name!r} are damaged and count as lost."
    if abs(placed.rate_hz / rate_hz - 1) > _RATE_OFF:
        yield f"Stream {name!r} promised {rate_hz:g} Hz and came at {placed.rate_hz:.2f} Hz."
    if n_outside:
        yield f"{n_outside} markers lie outside the signal and were left out."
