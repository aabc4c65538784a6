"""On simulated people it ends better than frozen after a shift, and not worse without one."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.rl.learners.conservative_linucb import ConservativeLinUCB, ConservativeLinUCBConfig
from diverloop.rl.trial import Reward, Trial
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.prototype_head import PrototypeHead

DETECTOR = 0.75  # balanced accuracy of the error detector, sensitivity and specificity alike


def person(seed, jump, trials):
    """Four clusters in eight dimensions, calibrated on 25 windows each; after 60 trials a jump."""
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(4, 8))
    means *= 2.1 / np.linalg.norm(means, axis=1, keepdims=True)
    labels = np.repeat(np.arange(4), 25)
    names = np.array([f"class {k}" for k in labels])
    calibration = means[labels] + rng.normal(size=(100, 8))
    head = PrototypeHead.fit(calibration, names, tuple(f"class {k}" for k in range(4)))
    away = rng.normal(size=(4, 8))
    away *= jump / np.linalg.norm(away, axis=1, keepdims=True)
    meant = rng.integers(4, size=trials)
    after = (np.arange(trials) >= 60)[:, None]
    return head, means[meant] + after * away[meant] + rng.normal(size=(trials, 8)), meant


def session(seed, jump, trials=240):
    """Right or not, trial by trial, of the learner's heads and of the frozen head."""
    head, features, meant = person(seed, jump, trials)
    rng, learner = np.random.default_rng(seed + 10_000), ConservativeLinUCB(head)
    right, waiting = np.zeros(trials, bool), []
    for t in range(trials):
        decided = int(learner.head.scores(features[t]).argmax())
        right[t] = decided == meant[t]
        learner.see(Trial.plain(t, features[t], 4, decided))
        praised = right[t] == (rng.random() < DETECTOR)
        odds = np.log(DETECTOR / (1 - DETECTOR)) * (1 if praised else -1)
        value = (praised - (1 - DETECTOR)) / (2 * DETECTOR - 1)
        waiting.append(Reward(trial=t, log_odds=odds, value=value, source="error potential"))
        if t % 2:  # two at a time, the later one first
            learner.hear(waiting.pop())
            learner.hear(waiting.pop())
    return right, head.scores(features).argmax(axis=1) == meant, learner


def test_after_a_jump_it_ends_better_than_frozen():
    gains = [a[-100:].mean() - b[-100:].mean() for a, b, _ in (session(s, 1.8) for s in range(4))]
    assert np.mean(gains) > 0.05


def test_without_drift_it_earns_at_least_what_was_agreed():
    for seed in range(4):
        right, frozen, _ = session(seed, 0.0, trials=120)
        assert right.sum() >= (1 - ConservativeLinUCBConfig().alpha) * frozen.sum()


def test_the_same_session_gives_the_same_head_to_the_bit():
    first, again = session(5, 1.5, 80)[2], session(5, 1.5, 80)[2]
    assert first.head.sha256 == again.head.sha256
    assert first.rule == again.rule


@pytest.mark.parametrize("wrong", [{"ridge": 0.0}, {"width": -1.0}, {"forgetting": 1.1}])
def test_what_cannot_be_configured_is_said_in_one_sentence(wrong):
    with pytest.raises(ConfigError, match="leave them out"):
        ConservativeLinUCBConfig(**wrong)
