"""References: what is subtracted from every channel, as a matrix over the channels.

Each output row is a channel minus the mean of some others, so that one rule serves all schemes:

===============  =========================================  ==============================
scheme           the others                                 row is lost if
===============  =========================================  ==============================
``none``         nobody                                     its channel is masked
``average``      the usable channels of its group           fewer than two are usable
``bipolar``      the next contact of its shaft              either of the two is masked
``laplacian``    its usable neighbours                      no neighbour is usable
``linked_ears``  the usable ears                            no ear is usable
===============  =========================================  ==============================

A masked channel enters no mean. That, and no median or trimmed mean, is what makes the average
robust: those are not linear, so they would have to be taken sample by sample, and could neither
be merged with the other matrices of the chain nor change places with its filters.

Which contacts are neighbours is read from the names of intracranial channels by one small rule:
the last run of digits is the contact, everything around it is the shaft or the grid. ``LA1`` is
contact 1 of ``LA``, ``LA'2`` contact 2 of ``LA'``, ``POL A12`` contact 12 of ``POL A``,
``ECOG_L_1_SMC_AT`` contact 1 of ``ECOG_L__SMC_AT``. Contacts whose numbers follow on each other
are neighbours. Where names say otherwise, groups are given by hand.

References
----------
Hjorth. An on-line transformation of EEG scalp potentials into orthogonal source derivations.
Electroencephalogr. Clin. Neurophysiol., 1975.
Li et al. Optimal referencing for stereo-electroencephalographic recordings. NeuroImage, 2018.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from ..messages import INTRACRANIAL, Channel, StreamSpec

Usable = NDArray[np.bool_]
Group = dict[int, int]
"""Contact number -> row of the stream."""

SCHEMES = ("none", "average", "bipolar", "laplacian", "linked_ears")
EARS = (("A1", "A2"), ("M1", "M2"))
"""Pairs that are looked for where none is named."""

_CONTACT = re.compile(r"(.*?)(\d+)(\D*)", re.DOTALL)
_SCALP_NEIGHBOURS = 4


class Reference:
    """A reference scheme for one stream.

    Parameters
    ----------
    scheme : str
        ``"none"``, ``"average"``, ``"bipolar"``, ``"laplacian"`` or ``"linked_ears"``.
    spec : StreamSpec
        The channels that were picked.
    by : str
        What an average is taken over: ``"stream"``, or ``"shaft"`` for each shaft, strip or grid.
    groups : sequence of sequence of str
        Names of the channels that belong together, in order: amplifiers or headstages for an
        average, shafts for the other schemes. Given groups stand in place of what names say.
    grids : mapping of str to int
        Contacts in a row of a grid, by the name of the grid as the names' rule gives it, for
        example ``{"G": 8}``. Contacts are taken to be numbered along the rows.
    ears : sequence of str
        Names of the ears, for example ``("TP9", "TP10")``; empty looks for A1 and A2, then for
        M1 and M2.

    Attributes
    ----------
    channels : tuple of Channel
        What the rows of the output are. Bipolar rows are named ``"LA1-LA2"`` and lie half way;
        ears leave the output.
    left_out : tuple of str
        Channels without a neighbour, which are in no row.

    Raises
    ------
    ConfigError
        If the scheme is unknown or does not fit the channels.
    """

    def __init__(
        self,
        scheme: str,
        spec: StreamSpec,
        *,
        by: str = "stream",
        groups: Sequence[Sequence[str]] = (),
        grids: Mapping[str, int] | None = None,
        ears: Sequence[str] = (),
    ) -> None:
        if scheme not in SCHEMES or by not in ("stream", "shaft"):
            raise ConfigError(
                f"A reference must be one of {', '.join(SCHEMES)}, by stream or by shaft, got "
                f"{scheme!r} by {by!r}."
            )
        grids = dict(grids or {})
        if scheme == "none":
            others: dict[int, list[int]] = {row: [] for row in range(spec.n_channels)}
        elif scheme == "average":
            others = _averaged(spec, by, groups)
        elif scheme == "linked_ears":
            others = _without_ears(spec, ears)
        else:
            others = _neighbours(spec, groups, grids, ahead_only=scheme == "bipolar")
        self._scheme = scheme
        self._fill(scheme, spec, others)

    @property
    def n_rows(self) -> int:
        """Rows of the output."""
        return len(self.channels)

    def usable(self, usable: Usable) -> Usable:
        """Which rows of the output are good.

        Parameters
        ----------
        usable : ndarray of bool, shape (n_channels,)
            Which channels of the stream are.

        Returns
        -------
        usable : ndarray of bool, shape (n_rows,)
            False where a row rests on a masked channel, or on too few that are not.
        """
        enough = (self._others & usable).sum(axis=1) >= self._fewest
        return np.asarray(usable[self._rows] & enough)

    def matrix(self, usable: Usable) -> NDArray[np.float64]:
        """What the channels are multiplied with.

        Parameters
        ----------
        usable : ndarray of bool, shape (n_channels,)
            Which channels of the stream are good.

        Returns
        -------
        matrix : ndarray of float64, shape (n_rows, n_channels)
            Zeros in the columns of masked channels, and in the rows of masked outputs.
        """
        counted = self._others & usable
        shares = 1 / np.maximum(counted.sum(axis=1), 1)
        matrix = np.asarray(counted * -shares[:, None])
        matrix[np.arange(self.n_rows), self._rows] += 1
        matrix[np.flatnonzero(~self.usable(usable))] = 0
        return matrix

    def averages(self, usable: Usable) -> tuple[NDArray[np.float64], NDArray[np.intp]] | None:
        """The same in two small steps, where few means serve all rows.

        Parameters
        ----------
        usable : ndarray of bool, shape (n_channels,)
            Which channels of the stream are good.

        Returns
        -------
        averages : tuple of ndarray, shapes (n_groups, n_channels) and (n_rows,), or None
            What the channels are multiplied with to get each group's mean, and which group a row
            belongs to. None for any scheme but ``"average"``.
        """
        if self._scheme != "average":
            return None
        groups, of_row = np.unique(self._others & usable, axis=0, return_inverse=True)
        weights = groups / np.maximum(groups.sum(axis=1, keepdims=True), 1)
        return weights, of_row.reshape(-1)

    def _fill(self, scheme: str, spec: StreamSpec, others: dict[int, list[int]]) -> None:
        if not others:
            raise ConfigError(
                f"A {scheme} reference finds no channel and its neighbour among "
                f"{', '.join(spec.channel_names)}, so that nothing is left: give the channels that "
                f"follow on each other as groups, or take another reference."
            )
        # An average of one would leave zeros, which look like a channel and say nothing.
        self._fewest = {"none": 0, "average": 2}.get(scheme, 1)
        self._rows = np.array(list(others))
        self._others = np.zeros((len(others), spec.n_channels), bool)
        for out, rows in enumerate(others.values()):
            self._others[out, rows] = True
        self.channels = tuple(
            _between(spec.channels[row], spec.channels[rows[0]])
            if scheme == "bipolar"
            else spec.channels[row]
            for row, rows in others.items()
        )
        used = set(self._rows.tolist()) | set(np.flatnonzero(self._others.any(axis=0)).tolist())
        self.left_out = tuple(n for row, n in enumerate(spec.channel_names) if row not in used)


def shaft_and_contact(name: str) -> tuple[str, int] | None:
    """Read a channel's name.

    Parameters
    ----------
    name : str
        For example ``"LA'2"``.

    Returns
    -------
    place : tuple of (str, int) or None
        What stands around the last run of digits, and their number: ``("LA'", 2)``; None if
        there is no digit, or nothing else.
    """
    found = _CONTACT.fullmatch(name.strip())
    if found is None:
        return None
    shaft = (found[1] + found[3]).strip()
    return (shaft, int(found[2])) if shaft else None


def _averaged(spec: StreamSpec, by: str, groups: Sequence[Sequence[str]]) -> dict[int, list[int]]:
    """Every channel minus its whole group, itself included."""
    if groups:
        members = [list(group.values()) for group in _given(spec, groups)]
    elif by == "shaft":
        members = [list(group.values()) for group in _shafts(spec).values()]
    else:
        members = [list(range(spec.n_channels))]
    others = {row: group for group in members if len(group) > 1 for row in group}
    alone = [name for row, name in enumerate(spec.channel_names) if row not in others]
    if alone:
        raise ConfigError(
            f"An average needs at least two channels in each group, and none shares one with "
            f"{', '.join(alone)}: leave that out of the pick, or give groups that hold every "
            f"channel."
        )
    return {row: others[row] for row in sorted(others)}


def _without_ears(spec: StreamSpec, ears: Sequence[str]) -> dict[int, list[int]]:
    """Every other channel minus the ears; contacts of a shaft A are no ears."""
    on_skin = {
        channel.name.strip().upper(): row
        for row, channel in enumerate(spec.channels)
        if channel.kind not in INTRACRANIAL
    }
    wanted = [tuple(ears)] if ears else list(EARS)
    found = [pair for pair in wanted if all(ear.strip().upper() in on_skin for ear in pair)]
    if not found:
        raise ConfigError(
            f"Linked ears need the channels {' or '.join(' and '.join(pair) for pair in wanted)}, "
            f"got {', '.join(spec.channel_names)}: name the electrodes that are at the ears, for "
            f"example TP9 and TP10, and pick them too, or take another reference."
        )
    rows = [on_skin[ear.strip().upper()] for ear in found[0]]
    return {row: rows for row in range(spec.n_channels) if row not in rows}


def _neighbours(
    spec: StreamSpec,
    groups: Sequence[Sequence[str]],
    grids: Mapping[str, int],
    *,
    ahead_only: bool,
) -> dict[int, list[int]]:
    """The channels next to each: along its shaft, its grid, or on the scalp."""
    named = {} if groups else _shafts(spec)
    _check_grids(grids, named)
    others: dict[int, list[int]] = {}
    for shaft, group in [*named.items(), *(("", group) for group in _given(spec, groups))]:
        for contact, row in group.items():
            steps = _steps(contact, grids.get(shaft, 0), ahead_only)
            near = [group[contact + step] for step in steps if contact + step in group]
            if near:
                others[row] = near
    if not (ahead_only or groups):
        others |= _nearest_on_scalp(spec)
    # Bipolar rows stay beside each other along the shaft, the others where their channels were.
    return others if ahead_only else {row: others[row] for row in sorted(others)}


def _steps(contact: int, row_length: int, ahead_only: bool) -> list[int]:
    """From a contact's number to those of its neighbours; the first is ahead of it."""
    ahead = [1] if not row_length or contact % row_length else []
    if ahead_only:
        return ahead
    behind = [-1] if not row_length or (contact - 1) % row_length else []
    return [*ahead, *behind, *((row_length, -row_length) if row_length else ())]


def _nearest_on_scalp(spec: StreamSpec) -> dict[int, list[int]]:
    """The four nearest electrodes of each (Hjorth 1975)."""
    rows = [r for r, channel in enumerate(spec.channels) if channel.kind not in INTRACRANIAL]
    lost = [spec.channel_names[row] for row in rows if spec.channels[row].position_m is None]
    if lost:
        raise ConfigError(
            f"A laplacian reference needs the positions of scalp electrodes, and {', '.join(lost)} "
            f"came without: leave them out of the pick, or take another reference."
        )
    if len(rows) < 2:
        return {}
    places = np.array([spec.channels[row].position_m for row in rows])
    distances = np.linalg.norm(places[:, None] - places, axis=-1)
    np.fill_diagonal(distances, np.inf)
    nearest = np.argsort(distances, axis=1, kind="stable")[
        :, : min(_SCALP_NEIGHBOURS, len(rows) - 1)
    ]
    return {row: [rows[i] for i in near] for row, near in zip(rows, nearest, strict=True)}


def _shafts(spec: StreamSpec) -> dict[str, Group]:
    """Rows of each shaft by contact, as the names of intracranial channels tell."""
    shafts: dict[str, Group] = {}
    for row, channel in enumerate(spec.channels):
        place = shaft_and_contact(channel.name) if channel.kind in INTRACRANIAL else None
        if place is None:
            continue
        group = shafts.setdefault(place[0], {})
        if place[1] in group:
            raise ConfigError(
                f"{spec.channel_names[group[place[1]]]} and {channel.name} both read as contact "
                f"{place[1]} of {place[0]}: give the groups by hand."
            )
        group[place[1]] = row
    return {shaft: dict(sorted(group.items())) for shaft, group in shafts.items()}


def _given(spec: StreamSpec, groups: Sequence[Sequence[str]]) -> list[Group]:
    """Groups by hand: the order of the names is that of the contacts."""
    names = [name for group in groups for name in group]
    unknown = sorted(set(names) - set(spec.channel_names))
    if unknown or len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ConfigError(
            f"Groups of a reference must name each channel once, got {', '.join(unknown + twice)}, "
            f"{'which the stream lacks' if unknown else 'more than once'}; it has "
            f"{', '.join(spec.channel_names)}."
        )
    rows = {name: row for row, name in enumerate(spec.channel_names)}
    return [{at: rows[name] for at, name in enumerate(group)} for group in groups]


def _check_grids(grids: Mapping[str, int], named: Mapping[str, Group]) -> None:
    for grid, row_length in grids.items():
        if grid not in named or row_length < 2:
            raise ConfigError(
                f"A grid needs a name that the channels bear and at least 2 contacts in a row, got "
                f"{grid!r} with {row_length}; the channels bear {', '.join(named) or 'none'}."
            )


def _between(one: Channel, other: Channel) -> Channel:
    """The channel that a difference stands for."""
    name = f"{one.name}-{other.name}"
    if one.position_m is None or other.position_m is None:
        return replace(one, name=name, position_m=None)
    x, y, z = ((a + b) / 2 for a, b in zip(one.position_m, other.position_m, strict=True))
    return replace(one, name=name, position_m=(x, y, z))
