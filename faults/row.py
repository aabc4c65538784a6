"""One row of the fault matrix: what is done, what must happen, and how a machine tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..hardware.faulty_link import LinkFault
from ..runtime.messages import EventKind

AT_S, LENGTH_S = 4.0, 10.0
"""When a fault of the stream begins, and how long a session of the campaign lasts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One fault.

    Parameters
    ----------
    name : str
        In a word or two, with hyphens.
    group : str
        What it befalls: ``"stream"``, ``"model"``, ``"decoder"``, ``"output"``, ``"recording"``,
        ``"watchers"``, ``"learner"``, ``"machine"``, ``"persons"`` or ``"start"``.
    done : str
        What is done, in one sentence.
    must : str
        What must happen, in one sentence.
    how : str
        Which trial runs it, a name that ``trials`` knows.
    faults : tuple of LinkFault
        What befalls the link, if anything does.
    act : str
        What else is done, a name that the trial knows.
    told : tuple of EventKind
        Kinds that must be told.
    may : tuple of EventKind
        Kinds that may be told besides.
    most : int
        How often each kind may be told at most.
    calm : bool
        Whether every decision must be that of a session without the fault.
    commands : bool
        Whether commands must pass, at least before the fault.
    replays : bool
        Whether the recorded session must replay exactly.
    short : bool
        Whether it belongs to the short form.
    pending : str
        Why it cannot be tried yet; empty if it can.
    settings : mapping
        More for the trial.
    """

    name: str
    group: str
    done: str
    must: str
    how: str = "loop"
    faults: tuple[LinkFault, ...] = ()
    act: str = ""
    told: tuple[EventKind, ...] = ()
    may: tuple[EventKind, ...] = ()
    most: int = 1
    calm: bool = False
    commands: bool = True
    replays: bool = True
    short: bool = True
    pending: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)


BUSY = (EventKind.STALE, EventKind.FRESH, EventKind.RECORDER)
"""What a busy machine may make of any session in real time."""
