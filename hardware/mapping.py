"""The mapping file: from the channels of a device to the channels that a decoder knows.

An amplifier calls its inputs as its maker pleased, and the cap was plugged in by a person. What is
on which input is written down once, in a TOML file::

    [montage]
    name = "cap 32, amplifier of room 3"
    reference = "FCz"             # what the device measures against
    positions = "standard"        # or "device", "none", or a file with positions
    drop = ["AUX1"]

    [[channels]]
    device = "EEG 001"            # as the stream calls it
    row = 1                       # its place there, so that swapped connectors are seen
    name = "Fp1"

The order of the tables is the order of the rows. `MappedSource` in `mapped` puts it in front of
any source.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..runtime.errors import ConfigError, RecordingError, UnitError, UnknownName
from ..runtime.messages import Channel, StreamSpec
from ..runtime.settings import build, refuse_unknown
from ..runtime.toml_file import parse_toml, read_file
from ..runtime.units import microvolts_per
from .montage import scalp_position_m
from .positions import read_positions

KINDS = ("eeg", "ecog", "seeg", "lfp", "eog", "emg", "misc")
"""What a channel can be; see `Channel`."""

_UNITS = {1e6: "V", 1e3: "mV", 1.0: "uV", 1e-3: "nV"}
_SOURCES = ("device", "standard", "none")
_FARTHEST_MM = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedChannel:
    """One channel of the device that becomes a row.

    Parameters
    ----------
    device : str
        Its label in the device's stream.
    name : str
        Label of the row; empty for the device's own.
    kind : str
        One of `KINDS`; empty for what the device says.
    row : int
        Its place in the device's stream, counted from 1; 0 for wherever it is.
    unit : str
        What the device has to say that its numbers are: V, mV, uV or nV; empty for anything.
    factor : float
        What its microvolts are multiplied with, for a device that is known to be wrong. 1e-6 to
        1e6, or the negative for exchanged leads.
    position_mm : tuple of 3 float, optional
        Its place, in place of what `MappingConfig.positions` says: head frame for scalp channels,
        MNI for intracranial ones.
    bad : bool
        Whether the electrode is known to be bad: it is masked throughout.
    """

    device: str
    name: str = ""
    kind: str = ""
    row: int = 0
    unit: str = ""
    factor: float = 1.0
    position_mm: tuple[float, float, float] | None = None
    bad: bool = False

    def __post_init__(self) -> None:
        if not self.device:
            raise ConfigError("channels.device is empty: give the label in the device's stream.")
        if self.kind and self.kind not in KINDS:
            raise ConfigError(
                f"channels.kind of {self.device!r} must be one of {', '.join(KINDS)}, got "
                f"{self.kind!r}."
            )
        if self.row < 0:
            raise ConfigError(f"channels.row of {self.device!r} counts from 1, got {self.row}.")
        if not 1e-6 <= abs(self.factor) <= 1e6:
            raise ConfigError(
                f"channels.factor of {self.device!r} must be 1e-6 to 1e6 or the negative, got "
                f"{self.factor:g}."
            )
        if self.position_mm and not all(abs(x) <= _FARTHEST_MM for x in self.position_mm):
            raise ConfigError(
                f"channels.position_mm of {self.device!r} must be three numbers of at most "
                f"{_FARTHEST_MM:g} mm, got {self.position_mm}."
            )
        self._check_unit()

    def _check_unit(self) -> None:
        try:
            microvolts_per(self.unit or "uV")
        except UnitError as error:
            raise ConfigError(
                f"channels.unit of {self.device!r} must be V, mV, uV or nV, or left out, got "
                f"{self.unit!r}."
            ) from error

    @property
    def label(self) -> str:
        """Name of the row."""
        return self.name or self.device


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingConfig:
    """What a mapping file says.

    Parameters
    ----------
    name : str
        What cap, on what device; for people.
    reference, ground : str
        Electrodes that the device measures against and is grounded to; for people.
    positions : str
        Where positions come from: ``"device"``, ``"standard"`` (the 10-05 place of its name),
        ``"none"``, or a file that `read_positions` reads, counted from the mapping file.
    others : str
        What becomes of channels that are named nowhere: ``"refuse"`` the stream, or ``"drop"``.
    drop : tuple of str
        Channels of the device that are left out.
    channels : tuple of MappedChannel
        The rows, in order.
    """

    name: str = ""
    reference: str = ""
    ground: str = ""
    positions: str = "device"
    others: str = "refuse"
    drop: tuple[str, ...] = ()
    channels: tuple[MappedChannel, ...]

    def __post_init__(self) -> None:
        if self.others not in ("refuse", "drop"):
            raise ConfigError(f'montage.others must be "refuse" or "drop", got {self.others!r}.')
        if not self.channels:
            raise ConfigError("A mapping needs at least one table [[channels]], got none.")
        if not self.positions:
            raise ConfigError(
                f"montage.positions is empty: use one of {', '.join(_SOURCES)}, or name a file."
            )
        _refuse_twice("device channel", [*(one.device for one in self.channels), *self.drop])
        _refuse_twice("name", [one.label for one in self.channels])
        _refuse_twice("row", [str(one.row) for one in self.channels if one.row])


def _refuse_twice(what: str, names: Sequence[str]) -> None:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(
            f"A mapping uses each {what} once, got {', '.join(twice)} more than once: correct "
            f"[[channels]] and montage.drop."
        )


def read_mapping(path: str | Path, content: bytes | None = None) -> MappingConfig:
    """Read and check a mapping file; positions in another file are read, too.

    Parameters
    ----------
    path : str or Path
        A TOML file.
    content : bytes, optional
        What is in it, if it has been read.

    Returns
    -------
    mapping : MappingConfig
        Frozen. Positions from a file stand with each channel.

    Raises
    ------
    ConfigError
        If a file is not there, or a value cannot be used.
    """
    path = Path(path)
    content = read_file(path, "mapping file") if content is None else content
    tables = parse_toml(content, f"The mapping file {path}")
    try:
        mapping = parse_mapping(tables)
        if mapping.positions in _SOURCES:
            return mapping
        return place_from(mapping, path.parent / Path(mapping.positions))
    except (ConfigError, RecordingError) as error:
        raise ConfigError(f"{path.name}: {error}") from error


def parse_mapping(tables: Mapping[str, object]) -> MappingConfig:
    """Check the tables of a mapping file; raises `ConfigError` if they cannot be used."""
    refuse_unknown("the mapping file", tables, ("montage", "channels"))
    head = tables.get("montage", {})
    if not isinstance(head, Mapping) or "channels" in head:
        raise ConfigError("[montage] must be a table without channels: each is a [[channels]].")
    mapping: MappingConfig = build(
        MappingConfig, {**head, "channels": tables.get("channels", [])}, "montage"
    )
    return mapping


def place_from(mapping: MappingConfig, path: Path) -> MappingConfig:
    """Give channels the places that a file has for them; a place of a channel's own counts more.

    Parameters
    ----------
    mapping : MappingConfig
        Any.
    path : Path
        What `read_positions` reads.

    Returns
    -------
    mapping : MappingConfig
        Channels that the file does not name are as they were.

    Raises
    ------
    ConfigError, RecordingError
        If the file cannot be read, or places none of the channels.
    """
    found = read_positions(path).places_m
    channels = []
    for one in mapping.channels:
        place = found.get(one.label, found.get(one.device))
        if one.position_mm is None and place is not None:
            x, y, z = (1e3 * value for value in place)
            one = replace(one, position_mm=(x, y, z))
        channels.append(one)
    if not any(one.position_mm for one in channels):
        raise ConfigError(
            f"{path} places none of {', '.join(one.label for one in channels[:8])}, ...: it is "
            f"about other electrodes ({', '.join(list(found)[:8])}, ...)."
        )
    return replace(mapping, channels=tuple(channels))


def placed(
    one: MappedChannel, of_device: Channel, source: str
) -> tuple[float, float, float] | None:
    """Where the electrode of a channel is, as the mapping wants it.

    Parameters
    ----------
    one : MappedChannel
        What the file says.
    of_device : Channel
        What the device says.
    source : str
        `MappingConfig.positions`.

    Returns
    -------
    position_m : tuple of 3 float or None
        In metres.
    """
    if one.position_mm is not None:
        x, y, z = (value / 1e3 for value in one.position_mm)
        return (x, y, z)
    if source == "device":
        return of_device.position_m
    if source == "standard" and (one.kind or of_device.kind) == "eeg":
        try:
            return scalp_position_m(one.label)
        except UnknownName:
            return None
    return None


def unit_of(spec: StreamSpec, row: int) -> str:
    """Unit in which a device sends a channel; empty if it sends counts of a resolution."""
    return _UNITS.get(spec.sent.microvolts[row], "") if spec.sent else "uV"


def mapping_of(
    spec: StreamSpec, *, standard_names: Mapping[str, str] | None = None
) -> MappingConfig:
    """A mapping that changes nothing, for a person to edit.

    Parameters
    ----------
    spec : StreamSpec
        A running stream, or that of a recording.
    standard_names : mapping of str to str, optional
        What to call channels, by the device's label.

    Returns
    -------
    mapping : MappingConfig
        A channel for each row, with its place in the stream and its unit.
    """
    names = standard_names or {}
    channels = tuple(
        MappedChannel(
            device=channel.name,
            name=names.get(channel.name, channel.name),
            kind=channel.kind if channel.kind in KINDS else "misc",
            row=row + 1,
            unit=unit_of(spec, row),
        )
        for row, channel in enumerate(spec.channels)
    )
    known = any(channel.position_m for channel in spec.channels)
    return MappingConfig(
        name=spec.name, positions="device" if known else "standard", channels=channels
    )


def text_of(mapping: MappingConfig) -> str:
    """A mapping as a file: the way back from `read_mapping`.

    Parameters
    ----------
    mapping : MappingConfig
        What it is to say.

    Returns
    -------
    text : str
        TOML; what is not said goes without saying.
    """
    head = {
        "name": mapping.name,
        "reference": mapping.reference,
        "ground": mapping.ground,
        "positions": mapping.positions,
        "others": mapping.others,
        "drop": list(mapping.drop),
    }
    lines = ["[montage]", *(f"{key} = {_toml(value)}" for key, value in head.items())]
    for one in mapping.channels:
        lines += ["", "[[channels]]", f"device = {_toml(one.device)}"]
        said = {
            "row": one.row, "name": one.label, "kind": one.kind, "unit": one.unit,
            "factor": one.factor if one.factor != 1.0 else 0, "bad": one.bad,
            "position_mm": [round(x, 3) for x in one.position_mm or ()],
        }  # fmt: skip
        lines += [f"{key} = {_toml(value)}" for key, value in said.items() if value]
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    """A text, a number, a truth or an array; JSON writes these as TOML does."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
