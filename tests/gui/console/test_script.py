"""What the pages say, in every state that the steps can reach."""

from __future__ import annotations

from dataclasses import replace

import pytest

from diverloop.gui.console.news import ScreenGone
from diverloop.gui.console.script import Times, how_it_goes, page_of
from diverloop.gui.console.session import Act, Checked, Found, Model, Output, Session, Step
from diverloop.gui.console.steps import act
from diverloop.gui.console.words import LANGUAGES, Words

from .test_steps import CHECKED, FITTED, ON, READY, reached, through

EN = Words("en")


@pytest.mark.parametrize("language", list(LANGUAGES))
def test_every_state_has_a_page_that_says_what_happens(language):
    for session in reached():
        page = page_of(replace(session, trouble=""), Words(language))
        assert page.head
        assert page.now
        assert "{" not in page.now + page.todo


def test_what_a_page_offers_is_never_refused():
    for session in reached():
        page = page_of(replace(session, trouble=""), EN)
        for choice in (*([page.main] if page.main else []), *page.others):
            assert act(session, choice.act, "P-017").refused is None, (session, choice)


def test_no_two_choices_of_a_page_have_the_same_key_and_none_takes_a_key_of_the_frame():
    for session in reached():
        page = page_of(replace(session, trouble=""), EN)
        keys = [choice.key for choice in page.others] + ["Return"]
        assert len(set(keys)) == len(keys)
        assert not {"A", "N", "Space", *"123456789"} & set(keys)


def test_a_page_without_a_next_thing_waits_for_something():
    for session in reached():
        page = page_of(replace(session, trouble=""), EN)
        if page.main is None:
            waits = session.task or session.output is Output.ASKED
            assert waits, session


def test_go_or_no_go_says_how_good_the_model_is_in_numbers_of_a_hundred():
    page = page_of(through(Session(), *FITTED), EN)
    facts = [fact.name for fact in page.facts]
    assert facts[:2] == [
        "Right in 86 of 100 trials",
        "Surely between 73 and 95; guessing gives 50",
    ]
    assert page.main is not None
    assert page.main.act is Act.APPROVE


def test_a_poor_model_makes_another_calibration_the_next_thing_and_going_on_a_decision():
    poor = Model(accuracy=0.55, low=0.4, high=0.7, chance=0.5, trials=20)
    page = page_of(replace(through(Session(), *FITTED), model=poor), EN)
    assert page.main is not None
    assert page.main.act is Act.TO_CALIBRATION
    assert Act.APPROVE in [choice.act for choice in page.others]


def test_a_model_that_was_not_tested_is_said_to_be_so():
    unknown = Model(accuracy=0, low=0, high=0, chance=0, trials=0)
    page = page_of(replace(through(Session(), *FITTED), model=unknown), EN)
    assert [fact.name for fact in page.facts] == ["How good it is was not tested"]


def test_feedback_says_time_trials_and_how_it_goes():
    session = replace(through(Session(), *ON), hits=9, trials=10)
    facts = {fact.name: fact.value for fact in page_of(session, EN, Times(feedback_s=83)).facts}
    assert facts == {
        "Feedback for": "1 min 23 s", "Trials": "9 of 10 right", "How it goes": "Very well",
    }  # fmt: skip


def test_a_break_that_is_due_is_said_on_the_page():
    page = page_of(through(Session(), *ON), EN, Times(break_due=True))
    assert page.now == "A break would be good now."


def test_what_was_looked_at_has_plain_names_and_the_detail_is_for_the_technician():
    broken = (Found(name="free disk", ok=False, detail="0.2 GB"), Found(name="jitter_x", ok=None))
    session = replace(
        through(Session(), *CHECKED[:1]), task=None, checked=Checked.BAD, findings=broken
    )
    page = page_of(session, EN)
    assert [(f.sign, f.name, f.value) for f in page.facts] == [
        ("✗", "Room for the recording", "not ready"), ("!", "Another check", "remark"),
    ]  # fmt: skip
    assert page.detail == "0.2 GB"


def test_a_failure_is_said_in_words_where_it_matters():
    refused = replace(through(Session(), *READY), trouble="trouble_arm", trouble_detail="no right")
    page = page_of(refused, EN)
    assert (page.now, page.detail) == ("Feedback was not allowed.", "no right")


def test_a_screen_that_closed_is_said_even_while_feedback_is_on():
    page = page_of(through(Session(), *ON, ScreenGone(detail="no display")), EN)
    assert (page.now, page.detail) == ("The participant's screen has closed.", "no display")


def test_the_close_waits_for_a_session_that_is_still_starting():
    page = page_of(through(Session(), *FITTED, Act.APPROVE, Act.END), EN)
    assert page.now == "The session is starting."
    assert (page.main, [one.act for one in page.others]) == (None, [Act.BACK])


@pytest.mark.parametrize("verified", [True, False, None])
def test_the_close_says_whether_the_recording_was_proven(verified):
    session = Session(step=Step.CLOSE, person="P-017", recorded="kept", verified=verified)
    page = page_of(session, EN)
    words = {True: "complete", False: "fault", None: "not checked"}
    assert words[verified] in page.now
    assert page.todo


@pytest.mark.parametrize(
    ("hits", "trials", "word"),
    [(0, 0, "goes_unknown"), (5, 5, "goes_early"), (9, 10, "goes_very_well"),
     (14, 20, "goes_well"), (12, 20, "goes_slightly"), (10, 20, "goes_chance")],
)  # fmt: skip
def test_how_it_goes_is_what_is_right_beyond_guessing(hits, trials, word):
    assert how_it_goes(hits, trials, 0.5) == word
