"""Decisions as lines of JSON, one per window: for comparison, for spreadsheets, for ``--json``."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from .errors import RecordingError
from .json_text import parsed_json
from .messages import Message, Turn

FORMAT_VERSION = 1
"""Of a line; one without a format is of before there were any, and means the same."""


class DecisionLog:
    """A watcher that writes every decision to a file.

    Parameters
    ----------
    path : str or Path
        Overwritten.
    """

    lossless = True

    def __init__(self, path: str | Path) -> None:
        self._file = Path(path).open("w", encoding="utf-8")  # noqa: SIM115

    def watch(self, message: Message) -> None:
        """Write a line, if it is a decision."""
        if isinstance(message, Turn):
            self._file.write(json.dumps(decision_record(message)) + "\n")

    def close(self) -> None:
        """Finish the file."""
        self._file.close()


def decision_record(turn: Turn) -> dict[str, Any]:
    """What is worth keeping of a turn, ready for JSON.

    Parameters
    ----------
    turn : Turn
        One pass through the loop.

    Returns
    -------
    record : dict
        Format, sample range, probabilities (None where NaN), label, command, velocity if there is
        one, epoch and latency.
    """
    decision, times = turn.decision, turn.times
    record = {
        "format": FORMAT_VERSION,
        "first_sample": decision.first_sample,
        "stop_sample": decision.stop_sample,
        "probabilities": {
            name: None if math.isnan(p) else float(p)
            for name, p in zip(decision.classes, decision.probabilities, strict=True)
        },
        "label": decision.label,
        "reason": decision.reason,
        "command": turn.command.label,
        "strength": turn.command.strength,
        "selected": turn.command.selected,
        "epoch": decision.epoch,
        "latency_ms": (times.acted_ns - times.due_ns) / 1e6,
    }
    if turn.command.velocity:
        record["velocity"] = list(turn.command.velocity)
    return record


def read_decisions(path: str | Path) -> list[dict[str, Any]]:
    """Read what a `DecisionLog` wrote.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    records : list of dict
        In the order of the decisions.

    Raises
    ------
    RecordingError
        If the file cannot be read, or is something else.
    """
    try:
        # Not splitlines: a text in a record may hold what some scripts call the end of a line.
        lines = Path(path).read_text(encoding="utf-8").split("\n")
        records = [parsed_json(line) for line in lines if line]
    except (OSError, ValueError) as error:
        raise RecordingError(
            f"{path} is no log of decisions ({error}): give a file that a session wrote."
        ) from error
    if not all(isinstance(record, dict) for record in records):
        raise RecordingError(
            f"{path} is no log of decisions, which has a mapping on each line: give a file that a "
            f"session wrote."
        )
    if other := {record.get("format", FORMAT_VERSION) for record in records} - {FORMAT_VERSION}:
        raise RecordingError(
            f"{path} has lines of format {min(map(str, other))}, this diverloop reads "
            f"{FORMAT_VERSION}: use the diverloop that wrote it, or a newer one."
        )
    return records
