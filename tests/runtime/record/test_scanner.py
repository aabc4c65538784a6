"""What the scanner takes out of free text, and what it has to leave alone."""

from __future__ import annotations

import pytest

from diverloop.runtime.record.scanner import Removal, Scanner


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("ask jane.doe+bci@clinic.example.org", "ask [removed: e-mail]"),
        ("copied from user@host", "copied from [removed: e-mail]"),
        ("call +49 (0)89 1234-567 now", "call [removed: phone] now"),
        ("call 555.123.4567", "call [removed: phone]"),
        ("SSN 123-45-6789", "SSN [removed: phone]"),
        ("MRN 0012345", "MRN [removed: number]"),
        ("born 12/03/1956", "born [removed: date]"),
        ("born 3. March 1956", "born [removed: date]"),
        ("on Mar 3rd, 2024", "on [removed: date]"),
        ("at 2024-03-15T10:11", "at [removed: date]T10:11"),
        ("see https://example.org/x?y=1", "see [removed: URL]"),
        ("from 192.168.0.12", "from [removed: IP address]"),
        ("from fe80::1:2:3:4", "from [removed: IP address]"),
        ("card 00:1a:2b:3c:4d:5e", "card [removed: IP address]"),
        ("Dr. van Smith came", "[removed: name] came"),
        ("mrs Miller Brown came", "[removed: name] came"),
        ("in /home/jane/a.xdf", "in [removed: path]"),
        (r"in C:\Users\Jane Doe\a.xdf today", "in [removed: path] today"),
        (r"on \\server\share\a", "on [removed: path]"),
    ],
)
def test_what_has_the_shape_of_an_identity_is_replaced_by_what_it_was(text, cleaned):
    assert Scanner().clean(text, "note 1") == cleaned


@pytest.mark.parametrize(
    "text",
    [
        "left",
        "Stimulus/S  1",
        "lost 12 samples from 12345 to 12357",
        "after 300 ms later, rate 249.97 Hz",
        "1.5 to 2.5 s at 0.123456 s",
        "do not miss the target",
        "",
    ],
)
def test_what_a_recording_says_of_itself_stays(text):
    scanner = Scanner()
    assert scanner.clean(text, "event 1") == text
    assert scanner.removals == []


def test_given_words_go_in_any_case_but_only_whole():
    scanner = Scanner(("jane", "St. Mary"))
    assert scanner.clean("JANE at St. Mary, janet", "note 1") == (
        "[removed: word] at [removed: word], janet"
    )


def test_the_longer_of_two_given_words_goes_first():
    assert Scanner(("Ann", "Ann Lee")).clean("Ann Lee", "x") == "[removed: word]"


def test_the_account_names_kind_and_place_and_never_the_value():
    scanner = Scanner()
    scanner.clean("MRN 0012345 of 12/03/1956", "note 1")
    scanner.clean("MRN 0012345 of 12/03/1956", "note 2")
    kinds = ("date", "number")
    assert scanner.removals == [
        Removal(kind=kind, place=place) for place in ("note 1", "note 2") for kind in kinds
    ]


def test_a_scanner_that_is_switched_off_changes_nothing():
    scanner = Scanner(("Jane",), enabled=False)
    assert scanner.clean("Jane 0012345", "note 1") == "Jane 0012345"
    assert scanner.removals == []
