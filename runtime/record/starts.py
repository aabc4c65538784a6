"""What starts a recorder, and a recorder at work as its link sees it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from .frames import Kept


class Recording(Protocol):
    """A recorder at work, as the link sees it."""

    pid: int
    refusal: str
    alive: bool

    def await_beginning(self) -> None:
        """Return when it has begun its file; raise `RecordingError` if it does not."""

    def take(self, packed: bytes) -> None:
        """Hand a message over, now or when there is room."""

    def push(self) -> bool:
        """Hand over what there is room for; whether nothing is left."""

    def await_room(self, limit_s: float) -> None:
        """Return when there is room, or after so long."""

    def finish(self) -> bool:
        """Let it end, or make it; whether that was a good end."""


class Starts(Protocol):
    """What starts a recorder: a process, or whatever stands in for it."""

    def __call__(
        self, folder: Path, kept: Kept, first: int, heard: Callable[[dict[str, Any]], None]
    ) -> Recording:
        """Start one that goes on after what is kept."""
