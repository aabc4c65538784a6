"""Where each channel of a stream is drawn on a map: a head, a grid, shafts side by side, or a list.

Intracranial names are read by the rule of `shaft_and_contact`: ``LA'2`` is contact 2 of ``LA'``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..runtime.messages import Channel, StreamSpec
from ..runtime.signal.referencing import shaft_and_contact
from .head_map import directions, on_disc

Place = tuple[float, float, float]
Kind = Literal["head", "grid", "shafts", "list"]

_DEPTH = ("seeg", "lfp")
_IN_A_ROW = {16: 4, 20: 5, 24: 6, 32: 8, 48: 8, 64: 8, 128: 16, 256: 16}  # as grids are sold
_JUMP = 2.5  # a step this many times the usual one ends a row


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """One channel on a map.

    Parameters
    ----------
    name : str
        Of the channel.
    row : int
        Its row of the stream.
    x, y : float
        Of a head: to the right and to the nose, 1 is the edge. Else column and row, from 0,
        downwards.
    short : str
        What is written where there is little room: the number of a contact.
    """

    name: str
    row: int
    x: float
    y: float
    short: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MapPlan:
    """One map.

    Parameters
    ----------
    kind : {"head", "grid", "shafts", "list"}
        How it is drawn.
    spots : tuple of Spot
        Its channels.
    title : str
        Over it: what is drawn.
    note : str
        What a person has to know of the places, in one sentence; empty if nothing.
    heads : tuple of str
        Over the columns; empty where columns have no name.
    towards : tuple of tuple of 3 float
        Of a head: the direction of each spot, for interpolation.
    """

    kind: Kind
    spots: tuple[Spot, ...]
    title: str = ""
    note: str = ""
    heads: tuple[str, ...] = ()
    towards: tuple[Place, ...] = ()

    @property
    def columns(self) -> int:
        """Of a grid, shafts or a list."""
        return max((round(spot.x) for spot in self.spots), default=0) + 1

    @property
    def rows(self) -> int:
        """Of a grid, shafts or a list."""
        return max((round(spot.y) for spot in self.spots), default=0) + 1


def plans_of(spec: StreamSpec, positions: Mapping[str, Place] | None = None) -> tuple[MapPlan, ...]:
    """The maps that show every electrode of a stream; rows of other kinds are on none.

    Parameters
    ----------
    spec : StreamSpec
        The stream.
    positions : mapping of str to tuple of 3 float, optional
        Usual places of scalp electrodes by name, metres, for channels that do not know theirs.

    Returns
    -------
    plans : tuple of MapPlan
        The largest first; none where nothing is an electrode.
    """
    rows = list(enumerate(spec.channels))
    scalp = [(row, channel) for row, channel in rows if channel.kind == "eeg"]
    depth = [(row, channel) for row, channel in rows if channel.kind in _DEPTH]
    cortex = [(row, channel) for row, channel in rows if channel.kind == "ecog"]
    plans = [*_on_scalp(scalp, positions or {}), *_shafts(depth), *_grids(cortex)]
    return tuple(sorted(plans, key=lambda plan: -len(plan.spots)))


Rows = Sequence[tuple[int, Channel]]


def _on_scalp(rows: Rows, positions: Mapping[str, Place]) -> list[MapPlan]:
    usual = {name.casefold(): place for name, place in positions.items()}
    known = {row: channel.position_m for row, channel in rows if channel.position_m}
    by_name = {
        row: place
        for row, channel in rows
        if row not in known and (place := usual.get(channel.name.strip().casefold()))
    }
    placed = [(row, channel) for row, channel in rows if row in known or row in by_name]
    rest = [pair for pair in rows if pair not in placed]
    note = "Usual places of these names, not measured ones." if by_name else ""
    plans = [_head(placed, known, by_name, note)] if placed else []
    return plans + ([_list(rest, _no_place(rest))] if rest else [])


def _head(
    rows: Rows, known: Mapping[int, Place], by_name: Mapping[int, Place], note: str
) -> MapPlan:
    towards: dict[int, NDArray[np.float64]] = {}
    for places in (known, by_name):  # two frames: each has a centre of its own
        if places:
            found = directions(np.array(list(places.values())))
            towards |= dict(zip(places, found, strict=True))
    ordered = np.array([towards[row] for row, _ in rows])
    flat = on_disc(ordered)
    spots = [
        Spot(name=channel.name, row=row, x=float(x), y=float(y), short=channel.name)
        for (row, channel), (x, y) in zip(rows, flat, strict=True)
    ]
    directions_3 = tuple((float(x), float(y), float(z)) for x, y, z in ordered)
    return MapPlan(kind="head", spots=tuple(spots), title="scalp", note=note, towards=directions_3)


def _no_place(rows: Rows) -> str:
    few = ", ".join(channel.name for _, channel in rows[:3])
    more = f" and {len(rows) - 3} more" if len(rows) > 3 else ""
    return f"No place is known for {few}{more}: listed in the order of the stream."


def _list(rows: Rows, note: str) -> MapPlan:
    columns = max(1, math.ceil(math.sqrt(len(rows) * 1.6)))
    spots = [
        Spot(name=c.name, row=row, x=n % columns, y=n // columns, short=c.name)
        for n, (row, c) in enumerate(rows)
    ]
    return MapPlan(kind="list", spots=tuple(spots), title="channels", note=note)


def _shafts(rows: Rows) -> list[MapPlan]:
    """One column a shaft, contacts in the order of their numbers."""
    groups, rest = _by_shaft(rows)
    spots = [
        Spot(name=channel.name, row=row, x=column, y=number - 1, short=str(number))
        for column, contacts in enumerate(groups.values())
        for number, (row, channel) in sorted(contacts.items())
    ]
    plans = []
    if spots:
        lowest = min(spot.y for spot in spots)  # numbers may begin at 0 or at 17
        spots = [replace(spot, y=spot.y - lowest) for spot in spots]
        plans = [MapPlan(kind="shafts", spots=tuple(spots), title="shafts", heads=tuple(groups))]
    return plans + ([_list(rest, _no_place(rest))] if rest else [])


def _grids(rows: Rows) -> list[MapPlan]:
    groups, rest = _by_shaft(rows)
    plans = [_grid(name, contacts) for name, contacts in groups.items()]
    return plans + ([_list(rest, _no_place(rest))] if rest else [])


def _grid(name: str, contacts: Mapping[int, tuple[int, Channel]]) -> MapPlan:
    measured = _row_length([channel for _, (_, channel) in sorted(contacts.items())])
    highest = max(contacts)
    columns = measured or _IN_A_ROW.get(highest) or (highest if highest <= 12 else 8)
    guessed = not measured and highest > columns
    note = f"Rows of {columns} are a guess from the number of contacts." if guessed else ""
    first = 0 if 0 in contacts else 1
    spots = [
        Spot(
            name=channel.name,
            row=row,
            x=(number - first) % columns,
            y=(number - first) // columns,
            short=str(number),
        )
        for number, (row, channel) in sorted(contacts.items())
    ]
    return MapPlan(kind="grid", spots=tuple(spots), title=f"grid {name}", note=note)


def _row_length(channels: Sequence[Channel]) -> int:
    """Contacts until the first large step, if places tell; 0 if they do not."""
    places = [channel.position_m for channel in channels]
    if len(places) < 4 or None in places:
        return 0
    steps = np.linalg.norm(np.diff(np.array(places, float), axis=0), axis=1)
    jumps = np.flatnonzero(steps > _JUMP * np.median(steps))
    return int(jumps[0]) + 1 if len(jumps) else 0


def _by_shaft(
    rows: Rows,
) -> tuple[dict[str, dict[int, tuple[int, Channel]]], list[tuple[int, Channel]]]:
    """Shaft -> contact -> channel; and what has no number, or that of another one."""
    found: dict[str, dict[int, tuple[int, Channel]]] = {}
    rest = []
    for row, channel in rows:
        place = shaft_and_contact(channel.name)
        contacts = found.setdefault(place[0], {}) if place else {}
        if place is None or place[1] in contacts:
            rest.append((row, channel))
        else:
            contacts[place[1]] = (row, channel)
    return found, rest
