from __future__ import annotations

import numpy as np
import pytest

from diverloop.decoders.evoked_epoch import EvokedEpoch, EvokedEpochConfig
from diverloop.runtime.conformance import check_encoder
from diverloop.runtime.errors import BundleError, ConfigError, SchemaMismatch
from diverloop.runtime.messages import Channel, StreamSpec, Window
from diverloop.runtime.stages import Encoder

N_CHANNELS, N_TIMES, RATE_HZ = 5, 80, 100.0
MIXING = np.random.default_rng(5).normal(size=(N_CHANNELS, N_CHANNELS))
WAVE = np.sin(np.linspace(0, np.pi, N_TIMES)) ** 4


def flashes(n_targets: int = 30, n_others: int = 120, seed: int = 0):
    rng = np.random.default_rng(seed)
    labels = np.array(["target"] * n_targets + ["nontarget"] * n_others)
    rng.shuffle(labels)
    sources = rng.normal(size=(len(labels), N_CHANNELS, N_TIMES))
    sources[labels == "target", 2] += 2 * WAVE
    return MIXING @ sources, labels


def config(**fields) -> EvokedEpochConfig:
    plain = {"rate_hz": RATE_HZ, "bin_s": 0.04, "clip_sd": None, "n_filters": 0}
    return EvokedEpochConfig(**plain | fields)


def fitted(**fields) -> EvokedEpoch:
    return EvokedEpoch.fit(*flashes(), config(**fields))


def window(samples: np.ndarray, usable: np.ndarray | None = None) -> Window:
    return Window(
        samples=samples, first_sample=0, stop_sample=samples.shape[1], due_ns=0, usable=usable
    )


def spec(n_rows: int = N_CHANNELS, rate_hz: float = RATE_HZ) -> StreamSpec:
    channels = tuple(Channel(name=f"row{row}") for row in range(n_rows))
    return StreamSpec(name="conditioned", rate_hz=rate_hz, channels=channels)


def test_a_feature_is_the_mean_amplitude_of_a_channel_in_a_stretch():
    windows, _ = flashes()
    features = fitted().encode_many(windows)
    assert features.shape == (len(windows), N_CHANNELS * 20)
    by_hand = windows[:, 3, 8:12].mean(axis=1)
    np.testing.assert_allclose(features[:, 3 * 20 + 2], by_hand, atol=1e-12)


def test_only_the_part_between_start_and_stop_is_looked_at():
    windows, _ = flashes()
    encoder = fitted(start_s=0.1, stop_s=0.5, bin_s=0.1)
    before = encoder.encode_many(windows)
    np.testing.assert_allclose(before[:, 3], windows[:, 0, 40:50].mean(axis=1), atol=1e-12)
    windows[:, :, :10] += 7
    windows[:, :, 50:] -= 7
    np.testing.assert_allclose(encoder.encode_many(windows), before, atol=1e-12)


def test_a_baseline_takes_an_offset_away():
    windows, _ = flashes()
    encoder = fitted(baseline_s=0.1)
    before = encoder.encode_many(windows)
    np.testing.assert_allclose(encoder.encode_many(windows + 50), before, atol=1e-10)
    by_hand = windows[:, 0, 40:44].mean(axis=1) - windows[:, 0, :10].mean(axis=1)
    np.testing.assert_allclose(before[:, 10], by_hand, atol=1e-12)


def test_a_loud_moment_is_held_where_the_channel_usually_ends():
    windows, labels = flashes()
    encoder = EvokedEpoch.fit(windows, labels, config(clip_sd=4.0))
    limits = encoder.to_arrays()["limits"]
    np.testing.assert_allclose(limits, 4 * windows.std(axis=(0, 2)), rtol=0.15)
    loud = windows[:1].copy()
    loud[0, 3, 8:12] = -1e6
    assert encoder.encode_many(loud)[0, 3 * 20 + 2] == pytest.approx(-limits[3], rel=1e-12)


def test_electrode_pops_do_less_harm_when_loud_moments_are_held():
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.metrics import roc_auc_score

    windows, labels = flashes()
    unseen, truth = flashes(seed=1)
    rng = np.random.default_rng(2)
    for some in (windows, unseen):
        for samples in some[::5]:
            begin = rng.integers(N_TIMES - 20)
            samples[rng.integers(N_CHANNELS), begin : begin + 20] += rng.normal(scale=100)
    found = {}
    for clip_sd in (4.0, None):
        encoder = EvokedEpoch.fit(windows, labels, config(clip_sd=clip_sd))
        model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
        model.fit(encoder.encode_many(windows), labels)
        scores = model.decision_function(encoder.encode_many(unseen))
        found[clip_sd] = roc_auc_score(truth == "target", scores)
    assert found[4.0] > found[None] + 0.03, found


@pytest.mark.parametrize("rate_hz", [250.0, 256.0, 100.0, 512.0])
def test_every_sample_counts_once_whatever_the_rate(rate_hz):
    n_times = round(0.8 * rate_hz)
    matrix = EvokedEpochConfig(rate_hz=rate_hz, bin_s=0.04).averaging(n_times)
    assert matrix.shape == (n_times, 20)
    assert ((matrix > 0).sum(axis=1) == 1).all()
    np.testing.assert_allclose(matrix.sum(axis=0), 1.0)
    lengths = (matrix > 0).sum(axis=0) / rate_hz
    assert np.abs(lengths - 0.04).max() <= 1.5 / rate_hz


def test_a_remainder_joins_the_last_stretch_or_makes_its_own():
    config_of_two = config(bin_s=0.3)
    assert (config_of_two.averaging(70) > 0).sum(axis=0).tolist() == [30, 40]
    assert (config_of_two.averaging(80) > 0).sum(axis=0).tolist() == [30, 30, 20]


def test_filters_take_the_place_of_channels_and_the_first_sees_the_response():
    encoder = fitted(n_filters=2)
    assert encoder.n_features == 2 * 20
    filters = encoder.to_arrays()["filters"]
    assert np.abs(filters[0] @ MIXING).argmax() == 2
    windows, labels = flashes(seed=1)
    features = encoder.encode_many(windows)
    by_hand = (filters[1] @ windows[5])[12:16].mean()
    assert features[5, 20 + 3] == pytest.approx(by_hand, abs=1e-12)
    gap = features[labels == "target"].mean(axis=0) - features[labels != "target"].mean(axis=0)
    assert np.abs(gap[:20]).argmax() in (9, 10)


def test_a_linear_reader_finds_targets_that_it_has_not_seen():
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.metrics import roc_auc_score

    windows, labels = flashes()
    unseen, truth = flashes(seed=1)
    encoder = EvokedEpoch.fit(windows, labels, config())
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    model.fit(encoder.encode_many(windows), labels)
    scores = model.decision_function(encoder.encode_many(unseen))
    assert roc_auc_score(truth == "target", scores) > 0.95


@pytest.mark.parametrize("n_filters", [0, 3])
def test_it_does_what_every_encoder_must(n_filters):
    encoder = fitted(n_filters=n_filters)
    assert isinstance(encoder, Encoder)
    check_encoder(encoder, spec(), N_TIMES)


@pytest.mark.parametrize("n_filters", [0, 3])
def test_serving_one_window_and_encoding_many_agree(n_filters):
    windows, _ = flashes()
    encoder = fitted(n_filters=n_filters)
    encoder.open(spec(), N_TIMES)
    for row, samples in zip(encoder.encode_many(windows), windows, strict=True):
        embedding = encoder.encode(window(samples))
        assert embedding.quality == 1
        np.testing.assert_array_equal(embedding.values, row)


@pytest.mark.parametrize("n_filters", [0, 3])
def test_a_masked_channel_that_others_tell_hardly_matters(n_filters):
    windows, labels = flashes()
    copied = np.concatenate([windows, windows[:, :1] + windows[:, 1:2]], axis=1)
    encoder = EvokedEpoch.fit(copied, labels, config(n_filters=n_filters))
    encoder.open(spec(N_CHANNELS + 1), N_TIMES)
    usable = np.arange(N_CHANNELS + 1) != 0
    whole = encoder.encode(window(copied[3])).values
    lost = copied[3].copy()
    lost[0] = np.nan
    masked = encoder.encode(window(lost, usable))
    assert masked.quality > 0.98
    assert np.linalg.norm(masked.values - whole) < 0.05 * np.linalg.norm(whole)


def test_too_few_usable_channels_say_so():
    encoder = fitted()
    encoder.open(spec(), N_TIMES)
    embedding = encoder.encode(window(flashes()[0][0], np.arange(N_CHANNELS) < 2))
    assert embedding.quality == 0
    assert np.isnan(embedding.values).all()


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_a_window_that_cannot_be_encoded_is_nan_with_quality_zero(value):
    encoder = fitted()
    encoder.open(spec(), N_TIMES)
    broken = np.full((N_CHANNELS, N_TIMES), value)
    embedding = encoder.encode(window(broken))
    assert embedding.quality == 0
    assert np.isnan(embedding.values).all()
    assert np.isnan(encoder.encode_many(broken[None])).all()


def test_a_hole_outside_the_part_that_counts_is_a_hole_all_the_same():
    windows, _ = flashes()
    windows[0, 1, -1] = np.nan
    assert np.isnan(fitted(stop_s=0.4).encode_many(windows)[0]).all()


@pytest.mark.parametrize("n_filters", [0, 2])
def test_what_a_bundle_keeps_rebuilds_the_encoder(n_filters):
    windows, _ = flashes()
    encoder = fitted(n_filters=n_filters)
    again = EvokedEpoch.from_arrays(config(n_filters=n_filters), encoder.to_arrays())
    np.testing.assert_array_equal(again.encode_many(windows), encoder.encode_many(windows))
    with pytest.raises(BundleError, match="n_times"):
        EvokedEpoch.from_arrays(config(), {"scatter": encoder.to_arrays()["scatter"]})


def test_a_stream_or_window_of_another_shape_is_refused():
    encoder = fitted()
    with pytest.raises(SchemaMismatch, match="3 rows"):
        encoder.open(spec(3), N_TIMES)
    with pytest.raises(SchemaMismatch, match="250 Hz"):
        encoder.open(spec(rate_hz=250.0), N_TIMES)
    with pytest.raises(SchemaMismatch, match="window length"):
        encoder.open(spec(), N_TIMES + 1)
    encoder.open(spec(), N_TIMES)
    with pytest.raises(SchemaMismatch, match="announced"):
        encoder.encode(window(np.ones((N_CHANNELS, 9))))
    encoder.close()
    encoder.close()
    with pytest.raises(RuntimeError, match="before open"):
        encoder.encode(window(np.ones((N_CHANNELS, N_TIMES))))


def test_a_fit_refuses_nothing_windows_too_short_and_filters_without_labels():
    windows, labels = flashes()
    with pytest.raises(ConfigError, match="0 windows"):
        EvokedEpoch.fit(windows[:0], labels[:0], config())
    with pytest.raises(SchemaMismatch, match="longer windows"):
        EvokedEpoch.fit(windows, labels, config(stop_s=0.9))
    with pytest.raises(ConfigError, match="at least 2 classes"):
        EvokedEpoch.fit(windows, None, config(n_filters=2))
    windows[4, 0, 0] = np.inf
    with pytest.raises(ConfigError, match="Window 4"):
        EvokedEpoch.fit(windows, labels, config())


@pytest.mark.parametrize(
    "fields",
    [
        {"rate_hz": 0.0},
        {"bin_s": 0.001},
        {"start_s": -0.1},
        {"stop_s": 0.01},
        {"baseline_s": -1.0},
        {"clip_sd": 0.0},
        {"n_filters": -1},
    ],
)
def test_settings_outside_their_range_are_refused(fields):
    with pytest.raises(ConfigError, match=f"{next(iter(fields))} must be"):
        config(**fields)
