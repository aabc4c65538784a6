"""What is looked for beside the chain, through the conditioner that holds both."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diverloop.runtime.errors import BundleError
from diverloop.runtime.messages import Channel, Chunk, EventKind, Marker, StreamSpec
from diverloop.runtime.signal.asr import Asr
from diverloop.runtime.signal.bad_channels import BadChannelConfig
from diverloop.runtime.signal.blanking import BlankingConfig
from diverloop.runtime.signal.condition_config import ConditionConfig
from diverloop.runtime.signal.conditioning import StreamConditioner
from diverloop.runtime.signal.filters import high_pass
from diverloop.runtime.signal.overseer import Cleaner
from diverloop.runtime.signal.seizures import SeizureConfig
from diverloop.runtime.signal.spikes import SpikeConfig

RATE_HZ = 250.0
NAMES = ("Fz", "C3", "Cz", "C4", "P3", "Pz", "P4", "Oz")
WATCHED = ConditionConfig(
    reference="average", bands_hz=((8.0, 30.0),), order=2, bad_channels=BadChannelConfig()
)


def spec(kind: str = "eeg") -> StreamSpec:
    channels = tuple(Channel(name=name, kind=kind) for name in NAMES)
    return StreamSpec(name="amp", rate_hz=RATE_HZ, channels=channels)


def brain(seconds: float, seed: int = 0) -> np.ndarray:
    """Noise that neighbours share, falling with frequency."""
    rng = np.random.default_rng(seed)
    n_times = round(seconds * RATE_HZ)
    shared = np.cumsum(rng.normal(0, 1, (2, n_times)), axis=1)
    shared -= np.array([np.convolve(row, np.ones(500) / 500, "same") for row in shared])
    mixing = rng.uniform(0.5, 1.5, (len(NAMES), 2))
    return (mixing @ shared + rng.normal(0, 1, (len(NAMES), n_times))).astype(np.float32)


def run(config, samples, size=50, markers=(), arrays=None, first=0):
    """Condition in pieces; give everything that came out."""
    conditioner = StreamConditioner(config, arrays)
    conditioner.open(spec())
    out = []
    for at in range(0, samples.shape[1], size):
        piece = samples[:, at : at + size]
        here = tuple(m for m in markers if at <= m.sample - first < at + size)
        chunk = Chunk(samples=piece, first_sample=first + at, arrived_ns=0, markers=here)
        out.append(conditioner.process(chunk))
    return out


def said(out, name):
    return [one for part in out for one in getattr(part, name)]


# ------------------------------------------------------------------------------ bad electrodes


def test_an_electrode_that_comes_off_is_masked_told_and_given_back():
    samples = brain(30)
    samples[3, 2500:4500] = 0.0
    out = run(WATCHED, samples)
    (masked_at, mask), (back_at, back) = said(out, "masks")
    assert 2500 < masked_at <= 3000 + 16
    assert mask.tolist() == [name != "C4" for name in NAMES]
    assert 4500 + 4 * RATE_HZ < back_at < 4500 + 8 * RATE_HZ
    assert back.all()
    first, second = said(out, "events")
    assert (first.kind, first.count, first.sample) == (EventKind.BAD_CHANNEL, 1, masked_at)
    assert first.text == "C4 (flat) is masked."
    assert second.text.startswith("C4")
    assert second.text.endswith("is used again.")


def test_a_verdict_outlives_a_gap():
    samples = brain(10)
    samples[3] = 0.0
    conditioner = StreamConditioner(WATCHED)
    conditioner.open(spec())
    before = conditioner.process(Chunk(samples=samples, first_sample=0, arrived_ns=0))
    assert len(before.masks) == 1
    after = conditioner.process(Chunk(samples=samples[:, :300], first_sample=9000, arrived_ns=0))
    assert after.masks == ()
    others = np.array(NAMES) != "C4"
    assert np.abs(after.samples[others].mean(axis=0)).max() < 1e-9  # still without the masked one


def test_the_reference_of_the_others_forgets_a_masked_electrode_at_once():
    samples = brain(20)
    spoilt = samples.copy()
    spoilt[3, 1000:] += np.random.default_rng(1).normal(0, 4000, 4000).astype(np.float32)
    clean, dirty = (run(WATCHED, s) for s in (samples, spoilt))
    ((at, mask),) = said(dirty, "masks")
    without = run(replace(WATCHED, bad_channels=None, pick=tuple(np.array(NAMES)[mask])), samples)
    whole, alone = (np.concatenate([p.samples for p in o], axis=1) for o in (dirty, without))
    np.testing.assert_allclose(whole[mask, at:], alone[:, at:], atol=1e-6)
    assert len(clean) == len(dirty)


def test_quality_is_told_once_a_second_with_a_number_for_every_electrode():
    samples = brain(12)
    samples[0, 1000:] = 0.0
    told = [part.quality for part in run(WATCHED, samples) if part.quality]
    assert 10 <= len(told) <= 12
    assert told[0].channels == NAMES
    assert (told[2].scores[1:] > 0.5).all()
    assert told[-1].scores[0] < 0.2
    assert told[-1].usable.tolist() == [False] + [True] * 7
    assert told[-1].reason == "flat: Fz"
    assert told[-1].overall < told[2].overall


def test_muscle_is_heard_as_a_spectrum_that_does_not_fall():
    samples = brain(12)
    tense = samples + np.random.default_rng(2).normal(0, 60, samples.shape).astype(np.float32)
    quiet, loud = (
        np.median([part.quality.muscle for part in run(WATCHED, s)[:-1] if part.quality][2:])
        for s in (samples, tense)
    )
    assert 0 < quiet < 0.5
    assert 0.7 < loud < 1.3


def test_muscle_is_not_guessed_from_the_moment_behind_a_gap():
    samples = brain(12)
    conditioner = StreamConditioner(WATCHED)
    conditioner.open(spec())
    told = []
    for at in range(0, 3000, 50):
        first = at + 1000 * (at >= 950)  # about 0.2 s before quality is told, samples are lost
        chunk = Chunk(samples=samples[:, at : at + 50], first_sample=first, arrived_ns=0)
        if quality := conditioner.process(chunk).quality:
            told.append((quality.sample, quality.muscle))
    behind = [muscle for sample, muscle in told if sample < 1950 + 0.5 * RATE_HZ][-1]
    assert told[3][0] > 1950
    assert behind == 0.0
    assert all(muscle > 0 for _, muscle in told[:3] + told[4:])


@settings(max_examples=15, deadline=None)
@given(sizes=st.lists(st.integers(1, 400), min_size=1, max_size=8))
def test_what_is_found_does_not_depend_on_the_cut(sizes):
    samples = brain(12, seed=3)
    samples[2, 700:] *= 200
    config = replace(WATCHED, spikes=SpikeConfig(), seizures=SeizureConfig())
    whole = run(config, samples, size=10_000)
    conditioner = StreamConditioner(config)
    conditioner.open(spec())
    parts, at, turn = [], 0, 0
    while at < samples.shape[1]:
        piece = samples[:, at : at + sizes[turn % len(sizes)]]
        parts.append(conditioner.process(Chunk(samples=piece, first_sample=at, arrived_ns=0)))
        at, turn = at + piece.shape[1], turn + 1
    for name in ("events", "shut"):
        assert said(parts, name) == said(whole, name)
    masks = [[(at, mask.tolist()) for at, mask in said(o, "masks")] for o in (parts, whole)]
    assert masks[0] == masks[1] != []
    together = np.concatenate([part.samples for part in parts], axis=1)
    assert np.array_equal(together, whole[0].samples)


def test_a_mask_names_the_rows_of_every_band():
    samples = brain(12)
    samples[7, 500:] = 0.0
    config = replace(WATCHED, bands_hz=((8.0, 12.0), (13.0, 30.0)), envelopes_hz=((60.0, 90.0),))
    ((_, mask),) = said(run(config, samples), "masks")
    assert mask.tolist() == ([True] * 7 + [False]) * 3


def test_places_are_counted_at_the_rate_of_what_comes_out():
    samples = brain(12)
    samples[7, 500:] = 0.0
    ((at, _),) = said(run(WATCHED, samples), "masks")
    ((slower, _),) = said(run(replace(WATCHED, rate_hz=125.0), samples), "masks")
    assert slower == -(-at // 2)


# ----------------------------------------------------------------------------- research guards


def test_a_spike_shuts_the_windows_that_touch_it():
    samples = brain(40)
    at = 30 * 250
    samples[2:4, at : at + 18] += (400 * np.hanning(18)).astype(np.float32)
    out = run(replace(WATCHED, bad_channels=None, spikes=SpikeConfig()), samples)
    found = [event for event in said(out, "events") if event.kind is EventKind.SPIKE]
    assert any("not a diagnosis" in event.text and "Cz" in event.text for event in found)
    shut = said(out, "shut")
    assert any(one.first <= at and at + 18 <= one.stop for one in shut)
    assert all("research guard" in one.reason for one in shut)
    assert sum(one.stop - one.first for one in shut) < 5 * RATE_HZ


# ------------------------------------------------------------------------------------ blanking


def test_a_pulse_is_held_and_its_surroundings_are_shut():
    config = ConditionConfig(blanking=BlankingConfig(labels=("pulse",), after_s=0.02))
    samples = brain(4)
    spoilt = samples.copy()
    spoilt[:, 500:504] += 5000
    marker = Marker(label="pulse", sample=500)
    out = run(config, spoilt, markers=[marker])
    whole = np.concatenate([part.samples for part in out], axis=1)
    (shut,) = said(out, "shut")
    (event,) = said(out, "events")
    assert (event.kind, event.sample) == (EventKind.BLANKED, 500)
    assert shut.first <= 500
    assert shut.stop >= 504
    assert "stimulation pulse" in shut.reason
    outside = np.r_[0 : shut.first, shut.stop : 1000]
    np.testing.assert_array_equal(whole[:, outside], samples[:, outside])
    assert np.abs(whole).max() < 1000


def test_a_pulse_that_is_told_too_late_is_shut_all_the_same():
    conditioner = StreamConditioner(ConditionConfig(blanking=BlankingConfig(labels=("pulse",))))
    conditioner.open(spec())
    samples = brain(4)
    conditioner.process(Chunk(samples=samples, first_sample=0, arrived_ns=0))
    late = Chunk(
        samples=samples[:, :0], first_sample=1000, arrived_ns=0,
        markers=(Marker(label="pulse", sample=900),),
    )  # fmt: skip
    out = conditioner.process(late)
    (shut,) = out.shut
    assert shut.first <= 900 < shut.stop
    assert out.samples.shape == (8, 0)


# ------------------------------------------------------------------------------------ cleaning


def projection_arrays(row: int) -> dict[str, np.ndarray]:
    """Takes the source out that only one row sees."""
    unit = np.eye(len(NAMES))[:, [row]]
    return {
        "eye.mixing": unit,
        "eye.unmixing": unit.T.copy(),
        "eye.covariance": np.eye(len(NAMES)),
    }


def test_what_was_learnt_is_taken_out_of_the_signal():
    config = ConditionConfig(clean=("eye",), max_changed=1.0)
    samples = brain(4)
    out = run(config, samples, arrays=projection_arrays(0))
    whole = np.concatenate([part.samples for part in out], axis=1)
    np.testing.assert_allclose(whole[1:], samples[1:], atol=1e-9)
    np.testing.assert_allclose(whole[0], 0, atol=1e-9)


def test_where_cleaning_changes_too_much_nothing_is_decoded():
    config = ConditionConfig(clean=("eye",), max_changed=0.5)
    samples = brain(4)
    samples[0, 500:] *= 100
    out = run(config, samples, arrays=projection_arrays(0))
    shut = said(out, "shut")
    assert shut
    assert all("more than the 50% that are allowed" in one.reason for one in shut)
    assert min(one.first for one in shut) >= 480
    kinds = {event.kind for event in said(out, "events")}
    assert kinds == {EventKind.CLEANED}


def test_cleaning_without_anything_learnt_is_refused():
    with pytest.raises(BundleError, match="mixing"):
        StreamConditioner(ConditionConfig(clean=("eye",))).open(spec())


def test_what_was_learnt_on_other_channels_is_refused():
    config = ConditionConfig(clean=("eye",), pick=NAMES[:5])
    with pytest.raises(BundleError, match="8 channels, and 5 are picked: fit the model again"):
        StreamConditioner(config, projection_arrays(0)).open(spec())


def loud_cleaner() -> tuple[Cleaner, np.ndarray]:
    """After a burst in all rows, which reconstruction has to mix the rows for."""
    n = len(NAMES)
    asr = Asr(np.eye(n), 4 * np.eye(n), high_pass(0.5, 2, RATE_HZ), RATE_HZ)
    config = ConditionConfig(clean=("asr",))
    cleaner = Cleaner(config, asr.to_arrays("asr."), n, 16 / RATE_HZ)
    rng = np.random.default_rng(4)
    burst = np.ones((n, 1)) * rng.normal(0, 500, (1, 16)) + rng.normal(0, 1, (n, 16))
    return cleaner, burst


def test_a_row_that_is_masked_during_a_burst_leaves_the_others_at_once():
    cleaner, burst = loud_cleaner()
    usable = np.ones(len(NAMES), bool)
    assert cleaner.look(burst, 0, usable)
    assert np.abs(cleaner.matrix(usable)[0, 3]) > 0.05
    usable[3] = False
    matrix = cleaner.matrix(usable)
    assert np.array_equal(matrix[:, 3], np.eye(len(NAMES))[3])
    assert np.array_equal(matrix[3], np.eye(len(NAMES))[3])


def test_of_silence_nothing_is_changed():
    cleaner, burst = loud_cleaner()
    cleaner.look(np.zeros_like(burst), 0, np.ones(len(NAMES), bool))
    assert cleaner.changed == 0.0
    cleaner.look(burst, 16, np.zeros(len(NAMES), bool))
    assert cleaner.changed == 0.0


# ------------------------------------------------------------------------- called bad by a person


def called_bad(config, samples, *names):
    """Condition a stream of which somebody has called electrodes bad."""
    stream = spec()
    channels = tuple(replace(c, bad=c.name in names) for c in stream.channels)
    conditioner = StreamConditioner(config)
    conditioner.open(replace(stream, channels=channels))
    pieces = range(0, samples.shape[1], 50)
    return [
        conditioner.process(Chunk(samples=samples[:, at : at + 50], first_sample=at, arrived_ns=0))
        for at in pieces
    ]


@pytest.mark.parametrize("config", [WATCHED, replace(WATCHED, bad_channels=None)])
def test_an_electrode_that_a_person_called_bad_is_masked_from_the_first_sample_on(config):
    samples = brain(4.0)
    loud = samples.copy()
    loud[1] += 1e4
    out = called_bad(config, loud, "C3")
    assert all(at == 0 or not usable[1] for at, usable in said(out, "masks"))
    at, usable = said(out, "masks")[0]
    assert (at, list(usable)) == (0, [name != "C3" for name in NAMES])
    assert said(out, "events")[0].text == "C3 is masked: called bad."
    # It enters no average: the others are what they are whatever it holds.
    quiet = called_bad(config, samples, "C3")
    for one, other in zip(out, quiet, strict=True):
        np.testing.assert_array_equal(np.delete(one.samples, 1, 0), np.delete(other.samples, 1, 0))
