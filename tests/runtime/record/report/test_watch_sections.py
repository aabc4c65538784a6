"""What the session saw of its signal, in the report's words."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from diverloop.runtime.messages import Event, EventKind
from diverloop.runtime.quality import Quality
from diverloop.runtime.record.report.course import Course
from diverloop.runtime.record.report.summary import Facts, safety, signal, tiles
from diverloop.runtime.record.report.survey import look_through
from diverloop.runtime.record.report.watch_sections import watched

from .conftest import noise, stream
from .test_watch import NAMES, SEIZURE, event, guard, told

pytest.importorskip("matplotlib")

STOPPED = (
    guard(0, "disarmed", "armed"), SEIZURE, guard(3.1, "armed", "stopped"),
    guard(7, "stopped", "disarmed"),
)  # fmt: skip


@pytest.fixture
def facts(bare_record):
    def make(*, spec=None, **given) -> Facts:
        record = bare_record(noise(3, 10 * 250), spec=spec or stream(NAMES), **given)
        course = Course(record, ())
        return Facts(
            record=record, cues=None, survey=look_through(record, None), course=course,
            performance=None,
        )  # fmt: skip

    return make


def words(facts: Facts) -> str:
    return " ".join(re.sub("<[^>]*>", " ", "".join(watched(facts))).split())


def pictures(facts: Facts) -> int:
    return "".join(watched(facts)).count("<figure")


def test_nothing_is_shown_where_nothing_was_watched(facts):
    assert watched(facts(events=(guard(0, "disarmed", "armed"),))) == []


def test_a_session_in_which_all_was_well_says_so_without_a_picture(facts):
    page = facts(qualities=tuple(told(n) for n in range(1, 10)))
    assert "None of 3 electrodes was masked. Its one number for the signal" in words(page)
    assert pictures(page) == 0


def test_masks_are_told_with_who_when_and_why(facts):
    page = facts(qualities=(told(1), told(2, T8="noisy"), told(3, T8="noisy"), told(4),
                            told(5, Fp1="flat"), told(6, Fp1="flat")))  # fmt: skip
    text = words(page)
    assert "2 of 3 electrodes were masked, Fp1 to the end; nothing was decided from a mas" in text
    assert "was 0.70 in the median and 0.70 at worst, at 0:02" in text
    assert "T8 0:02 0:04 2.0 s noisy" in text
    assert "Fp1 0:05 the end 5.0 s flat" in text
    assert pictures(page) == 1


def test_an_electrode_that_the_session_masked_is_no_good_one_on_the_first_page(facts):
    page = facts(qualities=(told(1), told(2, T8="noisy"), told(3, T8="noisy")))
    (tile,) = [tile for tile in tiles(page) if tile.name == "Good electrodes"]
    assert (tile.figure, tile.detail, tile.state) == ("2 / 3", "bad or masked: T8", "look")
    assert "good on all 3 electrodes, though the session masked T8." in signal(page)


def test_what_the_session_saw_is_gathered_once_for_a_page(facts):
    page = facts(qualities=(told(1), told(2, T8="noisy")))
    assert page.watch is page.watch
    assert watched(page)


def test_contacts_are_called_contacts(facts):
    page = facts(
        spec=stream(NAMES, kind="seeg", placed=False), qualities=(told(1, T8="noisy"), told(2))
    )
    assert "1 of 3 contacts was masked;" in words(page)


def test_findings_are_counted_and_called_a_research_guard(facts):
    events = (event(EventKind.SPIKE, 1), event(EventKind.SPIKE, 4), event(EventKind.RIPPLE, 2),
              event(EventKind.CLEANED, 5))  # fmt: skip
    text = words(facts(events=events))
    assert "Spike-like discharges (research guard, not a diagnosis) 2 0:01 to 0:04" in text
    assert "High-frequency oscillations (research guard, not a diagnosis) 1 0:02" in text
    assert "artefact removal changed too much 1 0:05" in text
    assert "Stimulation" not in text


def test_a_suspected_seizure_comes_first_with_its_time_and_what_it_is_not(facts):
    page = facts(qualities=(told(1), told(2, T8="noisy")), events=STOPPED)
    text = words(page)
    first = (
        "What the session itself saw Suspected seizure at 0:03 (research guard, not a diagnosis). "
        "Output was stopped for 3.9 s, from 0:03 to 0:07. Seizure-like activity."
    )
    assert text.startswith(first)


def test_the_summary_does_not_call_the_research_guard_a_person(facts):
    page = facts(events=STOPPED)
    text = safety(page)
    assert text.startswith("Nobody pressed stop;")
    assert "A suspected seizure (research guard, not a diagnosis) stopped the output once" in text
    (stop,) = (tile for tile in tiles(page) if tile.name == "Emergency stop")
    assert (stop.figure, stop.detail, stop.state) == ("none", "1 by the research guard", "look")


def test_stops_by_a_person_and_by_the_research_guard_are_counted_apart(facts):
    again = (guard(7.5, "disarmed", "armed"), guard(8, "armed", "stopped"))
    page = facts(events=(*STOPPED, *again))
    (stop,) = (tile for tile in tiles(page) if tile.name == "Emergency stop")
    assert (stop.figure[0], stop.detail) == ("1", "at 0:08; 1 more by the research guard")
    assert safety(page).startswith("The emergency stop was pressed once, at 0:08;")


def test_a_seizure_during_a_stop_says_that_output_was_off(facts):
    page = facts(events=(guard(1, "armed", "stopped"), SEIZURE))
    assert "Output was off already." in words(page)


def test_of_very_many_masks_the_rest_is_counted(facts):
    names = tuple(f"E{n}" for n in range(200))
    usable = np.arange(200) >= 150
    quality = Quality(
        channels=names, scores=usable.astype(np.float32), usable=usable, sample=500,
        causes=tuple("" if fine else "flat" for fine in usable),
    )  # fmt: skip
    page = facts(qualities=(quality,))
    text = words(page)
    assert "150 of 200 electrodes were masked" in text
    assert "110 later times are in the recording" in text
    assert "one of the first 30 of 150 electrodes was masked" in text


def test_what_a_name_or_a_cause_holds_cannot_become_markup(facts):
    evil = "<script>x</script>"
    quality = Quality(
        channels=(evil, "A"), scores=np.zeros(2, np.float32), causes=(evil, ""), sample=250,
        usable=np.array([False, True]),
    )  # fmt: skip
    seizure = Event(kind=EventKind.SEIZURE, text=evil, sample=500)
    html = "".join(watched(facts(qualities=(quality, quality), events=(seizure,))))
    assert "<script" not in html
    assert "&lt;script&gt;" in html


def test_more_causes_than_colours_are_told_apart_by_their_pattern(facts):
    causes = ("flat", "clipped", "disconnected", "noisy", "mains hum", "steps", "spiky", "odd")
    names = tuple(f"E{n}" for n in range(8))
    quality = Quality(
        channels=names, scores=np.zeros(8, np.float32), causes=causes, sample=250,
        usable=np.zeros(8, bool),
    )  # fmt: skip
    page = facts(qualities=(quality, dataclasses.replace(quality, sample=750)))
    assert "<pattern" in "".join(watched(page))
    few = dataclasses.replace(quality, causes=(*causes[:6], "flat", "flat"))
    assert "<pattern" not in "".join(watched(facts(qualities=(few,))))
