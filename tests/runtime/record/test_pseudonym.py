"""Labels and shifts that follow from a name, but not back to it."""

from __future__ import annotations

import re
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diverloop.runtime.record.pseudonym import pseudonym, shift_for, shifted


@given(name=st.text(), key=st.text())
def test_a_pseudonym_is_six_letters_and_equal_for_an_equal_name(name, key):
    label = pseudonym(name, key)
    assert re.fullmatch("[a-z]{6}", label)
    assert pseudonym(name, key) == label


def test_another_name_or_another_key_gives_another_pseudonym():
    labels = {pseudonym(name, key) for name in ("Jane", "John") for key in ("", "k", "l")}
    assert len(labels) == 6


def test_case_and_spaces_around_a_name_do_not_make_another_participant():
    assert pseudonym(" Jane Doe ") == pseudonym("jane doe")


@given(name=st.text(), key=st.text())
def test_every_session_of_2020_to_2037_falls_between_1902_and_1924(name, key):
    days = shift_for(name, key)
    years = [
        datetime.fromisoformat(shifted(utc, days)).year
        for utc in ("2020-01-01T00:00:00+00:00", "2037-12-31T23:59:59+00:00")
    ]
    assert 1901 < years[0] <= years[1] < 1925


def test_two_sessions_keep_their_distance_to_the_microsecond():
    days = shift_for("Jane")
    first, second = "2026-11-22T10:00:00.000001+00:00", "2026-11-29T11:00:00+00:00"
    moved = [datetime.fromisoformat(shifted(utc, days)) for utc in (first, second)]
    there = [datetime.fromisoformat(utc) for utc in (first, second)]
    assert moved[1] - moved[0] == there[1] - there[0]


@pytest.mark.parametrize("utc", ["", "yesterday", "1970-01-01T00:00:00+00:00"])
def test_what_is_no_date_to_keep_becomes_nothing(utc):
    assert shifted(utc, 42_000) == ""


def test_a_shift_of_nothing_keeps_any_date():
    assert shifted("1970-01-01T00:00:00", 0) == "1970-01-01T00:00:00.000000+00:00"
