import dataclasses

import numpy as np
import pytest

from diverloop.runtime.messages import Command, Event, EventKind
from diverloop.runtime.record.report.course import Course, last_state

LOST = ((20_000, 20_450), (52_000, 52_300), (80_000, 80_300))


@pytest.fixture
def course(whole):
    return Course(whole[0], LOST)


def test_the_guard_is_told_in_spans_that_fill_the_session(course):
    assert [span.what for span in course.guard] == [
        "disarmed", "armed", "stopped", "disarmed", "armed",
    ]  # fmt: skip
    assert course.stops_s == (300.0,)
    assert course.guard[-1].stop_s == course.duration_s
    ends = [span.stop_s for span in course.guard[:-1]]
    assert ends == [span.start_s for span in course.guard[1:]]


def test_a_session_that_behaved_acted_neither_on_loss_nor_when_shut(course):
    assert course.acted_on_loss() == 0
    assert course.acted_when_shut() == 0


def test_commands_on_lost_signal_are_counted(whole):
    record, _ = whole
    acted = next(t for t in record.turns if t.command.label is not None)
    first = acted.decision.first_sample
    one = Course(dataclasses.replace(record, turns=(acted,)), ((first + 5, first + 6),))
    assert one.acted_on_loss() == 1
    beside = Course(dataclasses.replace(record, turns=(acted,)), ((first - 9, first),))
    assert beside.acted_on_loss() == 0


def test_commands_while_shut_are_counted(whole):
    record, _ = whole
    shut = Event(kind=EventKind.GUARD, text="The guard is disarmed.", sample=0)
    acted = sum(turn.command.label is not None for turn in record.turns)
    assert Course(dataclasses.replace(record, events=(shut,)), ()).acted_when_shut() == acted


def test_speeds_are_those_at_which_the_output_moved(whole, course):
    assert len(course.speeds) == 0
    record, _ = whole
    still, moving = (
        dataclasses.replace(turn, command=Command(label=None, velocity=velocity))
        for turn, velocity in zip(record.turns, [(0.0, 0.0), (0.6, -0.8)], strict=False)
    )
    found = Course(dataclasses.replace(record, turns=(still, moving)), ())
    np.testing.assert_allclose(found.speeds, [0, 1])
    # What moves has left, whatever it is called.
    shut = Event(kind=EventKind.GUARD, text="The guard is disarmed.", sample=0)
    told = dataclasses.replace(record, turns=(still, moving), events=(shut,))
    assert Course(told, ()).acted_when_shut() == 1


def test_stages_add_up_to_the_whole(course):
    found = course.delays_ms
    parts = sum(found[name] for name in list(found)[:7])
    np.testing.assert_allclose(parts, found["total"])
    assert course.deadline_ms == 40.0
    assert course.n_missed == int((found["total"] > 40).sum()) > 0


def test_without_a_deadline_of_its_own_a_session_has_that_of_its_windows(whole):
    record = whole[0]

    def deadline_ms(**settings) -> float:
        manifest = dataclasses.replace(record.manifest, settings=settings)
        return Course(dataclasses.replace(record, manifest=manifest), ()).deadline_ms

    assert deadline_ms(loop={"deadline_s": 0.0}) == 200.0
    assert deadline_ms(loop={"deadline_s": 0.0}, model={"step_s": 0.1}) == 100.0
    assert np.isnan(deadline_ms(loop={}))


def test_refused_windows_do_not_flatter_the_delays(whole, course):
    decoded = [t for t in whole[0].turns if np.isfinite(t.decision.probabilities).all()]
    assert len(course.delays_ms["total"]) == len(decoded) < len(whole[0].turns)


def test_versions_of_weights_follow_each_other(course):
    assert [span.what for span in course.weights] == ["0", "1"]
    assert course.weights[0].stop_s == course.weights[1].start_s


def test_a_record_without_a_loop_has_an_empty_course(bare_record):
    empty = Course(bare_record(np.zeros((2, 500), np.float32)), ())
    assert empty.guard == ()
    assert empty.weights == ()
    assert empty.acted_on_loss() == empty.acted_when_shut() == 0
    assert not len(empty.delays_ms["total"])
    assert np.isnan(empty.deadline_ms)


def test_the_state_that_is_named_last_holds():
    assert last_state("The guard went from armed to stopped.") == "stopped"
    assert last_state("Something else.") == ""
