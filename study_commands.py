"""Commands of the studies: what adaptation gains and costs, measured on this machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import NOTICE, AsJson, err, out, plain_errors, print_json, progress_bar
from .runtime.errors import ConfigError
from .runtime.json_text import json_text

if TYPE_CHECKING:
    from .rl.study.campaign_config import CampaignConfig
    from .studying import Job

app = typer.Typer(
    help=f"Compare rules of adaptation on the same trials. {NOTICE}", no_args_is_help=True
)


class Part(StrEnum):
    """What is compared on."""

    ALL = "all"
    RECORDINGS = "recordings"
    SIMULATED = "simulated"


Data = Annotated[Path | None, typer.Option(envvar="DIVERLOOP_DATA", help="Folder of recordings.")]
Cases = Annotated[Path | None, typer.Option(help="Study file; the shipped one if left out.")]
People = Annotated[int, typer.Option(help="Simulated persons for each drift.", min=2)]
Seed = Annotated[int, typer.Option(help="Of the first person; 100 and up is for tuning.", min=0)]
Trials = Annotated[int, typer.Option(help="Of each simulated person.", min=30)]
Detector = Annotated[
    float, typer.Option(help="Balanced accuracy of the detector of errors.", min=0.5, max=0.99)
]
Drifts = Annotated[
    list[str] | None, typer.Option(help="Only these drifts; give it again for more.")
]
Workers = Annotated[int, typer.Option(help="Processes at a time; 0 for one a core.", min=0)]
Out = Annotated[Path, typer.Option("--out", help="Folder for table, figure and numbers.")]


@app.command()
def adaptation(
    data: Data = None,
    cases: Cases = None,
    part: Annotated[Part, typer.Option(help="What to compare on.")] = Part.ALL,
    drift: Drifts = None,
    people: People = 16,
    seed: Seed = 0,
    trials: Trials = 240,
    detector: Detector = 0.75,
    workers: Workers = 0,
    out_folder: Out = Path("study"),
    as_json: AsJson = False,
) -> None:
    """Frozen, recentred, pseudo-labels, reward, shuffled reward, bandit, oracle: side by side."""
    from .rl.study.campaign_config import CampaignConfig
    from .studying import do_all, markdown_of, report_of

    with plain_errors(as_json):
        config = CampaignConfig(
            people=people, first_seed=seed, n_trials=trials, balanced_accuracy=detector
        )
        jobs = study_jobs(config, data, cases, part, drift)
        out_folder.mkdir(parents=True, exist_ok=True)  # before hours of work, not after them
        with progress_bar("Comparing rules of adaptation") as tell:
            done = do_all(jobs, workers=workers or os.cpu_count() or 1, tell=tell)
        report = report_of(done, config)
        write_study(report, out_folder)
        if as_json:
            print_json(report)
        else:
            out.print(markdown_of(report), highlight=False, markup=False)
            out.print(f"Written to {out_folder}.", highlight=False, markup=False)


def study_jobs(
    config: CampaignConfig,
    data: Path | None,
    cases: Path | None,
    part: Part,
    drifts: Sequence[str] | None,
) -> list[Job]:
    """What there is to do for those who asked on the command line.

    Parameters
    ----------
    config : CampaignConfig
        How much is tried.
    data, cases : Path, optional
        Folder of recordings, and study file.
    part : Part
        What is compared on.
    drifts : sequence of str, optional
        Which; all if not given.

    Returns
    -------
    jobs : list of Job
        Recordings first.

    Raises
    ------
    ConfigError
        If there is no such drift, or no folder of recordings where one is needed.
    """
    from .studying import DRIFTS, jobs_of

    if unknown := sorted(set(drifts or ()) - set(DRIFTS)):
        raise ConfigError(f"There is no drift {unknown[0]!r}; known are {', '.join(DRIFTS)}.")
    if part is not Part.SIMULATED and data is None:
        raise ConfigError(
            "The study needs a folder of recordings: name it with --data, or leave them out "
            "with --part simulated."
        )
    return jobs_of(
        config,
        root=None if part is Part.SIMULATED else data,
        study=cases,
        environments=() if part is Part.RECORDINGS else ("MotorImagery", "P300Speller"),
        drifts=tuple(drifts or DRIFTS),
    )


def write_study(report: dict[str, Any], folder: Path) -> None:
    """Numbers, table, and the figure where there is a library that draws."""
    from .studying import markdown_of

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adaptation.json").write_text(json_text(report), encoding="utf-8")
    (folder / "adaptation.md").write_text(markdown_of(report), encoding="utf-8")
    if find_spec("matplotlib") is None:
        err.print("No figure was drawn: pip install 'diverloop[report]'.", markup=False)
        return
    from .rl.study.picture import draw_study

    draw_study(report, folder / "adaptation.png")
