"""SmoothBatch and ReFIT on paths made by hand: what is taken, when, and what is left."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.rl.closed_loop.intentions import IntentionConfig
from diverloop.rl.closed_loop.smooth_batch import SmoothBatch, SmoothBatchConfig, refit
from diverloop.rl.closed_loop.steering import Step
from diverloop.rl.closed_loop.velocity_head import VelocityHead
from diverloop.rl.envs.tuning import Tuning
from diverloop.runtime.errors import ConfigError

HINDSIGHT = IntentionConfig(target="hindsight", skip_s=0.0)


@pytest.fixture
def old():
    tuning = Tuning.draw(12, 3.0, 0.1, np.random.default_rng(1))
    return VelocityHead(tuning=tuning.depths, baseline=tuning.baseline, noise=np.eye(12))


def walk(learner, tuning, *, paths, shown=True, acquired=True, seed=0):
    """Straight paths of 2 s to targets all around, with features of another tuning."""
    rng = np.random.default_rng(seed)
    for n in range(paths):
        target = 0.9 * np.array([np.cos(2.4 * n), np.sin(2.4 * n)])
        for k in range(40):
            push = min(1.0, (1 - k / 39) * 0.9 / 0.35) * target / 0.9
            learner.watch(
                Step(
                    features=tuning.features(push, rng), position=target * k / 39,
                    velocity=0.5 * push, seconds=0.05, target=target if shown else None,
                    ended=acquired if k == 39 else None,
                )
            )  # fmt: skip


def test_nothing_changes_before_the_batch_is_full_and_half_is_taken_after_a_half_life(old):
    new = Tuning.draw(12, 3.0, 0.1, np.random.default_rng(2))
    learner = SmoothBatch(old, SmoothBatchConfig(batch_s=60.0, half_life_s=60.0))
    walk(learner, new, paths=29)
    assert learner.head is old
    walk(learner, new, paths=1)
    assert np.allclose(learner.head.tuning, (old.tuning + new.depths) / 2, atol=0.15)
    assert "50%" in learner.rule


@pytest.mark.parametrize("intentions", [None, HINDSIGHT])
def test_a_retraining_replaces_the_encoding_once(old, intentions):
    new = Tuning.draw(12, 3.0, 0.1, np.random.default_rng(2))
    learner = SmoothBatch(old, refit(intentions=intentions))
    walk(learner, new, paths=60, shown=intentions is None)
    cosine = (learner.head.tuning * new.depths).sum() / (
        np.linalg.norm(learner.head.tuning) * np.linalg.norm(new.depths)
    )
    assert cosine > 0.95
    first = learner.head
    walk(learner, new, paths=60)
    assert learner.head is first


def test_paths_that_led_nowhere_teach_nothing_in_hindsight(old):
    new = Tuning.draw(12, 3.0, 0.1, np.random.default_rng(2))
    learner = SmoothBatch(old, SmoothBatchConfig(intentions=HINDSIGHT))
    walk(learner, new, paths=60, shown=False, acquired=False)
    assert learner.head is old


def test_an_adopted_decoder_is_gone_on_from_and_what_was_gathered_is_dropped(old):
    new = Tuning.draw(12, 3.0, 0.1, np.random.default_rng(2))
    learner = SmoothBatch(old)
    walk(learner, new, paths=29)
    learner.adopt(old)
    walk(learner, new, paths=29)
    assert learner.head is old


def test_the_same_steps_give_the_same_decoder(old):
    new = Tuning.draw(12, 3.0, 0.1, np.random.default_rng(2))
    hashes = set()
    for _ in range(2):
        learner = SmoothBatch(old)
        walk(learner, new, paths=30)
        hashes.add(learner.head.sha256)
    assert len(hashes) == 1
    assert hashes != {old.sha256}


@pytest.mark.parametrize("wrong", [{"batch_s": 0.0}, {"half_life_s": -1.0}, {"batches": -1}])
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(ConfigError):
        SmoothBatchConfig(**wrong)
