"""A cap put on again: turned, pushed, with other contacts."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.hardware.simulated_recap import Recap
from diverloop.hardware.simulator import SimulatedParticipant, SimulatorConfig
from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.errors import ConfigError


def signal(recap: Recap, seconds: float = 6.0):
    config = SimulatorConfig(seed=3, duration_s=seconds, recap=recap)
    someone = SimulatedParticipant(config, VirtualClock())
    someone.open()
    return someone.read(round(seconds * 250), 10**11).samples


def test_a_cap_that_is_never_put_on_again_changes_nothing():
    assert not Recap().happens
    np.testing.assert_array_equal(signal(Recap()), signal(Recap(turn_deg=90.0)))


def test_the_signal_is_the_same_before_and_another_after():
    whole, moved = signal(Recap()), signal(Recap(at_s=3.0))
    np.testing.assert_array_equal(whole[:, :750], moved[:, :750])
    assert not np.allclose(whole[:, 775:], moved[:, 775:])
    np.testing.assert_array_equal(moved, signal(Recap(at_s=3.0)))


def test_a_cap_that_is_only_touched_gives_the_same_signal_as_before():
    touched = Recap(at_s=3.0, turn_deg=0.0, shift_mm=0.0, gain_spread=0.0)
    np.testing.assert_allclose(signal(touched), signal(Recap()), rtol=1e-5)


def test_a_quarter_turn_to_the_left_brings_the_right_electrode_to_the_front():
    places = Recap(turn_deg=90.0, shift_mm=10.0).places(np.array([[0.08, 0.0, 0.02]]))
    np.testing.assert_allclose(places, [[0.0, 0.09, 0.02]], atol=1e-12)


def test_gains_are_positive_and_follow_the_seed():
    gains = Recap(gain_spread=0.4).gains(200, seed=5)
    assert gains.shape == (200, 1)
    assert (gains > 0).all()
    assert np.log(gains).std() == pytest.approx(0.4, abs=0.06)
    np.testing.assert_array_equal(gains, Recap(gain_spread=0.4).gains(200, seed=5))


@pytest.mark.parametrize(
    "wrong", [{"at_s": -1.0}, {"turn_deg": 181.0}, {"shift_mm": float("nan")}, {"gain_spread": 3.0}]
)
def test_what_cannot_be_is_refused_in_one_sentence(wrong):
    with pytest.raises(ConfigError, match="must be in"):
        Recap(**wrong)
