"""Flicker is decoded with a calibration and without one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from diverloop.adapters.linear import LinearAdapter, LinearConfig
from diverloop.adapters.ssvep import FLICKER, untrained_head, untrained_temperature
from diverloop.adapters.trial_scorer import TrialScorer
from diverloop.assembly import open_model
from diverloop.calibration import fit_best
from diverloop.fit_plan import plans_for
from diverloop.hardware.simulator import SimulatedParticipant, SimulatorConfig
from diverloop.running import RunOptions, RunReport, run_session, scorer_for
from diverloop.runtime.bundle import Bundle
from diverloop.runtime.collection import TrialSpan
from diverloop.runtime.conformance import check_adapter
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.session import PartConfig, SessionConfig
from diverloop.training_sources import TrainingSource

# Nothing breaks off here, and watching for bad electrodes takes most of the time.
QUICK = replace(FLICKER, bad_channels=None)
PERSON = {"montage": "eeg8", "chunk_s": 1.0, "seed": 3}


def resting(task: str = "rest", **changes: object) -> TrainingSource:
    settings = SimulatorConfig(**(PERSON | {"task": task, "duration_s": 10.0} | changes))
    return TrainingSource(
        name="at rest", data_id="seed 3", make=lambda clock: SimulatedParticipant(settings, clock)
    )


def untrained(*sources: TrainingSource, **asked: object) -> Bundle:
    plans = plans_for("ssvep", encoder="fbcca_untrained", **({"conditioning": QUICK} | asked))
    return fit_best(sources or [resting()], plans)


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return untrained()


@pytest.fixture(scope="module")
def report(bundle) -> RunReport:
    """A simulated person of whom nothing but rest was recorded looks at flickers."""
    settings = SimulatorConfig(**(PERSON | {"task": "ssvep", "snr": 3.0, "duration_s": 150.0}))
    session = SessionConfig(
        name="test",
        source=PartConfig(kind="simulator", settings=settings),
        model="none.bundle",
    )
    return run_session(session, RunOptions(live=False, armed=True), open_model(bundle, 0.5))


def test_a_recording_at_rest_is_enough_to_decode_flicker_well_above_chance(report):
    assert report.score.n > 15
    assert report.score.interval[0] > 0.5 > 1.5 * report.score.chance


def test_its_decisions_are_judged_by_the_markers_of_flickers_as_a_calibrated_ones_are(bundle):
    scorer = scorer_for(bundle.card)
    assert isinstance(scorer, TrialScorer)
    assert scorer.span == TrialSpan(classes=("8", "10", "12", "14"), start_s=0.5, stop_s=4.5)


def test_the_card_says_that_nothing_was_learnt(bundle):
    scores = bundle.card.scores
    assert "cross_validation" not in scores
    assert "Nothing was learnt" in scores["verdict"]
    assert scores["temperature"] == pytest.approx(untrained_temperature(2.0))
    assert bundle.card.encoder_config["frequencies_hz"] == (8.0, 10.0, 12.0, 14.0)


def test_frequencies_that_somebody_names_are_decoded_in_their_order():
    card = untrained(classes=("13 Hz", "flicker:9.5")).card
    assert card.classes == ("13 Hz", "flicker:9.5")
    assert card.encoder_config["frequencies_hz"] == (13.0, 9.5)


def test_an_electrode_that_was_bad_at_rest_is_left_out():
    source = resting(duration_s=20.0)

    def make(clock):
        person = source.make(clock)
        read = person.read

        def spoilt(*asked):
            chunk = read(*asked)
            if chunk is None:
                return None
            samples = chunk.samples.copy()
            samples[2] = 0.0
            return replace(chunk, samples=samples)

        person.read = spoilt
        return person

    card = untrained(replace(source, make=make), conditioning=FLICKER).card
    (lost,) = card.scores["electrodes_left_out"]
    assert lost not in [channel.name for channel in card.input.channels]


def test_rest_cannot_be_told_without_a_calibration():
    with pytest.raises(ConfigError, match=r"'rest' must name one of .* after a calibration"):
        untrained(classes=("8", "10", "rest"))


def test_the_way_is_chosen_by_name_only():
    names = [plan.name for plan in plans_for("ssvep", encoder="auto")]
    assert "fbcca_untrained" not in names
    (plan,) = plans_for("ssvep", encoder="fbcca")
    assert plan.learn is None


def test_the_head_decides_for_the_largest_score_and_is_more_sure_of_long_windows():
    classes = ("13", "8", "10.5")
    features = np.array([[0.2, 0.3, 0.6], [0.5, 0.1, 0.2]])
    shares = {}
    for length_s in (1.0, 3.0):
        arrays = untrained_head(classes, [8.0, 10.5, 13.0], untrained_temperature(length_s))
        head = LinearAdapter.from_arrays(LinearConfig(classes=classes), arrays)
        shares[length_s] = head.probabilities(features)
        assert [classes[best] for best in shares[length_s].argmax(axis=1)] == ["13", "8"]
    assert (shares[3.0].max(axis=1) > shares[1.0].max(axis=1)).all()


def test_the_adapter_conforms(bundle):
    check_adapter(open_model(bundle).adapter, 4)
