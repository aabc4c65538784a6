"""Features have the distances, the noise and the shared noise that were asked for."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.rl.envs.drift import Directions, drift_of
from diverloop.rl.envs.features import LIMIT, Body, scaled

APART = np.array([[0.0, 3, 2], [3, 0, 2.5], [2, 2.5, 0]])
REST = np.full(3, 1 / 3)


def body(**more):
    settings = {"correlation": 0.4, "tail": 30.0, **more}
    return Body.grown(APART, REST, 8, np.random.default_rng(0), **settings)


def drawn(one, kind, *, windows, classes=2, n=1500, modulation=1.0, trial=1000):
    """Many trials, back in the whitened space: (n, windows, dims)."""
    rng = np.random.default_rng(3)
    to = Directions.drawn(one.means, 8, np.random.default_rng(1))
    change = drift_of(kind).change(trial, to)
    asked = np.full(windows, classes)
    features = np.stack([one.draw(asked, modulation, change, rng) for _ in range(n)])
    return (features - one.offset) @ np.linalg.inv(one.mixture)


def test_points_have_the_distances_that_were_asked_for():
    points = scaled(APART)
    assert np.linalg.norm(points[:, None] - points, axis=-1) == pytest.approx(APART)


def test_noise_has_variance_one_and_windows_share_part_of_it():
    noise = drawn(body(), None, windows=2) - body().means[2]
    assert noise.var(axis=(0, 1)) == pytest.approx(1, abs=0.1)
    shared = (noise[:, 0] * noise[:, 1]).mean(axis=0)
    assert shared == pytest.approx(0.4, abs=0.08)


def test_small_degrees_of_freedom_make_some_trials_very_noisy():
    sizes = [np.abs(drawn(body(tail=tail), None, windows=1)).max() for tail in (50.0, 3.0)]
    assert sizes[1] > 2 * sizes[0]


def test_who_does_nothing_is_at_rest():
    assert drawn(body(), None, windows=1, modulation=0.0).mean(axis=(0, 1)) == pytest.approx(
        0, abs=0.1
    )


def test_dead_features_say_nothing_but_keep_their_spread():
    one, rng = body(), np.random.default_rng(0)
    to = Directions.drawn(one.means, 8, rng)
    change = drift_of({"kind": "channel_death", "size": 0.5, "over": 1}).change(0, to)
    assert len(change.dead) == 4
    asked = np.zeros(4000, dtype=np.int64)
    features = one.draw(asked, 50.0, change, rng) - one.offset
    assert features[:, change.dead].mean(axis=0) == pytest.approx(0, abs=0.2)
    spread = np.linalg.norm(one.mixture, axis=0)[change.dead]
    assert features[:, change.dead].std(axis=0) == pytest.approx(spread, rel=0.06)
    alive = np.setdiff1d(np.arange(8), change.dead)
    assert np.abs(features[:, alive].mean(axis=0)).max() > 5


def test_features_never_leave_their_bounds():
    rng = np.random.default_rng(0)
    to = Directions.drawn(body().means, 8, rng)
    features = body().draw(np.zeros(3, dtype=np.int64), 1e6, drift_of(None).change(0, to), rng)
    assert np.abs(features).max() == LIMIT
