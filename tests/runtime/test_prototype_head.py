"""A head reads like the linear adapter that it is served as, and travels whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from diverloop.adapters.linear import LinearAdapter, LinearConfig
from diverloop.runtime.errors import BundleError
from diverloop.runtime.prototype_head import PrototypeHead

CLASSES = ("left", "right", "rest")


def calibration(seed=0, n=300, n_features=30):
    rng = np.random.default_rng(seed)
    means = 0.8 * np.random.default_rng(99).normal(size=(3, n_features))
    place = rng.integers(0, 3, n)
    return means[place] + rng.normal(size=(n, n_features)), np.array(CLASSES)[place]


@pytest.fixture
def head():
    return PrototypeHead.fit(*calibration(), CLASSES)


def test_it_is_served_as_a_linear_adapter_with_the_same_probabilities(head):
    moved = replace(head, centre=head.centre + 0.3, temperature=1.7)
    features, _ = calibration(1)
    adapter = LinearAdapter.from_arrays(LinearConfig(classes=CLASSES), moved.linear())
    assert adapter.probabilities(features) == pytest.approx(moved.probabilities(features))


def test_it_tells_classes_apart_that_it_has_not_seen(head):
    features, labels = calibration(1)
    said = np.array(CLASSES)[head.probabilities(features).argmax(axis=1)]
    assert (said == labels).mean() > 0.9


def test_noise_within_classes_has_about_variance_one_in_its_space(head):
    features, labels = calibration(2, n=3000)
    projected = head.project(features)
    noise = np.concatenate(
        [projected[labels == c] - projected[labels == c].mean(0) for c in CLASSES]
    )
    assert 0.7 < noise.var(axis=0).mean() < 1.4


def test_features_of_another_scale_make_the_same_head():
    features, labels = calibration()
    stretch = np.linspace(0.1, 9, features.shape[1])
    one = PrototypeHead.fit(features, labels, CLASSES)
    other = PrototypeHead.fit(features * stretch + 5, labels, CLASSES)
    fresh, _ = calibration(1)
    assert other.probabilities(fresh * stretch + 5) == pytest.approx(one.probabilities(fresh))


def test_it_survives_a_bundle_and_keeps_its_hash(head):
    again = PrototypeHead.from_arrays(CLASSES, head.to_arrays())
    assert again.sha256 == head.sha256
    assert replace(head, temperature=1.0000001).sha256 != head.sha256


def test_priors_follow_calibration_where_that_is_asked():
    features, labels = calibration()
    keep = (labels != "rest") | (np.arange(len(labels)) % 3 == 0)
    head = PrototypeHead.fit(features[keep], labels[keep], CLASSES, equal_priors=False)
    assert np.exp(head.log_priors).sum() == pytest.approx(1)
    assert head.log_priors[2] < head.log_priors[:2].min()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"prototypes": np.zeros((2, 14))}, "prototypes of shape"),
        ({"temperature": 0.0}, "must be positive"),
        ({"log_priors": np.array([0.0, np.nan, 0.0])}, "NaN or infinity"),
    ],
)
def test_what_does_not_fit_is_refused(head, change, words):
    with pytest.raises(BundleError, match=words):
        replace(head, **change)


def test_a_class_with_one_window_is_refused():
    features, labels = calibration()
    labels[labels == "rest"] = "left"
    labels[0] = "rest"
    with pytest.raises(BundleError, match="'rest' has 1 windows"):
        PrototypeHead.fit(features, labels, CLASSES)


def test_arrays_of_another_model_are_refused(head):
    arrays = head.to_arrays()
    del arrays["head.basis"]
    with pytest.raises(BundleError, match=r"missing is basis: fit the model with --adaptive"):
        PrototypeHead.from_arrays(CLASSES, arrays)
