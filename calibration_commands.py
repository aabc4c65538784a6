"""Commands for the start of a day: a calibration that guides, a centre that moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from .console import (
    NOTICE,
    AsJson,
    out,
    overrides_of,
    plain_errors,
    print_json,
    progress_bar,
    pseudonyms,
)
from .model_commands import refuse_overwriting
from .runtime.errors import ConfigError
from .runtime.json_text import json_text
from .runtime.paradigms.guided_course import Scene


def calibrate(
    guide: Annotated[Path, typer.Argument(help="Calibration file (TOML).")],
    recording: Annotated[Path, typer.Option("--out", "-o", help="NAME.xdf to write.")],
    fast: Annotated[
        bool, typer.Option("--fast", help="Let a simulated person's time pass at once.")
    ] = False,
    seed: Annotated[
        int | None, typer.Option(help="Order of trials; another one each time if not given.", min=0)
    ] = None,
    participant: Annotated[str, typer.Option(help="Pseudonym, never a name.")] = "",
    operator: Annotated[str, typer.Option(help="Who runs it; a pseudonym.")] = "",
    view: Annotated[bool, typer.Option("--view/--no-view", help="Show what to do, large.")] = True,
    watch: Annotated[
        str, typer.Option(help="Tell screens on this machine at this address what to show.")
    ] = "",
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Another value, as source.name=amp-2.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Guide a person through a calibration, and record it for `diverloop fit`.

    Bad trials are repeated, and it ends early when enough is known. Ctrl-C ends it at once and
    keeps what was recorded.
    """
    from .guiding_run import run_guide
    from .runtime.guide_file import read_guide
    from .runtime.telemetry import TelemetryPublisher

    with plain_errors(json):
        _refuse_recording(recording)
        overrides = overrides_of(settings) | pseudonyms(participant, operator)
        checked = read_guide(guide, overrides)
        drawn = np.random.SeedSequence().generate_state(1)[0] if seed is None else seed
        with _screen(checked.name, wanted=view and not json) as show:
            publisher = TelemetryPublisher(watch) if watch else None
            report = run_guide(
                checked,
                recording,
                live=not fast,
                seed=int(drawn),
                show=show,
                publisher=publisher,
            )
        told = report.to_json()
        _write_summary(told, recording.with_suffix(".json"))
    if json:
        print_json(told)
        return
    out.print(NOTICE)
    for sentence in report.sentences():
        out.print(sentence, highlight=False, markup=False)
    out.print(f"Recorded {recording}, {report.seconds:.0f} s.", highlight=False)
    if report.can_be_fitted:
        out.print(f"Next: {report.fit_command}", highlight=False, markup=False, soft_wrap=True)


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
    from .runtime.security import SecurityConfig, vouch
    from .training_sources import recordings

    with plain_errors(json):
        refuse_overwriting(bundle)
        with progress_bar(f"listening to {recording.name}"):
            (source,) = recordings([recording], assume_unit)
            # What is saved is signed by this user, so it must not come from just anybody.
            fitted = load_bundle(model)
            vouch(fitted, SecurityConfig(), live=True)
            moved = recentre_model(fitted, source)
        sha256 = save_bundle(moved, bundle)
    said = moved.card.scores["recentred"]
    if json:
        told = {"bundle": str(bundle), "sha256": sha256, "epoch": moved.card.epoch}
        print_json({**told, "recentred": said})
        return
    out.print(said, highlight=False, markup=False)
    saved = f"Saved {bundle} ({sha256[:12]}), epoch {moved.card.epoch}."
    out.print(saved, highlight=False, markup=False)


@contextmanager
def _screen(title: str, *, wanted: bool) -> Iterator[Callable[[Scene], None]]:
    from .gui.guide_view import GuideView

    if not wanted:
        yield lambda scene: None
        return
    with GuideView(out, title) as view:
        yield view.show


def _refuse_recording(path: Path) -> None:
    if path.suffix != ".xdf":
        raise ConfigError(f"--out must end in .xdf, got {path.name!r}: take calibration.xdf.")
    for one in (path, path.with_suffix(".json")):
        if one.exists():
            raise ConfigError(f"{one} exists; a recording is never overwritten: take a new name.")


def _write_summary(told: dict[str, Any], path: Path) -> None:
    from .decoders.whole_files import whole_file

    with whole_file(path) as draft:
        draft.write_text(json_text(told) + "\n", encoding="utf-8")
