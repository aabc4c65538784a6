"""The study of adaptation as a cohort: each case is an item, done once, on whichever worker."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .cohort.engine import Ran
from .cohort.item import ColumnType, Item, Place, Recipe
from .cohort.outputs import read_output
from .cohort_replaying import READ_BY
from .rl.study.campaign_config import CampaignConfig
from .rl.study.figures import Row
from .rl.study.living import Course
from .runtime.errors import RecordingError
from .runtime.settings import build
from .study_sources import CasePlan
from .studying import Done, Job, do

COLUMNS: Mapping[str, ColumnType] = {
    "part": "string", "persons": "int64", "n_rows": "int64", "n_courses": "int64",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class StudySettings:
    """How much is tried, and where the recordings are.

    Parameters
    ----------
    config : CampaignConfig
        How much.
    root : str
        Folder of recordings, under a path that every worker sees; empty without recordings.
    """

    config: CampaignConfig
    root: str = ""


def study_recipe(settings: StudySettings) -> Recipe:
    """What a cohort does with every case of a study.

    Parameters
    ----------
    settings : StudySettings
        How.

    Returns
    -------
    recipe : Recipe
        For `diverloop.cohort.engine.run_cohort`.
    """
    return Recipe(
        kind="study",
        work=study_item,
        settings=settings,
        identity=asdict(settings.config),
        columns=COLUMNS,
        code=(
            "calibration.py", "cleaning.py", "cohort_studying.py", "fit_plan.py", "gathering.py",
            "study_sources.py", "studying.py", "training_sources.py", "adapters", "decoders",
            "hardware", "rl", "runtime",
        ),
        libraries=("numpy", "scipy", "scikit-learn", "gymnasium", "torch"),
        readers=READ_BY,
    )  # fmt: skip


def study_items(jobs: Sequence[Job]) -> list[Item]:
    """The cases of a study as items.

    Parameters
    ----------
    jobs : sequence of Job
        From `diverloop.studying.jobs_of`.

    Returns
    -------
    items : list of Item
        One a job, in the same order. A case whose recordings are not there is an item all the
        same, and fails by itself.
    """
    return [_item(job) for job in jobs]


def _item(job: Job) -> Item:
    if job.plan is None:
        asked = {"environment": job.environment, "drift": job.drift}
        return Item(name=job.name, n_recordings=0, asked=asked)
    plan, root = job.plan, Path(job.root).resolve()
    names = dict.fromkeys((*plan.calibration, *(n for session in plan.sessions for n in session)))
    paths = [root / name for name in names]
    return Item(
        name=job.name,
        subject=plan.person,
        task=plan.task,
        files=tuple(map(str, paths)),
        n_recordings=len(paths),
        n_bytes=sum(path.stat().st_size for path in paths if path.is_file()),
        asked={"plan": asdict(plan)},
    )


def study_item(item: Item, settings: StudySettings, place: Place) -> dict[str, Any]:
    """Do one case.

    Parameters
    ----------
    item : Item
        From `study_items`.
    settings : StudySettings
        How much is tried.
    place : Place
        Not used: the row is all there is.

    Returns
    -------
    row : dict
        The columns of `COLUMNS`, and behind them what `done_of` puts together again.

    Raises
    ------
    RecordingError
        If it could not be done.
    """
    del place
    done = do(_job(item, settings))
    if done.failed:
        raise RecordingError(done.failed)
    return {
        "part": "recorded" if done.job.plan else "simulated",
        "persons": len({row.person for row in done.rows}),
        "n_rows": len(done.rows),
        "n_courses": sum(map(len, done.courses.values())),
        "rows": [asdict(row) for row in done.rows],
        "courses": {arm: [_plain(one) for one in courses] for arm, courses in done.courses.items()},
    }


def _job(item: Item, settings: StudySettings) -> Job:
    if "plan" not in item.asked:
        return Job(config=settings.config, **item.asked)
    plan = build(CasePlan, item.asked["plan"], "case")
    return Job(config=settings.config, plan=plan, root=settings.root)


def _plain(course: Course) -> dict[str, Any]:
    return {
        "right": course.right.astype(int).tolist(),
        "sessions": course.sessions.tolist(),
        "promotions": course.promotions,
        "rollbacks": course.rollbacks,
    }


def done_of(ran: Ran, settings: StudySettings, folder: Path) -> list[Done]:
    """What came of every case, as the study's own report takes it.

    Parameters
    ----------
    ran : Ran
        What was run.
    settings : StudySettings
        As it was run.
    folder : Path
        Of the results.

    Returns
    -------
    done : list of Done
        In order of names.
    """
    found = []
    for item in ran.items:
        job = _job(item, settings)
        output = read_output(folder, ran.keys.get(item.name, ""))
        if output is None or output.failed:
            why = output.failed if output else ran.unfinished.get(item.name, "it was lost")
            found.append(Done(job=job, failed=why))
            continue
        rows = [Row(**_numbers(row)) for row in output.row["rows"]]
        courses = {
            arm: [_course(one) for one in courses] for arm, courses in output.row["courses"].items()
        }
        found.append(Done(job=job, rows=rows, courses=courses))
    return found


def _numbers(row: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has no NaN."""
    return {**row, "accuracy": math.nan if row["accuracy"] is None else row["accuracy"]}


def _course(told: Mapping[str, Any]) -> Course:
    return Course(
        right=np.array(told["right"], dtype=np.bool_),
        sessions=np.array(told["sessions"], dtype=np.int64),
        promotions=told["promotions"],
        rollbacks=told["rollbacks"],
    )
