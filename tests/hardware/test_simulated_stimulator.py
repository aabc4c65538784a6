from __future__ import annotations

import math

import pytest

from diverloop.hardware.simulated_stimulator import (
    Failure,
    SimulatedStimulator,
    SimulatedStimulatorConfig,
)
from diverloop.runtime.conformance_stimulator import check_stimulator
from diverloop.runtime.errors import ConfigError, ConformanceError

from ..stimulating import CONTACTS, MODEST

S = 1_000_000_000


def test_it_conforms():
    check_stimulator(SimulatedStimulator())


@pytest.mark.parametrize(
    ("failure", "clause"),
    [
        (Failure.STUCK, "none before its time|ends one period after"),
        (Failure.MORE, "no more charge than was asked for"),
        (Failure.SILENT, "says what was delivered"),
        (Failure.OPEN_CIRCUIT, "all pulses of a train are delivered"),
    ],
)
def test_each_failure_breaks_a_clause(failure, clause):
    device = SimulatedStimulator()
    device.fail(failure)
    with pytest.raises(ConformanceError, match=clause):
        check_stimulator(device)


def test_a_stimulator_that_says_it_is_real_does_not_conform():
    class Real(SimulatedStimulator):
        simulated = False

    with pytest.raises(ConformanceError, match="no current flows anywhere"):
        check_stimulator(Real())


def test_impedances_are_those_of_the_settings_and_infinite_where_a_lead_is_off():
    contacts = tuple(CONTACTS.values())
    device = SimulatedStimulator(SimulatedStimulatorConfig(impedance_ohm=900.0))
    assert set(device.open(contacts).values()) == {900.0}
    device.fail(Failure.OPEN_CIRCUIT)
    assert device.open(contacts)["LA1"] == math.inf


def test_one_that_was_told_nothing_has_delivered_nothing():
    assert SimulatedStimulator().delivered(5).pulses == 0


def test_the_pulse_that_has_begun_is_the_last_after_a_stop():
    device = SimulatedStimulator()
    device.open(tuple(CONTACTS.values()))
    device.start(MODEST, S)
    device.stop(S + S // 10)  # the eleventh begins at this very moment
    assert device.delivered(S + S // 10).pulses == 11
    assert not device.delivered(S + S // 10).running
    assert device.delivered(9 * S).pulses == 11


@pytest.mark.parametrize(
    "settings", [{"impedance_ohm": 0.0}, {"impedance_ohm": math.inf}, {"failure": "fire"}]
)
def test_settings_that_cannot_be_are_refused(settings):
    with pytest.raises(ConfigError, match="simulated"):
        SimulatedStimulatorConfig(**settings)
