"""What a conditioner says: signal in its own count, and nothing said where there is nothing."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from diverloop.runtime.conditioned import Conditioned, Shut


@pytest.mark.parametrize("n_times", [0, 1, 37])
def test_it_ends_one_past_its_last_sample(n_times):
    found = Conditioned(samples=np.zeros((3, n_times)), first_sample=40)
    assert found.stop_sample == 40 + n_times
    assert type(found.stop_sample) is int


def test_a_quiet_conditioner_says_nothing_but_signal():
    found = Conditioned(samples=np.zeros((3, 4)), first_sample=0)
    assert (found.masks, found.shut, found.events, found.quality) == ((), (), (), None)


def test_what_is_shut_has_a_beginning_an_end_and_a_reason():
    with pytest.raises(TypeError, match="reason"):
        Shut(first=0, stop=1)
    assert dataclasses.astuple(Shut(first=0, stop=1, reason="why")) == (0, 1, "why")
