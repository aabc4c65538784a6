from __future__ import annotations

import pytest

from diverloop.gui.guard_words import guard_state
from diverloop.gui.participant.permission import (
    ENDED,
    SILENT,
    UNARMED,
    UNHEARD,
    Permission,
)
from diverloop.runtime.guard import Guard, Signal
from diverloop.runtime.messages import Event, EventKind

from ..told import a_stream
from .session_words import ARMED, DISARMED, RATE_HZ, RESET, STOPPED, a_decision, guard

CLASSES = ("left", "right")


def heard(*messages, armed=True):
    """A permission that heard some messages before frame 0."""
    permission = Permission(RATE_HZ, armed=armed)
    for message in messages:
        permission.take(message)
    return permission


def test_still_is_the_default_until_a_session_is_heard_and_the_guard_armed():
    permission = heard()
    assert permission.look(0) == UNHEARD
    permission.take(a_stream())
    assert permission.look(1) == UNARMED
    permission.take(guard("The guard is disarmed."))
    assert permission.look(2) == "guard is disarmed"
    permission.take(ARMED)
    assert permission.look(3) == ""


@pytest.mark.parametrize(
    "message",
    [
        STOPPED,
        DISARMED,
        Event(kind=EventKind.STOPPED, text="A person pressed stop."),
        Event(kind=EventKind.SEIZURE, text="Research guard: seizure-like activity."),
        Event(kind=EventKind.FAILED, text="The decoder failed.", lasting=True),
        a_decision("left", CLASSES, held_back="guard is disarmed"),
    ],
)
@pytest.mark.parametrize("armed", [True, False])
def test_whatever_ends_the_output_makes_still_in_the_next_frame(message, armed):
    permission = heard(ARMED, armed=armed)
    assert permission.look(0) == ""
    permission.take(message)
    assert permission.look(1)


def test_holding_is_for_a_moment_and_lets_stimuli_go_on():
    permission = heard(ARMED, guard("The guard went from armed to holding."))
    assert permission.look(0) == ""


def test_a_command_on_its_way_does_not_undo_a_stop():
    permission = heard(ARMED, STOPPED, a_decision("left", CLASSES))
    assert permission.look(0) == "guard is stopped"


def test_after_a_stop_a_person_arms_again_or_starts_again():
    permission = heard(ARMED, STOPPED)
    permission.start()
    assert permission.look(0)
    permission.take(RESET)
    permission.start()  # nothing is armed
    assert permission.look(1)
    permission.take(ARMED)
    assert permission.look(2) == ""


def test_a_calibration_arms_nothing_and_is_started_again_by_a_person():
    permission = heard(guard("The guard is disarmed."), armed=False)
    assert permission.look(0) == ""
    permission.take(guard("The guard went from disarmed to stopped."))
    permission.take(RESET)
    assert permission.look(1) == "guard is disarmed"
    permission.start()
    assert permission.look(2) == ""


def test_a_silent_session_makes_still_until_it_is_heard_again():
    permission = heard(ARMED)
    assert [permission.look(frame) for frame in (0, 120)] == ["", ""]
    assert permission.look(121) == SILENT
    permission.take(a_stream())
    assert permission.look(122) == ""


def test_what_was_blocked_stays_so_until_the_guard_is_armed_anew_or_a_person_starts():
    for again in (lambda p: [p.take(DISARMED), p.take(ARMED)], Permission.start):
        permission = heard(ARMED)
        permission.block(ENDED)
        permission.take(a_stream())
        assert permission.look(0) == ENDED
        again(permission)
        assert permission.look(1) == ""


def test_the_guard_of_the_loop_speaks_words_that_are_understood():
    told = Guard()
    for signal in (Signal.PERSON_ARMS, Signal.EMERGENCY_STOP, Signal.PERSON_RESETS):
        before = told.settled()
        told.tell(signal)
        text = f"The guard went from {before} to {told.settled()}."
        assert guard_state(text) is told.settled()
