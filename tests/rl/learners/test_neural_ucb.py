"""The neural bandit learns what is not linear, depends on its seed alone, and is quick enough."""

from __future__ import annotations

import time

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from diverloop.rl.learners.learner import Learner  # noqa: E402
from diverloop.rl.learners.neural_ucb import (  # noqa: E402
    NeuralPolicy,
    NeuralUCB,
    NeuralUCBConfig,
)
from diverloop.rl.trial import Reward, Trial  # noqa: E402
from diverloop.runtime.errors import ConfigError  # noqa: E402
from diverloop.runtime.prototype_head import PrototypeHead  # noqa: E402


def head(n=8):
    rng = np.random.default_rng(0)
    return PrototypeHead(
        classes=("a", "b", "c", "d"), mean=np.zeros(n), scale=np.ones(n), basis=np.eye(n),
        centre=np.zeros(n), prototypes=1.2 * rng.normal(size=(4, n)), log_priors=np.zeros(4),
    )  # fmt: skip


def session(learner, trials=40, seed=3):
    rng = np.random.default_rng(seed)
    times = []
    for number in range(trials):
        meant = int(rng.integers(4))
        features = head().prototypes[meant] + 0.4 * (number > 10) + rng.normal(size=8)
        decided = int(learner.head.scores(features).argmax())
        begun = time.process_time()
        learner.see(Trial.plain(number, features, 4, decided))
        right = (decided == meant) ^ (rng.random() < 0.25)
        learner.hear(Reward(trial=number, log_odds=1.1 if right else -1.1, value=2.0 * right - 0.5))
        times.append(time.process_time() - begun)
    return times


def test_it_learns_a_gain_that_no_line_describes():
    policy = NeuralPolicy(2, 2, NeuralUCBConfig(width=0.0, learning_rate=2e-2, every=2))
    rng = np.random.default_rng(0)
    for _ in range(300):
        context = rng.uniform(-1, 1, size=2)
        for action in (0, 1):
            gain = np.sign(context[0] * context[1]) * (1 if action else -1)
            policy.learn(context, action, gain)
    tests = rng.uniform(-1, 1, size=(100, 2))
    chosen = np.array([policy.bounds(context)[0].argmax() for context in tests])
    assert (chosen == (tests.prod(axis=1) > 0)).mean() > 0.85


def test_doubt_shrinks_where_something_was_learnt():
    policy = NeuralPolicy(3, 8, NeuralUCBConfig(learning_rate=1e-6))
    context = np.linspace(-1, 1, 8)
    before = policy.bounds(context)
    assert before[0].tolist() == [0.0, 0.0, 0.0]
    for _ in range(20):
        policy.learn(context, 1, 0.0)
    widths = policy.bounds(context)[1]
    assert widths[1] < 0.7 * before[1][1]
    assert widths[0] == pytest.approx(before[1][0], rel=1e-2)


def test_the_same_seed_gives_the_same_head_to_the_bit_and_draws_nothing_from_others():
    torch.manual_seed(7)
    state = torch.get_rng_state()
    first, again = NeuralUCB(head()), NeuralUCB(head())
    session(first)
    torch.rand(3)
    np.random.default_rng().random()
    session(again)
    assert first.head.sha256 == again.head.sha256
    assert first.rule == again.rule
    torch.manual_seed(7)
    NeuralUCB(head())
    assert torch.equal(torch.get_rng_state(), state)


def test_an_update_takes_less_than_20_ms_of_the_processor():
    learner = NeuralUCB(head())
    session(learner, 10)
    assert np.median(session(learner, 20)) < 0.02
    assert isinstance(learner, Learner)


@pytest.mark.parametrize(
    "wrong", [{"hidden": 1}, {"seed": -1}, {"learning_rate": 1.0}, {"alpha": 2}]
)
def test_what_cannot_be_configured_is_said_in_one_sentence(wrong):
    with pytest.raises(ConfigError, match="leave it out"):
        NeuralUCBConfig(**wrong)
