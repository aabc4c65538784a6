"""From a task's name to plans."""

from __future__ import annotations

import pytest

from diverloop.adapters.p300 import SpellerOptions
from diverloop.fit_plan import FitPlan, plans_for, read_options, timed
from diverloop.runtime.catalog import CATALOG, find
from diverloop.runtime.collection import TrialSpan
from diverloop.runtime.errors import ConfigError, UnknownName
from diverloop.runtime.settings import build
from diverloop.runtime.timing_offset import DeviceTiming
from diverloop.runtime.windows import WindowConfig


@pytest.mark.parametrize("name", sorted(CATALOG["task"]))
def test_every_task_of_the_catalogue_is_whole(name):
    task = find("task", name)
    assert task.name == name
    assert task.title
    named = dict(task.feedback)
    build(find("feedback", named.pop("kind", "evidence")).Config, named, "feedback")
    ways = task.ways(task.span.classes)
    assert ways
    for way in ways:
        encoder = find("encoder", way.encoder)
        assert encoder.Config


def test_every_way_of_a_task_becomes_a_plan():
    plans = plans_for("motor_imagery", encoder="auto", classes=("left", "right", "rest"))
    assert [plan.encoder for plan in plans][:2] == [
        "filterbank_covariance",
        "aligned_covariance",
    ]
    assert {plan.span.classes for plan in plans} == {("left", "right", "rest")}


def test_what_somebody_asks_for_replaces_what_the_task_would_do():
    (plan,) = plans_for(
        "motor_imagery", encoder="csp", start_s=1.0, stop_s=3.0, window_s=1.5, step_s=0.2
    )
    assert plan.classifier == "lda"
    assert (plan.span.start_s, plan.span.stop_s) == (1.0, 3.0)
    assert plan.window == WindowConfig(length_s=1.5, step_s=0.2)


def test_windows_of_no_length_are_refused_and_not_taken_for_the_usual_ones():
    for name in ("window_s", "step_s"):
        with pytest.raises(ConfigError, match=name[:-2]):
            plans_for("motor_imagery", encoder="csp", **{name: 0.0})


def test_what_cannot_be_promised_is_refused_before_anything_is_fitted():
    for share in (-0.1, 0.6, float("nan")):
        with pytest.raises(ConfigError, match=r"promised_error must be in \[0, 0\.5\]"):
            plans_for("motor_imagery", encoder="csp", promised_error=share)
    with pytest.raises(ConfigError, match="neurofeedback cannot promise a share of errors"):
        plans_for("neurofeedback", promised_error=0.1)


def test_an_unknown_task_or_encoder_is_told_with_those_that_are():
    with pytest.raises(UnknownName, match="Did you mean 'motor_imagery'"):
        plans_for("motor imagery")
    names = "filterbank_covariance, aligned_covariance, csp, student"
    with pytest.raises(ConfigError, match=f"it has {names}"):
        plans_for("motor_imagery", encoder="cps")


def test_options_are_for_the_task_that_has_them(tmp_path):
    path = tmp_path / "options.toml"
    path.write_text("threshold = 0.95")
    assert read_options("p300_speller", path) == SpellerOptions(threshold=0.95)
    with pytest.raises(ConfigError, match="motor_imagery has no options of its own"):
        read_options("motor_imagery", path)
    with pytest.raises(ConfigError, match="motor_imagery has no options of its own"):
        plans_for("motor_imagery", options=SpellerOptions())
    with pytest.raises(ConfigError, match="takes SpellerOptions, got dict"):
        plans_for("p300_speller", options={"threshold": 0.95})
    with pytest.raises(ConfigError, match=r"no file of options .*none\.toml"):
        read_options("p300_speller", tmp_path / "none.toml")


def test_two_ways_with_one_encoder_are_told_apart_by_name():
    names = [plan.name or plan.encoder for plan in plans_for("ssvep", encoder="auto")]
    assert len(set(names)) == len(names)
    for name in names:
        (plan,) = plans_for("ssvep", encoder=name)
        assert (plan.name or plan.encoder) == name


def test_windows_locked_to_a_marker_need_not_fit_into_a_trial():
    span = TrialSpan(classes=("target", "nontarget"), start_s=0.0, stop_s=0.5)
    locked = WindowConfig(length_s=0.8, lock_to=("*",))
    assert FitPlan(span=span, window=locked).window is locked
    with pytest.raises(ConfigError, match="does not fit"):
        FitPlan(span=span, window=WindowConfig(length_s=0.8))


def test_a_devices_delay_moves_the_windows_of_every_plan(tmp_path):
    file = tmp_path / "amp.toml"
    DeviceTiming(offset_ms=31.0, measured="2026-03-01", n=99, rate_hz=500.0).save(file)
    plans = plans_for("p300")
    assert {plan.window.device_delay_s for plan in plans} == {0.0}
    moved = timed(plans, file)
    assert {plan.window.device_delay_s for plan in moved} == {0.031}
    assert [plan.name for plan in moved] == [plan.name for plan in plans]
    with pytest.raises(ConfigError, match="There is no timing file"):
        timed(plans, tmp_path / "none.toml")


@pytest.mark.parametrize("task", ["motor_imagery", "ssvep", "p300", "p300_speller"])
def test_every_way_can_be_read_by_prototypes(task):
    usual, adaptive = plans_for(task), plans_for(task, adaptive=True)
    assert [plan.encoder for plan in adaptive] == [plan.encoder for plan in usual]
    read = [plan.classifier for plan in adaptive]
    read += [part.classifier for plan in adaptive for part in plan.parts]
    assert set(read) == {"prototypes"}


@pytest.mark.parametrize("task", ["neurofeedback", "speech"])
def test_what_is_not_read_linearly_cannot_be_adapted_yet(task):
    with pytest.raises(ConfigError, match="cannot be adapted yet"):
        plans_for(task, adaptive=True)
