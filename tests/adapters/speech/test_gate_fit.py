from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from diverloop.adapters.speech.gate import GateConfig
from diverloop.adapters.speech.gate_fit import fit_gate, refit_gate
from diverloop.runtime.errors import ConfigError


def drawn(seed, n=400):
    rng = np.random.default_rng(seed)
    attempting = rng.random(n) < 0.25
    hops = rng.standard_normal((n, 6))
    hops[attempting, :3] += 1.0
    return hops, attempting


def test_it_finds_the_weights_that_scikit_learn_finds():
    hops, attempting = drawn(0)
    gate = fit_gate(hops, attempting, GateConfig())
    theirs = LogisticRegression(C=1.0, class_weight="balanced", tol=1e-8).fit(hops, attempting)
    np.testing.assert_allclose(gate.weights, theirs.coef_[0], atol=1e-3)
    assert gate.bias == pytest.approx(float(theirs.intercept_[0]), abs=1e-3)


def test_it_tells_new_attempts_from_rest():
    gate = fit_gate(*drawn(0), GateConfig())
    hops, attempting = drawn(1)
    said = np.array([gate.probability(hop) >= 0.5 for hop in hops])
    assert said[attempting].mean() > 0.7
    assert said[~attempting].mean() < 0.3


def test_separable_hops_do_not_make_it_diverge():
    hops = np.repeat([[1.0], [-1.0]], 50, axis=0)
    gate = fit_gate(hops, hops[:, 0] > 0, GateConfig())
    assert np.isfinite(gate.weights).all()
    assert gate.probability(np.array([1.0])) > 0.9


def test_a_short_block_sets_the_levels_of_a_gate_right_for_another_day():
    gate = fit_gate(*drawn(0), GateConfig())
    weaker, attempting = drawn(2, 150)
    weaker = 0.5 * weaker + 0.8
    others, truth = drawn(3, 600)
    others = 0.5 * others + 0.8
    again = refit_gate(gate, weaker, attempting)

    def balanced(one):
        said = np.array([one.probability(hop) >= 0.5 for hop in others])
        return (said[truth].mean() + (~said)[~truth].mean()) / 2

    assert balanced(again) > balanced(gate) + 0.1
    ratio = again.weights / gate.weights
    np.testing.assert_allclose(ratio, ratio[0])


def test_hops_of_one_kind_are_refused():
    with pytest.raises(ConfigError, match="attempts and of rest"):
        fit_gate(np.zeros((5, 2)), np.ones(5, bool), GateConfig())
