"""The study of adaptation on every core: what there is to do, done apart, put together again."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from .rl.study.arms import FROZEN, ORACLE, usual_arms
from .rl.study.campaign_config import SCORED_FROM, CampaignConfig
from .rl.study.figures import Row, trials_to
from .rl.study.living import Course
from .rl.study.summary import as_markdown, reward_over_shuffled, summarise
from .rl.study.worlds import Place
from .runtime.errors import ConfigError, DiverloopError
from .study_sources import CasePlan, read_study, recorded_case

ABRUPT = "abrupt_recap"
DRIFTS = (
    "none", "shift", "rotation", "class_selective", ABRUPT, "gain", "channel_death",
    "strategy_switch", "adversarial",
)  # fmt: skip
NOTICE = "Investigational, not a medical device."
_KILLED = "A process was killed, mostly for want of memory: try again with fewer --workers."

Tell = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A part of the study that can be done by itself.

    Parameters
    ----------
    config : CampaignConfig
        How much is tried.
    plan : CasePlan, optional
        A recording; with its folder.
    root : str
        Folder of recordings.
    environment, drift : str
        A simulation, where there is no recording.
    """

    config: CampaignConfig
    plan: CasePlan | None = None
    root: str = ""
    environment: str = ""
    drift: str = ""

    @property
    def name(self) -> str:
        """What a person calls it."""
        if self.plan:
            return f"{self.plan.name} ({self.plan.person})"
        return f"{self.environment}, {self.drift}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What came of a job.

    Parameters
    ----------
    job : Job
        Which.
    rows : list of Row
        Accuracies.
    courses : dict
        Every course of the held arms and of both ends, by arm; kept for abrupt drifts alone.
    failed : str
        Why it could not be done; empty if it was.
    """

    job: Job
    rows: list[Row] = field(default_factory=list)
    courses: dict[str, list[Course]] = field(default_factory=dict)
    failed: str = ""


def jobs_of(
    config: CampaignConfig,
    *,
    root: Path | None,
    study: Path | None = None,
    environments: Sequence[str] = ("MotorImagery", "P300Speller"),
    drifts: Sequence[str] = DRIFTS,
) -> list[Job]:
    """What there is to do.

    Parameters
    ----------
    config : CampaignConfig
        How much is tried.
    root : Path or None
        Folder of recordings; None leaves them out.
    study : Path, optional
        Which of them; the shipped study by default.
    environments, drifts : sequence of str
        What is simulated.

    Returns
    -------
    jobs : list of Job
        Recordings first.

    Raises
    ------
    ConfigError
        If the study file cannot be used.
    """
    plans = () if root is None else read_study(study) if study else read_study()
    jobs = [Job(config=config, plan=plan, root=str(root)) for plan in plans]
    return jobs + [
        Job(config=config, environment=environment, drift=drift)
        for environment in environments
        for drift in drifts
    ]


def do(job: Job) -> Done:
    """Do one job; whatever goes wrong with it is told, and the others go on.

    Parameters
    ----------
    job : Job
        Which.

    Returns
    -------
    done : Done
        With rows, or with the reason why not.
    """
    from .rl.study.campaign import run_places

    courses: dict[str, list[Course]] = {}

    def keep(place: Place, arm: Any, held: bool, course: Course) -> None:
        if job.drift == ABRUPT and (held or arm.name in (FROZEN, ORACLE)):
            courses.setdefault(arm.name, []).append(course)

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            places, scored_from = _places(job)
            rows = run_places(places, usual_arms(), scored_from=scored_from, keep=keep)
    # One recording that cannot be read must not end a night's work.
    except (DiverloopError, ValueError, OSError) as error:
        return Done(job=job, failed=f"{type(error).__name__}: {error}")
    return Done(job=job, rows=rows, courses=courses)


def _places(job: Job) -> tuple[list[Place], float]:
    from .rl.study.campaign import recorded_places, simulated_places

    if job.plan is not None:
        case = recorded_case(Path(job.root), job.plan)
        return list(recorded_places(case, job.config)), SCORED_FROM["recorded"]
    settings = _settings(job.drift, job.config)
    places = simulated_places(job.environment, job.drift, settings, job.config)
    return list(places), SCORED_FROM["simulated"]


def _settings(drift: str, config: CampaignConfig) -> dict[str, object]:
    if drift == "none":
        return {}
    if drift in (ABRUPT, "strategy_switch"):
        return {"onset": config.onset}
    return {"onset": config.n_trials // 12, "over": round(0.6 * config.n_trials)}


def do_all(jobs: Sequence[Job], *, workers: int, tell: Tell) -> list[Done]:
    """Do all jobs, several at a time, each in a process of its own.

    Parameters
    ----------
    jobs : sequence of Job
        Which.
    workers : int
        How many processes.
    tell : callable
        Told what is done, how far, and of how much.

    Returns
    -------
    done : list of Done
        In the order of the jobs, however they ended.
    """
    # One thread each: the matrices are small, and processes share the cores.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if workers < 1:
        raise ConfigError(f"workers must be at least 1, got {workers}: give a number of cores.")
    found: dict[int, Done] = {}
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        waiting = {pool.submit(do, job): place for place, job in enumerate(jobs)}
        for future in as_completed(waiting):
            place = waiting[future]
            try:
                found[place] = future.result()
            except BrokenProcessPool:
                found[place] = Done(job=jobs[place], failed=_KILLED)
            tell(jobs[place].name, len(found), len(jobs))
    return [found[place] for place in range(len(jobs))]


def report_of(done: Sequence[Done], config: CampaignConfig) -> dict[str, Any]:
    """The whole study as plain data.

    Parameters
    ----------
    done : sequence of Done
        From `do_all`.
    config : CampaignConfig
        How much was tried.

    Returns
    -------
    report : dict
        Ready for JSON: a table for recordings, for each environment over all drifts, and for each
        kind of recording and each drift.
    """
    arms = usual_arms()
    recorded = [row for one in done if one.job.plan for row in one.rows]
    simulated = [row for one in done if not one.job.plan for row in one.rows]
    parts: dict[str, list[Row]] = {"all recordings": recorded}
    for row in recorded:
        parts.setdefault(f"recordings, {row.group}", []).append(row)
    for name in sorted({one.job.environment for one in done if one.job.environment}):
        parts[f"{name}, all drifts"] = [r for r in simulated if r.person.startswith(f"{name} ")]
        for drift in DRIFTS:
            parts[f"{name}, {drift}"] = [
                r for r in parts[f"{name}, all drifts"] if r.group == drift
            ]
    return {
        "notice": NOTICE,
        "detector_balanced_accuracy": config.balanced_accuracy,
        "persons_simulated": [config.first_seed, config.first_seed + config.people - 1],
        "failed": {one.job.name: one.failed for one in done if one.failed},
        "parts": {
            name: {
                "arms": summarise(rows, arms),
                "reward_over_shuffled": {
                    "on": reward_over_shuffled(rows, True).as_dict(),
                    "off": reward_over_shuffled(rows, False).as_dict(),
                },
            }
            for name, rows in parts.items()
            if rows
        },
        "trials_to_90_percent_of_oracle": {
            one.job.name: {
                arm: trials_to(one.courses, arm, config.onset).as_dict()
                for arm in one.courses
                if arm not in (FROZEN, ORACLE)
            }
            for one in done
            if one.courses
        },
    }


def markdown_of(report: dict[str, Any]) -> str:
    """The study as a page to read.

    Parameters
    ----------
    report : dict
        From `report_of`.

    Returns
    -------
    text : str
        Markdown, a table for each part.
    """
    lines = ["# Rules of adaptation, compared", "", NOTICE, ""]
    for name, part in report["parts"].items():
        over = part["reward_over_shuffled"]["on"]
        lines += [f"## {name}", "", as_markdown(part["arms"]), ""]
        if over["value"] is not None:
            interval = (
                "" if over["low"] is None else f" ({over['low']:+.3f} to {over['high']:+.3f})"
            )
            lines += [f"Reward minus shuffled reward: {over['value']:+.3f}{interval}.", ""]
    for name, arms in report["trials_to_90_percent_of_oracle"].items():
        lines += [f"## Trials to 90 % of the oracle, {name}", ""]
        lines += [f"- {arm}: {_trials(one)}" for arm, one in arms.items()] + [""]
    for name, why in report["failed"].items():
        lines.append(f"Left out: {name}: {why}")
    return "\n".join(lines)


def _trials(one: dict[str, Any]) -> str:
    if one["value"] is None:
        return "not reached"
    low, high = ("never" if end == math.inf else f"{end:.0f}" for end in (one["low"], one["high"]))
    return f"{one['value']:.0f} ({low} to {high})"
