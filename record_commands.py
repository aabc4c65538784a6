"""Commands for recorded sessions: prove, annotate, export, report."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from .console import out, pace_sentence, plain_errors, print_json

Recorded = Annotated[Path, typer.Argument(help="Folder of a session, or its recording.xdf.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object, nothing else.")]


def replay_exactly(recording: Path, json: bool) -> None:
    """Run a recorded session again; end with 1 if it came out otherwise."""
    from .keeping import replay_exact
    from .runtime.clock import MonotonicClock
    from .runtime.record.reading import open_record

    with plain_errors(json):
        wall = MonotonicClock()
        began_ns = wall.now_ns()
        comparison, latency = replay_exact(recording)
        wall_s = (wall.now_ns() - began_ns) / 1e9
        signal_s = open_record(recording).duration_s
    if json:
        print_json(
            {
                **_plain(comparison),
                "latency": latency.to_json(),
                "signal_s": signal_s,
                "wall_s": wall_s,
                "times_real_time": signal_s / wall_s,
            }
        )
    else:
        out.print(pace_sentence(latency, signal_s, wall_s))
        out.print(comparison.sentence(), highlight=False)
    raise typer.Exit(0 if comparison.ok else 1)


def verify(recording: Recorded, json: AsJson = False) -> None:
    """Prove a recorded session: audit log, file, and a replay compared field by field."""
    from .keeping import verify as verified
    from .runtime.record.compare import IGNORED, TOLERANCES

    with plain_errors(json):
        found = verified(recording)
    if json:
        print_json(
            {
                "ok": found.ok,
                "audit": asdict(found.audit),
                "recording_fault": found.recording_fault,
                "sealed": found.sealed,
                "replay": _plain(found.comparison),
                "tolerances": dict(TOLERANCES),
                "ignored": dict(IGNORED),
                "signal_s": found.signal_s,
                "wall_s": found.wall_s,
            }
        )
    else:
        for sentence in found.sentences():
            out.print(sentence, highlight=False)
        for name, why in IGNORED.items():
            out.print(f"Not compared: {name} ({why}).", highlight=False)
        out.print("[green]Proved.[/]" if found.ok else "[bold red]Not proved.[/]")
    raise typer.Exit(0 if found.ok else 1)


def note(
    recording: Annotated[Path, typer.Argument(help="Folder of the running session.")],
    text: Annotated[str, typer.Argument(help="What to write down.")],
    who: Annotated[str, typer.Option(help="Who writes it; a pseudonym.")] = "",
    json: AsJson = False,
) -> None:
    """Write a note into a session that is being recorded."""
    from .runtime.record.note_server import send_note

    with plain_errors(json):
        send_note(recording, text, who)
    if json:
        print_json({"noted": text})
    else:
        out.print("Noted.")


def _plain(comparison: Any) -> dict[str, Any]:
    return {**asdict(comparison), "ok": comparison.ok, "sentence": comparison.sentence()}
