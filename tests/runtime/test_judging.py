"""Every role asks for everything, with and without codes, at any hour."""

from __future__ import annotations

import pytest

from diverloop.runtime.access import LOOKING, SAFER, SECOND_FACTOR, Action, Role, Why, may
from diverloop.runtime.judging import Count, Judge, Pace
from diverloop.runtime.keys import new_curve_key
from diverloop.runtime.people import PEOPLE, People
from diverloop.runtime.second_factor import MOST_WRONG, STEP_S, SecondFactors, totp

MINUTE_NS = 60_000_000_000
OPEN = SAFER | LOOKING | {Action.HOLD}


class Room:
    """A judge, and one person of each role, with a wall clock of their own."""

    def __init__(self, folder):
        self.s = 1_700_000_000.0
        self.people = People(folder)
        self.folder = folder
        for role in Role:
            self.people.enrol(str(role), role, new_curve_key().public)
        codes = SecondFactors(folder / "used", lambda: self.s)
        self.judge = Judge(self.people, codes, lock_ns=15 * MINUTE_NS, began_ns=0)

    def code(self, role):
        self.s += STEP_S  # every code is a new one
        return totp(self.people.named(role).secret, int(self.s // STEP_S))

    def ask(self, role, action, code="", minute=0):
        person = self.people.named(role)
        return self.judge.verdict(person, action, code, minute * MINUTE_NS)


@pytest.fixture
def room(tmp_path):
    return Room(tmp_path)


def test_the_whole_matrix_is_judged_as_the_table_says(room):
    for role in Role:
        for action in Action:
            why = room.ask(role, action)
            if not may(role, action):
                assert why is Why.NOT_ALLOWED, (role, action)
            elif action in SECOND_FACTOR:
                assert why is Why.CODE_MISSING
                assert room.ask(role, action, room.code(role)) is None
            else:
                assert why is None, (role, action)


def test_a_code_gives_no_right_that_the_role_has_not(room):
    assert room.ask("engineer", Action.ARM, room.code("engineer")) is Why.NOT_ALLOWED
    assert room.ask("operator", Action.ENABLE_STIMULATION, room.code("operator")) is Why.NOT_ALLOWED


def test_fifteen_minutes_without_an_act_ask_for_a_code_and_never_for_a_stop(room):
    assert room.ask("operator", Action.ARM, minute=15) is None
    assert room.ask("operator", Action.ARM, minute=31) is Why.LOCKED
    for action in OPEN & {a for a in Action if may(Role.OPERATOR, a)}:
        assert room.ask("operator", action, minute=31) is None
    assert room.ask("operator", Action.ARM, minute=31) is Why.LOCKED, "a stop unlocks nothing"
    assert room.ask("operator", Action.ARM, "000000", minute=31) is Why.CODE_WRONG
    assert room.ask("operator", Action.ARM, room.code("operator"), minute=31) is None
    assert room.ask("operator", Action.NOTE, minute=45) is None


def test_looking_and_signs_of_life_are_no_acts(room):
    for minute in range(15):
        assert room.ask("operator", Action.STATUS, minute=minute) is None
        assert room.ask("operator", Action.HOLD, minute=minute) is None
    assert room.ask("operator", Action.ARM, minute=16) is Why.LOCKED


def test_who_comes_late_is_asked_for_a_code_first(room):
    assert room.ask("clinician", Action.RESET, minute=20) is Why.LOCKED
    assert room.ask("clinician", Action.RESET, room.code("clinician"), minute=20) is None


def test_somebody_locked_out_can_still_stop(room):
    for _ in range(MOST_WRONG):
        assert room.ask("clinician", Action.ENABLE_ADAPTATION, "1") is Why.CODE_WRONG
    assert room.ask("clinician", Action.ARM) is Why.LOCKED_OUT
    code = room.code("clinician")
    assert room.ask("clinician", Action.ENABLE_ADAPTATION, code) is Why.LOCKED_OUT
    assert room.ask("clinician", Action.STOP) is None


def test_when_the_list_cannot_be_read_only_safer_acts_count(room):
    (room.folder / PEOPLE).write_text("{")
    person = room.judge.known(room.people.all()[1].public_key)
    assert person.role is Role.OPERATOR
    assert room.judge.verdict(person, Action.STOP, "", 0) is None
    assert room.judge.verdict(person, Action.ARM, "", 0) is Why.UNCHECKED


def test_only_people_on_the_list_are_known(room):
    person = room.people.named("viewer")
    assert room.judge.known(person.public_key) == person
    assert room.judge.known("somebody") is Why.UNKNOWN_KEY
    room.people.revoke("viewer")
    assert room.judge.known(person.public_key) is Why.REVOKED


def test_a_pace_lets_a_burst_pass_and_then_its_rate():
    pace = Pace(10.0, 5)
    assert [pace.take(0) for _ in range(7)] == [True] * 5 + [False] * 2
    assert not pace.take(99_000_000)
    assert pace.take(101_000_000)
    assert not pace.take(101_000_000)
    assert [pace.take(10**12) for _ in range(7)] == [True] * 5 + [False] * 2


def test_a_number_counts_once_and_none_below_it():
    count = Count()
    assert [count.take(n) for n in (0, 1, 1, 5, 4, 5, 6)] == [
        False, True, False, True, False, False, True
    ]  # fmt: skip
