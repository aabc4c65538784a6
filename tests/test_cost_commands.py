"""The command that says what a training would cost, and what it will not guess."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="the command needs torch")

from .test_cli import call, refused, told

SMALL = ("--hours", 59613, "--max-channels", 2, "--max-patches", 2)
STATED = ("--gpus", 32, "--gpu-tflops", 300, "--utilisation", 0.3)


def test_counted_measured_and_extrapolated_figures_are_kept_apart():
    made = told("cost", *SMALL, "--measure-s", 0.01, *STATED, "--price-per-gpu-hour", 2)
    assert set(made) == {"asked", "counted", "measured", "stated", "extrapolated"}
    there = made["extrapolated"]["there"]
    assert there["gpu_hours"] == pytest.approx(made["counted"]["flops"] / 300e12 / 0.3 / 3600)
    assert there["price"] == pytest.approx(2 * there["gpu_hours"])
    seconds = made["counted"]["flops"] / made["measured"]["flops_per_s"]
    assert made["extrapolated"]["hours_here"] == pytest.approx(seconds / 3600)


def test_without_a_measurement_and_statements_only_counts_are_told():
    text = " ".join(call("cost", *SMALL, "--measure-s", 0, "--size", "xxl").stdout.split())
    assert "counted" in text
    assert "measured" not in text
    made = told("cost", *SMALL, "--measure-s", 0, "--student", "S", "--max-channels", 4)
    assert made["extrapolated"] == {}
    assert made["counted"]["parameters"] < 2e6


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "hours"),
        ((*SMALL, "--gpus", 8), "--gpu-tflops"),
        ((*SMALL, "--price-per-gpu-hour", 3), "--gpus is missing"),
        ((*SMALL, "--size", "huge"), "huge"),
        (("--corpus", "nowhere"), "nowhere"),
    ],
)
def test_what_is_missing_is_asked_for_and_not_guessed(arguments, says):
    assert says in refused("cost", "--measure-s", 0, *arguments)["message"]
