"""Which keys go down and up, and which never; with the kernel's own keyboard where it has one."""

from __future__ import annotations

import os
import sys

import pytest

from diverloop.hardware import keyboard_sink as subject
from diverloop.hardware.keyboard_sink import (
    KEYS,
    TOO_FAST,
    KeyboardSink,
    KeyboardSinkConfig,
    kernel_keys,
)
from diverloop.runtime.conformance import check_sink
from diverloop.runtime.errors import ConfigError, SinkError

from .sink_turns import CHOSEN, CHOSEN_RIGHT, CLASSES, LEFT, NEUTRAL, SPEC, decision

TABLE = {"left": "left", "right": "space"}
LEFT_KEY, SPACE = 105, 57


class Board:
    """A keyboard that notes what it is told."""

    def __init__(self):
        self.told, self.broken, self.closed = [], False, 0

    def write(self, etype, code, value):
        if self.broken:
            raise OSError(19, "No such device")
        assert etype == 1
        self.told.append((code, value))

    def syn(self):
        self.told.append("now")

    def close(self):
        self.closed += 1


def opened(board, **config):
    settings = {"i_want_keys": True, "keys": TABLE, "hold_s": 0.2, "most_per_s": 10.0} | config
    sink = KeyboardSink(KeyboardSinkConfig(**settings), board)
    sink.open(SPEC, CLASSES)
    return sink


def test_a_key_goes_down_at_a_selection_and_up_at_a_neutral_command():
    board = Board()
    sink = opened(board)
    assert sink.act(decision(), LEFT) is LEFT
    assert board.told == []
    assert sink.act(decision(), CHOSEN) is CHOSEN
    assert board.told == [(LEFT_KEY, 1), "now"]
    assert sink.act(decision(), NEUTRAL) is NEUTRAL
    assert board.told[2:] == [(LEFT_KEY, 0), "now"]
    sink.close()
    sink.close()
    assert (board.told[4:], board.closed) == ([], 1)


def test_a_key_is_released_at_the_end_whatever_was_commanded():
    board = Board()
    sink = opened(board)
    sink.act(decision(), CHOSEN_RIGHT)
    sink.close()
    assert board.told == [(SPACE, 1), "now", (SPACE, 0), "now"]
    assert sink.act(decision(), CHOSEN).reason == "the output is not open"


def test_it_conforms_and_presses_nothing_that_was_not_selected():
    board = Board()
    check_sink(KeyboardSink(KeyboardSinkConfig(i_want_keys=True, keys={"yes": "up"}), board), SPEC)
    assert board.told == []


def test_more_keys_than_the_pace_allows_are_not_pressed(monkeypatch):
    now = [10**9]
    monkeypatch.setattr(subject.time, "monotonic_ns", lambda: now[0])
    board = Board()
    sink = opened(board, most_per_s=2.0)
    assert sink.act(decision(), CHOSEN) is CHOSEN
    sink.act(decision(), NEUTRAL)
    now[0] += 499_000_000
    assert sink.act(decision(), CHOSEN).reason == TOO_FAST
    assert len(board.told) == 4
    now[0] += 1_000_000
    assert sink.act(decision(), CHOSEN) is CHOSEN
    sink.close()


def test_without_consent_no_session_starts():
    sink = KeyboardSink(KeyboardSinkConfig(keys=TABLE), Board())
    with pytest.raises(ConfigError, match=r"say sinks.i_want_keys = true if that is wanted"):
        sink.open(SPEC, CLASSES)
    sink.close()


@pytest.mark.parametrize("key", ["ctrl", "delete", "escape", "power", "f4", "KEY_A", "A", ""])
def test_a_key_that_is_not_on_the_list_is_refused(key):
    with pytest.raises(ConfigError, match=r"sinks.keys.left must be one of 0, 1, .* got"):
        KeyboardSinkConfig(keys={"left": key})


@pytest.mark.parametrize("config", [{"most_per_s": 50.0}, {"hold_s": 1.0}, {"hold_s": 0.0}])
def test_a_pace_beyond_its_limits_is_refused(config):
    (name,) = config
    with pytest.raises(ConfigError, match=f"sinks.{name} must be"):
        KeyboardSinkConfig(**config)


def test_a_class_that_the_model_does_not_have_is_refused():
    with pytest.raises(ConfigError, match=r"sinks.keys names the class 'feet'"):
        opened(Board(), keys={"feet": "up"})


def test_a_keyboard_that_is_gone_is_one_sentence():
    board = Board()
    sink = opened(board)
    board.broken = True
    with pytest.raises(SinkError, match=r"takes no key \(No such device\)"):
        sink.act(decision(), CHOSEN)
    sink.close()


def test_the_codes_are_those_of_the_kernel():
    codes = pytest.importorskip("evdev", reason="needs the extra keyboard").ecodes
    names = {"page_up": "PAGEUP", "page_down": "PAGEDOWN"}
    told = {key: getattr(codes, f"KEY_{names.get(key, key.upper())}") for key in KEYS}
    assert told == dict(KEYS)
    assert max(KEYS.values()) < 256


def test_without_the_library_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "evdev", None)
    with pytest.raises(ConfigError, match=r'pip install "diverloop\[keyboard\]"'):
        kernel_keys([LEFT_KEY])


def test_without_uinput_it_says_what_to_load():
    pytest.importorskip("evdev", reason="needs the extra keyboard")
    if os.access("/dev/uinput", os.W_OK):
        pytest.skip("this machine has uinput")
    with pytest.raises(ConfigError, match="modprobe uinput"):
        kernel_keys([LEFT_KEY])


@pytest.mark.skipif(not os.access("/dev/uinput", os.W_OK), reason="no /dev/uinput to write to")
def test_a_keyboard_of_the_kernel_takes_a_key_that_does_nothing():
    evdev = pytest.importorskip("evdev", reason="needs the extra keyboard")
    keys = kernel_keys([evdev.ecodes.KEY_F24])
    assert keys.fd >= 0
    keys.close()
