"""The P300 speller as data: which items, where they stand, which flash together and when.

A person looks at one item of many. Groups of items flash one after the other, and a flash of the
item that is attended evokes a P300 [1]_. Rows and columns are classic, a checkerboard parts
neighbours [2]_. Items and places are settings, so a ring of four pictures is a speller, too.

The stream's markers are plain text:

- ``"select"``: a selection begins; ``"select:Q"``: the same, and the item to attend is Q
  (calibration, copy spelling);
- ``"flash:3"``: group number 3 of the plan flashes; ``"flash:0,5,11"``: the items of these
  numbers flash, for displays with groups of their own (one item alone is ``"flash:7,"``);
- ``"end"``: the selection is over.

References
----------
.. [1] Farwell, Donchin. Talking off the top of your head: toward a mental prosthesis utilizing
   event-related brain potentials. Electroencephalogr. Clin. Neurophysiol., 1988.
.. [2] Townsend et al. A novel P300-based brain-computer interface stimulus presentation paradigm:
   moving beyond rows and columns. Clin. Neurophysiol., 2010.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ..errors import ConfigError

SPACE, BACKSPACE = "_", "<"
MATRIX = (*"ABCDEFGHIJKLMNOPQRSTUVWXYZ", *"23456789", SPACE, BACKSPACE)
"""Six rows of six. As on old typewriters, the letters O and I serve for the digits 0 and 1."""

SELECT, FLASH, END = "select", "flash", "end"
TARGET, NONTARGET = "target", "nontarget"

_FLASHING = ("row_column", "checkerboard", "single")
_PLACEMENTS, _ORDERS = 64, 4  # drawn, of which the best is taken


class Labelled(Protocol):
    """Anything with a marker's text, such as `diverloop.runtime.messages.Marker`."""

    @property
    def label(self) -> str:
        """The text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpellerPlan:
    """What is shown, and how it flashes.

    Parameters
    ----------
    items : tuple of str
        What can be chosen, at least 2, all different.
    positions : tuple of (float, float)
        Place of each item, x to the right and y down, in any unit; empty arranges the items in
        rows as wide as the square root of their number.
    flashing : str
        ``"row_column"``: items of one x or one y flash together. ``"checkerboard"``: items are
        split like the fields of a chess board and put into lines at random, so that none flashes
        with one beside it; drawn once for a plan, not anew for each repetition.
        ``"single"``: each item by itself.
    soa_s : float
        From the onset of one flash to the next, 0.05 to 2 s.
    repetitions : int
        How often each group flashes at most, 1 to 30.
    refractory_s : float
        From a flash of an item to its next at least, 0 to 2 s. Every row crosses every column, so
        ``"row_column"`` waits between rows and columns to keep this.
    lead_s : float
        From the beginning of a selection to its first flash: time to find the item, 0.1 to 20 s.
    pause_s : float
        From the end of a selection to the beginning of the next, 0.1 to 20 s.
    seed : int
        Of a checkerboard's placement.
    """

    items: tuple[str, ...] = MATRIX
    positions: tuple[tuple[float, float], ...] = ()
    flashing: str = "row_column"
    soa_s: float = 0.175
    repetitions: int = 15
    refractory_s: float = 0.5
    lead_s: float = 1.0
    pause_s: float = 2.0
    seed: int = 0

    def __post_init__(self) -> None:
        # A card read from JSON brings lists.
        object.__setattr__(self, "items", tuple(self.items))
        places = tuple((float(x), float(y)) for x, y in self.positions)
        object.__setattr__(self, "positions", places or _in_rows(len(self.items)))
        n_items = len(self.items)
        if n_items < 2 or len(set(self.items)) < n_items or "" in self.items:
            raise ConfigError(
                f"items must be at least 2 different names, got {list(self.items)}: name each."
            )
        if len(self.positions) != n_items or len(set(self.positions)) < n_items:
            raise ConfigError(
                f"positions must hold a different place for each of {n_items} items, got "
                f"{len(self.positions)}: give all, or none for a matrix."
            )
        if self.flashing not in _FLASHING:
            raise ConfigError(
                f"flashing must be one of {', '.join(_FLASHING)}, got {self.flashing!r}."
            )
        self._check_ranges()
        self._check_groups()

    def _check_ranges(self) -> None:
        for name, low, high in (
            ("soa_s", 0.05, 2),
            ("repetitions", 1, 30),
            ("refractory_s", 0, 2),
            ("lead_s", 0.1, 20),
            ("pause_s", 0.1, 20),
            ("seed", 0, 2**31),
        ):
            if not low <= getattr(self, name) <= high:
                raise ConfigError(
                    f"{name} must be in [{low}, {high}], got {getattr(self, name)}: change it."
                )

    def _check_groups(self) -> None:
        member = membership(self)
        if len(np.unique(member, axis=1).T) < len(self.items):
            raise ConfigError(
                f"{self.flashing!r} flashes cannot tell all of {len(self.items)} items apart where "
                f'they stand: choose other positions or "single".'
            )
        together = (member.T.astype(int) @ member) > 0
        if self.flashing == "checkerboard" and (together & _near(self, 1.01)).any():
            raise ConfigError(
                'A "checkerboard" needs items on a square grid, and these flash with one beside '
                'them: choose other positions or "single".'
            )

    @property
    def n_flashes(self) -> int:
        """Flashes of a selection that is not stopped."""
        return self.repetitions * len(groups(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class Flash:
    """One flash of a selection.

    Parameters
    ----------
    at_s : float
        Onset, 0 for the first of a selection.
    group : int
        Number in `groups`.
    """

    at_s: float
    group: int


@lru_cache(maxsize=64)
def groups(plan: SpellerPlan) -> tuple[frozenset[int], ...]:
    """Which items flash together.

    Parameters
    ----------
    plan : SpellerPlan
        What is shown.

    Returns
    -------
    groups : tuple of frozenset of int
        Numbers of the items of each group.
    """
    if plan.flashing == "single":
        return tuple(frozenset({item}) for item in range(len(plan.items)))
    if plan.flashing == "checkerboard":
        return _checkerboard(plan)
    x, y = np.array(plan.positions).T
    return (*_equal(y), *_equal(x))


def membership(plan: SpellerPlan) -> NDArray[np.bool_]:
    """The same as `groups`: True where a group holds an item, shape (n_groups, n_items)."""
    member = np.zeros((len(groups(plan)), len(plan.items)), dtype=bool)
    for row, group in enumerate(groups(plan)):
        member[row, list(group)] = True
    return member


def sequence(plan: SpellerPlan, rng: Generator) -> tuple[tuple[Flash, ...], ...]:
    """Draw the flashes of one selection.

    Parameters
    ----------
    plan : SpellerPlan
        What is shown.
    rng : Generator
        Source of chance.

    Returns
    -------
    repetitions : tuple of tuple of Flash
        In each repetition every group flashes once. An item never flashes again within
        `SpellerPlan.refractory_s`; where no group may flash yet, nothing flashes for a moment.
    """
    member = membership(plan).astype(int)
    crossing = (member @ member.T) > 0
    rest = max(1, math.ceil(plan.refractory_s / plan.soa_s - 1e-9))
    ready, slot, found = np.zeros(len(member), dtype=np.int64), 0, []
    for _ in range(plan.repetitions):
        drawn = [_order(crossing, ready, slot, rest, rng) for _ in range(_ORDERS)]
        slots, order, ready = min(drawn, key=lambda one: one[0][-1])
        slot = slots[-1] + 1
        flashes = zip(slots, order, strict=True)
        found.append(tuple(Flash(at_s=at * plan.soa_s, group=group) for at, group in flashes))
    return tuple(found)


def timeline(
    plan: SpellerPlan, rng: Generator, attend: str | None = None
) -> tuple[tuple[float, str], ...]:
    """Every marker of one selection, if nothing stops it early.

    Parameters
    ----------
    plan, rng
        As for `sequence`.
    attend : str, optional
        The item that is to be attended; None where the person chooses.

    Returns
    -------
    markers : tuple of (float, str)
        Time from the beginning of the selection in seconds, and text.
    """
    flashes = [flash for each in sequence(plan, rng) for flash in each]
    shown = [(plan.lead_s + flash.at_s, flash_label(flash.group)) for flash in flashes]
    return ((0.0, select_label(attend)), *shown, (shown[-1][0] + plan.soa_s, END))


def select_label(item: str | None = None) -> str:
    """Text of the marker with which a selection begins, ``"select"`` or ``"select:Q"``."""
    return SELECT if item is None else f"{SELECT}:{item}"


def flash_label(group: int) -> str:
    """Text of the marker of a group's flash, ``"flash:3"``."""
    return f"{FLASH}:{group}"


def items_label(items: Iterable[int]) -> str:
    """Text of the marker of a flash of these items, ``"flash:0,5,11"`` or ``"flash:7,"``."""
    numbers = sorted(items)
    # Without the comma one item alone would read as a group.
    return f"{FLASH}:{','.join(map(str, numbers))}{',' if len(numbers) == 1 else ''}"


def is_flash(label: str) -> bool:
    """Whether a marker says that something flashed."""
    return label.startswith(f"{FLASH}:")


def attended(label: str) -> str | None:
    """What a marker asks to attend: ``""`` in ``"select"``, None if it begins no selection."""
    kind, _, item = label.partition(":")
    return item if kind == SELECT else None


def lit(plan: SpellerPlan, label: str) -> frozenset[int]:
    """Which items a flash shows.

    Parameters
    ----------
    plan : SpellerPlan
        What is shown.
    label : str
        Text of a marker.

    Returns
    -------
    items : frozenset of int
        Numbers of the items; empty if the marker is no flash, or one of another plan.
    """
    what = label.removeprefix(f"{FLASH}:")
    written = what.removesuffix(",").split(",")
    if not (is_flash(label) and all(p.isascii() and p.isdigit() and len(p) < 10 for p in written)):
        return frozenset()
    numbers = frozenset(map(int, written))
    if "," in what:
        return numbers if max(numbers) < len(plan.items) else frozenset()
    (group,) = numbers
    return groups(plan)[group] if group < len(groups(plan)) else frozenset()


def label_of(plan: SpellerPlan, markers: Sequence[Labelled], place: int) -> str | None:
    """What a flash was to the person who was told where to look.

    Parameters
    ----------
    plan : SpellerPlan
        What is shown.
    markers : sequence of Marker
        In the order of the stream.
    place : int
        Which.

    Returns
    -------
    label : str or None
        ``"target"``, ``"nontarget"``, or None: no flash, outside a selection, or in one that
        does not say what to attend.
    """
    shown = lit(plan, markers[place].label)
    for before in range(place - 1, -1, -1) if shown else ():
        if markers[before].label == END:
            return None
        if (item := attended(markers[before].label)) is not None:
            if item not in plan.items:
                return None
            return TARGET if plan.items.index(item) in shown else NONTARGET
    return None


def _in_rows(n_items: int) -> tuple[tuple[float, float], ...]:
    wide = max(1, math.ceil(math.sqrt(n_items)))
    return tuple((float(place % wide), float(place // wide)) for place in range(n_items))


def _near(plan: SpellerPlan, steps: float) -> NDArray[np.bool_]:
    """Pairs of items that are no further apart than so many times the closest pair."""
    places = np.array(plan.positions)
    apart = np.linalg.norm(places[:, None] - places, axis=2)
    np.fill_diagonal(apart, np.inf)
    near: NDArray[np.bool_] = apart <= steps * apart.min()
    return near


def _equal(values: NDArray[np.float64]) -> list[frozenset[int]]:
    """Items of equal value, in the order of the values."""
    return [frozenset(np.flatnonzero(values == value).tolist()) for value in np.unique(values)]


def _checkerboard(plan: SpellerPlan) -> tuple[frozenset[int], ...]:
    """Lines of two matrices, one for each colour, in which items stand at random."""
    x, y = (np.unique(axis, return_inverse=True)[1] for axis in np.array(plan.positions).T)
    rng, near = np.random.default_rng(plan.seed), _near(plan, 1.5)
    found: list[frozenset[int]] = []
    for colour in (0, 1):
        items = np.flatnonzero((x + y) % 2 == colour)
        if len(items):
            # Diagonal neighbours have one colour; of many placements the one that parts most.
            drawn = [_virtual(rng.permutation(items)) for _ in range(_PLACEMENTS)]
            found += min(drawn, key=lambda lines: sum(_pairs(line, near) for line in lines))
    return tuple(found)


def _virtual(items: NDArray[np.int64]) -> list[frozenset[int]]:
    """Rows, then columns, of the matrix with the fewest lines, and of those the fullest."""
    n_items = len(items)
    n_rows = min(
        range(1, n_items + 1), key=lambda rows: (rows + math.ceil(n_items / rows), -n_items % rows)
    )
    places = np.arange(len(items))
    lines = [items[places % n_rows == row] for row in range(n_rows)]
    n_columns = math.ceil(len(items) / n_rows)
    lines += [items[places // n_rows == column] for column in range(n_columns)]
    return [frozenset(line.tolist()) for line in lines]


def _pairs(line: frozenset[int], near: NDArray[np.bool_]) -> int:
    members = list(line)
    return int(near[np.ix_(members, members)].sum())


def _order(
    crossing: NDArray[np.bool_], ready: NDArray[np.int64], slot: int, rest: int, rng: Generator
) -> tuple[list[int], list[int], NDArray[np.int64]]:
    """One repetition: slots, groups, and from which slot on each group may flash again."""
    ready, left = ready.copy(), list(range(len(ready)))
    slots: list[int] = []
    order: list[int] = []
    while left:
        slot = max(slot, int(ready[left].min()))
        may = [group for group in left if ready[group] <= slot]
        group = may[int(rng.integers(len(may)))]
        slots.append(slot)
        order.append(group)
        left.remove(group)
        ready[crossing[group]] = slot + rest
        slot += 1
    return slots, order, ready
