"""The linear decoder of velocity: what it reads back, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from diverloop.rl.closed_loop.velocity_head import VelocityHead
from diverloop.rl.envs.tuning import Tuning, rotation
from diverloop.runtime.errors import BundleError


def block(n=1500, seed=0):
    rng = np.random.default_rng(seed)
    tuning = Tuning.draw(16, 4.0, 0.2, rng)
    intentions = rng.uniform(-0.7, 0.7, (n, 2))
    return np.array([tuning.features(u, rng) for u in intentions]), intentions


@pytest.fixture(scope="module")
def head():
    return VelocityHead.fit(*block())


def test_intentions_are_read_back_without_shrinking(head):
    features, intentions = block()
    slope = np.linalg.lstsq(intentions, head.intention(features), rcond=None)[0]
    assert np.allclose(slope, np.eye(2), atol=0.08)


def test_a_steady_intention_comes_to_the_velocity_of_its_gain(head):
    features = head.baseline + head.tuning @ np.array([0.5, 0.0])
    velocity = np.zeros(2)
    for _ in range(100):
        velocity = head.velocity(features, velocity)
    assert velocity == pytest.approx([0.5 * head.gain, 0.0], abs=0.01)


def test_a_correction_turns_what_is_read_and_an_offset_moves_it(head):
    features, _ = block(n=50)
    turned = replace(head, correction=rotation(0.7), offset=np.array([0.1, 0.2]))
    expected = head.intention(features) @ rotation(0.7).T + [0.1, 0.2]
    assert np.allclose(turned.intention(features), expected)


def test_another_decoder_has_another_hash_and_the_same_has_the_same(head):
    assert replace(head).sha256 == head.sha256
    assert replace(head, gain=0.9).sha256 != head.sha256


def test_blocks_from_which_nothing_can_be_learnt_are_refused():
    features, intentions = block(n=400)
    with pytest.raises(BundleError, match="longer block"):
        VelocityHead.fit(features[:20], intentions[:20])
    with pytest.raises(BundleError, match="cover the plane"):
        VelocityHead.fit(features, intentions * [1.0, 0.0])


@pytest.mark.parametrize(
    "wrong",
    [
        {"gain": 0.0}, {"smoothing": 1.0}, {"baseline": np.zeros(3)},
        {"offset": np.array([np.nan, 0.0])}, {"noise": np.zeros((16, 16))},
    ],
)  # fmt: skip
def test_a_decoder_that_cannot_be_is_refused(head, wrong):
    with pytest.raises(BundleError):
        replace(head, **wrong)
