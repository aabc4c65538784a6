from __future__ import annotations

from diverloop.runtime.paradigms.guided import GuidedCalibration
from diverloop.runtime.paradigms.guided_course import GuidedCourse, Scene
from diverloop.runtime.paradigms.guided_plan import GuidedPlan

PLAN = GuidedPlan(rest_s=(2.0, 2.0), cue_s=1.0, trial_s=3.0)


def begun(at: int = 100) -> GuidedCourse:
    course = GuidedCourse(100.0)
    course.begin(GuidedCalibration(PLAN, seed=1).next_trial(), at)
    return course


def test_each_phase_begins_at_the_first_look_after_its_time_and_once():
    course, found = begun(), []
    for came in range(100, 900, 7):
        found += [(came, phase.kind) for phase in course.due(came)]
    assert [kind for _, kind in found] == ["rest", "cue", "trial", "end"]
    planned = (100, 300, 400, 700)
    late = [came - at for (came, _), at in zip(found, planned, strict=True)]
    assert all(0 <= each < 7 for each in late)
    assert course.over
    assert course.span == (found[1][0], found[3][0])


def test_it_waits_exactly_until_the_next_phase_and_no_longer_than_asked():
    course = begun()
    course.due(100)
    assert course.wanted(100, 1000) == 200
    assert course.wanted(295, 10) == 5
    assert course.wanted(100, 10) == 10
    assert course.wanted(400, 10) == 1  # late already
    assert GuidedCourse(100.0).wanted(0, 10) == 10


def test_a_stream_that_jumps_over_a_trial_leaves_a_trial_without_a_sample():
    course = begun()
    course.due(100)
    assert [phase.kind for phase in course.due(5000)] == ["cue", "trial", "end"]
    assert course.span == (5000, 5000)


def test_a_new_trial_knows_nothing_of_the_one_before():
    course = begun()
    course.due(5000)
    course.begin(None, 5000)
    assert (course.trial, course.over, course.cued) == (None, False, False)
    assert course.due(9000) == []


def test_a_scene_in_one_line_says_how_the_last_trial_went_only_where_that_does_not_disturb():
    scene = Scene(kind="rest", instruction="Rest.", trial=3, good=1, planned=8, last="Bad.")
    assert scene.line == "Trial 3: Rest. (1 of 8 good) Bad."
    cue = Scene(kind="cue", instruction="Now: left", trial=3, good=1, planned=8, last="Bad.")
    assert cue.line == "Trial 3: Now: left (1 of 8 good)"
    assert Scene(kind="wait", instruction="Wait.").line == "Wait."
