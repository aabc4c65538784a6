"""A fit that keeps false activations as seldom as wished."""

from __future__ import annotations

from dataclasses import replace

import pytest

from diverloop.adapters.motor_imagery import MU_BETA
from diverloop.assembly import open_model
from diverloop.calibration import fit_model
from diverloop.fit_plan import FitPlan
from diverloop.hardware.simulator import SimulatedParticipant, SimulatorConfig
from diverloop.runtime.collection import TrialSpan
from diverloop.runtime.errors import ConfigError
from diverloop.training_sources import TrainingSource

from .modelled import block

CLASSES = ("left", "right", "rest")
PLAN = FitPlan(
    span=TrialSpan(classes=CLASSES, start_s=0.75, stop_s=4.25),
    encoder="csp",
    classifier="lda",
    conditioning=replace(MU_BETA, bands_hz=((8.0, 13.0), (16.0, 28.0)), bad_channels=None),
    false_per_min=2.0,
)


def part(place: int) -> TrainingSource:
    settings = SimulatorConfig(seed=7 + place, duration_s=60.0, classes=CLASSES)
    return TrainingSource(
        name=f"part {place}",
        data_id="simulated",
        make=lambda clock: SimulatedParticipant(settings, clock),
    )


@pytest.fixture(scope="module")
def bundle():
    return fit_model([part(0), part(1)], PLAN)


def test_the_model_carries_the_settings_that_were_chosen_and_says_what_they_promise(bundle):
    found = bundle.card.scores["working_point"]
    assert found["held_out"] == ["part 0", "part 1"]
    assert bundle.card.feedback == found["feedback"]
    assert bundle.card.feedback["once"] is True
    assert found["promised"]["idle_s"] > 30
    assert found["sentence"].startswith(("Wished were at most 2", "No setting keeps to 2"))


def test_weights_are_those_of_a_fit_without_a_wish(bundle):
    plain = fit_model([part(0), part(1)], replace(PLAN, false_per_min=0.0))
    assert "working_point" not in plain.card.scores
    for name, array in plain.arrays.items():
        assert (array == bundle.arrays[name]).all(), name
    assert open_model(bundle).card.classes == plain.card.classes


def test_a_wish_needs_a_class_that_is_idle():
    span = replace(PLAN.span, classes=("left", "right"))
    with pytest.raises(ConfigError, match="none of the classes left, right is rest or idle"):
        fit_model([block(seconds=20.0)], replace(PLAN, span=span))


def test_a_wish_needs_a_recording_that_can_be_held_out():
    with pytest.raises(ConfigError, match="record each class in two recordings at least"):
        fit_model([part(0)], PLAN)


@pytest.mark.parametrize("wish", [-1.0, float("inf"), float("nan")])
def test_a_wish_is_a_rate(wish):
    with pytest.raises(ConfigError, match="false_per_min must be 0 or more"):
        replace(PLAN, false_per_min=wish)
