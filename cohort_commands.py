"""Commands of cohorts: the same work on every recording of a folder, on every core there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import (
    NOTICE,
    AsJson,
    err,
    figures_table,
    out,
    plain_errors,
    print_json,
    progress_bar,
)
from .model_commands import Decoded, need_torch
from .runtime.errors import ConfigError
from .study_commands import Part, study_jobs, write_study

if TYPE_CHECKING:
    from .cohort.clusters import ClusterConfig
    from .cohort.engine import Ran
    from .cohort.item import Item, Recipe

app = typer.Typer(
    help=f"The same work on every recording of a folder or BIDS dataset. {NOTICE}",
    no_args_is_help=True,
)


class By(StrEnum):
    """What a model is fitted for."""

    RECORDING = "recording"
    SUBJECT = "subject"


_DASK = "Who does the work"
Folder = Annotated[Path, typer.Argument(help="Folder of recordings, or BIDS dataset.")]
Results = Annotated[Path, typer.Option("--out", help="Folder of results; goes on with its own.")]
Pattern = Annotated[
    str, typer.Option(help="Regular expression with one group that finds the subject in a path.")
]
Unit = Annotated[str | None, typer.Option(help="Unit of recordings that name none.")]
Retry = Annotated[bool, typer.Option("--retry-failed", help="Try again what failed before.")]
Workers = Annotated[
    int,
    typer.Option(help="Processes, or SLURM jobs; 0: one a core.", min=0, rich_help_panel=_DASK),
]
Scheduler = Annotated[
    str, typer.Option(help="Address of a Dask scheduler that runs.", rich_help_panel=_DASK)
]
Slurm = Annotated[
    list[str] | None,
    typer.Option(
        help="Ask SLURM: queue=NAME, cores=4, memory=16GB, walltime=02:00:00; give it again for "
        "more.",
        rich_help_panel=_DASK,
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What every command of a cohort is asked.

    Parameters
    ----------
    results : Path
        Folder.
    cluster : ClusterConfig
        Who does the work.
    retry_failed : bool
        Whether failures that were kept are tried again.
    json : bool
        For a program, not for a person.
    """

    results: Path
    cluster: ClusterConfig
    retry_failed: bool
    json: bool


@app.command()
def replay(
    folder: Folder,
    model: Annotated[
        list[Path],
        typer.Option(
            help="Fitted bundle; of several, the first that takes a recording decodes it."
        ),
    ],
    results: Results,
    step_s: Annotated[float | None, typer.Option(help="Another window step.")] = None,
    engine: Annotated[str, typer.Option(help="What runs a student: NAME or NAME:PRECISION.")] = (
        "auto"
    ),
    assume_unit: Unit = None,
    subject_pattern: Pattern = "",
    retry_failed: Retry = False,
    workers: Workers = 0,
    scheduler: Scheduler = "",
    slurm: Slurm = None,
    json: AsJson = False,
) -> None:
    """Decode every recording through the live loop, as `replay` does one: a row each."""
    with plain_errors(json):
        asked = _asked(results, workers, scheduler, slurm, retry_failed, json)
        from .cohort_replaying import ReplaySettings, replay_recipe
        from .runtime.bundle import load_bundle

        settings = ReplaySettings(
            models=tuple((str(one.resolve()), load_bundle(one).card.sha256) for one in model),
            step_s=step_s,
            engine=engine,
            assume_unit=assume_unit,
        )
        items = _found(folder, subject_pattern, results)
        _run(items, replay_recipe(settings), asked)


@app.command()
def fit(
    folder: Folder,
    results: Results,
    by: Annotated[By, typer.Option(help="One model for each.")] = By.RECORDING,
    task: Decoded = "motor_imagery",
    encoder: Annotated[str, typer.Option(help="auto, or the name of a way.")] = "auto",
    classes: Annotated[str, typer.Option(help="Marker labels, with commas between.")] = "",
    start_s: Annotated[float | None, typer.Option(help="From the cue.")] = None,
    stop_s: Annotated[float | None, typer.Option(help="From the cue.")] = None,
    window_s: Annotated[float | None, typer.Option(help="Length of a window.")] = None,
    step_s: Annotated[float | None, typer.Option(help="From one decision to the next.")] = None,
    assume_unit: Unit = None,
    subject_pattern: Pattern = "",
    retry_failed: Retry = False,
    workers: Workers = 0,
    scheduler: Scheduler = "",
    slurm: Slurm = None,
    json: AsJson = False,
) -> None:
    """Fit a model for every recording, or every subject, judged on trials it had not seen."""
    with plain_errors(json):
        asked = _asked(results, workers, scheduler, slurm, retry_failed, json)
        from .cohort.finding import by_subject
        from .cohort_fitting import FitSettings, fit_recipe
        from .runtime.record.signing import load_or_create_key

        names = tuple(name.strip() for name in classes.split(",") if name.strip())
        if classes and len(names) < 2:
            raise ConfigError(f"--classes needs two labels or more, got {classes!r}.")
        settings = FitSettings(
            task=task,
            encoder=encoder,
            classes=names,
            start_s=start_s,
            stop_s=stop_s,
            window_s=window_s,
            step_s=step_s,
            assume_unit=assume_unit,
        )
        settings.plans()  # what cannot be is said before anything starts
        load_or_create_key()  # once, before many workers ask for it
        items = _found(folder, subject_pattern, results)
        chosen = by_subject(items) if by is By.SUBJECT else items
        _run(chosen, fit_recipe(settings), asked)


@app.command()
def features(
    folder: Folder,
    results: Results,
    teacher: Annotated[
        Path | None, typer.Option(help="Teacher: our own, or a published checkpoint.")
    ] = None,
    student: Annotated[str, typer.Option(help="Or a student: a shipped one, or a path.")] = "",
    segment_s: Annotated[float, typer.Option(help="Length of a segment.")] = 10.0,
    line_hz: Annotated[float, typer.Option(help="Mains frequency; 0 for none.", min=0)] = 50.0,
    half: Annotated[bool, typer.Option("--half", help="Keep float16.")] = False,
    assume_unit: Unit = None,
    subject_pattern: Pattern = "",
    retry_failed: Retry = False,
    workers: Workers = 0,
    scheduler: Scheduler = "",
    slurm: Slurm = None,
    json: AsJson = False,
) -> None:
    """What a teacher or a student makes of every recording, in shards, for distillation."""
    with plain_errors(json):
        asked = _asked(results, workers, scheduler, slurm, retry_failed, json)
        if (teacher is None) is not bool(student):
            raise ConfigError(
                "Name either a teacher or a student: --teacher PATH, --student eeg-s."
            )
        need_torch()
        from .cohort_features import FeatureSettings, features_recipe
        from .decoders.downloading import file_sha256
        from .decoders.shipped import find_student

        path = teacher or find_student(student)[0]
        settings = FeatureSettings(
            kind="teacher" if teacher else "student",
            model=str(path.resolve()),
            sha256=file_sha256(path),
            segment_s=segment_s,
            line_hz=line_hz,
            half=half,
            assume_unit=assume_unit,
        )
        items = _found(folder, subject_pattern, results)
        _run(items, features_recipe(settings), asked)


@app.command()
def study(
    results: Results,
    data: Annotated[
        Path | None, typer.Option(envvar="DIVERLOOP_DATA", help="Folder of recordings.")
    ] = None,
    cases: Annotated[Path | None, typer.Option(help="Study file; the shipped one if left out.")] = (
        None
    ),
    part: Annotated[Part, typer.Option(help="What to compare on.")] = Part.ALL,
    drift: Annotated[list[str] | None, typer.Option(help="Only these; again for more.")] = None,
    people: Annotated[int, typer.Option(help="Simulated persons for each drift.", min=2)] = 16,
    seed: Annotated[int, typer.Option(help="Of the first person.", min=0)] = 0,
    trials: Annotated[int, typer.Option(help="Of each simulated person.", min=30)] = 240,
    retry_failed: Retry = False,
    workers: Workers = 0,
    scheduler: Scheduler = "",
    slurm: Slurm = None,
    json: AsJson = False,
) -> None:
    """The study of adaptation, as `study adaptation`: each case once, on whichever worker."""
    with plain_errors(json):
        asked = _asked(results, workers, scheduler, slurm, retry_failed, json)
        from .cohort_studying import StudySettings, done_of, study_items, study_recipe
        from .rl.study.campaign_config import CampaignConfig
        from .studying import report_of

        config = CampaignConfig(people=people, first_seed=seed, n_trials=trials)
        jobs = study_jobs(config, data, cases, part, drift)
        root = str(data.resolve()) if data and part is not Part.SIMULATED else ""
        settings = StudySettings(config=config, root=root)
        ran = _run(study_items(jobs), study_recipe(settings), asked)
        write_study(report_of(done_of(ran, settings, results), config), results)


def _asked(
    results: Path,
    workers: int,
    scheduler: str,
    slurm: list[str] | None,
    retry_failed: bool,
    json: bool,
) -> Asked:
    """What is common to all commands; a cluster that cannot be is refused before anything else."""
    from .cohort.clusters import ClusterConfig, SlurmConfig

    config = SlurmConfig.parse(slurm) if slurm else None
    cluster = ClusterConfig(workers=workers, scheduler=scheduler, slurm=config)
    return Asked(results=results, cluster=cluster, retry_failed=retry_failed, json=json)


def _found(folder: Path, subject_pattern: str, results: Path) -> list[Item]:
    from .cohort.finding import find_recordings
    from .hardware.recordings import READERS

    return find_recordings(
        folder, tuple(READERS), subject_pattern=subject_pattern, leave_out=[results]
    )


def _run(items: Sequence[Item], recipe: Recipe, asked: Asked) -> Ran:
    """Run a cohort, write what came of it, and tell."""
    from .cohort.table import rows_of, write_table, write_timings
    from .cohort_report import summary_of, write_summary

    ran = _computed(items, recipe, asked)
    rows = rows_of(ran, recipe, asked.results)
    table = write_table(rows, recipe, asked.results)
    write_timings(ran, asked.results)
    summary = summary_of(ran, rows, recipe.kind)
    write_summary(summary, asked.results)
    if asked.json:
        print_json({**summary, "table": str(table)})
    else:
        _tell(summary, table)
    return ran


def _computed(items: Sequence[Item], recipe: Recipe, asked: Asked) -> Ran:
    from .cohort.clusters import open_client
    from .cohort.engine import needed_bytes, run_cohort

    largest = max(map(needed_bytes, items), default=0)
    with (
        progress_bar("starting workers") as tell,
        open_client(asked.cluster, largest) as client,
    ):
        _tell_dashboard(client, asked.json)
        return run_cohort(
            client,
            items,
            recipe,
            asked.results,
            tell,
            retry_failed=asked.retry_failed,
        )


def _tell_dashboard(client: Any, json: bool) -> None:
    from .cohort.clusters import has_dashboard

    if json:
        return
    if has_dashboard() and client.dashboard_link:
        err.print(f"Dask dashboard: {client.dashboard_link}", highlight=False, markup=False)
    else:
        err.print("No Dask dashboard: pip install bokeh.", highlight=False, markup=False)


def _tell(summary: dict[str, Any], table: Path) -> None:
    from .cohort_report import counts_sentence, failure_groups, score_sentence, subject_rows

    out.print(NOTICE, highlight=False, markup=False)
    for measure, scores in summary["measures"].items():
        columns = ("subject", "recordings", "judged", measure, "95 % interval")
        out.print(figures_table(columns, subject_rows(scores)))
        out.print(score_sentence(measure, scores), highlight=False, markup=False)
    for why, n in summary["unscored"].items():
        out.print(f"{n} not judged: {why}", highlight=False, markup=False)
    for reason, names in failure_groups(summary):
        which = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
        out.print(f"Failed: {which}: {reason}", highlight=False, markup=False)
    out.print(counts_sentence(summary), highlight=False, markup=False)
    text = f"Table: {table}; all failures: summary.html beside it."
    out.print(text, highlight=False, markup=False)
