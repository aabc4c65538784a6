"""What the watchdog lets through: nothing that moves before a neutral command, none in silence."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest

from diverloop.runtime.messages import Command
from diverloop.runtime.vigil import BEGUN, STOPPED, Vigil

LIMIT_NS = 150_000_000
GO = Command(label="left", strength=0.7, selected=True, velocity=(0.5, -0.25))
NEUTRAL = Command(label=None, reason="guard is disarmed")
SILENT = "the loop gave no sign of life for 150 ms"


def awake(now_ns: int = 0) -> Vigil:
    """Heard at this time, and commands pass."""
    vigil = Vigil(LIMIT_NS)
    assert vigil.hear(now_ns) == 0
    assert vigil.permit(NEUTRAL) is NEUTRAL
    assert vigil.permit(GO) is GO
    return vigil


def refused(reason: str) -> Command:
    return Command(label=None, reason=f"watchdog: {reason}", velocity=(0.0, 0.0))


def test_the_first_command_that_moves_waits_for_a_neutral_one():
    vigil = Vigil(LIMIT_NS)
    assert vigil.safe_because == BEGUN
    vigil.hear(0)
    assert vigil.permit(GO) == vigil.permit(GO) == refused(BEGUN)
    assert vigil.permit(NEUTRAL) is NEUTRAL
    assert vigil.permit(GO) is GO
    assert vigil.safe_because == ""


def test_before_the_first_sign_of_life_there_is_no_silence():
    vigil = Vigil(LIMIT_NS)
    assert vigil.left_s(10**15) is None
    assert not vigil.watch(10**15)
    assert vigil.hear(10**15) == 0
    assert vigil.safe_because == BEGUN


@pytest.mark.parametrize("heard_ns", [0, 7, 10**15])
@pytest.mark.parametrize(("late_ns", "safe"), [(-1, False), (0, True), (1, True), (10**12, True)])
def test_outputs_are_safe_from_the_very_nanosecond_at_which_the_limit_is_reached(
    heard_ns, late_ns, safe
):
    vigil = awake(heard_ns)
    now_ns = heard_ns + LIMIT_NS + late_ns
    assert vigil.left_s(now_ns) == max(0, -late_ns) / 1e9
    assert vigil.watch(now_ns) is safe
    assert vigil.safe_because == (SILENT if safe else "")
    assert vigil.permit(GO) == (refused(SILENT) if safe else GO)


@pytest.mark.parametrize("watched", [True, False])
@pytest.mark.parametrize(("late_ns", "silent"), [(-1, False), (0, True), (1, True)])
def test_a_sign_of_life_that_comes_too_late_tells_of_the_silence_even_if_nobody_watched(
    watched, late_ns, silent
):
    vigil = awake(1000)
    now_ns = 1000 + LIMIT_NS + late_ns
    if watched:
        vigil.watch(now_ns)
    assert vigil.hear(now_ns) == (LIMIT_NS + late_ns if silent else 0)
    assert vigil.permit(GO) == (refused(SILENT) if silent else GO)
    assert vigil.hear(now_ns + 1) == 0


def test_a_silence_is_told_once_and_counts_from_the_last_sign_of_life():
    vigil = awake(0)
    for now_ns in (LIMIT_NS, 2 * LIMIT_NS, 9 * LIMIT_NS):
        assert vigil.watch(now_ns)
    assert vigil.hear(10 * LIMIT_NS) == 10 * LIMIT_NS
    assert vigil.hear(10 * LIMIT_NS + 1) == 0
    assert not vigil.watch(11 * LIMIT_NS)
    assert vigil.watch(11 * LIMIT_NS + 1)


def test_signs_of_life_alone_do_not_release_the_outputs():
    vigil = awake(0)
    vigil.watch(LIMIT_NS)
    for beat in range(20):
        vigil.hear(LIMIT_NS + beat)
    assert vigil.permit(GO) == refused(SILENT)
    assert vigil.permit(NEUTRAL) is NEUTRAL
    assert vigil.permit(GO) is GO


def test_an_emergency_stop_is_at_once_and_lasts_until_a_neutral_command():
    vigil = awake(0)
    vigil.stop()
    assert vigil.safe_because == STOPPED
    vigil.hear(1)
    assert vigil.permit(GO) == refused(STOPPED)
    assert vigil.permit(NEUTRAL) is NEUTRAL
    assert vigil.permit(GO) is GO


def test_an_emergency_stop_is_no_sign_of_life():
    vigil = awake(0)
    left_s = vigil.left_s(LIMIT_NS // 2)
    vigil.stop()
    assert vigil.left_s(LIMIT_NS // 2) == left_s
    assert vigil.watch(LIMIT_NS)
    vigil.stop()
    assert vigil.hear(LIMIT_NS + 5) == LIMIT_NS + 5
    fresh = Vigil(LIMIT_NS)
    fresh.stop()
    assert fresh.left_s(0) is None


@pytest.mark.parametrize(
    "restless",
    [
        replace(NEUTRAL, velocity=(0.0, 0.1)),
        replace(NEUTRAL, velocity=(math.nan,)),
        replace(NEUTRAL, selected=True),
        GO,
        Command(label=""),
    ],
)
def test_what_moves_or_selects_or_has_a_label_releases_nothing(restless):
    vigil = Vigil(LIMIT_NS)
    vigil.hear(0)
    answer = vigil.permit(restless)
    assert (answer.label, answer.selected, answer.strength) == (None, False, 0.0)
    assert answer.velocity == (0.0,) * len(restless.velocity)
    assert vigil.permit(GO) == refused(BEGUN)


@pytest.mark.parametrize("velocity", [(), (0.0,), (-0.0, 0.0)])
def test_a_neutral_command_at_rest_releases_the_outputs_and_passes_as_it_is(velocity):
    vigil = Vigil(LIMIT_NS)
    vigil.hear(0)
    rest = replace(NEUTRAL, velocity=velocity)
    assert vigil.permit(rest) is rest
    assert vigil.permit(GO) is GO


@pytest.mark.parametrize("seed", range(20))
def test_in_any_trace_a_command_passes_exactly_if_a_neutral_one_came_since_the_last_fright(seed):
    chance = random.Random(seed)
    vigil, now_ns, heard_ns, free = Vigil(LIMIT_NS), 0, None, False
    for _ in range(300):
        now_ns += chance.choice((0, 1, LIMIT_NS // 3, LIMIT_NS // 2, LIMIT_NS - 1, LIMIT_NS))
        silent = heard_ns is not None and now_ns - heard_ns >= LIMIT_NS
        match chance.choice(("watch", "beat", "stop", "go", "go", "neutral", "neutral")):
            case "watch":
                assert vigil.watch(now_ns) is silent
                free = free and not silent
            case "stop":
                vigil.stop()
                free = False
            case "beat":
                assert vigil.hear(now_ns) == (now_ns - (heard_ns or 0) if silent else 0)
                free, heard_ns = free and not silent, now_ns
            case "go":
                vigil.hear(now_ns)
                free, heard_ns = free and not silent, now_ns
                assert (vigil.permit(GO) is GO) is free
            case _:
                vigil.hear(now_ns)
                assert vigil.permit(NEUTRAL) is NEUTRAL
                free, heard_ns = True, now_ns
        assert (vigil.safe_because == "") is free
