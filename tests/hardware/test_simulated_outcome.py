"""The task says what came of a trial, never what was asked for."""

from __future__ import annotations

import math

import numpy as np
import pytest

from diverloop.hardware.simulated_outcome import RIGHT, WRONG, OutcomePlan, OutcomeTeller
from diverloop.hardware.simulated_task import Pace, Timeline
from diverloop.hardware.simulator import SimulatorConfig
from diverloop.runtime.errors import ConfigError

CLASSES, RATE_HZ = ("left", "right"), 100.0
PACE = Pace(rest_s=0.5, intent_s=2.5, pause_s=(0.5, 0.5))


def told(decoder, seconds=60.0, **plan):
    """Outcomes when a decoder that knows the truth answers ten times a second."""
    timeline = Timeline("motor_imagery", CLASSES, RATE_HZ, 1, PACE)
    teller = OutcomeTeller(OutcomePlan(told=True, **plan), timeline.between, RATE_HZ, 1)
    found = []
    for stop in range(100, round(seconds * RATE_HZ), 10):
        found += teller.due((stop - 10) / RATE_HZ)
        teller.take(CLASSES, decoder(timeline.intended_at(stop / RATE_HZ - 0.01)), stop - 100, stop)
    return found


def knows(label):
    return np.array([0.9, 0.1]) if label == "left" else np.array([0.1, 0.9])


def test_a_decoder_that_is_right_is_told_so_and_one_that_is_wrong_too():
    assert {one.told for one in told(knows)} == {RIGHT}
    assert {one.told for one in told(lambda label: knows(label)[::-1])} == {WRONG}


def test_each_trial_is_told_once_after_it_is_over():
    found = told(knows)
    assert len(found) > 10
    assert len({one.trial.cue_s for one in found}) == len(found)
    assert all(one.at_s == pytest.approx(one.trial.cue_s + 3.4) for one in found)


def test_of_a_trial_in_which_nothing_was_decoded_nothing_is_told():
    assert {one.told for one in told(lambda label: np.full(2, math.nan))} == {""}


def test_a_task_is_mistaken_as_often_as_it_is_told_to_be():
    found = told(knows, 1600.0, mistaken=0.2)
    assert np.mean([one.told == WRONG for one in found]) == pytest.approx(0.2, abs=0.06)
    assert all(one.decided == one.trial.label for one in found)


def test_what_cannot_be_is_refused_in_one_sentence():
    for wrong in ({"from_s": 4.0}, {"delay_s": 0.0}, {"trial_s": math.nan}, {"mistaken": 2.0}):
        with pytest.raises(ConfigError):
            OutcomePlan(**wrong)
    with pytest.raises(ConfigError, match="needs the task"):
        SimulatorConfig(task="ssvep", outcome=OutcomePlan(told=True))


def test_a_pace_that_cannot_be_is_refused():
    for wrong in ({"rest_s": -1.0}, {"intent_s": 0.1}, {"pause_s": (2.0, 1.0)}):
        with pytest.raises(ConfigError, match="simulator"):
            Pace(**wrong)
