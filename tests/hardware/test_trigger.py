from __future__ import annotations

import threading
import time

import pytest

from diverloop.hardware.trigger import RUNNING, TriggerConfig, TriggerLine
from diverloop.runtime.errors import ConfigError, SinkError

from .sink_turns import CHOSEN, CHOSEN_RIGHT, CLASSES, LEFT, LIMIT_S, NEUTRAL, RIGHT

CODES = {"left": 1, "right": 2}


class Lines:
    """A line that notes what is put there, and breaks when told to."""

    def __init__(self):
        self.put_there, self.broken = [], False
        self.news = threading.Condition()

    def put(self, code):
        if self.broken:
            raise SinkError("The wire broke.")
        with self.news:
            self.put_there.append(code)
            self.news.notify_all()

    def wait_for(self, *codes):
        with self.news:
            assert self.news.wait_for(lambda: self.put_there[-len(codes) :] == [*codes], LIMIT_S)


def until_it_is_told(line):
    limit_s = time.monotonic() + LIMIT_S
    while time.monotonic() < limit_s:
        line.follow(LEFT)


def opened(lines, **config):
    line = TriggerLine(TriggerConfig(codes=CODES, **config), lines.put)
    line.open(CLASSES)
    return line


def test_a_selection_is_a_pulse_that_ends_by_itself():
    lines = Lines()
    line = opened(lines)
    began_s = time.monotonic()
    assert line.follow(CHOSEN) is CHOSEN
    lines.wait_for(0, 1, 0)
    assert time.monotonic() - began_s >= 0.01
    line.close()


def test_what_selects_nothing_asks_for_nothing():
    lines = Lines()
    line = opened(lines)
    assert line.follow(LEFT) is LEFT
    assert lines.put_there == [0]
    line.close()


def test_a_neutral_command_ends_a_pulse_at_once_and_is_repeated():
    lines = Lines()
    line = opened(lines, pulse_s=1.0)
    line.follow(CHOSEN)
    assert line.follow(NEUTRAL) is NEUTRAL
    line.follow(NEUTRAL)
    assert lines.put_there == [0, 1, 0, 0]
    assert line.follow(CHOSEN_RIGHT) is CHOSEN_RIGHT
    line.close()
    assert lines.put_there == [0, 1, 0, 0, 2, 0]


def test_a_selection_during_a_pulse_is_refused_and_says_so():
    lines = Lines()
    line = opened(lines, pulse_s=1.0)
    line.follow(CHOSEN)
    refused = line.follow(CHOSEN_RIGHT)
    assert (refused.label, refused.reason) == (None, RUNNING)
    assert lines.put_there == [0, 1]
    line.close()


def test_a_change_is_a_pulse_and_what_goes_on_is_none():
    lines = Lines()
    line = opened(lines, when="changed", pulse_s=0.001)
    line.follow(LEFT)
    lines.wait_for(0, 1, 0)
    line.follow(LEFT)
    line.follow(RIGHT)
    lines.wait_for(0, 1, 0, 2, 0)
    line.follow(NEUTRAL)
    line.follow(RIGHT)
    lines.wait_for(0, 2, 0)
    line.close()
    assert [code for code in lines.put_there if code] == [1, 2, 2]


def test_a_change_that_was_refused_comes_when_the_pulse_is_over():
    lines = Lines()
    line = opened(lines, when="changed", pulse_s=0.02)
    line.follow(LEFT)
    assert line.follow(RIGHT).label is None
    lines.wait_for(0, 1, 0)
    assert line.follow(RIGHT) is RIGHT
    lines.wait_for(1, 0, 2, 0)
    line.close()


def test_a_level_is_held_for_as_long_as_its_class_is_commanded():
    lines = Lines()
    line = TriggerLine(TriggerConfig(codes={"left": 9}, when="held", neutral=5), lines.put)
    line.open(CLASSES)
    for command in (LEFT, LEFT, RIGHT, RIGHT, LEFT, NEUTRAL):
        assert line.follow(command) is command
    line.close()
    line.close()
    assert lines.put_there == [5, 9, 5, 9, 5, 5]


def test_a_line_that_breaks_during_a_pulse_is_told_with_the_next_command():
    lines = Lines()
    line = opened(lines)
    line.follow(CHOSEN)
    lines.broken = True
    with pytest.raises(SinkError, match="The wire broke"):
        until_it_is_told(line)
    lines.broken = False
    line.rest()
    assert line.follow(CHOSEN_RIGHT) is CHOSEN_RIGHT
    lines.broken = True
    line.close()
    assert lines.put_there[:4] == [0, 1, 0, 2]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"codes": {"left": 256}}, "sinks.codes.left must be 0 to 255 and not 0"),
        ({"codes": {"left": 0}}, "which means neutral; got 0"),
        ({"neutral": 300}, "sinks.neutral must be 0 to 255, got 300"),
        ({"when": "now"}, "sinks.when must be one of selected, changed, held, got 'now'"),
        ({"pulse_s": 0.0}, "sinks.pulse_s must be 0.001 to 1 s, got 0 s"),
        ({"pulse_s": float("nan")}, "sinks.pulse_s must be 0.001 to 1 s, got nan s"),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused(config, words):
    with pytest.raises(ConfigError, match=words):
        TriggerConfig(**config)


@pytest.mark.parametrize(
    ("codes", "words"),
    [({}, "sinks.codes is empty"), ({"feet": 3}, "the class 'feet', the model has left, right")],
)
def test_codes_that_fit_no_class_are_refused(codes, words):
    line = TriggerLine(TriggerConfig(codes=codes), Lines().put)
    with pytest.raises(ConfigError, match=words):
        line.open(CLASSES)
    line.close()
