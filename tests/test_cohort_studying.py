"""The study of adaptation as a cohort: what came of a case is what the study itself has."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from diverloop import cohort_studying
from diverloop.cohort.engine import Ran
from diverloop.cohort.item import Place
from diverloop.cohort.outputs import Output, write_output
from diverloop.cohort_studying import StudySettings, done_of, study_item, study_items, study_recipe
from diverloop.rl.study.arms import usual_arms
from diverloop.rl.study.campaign_config import CampaignConfig
from diverloop.rl.study.figures import Row
from diverloop.rl.study.living import Course
from diverloop.runtime.errors import RecordingError
from diverloop.studying import ABRUPT, Done, Job, jobs_of

FEW = CampaignConfig(people=2, n_trials=30)
SETTINGS = StudySettings(config=FEW, root="/nowhere")


def invented(job: Job) -> Done:
    """What a case might have given, at no cost."""
    arms, rng = usual_arms(), np.random.default_rng(0)
    rows = [
        Row(
            person=f"{job.environment} {person}", group=job.drift, name=job.name, session=0,
            arm=arm.name, held=held, accuracy=float(rng.random()) if person else math.nan, n=20,
            promotions=1, rollbacks=0,
        )
        for person in range(3)
        for arm in arms
        for held in (True, False)
    ]  # fmt: skip
    course = Course(right=rng.random(30) > 0.4, sessions=np.arange(30) // 15, promotions=2)
    return Done(job=job, rows=rows, courses={arm.name: [course] * 3 for arm in arms})


def test_a_case_as_an_item_is_put_together_again_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(cohort_studying, "do", invented)
    jobs = jobs_of(FEW, root=None, environments=("MotorImagery",), drifts=(ABRUPT,))
    (item,) = study_items(jobs)
    row = study_item(item, SETTINGS, Place(folder=tmp_path, key="ab"))
    write_output(tmp_path, Output(key="ab", row=row))
    ran = Ran(items=(item,), keys={item.name: "ab"}, data={}, computed=(), reused=())
    found = done_of(ran, SETTINGS, tmp_path)
    known = invented(jobs[0])
    assert found[0].job == jobs[0]
    assert repr(found[0].rows) == repr(known.rows)  # NaN included
    assert found[0].courses.keys() == known.courses.keys()
    for arm, courses in known.courses.items():
        assert repr(found[0].courses[arm]) == repr(courses)
    assert row["n_courses"] == 3 * len(usual_arms())


def test_cases_of_recordings_name_their_files_and_fail_by_themselves(tmp_path):
    items = study_items(jobs_of(FEW, root=Path("/nowhere"), environments=()))
    assert items[0].files[0].startswith("/nowhere/")
    assert len({item.name for item in items}) == len(items)
    with pytest.raises(RecordingError, match="There is no file"):
        study_item(items[0], SETTINGS, Place(folder=tmp_path, key="ab"))
    why = {items[0].name: "It was not there."}
    ran = Ran(items=(items[0],), keys={}, data={}, computed=(), reused=(), unfinished=why)
    assert done_of(ran, SETTINGS, tmp_path)[0].failed == "It was not there."


def test_how_much_is_tried_is_part_of_the_key_and_the_folder_is_not():
    identity = study_recipe(SETTINGS).identity
    assert identity["people"] == 2
    assert "root" not in identity
