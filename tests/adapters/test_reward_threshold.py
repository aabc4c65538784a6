from __future__ import annotations

import math

import numpy as np
import pytest

from diverloop.adapters.reward_threshold import (
    FEWEST_STEPS,
    Course,
    RewardThreshold,
    ThresholdConfig,
    scale_of,
)
from diverloop.runtime.errors import ConfigError

TRUE_THRESHOLD = -0.385  # 65 % of a standard normal lie above it


def rule(value: float = 0.0, **fields) -> RewardThreshold:
    return RewardThreshold(
        ThresholdConfig(**{"adapt": "between"} | fields), value=value, scale=1.0, step_s=0.1
    )


def run_block(one: RewardThreshold, values: np.ndarray, name: str = "block:1") -> float:
    one.open_block()
    for step, value in enumerate(values):
        one.count(float(value), step, name, step)
    rate = one.reward_rate
    one.close_block(values, name, len(values))
    return rate


def noise(seed: int, n: int = 1200) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(n)


@pytest.mark.parametrize("start", [-1.2, 1.2])
def test_between_blocks_a_wrong_start_is_made_good_by_the_second_block(start):
    one = rule(start)
    first = run_block(one, noise(0))
    assert abs(first - 0.65) > 0.2
    rates = [run_block(one, noise(seed)) for seed in range(1, 8)]
    np.testing.assert_allclose(rates, 0.65, atol=0.05)


def test_between_blocks_nothing_moves_inside_a_block():
    one = rule(1.0)
    one.open_block()
    for step, value in enumerate(noise(0)):
        one.count(float(value), step, "block:1", step)
    assert one.value == 1.0
    assert one.changes == []


def test_later_blocks_weigh_less_until_the_memory_is_full():
    one = rule(0.0, memory_blocks=3, max_step=5)
    moved = []
    for _ in range(4):
        before = one.value
        one.open_block()
        one.count(before + 1, 0, "b", 0)
        one.close_block(np.full(FEWEST_STEPS, before + 1.0), "b", 0)
        moved.append(one.value - before)
    np.testing.assert_allclose(moved, [1, 1 / 2, 1 / 3, 1 / 3])


@pytest.mark.parametrize("start", [-1.2, 1.2])
def test_within_a_block_the_rate_holds_even_if_the_level_moves(start):
    one = rule(start, adapt="within")
    rates = [run_block(one, noise(seed) + 0.8 * (seed % 2)) for seed in range(8)]
    np.testing.assert_allclose(rates[1:], 0.65, atol=0.05)


def test_within_a_block_a_window_is_judged_by_the_threshold_before_its_step():
    one = rule(0.0, adapt="within", update_s=1.0)
    one.open_block()
    for step in range(10):
        assert one.count(0.1, step, "block:1", step)
    assert one.count(0.1, 10, "block:1", 77)
    assert one.value > 0.1
    assert not one.count(0.1, 11, "block:1", 78)
    (change,) = one.changes
    assert (change.sample, change.part, change.reward_rate) == (77, "block:1", 1.0)
    assert (change.old, change.new) == (0.0, one.value)


def test_a_period_of_mostly_poor_signal_moves_nothing():
    one = rule(0.0, adapt="within", update_s=1.0)
    for step in (0, 1, 2, 3, 10, 11):
        one.count(5.0, step, "block:1", step)
    assert one.changes == []


@pytest.mark.parametrize("adapt", ["between", "within"])
def test_no_block_moves_the_threshold_further_than_allowed(adapt):
    one = rule(0.0, adapt=adapt, max_step=0.5)
    run_block(one, noise(0) + 50)
    assert one.value == pytest.approx(0.5)
    run_block(one, noise(1) - 50)
    assert one.value >= 0.0


def test_switched_off_it_stays():
    one = rule(1.0, adapt="off")
    run_block(one, noise(0))
    assert (one.value, one.changes) == (1.0, [])


def test_a_block_with_hardly_any_signal_moves_nothing():
    one = rule(1.0)
    run_block(one, noise(0, FEWEST_STEPS - 1))
    assert one.changes == []


def test_a_baseline_gives_value_and_scale():
    one = rule(9.0)
    one.rest_on(3 + 2 * noise(0, 5000), "baseline:eyes_open:pre", 10)
    assert one.scale == pytest.approx(2, rel=0.05)
    assert one.value == pytest.approx(3 + 2 * TRUE_THRESHOLD, abs=0.1)
    assert math.isnan(one.changes[0].reward_rate)
    one.rest_on(noise(0, FEWEST_STEPS - 1), "baseline:eyes_open:pre", 20)
    assert len(one.changes) == 1


def test_artefacts_hardly_move_a_scale():
    values = noise(0, 1000)
    values[:20] = 1e3
    assert scale_of(values) == pytest.approx(1, rel=0.1)
    assert scale_of(np.zeros(100)) > 0


def test_a_course_keeps_its_holes_until_they_are_bridged():
    course = Course(6)
    assert course.filled().size == course.seen().size == 0
    for step, value in ((1, 1.0), (3, 3.0), (99, 5.0)):
        course.put(step, value)
    assert course.seen().tolist() == [1, 3, 5]
    assert course.filled().tolist() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "fields",
    [{"target": 1}, {"adapt": "always"}, {"memory_blocks": 0}, {"gain": 0}, {"max_step": 9},
     {"update_s": math.nan}],
)  # fmt: skip
def test_settings_out_of_range_are_refused(fields):
    with pytest.raises(ConfigError):
        ThresholdConfig(**fields)
