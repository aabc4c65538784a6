"""What an LSL stream says of itself, turned into a `StreamSpec`, or refused."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pylsl

from ..runtime.errors import SchemaMismatch, UnitError
from ..runtime.messages import Channel, StreamSpec
from ..runtime.received import Sent
from ..runtime.units import microvolts_per

_NUMBERS = {
    pylsl.cf_float32: "<f4", pylsl.cf_double64: "<f8", pylsl.cf_int8: "|i1",
    pylsl.cf_int16: "<i2", pylsl.cf_int32: "<i4",
}  # fmt: skip
_POWERS = {"0": "V", "-3": "mV", "-6": "uV", "-9": "nV"}
_MOST_CHANNELS = 65_536
_FASTEST_HZ = 1e7
_MOST_ELEMENTS, _DEEPEST = 2_000_000, 64
# Their numbers are kept as they are: pixels, degrees, shares of full scale are no voltage.
_UNITLESS = (
    "misc", "stim", "trig", "trigger", "aux", "counter", "markers", "gaze", "pupil", "audio",
    "mocap", "position", "acceleration", "gyroscope", "respiration", "temperature",
)  # fmt: skip


def describe_stream(info: pylsl.StreamInfo, assume_unit: str = "") -> StreamSpec:
    """Read a full stream description.

    Parameters
    ----------
    info : pylsl.StreamInfo
        With its extended description (from an inlet, not from a resolver).
    assume_unit : str
        Unit of brain channels that name none or an unknown one; empty refuses them.

    Returns
    -------
    spec : StreamSpec
        Rate and channels, and how they are sent.

    Raises
    ------
    SchemaMismatch
        If the stream has no regular rate, or describes another number of channels than it has.
    UnitError
        If a brain channel's unit is missing or unknown.
    """
    _refuse_trap(info)
    if not 0 < info.nominal_srate() <= _FASTEST_HZ:  # NaN is refused, too
        raise SchemaMismatch(
            f"The stream {info.name()!r} has no regular rate, so its samples cannot be counted: "
            f"bind to the signal stream, and name a marker stream in source.markers."
        )
    if info.channel_format() not in _NUMBERS:
        raise SchemaMismatch(
            f"The stream {info.name()!r} holds text, or numbers of a format that is not read here: "
            f"send float32, double64, int8, int16 or int32."
        )
    rows = _described_rows(info)
    default_kind = info.type().lower() or "eeg"
    channels = []
    scale = np.ones(info.channel_count(), np.float32)
    powers = not info.desc().child("channels").child("channel").child("coil_type").empty()
    for row, (label, kind, unit, place) in enumerate(rows):
        kind = (kind or default_kind).lower()
        channels.append(Channel(name=label or f"ch{row + 1}", kind=kind, position_m=place))
        if kind not in _UNITLESS:
            scale[row] = _factor(_spelled(unit, powers), assume_unit, label, info.name())
    _refuse_repeats([channel.name for channel in channels], info.name())
    return StreamSpec(
        name=info.name(),
        rate_hz=info.nominal_srate(),
        channels=tuple(channels),
        source_id=info.source_id(),
        measured=True,
        sent=Sent(
            dtype=_NUMBERS[info.channel_format()],
            microvolts=tuple(scale.tolist()),
            description=info.as_xml(),
        ),
    )


_Row = tuple[str, str, str, tuple[float, float, float] | None]


def _described_rows(info: pylsl.StreamInfo) -> list[_Row]:
    rows: list[_Row] = []
    channel = info.desc().child("channels").child("channel")
    while not channel.empty():
        rows.append(
            (
                channel.child_value("label"),
                channel.child_value("type"),
                channel.child_value("unit"),
                _place(channel.child("location")),
            )
        )
        channel = channel.next_sibling("channel")
    if rows and len(rows) != info.channel_count():
        raise SchemaMismatch(
            f"The stream {info.name()!r} describes {len(rows)} channels but sends "
            f"{info.channel_count()}: mend the sender's description."
        )
    return rows or [("", "", "", None)] * info.channel_count()


def _place(location: pylsl.XMLElement) -> tuple[float, float, float] | None:
    texts = [location.child_value(axis) for axis in ("X", "Y", "Z")]
    try:
        # The XDF convention for locations is millimetres.
        x, y, z = (float(text) / 1e3 for text in texts)
    except ValueError:
        return None
    return x, y, z


def _spelled(unit: str, powers: bool) -> str:
    """A unit that MNE-LSL writes as a power of ten of volts, in words; others as they are.

    0 is volts only beside the codes of MNE's own file format: elsewhere it may mean that there
    is no unit.
    """
    return unit if unit.strip() == "0" and not powers else _POWERS.get(unit.strip(), unit)


def _factor(unit: str, assume_unit: str, label: str, stream: str) -> float:
    if assume_unit:
        try:
            return microvolts_per(unit)
        except UnitError:
            return microvolts_per(assume_unit)
    if not unit:
        raise UnitError(
            f"Channel {label!r} of stream {stream!r} names no unit; allowed are V, mV, uV and nV. "
            f'If you know what the numbers mean, say so with assume_unit = "uV" in the source.'
        )
    return microvolts_per(unit)


def _refuse_trap(info: pylsl.StreamInfo) -> None:
    """Refuse what would take minutes or gigabytes to describe, before it does.

    The description as text indents each element by its depth, so that some kilobytes of elements
    within elements become some hundred megabytes.
    """
    if info.channel_count() > _MOST_CHANNELS:
        raise SchemaMismatch(
            f"The stream {info.name()!r} has {info.channel_count()} channels, allowed are "
            f"{_MOST_CHANNELS}: send a part of them."
        )
    at, depth, count = info.desc(), 0, 0
    while True:
        count += 1
        if not (inside := at.first_child()).empty():
            at, depth = inside, depth + 1
        else:
            while depth and (beside := at.next_sibling()).empty():
                at, depth = at.parent(), depth - 1
            if not depth:
                return
            at = beside
        if depth > _DEEPEST or count > _MOST_ELEMENTS:
            raise SchemaMismatch(
                f"The stream {info.name()!r} describes itself in more than {_MOST_ELEMENTS} "
                f"elements, or in elements nested deeper than {_DEEPEST}: mend the sender's "
                f"description."
            )


def _refuse_repeats(names: list[str], stream: str) -> None:
    repeats = sorted(name for name, count in Counter(names).items() if count > 1)
    if repeats:
        raise SchemaMismatch(
            f"The stream {stream!r} uses the channel name {repeats[0]!r} more than once: a model "
            f"could not tell them apart; rename them at the sender."
        )
