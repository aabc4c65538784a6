from __future__ import annotations

import numpy as np
import pytest

from diverloop.adapters.outliers import Outliers, OutliersConfig, noise_like
from diverloop.runtime.errors import BundleError, ConfigError, SchemaMismatch

N_CHANNELS, N_TIMES = 6, 200


def windows(n: int, seed: int, gain: float = 1.0):
    """Six channels that hear three rhythms, through a mixture that stays the same."""
    rng = np.random.default_rng(seed)
    mixture = np.random.default_rng(99).normal(size=(N_CHANNELS, 3))
    rhythms = rng.normal(size=(n, 3, N_TIMES)) * rng.uniform(0.8, 1.25, (n, 3, 1))
    heard = mixture @ rhythms + 0.2 * rng.normal(size=(n, N_CHANNELS, N_TIMES))
    return 10 * gain * heard


def features(samples):
    """Logarithm of the covariance, as an encoder might give it."""
    covariance = samples @ samples.swapaxes(1, 2) / samples.shape[2]
    values, vectors = np.linalg.eigh(covariance)
    log = (vectors * np.log(values)[:, None]) @ vectors.swapaxes(1, 2)
    return log[:, *np.triu_indices(N_CHANNELS)]


@pytest.fixture(scope="module")
def calibration():
    return windows(80, seed=0)


@pytest.fixture(scope="module")
def outliers(calibration):
    return Outliers.fit(features(calibration), noise=features(noise_like(calibration)))


def spoilt(name):
    rng, later = np.random.default_rng(5), windows(60, seed=1)
    size = later.std(axis=2, keepdims=True)
    return {
        "noise": lambda: rng.normal(size=later.shape) * size,
        "disconnected": lambda: rng.normal(size=later.shape),
        "wrong montage": lambda: later[:, [1, 2, 3, 4, 5, 0]],
        "ten times too large": lambda: 10 * later,
        "clipped": lambda: np.clip(30 * later, -100, 100),
        "muscle": lambda: (
            later + 60 * rng.normal(size=later.shape) * np.eye(N_CHANNELS)[0][:, None]
        ),
    }[name]()


def test_windows_of_the_same_kind_are_hardly_ever_refused(outliers):
    later = outliers.distances(features(windows(400, seed=1)))
    assert np.median(later) == pytest.approx(1.0, abs=0.15)
    assert (later > outliers.limit).mean() <= 0.02


@pytest.mark.parametrize(
    "name",
    ["noise", "disconnected", "wrong montage", "ten times too large", "clipped", "muscle"],
)
def test_gross_faults_are_refused(outliers, name):
    distances = outliers.distances(features(spoilt(name)))
    assert (distances > outliers.limit).mean() >= 0.99


def test_shown_noise_is_found_where_its_distance_alone_would_pass():
    rng = np.random.default_rng(0)
    values, later = rng.normal(size=(60, 300)), rng.normal(size=(200, 300))
    # A little in every feature: the distance hardly grows, together it is ten deviations.
    shift = 0.6 * rng.choice([-1, 1], 300)
    shown, noise = rng.normal(size=(60, 300)) + shift, rng.normal(size=(200, 300)) + shift
    without, found = Outliers.fit(values), Outliers.fit(values, noise=shown)
    assert found.limit == without.limit
    assert (without.distances(noise) <= without.limit).all()
    assert (found.distances(noise) > found.limit).mean() >= 0.99
    assert (found.distances(later) > found.limit).mean() <= 0.02


def test_noise_that_does_not_stand_apart_is_not_used(calibration):
    # Each channel's power alone does not know that channels no longer hang together.
    power = [np.log(part.var(axis=2)) for part in (calibration, noise_like(calibration))]
    plain, shown = Outliers.fit(power[0]), Outliers.fit(power[0], noise=power[1])
    assert not shown.to_arrays()["to_noise"].any()
    assert (shown.distances(power[1]) == plain.distances(power[1])).all()


def test_noise_keeps_every_spectrum_and_what_hangs_together_goes(calibration):
    noise = noise_like(calibration)
    spectra = [np.abs(np.fft.rfft(part, axis=2))[:, :, 1:-1] for part in (calibration, noise)]
    np.testing.assert_allclose(*spectra, rtol=1e-6)
    before, after = (
        np.corrcoef(part[0])[np.triu_indices(N_CHANNELS, 1)] for part in (calibration, noise)
    )
    assert np.abs(after).max() < 0.35 < np.abs(before).max()


def test_a_limit_from_two_recordings_knows_how_far_they_lie_apart(calibration):
    values = features(np.concatenate([windows(60, seed=2), windows(60, seed=3, gain=1.6)]))
    apart = Outliers.fit(values, np.repeat(["first", "second"], 60))
    third = features(windows(60, seed=4, gain=1.3))
    assert (apart.distances(third) > apart.limit).mean() <= 0.02
    narrow = Outliers.fit(features(calibration))
    assert np.median(narrow.distances(third)) > 1.5 * np.median(apart.distances(third))


def test_a_few_artefacts_in_calibration_do_not_open_the_net(calibration, outliers):
    dirty = calibration.copy()
    dirty[::10] *= 30
    loose = Outliers.fit(features(dirty))
    assert loose.limit < 1.5 * outliers.limit
    distances = loose.distances(features(spoilt("ten times too large")))
    assert (distances > loose.limit).all()


def test_more_features_than_windows_are_no_obstacle():
    rng = np.random.default_rng(0)
    mixture = rng.normal(size=(5, 300))
    values = rng.normal(size=(40, 5)) @ mixture + rng.normal(size=(40, 300))
    later = rng.normal(size=(200, 5)) @ mixture + rng.normal(size=(200, 300))
    found = Outliers.fit(values)
    assert (found.distances(later) > found.limit).mean() <= 0.02
    assert (found.distances(3 * rng.normal(size=(50, 300))) > 0.8 * found.limit).all()


def test_what_is_not_finite_is_infinitely_far(outliers, calibration):
    values = features(calibration[:2])
    values[1, 3] = np.nan
    distances = outliers.distances(values)
    assert np.isfinite(distances[0])
    assert np.isinf(distances[1])
    assert outliers.too_far(values[1])
    assert "not finite" in outliers.reason(outliers.distance(values[1]))


def test_the_reason_names_the_distance_and_the_limit(outliers, calibration):
    values = features(calibration[:1])[0]
    assert not outliers.too_far(values)
    assert outliers.reason(outliers.distance(values)) == ""
    assert outliers.reason(9.04) == (
        f"unlike calibration: 9.0 times as far as usual, {outliers.limit:.1f} allowed"
    )


def test_what_was_learnt_survives_a_bundle(outliers, calibration):
    again = Outliers.from_arrays(outliers.to_arrays())
    values = features(calibration)
    assert (again.distances(values) == outliers.distances(values)).all()
    assert again.limit == outliers.limit
    assert all(np.isfinite(array).all() for array in again.to_arrays().values())


def test_one_window_and_many_agree(outliers, calibration):
    values = features(calibration[:3])
    one_by_one = [outliers.distance(one) for one in values]
    assert one_by_one == pytest.approx(outliers.distances(values).tolist())


def test_features_that_never_change_do_not_break_it():
    values = np.random.default_rng(0).normal(size=(30, 4))
    values[:, 2] = 7.0
    found = Outliers.fit(values)
    assert (found.distances(values) <= found.limit).all()
    values[:, 2] = 20.0
    assert (found.distances(values) > found.limit).all()


@pytest.mark.parametrize(
    ("values", "groups", "says"),
    [
        (np.zeros((5, 3)), None, "at least 12 windows"),
        (np.zeros((20, 0)), None, "at least 12 windows and a feature"),
        (np.full((20, 3), np.nan), None, "NaN or infinite"),
        (np.zeros((20, 3)), ["a"] * 3, "needed is one for each of 20"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused(values, groups, says):
    with pytest.raises(ConfigError, match=says):
        Outliers.fit(values, groups)


def test_noise_from_another_encoder_is_refused(calibration):
    with pytest.raises(ConfigError, match="same encoder"):
        Outliers.fit(features(calibration), noise=np.zeros((5, 3)))


def test_features_of_another_encoder_are_refused(outliers):
    with pytest.raises(SchemaMismatch, match="calibrated were 21 features"):
        outliers.distances(np.zeros((2, 20)))


def test_arrays_that_do_not_fit_are_refused(outliers):
    arrays = outliers.to_arrays()
    with pytest.raises(BundleError, match="'limit'"):
        Outliers.from_arrays({name: array for name, array in arrays.items() if name != "limit"})
    with pytest.raises(BundleError, match="does not fit"):
        Outliers.from_arrays(arrays | {"scale": arrays["scale"][:3]})
    with pytest.raises(BundleError, match="not positive"):
        Outliers.from_arrays(arrays | {"rest": np.zeros(1)})


@pytest.mark.parametrize(
    "wrong", [{"n_components": 0}, {"tail": -1.0}, {"margin": 0.5}, {"n_folds": 1}]
)
def test_settings_outside_their_range_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        OutliersConfig(**wrong)
