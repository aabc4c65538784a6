"""A guided calibration on the screen."""

from __future__ import annotations

from typing import Any

import pytest

from diverloop.gui.participant.instruction import Instruction
from diverloop.runtime.paradigms.guided import GuidedCalibration
from diverloop.runtime.paradigms.guided_course import Scene
from diverloop.runtime.paradigms.guided_plan import GuidedPlan

from .shown import Shown

PLAN = GuidedPlan(
    classes=("left", "rest"), words={"left": "Squeeze your left hand"}, trials_per_class=3
)


@pytest.mark.usefixtures("fonts")
def test_each_scene_looks_different(qapp: Any) -> None:
    shown, seen = Shown(Instruction(PLAN)), set()
    for kind in ("wait", "rest", "cue", "trial", "pause", "over"):
        shown.picture.show(Scene(kind=kind, instruction=f"Now {kind}", good=1, planned=6))  # type: ignore[attr-defined]
        shown.turn(frames=10)
        seen.add(shown.pixels())
    assert len(seen) == 6


def test_its_labels_are_the_markers_that_the_calibration_writes(qapp: Any) -> None:
    shown = Shown(Instruction(PLAN))
    trial = GuidedCalibration(PLAN, seed=1).next_trial()
    assert trial is not None
    for phase in trial.phases:
        scene = Scene(kind=phase.kind, instruction=phase.instruction, trial=trial.number)
        shown.picture.show(scene)  # type: ignore[attr-defined]
        shown.turn()
    assert shown.said() == [phase.marker for phase in trial.phases if phase.marker]


def test_before_the_first_scene_it_speaks_the_language_of_the_screen(qapp: Any) -> None:
    seen = set()
    for language in ("en", "ko"):
        shown = Shown(Instruction(PLAN, language))
        shown.turn()
        seen.add(shown.pixels())
        assert shown.said() == []
    assert len(seen) == 2


def test_a_scene_that_is_shown_again_begins_nothing(qapp: Any) -> None:
    shown = Shown(Instruction(PLAN))
    for _ in range(3):
        shown.picture.show(Scene(kind="cue", instruction="Squeeze your left hand", trial=1))  # type: ignore[attr-defined]
        shown.turn()
    assert shown.said() == ["left"]
