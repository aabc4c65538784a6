"""The space bar as an emergency stop, on a terminal that the test types on."""

from __future__ import annotations

import os
import threading

import pytest

from diverloop.gui.stop_key import stop_key

pty = pytest.importorskip("pty", reason="terminals of this kind are a Unix matter")


@pytest.fixture
def terminal():
    ours, theirs = pty.openpty()
    yield ours, theirs
    os.close(ours)
    os.close(theirs)


def test_the_space_bar_stops_and_other_keys_do_not(terminal):
    typed, keyboard = terminal
    pressed = threading.Semaphore(0)
    with stop_key(pressed.release, keyboard) as listens:
        assert listens
        os.write(typed, b"xq\n")
        assert not pressed.acquire(timeout=0.3)
        os.write(typed, b" ")
        assert pressed.acquire(timeout=10)


def test_the_terminal_is_as_it_was_afterwards(terminal):
    import termios

    before = termios.tcgetattr(terminal[1])
    with stop_key(lambda: None, terminal[1]):
        assert termios.tcgetattr(terminal[1]) != before
    assert termios.tcgetattr(terminal[1]) == before


def test_what_is_no_terminal_is_not_listened_to(tmp_path):
    with (tmp_path / "file").open("wb") as file, stop_key(lambda: None, file.fileno()) as listens:
        assert not listens
