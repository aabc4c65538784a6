"""The matrix of roles and actions, written out a second time, and permissions that end."""

from __future__ import annotations

import pytest

from diverloop.runtime.access import (
    RIGHTS,
    SAFER,
    SECOND_FACTOR,
    WITHDRAWN_BY,
    Action,
    Permission,
    Permissions,
    Role,
    may,
)

# Viewer, operator, clinician, engineer: as a person would draw it.
MATRIX = {
    "watch": "yyyy",
    "status": "yyyy",
    "stop": "yyyy",
    "disarm": "yyyy",
    "ignore": "yyyy",
    "let_go": "yyyy",
    "disable_adaptation": "yyyy",
    "disable_stimulation": "yyyy",
    "arm": "nyyn",
    "listen": "nyyn",
    "hold": "nyyn",
    "note": "nyyy",
    "roll_back": "nyyy",
    "reset": "nnyn",
    "enable_adaptation": "nnyn",
    "enable_stimulation": "nnyn",
}


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("action", Action)
def test_a_role_may_do_what_the_matrix_says_and_nothing_else(role, action):
    assert may(role, action) is (MATRIX[action][list(Role).index(role)] == "y")


def test_what_makes_things_safer_is_open_to_everybody_and_what_grants_is_a_clinicians():
    assert all(rights >= SAFER for rights in RIGHTS.values())
    assert {role for role in Role if RIGHTS[role] & SECOND_FACTOR} == {Role.CLINICIAN}
    assert set(WITHDRAWN_BY.values()) == SECOND_FACTOR
    assert not SAFER & SECOND_FACTOR


def test_a_permission_ends_by_itself():
    held = Permissions()
    assert not held.holds(Action.ENABLE_STIMULATION, 0)
    held.grant(Permission(action=Action.ENABLE_STIMULATION, who="p1", until_ns=100))
    assert held.holds(Action.ENABLE_STIMULATION, 99)
    assert held.current(Action.ENABLE_STIMULATION, 99).who == "p1"
    assert not held.holds(Action.ENABLE_STIMULATION, 100)
    assert not held.holds(Action.ENABLE_ADAPTATION, 0)


def test_a_permission_can_be_taken_back():
    held = Permissions()
    for action in SECOND_FACTOR:
        held.grant(Permission(action=action, who="p1", until_ns=100))
    assert held.withdraw(Action.ENABLE_STIMULATION)
    assert not held.withdraw(Action.ENABLE_STIMULATION)
    assert held.holds(Action.ENABLE_ADAPTATION, 0)
    held.withdraw_all()
    assert not held.holds(Action.ENABLE_ADAPTATION, 0)
