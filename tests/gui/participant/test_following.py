"""What feedback shows of commands."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diverloop.gui.participant.following import Following, FollowingConfig, Mood
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.feedback import IDLE
from diverloop.runtime.messages import Turn

from .shown import commanded, guard, held


def followed(*turns: Turn, frames: int = 1, config: FollowingConfig | None = None) -> Following:
    following = Following(config)
    following.begin(60.0)
    frame = 0
    for turn in turns:
        following.take(turn)
        for _ in range(frames):
            following.advance(frame := frame + 1)
    return following


def test_before_a_session_is_heard_it_waits() -> None:
    following = followed()
    following.advance(600)
    assert following.mood is Mood.WAITING


def test_it_approaches_where_the_command_leads_smoothly_and_never_beyond() -> None:
    following = followed(config=FollowingConfig(smooth_s=0.2))
    following.take(commanded("left", 1.0))
    path = []
    for frame in range(1, 60):
        following.advance(frame)
        path.append(following.x)
    assert path == sorted(path, reverse=True)
    assert path[-1] == pytest.approx(-1.0, abs=0.02)
    after_one_time_constant = path[11]
    assert after_one_time_constant == pytest.approx(-(1 - math.exp(-1)), abs=0.01)


def test_frames_that_were_lost_make_no_difference_to_where_it_is() -> None:
    steady, jumping = followed(), followed()
    for following, frames in ((steady, range(1, 31)), (jumping, (1, 7, 8, 20, 30))):
        following.take(commanded("right"))
        for frame in frames:
            following.advance(frame)
    assert jumping.x == pytest.approx(steady.x)


def test_evidence_no_better_than_a_guess_moves_nothing() -> None:
    assert followed(commanded("left", 0.5), frames=50).x == 0.0
    assert followed(commanded("left", 0.75), frames=55).x == pytest.approx(-0.5, abs=0.01)


def test_a_velocity_is_followed_along_both_axes() -> None:
    following = followed(commanded("right", velocity=(0.6, -0.3)), frames=55)
    assert [following.x, following.y] == pytest.approx([0.6, -0.3], abs=0.01)


@pytest.mark.parametrize("velocity", [(math.nan, 9.0), (math.inf, -9.0)])
def test_nonsense_in_a_velocity_never_leaves_the_screen(velocity: tuple[float, float]) -> None:
    following = followed(commanded("right", velocity=velocity), frames=50)
    assert -1 <= following.x <= 1
    assert -1 <= following.y <= 1


@pytest.mark.parametrize(
    ("turn", "mood"),
    [
        (commanded("left"), Mood.MOVING),
        (commanded(None, reason="too close to call"), Mood.RESTING),
        (commanded(None, reason=IDLE, decided="rest"), Mood.RESTING),
        (held(), Mood.PAUSED),
        (commanded(None, reason="decisions come too late", decided="left"), Mood.PAUSED),
        (commanded(None, reason="guard is stopped"), Mood.PAUSED),
    ],
)
def test_a_pause_is_told_from_rest(turn: Turn, mood: Mood) -> None:
    assert followed(turn).mood is mood


def test_what_the_guard_holds_back_is_in_the_middle_at_once() -> None:
    following = followed(commanded("left"), frames=40)
    assert following.x < -0.5
    following.take(held())
    following.advance(41)
    assert (following.x, following.y, following.mood) == (0.0, 0.0, Mood.PAUSED)


def test_while_the_guard_is_known_to_hold_a_neutral_decision_is_a_pause() -> None:
    following = followed()
    following.take(guard("The guard went from armed to stopped."))
    following.take(commanded(None, reason="too close to call"))
    following.advance(1)
    assert following.mood is Mood.PAUSED
    following.take(guard("The guard is armed."))
    following.take(commanded(None, reason="too close to call"))
    following.advance(100)
    assert following.mood is Mood.RESTING


def test_a_session_that_falls_silent_is_a_pause() -> None:
    following = followed(commanded("left"), frames=30)
    following.advance(100)
    assert following.mood is Mood.PAUSED


@given(st.lists(st.booleans(), min_size=1, max_size=300))
def test_a_guard_that_holds_and_lets_go_never_flashes(passes: list[bool]) -> None:
    following = Following()
    following.begin(60.0)
    moods = []
    for frame, ok in enumerate(passes):
        following.take(commanded("left") if ok else held())
        following.advance(frame)
        moods.append(following.mood)
    began = [n for n, mood in enumerate(moods)
             if mood is Mood.PAUSED and (not n or moods[n - 1] is not Mood.PAUSED)]  # fmt: skip
    assert all(later - sooner > 60 for sooner, later in pairwise(began))


def test_classes_without_a_known_direction_are_given_one_in_their_order() -> None:
    following = followed(commanded("one", classes=("one", "two")))
    assert following.direction("one") == (-1.0, 0.0)
    assert following.direction("two") == (1.0, 0.0)
    assert following.direction("three") is None


@pytest.mark.parametrize(
    "make",
    [
        lambda: FollowingConfig(smooth_s=-1.0),
        lambda: FollowingConfig(stale_s=math.nan),
        lambda: FollowingConfig(directions={"left": (3.0, 0.0)}),
    ],
)
def test_settings_that_cannot_be_used_are_refused(make: Callable[[], object]) -> None:
    with pytest.raises(ConfigError, match="got"):
        make()
