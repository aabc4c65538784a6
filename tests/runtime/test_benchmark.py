from __future__ import annotations

import dataclasses
import json

import pytest

from diverloop.runtime.benchmark import BenchmarkCase, run_case
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.latency import STAGES

SMALL = BenchmarkCase(n_channels=3, rate_hz=200.0, length_s=0.2, step_s=0.1, n_windows=40)


@pytest.fixture(scope="module")
def measured():
    """It takes as long as the signal does: once is enough for those who only read."""
    return run_case(SMALL)


@pytest.mark.parametrize("conditioned", [False, True])
def test_a_case_is_measured_through_every_stage_of_the_loop(conditioned, measured):
    case = dataclasses.replace(SMALL, conditioned=conditioned)
    figures = run_case(case) if conditioned else measured
    assert {key: figures[key] for key in dataclasses.asdict(case)} == dataclasses.asdict(case)
    assert [row["name"] for row in figures["stages"]] == list(STAGES)
    # A filter has to settle first, so that a few windows are not decoded.
    n_decoded = {row["n"] for row in figures["stages"]}
    assert len(n_decoded) == 1
    assert n_decoded.pop() in (range(20, 40) if conditioned else [40])


def test_the_figures_in_microseconds_are_those_of_the_whole_pass(measured):
    whole = measured["stages"][STAGES.index("loop")]
    assert measured["p50_us"] == pytest.approx(1e3 * whole["p50_ms"])
    assert measured["p99_us"] == pytest.approx(1e3 * whole["p99_ms"])
    assert 0 < measured["p50_us"] <= measured["p99_us"]


def test_the_figures_can_be_written_as_strict_json(measured):
    assert json.loads(json.dumps(measured, allow_nan=False))["n_channels"] == 3


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("n_channels", 0, "[1, 4096]"), ("n_channels", 4097, "[1, 4096]"),
        ("rate_hz", 99.0, "[100, 40000]"), ("rate_hz", 40001.0, "[100, 40000]"),
        ("rate_hz", float("nan"), "[100, 40000]"),
        ("n_windows", 9, "[10, 10000000]"), ("n_windows", 10_000_001, "[10, 10000000]"),
    ],
)  # fmt: skip
def test_a_case_out_of_range_is_refused_by_name(key, value, allowed):
    with pytest.raises(ConfigError) as caught:
        BenchmarkCase(**{key: value})
    assert f"bench {key} must be in {allowed}, got {value}" in str(caught.value)


@pytest.mark.parametrize("step_s", [0.0, 0.3])
def test_a_step_that_fits_no_window_is_refused(step_s):
    with pytest.raises(ConfigError, match=r"window\.step_s"):
        run_case(dataclasses.replace(SMALL, step_s=step_s))
