from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal

from diverloop.runtime.conformance import check_conditioner
from diverloop.runtime.errors import ConfigError, SchemaMismatch
from diverloop.runtime.messages import Channel, Chunk, StreamSpec
from diverloop.runtime.pace import Pace
from diverloop.runtime.signal.condition_config import LINE_WIDTH_HZ, ConditionConfig
from diverloop.runtime.signal.conditioning import StreamConditioner
from diverloop.runtime.signal.filters import (
    band_pass,
    group_delay_s,
    high_pass,
    notch,
    settle_samples,
)

RATE_HZ = 250.0
TOP_HZ = 24.0 + 50.0  # harmonics far above the highest band would only cost
MU_BETA = ((8.0, 12.0), (16.0, 24.0))
PLANS = {
    "nothing": ConditionConfig(),
    "reference": ConditionConfig(reference="average"),
    "notch": ConditionConfig(line_hz=50.0),
    "high-pass": ConditionConfig(high_pass_hz=0.5, order=2),
    "one band": ConditionConfig(bands_hz=MU_BETA[:1]),
    "everything": ConditionConfig(
        reference="average", line_hz=50.0, bands_hz=MU_BETA, high_pass_hz=0.5, order=3
    ),
    "envelope": ConditionConfig(bands_hz=MU_BETA[:1], envelopes_hz=((70.0, 110.0),), order=2),
    "slower": ConditionConfig(bands_hz=MU_BETA[:1], rate_hz=100.0),
    "awkward": ConditionConfig(reference="average", rate_hz=98.4),
    "faster": ConditionConfig(high_pass_hz=0.5, rate_hz=500.0),
}


def spec(n_channels: int = 3, kinds=()) -> StreamSpec:
    channels = tuple(
        Channel(name=f"ch{row}", kind=kinds[row] if kinds else "eeg") for row in range(n_channels)
    )
    return StreamSpec(name="amp", rate_hz=RATE_HZ, channels=channels)


def noise(n_channels: int, n_times: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(300, 20, (n_channels, n_times)).astype(np.float32)


def chunk(samples, first_sample: int = 0) -> Chunk:
    return Chunk(samples=samples, first_sample=first_sample, arrived_ns=0)


def conditioned(config: ConditionConfig, samples, sizes=(10**6,), first_sample: int = 0):
    """Condition in pieces of these sizes, over and over, with a fresh conditioner."""
    conditioner = StreamConditioner(config)
    conditioner.open(spec(len(samples)))
    return run(conditioner, samples, sizes, first_sample)


def run(conditioner, samples, sizes=(10**6,), first_sample: int = 0) -> np.ndarray:
    parts, at, turn = [], 0, 0
    while at < samples.shape[1]:
        size = sizes[turn % len(sizes)]
        piece = chunk(samples[:, at : at + size], first_sample + at)
        parts.append(conditioner.process(piece).samples)
        at, turn = at + size, turn + 1
    return np.concatenate(parts, axis=1)


# ------------------------------------------------------------------------------- any cut


@given(
    sizes=st.lists(st.integers(1, 90), min_size=1, max_size=20),
    n_channels=st.integers(2, 8),
    bands=st.sampled_from([(), MU_BETA[:1], MU_BETA]),
    reference=st.sampled_from(["none", "average"]),
    line_hz=st.sampled_from([0.0, 50.0]),
    high_pass_hz=st.sampled_from([0.0, 1.0]),
    order=st.integers(1, 4),
)
def test_any_cut_gives_the_same_bits(
    sizes, n_channels, bands, reference, line_hz, high_pass_hz, order
):
    config = ConditionConfig(
        bands_hz=bands,
        reference=reference,
        line_hz=line_hz,
        high_pass_hz=high_pass_hz,
        order=order,
    )
    samples = noise(n_channels, 400)
    assert np.array_equal(conditioned(config, samples, sizes), conditioned(config, samples))


@pytest.mark.parametrize("n_channels", [9, 64, 130, 257])
@pytest.mark.parametrize("sizes", [[1], [1, 2, 3, 64]])
def test_the_average_of_many_channels_does_not_depend_on_the_cut(n_channels, sizes):
    # numpy adds in pairs from 8 numbers on and in blocks from 128 on. Sums of like numbers are
    # exact in double precision, whatever their order, so the channels differ in size here.
    size = 10.0 ** np.random.default_rng(1).integers(-9, 9, (n_channels, 1))
    samples = (noise(n_channels, 300) * size).astype(np.float32)
    config = PLANS["reference"]
    assert np.array_equal(conditioned(config, samples, sizes), conditioned(config, samples))


@pytest.mark.parametrize("config", PLANS.values(), ids=PLANS)
@pytest.mark.parametrize("n_channels", [2, 5])
def test_every_plan_keeps_the_protocol(config, n_channels):
    check_conditioner(StreamConditioner(config), spec(n_channels))


# ------------------------------------------------------------------------- what is done


def test_all_steps_are_done_in_the_order_of_the_settings():
    samples = noise(4, 1000)
    by_hand = samples - samples.astype(float).mean(axis=0)
    for sos in (high_pass(0.5, 3, RATE_HZ), notch(50.0, LINE_WIDTH_HZ, RATE_HZ, TOP_HZ)):
        by_hand = settled(sos, by_hand)
    by_hand = np.vstack([settled(band_pass(*band, 3, RATE_HZ), by_hand) for band in MU_BETA])
    np.testing.assert_allclose(conditioned(PLANS["everything"], samples), by_hand, atol=1e-9)


def settled(sos, samples):
    start = signal.sosfilt_zi(sos)[:, None, :] * samples[None, :, :1]
    return signal.sosfilt(sos, samples, axis=1, zi=start)[0]


def test_the_average_reference_leaves_no_average():
    out = conditioned(PLANS["reference"], noise(8, 100))
    np.testing.assert_allclose(out.mean(axis=0), 0, atol=1e-10)


def test_the_average_is_taken_over_the_channels_that_are_kept():
    conditioner = StreamConditioner(ConditionConfig(reference="average", pick=("ch0", "ch2")))
    conditioner.open(spec(3))
    samples = noise(3, 50).astype(np.float64)
    out = conditioner.process(chunk(samples)).samples
    np.testing.assert_allclose(out[0], (samples[0] - samples[2]) / 2, atol=1e-12)


def test_nothing_to_do_costs_no_copy():
    conditioner = StreamConditioner()
    out = conditioner.open(spec())
    samples = noise(3, 50)
    assert conditioner.process(chunk(samples)).samples is samples
    assert out == spec()
    assert (conditioner.settle_samples, conditioner.delay_s) == (0, 0.0)


def test_what_is_done_is_done_in_double_precision():
    assert conditioned(PLANS["reference"], noise(3, 10)).dtype == np.float64
    assert conditioned(PLANS["notch"], noise(3, 10)).dtype == np.float64


def test_a_chunk_keeps_its_place():
    conditioner = StreamConditioner(PLANS["everything"])
    conditioner.open(spec())
    after = conditioner.process(chunk(noise(3, 20), first_sample=40))
    assert (after.first_sample, after.stop_sample) == (40, 60)
    assert (after.masks, after.shut, after.events, after.quality) == ((), (), (), None)


def test_before_it_is_opened_it_says_so():
    with pytest.raises(RuntimeError, match="open it first"):
        StreamConditioner().process(chunk(noise(3, 20)))


def test_the_chunk_that_came_is_left_alone():
    samples = noise(3, 20)
    samples.flags.writeable = False
    assert conditioned(PLANS["everything"], samples).shape == (6, 20)


# ------------------------------------------------------------------------------- gaps


@pytest.mark.parametrize("config", PLANS.values(), ids=PLANS)
def test_behind_a_gap_it_is_as_new(config):
    conditioner, samples = StreamConditioner(config), noise(3, 200)
    conditioner.open(spec())
    fresh = run(conditioner, samples, [30])
    run(conditioner, noise(3, 90, seed=5), first_sample=200)
    # Where both counts meet, if it changes the rate.
    down = Pace.between(RATE_HZ, config.rate_hz or RATE_HZ).down
    later = -(-291 // down) * down
    assert np.array_equal(run(conditioner, samples, [17], first_sample=later), fresh)
    conditioner.open(spec())
    assert np.array_equal(run(conditioner, samples), fresh)


def test_a_stream_that_begins_late_is_filtered_like_any_other():
    samples = noise(3, 100)
    late = conditioned(PLANS["everything"], samples, [25], first_sample=777)
    assert np.array_equal(late, conditioned(PLANS["everything"], samples))


def test_chunks_without_samples_change_nothing():
    conditioner, samples = StreamConditioner(PLANS["everything"]), noise(3, 100)
    conditioner.open(spec())
    first = conditioner.process(chunk(samples[:, :50])).samples
    assert conditioner.process(chunk(samples[:, :0], 50)).samples.shape == (6, 0)
    second = conditioner.process(chunk(samples[:, 50:], 50)).samples
    whole = conditioned(PLANS["everything"], samples)
    assert np.array_equal(np.hstack([first, second]), whole)


# --------------------------------------------------------------------------- which rows


@given(order=st.permutations(range(5)), n_kept=st.integers(2, 5))
def test_rows_are_picked_by_name_whatever_their_order_in_the_stream(order, n_kept):
    samples = noise(5, 60)
    pick = tuple(f"ch{row}" for row in range(n_kept))
    mixed = replace(spec(5), channels=tuple(spec(5).channels[row] for row in order))
    conditioner = StreamConditioner(replace(PLANS["everything"], pick=pick))
    out = conditioner.open(mixed)
    assert out.channel_names[:n_kept] == tuple(f"8-12/{name}" for name in pick)
    got = conditioner.process(chunk(samples[list(order)])).samples
    assert np.array_equal(got, conditioned(PLANS["everything"], samples[:n_kept]))


def test_without_a_pick_every_brain_channel_is_kept_as_it_comes():
    kinds = ("eog", "eeg", "ecog", "misc", "seeg", "lfp", "emg")
    conditioner = StreamConditioner()
    out = conditioner.open(spec(7, kinds))
    assert out.channel_names == ("ch1", "ch2", "ch4", "ch5")
    samples = noise(7, 10)
    np.testing.assert_array_equal(
        conditioner.process(chunk(samples)).samples, samples[[1, 2, 4, 5]]
    )


def test_rows_of_a_filter_bank_are_named_by_band_and_keep_kind_and_place():
    place = (0.0, 0.1, 0.2)
    channels = (Channel(name="C3", position_m=place), Channel(name="G1", kind="ecog"))
    conditioner = StreamConditioner(ConditionConfig(bands_hz=((8.0, 12.5), (16.0, 24.0))))
    out = conditioner.open(replace(spec(), channels=channels))
    assert out.channel_names == ("8-12.5/C3", "8-12.5/G1", "16-24/C3", "16-24/G1")
    assert [channel.kind for channel in out.channels] == ["eeg", "ecog"] * 2
    assert out.channels[2].position_m == place
    assert (out.rate_hz, out.name) == (RATE_HZ, "amp")


def test_a_channel_that_is_missing_is_named_beside_those_that_are_there():
    conditioner = StreamConditioner(ConditionConfig(pick=("ch1", "Cz", "Pz")))
    with pytest.raises(SchemaMismatch, match=r"lacks 2 of 3 .* Cz, Pz; it has ch0, ch1, ch2"):
        conditioner.open(spec())


def test_a_stream_without_brain_channels_needs_a_pick():
    with pytest.raises(SchemaMismatch, match=r"got emg, misc.*conditioning\.pick"):
        StreamConditioner().open(spec(2, ("misc", "emg")))
    assert StreamConditioner(ConditionConfig(pick=("ch0",))).open(spec(2, ("misc", "emg")))


# ----------------------------------------------------------------------------- its figures


def test_it_settles_when_the_slowest_of_its_filters_has():
    conditioner = StreamConditioner(PLANS["everything"])
    conditioner.open(spec())
    designs = [high_pass(0.5, 3, RATE_HZ), notch(50.0, LINE_WIDTH_HZ, RATE_HZ, TOP_HZ)]
    designs += [band_pass(*band, 3, RATE_HZ) for band in MU_BETA]
    assert conditioner.settle_samples == max(settle_samples(sos) for sos in designs) > 0


def test_the_delay_is_that_of_the_slowest_band_and_all_in_front_of_it():
    conditioner = StreamConditioner(PLANS["everything"])
    conditioner.open(spec())
    front = (high_pass(0.5, 3, RATE_HZ), notch(50.0, LINE_WIDTH_HZ, RATE_HZ, TOP_HZ))
    delays_s = [
        sum(group_delay_s(sos, *band, RATE_HZ) for sos in (*front, band_pass(*band, 3, RATE_HZ)))
        for band in MU_BETA
    ]
    assert conditioner.delay_s == pytest.approx(max(delays_s))
    assert delays_s[0] > delays_s[1] > 0


@pytest.mark.parametrize("config", PLANS.values(), ids=PLANS)
def test_figures_are_finite_and_not_negative(config):
    conditioner = StreamConditioner(config)
    conditioner.open(spec())
    assert 0 <= conditioner.delay_s < 1
    assert 0 <= conditioner.settle_samples < 20 * RATE_HZ


# -------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("config", [{"bands_hz": ((8.0, 130.0),)}, {"high_pass_hz": 125.0}])
def test_a_band_beyond_half_the_rate_is_refused_when_the_rate_is_known(config):
    with pytest.raises(ConfigError, match="half the rate"):
        StreamConditioner(ConditionConfig(**config)).open(spec())
