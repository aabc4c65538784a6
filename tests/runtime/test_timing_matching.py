"""Matching: one onset for a marker, whatever the delay, the drift, and what is missing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diverloop.runtime.errors import ConfigError
from diverloop.runtime.timing_matching import MatchConfig, find_lag, match


def uneven(n, seed=0):
    return 2 + np.cumsum(np.random.default_rng(seed).uniform(0.3, 0.8, n))


@settings(max_examples=20)
@given(
    delay_s=st.floats(-1.0, 1.0),
    ppm=st.sampled_from([0.0, 50.0, -500.0]),
    lost=st.sampled_from([0.0, 0.05, 0.2]),
    seed=st.integers(0, 10_000),
)
def test_every_onset_finds_its_own_marker(delay_s, ppm, lost, seed):
    rng = np.random.default_rng(seed)
    markers_s = uneven(200, seed)
    seen = rng.random(200) >= lost
    onsets_s = (markers_s + delay_s + ppm * 1e-6 * markers_s + rng.normal(0, 0.002, 200))[seen]
    found = match(markers_s, onsets_s)
    np.testing.assert_array_equal(found.markers, np.flatnonzero(seen))
    np.testing.assert_array_equal(found.onsets, np.arange(seen.sum()))
    np.testing.assert_array_equal(found.missing, np.flatnonzero(~seen))
    assert not len(found.extra)
    assert not found.even


def test_onsets_that_nobody_announced_are_extra_and_disturb_nothing():
    markers_s = uneven(100)
    onsets_s = markers_s + 0.03
    strays_s = markers_s[10:90:8] + 0.15
    both = np.sort(np.concatenate((onsets_s, strays_s)))
    found = match(markers_s, both)
    np.testing.assert_allclose(both[found.onsets] - markers_s[found.markers], 0.03)
    np.testing.assert_allclose(both[found.extra], strays_s)


def test_onsets_long_before_and_after_the_markers_do_not_count():
    markers_s = uneven(20)
    far = np.concatenate(([0.1], markers_s + 0.03, [markers_s[-1] + 5]))
    assert not len(match(markers_s, far).extra)


def test_a_delay_that_steps_is_found_again():
    markers_s = uneven(200)
    onsets_s = markers_s + np.where(np.arange(200) < 100, 0.03, 0.4)
    found = match(markers_s, onsets_s)
    assert len(found.markers) == 200


def test_a_delay_that_drifts_by_more_than_a_distance_is_followed():
    markers_s = uneven(3000)
    onsets_s = markers_s + 0.5 + 1e-3 * markers_s
    assert len(match(markers_s, onsets_s).markers) == 3000


def test_markers_at_equal_distances_are_told_of_and_matched_to_the_nearest():
    markers_s = 1 + np.arange(60) * 0.5
    found = match(markers_s, markers_s + 0.04)
    assert found.even
    np.testing.assert_array_equal(found.markers, found.onsets)


def test_a_screen_that_starts_late_costs_only_its_own_markers():
    markers_s = uneven(150)
    found = match(markers_s, markers_s[70:] + 0.02)
    np.testing.assert_array_equal(found.missing, np.arange(70))


@pytest.mark.parametrize(("markers_s", "onsets_s"), [([], [1.0]), ([1.0, 2.0], []), ([], [])])
def test_where_one_side_is_empty_nothing_matches(markers_s, onsets_s):
    found = match(np.array(markers_s), np.array(onsets_s))
    assert len(found.markers) == len(found.onsets) == 0
    assert len(found.missing) == len(markers_s)


def test_the_lag_of_nothing_is_no_number():
    assert np.isnan(find_lag(np.array([1.0]), np.array([9.0]), 1.0))


@pytest.mark.parametrize("name", ["search_s", "tolerance_s"])
def test_settings_that_make_no_sense_are_refused(name):
    with pytest.raises(ConfigError, match=f"{name} must be in"):
        MatchConfig(**{name: 0.0})
