"""A new task is one file and one line of the catalogue: error potentials, from cue to card."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from diverloop.adapters.detection_scorer import DetectionScorer
from diverloop.adapters.error_potential import (
    ERROR_POTENTIAL,
    SLOW,
    FeedbackSpan,
    error_probability,
)
from diverloop.adapters.linear import LinearAdapter
from diverloop.assembly import open_model
from diverloop.calibration import fit_best
from diverloop.fit_plan import plans_for
from diverloop.hardware.simulated_feedback import FeedbackPlan
from diverloop.hardware.simulator import SimulatedParticipant, SimulatorConfig
from diverloop.runtime import catalog
from diverloop.runtime.conformance import check_adapter
from diverloop.runtime.feedback import FeedbackConfig
from diverloop.runtime.messages import Decision, Marker, Window
from diverloop.runtime.settings import build
from diverloop.training_sources import TrainingSource

LINE = ("error_potential", "adapters.error_potential:ERROR_POTENTIAL")
TUTORIAL = Path(__file__).parents[2] / "docs" / "adding-a-task.md"
# Easier than people make it, so that a minute or two of signal is enough.
OFTEN_WRONG = FeedbackPlan(wrong_share=0.4, lapse_share=0.0)
EASY = {
    "task": "error", "snr": 25.0, "montage": "eeg8", "chunk_s": 1.0, "duration_s": 120.0,
    "feedback": OFTEN_WRONG,
}  # fmt: skip


def marks(*labels: str) -> list[Marker]:
    return [Marker(label=label, sample=100 * place) for place, label in enumerate(labels)]


@pytest.fixture(scope="module")
def listed() -> Iterator[None]:
    """The catalogue with the one line."""
    with pytest.MonkeyPatch.context() as patch:
        tables = {kind: dict(names) for kind, names in catalog.CATALOG.items()}
        tables["task"][LINE[0]] = LINE[1]
        patch.setattr(catalog, "CATALOG", MappingProxyType(tables))
        yield


@pytest.fixture(scope="module")
def bundle(listed):
    """A model of one simulated person."""
    source = TrainingSource(
        name="simulated",
        data_id="seed 1",
        make=lambda clock: SimulatedParticipant(SimulatorConfig(seed=1, **EASY), clock),
    )
    # Nothing breaks off here, and watching for bad electrodes takes most of the time.
    watched = dataclasses.replace(SLOW, bad_channels=None)
    plans = plans_for("error_potential", encoder="evoked_epoch", conditioning=watched)
    return fit_best([source], plans)


def test_the_task_is_whole():
    assert ERROR_POTENTIAL.name == LINE[0]
    assert build(FeedbackConfig, ERROR_POTENTIAL.feedback, "feedback").dwell_s == 0
    assert SimulatorConfig(**ERROR_POTENTIAL.simulator).task == "error"
    ways = ERROR_POTENTIAL.ways(ERROR_POTENTIAL.span.classes)
    assert [(way.encoder, way.classifier) for way in ways] == [
        ("evoked_epoch", "lda"),
        ("xdawn", "logistic"),
    ]
    assert {way.conditioning for way in ways} == {SLOW}


def test_feedback_is_called_after_what_it_was_with_prefix_or_without():
    cues = marks("feedback:right", "feedback:wrong", "right", "wrong", "feedback", "left")
    span = ERROR_POTENTIAL.span
    found = [span.label(cues, place) for place in range(len(cues))]
    assert found == ["right", "wrong", "right", "wrong", None, None]


def test_a_window_lies_in_the_trial_of_its_own_marker_or_in_none():
    cues = marks("feedback:right", "feedback", "feedback:wrong")
    for place, want in enumerate((0, -1, 2)):
        window = Window(
            samples=np.zeros((1, 1)), first_sample=0, stop_sample=1, due_ns=0, marker=cues[place]
        )
        assert ERROR_POTENTIAL.span.trial_of(window, cues, 250.0) == want


def test_feedback_of_unknown_truth_is_decoded_too():
    policy = ERROR_POTENTIAL.window.policy(250.0)
    for mark in marks("feedback", "feedback:wrong", "rest"):
        policy.announce(mark)
    assert [slot.stop - slot.first for slot in policy.due(10_000)] == [200, 200]


def test_a_decision_tells_how_probable_an_error_is():
    said = Decision(classes=("right", "wrong"), probabilities=np.array([0.7, 0.3]), label="right")
    assert error_probability(said) == pytest.approx(0.3)
    silent = Decision(classes=("right", "wrong"), probabilities=np.full(2, np.nan), label=None)
    assert math.isnan(error_probability(silent))
    other = Decision(classes=("left", "right"), probabilities=np.full(2, 0.5), label="left")
    with pytest.raises(ValueError, match="error_potential"):
        error_probability(other)


def test_one_line_in_the_catalogue_is_enough_to_fit_a_model(bundle):
    card = bundle.card
    assert (card.task, card.adapter, card.encoder) == ("error_potential", "linear", "evoked_epoch")
    assert card.classes == ("right", "wrong")
    assert card.window.lock_to == ERROR_POTENTIAL.window.lock_to
    assert card.feedback == ERROR_POTENTIAL.feedback
    scorer = ERROR_POTENTIAL.scorer(card)
    assert isinstance(scorer, DetectionScorer)
    assert scorer.span == FeedbackSpan(classes=("right", "wrong"), start_s=0.0, stop_s=0.8)


def test_the_card_says_how_often_errors_are_found_and_how_often_seen_in_vain(bundle):
    scores = bundle.card.scores
    assert scores["auc"] > 0.8
    assert scores["sensitivity"] + scores["specificity"] > 1.4
    assert 0.25 < scores["error_share"] < 0.55
    assert f"found {scores['sensitivity']:.0%} of the errors" in scores["served"]


def test_the_calibrated_reader_is_served_as_it_was_fitted(bundle):
    model = open_model(bundle)
    adapter = model.adapter
    assert isinstance(adapter, LinearAdapter)
    size = adapter.to_arrays()["mean"].size
    check_adapter(adapter, size)
    again = LinearAdapter.from_arrays(adapter.config, adapter.to_arrays())
    features = np.random.default_rng(0).standard_normal((5, size))
    np.testing.assert_array_equal(again.probabilities(features), adapter.probabilities(features))


def test_the_tutorial_quotes_the_file_as_it_is():
    text = TUTORIAL.read_text(encoding="utf-8")
    source = (TUTORIAL.parents[1] / "adapters" / "error_potential.py").read_text(encoding="utf-8")
    blocks = text.split("```python\n")[1:]
    lines = [line.rstrip() for block in blocks for line in block.split("```")[0].splitlines()]
    known = {line.rstrip() for line in source.splitlines()}
    assert len(lines) > 20
    assert [line for line in lines if line and line not in known] == []
    assert ": ".join(f'"{part}"' for part in LINE) in text
