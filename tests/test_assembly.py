"""A fitted model, saved and opened, decides the same; a stream that is not its own is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from diverloop.assembly import Model, assemble, open_model
from diverloop.calibration import fit_model
from diverloop.demo import CLASSES, SPAN
from diverloop.fit_plan import FitPlan
from diverloop.hardware.mapping import MappedChannel, MappingConfig, text_of
from diverloop.hardware.replay import ReplayConfig
from diverloop.hardware.simulator import SimulatorConfig
from diverloop.runtime.bundle import load_bundle
from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.errors import ConfigError, SchemaMismatch
from diverloop.runtime.feedback import EvidenceFeedback, FeedbackConfig
from diverloop.runtime.messages import Chunk, Event, EventKind, Message, Turn
from diverloop.runtime.montage_config import MontageConfig
from diverloop.runtime.session import PartConfig, SessionConfig
from diverloop.runtime.signal.seizures import SeizureConfig
from diverloop.runtime.velocity import VelocityFeedback

from .modelled import NAMES, SEED, block, fitted, saved, write_npz
from .stimulating import ALWAYS, stimulating


class Notes:
    """A watcher that keeps every decision."""

    lossless = True

    def __init__(self) -> None:
        self.turns: list[Turn] = []

    def watch(self, message: Message) -> None:
        if isinstance(message, Turn):
            self.turns.append(message)

    def close(self) -> None:
        pass


def decided(model: Model, path: Path) -> dict[int, np.ndarray]:
    """Probabilities of every decoded window of a recording, by its last sample."""
    notes = Notes()
    assemble(session(path), clock=VirtualClock(), watchers=[notes], model=model).run()
    decisions = [turn.decision for turn in notes.turns if turn.decision.label]
    return {decision.stop_sample: decision.probabilities for decision in decisions}


def session(path: Path) -> SessionConfig:
    source = PartConfig(kind="replay", settings=ReplayConfig(path=str(path)))
    return SessionConfig(name="test", source=source, model=Path("none.bundle"))


@pytest.fixture(scope="module")
def recording(tmp_path_factory) -> Path:
    return write_npz(tmp_path_factory.mktemp("recording") / "run.npz")


@pytest.fixture(scope="module")
def expected(recording) -> dict[int, np.ndarray]:
    found = decided(open_model(fitted()), recording)
    assert len(found) > 50
    return found


def test_a_bundle_from_disk_decides_as_the_fresh_one(tmp_path, recording, expected):
    path = saved(tmp_path)
    again = decided(open_model(load_bundle(path)), recording)
    assert again.keys() == expected.keys()
    for stop, probabilities in again.items():
        np.testing.assert_array_equal(probabilities, expected[stop])


def test_the_order_of_the_channels_and_extra_ones_change_no_decision(tmp_path, expected):
    rows = [*reversed(NAMES), "extra"]
    other = decided(open_model(fitted()), write_npz(tmp_path / "other.npz", rows=rows))
    assert other.keys() == expected.keys()
    for stop, probabilities in other.items():
        np.testing.assert_array_equal(probabilities, expected[stop])


def test_a_device_with_names_of_its_own_decides_the_same_behind_a_mapping_file(tmp_path, expected):
    of_device = [f"E{n}" for n in range(1, 1 + len(NAMES))]
    path = write_npz(tmp_path / "device.npz", ch_names=np.array(of_device))
    mapping = MappingConfig(
        channels=tuple(
            MappedChannel(device=device, name=name)
            for device, name in reversed(list(zip(of_device, NAMES, strict=True)))
        )
    )
    (tmp_path / "cap.toml").write_text(text_of(mapping))
    notes = Notes()
    mapped = replace(session(path), montage=MontageConfig(file=str(tmp_path / "cap.toml")))
    assemble(mapped, clock=VirtualClock(), watchers=[notes], model=open_model(fitted())).run()
    decisions = [turn.decision for turn in notes.turns if turn.decision.label]
    assert [decision.stop_sample for decision in decisions] == list(expected)
    for decision in decisions:
        np.testing.assert_array_equal(decision.probabilities, expected[decision.stop_sample])


@pytest.mark.parametrize(
    ("changes", "how"),
    [
        ({"fs": np.array(200.0)}, "rate is 200 Hz, expected 250 Hz"),
        ({"rows": NAMES[:-2]}, "missing channels O[z1-2]+, O[z1-2]+"),
        ({"ch_types": np.array(["ecog"] * 16)}, "Fp1 is ecog, expected eeg"),
    ],
    ids=["rate", "channels", "kinds"],
)
def test_a_foreign_stream_is_refused_before_a_sample_is_read(tmp_path, changes, how):
    path, notes = write_npz(tmp_path / "other.npz", **changes), Notes()
    loop = assemble(
        session(path), clock=VirtualClock(), watchers=[notes], model=open_model(fitted())
    )
    with pytest.raises(SchemaMismatch, match=f"not the one the model was fitted on: .*{how}"):
        loop.run()
    assert not notes.turns
    assert loop.report().windows_due == 0


@pytest.mark.parametrize("encoder", ["csp", "filterbank_covariance"])
def test_both_encoders_run_through_the_loop(encoder, recording):
    bundle = fit_model([block()], FitPlan(span=SPAN, encoder=encoder))
    assert bundle.card.encoder == encoder
    for probabilities in decided(open_model(bundle), recording).values():
        assert probabilities.sum() == pytest.approx(1)


def test_a_session_adds_what_to_look_for_and_may_not_change_the_signal(recording):
    model = open_model(fitted())
    watched = replace(session(recording), conditioning={"seizures": SeizureConfig()})
    assert model.conditioner_for(watched).config.seizures == SeizureConfig()
    otherwise = replace(session(recording), conditioning={"line_hz": 50.0})
    with pytest.raises(SchemaMismatch, match=r"line_hz is 50\.0, the model's is 0\.0"):
        assemble(otherwise, clock=VirtualClock(), model=model)


def test_the_step_of_a_session_replaces_that_of_the_model():
    assert open_model(fitted()).window.step_s == fitted().card.window.step_s
    assert open_model(fitted(), 0.25).window.step_s == 0.25


def test_an_engine_for_a_model_without_a_student_is_told_to_be_idle():
    assert open_model(fitted()).notes == ()
    (note,) = open_model(fitted(), engine="onnxruntime:int8").notes
    assert "no student, so the engine onnxruntime:int8 has nothing to run" in note


def test_a_simulated_participant_sees_the_commands_of_an_armed_loop_only():
    settings = SimulatorConfig(seed=SEED, duration_s=6.0, classes=CLASSES)
    source = PartConfig(kind="simulator", settings=settings)
    simulated = SessionConfig(name="closed", source=source, model=Path("none.bundle"))
    commanded = {}
    for armed in (True, False):
        notes = Notes()
        assemble(
            simulated,
            clock=VirtualClock(),
            watchers=[notes],
            armed=armed,
            model=open_model(fitted()),
        ).run()
        commanded[armed] = {turn.command.label for turn in notes.turns} - {None}
    assert commanded[True] <= set(CLASSES)
    assert commanded[True]
    assert not commanded[False]


CURSOR = {"kind": "velocity", "directions": {"left": [-1.0], "right": [1.0]}, "gain": 2.0}


def feedback_of(own: dict, **named) -> object:
    model = open_model(fitted())
    told = replace(model, card=replace(model.card, feedback=own))
    return told.feedback_for(replace(session(Path("run.npz")), feedback=named))


def test_a_model_brings_its_feedback_and_a_session_says_what_differs():
    assert isinstance(feedback_of({}), EvidenceFeedback)
    assert feedback_of({"dwell_s": 2.0}, memory_s=0.0)._config == FeedbackConfig(
        dwell_s=2.0, memory_s=0.0
    )
    moving = feedback_of(CURSOR, kind="velocity", maximum=0.5)._config
    assert (moving.gain, moving.maximum, moving.n_axes) == (2.0, 0.5, 1)
    assert feedback_of(CURSOR)._config.maximum == 1.0


def test_another_kind_of_feedback_takes_nothing_over():
    assert feedback_of(CURSOR, kind="evidence")._config == FeedbackConfig()
    told = feedback_of({"dwell_s": 2.0}, **CURSOR)
    assert isinstance(told, VelocityFeedback)


@pytest.mark.parametrize(
    ("own", "named", "words"),
    [
        (CURSOR, {"dwell_s": 1.0}, 'feedback is velocity, and .* add kind = "velocity"'),
        ({}, {"kind": "velocity"}, "feedback.directions is missing"),
        ({}, {"kind": "velocity", "directions": {"up": [1.0]}}, "decoder knows left, right"),
        ({}, {"kind": "velocity", "directions": {"left": [2.0]}}, "must have length 1"),
        ({}, {"idle": ["left", "right"]}, "nothing could ever be commanded"),
    ],
)
def test_feedback_that_does_not_suit_the_model_is_refused(own, named, words):
    with pytest.raises(ConfigError, match=words):
        feedback_of(own, **named)


def test_a_card_says_nothing_of_a_kind_that_goes_without_saying():
    card = fitted().card
    assert '"feedback"' not in card.to_json()
    text = replace(card, feedback=CURSOR).to_json()
    assert msgspec.json.decode(text, type=type(card)).feedback == CURSOR


class Everything(Notes):
    """A watcher that keeps chunks and events, too."""

    def __init__(self) -> None:
        super().__init__()
        self.markers: list[str] = []
        self.told: list[str] = []

    def watch(self, message: Message) -> None:
        super().watch(message)
        if isinstance(message, Chunk):
            self.markers += [marker.label for marker in message.markers]
        if isinstance(message, Event) and message.kind is EventKind.STIMULATION:
            self.told.append(message.text)


@pytest.mark.parametrize("permitted", [False, True])
def test_a_decision_reaches_the_simulated_stimulator_only_if_somebody_permits(tmp_path, permitted):
    notes = Everything()
    assemble(
        stimulating(tmp_path / "P01"),
        clock=VirtualClock(),
        watchers=[notes],
        armed=True,
        model=open_model(fitted()),
        stimulation=lambda: ALWAYS if permitted else None,
    ).run()
    done = [text for text in notes.told if text.startswith("Stimulation was delivered")]
    asked = [turn for turn in notes.turns if (turn.asked or turn.command).selected]
    assert any((turn.asked or turn.command).label == "left" for turn in asked)
    if permitted:
        assert done[0] == "Stimulation was delivered: 10 of 10 pulses of 0.2 uC."
        assert notes.markers.count("pulse") == 10 * len(done)
    else:
        assert not done
        assert "pulse" not in notes.markers
        refused = [t for t in notes.turns if t.command.reason.startswith("stimulation was denied")]
        assert refused
        assert all(turn.command.label is None for turn in refused)
