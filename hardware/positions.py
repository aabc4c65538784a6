"""Where electrodes are, read from a file: BIDS tables here, other formats through MNE."""

from __future__ import annotations

import math
import statistics
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..runtime.errors import ConfigError, RecordingError
from ..runtime.json_text import parsed_json
from ..runtime.small_file import read_small
from .montage import HEAD_RADIUS_M

THROUGH_MNE = (".elc", ".sfp", ".bvef", ".bvct", ".locs", ".loc", ".eloc", ".csd", ".elp", ".hpts")
"""Suffixes that need the extra ``mne``."""

_PER_METRE = {"m": 1.0, "cm": 1e2, "mm": 1e3}
_MOST_BYTES = 4 * 1024 * 1024
_FARTHEST_M = 1.0  # no head is as large: it is another unit
_UNKNOWN = ("", "n/a", "nan")
_BROKEN = (
    OSError, ValueError, LookupError, RuntimeError, TypeError, AttributeError, SyntaxError,
    ImportError, ArithmeticError,
)  # fmt: skip

Place = tuple[float, float, float]
"""Three coordinates in metres."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Positions:
    """What a file says of where electrodes are.

    Parameters
    ----------
    places_m : mapping of str to tuple of 3 float
        By name, in metres; electrodes without a place are left out.
    space : str
        Coordinate system as the file names it, for example ``"MNI152NLin6ASym"``; empty where it
        names none.
    without : tuple of str
        Electrodes that are named, and placed nowhere.
    """

    places_m: Mapping[str, Place]
    space: str = ""
    without: tuple[str, ...] = ()


def read_positions(path: str | Path) -> Positions:
    """Read a file with positions.

    Parameters
    ----------
    path : str or Path
        A BIDS ``_electrodes.tsv``, beside which its ``_coordsystem.json`` lies, or one of
        `THROUGH_MNE`.

    Returns
    -------
    positions : Positions
        In metres. Formats that name no unit are taken to be about a head, whose size tells it.

    Raises
    ------
    ConfigError
        If it is not there, or of no known kind.
    RecordingError
        If it cannot be read; with the line, where it is a table.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"There is no file of positions {path}: check the name.")
    suffix = path.suffix.lower()
    if suffix == ".tsv":
        return _read_bids(path)
    if suffix in THROUGH_MNE:
        return _read_with_mne(path)
    raise ConfigError(
        f"Positions are read from .tsv (BIDS) and {', '.join(THROUGH_MNE)}, got {path.name}."
    )


# --------------------------------------------------------------------------------------- BIDS


def _read_bids(path: Path) -> Positions:
    lines = _text(path).removeprefix("\ufeff").splitlines()
    columns = [name.strip().lower() for name in (lines[0] if lines else "").split("\t")]
    if missing := [name for name in ("name", "x", "y", "z") if name not in columns]:
        raise RecordingError(
            f"{path}, line 1: the columns {', '.join(missing)} are missing; a table of electrodes "
            f"has name, x, y and z, separated by tabs."
        )
    beside = _coordinates_beside(path)
    space, unit = _system(beside, "iEEG" if path.parent.name == "ieeg" else "EEG")
    places: dict[str, Place] = {}
    without: list[str] = []
    for number, line in enumerate(lines[1:], 2):
        if not line.strip():
            continue
        cells = line.split("\t")
        if len(cells) != len(columns):
            raise RecordingError(
                f"{path}, line {number}: {len(cells)} values for {len(columns)} columns; "
                f"separate them by tabs, and write n/a for what is not known."
            )
        row = dict(zip(columns, (cell.strip() for cell in cells), strict=True))
        where = f"{path}, line {number}"
        if not row["name"] or row["name"] in places or row["name"] in without:
            raise RecordingError(f"{where}: the name {row['name']!r} is empty or came before.")
        place = _place(where, row, unit)
        if place is None:
            without.append(row["name"])
        else:
            places[row["name"]] = place
    return Positions(places_m=places, space=space, without=tuple(without))


def _place(where: str, row: Mapping[str, str], unit: str) -> Place | None:
    if all(row[axis].lower() in _UNKNOWN for axis in "xyz"):
        return None
    try:
        x, y, z = (float(row[axis]) for axis in "xyz")
    except ValueError as error:
        got = ", ".join(row[axis] for axis in "xyz")
        raise RecordingError(
            f"{where}: the place of {row['name']!r} must be three numbers, or n/a three times, "
            f"got {got}."
        ) from error
    if unit not in _PER_METRE:
        raise RecordingError(
            f"{where}: nothing says in what unit {row['name']!r} is placed (got {unit or 'none'!r}"
            f"): put m, cm or mm into the coordinate units of the coordsystem.json beside it."
        )
    x, y, z = (value / _PER_METRE[unit] for value in (x, y, z))
    if not math.dist((x, y, z), (0, 0, 0)) <= _FARTHEST_M:  # NaN is refused, too
        raise RecordingError(
            f"{where}: {row['name']!r} would be {math.dist((x, y, z), (0, 0, 0)):.3g} m from the "
            f"origin: the unit is not {unit}, or the value is wrong."
        )
    return (x, y, z)


def _coordinates_beside(path: Path) -> Mapping[str, Any]:
    """The table's own coordinate file, or the only one of its folder; empty if there is none."""
    own = path.with_name(path.name.removesuffix("electrodes.tsv") + "coordsystem.json")
    found = [own] if own.is_file() else sorted(path.parent.glob("*coordsystem.json"))
    if len(found) != 1:
        return {}
    try:
        said = parsed_json(_text(found[0]))
    except ValueError as error:
        raise RecordingError(f"{found[0]} is not valid JSON: {error}.") from error
    if not isinstance(said, dict):
        raise RecordingError(f"{found[0]} must hold one JSON object, got {type(said).__name__}.")
    return said


def _system(said: Mapping[str, Any], first: str) -> tuple[str, str]:
    """Name of the coordinate system, and its unit."""
    for kind in dict.fromkeys((first, "EEG", "iEEG", "MEG")):
        if unit := said.get(f"{kind}CoordinateUnits"):
            return str(said.get(f"{kind}CoordinateSystem", "")), str(unit).strip().lower()
    return "", ""


def _text(path: Path) -> str:
    try:
        return read_small(path, _MOST_BYTES).decode("utf-8")
    except OSError as error:
        raise RecordingError(
            f"{path} cannot be read ({error.strerror}): correct its rights, or copy it again."
        ) from error
    except ValueError as error:
        raise RecordingError(
            f"{path} is not text, or larger than a table can be ({error}): copy it again."
        ) from error


# ---------------------------------------------------------------------------------------- MNE


def _read_with_mne(path: Path) -> Positions:
    try:
        import mne
    except ImportError as error:
        raise ConfigError(
            f'{path} needs MNE-Python to be read; install it with: pip install "diverloop[mne]"'
        ) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = mne.channels.read_custom_montage(path, head_size=None).get_positions()
    except _BROKEN as error:
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise RecordingError(
            f"MNE cannot read {path} ({said}): it is damaged or not what its suffix says."
        ) from error
    return _checked(path, found["ch_pos"], str(found.get("coord_frame") or ""))


def _checked(path: Path, found: Mapping[str, Any], space: str) -> Positions:
    raw = {str(name): tuple(float(value) for value in place) for name, place in found.items()}
    known = {name: place for name, place in raw.items() if all(map(math.isfinite, place))}
    if not known:
        raise RecordingError(f"{path} places no electrode: it is empty, or another format.")
    per_unit_m = _metres_in(path, statistics.median(math.hypot(*at) for at in known.values()))
    places = {
        name: (x * per_unit_m, y * per_unit_m, z * per_unit_m) for name, (x, y, z) in known.items()
    }
    return Positions(
        places_m=places, space=space, without=tuple(name for name in raw if name not in known)
    )


def _metres_in(path: Path, radius: float) -> float:
    """Metres in the unit of a format that names none, from how far a head reaches in it."""
    if 0.5 <= radius <= 2:
        return HEAD_RADIUS_M / radius  # directions on a sphere, without a length
    for per_metre in _PER_METRE.values():
        if 0.04 <= radius / per_metre <= 0.25:
            return 1 / per_metre
    raise RecordingError(
        f"{path} has electrodes {radius:.3g} units from the origin, which is a head in no unit "
        f"(m, cm, mm or a unit sphere): convert it to a BIDS electrodes.tsv."
    )
