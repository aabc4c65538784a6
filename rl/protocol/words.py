"""The next session in plain words, and as settings that a session file takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .bounds import DIFFICULTY, Dose, ProtocolBounds
from .history import History
from .progress import Suggestion

SECONDS_A_TRIAL = 7.0
"""Of guided motor imagery: rest, cue and trial with the usual settings."""


def settings_of(bounds: ProtocolBounds, dose: Dose) -> dict[str, dict[str, Any]]:
    """Tables for a session file.

    Parameters
    ----------
    bounds : ProtocolBounds
        What a clinician allows.
    dose : Dose
        What the session asks.

    Returns
    -------
    tables : dict of str to dict
        By the name of the table. Neurofeedback: for a session that runs. Motor imagery:
        ``feedback`` for a session that runs, ``calibration`` for a guided one.
    """
    if bounds.task == "neurofeedback":
        return {
            "adapter.threshold": {"target": dose.difficulty},
            "adapter.plan": {
                "n_blocks": bounds.n_blocks(dose),
                "block_s": dose.block_s,
                "pause_s": bounds.pause_s,
                "transfer_every": max(1, bounds.n_blocks(dose) // 3),
            },
        }
    return {
        "feedback": {"select_at": dose.difficulty},
        "calibration": {
            "block_per_class": max(1, min(20, round(dose.block_s / (2 * SECONDS_A_TRIAL)))),
            "pause_s": bounds.pause_s,
        },
    }


def toml_of(tables: Mapping[str, Mapping[str, Any]]) -> str:
    """The same as text for a TOML file; values are numbers."""
    return "\n\n".join(
        "\n".join([f"[{name}]", *(f"{key} = {value}" for key, value in table.items())])
        for name, table in tables.items()
    )


def sentences(bounds: ProtocolBounds, history: History, suggestion: Suggestion) -> tuple[str, ...]:
    """What the next session asks, and why, for the person in charge.

    Parameters
    ----------
    bounds : ProtocolBounds
        What a clinician allows.
    history : History
        What came of the sessions so far.
    suggestion : Suggestion
        From `ProgressBandit.suggest`.

    Returns
    -------
    sentences : tuple of str
        One after the other.
    """
    dose, number = suggestion.dose, len(history.outcomes) + 1
    said = [
        f"Session {number} of {history.participant}: {bounds.n_blocks(dose)} blocks of "
        f"{dose.block_s:g} s with {bounds.pause_s:g} s between them.",
        f"Difficulty {dose.difficulty:g}, the {DIFFICULTY[bounds.task][0]}"
        f"{_changed(bounds, history, dose)}.",
        suggestion.reason,
    ]
    if any(outcome.probe is not None for outcome in history.outcomes):
        said.append(
            f"In a first session it would be expected to teach {suggestion.gain:.2f}, give or take "
            f"{suggestion.spread:.2f}, of what probes measure."
        )
    if when := history.not_before(bounds.apart_h):
        said.append(f"Not before {when}.")
    return tuple(said)


def _changed(bounds: ProtocolBounds, history: History, dose: Dose) -> str:
    if not history.outcomes:
        return ""
    last = history.outcomes[-1].dose
    harder = bounds.harder * (dose.difficulty - last.difficulty)
    longer = dose.block_s - last.block_s
    told = [
        word
        for value, word in (
            (harder, "harder"),
            (-harder, "easier"),
            (longer, "longer blocks"),
            (-longer, "shorter blocks"),
        )
        if value > 1e-9
    ]
    return f" ({' and '.join(told) or 'as last time'})"
