from __future__ import annotations

import numpy as np
import pytest
from pyriemann.estimation import Covariances
from pyriemann.tangentspace import TangentSpace

from diverloop.decoders.xdawn import XdawnConfig, XdawnCovariance
from diverloop.runtime.conformance import check_encoder
from diverloop.runtime.errors import BundleError, ConfigError, SchemaMismatch
from diverloop.runtime.messages import Channel, StreamSpec, Window
from diverloop.runtime.stages import Encoder

N_CHANNELS, N_TIMES = 6, 60
MIXING = np.random.default_rng(5).normal(size=(N_CHANNELS, N_CHANNELS))
WAVE = np.sin(np.linspace(0, np.pi, N_TIMES)) ** 4


def flashes(n_targets: int = 25, n_others: int = 100, seed: int = 0, loud: float = 2.0):
    """Source 2 responds to targets; source 4 to every flash alike, and three times as strongly."""
    rng = np.random.default_rng(seed)
    labels = np.array(["target"] * n_targets + ["nontarget"] * n_others)
    rng.shuffle(labels)
    sources = rng.normal(size=(len(labels), N_CHANNELS, N_TIMES))
    sources[labels == "target", 2] += loud * WAVE
    sources[:, 4] += 3 * loud * np.cos(np.linspace(0, 4 * np.pi, N_TIMES))
    return MIXING @ sources, labels


def window(samples: np.ndarray, usable: np.ndarray | None = None) -> Window:
    return Window(
        samples=samples, first_sample=0, stop_sample=samples.shape[1], due_ns=0, usable=usable
    )


def spec(n_rows: int = N_CHANNELS) -> StreamSpec:
    channels = tuple(Channel(name=f"row{row}") for row in range(n_rows))
    return StreamSpec(name="conditioned", rate_hz=100.0, channels=channels)


def fitted(config: XdawnConfig | None = None, **more) -> XdawnCovariance:
    return XdawnCovariance.fit(*flashes(**more), config or XdawnConfig())


def test_the_first_filter_sees_what_targets_evoke_and_not_what_every_flash_does():
    filters = fitted(n_targets=100, n_others=400).to_arrays()["filters"]
    seen = np.abs(filters[0] @ MIXING)
    assert seen.argmax() == 2
    assert seen[4] < 0.1 * seen[2]


def test_the_output_of_the_filters_has_unit_power():
    windows, labels = flashes()
    # The weakest directions have less, by what the ridge takes.
    config = XdawnConfig(n_filters=4)
    filters = XdawnCovariance.fit(windows, labels, config).to_arrays()["filters"]
    power = ((filters @ windows) ** 2).mean(axis=(0, 2))
    np.testing.assert_allclose(power, 1.0, atol=0.15)


def test_features_are_the_tangent_space_of_pyriemann_on_the_super_trial():
    windows, labels = flashes()
    unseen, _ = flashes(seed=1)
    encoder = XdawnCovariance.fit(windows, labels, XdawnConfig())
    learnt = encoder.to_arrays()
    prototypes = learnt["prototypes"]

    def stacked(some: np.ndarray) -> np.ndarray:
        rows = np.broadcast_to(prototypes, (len(some), *prototypes.shape))
        return np.concatenate([rows, learnt["filters"] @ some], axis=1)

    covariances = Covariances("oas", assume_centered=True)
    space = TangentSpace(metric="riemann").fit(covariances.transform(stacked(windows)))
    expected = space.transform(covariances.transform(stacked(unseen)))
    np.testing.assert_allclose(encoder.encode_many(unseen), expected, atol=1e-6)


def test_a_linear_reader_finds_targets_that_it_has_not_seen():
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score

    windows, labels = flashes()
    unseen, truth = flashes(seed=1)
    encoder = XdawnCovariance.fit(windows, labels, XdawnConfig())
    model = LogisticRegression(max_iter=1000).fit(encoder.encode_many(windows), labels)
    scores = model.decision_function(encoder.encode_many(unseen))
    assert roc_auc_score(truth == "target", scores) > 0.95


def test_labels_that_mean_nothing_teach_nothing():
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score

    windows, labels = flashes(150, 150, loud=0.0)
    unseen, truth = flashes(150, 150, seed=1, loud=0.0)
    encoder = XdawnCovariance.fit(windows, labels, XdawnConfig())
    model = LogisticRegression(max_iter=1000).fit(encoder.encode_many(windows), labels)
    scores = model.decision_function(encoder.encode_many(unseen))
    assert abs(roc_auc_score(truth == "target", scores) - 0.5) < 0.12


def test_a_gain_of_the_amplifier_changes_nothing():
    windows, labels = flashes()
    quiet, loud = (
        XdawnCovariance.fit(gain * windows, labels, XdawnConfig()).encode_many(gain * windows)
        for gain in (1.0, 1000.0)
    )
    np.testing.assert_allclose(loud, quiet, atol=1e-6)


def test_more_classes_each_get_filters_and_a_mean_response():
    windows, labels = flashes(60, 200)
    labels = labels.copy()
    labels[np.flatnonzero(labels == "target")[::2]] = "other_target"
    encoder = XdawnCovariance.fit(windows, labels, XdawnConfig(n_filters=2))
    learnt = encoder.to_arrays()
    assert learnt["filters"].shape == (4, N_CHANNELS)
    assert learnt["prototypes"].shape == (12, N_TIMES)
    assert encoder.n_features == 16 * 17 // 2
    assert np.isfinite(encoder.encode_many(windows)).all()


def test_the_evoked_class_can_be_named_and_all_of_them_too():
    windows, labels = flashes()
    rare = XdawnCovariance.fit(windows, labels, XdawnConfig(n_filters=1))
    named = XdawnCovariance.fit(windows, labels, XdawnConfig(n_filters=1, evoked=("target",)))
    np.testing.assert_array_equal(named.encode_many(windows), rare.encode_many(windows))
    both = XdawnCovariance.fit(
        windows, labels, XdawnConfig(n_filters=1, evoked=("target", "nontarget"))
    )
    assert both.to_arrays()["prototypes"].shape == (4, N_TIMES)


def test_a_common_reference_does_no_harm():
    windows, labels = flashes()
    flat = windows - windows.mean(axis=1, keepdims=True)
    encoder = XdawnCovariance.fit(flat, labels, XdawnConfig(n_filters=N_CHANNELS))
    assert encoder.to_arrays()["filters"].shape == (N_CHANNELS - 1, N_CHANNELS)
    assert np.abs(encoder.encode_many(flat)).max() < 20


def test_serving_one_window_and_encoding_many_agree():
    windows, labels = flashes()
    encoder = XdawnCovariance.fit(windows, labels, XdawnConfig(shrinkage=0.05))
    encoder.open(spec(), N_TIMES)
    for row, samples in zip(encoder.encode_many(windows), windows, strict=True):
        embedding = encoder.encode(window(samples))
        assert embedding.quality == 1
        np.testing.assert_array_equal(embedding.values, row)


def test_it_does_what_every_encoder_must():
    encoder = fitted()
    assert isinstance(encoder, Encoder)
    check_encoder(encoder, spec(), N_TIMES)


def test_a_masked_channel_that_others_tell_hardly_matters():
    windows, labels = flashes()
    copied = np.concatenate([windows, windows[:, :1] + windows[:, 1:2]], axis=1)
    encoder = XdawnCovariance.fit(copied, labels, XdawnConfig())
    encoder.open(spec(N_CHANNELS + 1), N_TIMES)
    usable = np.arange(N_CHANNELS + 1) != 0
    whole = encoder.encode(window(copied[3])).values
    lost = copied[3].copy()
    lost[0] = np.nan
    masked = encoder.encode(window(lost, usable))
    assert masked.quality > 0.98
    assert np.linalg.norm(masked.values - whole) < 0.1 * np.linalg.norm(whole)


def test_too_few_usable_channels_say_so():
    encoder = fitted()
    encoder.open(spec(), N_TIMES)
    embedding = encoder.encode(window(flashes()[0][0], np.arange(N_CHANNELS) < 2))
    assert embedding.quality == 0
    assert np.isnan(embedding.values).all()


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf, 1e200])
def test_a_window_that_cannot_be_encoded_is_nan_with_quality_zero(value):
    encoder = fitted()
    encoder.open(spec(), N_TIMES)
    broken = np.full((N_CHANNELS, N_TIMES), value)
    embedding = encoder.encode(window(broken))
    assert embedding.quality == 0
    assert np.isnan(embedding.values).all()
    assert np.isnan(encoder.encode_many(broken[None])).all()


def test_what_a_bundle_keeps_rebuilds_the_encoder():
    windows, labels = flashes()
    encoder = XdawnCovariance.fit(windows, labels, XdawnConfig())
    learnt = encoder.to_arrays()
    again = XdawnCovariance.from_arrays(XdawnConfig(), learnt)
    np.testing.assert_array_equal(again.encode_many(windows), encoder.encode_many(windows))
    with pytest.raises(BundleError, match="do not fit each other"):
        XdawnCovariance.from_arrays(XdawnConfig(), learnt | {"filters": learnt["filters"][:2]})


def test_a_stream_or_window_of_another_shape_is_refused():
    encoder = fitted()
    with pytest.raises(SchemaMismatch, match="3 rows"):
        encoder.open(spec(3), N_TIMES)
    with pytest.raises(SchemaMismatch, match="window length"):
        encoder.open(spec(), N_TIMES + 1)
    with pytest.raises(SchemaMismatch, match="window length"):
        encoder.encode_many(np.ones((2, N_CHANNELS, N_TIMES - 1)))
    encoder.open(spec(), N_TIMES)
    with pytest.raises(SchemaMismatch, match="announced"):
        encoder.encode(window(np.ones((N_CHANNELS, 9))))
    encoder.close()
    encoder.close()
    with pytest.raises(RuntimeError, match="before open"):
        encoder.encode(window(np.ones((N_CHANNELS, N_TIMES))))


def test_a_fit_refuses_one_class_an_unknown_one_and_bad_windows():
    windows, labels = flashes()
    with pytest.raises(ConfigError, match="at least 2 classes"):
        XdawnCovariance.fit(windows, np.full(len(labels), "target"), XdawnConfig())
    with pytest.raises(ConfigError, match="got also"):
        XdawnCovariance.fit(windows, labels, XdawnConfig(evoked=("error",)))
    windows[4, 0, 0] = np.nan
    with pytest.raises(ConfigError, match="Window 4"):
        XdawnCovariance.fit(windows, labels, XdawnConfig())


@pytest.mark.parametrize("fields", [{"n_filters": 0}, {"shrinkage": 0.0}, {"shrinkage": 1.5}])
def test_settings_outside_their_range_are_refused(fields):
    with pytest.raises(ConfigError, match=f"{next(iter(fields))} must be"):
        XdawnConfig(**fields)
