"""Commands beside the window: filled, run, read, ended."""

from __future__ import annotations

import sys

import pytest

from diverloop.gui.console.command import Command, Told, filled, read_told

SAYS = (sys.executable, "-c", "print('{{\"done\": true}}')".replace("{{", "{").replace("}}", "}"))
WAITS = "import time\ntry: print('ready', flush=True); time.sleep(60)\nexcept KeyboardInterrupt: "


@pytest.fixture
def told():
    return []


def test_what_a_command_prints_last_is_read():
    assert read_told('a line\n{"a": 1}\n', 0) == Told(ok=True, facts={"a": 1})
    assert read_told('{"a": {\n"b": 2}}', 0).facts == {"a": {"b": 2}}


def test_an_error_of_ours_is_its_own_sentence():
    told = read_told('{"error": "ConfigError", "message": "There is none."}', 2)
    assert (told.ok, told.message) == (False, "There is none.")


@pytest.mark.parametrize(
    ("output", "complaint", "message"),
    [("", "it broke\n  badly", "it broke badly"), ("no json", "", "It ended with status 1."),
     ("[1]", "", "It ended with status 1.")],
)  # fmt: skip
def test_what_cannot_be_understood_is_a_failure_with_words(output, complaint, message):
    told = read_told(output, 1, complaint)
    assert (told.ok, told.message) == (False, message)


def test_places_are_filled_and_unknown_ones_stay():
    arguments = ("fit", "{recording}", "--out={bundle}", "{other}")
    values = {"recording": "a b.xdf", "bundle": "m.bundle"}
    assert filled(arguments, values) == ["fit", "a b.xdf", "--out=m.bundle", "{other}"]


def test_a_command_is_heard_when_it_is_over(qtbot, told):
    command = Command(SAYS, told.append)
    qtbot.waitUntil(lambda: bool(told), timeout=20_000)
    assert told == [Told(ok=True, facts={"done": True})]
    assert not command.running


def test_a_program_that_is_not_there_is_a_failure_with_words(qtbot, told):
    command = Command(("/no/such/program",), told.append)
    qtbot.waitUntil(lambda: bool(told), timeout=20_000)
    assert not told[0].ok
    assert told[0].message
    assert not command.running


def test_a_command_that_is_asked_to_end_still_says_what_it_has(qtbot, told):
    ends = WAITS + "print('{\"kept\": 1}')"
    command = Command((sys.executable, "-c", ends), told.append)
    process = command._process
    qtbot.waitUntil(lambda: process.bytesAvailable() > 0, timeout=20_000)
    command.end()
    qtbot.waitUntil(lambda: bool(told), timeout=20_000)
    assert told[0].facts == {"kept": 1}


def test_an_abandoned_command_ends_and_is_not_heard(qtbot, told):
    command = Command((sys.executable, "-c", WAITS + "pass"), told.append)
    process = command._process
    qtbot.waitUntil(lambda: process.bytesAvailable() > 0, timeout=20_000)
    command.abandon()
    assert not command.running
    assert told == []
