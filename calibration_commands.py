"""Commands for the start of a day."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .console import out, plain_errors, print_json, progress_bar
from .model_commands import refuse_overwriting

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object, nothing else.")]


def recentre(
    model: Annotated[Path, typer.Argument(help="Fitted bundle; stays as it is.")],
    recording: Annotated[Path, typer.Argument(help="Short recording of today, without labels.")],
    bundle: Annotated[Path, typer.Option("--out", "-o", help="NAME.bundle to write.")],
    assume_unit: Annotated[str | None, typer.Option(help="Unit where none is named.")] = None,
    json: AsJson = False,
) -> None:
    """Move a model's centre to today's signal: a minute or two of it, and no labels.

    Windows within trials are taken if the recording holds cues of the model's classes, whatever
    they ask for; all of it otherwise.
    """
    from .recentring import recentre_model
    from .runtime.bundle import load_bundle, save_bundle
    from .training_sources import recordings

    with plain_errors(json):
        refuse_overwriting(bundle)
        with progress_bar(f"listening to {recording.name}"):
            (source,) = recordings([recording], assume_unit)
            moved = recentre_model(load_bundle(model), source)
        sha256 = save_bundle(moved, bundle)
    said = moved.card.scores["recentred"]
    if json:
        told = {"bundle": str(bundle), "sha256": sha256, "epoch": moved.card.epoch}
        print_json({**told, "recentred": said})
        return
    out.print(said, highlight=False)
    out.print(f"Saved {bundle} ({sha256[:12]}), epoch {moved.card.epoch}.", highlight=False)
