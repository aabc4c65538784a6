"""Commands for recorded sessions: prove, annotate, export, report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from .console import AsJson, out, pace_sentence, plain_errors, print_json
from .runtime.errors import ConfigError

if TYPE_CHECKING:
    from .proving import Verification
    from .runtime.record.deidentify import ExportReport

Recorded = Annotated[Path, typer.Argument(help="Folder of a session, or its recording.xdf.")]
Several = Annotated[
    list[Path], typer.Argument(help="Folders of sessions, or their recording.xdf; one or more.")
]


def was_fitted_on(model: Path, recording: Path, assume_unit: str | None) -> bool:
    """Whether a model's card names this very recording among those that it was fitted on."""
    from .hardware.recordings import read_recording
    from .runtime.bundle import load_bundle

    learnt = {part.data_id for part in load_bundle(model).card.trained_on}
    return bool(learnt) and (
        read_recording(str(recording), assume_unit=assume_unit).data_id in learnt
    )


def replay_exactly(recording: Path, json: bool) -> None:
    """Run a recorded session again; end with 1 if it came out otherwise."""
    from .proving import replay_exact
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
        _say(comparison.sentence())
    raise typer.Exit(0 if comparison.ok else 1)


def look(
    recording: Annotated[Path, typer.Argument(help="Recording of any kind that is read.")],
    assume_unit: Annotated[
        str, typer.Option(help="Unit where the file names none, for example uV.")
    ] = "",
    json: AsJson = False,
) -> None:
    """Say what a recording holds: rate, length, channels, labels, holes."""
    from .hardware.recordings import describe, read_recording

    with plain_errors(json):
        found = describe(read_recording(str(recording), assume_unit=assume_unit or None))
    if json:
        print_json(found)
        return
    for sentence in _contents(found):
        _say(sentence)


def _contents(found: dict[str, Any]) -> Iterator[str]:
    """What a recording holds, one line after the other."""
    minutes, seconds = divmod(round(found["duration_s"]), 60)
    yield f"Rate: {found['rate_hz']:g} Hz. Length: {minutes} min {seconds} s."
    for kind in dict.fromkeys(channel["kind"] for channel in found["channels"]):
        names = [one["name"] for one in found["channels"] if one["kind"] == kind]
        yield f"Channels, {kind} ({len(names)}): {', '.join(names)}"
    labels = [f"{label or '(empty)'} {times} x" for label, times in found["markers"].items()]
    yield f"Labels: {', '.join(labels) or 'none'}."
    holes = len(found["gaps"])
    yield f"Lost: {found['lost_samples']} samples in {holes} holes." if holes else "Lost: nothing."
    yield from found["notes"]


def verify(
    recordings: Several,
    signed_by: Annotated[str, typer.Option(help="Fingerprint of the key that must have.")] = "",
    json: AsJson = False,
) -> None:
    """Prove recorded sessions: audit log, file, and a replay compared field by field.

    Several are proved one after the other; it ends with 1 if one of them is not.
    """
    from .proving import verify as verified

    proofs: dict[str, Verification] = {}
    for recording in recordings:
        with plain_errors(json):
            found = proofs[str(recording)] = verified(recording, signed_by)
        if not json:
            _print_proof(found, str(recording) if len(recordings) > 1 else "")
    ok = all(one.ok for one in proofs.values())
    if json and len(recordings) == 1:
        print_json(_proof(found))
    elif json:
        print_json({"ok": ok, "recordings": {name: _proof(one) for name, one in proofs.items()}})
    raise typer.Exit(0 if ok else 1)


def _proof(found: Verification) -> dict[str, Any]:
    from .runtime.record.compare import IGNORED, TOLERANCES

    return {
        "ok": found.ok,
        "audit": asdict(found.audit),
        "recording_fault": found.recording_fault,
        "sealed": found.sealed,
        "failure": found.failure,
        "replay": _plain(found.comparison) if found.comparison else None,
        "replay_fault": found.replay_fault,
        "tolerances": dict(TOLERANCES),
        "ignored": dict(IGNORED),
        "signal_s": found.signal_s,
        "wall_s": found.wall_s,
    }


def _print_proof(found: Verification, name: str) -> None:
    from .runtime.record.compare import IGNORED

    if name:
        _say(name)
    out.print("[green]Proved.[/]" if found.ok else "[bold red]Not proved.[/]")
    for sentence in found.sentences():
        _say(sentence)
    for field, why in IGNORED.items():
        _say(f"Not compared: {field} ({why}).")


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


def listen(
    recording: Annotated[Path, typer.Argument(help="Folder of the running session.")],
    stop: Annotated[bool, typer.Option("--stop", help="Listen no more, and forget.")] = False,
    who: Annotated[str, typer.Option(help="Who asks; a pseudonym.")] = "",
    json: AsJson = False,
) -> None:
    """Let the speech decoder of a running session listen, or stop it."""
    from .listening import IGNORE, LISTEN, ask_to

    what = IGNORE if stop else LISTEN
    with plain_errors(json):
        ask_to(what, recording, who)
    if json:
        print_json({"asked": what})
    else:
        out.print("It stops listening." if stop else "It listens now.")


def export(
    recording: Recorded,
    bids: Annotated[Path | None, typer.Option(help="Root of a BIDS data set.")] = None,
    nwb: Annotated[Path | None, typer.Option(help="NWB file to write.")] = None,
    participant: Annotated[str, typer.Option(help="Pseudonym; derived if not given.")] = "",
    session: Annotated[str, typer.Option(help="BIDS session label.")] = "01",
    task: Annotated[str, typer.Option(help="BIDS task label.")] = "",
    run: Annotated[int, typer.Option(help="BIDS run number.", min=1)] = 1,
    line_hz: Annotated[float | None, typer.Option(help="Power line: 50 or 60.")] = None,
    operator: Annotated[str, typer.Option(help="Who exports; a pseudonym, for the log.")] = "",
    key: Annotated[
        str, typer.Option(help="Secret behind pseudonyms and dates; this machine's own else.")
    ] = "",
    redact: Annotated[list[str] | None, typer.Option(help="Word to remove everywhere.")] = None,
    identified: Annotated[
        bool, typer.Option("--identified", help="Keep names, dates and texts as they are.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
    assume_unit: Annotated[str | None, typer.Option(help="Unit where none is named.")] = None,
    json: AsJson = False,
) -> None:
    """Export a recording as BIDS or NWB, de-identified."""
    from .keeping import log_export
    from .reporting import house_secret, open_any
    from .runtime.record.bids import BidsOptions, export_bids
    from .runtime.record.deidentify import DeidentifyOptions
    from .runtime.record.nwb import NwbOptions, export_nwb

    with plain_errors(json):
        if bids is None and nwb is None:
            raise ConfigError("Say where to: --bids FOLDER, --nwb FILE.nwb, or both.")
        privacy = DeidentifyOptions(
            enabled=not identified,
            participant=participant,
            key=key or house_secret(),
            redact=tuple(redact or ()),
        )
        record = open_any(recording, assume_unit)
        made: dict[str, ExportReport] = {}
        unlogged = ""
        try:
            if bids is not None:
                options = BidsOptions(
                    session=session, task=task, run=run, line_hz=line_hz, overwrite=overwrite,
                    deidentify=privacy,
                )  # fmt: skip
                made["bids"] = export_bids(record, bids, options)
            if nwb is not None:
                choices = NwbOptions(overwrite=overwrite, deidentify=privacy)
                made["nwb"] = export_nwb(record, nwb, choices)
        finally:  # the first format has left, even if the second could not be written
            if made and record.manifest is not None:
                targets = {name: str(report.path) for name, report in made.items()}
                targets |= {"identified": "True"} if identified else {}
                unlogged = log_export(record.path.parent, operator, targets)
    reports = list(made.values())
    if json:
        told = [msgspec.to_builtins(report, enc_hook=str) for report in reports]
        print_json({"exports": told, "unlogged": unlogged})
    else:
        _tell_exports(reports, unlogged)


def _tell_exports(made: list[ExportReport], unlogged: str) -> None:
    for report in made:
        _say(f"Written: {report.path} ({len(report.files)} files).")
        for remark in (*report.remarks, *report.privacy.remarks):
            _say(remark)
    if unlogged:
        _say(f"The session's audit log does not tell of this export. {unlogged}")
    privacy = made[0].privacy
    out.print(
        f"De-identified: dates shifted, {len(privacy.removals)} texts cleaned. What the scan does "
        f"not know stays: read the files before they leave the house."
        if privacy.applied
        else "[bold red]Not de-identified[/]: names, dates and texts are as they were recorded."
    )


def report(
    recordings: Several,
    html: Annotated[Path | None, typer.Option(help="Where; beside the recording else.")] = None,
    pdf: Annotated[bool, typer.Option("--pdf/--no-pdf", help="A PDF beside it.")] = True,
    json: AsJson = False,
) -> None:
    """Write the report of a session: one HTML file that needs nothing else, and a PDF.

    Of several sessions each gets its own.
    """
    from .reporting import make_report

    with plain_errors(json):
        if html and len(recordings) > 1:
            raise ConfigError(
                f"--html names one file, and there are {len(recordings)} sessions: leave it out, "
                f"or name one session."
            )
        files: list[Path] = []
        for one in recordings:
            files += (made := make_report(one, html, pdf))
            for file in () if json else made:
                _say(f"Report: {file}")
    if json:
        print_json({"files": [str(file) for file in files]})


def repair(recording: Recorded, json: AsJson = False) -> None:
    """Make a recording that was cut off readable for every program."""
    from .runtime.record.repair import repair as repaired

    with plain_errors(json):
        done = repaired(recording)
    if json:
        print_json(msgspec.to_builtins(done, enc_hook=str))
    else:
        _say(done.sentence())


def _say(text: str) -> None:
    """Print what may hold brackets of its own: a path, an array, a person's words."""
    out.print(text, highlight=False, markup=False)


def _plain(comparison: Any) -> dict[str, Any]:
    return {**asdict(comparison), "ok": comparison.ok, "sentence": comparison.sentence()}
