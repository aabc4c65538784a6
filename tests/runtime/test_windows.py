from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diverloop.runtime.errors import ConfigError
from diverloop.runtime.messages import Marker
from diverloop.runtime.pace import Pace
from diverloop.runtime.windows import LockedWindows, SlidingWindows, Slot, WindowConfig

lengths = st.integers(1, 40)
steps = st.integers(1, 40)
growth = st.lists(st.integers(0, 60), min_size=1, max_size=30)
marks = st.lists(st.integers(-20, 300), min_size=1, max_size=12)


def pairs(slots: list[Slot]) -> list[tuple[int, int]]:
    return [(slot.first, slot.stop) for slot in slots]


def cue(sample: int, label: str = "cue") -> Marker:
    return Marker(label=label, sample=sample)


# ----------------------------------------------------------------------------------- sliding


@given(length=lengths, step=steps, cuts=growth)
def test_any_cut_gives_the_windows_of_numpys_sliding_view(length, step, cuts):
    policy, got = SlidingWindows(length, step), []
    for stop in np.cumsum(cuts).tolist():
        got += policy.due(stop)
    total = sum(cuts)
    whole = np.arange(total)
    if total < length:
        expected = []
    else:
        rows = np.lib.stride_tricks.sliding_window_view(whole, length)[::step]
        expected = [(int(row[0]), int(row[-1]) + 1) for row in rows]
    assert pairs(got) == expected
    assert all(slot.marker is None for slot in got)


@given(length=lengths, step=steps, cuts=growth)
def test_what_is_wanted_completes_the_next_window_and_no_sample_more(length, step, cuts):
    policy, stop = SlidingWindows(length, step), 0
    for growth in cuts:
        wanted = policy.wanted(stop)
        assert wanted >= 1
        if growth < wanted:
            stop += growth
            assert policy.due(stop) == []
        else:
            stop += wanted
            assert pairs(policy.due(stop)) == [(stop - length, stop)]


@given(length=lengths, step=steps, before=st.integers(0, 300), gap=st.integers(0, 5000))
def test_a_gap_does_not_move_the_grid(length, step, before, gap):
    policy = SlidingWindows(length, step)
    slots = policy.due(before) + policy.due(before + gap) + policy.due(before + gap + 200)
    assert all((slot.stop - length) % step == 0 for slot in slots)
    assert all(b.stop - a.stop == step for a, b in pairwise(slots)) or gap > 1000


def test_after_an_outage_of_a_day_only_the_newest_windows_are_named():
    policy = SlidingWindows(1000, 50)
    slots = policy.due(24 * 3600 * 1000)
    assert len(slots) == 1000
    assert slots[-1].stop == 24 * 3600 * 1000
    assert policy.wanted(24 * 3600 * 1000) == 50


def test_no_window_is_named_twice():
    policy = SlidingWindows(10, 5)
    assert len(policy.due(20)) == 3
    assert policy.due(20) == []


def test_a_sliding_window_reaches_back_by_its_length_and_ignores_markers():
    policy = SlidingWindows(10, 5)
    policy.announce(cue(3))
    assert policy.reach == 10
    assert pairs(policy.due(14)) == [(0, 10)]


# ------------------------------------------------------------------------------------ locked


@given(length=lengths, offset=st.integers(-50, 50), samples=marks, cuts=growth)
def test_each_marker_gives_its_window_once_when_it_is_complete(length, offset, samples, cuts):
    policy, got, stop = LockedWindows(length, offset, ("*",)), [], 0
    pending = sorted(samples)
    for size in [*cuts, 2000]:
        stop += size
        while pending and pending[0] < stop:
            policy.announce(cue(pending.pop(0)))
        due = policy.due(stop)
        assert all(slot.stop <= stop for slot in due)
        assert pairs(due) == sorted(pairs(due))
        got += due
    expected = [(s + offset, s + offset + length, s) for s in samples]
    assert sorted(
        (*pair, slot.marker.sample) for pair, slot in zip(pairs(got), got, strict=True)
    ) == sorted(expected)


@given(length=st.integers(20, 60), sample=st.integers(0, 100), stop=st.integers(0, 200))
def test_a_locked_policy_never_waits_past_the_next_window_nor_longer_than_a_tenth(
    length, sample, stop
):
    policy = LockedWindows(length, 0, ("*",))
    policy.announce(cue(sample))
    policy.due(stop)
    wanted = policy.wanted(stop)
    assert 1 <= wanted <= length // 10
    if sample + length > stop:
        assert stop + wanted <= sample + length
    else:
        assert wanted == length // 10


def test_a_locked_policy_waits_exactly_for_a_window_that_is_near():
    policy = LockedWindows(100, 0, ("*",))
    policy.announce(cue(50))
    assert policy.wanted(147) == 3
    assert policy.due(149) == []
    assert pairs(policy.due(150)) == [(50, 150)]
    assert policy.wanted(150) == 10


def test_markers_that_come_in_the_wrong_order_give_windows_in_the_right_one():
    policy = LockedWindows(10, 0, ("*",))
    for sample in (30, 20, 10):
        policy.announce(cue(sample))
    assert policy.wanted(19) == 1
    assert pairs(policy.due(35)) == [(10, 20), (20, 30)]
    assert pairs(policy.due(40)) == [(30, 40)]


def test_labels_choose_the_markers_that_count():
    policy = LockedWindows(10, 0, ("target", "other"))
    for label in ("target", "pause", "other", "*"):
        policy.announce(cue(5, label))
    assert [slot.marker.label for slot in policy.due(100)] == ["target", "other"]


def test_a_window_that_would_begin_before_the_stream_is_named_where_it_would_be():
    # Moving it to sample 0 would decode another stretch than the one the marker asks for.
    policy = LockedWindows(100, -50, ("*",))
    policy.announce(cue(10))
    assert pairs(policy.due(60)) == [(-40, 60)]


@pytest.mark.parametrize("offset", [-1000, -50, 0, 50])
def test_the_reach_covers_a_window_whose_marker_arrives_with_its_sample(offset):
    policy = LockedWindows(100, offset, ("*",))
    policy.announce(cue(5000))
    stop = 5001 + max(0, policy.wanted(5001) if offset >= -100 else 0)
    (slot,) = [*policy.due(5001), *policy.due(max(stop, 5000 + offset + 100))]
    assert max(stop, slot.stop) - slot.first <= policy.reach


# ------------------------------------------------------------------------------------ settings


def test_settings_in_seconds_become_samples_at_the_streams_rate():
    policy = WindowConfig(length_s=1.0, step_s=0.1).policy(250.0)
    assert isinstance(policy, SlidingWindows)
    assert pairs(policy.due(275)) == [(0, 250), (25, 275)]
    locked = WindowConfig(length_s=0.8, lock_to=("flash",), offset_s=-0.1).policy(250.0)
    assert isinstance(locked, LockedWindows)
    locked.announce(cue(1000, "flash"))
    assert pairs(locked.due(5000)) == [(975, 1175)]


@pytest.mark.parametrize(("delay_s", "first"), [(0.0, 975), (0.0312, 983), (-0.0312, 967)])
def test_a_devices_delay_moves_locked_windows_by_whole_samples_and_leaves_the_marker(
    delay_s, first
):
    config = WindowConfig(length_s=0.8, lock_to=("*",), offset_s=-0.1, device_delay_s=delay_s)
    policy = config.policy(250.0)
    policy.announce(cue(1000))
    (slot,) = policy.due(5000)
    assert (slot.first, slot.stop) == (first, first + 200)
    assert slot.marker == cue(1000)
    assert policy.reach == 400 + 25 + max(0, 975 - first)


def test_a_devices_delay_counts_source_samples_where_the_rates_differ():
    config = WindowConfig(length_s=1.0, lock_to=("*",), device_delay_s=0.0205)
    policy = config.policy(250.0, Pace.between(1000.0, 250.0))
    policy.announce(cue(4000))
    assert policy.due(5000)[0].first == -(-4020 // 4)


def test_a_devices_delay_does_not_touch_windows_that_slide():
    plain, moved = (
        WindowConfig(length_s=1.0, step_s=0.1, device_delay_s=one).policy(250.0) for one in (0, 0.5)
    )
    assert pairs(moved.due(500)) == pairs(plain.due(500))


def test_no_rate_is_so_low_that_a_window_or_step_is_empty():
    config = WindowConfig(length_s=0.05, step_s=0.001)
    assert config.n_times(1.0) == 1
    assert pairs(config.policy(1.0).due(2)) == [(0, 1), (1, 2)]


@pytest.mark.parametrize(
    ("changes", "key", "allowed"),
    [
        ({"length_s": 0.04}, "window.length_s", "[0.05, 60] s"),
        ({"length_s": 61.0}, "window.length_s", "[0.05, 60] s"),
        ({"length_s": math.nan}, "window.length_s", "[0.05, 60] s"),
        ({"step_s": 0.0}, "window.step_s", "(0, length_s = 1.0] s"),
        ({"step_s": 1.1}, "window.step_s", "(0, length_s = 1.0] s"),
        ({"step_s": math.nan}, "window.step_s", "(0, length_s = 1.0] s"),
        ({"offset_s": -10.5}, "window.offset_s", "[-10, 60] s"),
        ({"offset_s": 61.0}, "window.offset_s", "[-10, 60] s"),
        ({"device_delay_s": -1.1}, "window.device_delay_s", "[-1, 1] s"),
        ({"device_delay_s": math.nan}, "window.device_delay_s", "[-1, 1] s"),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(changes, key, allowed):
    with pytest.raises(ConfigError) as caught:
        WindowConfig(**changes)
    assert key in str(caught.value)
    assert allowed in str(caught.value)
    assert f"got {next(iter(changes.values()))} s" in str(caught.value)


@pytest.mark.parametrize(
    "edge",
    [{"length_s": 0.05, "step_s": 0.05}, {"length_s": 60.0}, {"offset_s": -10.0}, {"step_s": 1.0}],
)
def test_the_ends_of_the_ranges_are_allowed(edge):
    assert WindowConfig(**edge) == WindowConfig(**edge)


def test_a_window_that_answers_a_marker_matters_for_longer_than_one_of_many():
    assert WindowConfig(length_s=1.0, step_s=0.1).patience_s == 0.1
    assert WindowConfig(length_s=0.8, lock_to=("flash",)).patience_s == 1.0
