"""From made-up times to what is said of an engine."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.decoders.engines.measuring_figures import (
    COLUMNS,
    against_floor,
    ratio,
    ratios_of,
    refusals,
    summarise,
    table,
)


def entry(engine: str, channels: int, p50_ms: float, **more: object) -> dict[str, object]:
    """An engine's entry as `measure_all` has it."""
    return {
        "engine": engine,
        "precision": "fp32",
        "channels": channels,
        "context": 30,
        **summarise([[p50_ms, p50_ms]]),
        "memory_mb": 50.4,
        "start_up_s": 0.52,
        "ticks": {"idle": {"late_share": 0.0}, "busy": {"late_share": 0.031}},
        "times_floor": 4.0,
        **more,
    }


def test_latency_jitter_and_throughput_are_of_all_rounds_together():
    rounds_ms = [[1.0] * 500, [2.0] * 490 + [100.0] * 10]
    found = summarise(rounds_ms)
    times_ms = np.concatenate(rounds_ms)
    assert found["n"] == 1000
    assert found["p50_ms"] == np.median(times_ms) == 1.5
    assert found["p99_ms"] == pytest.approx(np.quantile(times_ms, 0.99))
    assert found["p999_ms"] == found["max_ms"] == 100.0
    assert found["jitter_ms"] == found["p99_ms"] - 1.5
    assert found["std_ms"] == pytest.approx(times_ms.std())
    assert found["hops_per_s"] == pytest.approx(1000 / (times_ms.sum() / 1e3))


def test_an_engine_three_times_as_fast_is_said_to_be_so_without_doubt():
    rng = np.random.default_rng(1)
    ours = [list(rng.normal(2.0, 0.1, 40)) for _ in range(12)]
    theirs = [list(rng.normal(6.0, 0.3, 40)) for _ in range(12)]
    found = ratio(theirs, ours)
    assert 2.9 < found["low"] < found["ratio"] < found["high"] < 3.1
    assert ratio(theirs, ours) == found


def test_what_slows_both_in_the_same_rounds_leaves_their_ratio_alone():
    slow = [1.0, 4.0, 2.0, 8.0, 1.0, 3.0]
    ours = [[one, one] for one in slow]
    theirs = [[3 * one, 3 * one] for one in slow]
    found = ratio(theirs, ours)
    assert found == pytest.approx({"ratio": 3.0, "low": 3.0, "high": 3.0})


def test_rounds_that_disagree_make_the_interval_wide():
    ours = [[1.0, 1.0], [4.0, 4.0]] * 3
    theirs = [[3.0, 3.0]] * 6
    found = ratio(theirs, ours)
    assert found["low"] < 1.0
    assert found["high"] == 3.0


def test_the_reference_is_compared_with_nobody_and_those_that_stopped_are_left_out():
    rounds_ms = {
        ("torch", "fp32"): [[4.0, 4.0], [4.0, 4.0]],
        ("onnxruntime", "fp32"): [[1.0, 1.0], [1.0, 1.0]],
        ("openvino", "fp32"): [],
    }
    found = ratios_of(rounds_ms)
    assert list(found) == [("onnxruntime", "fp32")]
    assert found["onnxruntime", "fp32"]["ratio"] == 4.0
    assert ratios_of({("onnxruntime", "fp32"): [[1.0]]}) == {}


def test_distance_from_the_floor_is_that_of_the_same_size():
    floors = [
        {"channels": 8, "context": 30, "floor_ms": 0.5},
        {"channels": 64, "context": 30, "floor_ms": 1.0},
    ]
    refused = {"engine": "tensorrt", "channels": 8, "context": 30, "refused": "There is no GPU."}
    found = against_floor([entry("a", 64, 3.0), entry("a", 8, 3.0), refused], floors)
    assert [one.get("times_floor") for one in found] == [3.0, 6.0, None]


def test_a_row_says_all_that_was_measured_and_rows_are_in_order():
    figures = {
        "engines": [
            entry("torch", 64, 8.0),
            entry("onnxruntime", 64, 2.0),
            entry("torch", 8, 5.0),
            {"engine": "torch-cuda", "precision": "fp32", "refused": "There is no GPU."},
            {"engine": "torch-cuda", "precision": "fp32", "refused": "There is no GPU."},
        ],
        "ratios": [
            {
                "engine": "onnxruntime",
                "precision": "fp32",
                "channels": 64,
                "context": 30,
                "ratio": 4.0,
                "low": 3.9,
                "high": 4.25,
            }
        ],
    }
    rows = table(figures)
    assert [row[:2] for row in rows] == [
        ("torch fp32", "8"),
        ("onnxruntime fp32", "64"),
        ("torch fp32", "64"),
    ]
    assert dict(zip(COLUMNS, rows[1], strict=True)) == {
        "engine": "onnxruntime fp32",
        "ch": "64",
        "context": "30",
        "p50 ms": "2.00",
        "p99 ms": "2.00",
        "p99.9 ms": "2.00",
        "jitter ms": "0.00",
        "hops/s": "500",
        "MB": "50",
        "start s": "0.5",
        "late ticks": "3.1 %",
        "x floor": "4.0",
        "x torch": "4.0 (3.9 to 4.2)",
    }
    assert refusals(figures) == [("torch-cuda fp32", "There is no GPU.")]


def test_what_was_not_measured_is_a_dash():
    one = entry("onnxruntime", 8, 2.0, memory_mb=None)
    del one["ticks"]
    (row,) = table({"engines": [one], "ratios": []})
    found = dict(zip(COLUMNS, row, strict=True))
    assert (found["MB"], found["late ticks"], found["x torch"]) == ("-", "-", "-")
