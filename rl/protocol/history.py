"""What came of each session of one person's training, in a file beside the recordings.

The file is this user's alone and carries the hash of what it holds: a line that was lost or changed
is noticed. It says nothing against somebody who may write it and makes a new hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

from ...runtime.errors import ConfigError
from ...runtime.json_text import json_text, parsed_json
from ...runtime.private_file import read_private, write_private
from ...runtime.settings import build
from .bounds import Dose

FORMAT = "diverloop protocol 1"
WHAT = "protocol file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a session.

    Parameters
    ----------
    dose : Dose
        What it asked of the person.
    probe : float, optional
        How well the person did without feedback; None if that was not measured. In neurofeedback
        in standard deviations above the baseline of the day; in motor imagery from 0 at chance to
        1.
    fatigue, frustration : float
        Signs of them, 0 to 1.
    ended_utc : str
        When, in ISO 8601.
    report_sha256 : str
        Hash of the session's report, so that none is counted twice.
    """

    dose: Dose
    probe: float | None = None
    fatigue: float = 0.0
    frustration: float = 0.0
    ended_utc: str = ""
    report_sha256: str = ""

    def __post_init__(self) -> None:
        if self.probe is not None and not abs(self.probe) <= 1e6:
            raise ConfigError(f"probe must be a finite number, got {self.probe}: measure it again.")
        for name in ("fatigue", "frustration"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(
                    f"{name} must be in [0, 1], got {getattr(self, name)}: correct it."
                )
        if self.ended_utc:
            _time(self.ended_utc)


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """All sessions of one person's training for one task.

    Parameters
    ----------
    participant : str
        Pseudonym.
    task : str
        Name of the task.
    outcomes : tuple of Outcome
        In order.
    planned : Dose, optional
        What was proposed for the next session.
    """

    participant: str
    task: str
    outcomes: tuple[Outcome, ...] = ()
    planned: Dose | None = None

    def __post_init__(self) -> None:
        if not self.participant.strip():
            raise ConfigError(
                "A training belongs to a participant, got none: give --participant, a pseudonym."
            )

    def with_outcome(self, outcome: Outcome) -> Self:
        """The same with one session more.

        Raises `ConfigError` if its report was counted before, or if it ended before the last one.
        """
        for place, known in enumerate(self.outcomes, 1):
            if outcome.report_sha256 and known.report_sha256 == outcome.report_sha256:
                raise ConfigError(
                    f"This report was counted already, as session {place}: name the report of "
                    f"another one."
                )
        last = self.outcomes[-1].ended_utc if self.outcomes else ""
        if last and outcome.ended_utc and _time(outcome.ended_utc) < _time(last):
            raise ConfigError(
                f"This session ended {outcome.ended_utc}, before the last one that was counted "
                f"({last}): note sessions in order."
            )
        return replace(self, outcomes=(*self.outcomes, outcome))

    def not_before(self, apart_h: float) -> str:
        """When the next session may begin at the earliest, in ISO 8601; empty if at once."""
        last = self.outcomes[-1].ended_utc if self.outcomes else ""
        return (_time(last) + timedelta(hours=apart_h)).isoformat() if last else ""

    def belongs(self, participant: str, task: str) -> None:
        """Raise `ConfigError` if it is another person's, or of another task."""
        if participant and participant != self.participant:
            raise ConfigError(
                f"This protocol file belongs to {self.participant!r}, asked for was "
                f"{participant!r}: name that participant's own file."
            )
        if task != self.task:
            raise ConfigError(
                f"This protocol file is of {self.task}, the bounds are for {task}: keep a file for "
                f"each task."
            )


def read_history(path: Path) -> History:
    """Read a protocol file.

    Parameters
    ----------
    path : Path
        From `write_history`.

    Returns
    -------
    history : History
        Checked.

    Raises
    ------
    ConfigError
        If it cannot be read, others have rights to it, or its hash is not that of what it holds.
    FileNotFoundError
        If there is none.
    """
    data = read_private(path, WHAT)
    try:
        told = parsed_json(data)
        claimed = told.pop("sha256")
        written_as = told.pop("format")
        known = written_as != FORMAT or claimed == _hash({"format": FORMAT, **told})
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ConfigError(f"{path} is no {WHAT}: put it back from a copy.") from error
    if written_as != FORMAT:
        raise ConfigError(
            f"The {WHAT} {path} has format {written_as!r}, this diverloop reads {FORMAT!r}: use "
            f"the diverloop that wrote it, or a newer one."
        )
    if not known:
        raise ConfigError(
            f"The {WHAT} {path} was changed or damaged, its hash is another: put it back from a "
            f"copy."
        )
    try:
        outcomes = tuple(build(Outcome, one, "outcomes") for one in told.pop("outcomes"))
        history: History = build(History, told, WHAT)
    except (KeyError, TypeError) as error:
        raise ConfigError(f"{path} is no {WHAT}: put it back from a copy.") from error
    return replace(history, outcomes=outcomes)


def write_history(path: Path, history: History) -> None:
    """Write a protocol file, for this user alone, whole or not at all.

    Raises `ConfigError` if it cannot be written.
    """
    told = {"format": FORMAT, **asdict(history)}
    text = json_text({**told, "sha256": _hash(told)}) + "\n"
    write_private(path, text.encode(), WHAT)


def _hash(told: Mapping[str, Any]) -> str:
    # Through JSON, so that tuples and lists are the same.
    return hashlib.sha256(json_text(dict(sorted(told.items()))).encode()).hexdigest()


def _time(text: str) -> datetime:
    try:
        when = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(
            f"ended_utc must be a time as 2026-03-01T09:30:00+00:00, got {text!r}: correct it."
        ) from error
    if when.tzinfo is None:
        raise ConfigError(f"ended_utc must name its time zone, got {text!r}: add +00:00.")
    return when
