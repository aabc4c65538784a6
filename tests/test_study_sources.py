"""What the shipped study names can be read, and is encoded by what calibration alone taught."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from diverloop.runtime.errors import ConfigError
from diverloop.study_sources import CasePlan, read_study, recorded_case

ROOT = os.environ.get("DIVERLOOP_DATA", "")


def test_the_shipped_study_names_people_tasks_and_sessions():
    plans = read_study()
    assert len({plan.person for plan in plans}) >= 10
    assert {plan.task for plan in plans} == {"motor_imagery", "ssvep", "p300"}
    assert all(plan.sessions and plan.calibration for plan in plans)


def test_a_study_with_an_unknown_key_is_refused(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text('[[case]]\nperson = "p"\nnames = "n"\n', encoding="utf-8")
    with pytest.raises(ConfigError, match="names"):
        read_study(path)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"span_s": (1.0,)}, "must be two times"),
        ({"one_of": 1}, "one of 2 items"),
        ({"one_of": 4, "repeats": 0}, "one of 2 items"),
        ({"calibration_part": (0.5, 0.2)}, "shares that rise"),
        ({"calibration_part": (0.0, 0.6), "sessions_part": (0.5, 1.0)}, "same part of a.npz"),
    ],
)
def test_a_case_that_cannot_be_judged_is_refused(wrong, words):
    case = {
        "person": "p", "name": "n", "task": "p300", "classes": ("a", "b"),
        "calibration": ("a.npz",), "sessions": (("a.npz",),),
        "calibration_part": (0.0, 0.5), "sessions_part": (0.5, 1.0),
    }  # fmt: skip
    assert CasePlan(**case).person == "p"
    with pytest.raises(ConfigError, match=words):
        CasePlan(**{**case, **wrong})


@pytest.mark.data
@pytest.mark.skipif(not ROOT, reason="needs the real recordings (DIVERLOOP_DATA)")
def test_a_case_is_read_and_decoded_above_chance():
    plan = next(plan for plan in read_study() if plan.person == "X04")
    case = recorded_case(Path(ROOT), plan)
    assert len(case.calibration) == len(case.sessions[0]) == 24
    right = [one.trial(0, case.head).decided == one.meant for one in case.sessions[0]]
    assert np.mean(right) > 0.6
    # What is decoded later has taught the encoder nothing.
    other = recorded_case(Path(ROOT), replace(plan, sessions=()))
    np.testing.assert_array_equal(case.calibration[0].features, other.calibration[0].features)
