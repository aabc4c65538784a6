"""Work that costs nothing, for tests of the engine; importable by workers, which are processes."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from diverloop.cohort.item import Item, Place, Recipe
from diverloop.runtime.errors import RecordingError

COLUMNS = {"size": "int64", "first": "string"}


def measure(item: Item, settings: Any, place: Place) -> dict[str, Any]:
    """A row of a file; its first word says what else happens."""
    text = Path(item.recordings[0]).read_text(encoding="utf-8")
    first = text.split()[0]
    with (Path(settings) / "calls.txt").open("a", encoding="utf-8") as file:
        file.write(f"{item.name}\n")
    if first == "bad":
        raise RecordingError(f"{item.recordings[0]} is bad: record it again.")
    if first == "foreign":
        raise ZeroDivisionError("division\nby zero")
    if first == "touched":
        Path(item.recordings[0]).write_text(f"{text} more", encoding="utf-8")
    if first == "deadly" or (first == "once" and not _seen(Path(settings), item.name)):
        os.kill(os.getpid(), signal.SIGKILL)
    return {"size": len(text), "first": first}


def _seen(folder: Path, name: str) -> bool:
    """Whether this was tried before."""
    return (folder / "calls.txt").read_text(encoding="utf-8").split().count(name) > 1


def recipe(notes: Path, **identity: Any) -> Recipe:
    """Work that notes its calls in a folder."""
    return Recipe(
        kind="measure",
        work=measure,
        settings=str(notes),
        identity=identity,
        columns=COLUMNS,
        code=("cohort/item.py",),
    )


def calls(notes: Path) -> list[str]:
    """Which items were worked on, in order."""
    path = notes / "calls.txt"
    return path.read_text(encoding="utf-8").split() if path.exists() else []


def write_files(folder: Path, **texts: str) -> Path:
    """One file a text."""
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.npz").write_text(text, encoding="utf-8")
    return folder
