from __future__ import annotations

import json
import math
from dataclasses import asdict

import numpy as np
import pytest

from diverloop.adapters.linear import LinearAdapter, LinearConfig
from diverloop.adapters.neurofeedback import NeurofeedbackAdapter
from diverloop.adapters.neurofeedback_config import NeurofeedbackConfig
from diverloop.adapters.reward_threshold import ThresholdConfig
from diverloop.runtime.conformance import check_adapter
from diverloop.runtime.errors import BundleError, ConfigError
from diverloop.runtime.messages import Embedding, Window
from diverloop.runtime.paradigms.neurofeedback import NeurofeedbackPlan
from diverloop.runtime.settings import build
from diverloop.runtime.stages import Adapter

RATE_HZ, STEP, LENGTH = 100.0, 20, 60
# 2 s of waiting, 20 s of baseline, three blocks of 30 s, 5 s of pause after each, one transfer.
PLAN = NeurofeedbackPlan(
    lead_in_s=2, baselines=("eyes_open",), baseline_s=20, n_blocks=3, block_s=30, pause_s=5,
    transfer_every=3,
)  # fmt: skip
AT_ONCE = NeurofeedbackPlan(lead_in_s=0, baselines=(), post=False)


def config(**fields) -> NeurofeedbackConfig:
    usual = {
        "rate_hz": RATE_HZ,
        "plan": PLAN,
        "study": "secret",
        "participant": "p1",
        "step_s": 0.2,
        "threshold": ThresholdConfig(adapt="between"),
    }
    return NeurofeedbackConfig(**usual | fields)


def at_once(**fields) -> NeurofeedbackConfig:
    """A block from the first sample on."""
    return config(plan=AT_ONCE, start="saved", **fields)


def rest(seed: int = 0, n: int = 300) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, 2))


def fitted(settings: NeurofeedbackConfig) -> NeurofeedbackAdapter:
    return NeurofeedbackAdapter.fit(rest(), settings)


def window(stop: int) -> Window:
    return Window(
        samples=np.zeros((1, 1)), first_sample=stop - LENGTH, stop_sample=stop, due_ns=0
    )  # fmt: skip


def session(adapter: NeurofeedbackAdapter, seed: int = 1, seconds: float = 160, shift=0.0):
    """Decisions on a whole session of noise, with the time at which each window stops."""
    rng = np.random.default_rng(seed)
    decisions = []
    for stop in range(LENGTH, round(seconds * RATE_HZ), STEP):
        embedding = Embedding(values=rng.standard_normal(2) + shift)
        decisions.append((stop / RATE_HZ, adapter.decide(embedding, window(stop))))
    return decisions


def told(decisions) -> list[tuple]:
    return [(d.label, d.reason, d.probabilities.tolist()) for _, d in decisions]


def test_it_is_an_adapter_that_keeps_the_clauses():
    assert isinstance(fitted(config()), Adapter)
    check_adapter(fitted(config()), 2)
    check_adapter(fitted(at_once(measure="ratio")), 2)


def test_reward_is_given_above_the_threshold_and_the_probability_is_logistic():
    adapter = NeurofeedbackAdapter(at_once(), threshold=2.0, scale=0.5, course=np.arange(60.0))
    above = adapter.decide(Embedding(values=np.array([3.0])), window(100))
    below = adapter.decide(Embedding(values=np.array([1.9])), window(110))
    assert (above.label, below.label) == ("reward", "no reward")
    assert above.probabilities[0] == pytest.approx(1 / (1 + math.exp(-2)))
    assert below.probabilities.sum() == pytest.approx(1)
    assert (above.reason, above.stop_sample, above.epoch) == ("", 100, 0)
    far = adapter.decide(Embedding(values=np.array([1e9])), window(120))
    assert far.probabilities.tolist() == [1, 0]


def test_a_ratio_is_a_difference_of_logarithms_and_may_be_trained_down():
    values = np.array([2.0, 5.0])
    for reward, label in (("up", "no reward"), ("down", "reward")):
        settings = at_once(measure="ratio", reward=reward)
        adapter = NeurofeedbackAdapter(settings, threshold=0.0, scale=1.0, course=np.arange(60.0))
        decision = adapter.decide(Embedding(values=values), window(100))
        assert decision.label == label
        odds = -3 if reward == "up" else 3
        assert decision.probabilities[0] == pytest.approx(1 / (1 + math.exp(-odds)))


def inner() -> LinearAdapter:
    return LinearAdapter(
        LinearConfig(classes=("rest", "left")),
        mean=np.zeros(2), scale=np.ones(2), weights=np.array([[2.0, 0.0]]), bias=np.zeros(1),
    )  # fmt: skip


def test_the_opinion_of_another_adapter_can_be_the_measure_and_survives_a_bundle():
    settings = at_once(
        measure="probability", decoder="linear", decoder_class="left",
        decoder_settings={"classes": ["rest", "left"]},
    )  # fmt: skip
    first = NeurofeedbackAdapter.fit(rest(), settings, inner())
    # Log odds of the decoder are 2 * value, so a third of all values lies below this one.
    assert first.threshold == pytest.approx(2 * np.quantile(rest()[:, 0], 0.35))
    plain = json.loads(json.dumps(asdict(settings)))
    again = NeurofeedbackAdapter.from_arrays(
        build(NeurofeedbackConfig, plain, "adapter"), first.to_arrays(), epoch=2
    )
    assert told(session(again, seconds=20)) == told(session(first, seconds=20))
    assert again.epoch == 2
    check_adapter(again, 2)
    lost = again.decide(Embedding(values=np.ones(2), quality=0.2), window(100))
    assert "too poor" in lost.reason
    other = at_once(measure="probability", decoder="linear", decoder_class="right")
    with pytest.raises(BundleError, match="not 'right'"):
        NeurofeedbackAdapter.fit(rest(), other, inner())
    with pytest.raises(BundleError, match="comes with a decoder"):
        NeurofeedbackAdapter.fit(rest(), at_once(), inner())


def test_outside_blocks_nothing_is_decided_and_the_reason_says_what_is_going_on():
    decisions = session(fitted(config()))
    for stop_s, decision in decisions:
        whole = any(a + 0.6 <= stop_s <= a + 30 for a in (22, 57, 92))
        assert (decision.label is not None) == whole
        assert bool(decision.reason) != whole
    reasons = {d.reason.partition(":")[0] for _, d in decisions if d.reason}
    assert reasons == {
        "wait", "between two parts", "baseline, eyes open, pre", "pause", "transfer 1",
    }  # fmt: skip


def test_poor_signal_gives_no_label_and_no_probability():
    adapter = fitted(at_once())
    for embedding in (
        Embedding(values=np.array([np.nan, 1.0])),
        Embedding(values=np.ones(2), quality=0.4),
        Embedding(values=np.ones(2), quality=math.nan),
    ):
        decision = adapter.decide(embedding, window(100))
        assert decision.label is None
        assert decision.reason
        assert np.isnan(decision.probabilities).all()


def test_the_first_threshold_comes_from_the_baseline_of_the_session():
    adapter = fitted(config())
    before = adapter.threshold
    session(adapter, shift=7.0, seconds=25)
    assert adapter.threshold == pytest.approx(before + 7, abs=0.4)
    saved = fitted(config(start="saved"))
    session(saved, shift=7.0, seconds=25)
    assert saved.threshold == before


def test_the_threshold_stands_still_inside_a_block_and_a_change_is_told_in_the_pause():
    adapter = fitted(config(start="saved"))
    seen, rng = set(), np.random.default_rng(2)
    for stop in range(LENGTH, 5650, STEP):
        decision = adapter.decide(Embedding(values=rng.standard_normal(2) + 1), window(stop))
        if decision.label is not None:
            assert adapter.frozen
            seen.add(adapter.threshold)
    assert len(seen) == 1
    assert not adapter.frozen
    (change,) = adapter.changes
    assert change.part == "block:1"
    assert change.new > change.old == seen.pop()
    assert decision.reason == (
        f"pause: no feedback; after block 1 (reward rate {change.reward_rate:.0%}) the threshold "
        f"went from {change.old:.3f} to {change.new:.3f}"
    )


def test_a_change_holds_from_the_first_window_that_leaves_the_block():
    adapter = fitted(config(start="saved"))
    session(adapter, shift=1.0)
    assert [change.sample for change in adapter.changes] == [5220, 8720, 12220]


def test_within_a_block_the_threshold_may_move_in_small_steps():
    rule = ThresholdConfig(adapt="within", update_s=2)
    adapter = fitted(config(start="saved", threshold=rule))
    session(adapter, shift=1.0, seconds=52)
    assert len(adapter.changes) > 5
    assert {change.part for change in adapter.changes} == {"block:1"}


@pytest.mark.parametrize("arm", ["real", "sham"])
@pytest.mark.parametrize("adapt", ["between", "within"])
def test_the_same_windows_give_the_same_decisions(arm, adapt):
    settings = config(arm=arm, threshold=ThresholdConfig(adapt=adapt))
    first, second = fitted(settings), fitted(settings)
    assert told(session(first)) == told(session(second))
    assert first.record() == second.record()


def test_sham_feedback_is_tied_to_the_count_of_samples_and_windows_may_be_missing():
    settings = config(
        arm="sham", sham="yoked", start="saved", threshold=ThresholdConfig(adapt="off")
    )
    whole, holed = fitted(settings), fitted(settings)
    everything = {stop_s: d.probabilities for stop_s, d in session(whole) if d.label}
    compared = 0
    for stop in range(LENGTH, 16_000, 3 * STEP):
        decision = holed.decide(Embedding(values=np.zeros(2)), window(stop))
        if decision.label is not None:
            np.testing.assert_array_equal(decision.probabilities, everything[stop / RATE_HZ])
            compared += 1
    assert compared > 100


def labels(decisions) -> list[str]:
    return [d.label for _, d in decisions if d.label is not None]


@pytest.mark.parametrize(("arm", "same"), [("real", False), ("sham", True)])
def test_real_feedback_follows_the_person_and_sham_feedback_does_not(arm, same):
    settings = config(arm=arm, start="saved", threshold=ThresholdConfig(adapt="off"))
    resting, rising = fitted(settings), fitted(settings)
    rng, found = np.random.default_rng(1), []
    for stop in range(LENGTH, 16_000, STEP):
        # The same baseline, then a person who does all that is asked for.
        values = rng.standard_normal(2) + (5.0 if stop > 2_200 else 0.0)
        decision = rising.decide(Embedding(values=values), window(stop))
        if decision.label is not None:
            found.append(decision.label)
    assert (found == labels(session(resting, seed=1))) is same


def test_the_sham_arm_is_rewarded_as_often_and_its_true_measure_is_in_the_record():
    rates = {}
    for arm in ("real", "sham"):
        adapter = fitted(config(arm=arm))
        session(adapter, shift=3.0)
        record = json.loads(json.dumps(adapter.record()))
        assert record["arm"] == arm
        blocks = [part for part in record["parts"] if part["part"].startswith("block")]
        rates[arm] = np.mean([block["reward_rate"] for block in blocks])
        np.testing.assert_allclose([block["measure"] for block in blocks], 3, atol=0.2)
        same = [block["shown"] == block["measure"] for block in blocks]
        assert same == [arm == "real"] * 3
    assert rates["real"] == pytest.approx(0.65, abs=0.07)
    assert rates["sham"] == pytest.approx(0.65, abs=0.07)


def test_a_yoked_course_is_moved_to_the_level_of_the_person():
    settings = config(arm="sham", sham="yoked", threshold=ThresholdConfig(adapt="off"))
    theirs = 40 + 9 * np.random.default_rng(5).standard_normal(2000)
    adapter = NeurofeedbackAdapter(settings, threshold=0.0, scale=1.0, course=theirs)
    heard = labels(session(adapter))
    assert np.mean([label == "reward" for label in heard]) == pytest.approx(0.65, abs=0.07)


def test_no_decision_tells_the_arm():
    words = [
        {d.reason for _, d in session(fitted(config(arm=arm))) if d.reason}
        for arm in ("real", "sham")
    ]
    assert not any(word in reason for said in words for reason in said for word in ("sham", "real"))
    assert fitted(config(participant="p1", share_sham=0.5)).record()["arm"] in ("real", "sham")
    assert {
        fitted(config(participant=f"p{n}", share_sham=0.5)).record()["arm"] for n in range(12)
    } == {"real", "sham"}


def test_every_part_that_counts_is_in_the_record():
    adapter = fitted(config())
    session(adapter, seconds=200)
    assert [part["part"] for part in adapter.record()["parts"]] == [
        "baseline:eyes_open:pre", "block:1", "block:2", "block:3", "transfer:1",
        "baseline:eyes_open:post",
    ]  # fmt: skip


def test_the_plan_may_begin_later_than_the_stream():
    adapter = fitted(at_once(starts_at_sample=1000))
    early = adapter.decide(Embedding(values=np.ones(2)), window(900))
    assert (early.label, early.reason) == (None, "between two parts: no feedback")
    assert adapter.decide(Embedding(values=np.ones(2)), window(1100)).label == "reward"


def test_what_a_bundle_keeps_rebuilds_the_adapter():
    settings = config()
    first = fitted(settings)
    plain = json.loads(json.dumps(asdict(settings)))
    again = NeurofeedbackAdapter.from_arrays(
        build(NeurofeedbackConfig, plain, "adapter"), first.to_arrays(), epoch=4
    )
    assert told(session(again)) == told(session(first))
    assert again.epoch == 4


def test_arrays_features_and_windows_that_do_not_fit_are_refused():
    arrays = fitted(config()).to_arrays()
    for name, value in (
        ("scale", np.zeros(1)), ("threshold", np.array([np.nan])), ("course", np.ones(10)),
    ):  # fmt: skip
        with pytest.raises(BundleError, match="fit it on a baseline"):
            NeurofeedbackAdapter.from_arrays(config(), arrays | {name: value})
    with pytest.raises(BundleError, match="'course'"):
        NeurofeedbackAdapter.from_arrays(config(), {k: arrays[k] for k in ("threshold", "scale")})
    with pytest.raises(ConfigError, match="50 good windows"):
        NeurofeedbackAdapter.fit(rest(n=49), config())
    with pytest.raises(BundleError, match="Feature 4 is asked for"):
        NeurofeedbackAdapter.fit(rest(), config(feature=4))


@pytest.mark.parametrize(
    "fields",
    [
        {"measure": "amplitude"},
        {"measure": "probability"},
        {"decoder": "linear", "decoder_class": "left"},
        {"arm": "placebo"},
        {"participant": ""},
        {"share_sham": 2},
        {"baseline": "eyes_closed"},
        {"rate_hz": 0},
        {"min_quality": math.nan},
        {"step_s": 0},
    ],
)
def test_settings_that_cannot_be_used_are_refused(fields):
    with pytest.raises(ConfigError):
        config(**fields)
