"""Intracranial contacts: which belong together, who is next to whom, and where they are.

Names are read by the rule of `shaft_and_contact`: ``LA1`` is contact 1 of ``LA``, ``GA12`` contact
12 of ``GA``. Where only the ends of a shaft are known, from a scan or a surgeon, the contacts
between them lie on the straight line: a depth electrode is stiff, though real ones bend by some
millimetres.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..runtime.errors import ConfigError
from ..runtime.messages import INTRACRANIAL, Channel
from ..runtime.signal.referencing import shaft_and_contact

Place = tuple[float, float, float]
"""Three coordinates in metres."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shaft:
    """Contacts that bear one name: a depth electrode, a strip or a grid.

    Parameters
    ----------
    name : str
        For example ``"LA"``.
    channels : mapping of int to str
        Contact number -> label of its channel, in order of the numbers.
    """

    name: str
    channels: Mapping[int, str]

    @property
    def missing(self) -> tuple[int, ...]:
        """Numbers between the first and the last contact that no channel has."""
        numbers = self.channels.keys()
        return tuple(n for n in range(min(numbers), max(numbers)) if n not in numbers)

    def neighbours(self, contact: int, in_a_row: int = 0) -> tuple[int, ...]:
        """Contacts next to one: along the shaft, or in the rows and columns of a grid.

        Parameters
        ----------
        contact : int
            Its number.
        in_a_row : int
            Contacts in a row of the grid, numbered along the rows from 1; 0 for a shaft.

        Returns
        -------
        neighbours : tuple of int
            Those that there are; empty for a contact alone.
        """
        column = (contact - 1) % in_a_row if in_a_row else 1
        steps = [1] if column != in_a_row - 1 else []
        steps += [-1] if column else []
        steps += [in_a_row, -in_a_row] if in_a_row else []
        return tuple(contact + step for step in steps if contact + step in self.channels)


def shafts_of(names: Iterable[str]) -> dict[str, Shaft]:
    """Sort contacts by shaft.

    Parameters
    ----------
    names : iterable of str
        Labels of intracranial channels.

    Returns
    -------
    shafts : dict of str to Shaft
        Names without a number are in none.

    Raises
    ------
    ConfigError
        If two labels read as the same contact.
    """
    found: dict[str, dict[int, str]] = {}
    for name in names:
        place = shaft_and_contact(name)
        if place is None:
            continue
        contacts = found.setdefault(place[0], {})
        if place[1] in contacts:
            raise ConfigError(
                f"{contacts[place[1]]!r} and {name!r} both read as contact {place[1]} of "
                f"{place[0]}: rename one of them in a mapping file."
            )
        contacts[place[1]] = name
    return {
        shaft: Shaft(name=shaft, channels=dict(sorted(contacts.items())))
        for shaft, contacts in found.items()
    }


def spacing_m(places: Mapping[int, Place]) -> float:
    """Distance between contacts that follow on each other.

    Parameters
    ----------
    places : mapping of int to tuple of 3 float
        Contact number -> place in metres, of at least two.

    Returns
    -------
    spacing : float
        Median over neighbouring known contacts, each distance shared among its steps; metres.
    """
    known = sorted(places.items())
    if len(known) < 2:
        raise ConfigError(f"A spacing needs the places of two contacts, got {len(known)}.")
    steps = itertools.pairwise(known)
    return float(np.median([math.dist(a, b) / (n - m) for (m, a), (n, b) in steps]))


def along_line(first_m: Sequence[float], last_m: Sequence[float], count: int) -> list[Place]:
    """Contacts at equal distances on the line between two ends.

    Parameters
    ----------
    first_m, last_m : sequence of 3 float
        Places of the first and of the last contact, in metres.
    count : int
        How many contacts there are, at least 2.

    Returns
    -------
    places : list of tuple of 3 float
        Both ends among them, metres.
    """
    if count < 2 or math.dist(first_m, last_m) < 1e-4:
        raise ConfigError(
            f"A line of contacts needs two ends at least 0.1 mm apart and 2 contacts or more, got "
            f"{count} contacts over {1e3 * math.dist(first_m, last_m):.2f} mm."
        )
    return [_place(row) for row in np.linspace(first_m, last_m, count)]


def over_grid(
    corner_m: Sequence[float],
    row_end_m: Sequence[float],
    column_end_m: Sequence[float],
    *,
    rows: int,
    in_a_row: int,
) -> list[Place]:
    """Contacts of a flat grid of which three corners are known, numbered along the rows.

    Parameters
    ----------
    corner_m, row_end_m, column_end_m : sequence of 3 float
        Places of the first contact, of the last one of the first row, and of the first one of the
        last row, in metres.
    rows, in_a_row : int
        Size of the grid, at least 2 each way.

    Returns
    -------
    places : list of tuple of 3 float
        Row by row, metres; on the cortex a grid bends, and this one does not.
    """
    if min(rows, in_a_row) < 2:
        raise ConfigError(f"A grid has at least 2 by 2 contacts, got {rows} by {in_a_row}.")
    along = np.subtract(row_end_m, corner_m) / (in_a_row - 1)
    across = np.subtract(column_end_m, corner_m) / (rows - 1)
    return [
        _place(np.asarray(corner_m, float) + column * along + row * across)
        for row in range(rows)
        for column in range(in_a_row)
    ]


def between_ends(channels: Sequence[Channel]) -> tuple[Channel, ...]:
    """Give places to contacts that lie between known ones of their shaft.

    Parameters
    ----------
    channels : sequence of Channel
        Rows of a stream.

    Returns
    -------
    channels : tuple of Channel
        The same; an intracranial contact without a place has one if a contact of its shaft with a
        lower and one with a higher number have. Nothing is placed beyond the outermost known ones.
    """
    rows = {c.name: c for c in channels if c.kind in INTRACRANIAL}
    filled: dict[str, Place] = {}
    for shaft in shafts_of(rows).values():
        places = {n: p for n, name in shaft.channels.items() if (p := rows[name].position_m)}
        known = sorted(places.items())
        for (first, start), (last, stop) in itertools.pairwise(known):
            line = along_line(start, stop, last - first + 1)
            filled |= {
                shaft.channels[first + n]: place
                for n, place in enumerate(line)
                if first + n in shaft.channels
            }
    return tuple(
        replace(c, position_m=filled[c.name])
        if c.kind in INTRACRANIAL and c.position_m is None and c.name in filled
        else c
        for c in channels
    )


def _place(row: Iterable[float]) -> Place:
    x, y, z = (float(value) for value in row)
    return (x, y, z)
