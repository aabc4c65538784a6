"""Read the project's own ``.npz`` layout: one continuous recording as plain arrays.

The arrays: ``data`` (n_channels, n_times) with ``scale`` and ``offset`` per channel, ``units``,
``fs`` in hertz, ``ch_names``, ``ch_types``, ``ch_pos`` in metres (NaN where unknown), and the
events ``ev_sample`` and ``ev_label`` side by side.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import RecordingError, UnitError
from ..runtime.messages import Channel, Marker, StreamSpec
from ..runtime.units import microvolts_per
from .recordings import Recording, check_signal, data_id_of

_NEEDED = (
    "data", "scale", "offset", "units", "fs", "ch_names", "ch_types", "ch_pos",
    "ev_sample", "ev_label",
)  # fmt: skip
_FURTHEST_M = 1.0  # from the origin


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
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            missing = [name for name in _NEEDED if name not in archive]
            if missing:
                raise RecordingError(
                    f"{path} holds {', '.join(archive.files)} and lacks {', '.join(missing)}; "
                    f"it is no continuous recording (perhaps epochs), so it cannot be streamed."
                )
            return {name: archive[name] for name in _NEEDED}
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, TypeError) as error:
        # TypeError: a lone array saved under this suffix loads as an array, not as an archive.
        raise RecordingError(
            f"{path} is not a readable .npz archive ({error}); copy it again from its source."
        ) from error


def _microvolts(
    path: Path, arrays: dict[str, NDArray[Any]], assume_unit: str | None
) -> NDArray[np.float32]:
    data, names = arrays["data"], arrays["ch_names"]
    rows = {arrays[name].shape[:1] for name in ("data", "scale", "offset", "ch_names", "ch_types")}
    if data.ndim != 2 or len(rows) != 1:
        raise RecordingError(
            f"{path} describes {len(names)} channels and holds data of shape {data.shape}; "
            f"one row for each channel is needed, so the file is damaged."
        )
    factor = _factor(str(arrays["units"]), assume_unit)
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
