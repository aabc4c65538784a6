"""The guard's state, from what the loop says of it."""

from __future__ import annotations

import pytest

from diverloop.gui.guard_words import guard_state
from diverloop.runtime.limits import State


@pytest.mark.parametrize("state", list(State))
def test_every_state_is_read_from_the_words_of_the_loop(state):
    assert guard_state(f"The guard is {state}.") is state
    assert guard_state(f"The guard went from armed to {state}.") is state
    assert guard_state(f"guard is {state}") is state


def test_words_about_other_things_are_no_state_of_the_guard():
    assert guard_state("Nothing has come for 1 s; output is neutral.") is None
    assert guard_state("The amplifier has stopped.") is None
