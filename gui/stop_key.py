"""The emergency stop of a live view: the space bar, heard at once, whatever the screen does."""

from __future__ import annotations

import os
import select
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

KEY = b" "
HINT = "SPACE stops all output"

_LOOK_S = 0.1


@contextmanager
def stop_key(press: Callable[[], None], keyboard: int | None = None) -> Iterator[bool]:
    """Listen for the space bar while a block runs.

    Parameters
    ----------
    press : callable
        Called for each press, on a thread of its own.
    keyboard : int, optional
        Descriptor of a terminal; standard input if not given.

    Yields
    ------
    listens : bool
        False where there is no terminal to listen to: then another way to stop is needed.
    """
    keyboard = sys.stdin.fileno() if keyboard is None else keyboard
    if os.name != "posix" or not os.isatty(keyboard):
        yield False
        return
    import termios
    import tty

    before = termios.tcgetattr(keyboard)
    ended = threading.Event()
    listener = threading.Thread(
        target=_listen, args=(keyboard, press, ended), name="stop key", daemon=True
    )
    try:
        tty.setcbreak(keyboard)  # each key by itself, Ctrl-C still works
        listener.start()
        yield True
    finally:
        ended.set()
        listener.join()
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


def _listen(keyboard: int, press: Callable[[], None], ended: threading.Event) -> None:
    while not ended.is_set():
        if select.select([keyboard], [], [], _LOOK_S)[0]:
            typed = os.read(keyboard, 64)
            if not typed:  # the terminal was closed
                return
            if KEY in typed:
                press()
