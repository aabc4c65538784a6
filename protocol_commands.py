"""The command that plans a training over sessions, and notes what came of each."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import NOTICE, AsJson, out, plain_errors, print_json
from .runtime.errors import ConfigError

if TYPE_CHECKING:
    from .rl.protocol.bounds import Dose, ProtocolBounds
    from .rl.protocol.history import History

Rating = Annotated[float, typer.Option(help="How the person felt, 0 to 10.", min=0, max=10)]


def plan(
    file: Annotated[Path, typer.Argument(help="The participant's protocol file; made if missing.")],
    bounds: Annotated[Path, typer.Option(help="What a clinician allows (TOML, \\[protocol]).")],
    participant: Annotated[str, typer.Option(help="Pseudonym; needed for a new file.")] = "",
    note: Annotated[
        Path | None,
        typer.Option(help="First add a session: its report.json. Motor imagery: of a probe run."),
    ] = None,
    tired: Rating = 0.0,
    frustrated: Rating = 0.0,
    ended: Annotated[str, typer.Option(help="When it ended (ISO 8601); now if not given.")] = "",
    difficulty: Annotated[
        float | None, typer.Option(help="What it really asked, if not what was planned.")
    ] = None,
    block_s: Annotated[float | None, typer.Option(help="Likewise.")] = None,
    json: AsJson = False,
) -> None:
    """Plan the next session of a person's training within a clinician's bounds.

    Difficulty and length of blocks follow what the person learns, measured without feedback, and
    signs of fatigue and frustration. It proposes; a person decides.
    """
    from .rl.protocol.bounds import read_bounds
    from .rl.protocol.history import write_history
    from .rl.protocol.progress import ProgressBandit
    from .rl.protocol.words import sentences, settings_of, toml_of

    with plain_errors(json):
        allowed = read_bounds(bounds)
        history = _opened(file, participant, allowed)
        if note is not None:
            asked = _asked(history, difficulty, block_s)
            history = _noted(history, note, asked, (tired / 10, frustrated / 10), ended)
        elif difficulty is not None or block_s is not None or ended or tired or frustrated:
            raise ConfigError("What a session was like goes with its report: add --note.")
        found = ProgressBandit(allowed).suggest(history.outcomes, history.participant)
        history = replace(history, planned=found.dose)
        write_history(file, history)
        tables = settings_of(allowed, found.dose)
    said = sentences(allowed, history, found)
    if json:
        print_json(
            {
                "notice": NOTICE,
                "participant": history.participant,
                "sessions": len(history.outcomes),
                "next": asdict(found.dose),
                "reason": found.reason,
                "sentences": list(said),
                "settings": tables,
            }
        )
        return
    out.print(NOTICE)
    for sentence in said:
        out.print(sentence, highlight=False, markup=False)
    out.print("\n" + toml_of(tables), highlight=False, markup=False)


def _opened(file: Path, participant: str, bounds: ProtocolBounds) -> History:
    from .rl.protocol.history import History, read_history

    try:
        history = read_history(file)
    except FileNotFoundError:
        return History(participant=participant, task=bounds.task)
    history.belongs(participant, bounds.task)
    return history


def _asked(history: History, difficulty: float | None, block_s: float | None) -> Dose:
    """What the session asked of the person: what was planned, but for what is said otherwise."""
    from .rl.protocol.bounds import Dose

    planned = history.planned
    if planned is None and (difficulty is None or block_s is None):
        raise ConfigError(
            "Nothing was planned for this session: say what it asked with --difficulty and "
            "--block-s."
        )
    if difficulty is None and planned is not None:
        difficulty = planned.difficulty
    if block_s is None and planned is not None:
        block_s = planned.block_s
    assert difficulty is not None
    assert block_s is not None
    return Dose(difficulty=difficulty, block_s=block_s)


def _noted(
    history: History, note: Path, asked: Dose, felt: tuple[float, float], ended: str
) -> History:
    from .rl.protocol.report import outcome_of, read_report

    report, sha256 = read_report(note)
    outcome = outcome_of(
        report,
        history.task,
        asked,
        participant=history.participant,
        tired=felt[0],
        frustrated=felt[1],
        ended_utc=ended or datetime.now(UTC).isoformat(timespec="seconds"),
        report_sha256=sha256,
    )
    return history.with_outcome(outcome)
