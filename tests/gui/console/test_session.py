"""What is known of a session."""

from __future__ import annotations

import pytest

from diverloop.gui.console.session import Limits, Model, Session


@pytest.mark.parametrize(("electrodes", "allowed"), [(16, 2), (20, 2), (64, 6), (256, 25)])
def test_two_electrodes_or_a_tenth_may_be_bad(electrodes, allowed):
    assert Limits().allowed(electrodes) == allowed
    names = tuple(map(str, range(allowed)))
    assert not Session(electrodes=electrodes, bad=names).too_many_bad
    assert Session(electrodes=electrodes, bad=(*names, "x")).too_many_bad


def test_a_model_beats_chance_only_with_the_low_end_of_its_interval():
    model = Model(accuracy=0.7, low=0.51, high=0.85, chance=0.5, trials=20)
    assert model.beats_chance
    assert not Model(accuracy=0.7, low=0.5, high=0.85, chance=0.5, trials=20).beats_chance
