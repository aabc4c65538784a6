from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from diverloop.adapters.linear import LinearAdapter, LinearConfig, recalibrated
from diverloop.runtime.errors import BundleError, ConfigError
from diverloop.runtime.messages import Embedding, Marker, Window
from diverloop.runtime.prototype_head import PrototypeHead
from diverloop.runtime.stages import Adapter

WINDOW = Window(
    samples=np.zeros((1, 4)),
    first_sample=100,
    stop_sample=104,
    due_ns=7,
    marker=Marker(label="left", sample=99),
    lsl_raw_s=1.5,
    lsl_corrected_s=2.5,
)


def adapter(*, abstain_below: float = 0.0, temperature: float = 1.0, epoch: int = 3):
    """Says "right" with probability sigmoid(value / temperature)."""
    return LinearAdapter(
        LinearConfig(classes=("left", "right"), abstain_below=abstain_below),
        mean=np.zeros(1),
        scale=np.ones(1),
        weights=np.ones((1, 1)),
        bias=np.zeros(1),
        temperature=temperature,
        epoch=epoch,
    )


def logit(probability: float) -> Embedding:
    return Embedding(values=np.array([math.log(probability / (1 - probability))]))


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize(
    "model",
    [LogisticRegression(C=0.1), LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")],
)
def test_probabilities_are_those_of_scikit_learn(n_classes, model):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 8)) * 4 + 2
    labels = np.arange(60) % n_classes
    features[:, 0] += 3 * labels
    pipeline = make_pipeline(StandardScaler(), model).fit(features, labels)
    mine = LinearAdapter(
        LinearConfig(classes=tuple(f"c{place}" for place in range(n_classes))),
        mean=pipeline[0].mean_,
        scale=pipeline[0].scale_,
        weights=pipeline[1].coef_,
        bias=pipeline[1].intercept_,
    )
    expected = pipeline.predict_proba(features)
    np.testing.assert_allclose(mine.probabilities(features), expected, rtol=0, atol=1e-10)
    for row, values in zip(expected, features, strict=True):
        decision = mine.decide(Embedding(values=values), WINDOW)
        np.testing.assert_allclose(decision.probabilities, row, rtol=0, atol=1e-10)
        assert decision.label == f"c{row.argmax()}"


def test_a_decision_says_what_it_rests_on():
    decision = adapter().decide(logit(0.8), WINDOW)
    assert isinstance(adapter(), Adapter)
    assert (decision.label, decision.reason) == ("right", "")
    assert (decision.first_sample, decision.stop_sample, decision.epoch) == (100, 104, 3)
    assert decision.marker is WINDOW.marker
    assert (decision.lsl_raw_s, decision.lsl_corrected_s) == (1.5, 2.5)
    np.testing.assert_allclose(decision.probabilities, [0.2, 0.8])


def test_an_unsure_adapter_abstains_but_keeps_its_probabilities():
    decision = adapter(abstain_below=0.6).decide(logit(0.55), WINDOW)
    assert decision.label is None
    assert decision.reason == "not sure enough: 0.55 of 0.60 needed"
    np.testing.assert_allclose(decision.probabilities, [0.45, 0.55])
    assert adapter(abstain_below=0.6).decide(logit(0.35), WINDOW).label == "left"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_features_that_are_not_finite_give_a_neutral_decision(value):
    decision = adapter().decide(Embedding(values=np.array([value])), WINDOW)
    assert decision.label is None
    assert "not finite" in decision.reason
    assert np.isnan(decision.probabilities).tolist() == [True, True]
    assert decision.stop_sample == 104


@pytest.mark.parametrize("quality", [0.0, 0.49, math.nan])
def test_a_poor_embedding_gives_a_neutral_decision(quality):
    decision = adapter().decide(Embedding(values=np.ones(1), quality=quality), WINDOW)
    assert decision.label is None
    assert "0.50 needed" in decision.reason
    assert np.isnan(decision.probabilities).all()


def test_temperature_flattens_probabilities_and_leaves_the_order():
    hot = adapter(temperature=3.0).decide(logit(0.9), WINDOW)
    assert hot.label == "right"
    assert hot.probabilities[1] == pytest.approx(1 / (1 + 9 ** (-1 / 3)))


def test_enormous_scores_do_not_overflow():
    decision = adapter().decide(Embedding(values=np.array([1e6])), WINDOW)
    assert decision.probabilities.tolist() == [0, 1]


def test_an_embedding_is_not_changed():
    values = np.array([0.3], dtype=np.float32)
    adapter().decide(Embedding(values=values), WINDOW)
    assert values[0] == np.float32(0.3)


def test_what_a_bundle_keeps_rebuilds_the_adapter():
    first = adapter(temperature=1.7)
    again = LinearAdapter.from_arrays(first.config, first.to_arrays(), epoch=4)
    features = np.linspace(-3, 3, 7)[:, None]
    np.testing.assert_array_equal(again.probabilities(features), first.probabilities(features))
    assert (again.epoch, again.classes) == (4, ("left", "right"))


def test_missing_or_ill_fitting_arrays_are_refused():
    first = adapter()
    arrays = first.to_arrays()
    del arrays["bias"]
    with pytest.raises(BundleError, match="missing is bias"):
        LinearAdapter.from_arrays(first.config, arrays)
    for name, array in (
        ("weights", np.ones((3, 1))),
        ("weights", np.ones((2, 2))),
        ("bias", np.ones(3)),
        ("scale", np.ones(2)),
    ):
        with pytest.raises(BundleError, match="do not fit"):
            LinearAdapter.from_arrays(first.config, first.to_arrays() | {name: array})
    for name in ("scale", "temperature"):
        with pytest.raises(BundleError, match="must be positive"):
            LinearAdapter.from_arrays(first.config, first.to_arrays() | {name: np.zeros(1)})


@pytest.mark.parametrize("classes", [("left",), ("left", "left"), ()])
def test_classes_must_be_two_different_names(classes):
    with pytest.raises(ConfigError, match="at least 2 different"):
        LinearConfig(classes=classes)


def test_a_config_read_from_json_is_the_same_config():
    assert LinearConfig(classes=["a", "b"]) == LinearConfig(classes=("a", "b"))
    with pytest.raises(ConfigError, match="abstain_below must be"):
        LinearConfig(classes=("a", "b"), abstain_below=60)


def head(n_classes: int = 3) -> tuple[PrototypeHead, np.ndarray]:
    """A head of temperature 1.7, and the features that it was fitted on."""
    rng = np.random.default_rng(1)
    place = np.arange(60) % n_classes
    features = 3 * rng.normal(size=(60, 8)) + 2 * place[:, None] * np.eye(8)[0]
    classes = tuple("abc"[:n_classes])
    fitted = PrototypeHead.fit(features, np.array(classes)[place], classes)
    return replace(fitted, temperature=1.7), features


def test_a_head_travels_with_the_weights_that_serve_it():
    moved, features = head()
    config = LinearConfig(classes=moved.classes)
    served = LinearAdapter.from_arrays(config, {**moved.linear(), **moved.to_arrays()})
    again = LinearAdapter.from_arrays(config, served.to_arrays())
    assert again.head is not None
    assert again.head.sha256 == moved.sha256
    np.testing.assert_allclose(
        again.probabilities(features), moved.probabilities(features), atol=1e-12
    )
    assert LinearAdapter.from_arrays(config, moved.linear()).head is None


def test_weights_of_another_scale_or_offset_may_say_the_same_as_a_head():
    moved, _ = head()
    arrays = moved.linear()
    same = {"weights": 2 * arrays["weights"], "bias": 2 * arrays["bias"] + 5, "temperature": [3.4]}
    arrays |= {name: np.array(value) for name, value in same.items()}
    served = LinearAdapter.from_arrays(
        LinearConfig(classes=moved.classes), {**arrays, **moved.to_arrays()}
    )
    assert served.head is not None


@pytest.mark.parametrize("changed", ["weights", "bias", "temperature", "mean", "scale"])
def test_a_head_that_says_something_else_than_the_weights_is_refused(changed):
    moved, _ = head()
    arrays = {**moved.linear(), **moved.to_arrays()}
    arrays[changed] = arrays[changed] * (1 + 1e-3 * np.arange(1, arrays[changed].size + 1)).reshape(
        arrays[changed].shape
    )
    with pytest.raises(BundleError, match="differ by"):
        LinearAdapter.from_arrays(LinearConfig(classes=moved.classes), arrays)


def test_a_head_of_other_classes_is_refused():
    moved, _ = head(2)
    with pytest.raises(BundleError, match="does not fit"):
        LinearAdapter(LinearConfig(classes=("x", "y")), head=moved, **_linear(moved))


def _linear(moved: PrototypeHead) -> dict:
    return {**moved.linear(), "temperature": moved.temperature}


def test_other_odds_move_what_a_head_expects_and_not_its_prototypes():
    moved, features = head(2)
    arrays = {**moved.linear(), **moved.to_arrays()}
    served = LinearAdapter.from_arrays(
        LinearConfig(classes=moved.classes),
        recalibrated(arrays, moved.classes, 0.4, np.array([0.0, -1.1])),
    )
    scores = LinearAdapter.from_arrays(LinearConfig(classes=moved.classes), arrays).scores(features)
    wanted = 1 / (1 + np.exp(-(0.4 * (scores[:, 1] - scores[:, 0]) - 1.1)))
    np.testing.assert_allclose(served.probabilities(features)[:, 1], wanted)
    assert served.head is not None
    np.testing.assert_array_equal(served.head.prototypes, moved.prototypes)
