"""The distance from a calibration, by its laws."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.gui.drift_reference import Recent, Reference, distance
from diverloop.runtime.errors import ConfigError

RNG_SEED = 7


def embeddings(n=2000, d=20, shift=0.0, scale=1.0, seed=RNG_SEED):
    mixing = np.random.default_rng(0).normal(size=(d, d)) / np.sqrt(d)
    return scale * np.random.default_rng(seed).normal(size=(n, d)) @ mixing + shift


def moved(reference, samples) -> float:
    recent = Recent(len(reference.spread) + 1)
    for seen in reference.seen(samples):
        recent.take(seen, 0.05)
    return recent.distance()


def test_the_distance_is_zero_for_the_same_the_shift_for_a_shift_and_the_change_of_scale():
    eye = np.eye(4)
    assert distance(np.zeros(4), eye) == 0
    assert distance(np.full(4, 0.5), eye) == pytest.approx(0.5)
    assert distance(np.zeros(4), 4 * eye) == pytest.approx(1.0)


def test_the_distance_does_not_care_for_the_direction_of_the_axes():
    rng = np.random.default_rng(1)
    turned = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    mean, half = rng.normal(size=5), rng.normal(size=(5, 5))
    covariance = half @ half.T
    assert distance(turned @ mean, turned @ covariance @ turned.T) == pytest.approx(
        distance(mean, covariance)
    )


def test_a_session_like_its_calibration_is_no_farther_than_the_calibration_from_itself():
    reference = Reference.of_samples(embeddings())
    assert moved(reference, embeddings(seed=8)) < 1.5 * reference.strays


@pytest.mark.parametrize("what", ["shift", "scale"])
def test_it_grows_with_a_shift_and_with_a_change_of_scale(what):
    reference = Reference.of_samples(embeddings())
    steps = (0.0, 0.5, 1.0, 2.0) if what == "shift" else (1.0, 1.5, 2.0, 3.0)
    found = [moved(reference, embeddings(seed=8, **{what: step})) for step in steps]
    assert found == sorted(found)
    assert found[-1] > 4 * found[0]


def test_what_moves_in_a_direction_that_calibration_never_used_is_seen():
    flat = np.random.default_rng(0).normal(size=(2000, 30))
    flat[:, 12:] *= 0.05
    reference = Reference.of_samples(flat)
    away = np.random.default_rng(1).normal(size=(500, 30))
    away[:, 12:] *= 0.05
    still = moved(reference, away)
    away[:, 25] += 3.0
    assert moved(reference, away) > 3 * still


def test_seen_from_the_calibration_it_is_a_unit_sphere():
    samples = embeddings(n=240)
    seen = Reference.of_samples(samples).seen(samples)
    assert np.allclose(seen.mean(0), 0, atol=0.1)
    assert np.allclose(seen.std(0), 1, atol=0.15)


def test_one_feature_and_fewer_samples_than_features_work():
    one = Reference.of_samples(np.random.default_rng(0).normal(size=(50, 1)))
    assert one.seen(np.zeros(1)).shape == (2,)
    few = Reference.of_samples(np.random.default_rng(0).normal(size=(20, 300)))
    assert np.isfinite(moved(few, np.random.default_rng(1).normal(size=(100, 300))))


def test_features_that_never_change_do_not_divide_by_zero():
    samples = embeddings()
    samples[:, 3:] = 1.0
    reference = Reference.of_samples(samples)
    assert np.isfinite(moved(reference, samples + 0.1))


def test_what_cannot_be_a_reference_is_refused_in_one_sentence():
    with pytest.raises(ConfigError, match="12 finite embeddings"):
        Reference.of_samples(np.zeros((5, 4)))
    with pytest.raises(ConfigError, match="12 finite embeddings"):
        Reference.of_samples(np.full((50, 4), np.nan))
