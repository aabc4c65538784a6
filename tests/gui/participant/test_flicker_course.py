from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from diverloop.gui.participant.flicker_course import (
    GREY,
    LOST,
    OFF,
    ON,
    Distortion,
    FlickerCourse,
    FlickerShow,
    Phase,
)
from diverloop.runtime.collection import TrialSpan
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.messages import Event, EventKind, Marker
from diverloop.runtime.paradigms.flicker import FlickerPlan, Unlock, frequency_of
from diverloop.runtime.paradigms.profiles import EPILEPSY, GENERAL

from .session_words import ARMED, DISARMED, RATE_HZ, STOPPED, a_decision, guard

PLAN = FlickerPlan(frequencies_hz=(8, 10, 12, 14))
SHOW = FlickerShow(plan=PLAN, profile=GENERAL)
CALIBRATION = FlickerShow(
    plan=PLAN,
    profile=GENERAL,
    mode="calibrate",
    trials=1,
    flicker_s=1.0,
    classes=("8", "10", "12", "14"),
)
UNLOCK = Unlock(operator="Dr Kim", reason="no photosensitivity in the EEG of 3 May")


class Walk:
    """Goes through a course; every 30 frames the session is heard."""

    def __init__(self, show=SHOW, rate_hz=RATE_HZ, first=ARMED):
        self.course, self.frame, self.seen, self.light = FlickerCourse(show, rate_hz), 0, [], []
        self.alive, self.lost = first, lambda frame: False
        self.course.take(first)

    def on(self, until=lambda shown: False, most=3000):
        """Frames until something is seen, that one included; a lost frame shows the one before."""
        shown = None
        for _ in range(most):
            self.frame += 1
            if self.frame % 30 == 0:
                self.course.take(self.alive)
            if shown is not None and self.lost(self.frame):
                self.light.append(shown.light)
                continue
            shown = self.course.step(self.frame)
            self.seen += [(self.frame, label) for label in shown.labels]
            self.light.append(shown.light)
            if until(shown):
                break
        return shown

    def flicker(self, seconds=0.0):
        shown = self.on(lambda shown: shown.phase is Phase.FLICKER)
        self.light.clear()
        return self.on(most=round(seconds * RATE_HZ)) if seconds else shown


def lines(light, rate_hz=RATE_HZ):
    """Contrast of each line of a target's light: frequencies, contrasts."""
    light = np.asarray(light)
    contrast = 2 * np.abs(np.fft.rfft(light - light.mean())) / len(light) / GREY
    return np.fft.rfftfreq(len(light), 1 / rate_hz), contrast


def test_all_is_grey_until_the_guard_is_armed_and_then_a_moment_more():
    walk = Walk(first=guard("The guard is disarmed."))
    shown = walk.on(most=300)
    assert shown.phase is Phase.STILL
    assert np.ptp(walk.light) == 0
    walk.course.take(ARMED)
    walk.alive = ARMED
    shown = walk.on(lambda shown: shown.labels)
    assert (shown.labels, walk.frame) == ((ON,), 301 + 90)
    assert set(map(frequency_of, (ON, OFF))) == {None}


def test_the_target_frequency_is_the_only_line_in_the_light():
    walk = Walk()
    walk.flicker(10)
    for n, hertz in enumerate(PLAN.frequencies_hz):
        at, contrast = lines(np.array(walk.light)[:600, n])
        assert at[contrast.argmax()] == hertz
        assert contrast.max() == pytest.approx(1.0, abs=1e-6)
        assert np.delete(contrast, contrast.argmax()).max() < 1e-6


def test_with_frames_lost_the_target_frequency_stays_and_other_lines_stay_below_the_bound():
    walk = Walk()
    walk.lost = lambda frame: frame % 15 == 0
    shown = walk.flicker(10)
    assert shown.phase is Phase.FLICKER
    for n, hertz in enumerate(PLAN.frequencies_hz):
        at, contrast = lines(np.array(walk.light)[:600, n])
        assert at[contrast.argmax()] == hertz
        others = np.delete(contrast, contrast.argmax())
        assert others.max() < GENERAL.high_contrast
        assert not GENERAL.objection(20.0, others.max())


@pytest.mark.parametrize("every", [2, 3])
def test_a_screen_that_loses_many_frames_goes_grey_within_a_second_and_says_why(every):
    walk = Walk()
    walk.flicker()
    start = walk.frame
    walk.lost = lambda frame: frame % every == 0
    shown = walk.on(lambda shown: shown.phase is Phase.STILL)
    assert (shown.said, set(shown.light)) == (LOST, {GREY})
    assert shown.labels == (OFF,)
    assert walk.frame - start <= RATE_HZ
    assert not walk.on(lambda shown: shown.phase is Phase.FLICKER, most=300).labels


def test_a_picture_that_hung_goes_on_only_after_a_person_starts_it():
    walk = Walk()
    walk.flicker()
    walk.frame += 45
    assert walk.on(lambda shown: True).said == LOST
    walk.course.permission.start()
    assert walk.on(lambda shown: shown.labels).labels == (ON,)


def test_the_bound_on_distortion_holds_for_every_line_of_any_loss():
    rng = np.random.default_rng(0)
    planned = PLAN.luminance(60)
    for share in (0.05, 0.2, 0.5):
        lost = rng.random(60) < share
        lost[0] = False
        kept = np.maximum.accumulate(np.where(lost, 0, np.arange(60)))
        shown, distortion = planned[:, kept], Distortion(60.0, GENERAL)
        for first in np.flatnonzero(~lost):
            run = np.flatnonzero(kept == first)
            distortion.add(planned[:, first], planned[:, run])
        false = [lines(one)[1].max() for one in shown - planned]
        assert max(false) <= distortion.contrast + 1e-12


def test_another_display_rate_than_planned_never_flickers_and_nearly_the_same_does():
    walk = Walk(rate_hz=75.0)
    shown = walk.on(most=600)
    assert np.ptp(walk.light) == 0
    assert "the display has 75 Hz and the plan is for 60 Hz" in shown.said
    assert Walk(rate_hz=59.94).on(lambda shown: shown.labels).labels == (ON,)


@pytest.mark.parametrize(
    "message", [STOPPED, DISARMED, Event(kind=EventKind.SEIZURE, text="Seizure-like activity.")]
)
def test_a_stop_is_grey_in_the_next_frame(message):
    walk = Walk()
    walk.flicker(0.55)
    walk.course.take(message)
    shown = walk.on(lambda shown: True)
    assert set(shown.light) == {GREY}
    assert shown.labels == (OFF,)


def test_a_break_is_due_after_the_longest_stretch_of_the_profile():
    profile = replace(GENERAL, rest_after_s=20.0)
    walk = Walk(replace(SHOW, profile=profile))
    walk.flicker()
    start = walk.frame
    shown = walk.on(lambda shown: shown.phase is Phase.STILL)
    assert walk.frame - start == 20 * RATE_HZ
    assert shown.said.startswith("a break is due")


def test_a_calibration_points_then_flickers_and_writes_the_markers_of_its_trials():
    walk = Walk(CALIBRATION, first=guard("The guard is disarmed."))
    shown = walk.on(lambda shown: shown.cued >= 0)
    assert (shown.phase, np.ptp(shown.light)) == (Phase.CUE, 0)
    walk.on(lambda shown: shown.phase is Phase.DONE)
    labels = [label for _, label in walk.seen]
    assert labels[1::2] == ["rest"] * 4
    assert sorted(labels[::2], key=int) == list(CALIBRATION.classes)
    cues = [Marker(label=label, sample=frame) for frame, label in walk.seen]
    span = TrialSpan(classes=CALIBRATION.classes)
    assert [span.label(cues, place) for place in (0, 1)] == [labels[0], None]
    assert walk.seen[1][0] - walk.seen[0][0] == RATE_HZ


def test_a_trial_that_is_cut_short_is_marked_as_bad_and_shown_again():
    walk = Walk(CALIBRATION, first=guard("The guard is disarmed."))
    walk.flicker(0.5)
    walk.course.permission.block("a person wants to rest")
    walk.on(lambda shown: shown.labels)
    walk.course.permission.start()
    walk.on(lambda shown: shown.labels)
    first, rejected, again = [label for _, label in walk.seen]
    assert rejected == "reject"
    assert first == again
    cues = [Marker(label=label, sample=frame) for frame, label in walk.seen]
    span = TrialSpan(classes=CALIBRATION.classes)
    assert [span.rejected(cues, place) for place in (0, 2)] == [True, False]


def test_what_the_session_commands_is_shown_at_its_target():
    walk = Walk()
    walk.flicker()
    walk.course.take(a_decision("12 Hz", PLAN.labels, selected=False, strength=0.4))
    shown = walk.on(lambda shown: True)
    assert (shown.led, shown.strength, shown.chosen) == (2, 0.4, -1)
    walk.course.take(a_decision("flicker:10", PLAN.labels))
    walk.course.take(a_decision(None, PLAN.labels))
    shown = walk.on(lambda shown: True)
    assert (shown.led, shown.chosen) == (-1, 1)
    assert walk.on(lambda shown: shown.chosen < 0, most=120).chosen == -1


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"classes": ("8",)}, "classes"),
        ({"names": ("a", "a", "b", "c")}, "names"),
        ({"mode": "cued"}, "mode"),
        ({"trials": 0}, "trials"),
        ({"flicker_s": math.nan}, "flicker_s"),
        ({"area": 0.3}, "area"),
        ({"area": math.nan}, "area"),
    ],
)
def test_what_cannot_be_shown_is_refused(settings, word):
    with pytest.raises(ConfigError, match=word):
        replace(SHOW, **settings)


def test_the_participants_profile_decides_whatever_the_plan_was_made_for():
    with pytest.raises(ConfigError, match="locked: the epilepsy profile"):
        FlickerShow(plan=PLAN, profile=EPILEPSY)
    unlocked = replace(PLAN, unlock=UNLOCK)
    assert FlickerShow(plan=unlocked, profile=EPILEPSY).profile is EPILEPSY
    assert Distortion(60.0, EPILEPSY).limit < Distortion(60.0, GENERAL).limit
