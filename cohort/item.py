"""What a cohort is made of, and what is to be done with each part of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

ColumnType = Literal["string", "int64", "float64", "bool"]

IDENTITY: Mapping[str, ColumnType] = {
    "name": "string", "subject": "string", "session": "string", "task": "string", "run": "string",
}  # fmt: skip
"""Columns that say which recording a row is of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One unit of work: a recording, or several that belong together.

    Parameters
    ----------
    name : str
        Unique in the cohort: path below its folder, with forward slashes.
    files : tuple of str
        Every file that the result depends on, absolute, the recordings first.
    n_recordings : int
        How many of the files are recordings; the others stand beside them.
    subject, session, task, run : str
        As the names of files tell; empty where they do not.
    events : str
        Table of events (BIDS) of a single recording; empty where there is none.
    n_bytes : int
        Of all files together.
    asked : mapping
        What else the work is told of this item, as plain values; it enters the key.
    """

    name: str
    files: tuple[str, ...] = ()
    n_recordings: int = 1
    subject: str = ""
    session: str = ""
    task: str = ""
    run: str = ""
    events: str = ""
    n_bytes: int = 0
    asked: Mapping[str, Any] = field(default_factory=dict)

    @property
    def recordings(self) -> tuple[str, ...]:
        """The recordings among the files."""
        return self.files[: self.n_recordings]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the work may leave what is too large for its row.

    Parameters
    ----------
    folder : Path
        Of the results.
    key : str
        Name of the output; equal for equal work.
    sha256 : tuple of str
        Of the item's files, in order.
    """

    folder: Path
    key: str
    sha256: tuple[str, ...] = ()


Work = Callable[[Item, Any, Place], dict[str, Any]]
"""From an item and the settings to the columns of its row; runs on a worker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What is done with every item.

    Parameters
    ----------
    kind : str
        One word, such as ``"replay"``.
    work : callable
        See `Work`. Importable by its name on every worker.
    settings : object
        Handed to the work as it is.
    identity : mapping
        What of the settings the result depends on, ready for JSON; paths have no place in it.
    code : tuple of str
        Files and folders of the package that the result depends on.
    libraries : tuple of str
        Distributions whose versions the result depends on.
    readers : mapping of str to str
        Suffix of a recording to the distribution that reads it, where one does.
    columns : mapping of str to str
        Column of the table to its type, in order, behind those of `IDENTITY`.
    leaves : tuple of str
        What the work leaves beside its row, as ``"models/{key}.bundle"``; a row whose file is gone
        is computed again.
    """

    kind: str
    work: Work
    settings: Any
    identity: Mapping[str, Any]
    columns: Mapping[str, ColumnType]
    code: tuple[str, ...] = ("runtime", "hardware", "decoders", "adapters")
    libraries: tuple[str, ...] = ("numpy", "scipy")
    readers: Mapping[str, str] = field(default_factory=dict)
    leaves: tuple[str, ...] = ()
