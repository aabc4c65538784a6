"""The delay of a device as it was measured once: what it is, of which device, and how old.

It moves windows that are locked to markers, and nothing else: recordings, scores and reports keep
the markers as they came. ``diverloop timing`` measures it and writes it down.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from .errors import ConfigError, SchemaMismatch
from .messages import StreamSpec
from .settings import build
from .toml_file import put_table, read_toml

TABLE = "timing"
_MOST_MS = 1000.0
_RATE_OFF = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceTiming:
    """How much later than its marker an event is in a device's signal.

    Parameters
    ----------
    offset_ms : float
        Median of what was measured, -1000 to 1000 ms; 0 corrects nothing.
    measured : str
        When, as YYYY-MM-DD.
    n : int
        On how many events it rests.
    sd_ms : float
        How they scattered once drift was taken out.
    recording : str
        SHA-256 of the recording it was measured on; empty if it was measured live.
    source_id, stream : str
        Device and stream it was measured on.
    rate_hz : float
        Sampling rate it was measured at.
    max_age_days : int
        From which age on a session warns, 1 to 36500.
    """

    offset_ms: float = 0.0
    measured: str = ""
    n: int = 0
    sd_ms: float = 0.0
    recording: str = ""
    source_id: str = ""
    stream: str = ""
    rate_hz: float = 0.0
    max_age_days: int = 180

    def __post_init__(self) -> None:
        if not -_MOST_MS <= self.offset_ms <= _MOST_MS:
            raise ConfigError(
                f"timing.offset_ms must be in [-1000, 1000] ms, got {self.offset_ms} ms."
            )
        if self.n < 0 or not self.sd_ms >= 0:
            raise ConfigError(
                f"timing.n and timing.sd_ms must not be negative, got {self.n} and {self.sd_ms}."
            )
        if not 1 <= self.max_age_days <= 36_500:
            raise ConfigError(
                f"timing.max_age_days must be in [1, 36500], got {self.max_age_days}."
            )
        if self.measured:
            _day(self.measured)
        if self.offset_ms and not (self.measured and self.rate_hz > 0 and self.n > 0):
            raise ConfigError(
                "timing.offset_ms needs timing.measured, timing.n and timing.rate_hz beside it: "
                "measure it with `diverloop timing photodiode --save FILE`."
            )

    @property
    def on(self) -> bool:
        """Whether a delay is known."""
        return bool(self.measured)

    @property
    def offset_s(self) -> float:
        """Onset minus marker, in seconds."""
        return self.offset_ms / 1e3

    def check(self, spec: StreamSpec) -> None:
        """Refuse a stream that is not the one it was measured on.

        Parameters
        ----------
        spec : StreamSpec
            What the session reads.

        Raises
        ------
        SchemaMismatch
            If source id, or without one the name, or the rate is another.
        """
        if not self.on:
            return
        own, other = (self.source_id, spec.source_id)
        what = "source_id"
        if not self.source_id:
            what, own, other = "name", self.stream, spec.name
        if own and own != other:
            raise SchemaMismatch(
                f"The delay in [timing] was measured on a stream with {what} {own!r}, and this one "
                f"has {other!r}: measure it on this device, or take [timing] out of the session."
            )
        if abs(spec.rate_hz / self.rate_hz - 1) > _RATE_OFF:
            raise SchemaMismatch(
                f"The delay in [timing] was measured at {self.rate_hz:g} Hz, and this stream has "
                f"{spec.rate_hz:g} Hz: measure it at this rate, or take [timing] out of the "
                f"session."
            )

    def warning(self, today: date) -> str:
        """What a person should know of its age; empty if there is nothing to say.

        Parameters
        ----------
        today : date
            The day of the session.
        """
        if not self.on:
            return ""
        days = (today - _day(self.measured)).days
        if days < 0:
            return (
                f"The device's delay was measured on {self.measured}, which is still to come: "
                f"check the date of this machine."
            )
        if days > self.max_age_days:
            return (
                f"The device's delay was measured {days} days ago, on {self.measured}; from "
                f"{self.max_age_days} days on it should be measured again."
            )
        return ""

    def save(self, path: Path) -> None:
        """Write it into a file, a session's perhaps, as the table ``[timing]``.

        Parameters
        ----------
        path : Path
            A TOML file; it is made if it is not there, and all else in it stays as it is.

        Raises
        ------
        ConfigError
            If it cannot be written.
        """
        if not path.exists():
            try:
                path.touch()
            except OSError as error:
                raise ConfigError(f"{path} cannot be written: {error.strerror}.") from error
        put_table(path, (TABLE,), asdict(self))


def timing_of(
    table: Any, folder: Path, *, signed: Callable[[], bool] = lambda: False
) -> DeviceTiming:
    """The table ``[timing]`` of a session, or of the file that it names.

    Parameters
    ----------
    table : mapping
        As TOML gives it: the fields of `DeviceTiming`, or ``file`` alone.
    folder : Path
        What a relative path counts from.
    signed : callable, optional
        Says whether the session must be signed: then nothing outside it may say what it does.

    Returns
    -------
    timing : DeviceTiming
        Checked; of a file, its values, so that who keeps them needs the file no more.

    Raises
    ------
    ConfigError
        If it cannot be read or used.
    """
    if not (isinstance(table, Mapping) and "file" in table):
        made: DeviceTiming = build(DeviceTiming, table, TABLE)
        return made
    name = table["file"]
    if len(table) > 1 or not isinstance(name, str) or not name:
        raise ConfigError(
            f"timing.file must be a path in quotes and stand alone in [timing], got "
            f"{dict(table)!r}."
        )
    if signed():
        raise ConfigError(
            f"timing.file names {name!r}, which the session's signature does not cover: write the "
            f"table [timing] into the session itself and sign it again."
        )
    path = folder / name
    tables = read_toml(path, "timing file")
    table = tables.get(TABLE)
    if not isinstance(table, Mapping) or "file" in table:
        raise ConfigError(f"timing.file: {path} has no table [timing] with a delay in it.")
    found: DeviceTiming = build(DeviceTiming, table, TABLE)
    return found


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"timing.measured must be a day as YYYY-MM-DD, got {text!r}.") from error
