"""Read the project's own ``.npz`` layout: one continuous recording as plain arrays.

The arrays: ``data`` (n_channels, n_times) with ``scale`` and ``offset`` per channel, ``units``,
``fs`` in hertz, ``ch_names``, ``ch_types``, ``ch_pos`` in metres (NaN where unknown), and the
events ``ev_sample`` and ``ev_label`` side by side.
"""

from __future__ import annotations

import math
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import RecordingError, UnitError
from ..runtime.messages import Channel, Marker, StreamSpec
from ..runtime.units import microvolts_per
from .recordings import Recording, check_signal, data_id_of, unreadable

_NEEDED = (
    "data", "scale", "offset", "units", "fs", "ch_names", "ch_types", "ch_pos",
    "ev_sample", "ev_label",
)  # fmt: skip
_WANTED = {  # kinds of numbers as numpy writes them, and dimensions
    "data": ("iufb", 2), "scale": ("iuf", 1), "offset": ("iuf", 1), "fs": ("iuf", 0),
    "units": ("US", 0), "ch_names": ("US", 1), "ch_types": ("US", 1), "ch_pos": ("iuf", 2),
    "ev_sample": ("iu", 1), "ev_label": ("US", 1),
}  # fmt: skip
_OF_A_ROW = ("data", "scale", "offset", "ch_names", "ch_types", "ch_pos")
_FURTHEST_M = 1.0  # from the origin
_SMALL_BYTES = 1 << 23  # unpacked, so much is no danger
_MOST_PACKED = 100
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0,
}  # fmt: skip
_BROKEN = (
    zipfile.BadZipFile, zlib.error, tokenize.TokenError, struct.error, OSError, EOFError,
    ValueError, TypeError, LookupError, RuntimeError, OverflowError, MemoryError, SyntaxError,
    AttributeError,
)  # fmt: skip


def read(path: Path, *, stream: str | None, assume_unit: str | None) -> Recording:
    """Open an ``.npz`` recording; `stream` has no meaning here, the file holds one.

    Parameters
    ----------
    path : Path
        An existing file.
    stream : str, optional
        Not used.
    assume_unit : str, optional
        Unit to take where the file's own is unknown.

    Returns
    -------
    recording : Recording
        One column per sample; the format knows no gaps.

    Raises
    ------
    RecordingError
        If the archive is damaged, or holds something else, such as epochs.
    UnitError
        If the unit is unknown and none is assumed.
    """
    arrays = _arrays(path)
    samples = _microvolts(path, arrays, assume_unit)
    rate_hz = float(arrays["fs"])
    check_signal(path, samples, rate_hz)
    spec = StreamSpec(
        name=path.stem, rate_hz=rate_hz, channels=_channels(arrays), source_id=path.stem
    )
    return Recording(
        spec=spec,
        samples=samples,
        data_id=data_id_of([path]),
        path=str(path),
        markers=_markers(path, arrays, samples.shape[1], rate_hz),
    )


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with zipfile.ZipFile(path) as archive:
            held = [name.removesuffix(".npy") for name in archive.namelist()]
            missing = [name for name in _NEEDED if name not in held]
            if missing:
                raise RecordingError(
                    f"{path} holds {', '.join(held)} and lacks {', '.join(missing)}; "
                    f"it is no continuous recording (perhaps epochs), so it cannot be streamed."
                )
            _refuse_bomb(path, [archive.getinfo(f"{name}.npy") for name in _NEEDED])
            arrays = {name: _array(archive, name) for name in _NEEDED}
    except _BROKEN as error:
        raise unreadable(path, ".npz archive", error) from error
    _check_kinds(path, arrays)
    return arrays


def _refuse_bomb(path: Path, members: list[zipfile.ZipInfo]) -> None:
    """Signal packs to a third of its size or so; what packs to a hundredth is not signal."""
    unpacked, packed = sum(one.file_size for one in members), path.stat().st_size
    if unpacked > max(_SMALL_BYTES, _MOST_PACKED * packed):
        raise RecordingError(
            f"{path} has {packed} bytes and would unpack to {unpacked}, more than {_MOST_PACKED} "
            f"times as many: that is no signal, so it is not unpacked."
        )


def _array(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    """One array, if its header promises as many bytes as there are."""
    info = archive.getinfo(f"{name}.npy")
    with archive.open(info) as file:
        version = np.lib.format.read_magic(file)
        if version not in _HEADERS:
            raise ValueError(f"{name} has version {version} of the format")
        shape, by_columns, dtype = _HEADERS[version](file)
        promised = math.prod(shape) * dtype.itemsize
        if dtype.hasobject or file.tell() + promised != info.file_size:
            raise ValueError(f"{name} says it is {dtype} of shape {shape}, and is not")
        flat = np.frombuffer(file.read(), dtype)
    return flat.reshape(shape, order="F" if by_columns else "C").copy()


def _check_kinds(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """Numbers where numbers belong, and as many dimensions as there should be."""
    for name, (kinds, n_dims) in _WANTED.items():
        array = arrays[name]
        wanted = array.dtype.kind in kinds or (array.size == 0 and array.dtype.kind in "iuf")
        if not wanted or array.ndim != n_dims:
            raise RecordingError(
                f"{path} holds {name} as {array.dtype} of shape {array.shape}; it is damaged, or "
                f"no recording of this layout."
            )


def _microvolts(
    path: Path, arrays: dict[str, NDArray[Any]], assume_unit: str | None
) -> NDArray[np.float32]:
    data, names = arrays["data"], arrays["ch_names"]
    rows = {arrays[name].shape[0] for name in _OF_A_ROW}
    if len(rows) != 1 or arrays["ch_pos"].shape[1:] != (3,):
        raise RecordingError(
            f"{path} describes {len(names)} channels and holds data of shape {data.shape}; "
            f"one row for each channel is needed, so the file is damaged."
        )
    factor = _factor(str(arrays["units"]), assume_unit)
    with np.errstate(over="ignore", invalid="ignore"):  # beyond float32 is lost, like NaN
        physical = data * arrays["scale"][:, None] + arrays["offset"][:, None]
        return np.ascontiguousarray(physical * factor, dtype=np.float32)


def _factor(unit: str, assume_unit: str | None) -> float:
    try:
        return microvolts_per(unit)
    except UnitError:
        if assume_unit is None:
            raise
        return microvolts_per(assume_unit)


def _channels(arrays: dict[str, NDArray[Any]]) -> tuple[Channel, ...]:
    places = arrays["ch_pos"].astype(np.float64)
    if np.nanmax(np.abs(places), initial=0.0) > _FURTHEST_M:
        places = places / 1000  # written in millimetres
    rows = zip(arrays["ch_names"], arrays["ch_types"], places, strict=True)
    return tuple(
        Channel(
            name=str(name),
            kind=str(kind),
            position_m=(float(at[0]), float(at[1]), float(at[2]))
            if np.isfinite(at).all()
            else None,
        )
        for name, kind, at in rows
    )


def _markers(
    path: Path, arrays: dict[str, NDArray[Any]], n_times: int, rate_hz: float
) -> tuple[Marker, ...]:
    samples, labels = arrays["ev_sample"], arrays["ev_label"]
    outside = samples[(samples < 0) | (samples >= n_times)]
    if len(outside) or len(samples) != len(labels):
        raise RecordingError(
            f"{path} has {len(samples)} event samples, {len(labels)} labels, and places events "
            f"at {outside[:3].tolist()} of {n_times} samples; the file is damaged."
        )
    pairs = sorted(zip(samples.tolist(), map(str, labels), strict=True), key=lambda pair: pair[0])
    return tuple(
        Marker(label=label, sample=at, lsl_raw_s=at / rate_hz, lsl_corrected_s=at / rate_hz)
        for at, label in pairs
    )
