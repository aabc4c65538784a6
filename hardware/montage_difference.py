"""In what a stream differs from a mapping file, in words that a technician can act on.

Labels come from the device: that two electrodes were plugged into each other's input can only be
seen where the device names its inputs by what is on them, or where the file knows their places.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..runtime.messages import StreamSpec
from ..runtime.signal.referencing import shaft_and_contact
from ..runtime.units import microvolts_per
from .mapping import MappingConfig, unit_of
from .ten_five import standard_name

FAR_MM = 5.0
"""Positions that differ by more are told of."""

_MOST_RUNS = 4  # of rows that moved together; more than these are told one by one


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that is not as the file says.

    Parameters
    ----------
    what : str
        ``"missing"``, ``"extra"``, ``"renamed"``, ``"twice"``, ``"order"``, ``"shifted"``,
        ``"unit"`` or ``"position"``.
    channel : str
        Which, or which ones.
    file, stream : str
        What either says; empty for nothing.
    to_do : str
        What a person can do about it.
    refused : bool
        Whether a session refuses the stream for it.
    """

    what: str
    channel: str
    file: str = ""
    stream: str = ""
    to_do: str = ""
    refused: bool = True

    def sentence(self) -> str:
        """In a few words, for an error."""
        said = f"{self.channel}: {self.what}"
        if not (self.file or self.stream):
            return said
        return f"{said} (file: {self.file or 'nothing'}; stream: {self.stream or 'nothing'})"


def differences(mapping: MappingConfig, spec: StreamSpec) -> tuple[Difference, ...]:
    """Compare a mapping file with a stream.

    Parameters
    ----------
    mapping : MappingConfig
        From `read_mapping`.
    spec : StreamSpec
        The device's stream, not yet mapped.

    Returns
    -------
    differences : tuple of Difference
        Names first, then places, units and positions; empty if there are none.
    """
    return (
        *_twice(spec),
        *_names(mapping, spec),
        *_order(mapping, spec),
        *_units(mapping, spec),
        *_positions(mapping, spec),
    )


# --------------------------------------------------------------------------------------- names


def _twice(spec: StreamSpec) -> Iterator[Difference]:
    names = spec.channel_names
    for name in dict.fromkeys(names):
        if (count := names.count(name)) > 1:
            yield Difference(
                what="twice", channel=name, file="once", stream=f"{count} times",
                to_do="Give the device's inputs different labels.",
            )  # fmt: skip


def _names(mapping: MappingConfig, spec: StreamSpec) -> Iterator[Difference]:
    named = [*(one.device for one in mapping.channels), *mapping.drop]
    missing = [name for name in named if name not in spec.channel_names]
    extra = [name for name in spec.channel_names if name not in named]
    for shaft, step in _shifted_shafts(named, list(spec.channel_names)).items():
        # What the whole shaft says need not be said of its ends.
        missing = [name for name in missing if _shaft(name) != shaft]
        extra = [name for name in extra if _shaft(name) != shaft]
        yield Difference(
            what="shifted", channel=f"shaft {shaft}",
            stream=f"contacts are numbered {abs(step)} {'higher' if step > 0 else 'lower'}",
            to_do="A connector may be plugged in shifted: look, then correct the file or the plug.",
        )  # fmt: skip
    rows = {one.device: one.row for one in mapping.channels}
    for name in missing:
        other = _renamed(name, extra, rows.get(name, 0), spec)
        if other:
            extra.remove(other)
            yield Difference(
                what="renamed", channel=name, file=name, stream=other,
                to_do=f"If it is the same electrode, write device = {other!r}.",
            )  # fmt: skip
        else:
            near = difflib.get_close_matches(name, spec.channel_names, n=1, cutoff=0.6)
            hint = f"; the nearest name is {near[0]!r}" if near else ""
            yield Difference(
                what="missing", channel=name, file="there",
                to_do=f"Look for it at the device, or take it out of the file{hint}.",
            )  # fmt: skip
    for name in extra:
        yield Difference(
            what="extra", channel=name, stream=f"row {spec.channel_names.index(name) + 1}",
            to_do="Give it a [[channels]] table, or add it to montage.drop.",
            refused=mapping.others == "refuse",
        )  # fmt: skip


def _renamed(name: str, extra: Sequence[str], row: int, spec: StreamSpec) -> str:
    """What a missing channel may be called now; empty for nothing."""
    standard = standard_name(name)
    for other in extra:
        if other.lower() == name.lower() or (standard and standard_name(other) == standard):
            return other
    here = spec.channel_names[row - 1] if 0 < row <= spec.n_channels else ""
    # At its place there is a name that nobody knows: whatever it is called, it is the same input.
    return here if here in extra and standard_name(here) is None else ""


def _shaft(name: str) -> str:
    place = shaft_and_contact(name)
    return place[0] if place else ""


def _shifted_shafts(named: Sequence[str], got: Sequence[str]) -> dict[str, int]:
    """Shafts all of whose contacts are numbered higher or lower by the same."""
    found = {}
    there = _contacts(got)
    for shaft, wanted in _contacts(named).items():
        has = there.get(shaft, [])
        step = has[0] - wanted[0] if has else 0
        if step and len(wanted) > 1 and has == [contact + step for contact in wanted]:
            found[shaft] = step
    return found


def _contacts(names: Sequence[str]) -> dict[str, list[int]]:
    shafts: dict[str, list[int]] = {}
    for name in names:
        place = None if standard_name(name) else shaft_and_contact(name)
        if place is not None:
            shafts.setdefault(place[0], []).append(place[1])
    return {shaft: sorted(contacts) for shaft, contacts in shafts.items()}


# --------------------------------------------------------------------------------------- order


def _order(mapping: MappingConfig, spec: StreamSpec) -> Iterator[Difference]:
    place_of = {name: row for row, name in enumerate(spec.channel_names, 1)}
    moved = {
        one.row: place_of[one.device]
        for one in mapping.channels
        if one.row and place_of.get(one.device, one.row) != one.row
    }
    if not moved:
        return
    names = {one.row: one.device for one in mapping.channels if one.row}
    runs = _runs(moved)
    if len(runs) == 2 and runs[0] == runs[1][::-1]:
        yield _exchanged(runs[0], names)
    elif all(moved[row] == min(moved) + max(moved) - row for row in moved) and len(moved) > 2:
        yield Difference(
            what="order", channel=_rows(min(moved), max(moved)), file="forwards",
            stream="the same names in reverse order",
            to_do="A connector may be plugged in turned round: look, then run montage make.",
        )  # fmt: skip
    elif len(runs) <= _MOST_RUNS:
        for (first, last), (now, _) in runs:
            yield Difference(
                what="order", channel=_rows(first, last), file=_span(names, first, last),
                stream=f"{abs(now - first)} rows {'later' if now > first else 'earlier'}",
                to_do="A connector may be plugged in shifted: look, then run montage make.",
            )  # fmt: skip
    else:
        for row, now in sorted(moved.items()):
            yield Difference(
                what="order", channel=names[row], file=f"row {row}", stream=f"row {now}",
                to_do="The same names in another order: look at the device's settings.",
            )  # fmt: skip


_Run = tuple[tuple[int, int], tuple[int, int]]


def _runs(moved: Mapping[int, int]) -> list[_Run]:
    """Rows that moved together: (first, last) in the file and in the stream."""
    runs: list[_Run] = []
    for row, now in sorted(moved.items()):
        if runs and row == runs[-1][0][1] + 1 and now == runs[-1][1][1] + 1:
            runs[-1] = ((runs[-1][0][0], row), (runs[-1][1][0], now))
        else:
            runs.append(((row, row), (now, now)))
    return runs


def _exchanged(run: _Run, names: Mapping[int, str]) -> Difference:
    (first, last), (now, end) = run
    if first == last:
        one, other = names.get(first, f"row {first}"), names.get(now, f"row {now}")
        return Difference(
            what="order", channel=f"{one} and {other}", file=f"rows {first} and {now}",
            stream="the other way round",
            to_do="The two are exchanged at the device or in its settings: look which.",
        )  # fmt: skip
    return Difference(
        what="order", channel=f"{_rows(first, last)} and {_rows(now, end)}",
        file=_span(names, first, last), stream="the other way round",
        to_do="Two connectors are exchanged: plug them in as the file says.",
    )  # fmt: skip


def _rows(first: int, last: int) -> str:
    return f"row {first}" if first == last else f"rows {first} to {last}"


def _span(names: Mapping[int, str], first: int, last: int) -> str:
    one, other = names.get(first, "?"), names.get(last, "?")
    return one if first == last else f"{one} to {other}"


# ------------------------------------------------------------------------- units and positions


def _units(mapping: MappingConfig, spec: StreamSpec) -> Iterator[Difference]:
    row_of = {name: row for row, name in enumerate(spec.channel_names)}
    for one in mapping.channels:
        if not one.unit or one.device not in row_of:
            continue
        row = row_of[one.device]
        unit, sent = unit_of(spec, row), spec.sent
        if microvolts_per(one.unit) != (sent.microvolts[row] if sent else 1.0):
            yield Difference(
                what="unit", channel=one.device, file=one.unit, stream=unit or "a resolution",
                to_do="Set the device's unit, or correct unit in the file.",
            )  # fmt: skip


def _positions(mapping: MappingConfig, spec: StreamSpec) -> Iterator[Difference]:
    by_name = {channel.name: channel for channel in spec.channels}
    for one in mapping.channels:
        of_device = by_name[one.device].position_m if one.device in by_name else None
        if one.position_mm is None or of_device is None:
            continue
        apart_mm = math.dist(one.position_mm, [1e3 * x for x in of_device])
        if apart_mm > FAR_MM:
            yield Difference(
                what="position", channel=one.device, file=_millimetres(one.position_mm),
                stream=f"{_millimetres([1e3 * x for x in of_device])}, {apart_mm:.0f} mm away",
                to_do="The file's counts. If it is the older one, take position_mm out.",
                refused=False,
            )  # fmt: skip


def _millimetres(place: Sequence[float]) -> str:
    return " ".join(f"{value:.0f}" for value in place)
