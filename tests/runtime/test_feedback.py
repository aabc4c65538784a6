from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diverloop.runtime.conformance import check_feedback
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.feedback import NOT_FINITE, EvidenceFeedback, FeedbackConfig
from diverloop.runtime.messages import Command, Decision

STEP_NS = 50_000_000
CLASSES = ("left", "right", "feet")

odds = st.lists(st.floats(0.0, 1.0), min_size=3, max_size=3).filter(lambda p: sum(p) > 0.1)
streams = st.lists(odds, min_size=1, max_size=12)


def decided(*probabilities, classes=CLASSES) -> Decision:
    share = np.asarray(probabilities, float) / sum(probabilities)
    return Decision(classes=classes, probabilities=share, label=classes[int(share.argmax())])


NEUTRAL = Decision(
    classes=CLASSES, probabilities=np.full(3, np.nan), label=None, reason="samples were lost"
)
SURE = decided(0.98, 0.01, 0.01)
UNSURE = decided(0.4, 0.3, 0.3)
OTHER = decided(0.01, 0.98, 0.01)


def play(feedback: EvidenceFeedback, decisions, start_ns: int = 0) -> list[Command]:
    return [feedback.advance(d, start_ns + i * STEP_NS) for i, d in enumerate(decisions)]


def feedback(**changes) -> EvidenceFeedback:
    return EvidenceFeedback(FeedbackConfig(**changes))


def test_it_keeps_the_protocol():
    check_feedback(EvidenceFeedback())


@given(streams)
def test_without_memory_each_decision_is_shown_as_it_is(stream):
    commands = play(feedback(memory_s=0), [decided(*p) for p in stream])
    for p, command in zip(stream, commands, strict=True):
        share = np.maximum(np.asarray(p) / sum(p), 1e-6)
        assert command.strength == pytest.approx(share.max() / share.sum(), abs=1e-9)


@given(streams)
def test_evidence_is_a_leaky_mean_of_log_probabilities(stream):
    memory_s = 0.3
    keep = math.exp(-STEP_NS / 1e9 / memory_s)
    evidence = None
    commands = play(feedback(memory_s=memory_s), [decided(*p) for p in stream])
    for p, command in zip(stream, commands, strict=True):
        fresh = np.log(np.maximum(np.asarray(p) / sum(p), 1e-6))
        evidence = fresh if evidence is None else keep * evidence + (1 - keep) * fresh
        strengths = np.exp(evidence) / np.exp(evidence).sum()
        assert command.strength == pytest.approx(strengths.max(), rel=1e-9)
        assert strengths[CLASSES.index(command.label)] == pytest.approx(strengths.max(), rel=1e-9)


@given(streams, st.permutations(range(3)))
def test_the_order_of_the_classes_changes_nothing(stream, order):
    # Tiny distinct tilts, so that no two classes are ever equally strong.
    stream = [np.asarray(p) + np.array([0.0, 1e-3, 2e-3]) for p in stream]
    names = tuple(CLASSES[place] for place in order)
    straight = play(feedback(dwell_s=0.1), [decided(*p) for p in stream])
    mixed = play(feedback(dwell_s=0.1), [decided(*p[list(order)], classes=names) for p in stream])
    for one, other in zip(straight, mixed, strict=True):
        assert other.strength == pytest.approx(one.strength, rel=1e-12)
        assert (other.selected, other.reason) == (one.selected, one.reason)
        assert other.label == one.label


@given(streams, streams)
def test_a_neutral_decision_clears_what_was_seen_before_it(before, after):
    used, new = feedback(refractory_s=0, dwell_s=0.1), feedback(refractory_s=0, dwell_s=0.1)
    play(used, [decided(*p) for p in before])
    start_ns = len(before) * STEP_NS
    assert used.advance(NEUTRAL, start_ns) == Command(label=None, reason="samples were lost")
    tail = [decided(*p) for p in after]
    assert play(used, tail, start_ns + STEP_NS) == play(new, tail, start_ns + STEP_NS)


def test_a_certain_zero_can_be_recovered_from():
    rule = feedback(memory_s=0.5)
    play(rule, [decided(1, 0, 0)] * 100)
    commands = play(rule, [decided(0, 1, 0)] * 100, 100 * STEP_NS)
    assert commands[0].label == "left"
    assert commands[-1].label == "right"
    assert commands[-1].strength > 0.99


def test_a_class_is_selected_once_it_has_stayed_strong_for_the_dwell_time():
    commands = play(feedback(dwell_s=0.2, refractory_s=60), [SURE] * 100)
    assert [i for i, command in enumerate(commands) if command.selected] == [4]


def test_without_dwell_the_first_strong_decision_selects():
    assert play(feedback(dwell_s=0), [SURE])[0].selected


@pytest.mark.parametrize("interruption", [NEUTRAL, UNSURE, OTHER])
def test_the_dwell_starts_again_after_anything_else(interruption):
    rule = feedback(memory_s=0, dwell_s=0.2, refractory_s=60)
    commands = play(rule, [SURE] * 4 + [interruption] + [SURE] * 6)
    assert [i for i, command in enumerate(commands) if command.selected] == [9]


def test_after_a_selection_none_is_made_until_the_refractory_time_is_over():
    rule = feedback(dwell_s=0.1, refractory_s=0.5)
    selected = [i for i, command in enumerate(play(rule, [SURE] * 30)) if command.selected]
    assert selected == [2, 14, 26]  # 0.5 s of rest, then the dwell of 0.1 s again


def test_a_neutral_decision_does_not_shorten_the_refractory_time():
    rule = feedback(dwell_s=0, refractory_s=0.5)
    commands = play(rule, [SURE, NEUTRAL, *[SURE] * 12])
    assert [i for i, command in enumerate(commands) if command.selected] == [0, 10]


def test_what_is_too_weak_is_shown_and_never_selected():
    commands = play(feedback(dwell_s=0, select_at=0.9), [decided(0.85, 0.1, 0.05)] * 50)
    assert {command.label for command in commands} == {"left"}
    assert not any(command.selected for command in commands)


def test_the_threshold_itself_is_enough():
    commands = play(feedback(memory_s=0, dwell_s=0, select_at=0.5), [decided(1, 1, classes="ab")])
    assert commands[0].selected


def test_older_evidence_counts_less_the_longer_the_pause():
    def after(pause_ns: int) -> float:
        rule = feedback(memory_s=0.5)
        rule.advance(SURE, 0)
        command = rule.advance(UNSURE, pause_ns)
        return command.strength

    strengths = [after(round(s * 1e9)) for s in (0.0, 0.1, 0.5, 2.0, 20.0)]
    assert strengths == sorted(strengths, reverse=True)
    assert strengths[0] == pytest.approx(0.98)
    assert strengths[-1] == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("memory_s", -0.1, "[0, 60]"), ("memory_s", 60.1, "[0, 60]"),
        ("dwell_s", -1.0, "[0, 60]"), ("dwell_s", math.nan, "[0, 60]"),
        ("refractory_s", 61.0, "[0, 60]"), ("refractory_s", math.inf, "[0, 60]"),
        ("select_at", 0.49, "[0.5, 1]"), ("select_at", 1.01, "[0.5, 1]"),
        ("select_at", math.nan, "[0.5, 1]"),
    ],
)  # fmt: skip
def test_a_setting_out_of_range_is_refused_by_name(key, value, allowed):
    with pytest.raises(ConfigError) as caught:
        FeedbackConfig(**{key: value})
    assert f"feedback.{key}" in str(caught.value)
    assert allowed in str(caught.value)
    assert str(value) in str(caught.value)


@pytest.mark.parametrize("edge", [{"memory_s": 0}, {"dwell_s": 60}, {"select_at": 1}])
def test_the_ends_of_the_ranges_are_allowed(edge):
    assert FeedbackConfig(**edge) == FeedbackConfig(**edge)


def test_while_an_idle_class_leads_nothing_is_commanded_and_evidence_is_kept():
    rule = feedback(memory_s=1.0)
    idle = decided(0.9, 0.1, classes=("rest", "left"))
    left = decided(0.02, 0.98, classes=("rest", "left"))
    command = rule.advance(idle, 0)
    assert (command.label, command.reason) == (None, "idle: nothing is intended")
    assert not command.selected
    one = rule.advance(left, 100_000_000)
    assert one.label is None  # what was idle for long is not undone by one window
    for step in range(2, 30):
        command = rule.advance(left, step * 100_000_000)
    assert command.label == "left"


def test_which_classes_are_idle_can_be_said():
    decision = decided(0.9, 0.1, classes=("rest", "left"))
    assert feedback(idle=()).advance(decision, 0).label == "rest"


def test_once_a_class_is_selected_again_only_after_another_has_led():
    rule = feedback(memory_s=0, dwell_s=0, refractory_s=0, once=True)
    commands = play(rule, [SURE, SURE, NEUTRAL, SURE, OTHER, SURE])
    assert [command.selected for command in commands] == [True, False, False, False, True, True]
    assert commands[1].label == "left"


def test_without_once_a_class_that_lasts_is_selected_again_and_again():
    rule = feedback(memory_s=0, dwell_s=0, refractory_s=0)
    assert [command.selected for command in play(rule, [SURE, SURE, SURE])] == [True] * 3


def test_once_an_idle_class_lets_go_of_what_was_selected():
    resting = decided(0.05, 0.95, classes=("left", "rest"))
    moving = decided(0.95, 0.05, classes=("left", "rest"))
    rule = feedback(memory_s=0, dwell_s=0, refractory_s=0, once=True)
    commands = play(rule, [moving, moving, resting, moving])
    assert [command.selected for command in commands] == [True, False, False, True]


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
@pytest.mark.parametrize("place", range(3))
def test_probabilities_that_are_not_finite_are_neutral_and_leave_nothing_behind(wrong, place):
    broken = np.array(SURE.probabilities)
    broken[place] = wrong
    bad = Decision(classes=CLASSES, probabilities=broken, label="left")
    used = feedback(dwell_s=0.1)
    assert play(used, [SURE, bad])[-1] == Command(label=None, reason=NOT_FINITE)
    after = play(used, [SURE] * 4, start_ns=2 * STEP_NS)
    assert after == play(feedback(dwell_s=0.1), [SURE] * 4, start_ns=2 * STEP_NS)
    assert any(command.selected for command in after)
