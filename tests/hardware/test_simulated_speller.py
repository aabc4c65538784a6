"""A presentation that asks for letters, and stops when one is selected."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from diverloop.hardware.simulated_speller import SpellerTimeline, items_of
from diverloop.hardware.simulator import SimulatedParticipant, SimulatorConfig
from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.messages import Command, Decision
from diverloop.runtime.paradigms.speller import SpellerPlan, attended, is_flash, label_of

PLAN = SpellerPlan(repetitions=2)
RATE_HZ = 250.0


def timeline() -> SpellerTimeline:
    return SpellerTimeline(PLAN, "AB", RATE_HZ, seed=3)


def test_selections_ask_for_the_letters_of_the_text_over_and_over():
    asked = [attended(marker.label) for marker in timeline().markers(0, 12000)]
    assert [item for item in asked if item is not None][:4] == ["A", "B", "A", "B"]


def test_a_text_is_read_as_items_of_the_menu_the_longest_first():
    assert items_of("BRAIN_2!", PLAN.items) == list("BRAIN_2")
    assert items_of("yes, no call nurse", ("no", "call nurse", "yes", "c")) == [
        "yes", "no", "call nurse",
    ]  # fmt: skip
    assert items_of("?", PLAN.items) == []


def test_markers_are_the_same_however_the_stream_is_cut():
    whole = timeline().markers(0, 6000)
    other, pieces = timeline(), []
    for first in range(0, 6000, 37):
        pieces += other.markers(first, min(first + 37, 6000))
    assert pieces == whole


def test_every_flash_is_a_target_if_the_asked_item_was_lit():
    shown = timeline()
    markers = [marker for marker in shown.markers(0, 5000)]
    trials = {round(trial.cue_s, 6): trial.label for trial in shown.between(0, 20)}
    flashes = [place for place, marker in enumerate(markers) if is_flash(marker.label)]
    kinds = [label_of(PLAN, markers, place) for place in flashes]
    assert kinds == list(trials.values())[: len(kinds)]
    ended = [kinds[: PLAN.n_flashes], kinds[PLAN.n_flashes : 2 * PLAN.n_flashes]]
    for selection in ended:
        assert selection.count("target") * 5 == selection.count("nontarget") == 20


def test_a_selection_that_is_answered_ends_at_once_and_the_next_follows_after_the_pause():
    shown = timeline()
    shown.markers(0, 1000)
    assert shown.busy_at(4.0)
    assert shown.intended_at(4.0) == "A"
    shown.select(4.2)
    assert not shown.busy_at(4.3)
    assert shown.intended_at(4.3) == "rest"
    later = shown.markers(1050, 2000)
    assert [marker.label for marker in later[:2]] == ["end", "select:B"]
    assert later[1].sample - later[0].sample == pytest.approx(PLAN.pause_s * RATE_HZ, abs=1)


def test_nothing_happens_when_something_is_selected_between_selections():
    shown = timeline()
    before = shown.markers(0, 200)
    shown.select(0.5)
    assert shown.markers(0, 200) == before


def test_a_participant_stops_flashing_when_something_was_selected():
    config = SimulatorConfig(task="speller", plan=PLAN, text="AB", seed=1, duration_s=20.0)
    person = SimulatedParticipant(config, VirtualClock())
    person.open()
    chunk = person.read(1000, 10**11)
    decision = Decision(
        classes=PLAN.items, probabilities=np.full(36, 1 / 36), label="A", stop_sample=900
    )
    person.act(decision, Command(label="A", strength=1.0, selected=True))
    rest = [chunk]
    while not person.ended:
        rest.append(person.read(250, 10**11))
    markers = [marker for chunk in rest for marker in chunk.markers]
    labels = [marker.label for marker in markers]
    assert labels[: labels.index("end")].count("select:A") == 1
    assert labels.index("end") < 2 + PLAN.n_flashes
    assert labels[labels.index("end") + 1] == "select:B"


def test_feedback_that_selects_nothing_changes_nothing():
    config = SimulatorConfig(task="speller", plan=PLAN, seed=1, duration_s=4.0)
    quiet, told = (SimulatedParticipant(config, VirtualClock()) for _ in range(2))
    nothing = Decision(classes=("A",), probabilities=np.array([np.nan]), label=None, reason="wait")
    for person in (quiet, told):
        person.open()
        person.read(500, 10**11)
    told.act(nothing, Command(label=None, reason="still deciding"))
    np.testing.assert_array_equal(quiet.read(500, 10**11).samples, told.read(500, 10**11).samples)


def test_a_text_without_any_item_is_refused():
    with pytest.raises(ConfigError, match=r"simulator\.text must hold at least one item"):
        SimulatorConfig(task="speller", text="?!")
    assert replace(SimulatorConfig(task="speller"), text="A?").text == "A?"
