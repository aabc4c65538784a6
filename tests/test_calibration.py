"""What a model learns from, and what its card says of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from diverloop.adapters.linear import LinearAdapter
from diverloop.adapters.motor_imagery import MU_BETA
from diverloop.adapters.task import Way, joined
from diverloop.assembly import open_encoder, open_model
from diverloop.calibration import fit_best, fit_model
from diverloop.demo import CLASSES, SPAN
from diverloop.fit_plan import FitPlan, plans_for
from diverloop.runtime.bundle import load_bundle, save_bundle
from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.collection import TrialSpan
from diverloop.runtime.errors import BundleError, ConfigError, RecordingError
from diverloop.runtime.signal.bad_channels import BadChannelConfig
from diverloop.runtime.signal.condition_config import ConditionConfig
from diverloop.runtime.windows import WindowConfig
from diverloop.training_sources import TrainingSource, recordings

from .modelled import NAMES, block, fitted, write_npz

WATCHED = replace(MU_BETA, bad_channels=BadChannelConfig())


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    return write_npz(tmp_path_factory.mktemp("recording") / "run.npz")


class Spoilt:
    """A source one of whose electrodes comes off at a moment, and perhaps sticks again."""

    def __init__(self, source, name: str, from_s: float, until_s: float) -> None:
        self._source, self._name, self._span_s = source, name, (from_s, until_s)

    def __getattr__(self, name):
        return getattr(self._source, name)

    def read(self, wanted, until_ns):
        chunk = self._source.read(wanted, until_ns)
        if chunk is None or not chunk.samples.shape[1]:
            return chunk
        spec = self._source.spec
        at_s = np.arange(chunk.first_sample, chunk.stop_sample) / spec.rate_hz
        off = (at_s >= self._span_s[0]) & (at_s < self._span_s[1])
        samples = chunk.samples.copy()
        samples[spec.channel_names.index(self._name), off] = 0.0
        return replace(chunk, samples=samples)


def spoilt(name: str, from_s: float, until_s: float) -> TrainingSource:
    whole = block()
    return replace(whole, make=lambda clock: Spoilt(whole.make(clock), name, from_s, until_s))


def test_recordings_with_other_channels_are_not_fitted_together():
    with pytest.raises(BundleError, match=r"eeg8 at 250 has 8 channels .* eeg16 at 250 has 16"):
        fit_model([block(seconds=20.0), block("eeg8", seconds=20.0)], FitPlan(span=SPAN))


def test_recordings_without_the_classes_cannot_be_fitted(recording):
    plan = FitPlan(span=TrialSpan(classes=("up", "down"), start_s=0.5, stop_s=4.0))
    with pytest.raises(RecordingError, match=r"the markers are .*left"):
        fit_model(recordings([recording]), plan)


def test_a_window_that_does_not_fit_the_trial_is_refused():
    with pytest.raises(ConfigError, match=r"A window of 4 s does not fit between 0\.75 and 4\.25"):
        FitPlan(span=SPAN, window=WindowConfig(length_s=4.0))


def test_a_joined_way_is_fitted_saved_and_opened_like_any_other(tmp_path):
    way = joined(
        Way(encoder="filterbank_covariance", conditioning=MU_BETA),
        Way(encoder="csp", conditioning=MU_BETA, classifier="lda"),
    )
    plan = FitPlan(span=SPAN, encoder=way.encoder, parts=way.parts)
    bundle = fit_model([block(seconds=60.0)], plan)
    covariance, patterns = bundle.card.encoder_config["parts"]
    assert (covariance["encoder"], patterns["encoder"]) == ("filterbank_covariance", "csp")
    assert covariance["settings"]["n_bands"] == patterns["settings"]["n_bands"] == 4
    assert [part["cost"] is None for part in bundle.card.scores["parts"]] == [False, True]
    save_bundle(bundle, tmp_path / "joined.bundle")
    again = load_bundle(tmp_path / "joined.bundle")
    windows = np.random.default_rng(0).standard_normal((2, len(again.card.conditioned_rows), 500))
    features = open_encoder(again).encode_many(windows)
    assert features.shape[1] == again.part("adapter")["mean"].size


def test_ways_that_are_served_other_signals_cannot_be_joined():
    steeper = Way(encoder="csp", conditioning=replace(MU_BETA, order=4))
    with pytest.raises(ConfigError, match="must be served the same signal"):
        joined(Way(encoder="csp", conditioning=MU_BETA), steeper)


def test_the_card_says_what_was_fitted():
    card = fitted().card
    assert card.classes == CLASSES
    assert [row.name for row in card.input.channels] == NAMES
    assert (card.input.rate_hz, card.reference, card.band) == (250.0, "average", (8.0, 30.0))
    (data,) = card.trained_on
    assert data.seconds == pytest.approx(100.0, abs=0.1)
    assert 0 < card.scores["cross_validation"]["accuracy"] <= 1
    assert card.scores["span_s"] == [SPAN.start_s, SPAN.stop_s]


def test_a_reader_that_serves_as_it_was_judged_says_nothing_of_it():
    assert "served" not in fitted().card.scores


def test_a_model_looks_only_at_the_channels_that_were_picked():
    picked = ("C3", "Cz", "C4")
    conditioning = replace(MU_BETA, pick=picked)
    bundle = fit_model([block()], FitPlan(span=SPAN, conditioning=conditioning))
    assert tuple(row.name for row in bundle.card.input.channels) == picked
    assert isinstance(conditioning, ConditionConfig)


def test_an_electrode_that_was_bad_most_of_the_time_is_left_out_of_the_model():
    bundle = fit_model([spoilt("Pz", 20.0, 1e9)], FitPlan(span=SPAN, conditioning=WATCHED))
    assert bundle.card.scores["electrodes_left_out"] == ["Pz"]
    names = [row.name for row in bundle.card.input.channels]
    assert names == [name for name in NAMES if name != "Pz"]


def test_a_model_of_bipolar_rows_names_the_electrodes_it_needs(recording):
    shafts = (("F3", "C3", "P3"), ("F4", "C4", "P4"))
    conditioning = replace(
        WATCHED, reference="bipolar", reference_groups=shafts, pick=tuple(sum(shafts, ()))
    )
    bundle = fit_model([spoilt("F3", 20.0, 1e9)], FitPlan(span=SPAN, conditioning=conditioning))
    assert bundle.card.scores["electrodes_left_out"] == ["F3"]
    assert {row.name for row in bundle.card.input.channels} == {"C3", "P3", "F4", "C4", "P4"}
    rows = {name.rpartition("/")[2] for name in bundle.card.conditioned_rows}
    assert rows == {"C3-P3", "F4-C4", "C4-P4"}
    conditioned = open_model(bundle).conditioner.open(block().make(VirtualClock()).spec)
    assert conditioned.channel_names == bundle.card.conditioned_rows


def test_windows_in_which_an_electrode_was_bad_for_a_while_teach_nothing():
    whole = fit_model([block()], FitPlan(span=SPAN, conditioning=WATCHED))
    less = fit_model([spoilt("Pz", 20.0, 24.0)], FitPlan(span=SPAN, conditioning=WATCHED))
    assert "electrodes_left_out" not in less.card.scores
    assert len(less.card.input.channels) == len(NAMES)
    assert less.card.trained_on[0].n_trials <= whole.card.trained_on[0].n_trials


def test_a_calibration_without_one_good_window_is_refused():
    whole, each_s = block(), 60.0 / len(NAMES)

    def one_after_the_other(clock):
        source = whole.make(clock)
        for place, name in enumerate(NAMES):
            source = Spoilt(source, name, place * each_s, (place + 1) * each_s)
        return source

    calibration = replace(whole, make=one_after_the_other)
    with pytest.raises(RecordingError, match="has no window in which every electrode is good"):
        fit_model([calibration], FitPlan(span=SPAN, conditioning=WATCHED))


def test_what_was_learnt_of_the_eyes_travels_with_the_model(tmp_path):
    conditioning = replace(MU_BETA, clean=("eye",))
    bundle = fit_model([block(seconds=100.0)], FitPlan(span=SPAN, conditioning=conditioning))
    save_bundle(bundle, tmp_path / "clean.bundle")
    opened = open_model(load_bundle(tmp_path / "clean.bundle"))
    assert opened.conditioner.config.clean == ("eye",)
    assert opened.conditioner.arrays["eye.mixing"].shape[0] == len(NAMES)


def test_ways_that_are_served_the_same_signal_share_one_pass_through_the_loop():
    told = []
    plans = [plan for plan in plans_for("motor_imagery", classes=CLASSES, start_s=0.75, stop_s=4.25)
             if plan.encoder != "student"]  # fmt: skip
    bundle = fit_best([block()], plans, lambda what, done, of: told.append(what))
    assert [one["name"] for one in bundle.card.scores["compared"]] == [
        "filterbank_covariance",
        "csp",
    ]
    assert sum(what.startswith("conditioning") for what in told) == 1


def test_an_adaptive_model_carries_the_head_that_its_weights_were_made_from(tmp_path):
    (plan,) = plans_for("motor_imagery", encoder="csp", classes=CLASSES, adaptive=True)
    bundle = fit_model([block(seconds=60.0)], replace(plan, span=SPAN))
    assert bundle.card.scores["adaptive"]
    save_bundle(bundle, tmp_path / "adaptive.bundle")
    adapter = open_model(load_bundle(tmp_path / "adaptive.bundle")).adapter
    assert isinstance(adapter, LinearAdapter)
    assert adapter.head is not None
    points = np.random.default_rng(0).standard_normal((9, adapter.head.mean.size))
    found = adapter.head.probabilities(points)
    np.testing.assert_allclose(adapter.probabilities(points), found, atol=1e-9)
