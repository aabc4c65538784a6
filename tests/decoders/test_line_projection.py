"""Mains as directions in space: it goes, the neighbours stay."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.decoders.line_projection import fit_line_projection, line_excess_db
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.messages import Channel, StreamSpec

N, RATE_HZ = 16, 500.0
ALL = np.ones(N, dtype=bool)
SPEC = StreamSpec(
    name="scene", rate_hz=RATE_HZ, channels=tuple(Channel(name=f"E{k}") for k in range(N))
)


def scene(seed, seconds=40, hum_uv=30.0, n_mains=2):
    """Correlated noise; mains through two paths, whose phases wander on their own."""
    rng = np.random.default_rng(seed)
    fixed = np.random.default_rng(50)
    n_times = round(seconds * RATE_HZ)
    weights, paths = fixed.normal(size=(N, N)), fixed.normal(size=(N, n_mains))
    times = np.arange(n_times) / RATE_HZ
    wander = np.cumsum(rng.normal(size=(n_mains, n_times)), axis=1) * 0.005
    hum = np.sin(2 * np.pi * 50 * times + wander) + 0.3 * np.sin(2 * np.pi * 150 * times + wander)
    return 4 * weights @ rng.normal(size=(N, n_times)), hum_uv * paths @ hum


def test_mains_and_its_harmonics_go_in_a_stretch_that_was_not_fitted_on():
    brain, hum = scene(1)
    step = fit_line_projection(brain + hum, SPEC, 50.0)
    brain, hum = scene(2)
    cleaned = step.matrix(ALL) @ (brain + hum)
    assert step.n_sources == 2
    for line_hz in (50.0, 150.0):
        assert line_excess_db(brain + hum, RATE_HZ, line_hz).mean() > 10
        assert line_excess_db(cleaned, RATE_HZ, line_hz).mean() < 2
    assert (step.matrix(ALL) @ hum).std() < 0.03 * hum.std()


def test_what_it_costs_is_a_few_directions_and_no_hole_in_the_spectrum():
    brain, hum = scene(1)
    matrix = fit_line_projection(brain + hum, SPEC, 50.0).matrix(ALL)
    brain, _ = scene(2)
    assert np.linalg.matrix_rank(np.eye(N) - matrix) == 2
    for near_hz in (47.0, 53.0, 100.0):
        assert abs(line_excess_db(matrix @ brain, RATE_HZ, near_hz).mean()) < 1
    assert (matrix @ brain).var() / brain.var() > 1 - 3 / N


def test_without_mains_nothing_is_taken_out():
    brain, _ = scene(3)
    step = fit_line_projection(brain, SPEC, 50.0)
    assert step.n_sources == 0
    assert np.array_equal(step.matrix(ALL), np.eye(N))


def test_as_many_directions_are_taken_out_as_asked_for():
    brain, hum = scene(1)
    step = fit_line_projection(brain + hum, SPEC, 50.0, n_remove=5)
    assert np.linalg.matrix_rank(np.eye(N) - step.matrix(ALL)) == 5


def test_a_lost_row_does_not_bring_mains_back():
    brain, hum = scene(1)
    step = fit_line_projection(brain + hum, SPEC, 50.0)
    usable = ALL.copy()
    usable[[2, 9]] = False
    left = (step.matrix(usable) @ hum)[usable]
    assert left.std() < 0.1 * hum[usable].std()


@pytest.mark.parametrize(
    ("line_hz", "n_remove", "said"),
    [(30.0, None, "line_hz"), (50.0, 9, "n_remove"), (50.0, -1, "n_remove")],
)
def test_settings_out_of_range_are_refused(line_hz, n_remove, said):
    brain, _ = scene(1, seconds=12)
    with pytest.raises(ConfigError, match=said):
        fit_line_projection(brain, SPEC, line_hz, n_remove=n_remove)


def test_too_little_signal_is_refused():
    with pytest.raises(ConfigError, match="record more"):
        fit_line_projection(scene(1, seconds=5)[0], SPEC, 50.0)


def test_the_excess_of_a_known_tone_is_what_it_should_be_and_silence_has_none():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(1, 50000))
    assert abs(line_excess_db(noise, RATE_HZ, 50.0)[0]) < 1
    # A tone of amplitude a has power a^2 / 2 in a band of 1.5 Hz (five bins, half of each edge),
    # white noise 1 / 250 in each of its 250 Hz.
    tone = noise + np.sin(2 * np.pi * 50 * np.arange(50000) / RATE_HZ)
    expected = 10 * np.log10(1 + 0.5 / (1.5 / 250))
    assert line_excess_db(tone, RATE_HZ, 50.0)[0] == pytest.approx(expected, abs=0.5)
    assert np.isnan(line_excess_db(np.zeros((1, 5000)), RATE_HZ, 50.0)[0])
