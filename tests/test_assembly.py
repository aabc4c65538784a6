"""A fitted model, saved and opened, decides the same; a stream that is not its own is refused."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from diverloop import assembly
from diverloop.assembly import FitPlan, Model, TrainingSource, assemble, fit_model, open_model
from diverloop.demo import CLASSES, SPAN, DemoPlan, calibrate
from diverloop.hardware.replay import ReplayConfig
from diverloop.hardware.simulator import SimulatedParticipant, SimulatorConfig
from diverloop.runtime.bundle import Bundle, load_bundle, save_bundle
from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.collection import TrialSpan
from diverloop.runtime.errors import BundleError, ConfigError, RecordingError, SchemaMismatch
from diverloop.runtime.messages import Message, Turn
from diverloop.runtime.session import PartConfig, SessionConfig
from diverloop.runtime.signal.conditioning import ConditionConfig
from diverloop.runtime.windows import WindowConfig

from .data import recording_path

SEED = 70


@functools.cache
def fitted(montage: str = "eeg16") -> Bundle:
    """The demonstration's model after a short calibration block, made once; do not change it."""
    plan = DemoPlan(calibration_s=100.0, montage=montage)
    return calibrate(plan, lambda what, done, of: None)


def saved(folder: Path, montage: str = "eeg16") -> Path:
    """The same as a bundle on disk."""
    path = folder / f"{montage}.bundle"
    save_bundle(fitted(montage), path)
    return path


def write_npz(path: Path, seconds: float = 12.0, rows: list[str] | None = None, **changes) -> Path:
    """A recording of the participant that `fitted` knows, perhaps with other rows or changes."""
    config = SimulatorConfig(seed=SEED, duration_s=seconds, classes=CLASSES)
    person = SimulatedParticipant(config, VirtualClock())
    person.open()
    chunk = person.read(round(seconds * config.rate_hz), round((seconds + 1) * 1e9))
    place = {name: row for row, name in enumerate(person.spec.channel_names)}
    names = rows or list(place)
    arrays = {
        "data": np.stack([chunk.samples[place.get(name, 0)] for name in names]),
        "scale": np.ones(len(names)),
        "offset": np.zeros(len(names)),
        "units": np.array("uV"),
        "fs": np.array(config.rate_hz),
        "ch_names": np.array(names),
        "ch_types": np.array(["eeg"] * len(names)),
        "ch_pos": np.full((len(names), 3), np.nan),
        "ev_sample": np.array([marker.sample for marker in chunk.markers]),
        "ev_code": np.arange(len(chunk.markers)),
        "ev_label": np.array([marker.label for marker in chunk.markers]),
    }
    np.savez(path, **(arrays | changes))
    return path


NAMES = [
    channel.name
    for channel in SimulatedParticipant(SimulatorConfig(), VirtualClock()).spec.channels
]


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


def block(montage: str = "eeg16", rate_hz: float = 250.0, seconds: float = 60.0) -> TrainingSource:
    settings = SimulatorConfig(
        seed=7, duration_s=seconds, classes=CLASSES, montage=montage, rate_hz=rate_hz
    )
    return TrainingSource(
        name=f"{montage} at {rate_hz:g}",
        data_id="simulated",
        make=lambda clock: SimulatedParticipant(settings, clock),
    )


def test_recordings_with_other_channels_are_not_fitted_together():
    with pytest.raises(BundleError, match=r"eeg8 at 250 has 8 channels .* eeg16 at 250 has 16"):
        fit_model([block(seconds=20.0), block("eeg8", seconds=20.0)], FitPlan(span=SPAN))


def test_recordings_without_the_classes_cannot_be_fitted(recording):
    plan = FitPlan(span=TrialSpan(classes=("up", "down"), start_s=0.5, stop_s=4.0))
    with pytest.raises(RecordingError, match=r"the markers are .*left"):
        fit_model(assembly.recordings([recording]), plan)


def test_a_window_that_does_not_fit_the_trial_is_refused():
    with pytest.raises(ConfigError, match=r"A window of 4 s does not fit between 0\.75 and 4\.25"):
        FitPlan(span=SPAN, window=WindowConfig(length_s=4.0))


def test_the_card_says_what_was_fitted():
    card = fitted().card
    assert card.classes == CLASSES
    assert [row.name for row in card.input.channels] == NAMES
    assert (card.input.rate_hz, card.reference, card.band) == (250.0, "average", (8.0, 30.0))
    (data,) = card.trained_on
    assert data.seconds == pytest.approx(100.0, abs=0.1)
    assert 0 < card.scores["cross_validation"]["accuracy"] <= 1
    assert card.scores["span_s"] == [SPAN.start_s, SPAN.stop_s]


def test_a_model_looks_only_at_the_channels_that_were_picked():
    picked = ("C3", "Cz", "C4")
    conditioning = replace(assembly.MOTOR_IMAGERY, pick=picked)
    bundle = fit_model([block()], FitPlan(span=SPAN, conditioning=conditioning))
    assert tuple(row.name for row in bundle.card.input.channels) == picked
    assert isinstance(conditioning, ConditionConfig)


def test_the_step_of_a_session_replaces_that_of_the_model():
    assert open_model(fitted()).window.step_s == fitted().card.window.step_s
    assert open_model(fitted(), 0.25).window.step_s == 0.25


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


@pytest.mark.data
def test_the_names_and_hashes_of_recordings_stand_on_the_card():
    (source,) = assembly.recordings([recording_path("mi/eegmmidb_S001_R06.npz")])
    assert source.name == "eegmmidb_S001_R06.npz"
    assert len(source.data_id) == 64
