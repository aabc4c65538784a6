"""The demonstration, with its own seeds, decodes well above chance, and the same each time."""

from __future__ import annotations

import pytest

from diverloop.demo import CLASSES, DemoPlan, calibrate, long_block
from diverloop.run_report import RunReport
from diverloop.runtime.bundle import Bundle
from diverloop.runtime.errors import DiverloopError

SHORT = DemoPlan(long_s=60.0)


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    """What `diverloop demo` calibrates."""
    return calibrate(DemoPlan(), lambda what, done, of: None)


def outcome(report: RunReport) -> tuple[object, ...]:
    """What a run on a virtual clock may not change from one time to the next."""
    return report.score, report.latency, report.signal_s, report.model


def test_accuracy_is_well_above_chance(bundle):
    accuracy = long_block(bundle, DemoPlan(long_s=500.0)).score
    assert accuracy.n > 50
    assert accuracy.interval[0] > 0.6
    assert accuracy.p_value < 0.001


def test_the_long_block_is_the_same_from_run_to_run(bundle):
    assert outcome(long_block(bundle, SHORT)) == outcome(long_block(bundle, SHORT))


def test_the_calibration_is_the_same_from_run_to_run():
    plan, quiet = DemoPlan(calibration_s=60.0), lambda what, done, of: None
    one, other = calibrate(plan, quiet), calibrate(plan, quiet)
    assert one.card.scores == other.card.scores
    assert one.arrays.keys() == other.arrays.keys()
    for name, array in one.arrays.items():
        assert array.tobytes() == other.arrays[name].tobytes()


def test_the_calibration_tells_how_far_it_is():
    told = []
    calibrate(DemoPlan(calibration_s=60.0), lambda what, done, of: told.append((what, done, of)))
    assert told[0][0] == "conditioning simulated calibration block"
    assert told[-1][1] == told[-1][2]


def test_another_participant_can_be_simulated():
    plan = DemoPlan(calibration_s=40.0, montage="ecog8x8", encoder="csp")
    card = calibrate(plan, lambda what, done, of: None).card
    assert {row.kind for row in card.input.channels} == {"ecog"}
    assert card.classes == CLASSES
    assert "ecog8x8" in card.trained_on[0].data_id


def test_an_unknown_montage_is_refused():
    with pytest.raises(DiverloopError, match="eeg17"):
        calibrate(DemoPlan(montage="eeg17"), lambda what, done, of: None)
