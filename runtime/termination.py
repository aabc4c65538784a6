"""Ctrl-C and a termination as a wish to end in good order."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_NUMBERS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def ended_by_signals(stop: Callable[[], object]) -> Iterator[None]:
    """Call a function on Ctrl-C or a termination while a block runs; for the main thread.

    Parameters
    ----------
    stop : callable
        Asks whatever runs to end; it is not waited for.
    """
    before = {number: signal.signal(number, lambda *_: stop()) for number in _NUMBERS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
