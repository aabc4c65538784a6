"""What a worker does: the work on one item, its output kept, and what is said of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from ..runtime.errors import DiverloopError
from .hashing import Stamp, code_sha256, stamp_of
from .item import Item, Place, Recipe
from .outputs import Output, is_complete, read_output, write_output


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a worker says of one item.

    Parameters
    ----------
    key : str
        Of the output.
    failed : str
        Why there is none; empty if there is.
    lasting : bool
        Whether the failure is the recording's own, and kept like any result.
    seconds : float, optional
        That the work took; None if it turned out to be done already.
    worker : str
        Who did it.
    """

    key: str
    failed: str = ""
    lasting: bool = False
    seconds: float | None = None
    worker: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a worker is given.

    Parameters
    ----------
    item : Item
        Which.
    recipe : Recipe
        What is done with it.
    place : Place
        Where its output belongs.
    stamps : mapping of str to Stamp
        Of its files, as they were hashed.
    code : str
        Hash of the code that asked for it.
    anew : bool
        Whether a failure that was kept is no answer.
    """

    item: Item
    recipe: Recipe
    place: Place
    stamps: Mapping[str, Stamp]
    code: str
    anew: bool = False


def do(task: Task) -> Outcome:
    """Do the work on one item and keep what came of it.

    Parameters
    ----------
    task : Task
        Which, and where to.

    Returns
    -------
    outcome : Outcome
        An error of ours is told in it. Any other comes out of here, and out of Dask's future.
    """
    began, place = monotonic(), task.place
    if code_sha256(task.recipe.code) != task.code:
        failed = "This worker has another version of diverloop: install the same one everywhere."
        return Outcome(key=place.key, failed=failed, worker=_who())
    # Dask gives a task again whose worker died after the output was kept, and before it was told.
    kept = read_output(place.folder, place.key)
    if kept and is_complete(place.folder, kept, task.recipe.leaves):
        if not kept.failed:
            return Outcome(key=place.key, worker=_who())
        if not task.anew:
            return Outcome(key=place.key, failed=kept.failed, lasting=True, worker=_who())
    output = _output(task)
    try:
        for name, stamp in task.stamps.items():
            if not stamp.same_file(stamp_of(name)):
                failed = f"{name} was written to while it was read: run again when it is whole."
                return Outcome(key=place.key, failed=failed, worker=_who())
        write_output(place.folder, output)
    except DiverloopError as error:
        return Outcome(key=place.key, failed=str(error), worker=_who())
    return Outcome(
        key=place.key,
        failed=output.failed,
        lasting=bool(output.failed),
        seconds=monotonic() - began,
        worker=_who(),
    )


def _output(task: Task) -> Output:
    try:
        row = task.recipe.work(task.item, task.recipe.settings, task.place)
    except DiverloopError as error:
        return Output(key=task.place.key, failed=_without_folders(str(error), task.item))
    return Output(key=task.place.key, row=row)


def _without_folders(text: str, item: Item) -> str:
    """A reason that reads the same wherever the cohort lies."""
    for name in item.files:
        text = text.replace(name, Path(name).name)
    return text


def _who() -> str:
    from distributed import get_worker

    try:
        return str(get_worker().address)
    except ValueError:  # not on a worker
        return ""
