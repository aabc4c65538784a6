from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from diverloop.adapters.error_potential import FeedbackSpan
from diverloop.gui.participant.spelling_course import (
    ANSWER_S,
    Frames,
    Phase,
    SpellingConfig,
    SpellingCourse,
)
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.messages import Marker
from diverloop.runtime.paradigms.flicker import Unlock
from diverloop.runtime.paradigms.profiles import EPILEPSY, GENERAL
from diverloop.runtime.paradigms.speller import END, MATRIX, SpellerPlan, is_flash, timeline

from .session_words import ARMED, DISARMED, RATE_HZ, STOPPED, a_decision, guard

BRIEF = SpellerPlan(repetitions=2, lead_s=0.5, pause_s=1.2)
HEARD = guard("The guard is disarmed.")


def config(text="QI", **settings):
    given = {"profile": GENERAL, "plan": BRIEF, "text": tuple(text), **settings}
    return SpellingConfig(**given)


class Walk:
    """Goes through a course frame by frame; every 30 frames the session is heard."""

    def __init__(self, given, rate_hz=RATE_HZ, first=ARMED):
        self.course, self.frame, self.seen = SpellingCourse(given, rate_hz), 0, []
        self.course.take(first)
        self.alive = first

    def on(self, until=lambda shown: False, most=4000):
        """Frames until something is seen, that one included."""
        for _ in range(most):
            if self.frame % 30 == 0:
                self.course.take(self.alive)
            shown = self.course.step(self.frame)
            self.seen += [(self.frame, label) for label in shown.labels]
            self.frame += 1
            if until(shown):
                return shown
        return shown

    def answer(self, label, **settings):
        self.course.take(a_decision(label, MATRIX, **settings))
        return self.on(lambda shown: True)

    @property
    def labels(self):
        return [label for _, label in self.seen]


def test_frames_are_whole_and_what_is_longer_than_planned_is_told():
    frames = Frames.of(config(plan=SpellerPlan(soa_s=0.175)), 60.0)
    assert (frames.flash, frames.soa, frames.lead, frames.pause) == (6, 11, 60, 120)
    (note,) = frames.notes
    assert "soa_s is 11 frames, 0.1833 s for 0.175 s" in note


@pytest.mark.parametrize("rate_hz", [59.94, 60.0, 75.0, 120.0, 143.98, 240.0])
def test_no_flash_is_shorter_or_sooner_than_planned_on_any_display(rate_hz):
    given = config()
    frames = Frames.of(given, rate_hz)
    assert frames.flash / rate_hz >= given.flash_s * (1 - 2e-3)
    assert BRIEF.soa_s * (1 - 2e-3) <= frames.soa / rate_hz < BRIEF.soa_s + 1.01 / rate_hz


def test_a_display_of_59_94_hz_counts_the_frames_of_60_hz():
    plan = SpellerPlan(soa_s=0.2, lead_s=1.0, pause_s=2.0)
    one, other = (Frames.of(config(plan=plan), hertz) for hertz in (60.0, 59.94))
    assert one == other
    assert one.notes == ()


def test_a_pause_is_long_enough_for_the_last_answer_unless_none_is_awaited():
    plan = SpellerPlan(soa_s=0.2, pause_s=0.5)
    assert Frames.of(config(plan=plan), 60.0).pause == 60 * ANSWER_S
    assert Frames.of(config(plan=plan), 60.0).notes
    assert Frames.of(config(plan=plan, mode="calibrate"), 60.0).pause == 30


def test_a_calibration_shows_the_same_markers_as_the_plan_at_whole_frames():
    walk = Walk(config("QI", mode="calibrate", seed=5), first=HEARD)
    walk.on(lambda shown: shown.phase is Phase.DONE)
    rng = np.random.default_rng(5)
    wanted = [label for item in "QI" for _, label in timeline(BRIEF, rng, item)]
    assert walk.labels == wanted
    times = [(frame, label) for frame, label in walk.seen if is_flash(label)]
    slots = np.array([frame for frame, _ in times[: BRIEF.n_flashes]])
    assert set(np.diff(slots) % 11) == {0}
    assert slots[0] - walk.seen[0][0] == 30


def test_the_same_seed_shows_the_same_and_another_does_not():
    walks = [Walk(config(mode="calibrate", seed=seed), first=HEARD) for seed in (1, 1, 2)]
    for walk in walks:
        walk.on(lambda shown: shown.phase is Phase.DONE)
    assert walks[0].seen == walks[1].seen != walks[2].seen


def test_each_flash_is_lit_for_its_frames_and_dark_between():
    walk, lit = Walk(config(mode="calibrate"), first=HEARD), []
    walk.on(lambda shown: lit.append(bool(shown.lit)) or shown.phase is Phase.PAUSE)
    edges = np.flatnonzero(np.diff(np.array([False, *lit, False]).astype(int)))
    assert set(edges[1::2] - edges[::2]) == {6}
    assert len(edges) == 2 * BRIEF.n_flashes


def test_a_selection_ends_it_at_once_and_goes_into_the_text():
    walk = Walk(config())
    walk.on(lambda shown: shown.phase is Phase.FLASHING)
    shown = walk.answer("Q")
    assert shown.labels == (END, "feedback:right")
    assert (shown.phase, shown.chosen, shown.lit) == (Phase.PAUSE, MATRIX.index("Q"), frozenset())
    assert walk.course.typed == ("Q",)
    assert walk.on(lambda shown: shown.labels).labels == ("select:I",)


def test_a_selection_that_comes_after_the_last_flash_counts_as_well():
    walk = Walk(config())
    walk.on(lambda shown: shown.phase is Phase.PAUSE)
    for _ in range(40):
        walk.on(lambda shown: True)
    assert walk.answer("Q").labels == ("feedback:right",)
    assert walk.on(lambda shown: "select" in "".join(shown.labels)).labels == ("select:I",)


def test_without_an_answer_the_same_letter_is_asked_for_again():
    walk = Walk(config())
    for _ in range(2):
        shown = walk.on(lambda shown: shown.labels and shown.labels[0].startswith("select"))
        assert shown.labels == ("select:Q",)
        assert shown.attend == MATRIX.index("Q")


def test_an_error_stays_or_has_to_be_taken_back():
    for correcting, target in ((False, "select:I"), (True, "select:<")):
        walk = Walk(config(correcting=correcting))
        walk.on(lambda shown: shown.phase is Phase.FLASHING)
        assert walk.answer("X").labels == (END, "feedback:wrong")
        shown = walk.on(lambda shown: shown.labels)
        assert shown.labels == (target,)
    walk.on(lambda shown: shown.phase is Phase.FLASHING)
    assert walk.answer("<").labels[-1] == "feedback:right"
    assert walk.course.typed == ()


def test_feedback_markers_are_those_of_the_error_potential_decoder():
    walk = Walk(config())
    for letter in "QX":
        walk.on(lambda shown: shown.phase is Phase.FLASHING)
        walk.answer(letter)
    cues = [Marker(label=label, sample=frame) for frame, label in walk.seen]
    span = FeedbackSpan(classes=("right", "wrong"))
    found = [span.label(cues, place) for place in range(len(cues))]
    assert [one for one in found if one] == ["right", "wrong"]


def test_an_error_potential_takes_back_what_was_just_shown_and_only_that():
    walk, wrong = Walk(config()), a_decision("wrong", ("right", "wrong"))
    for letter, left in (("Q", ("Q",)), ("X", ("Q",))):
        walk.on(lambda shown: shown.phase is Phase.FLASHING)
        walk.answer(letter)
        if letter == "X":
            walk.course.take(wrong)
            walk.course.take(wrong)
        assert walk.course.typed == left
    walk.on(lambda shown: shown.phase is Phase.FLASHING)
    walk.course.take(wrong)  # too late
    assert walk.course.typed == ("Q",)


def test_what_the_guard_held_back_is_shown_and_not_written():
    walk = Walk(config())
    walk.on(lambda shown: shown.phase is Phase.FLASHING)
    shown = walk.answer("Q", held_back="signal quality is 0.05, at least 0.1 is needed")
    assert shown.chosen == MATRIX.index("Q")
    assert "signal quality" in shown.said
    assert walk.course.typed == ()


@pytest.mark.parametrize("message", [STOPPED, DISARMED])
def test_a_stop_ends_the_selection_within_one_frame_and_arming_asks_for_it_again(message):
    walk = Walk(config())
    walk.on(lambda shown: bool(shown.lit))
    walk.course.take(message)
    walk.alive = HEARD
    shown = walk.on(lambda shown: True)
    assert (shown.lit, shown.labels, shown.phase) == (frozenset(), (END,), Phase.WAITING)
    assert shown.said.startswith("guard is ")
    assert not walk.on(lambda shown: shown.labels, most=600).labels
    walk.course.take(guard("The guard went from disarmed to armed."))
    walk.alive = ARMED
    assert walk.on(lambda shown: True).labels == ("select:Q",)


def test_free_spelling_asks_for_nothing_and_takes_everything():
    walk = Walk(config("", mode="free"))
    assert walk.on(lambda shown: shown.labels).labels == ("select",)
    for letter in ("A", "B", "<", "_"):
        walk.on(lambda shown: shown.phase is Phase.FLASHING)
        assert walk.answer(letter).labels == (END, "feedback")
    assert walk.course.typed == ("A", "_")


def test_decisions_about_other_things_are_passed_over():
    walk = Walk(config())
    walk.on(lambda shown: shown.phase is Phase.FLASHING)
    walk.course.take(a_decision("left", ("left", "right")))
    walk.course.take(a_decision(None, MATRIX))
    assert walk.on(lambda shown: True).phase is Phase.FLASHING


def test_every_item_rests_between_its_flashes_as_long_as_planned():
    walk = Walk(config(mode="calibrate", plan=SpellerPlan(repetitions=4)), first=HEARD)
    shown_at = {n: [] for n in range(len(MATRIX))}
    before = frozenset()

    def note(shown):
        nonlocal before
        for item in shown.lit - before:
            shown_at[item].append(walk.frame)
        before = shown.lit
        return shown.phase is Phase.PAUSE

    walk.on(note)
    waits = [b - a for frames in shown_at.values() for a, b in pairwise(frames)]
    assert min(waits) / RATE_HZ >= SpellerPlan().refractory_s


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"mode": "spell"}, "mode"),
        ({"text": ()}, "text"),
        ({"mode": "free"}, "text"),
        ({"text": ("Q", "ß")}, "items"),
        ({"flash_s": 0.2}, "flash_s"),
        ({"flash_s": math.nan}, "flash_s"),
        ({"correcting": True, "backspace": "undo"}, "backspace"),
    ],
)
def test_what_does_not_fit_together_is_refused(settings, word):
    with pytest.raises(ConfigError, match=word):
        config(**settings)


def test_flashes_that_the_profile_refuses_need_a_person_who_unlocks_them():
    with pytest.raises(ConfigError, match="locked: the epilepsy profile"):
        config(profile=EPILEPSY)
    with pytest.raises(ConfigError, match="locked: the general profile"):
        config(plan=SpellerPlan(soa_s=0.05), flash_s=0.05)
    unlock = Unlock(operator="Dr Kim", reason="no photosensitivity in the EEG of 3 May")
    assert config(profile=EPILEPSY, unlock=unlock).unlock is unlock
