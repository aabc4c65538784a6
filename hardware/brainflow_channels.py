"""What BrainFlow says of a board's rows, turned into channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..runtime.errors import SchemaMismatch
from ..runtime.messages import Channel

KINDS = ("eeg", "eog", "emg", "ecg")
"""What electrodes record, in the order in which BrainFlow's lists of a board are read."""

_OTHERS = (
    "accel", "gyro", "rotation", "magnetometer", "ppg", "optical", "eda", "temperature",
    "resistance", "analog", "battery", "other",
)  # fmt: skip


def board_channels(
    described: Mapping[str, Any], kind: str, names: Sequence[str], *, others: bool
) -> tuple[list[int], tuple[Channel, ...]]:
    """Which rows of the library's table are channels, and what they are.

    Most boards list the same electrodes as EEG, EMG, ECG and EOG, since what they record is not
    the board's doing: each electrode is taken once, as the first kind that lists it.

    Parameters
    ----------
    described : mapping
        The board as BrainFlow's ``get_board_descr`` gives it.
    kind : str
        One of `KINDS`, to take what is listed as that and nothing else; empty for all.
    names : sequence of str
        Names for the electrodes; empty for BrainFlow's.
    others : bool
        Whether what is not an electrode comes along, as kind ``"misc"`` in the board's own units.

    Returns
    -------
    rows : list of int
        Rows of the table.
    channels : tuple of Channel
        What they hold.

    Raises
    ------
    SchemaMismatch
        If the board has nothing of the kind, or another number of electrodes than there are names.
    """
    electrodes = _electrodes(described, kind)
    rest = _other_rows(described) if others else []
    if not electrodes and (kind or not rest):
        there = [one for one in KINDS if described.get(f"{one}_channels")]
        raise SchemaMismatch(
            f"The board {described.get('name')!r} has no electrodes of kind {kind or 'any'!r}; it "
            f"has {', '.join(there) or 'none at all: say others = true for what else it sends'}."
        )
    called = list(names) or _own_names(described, list(electrodes.values()))
    if len(called) != len(electrodes) or len(set(called)) != len(called):
        raise SchemaMismatch(
            f"The board {described.get('name')!r} has {len(electrodes)} electrodes, but "
            f"source.names gives {len(set(called))} different names: give one for each."
        )
    channels = [
        Channel(name=name, kind=one) for name, one in zip(called, electrodes.values(), strict=True)
    ]
    channels += [Channel(name=name, kind="misc") for _, name in rest]
    return [*electrodes, *(row for row, _ in rest)], tuple(channels)


def _electrodes(described: Mapping[str, Any], kind: str) -> dict[int, str]:
    """Row of each electrode, and its kind."""
    found: dict[int, str] = {}
    for one in [kind] if kind else KINDS:
        for row in described.get(f"{one}_channels", ()):
            found.setdefault(row, one)
    return found


def _own_names(described: Mapping[str, Any], kinds: list[str]) -> list[str]:
    """BrainFlow's names of EEG electrodes, where it has one for each; else kind and number."""
    given = [name.strip() for name in described.get("eeg_names", "").split(",") if name.strip()]
    named = iter(given if len(given) == kinds.count("eeg") else ())
    return [
        (next(named, "") if kind == "eeg" else "") or f"{kind.upper()}{kinds[:at].count(kind) + 1}"
        for at, kind in enumerate(kinds)
    ]


def _other_rows(described: Mapping[str, Any]) -> list[tuple[int, str]]:
    """Rows that hold something else than electrodes, and what they are called."""
    found: list[tuple[int, str]] = []
    for what in _OTHERS:
        rows = described.get(f"{what}_channels") or described.get(f"{what}_channel") or []
        rows = rows if isinstance(rows, list) else [rows]
        found += [(row, f"{what}{place}") for place, row in enumerate(rows, start=1)]
    return found
