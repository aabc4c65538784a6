"""The live view beside a running session, and what from this terminal stops the session."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from .console import restore_terminal
from .runtime.guard import Signal
from .runtime.loop import Loop
from .runtime.messages import Event, EventKind
from .runtime.termination import ended_by_signals

PRESSED = "The emergency stop was pressed in the terminal of the session."


@contextmanager
def viewer(address: str, session: str, loop: Loop) -> Iterator[None]:
    """Show the live view, a process of its own on this terminal, while a block runs.

    Parameters
    ----------
    address : str
        Of the telemetry.
    session : str
        Name for the header.
    loop : Loop
        Whose output the stop key of the view stops.
    """
    with stop_line(loop) as line, _terminal_kept():
        command = [
            sys.executable, "-m", "diverloop", "watch", address, "--session", session,
            "--stop-line", str(line),
        ]  # fmt: skip
        process = subprocess.Popen(command, pass_fds=(line,))
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.returncode:
                restore_terminal()  # it was killed, and had no time to


@contextmanager
def stop_line(loop: Loop) -> Iterator[int]:
    """A pipe into this process that stops the output of a loop, while a block runs.

    Parameters
    ----------
    loop : Loop
        Which.

    Yields
    ------
    line : int
        Descriptor for `press`, in this process or in one that inherits it.
    """
    heard, line = os.pipe()
    listener = threading.Thread(target=_listen, args=(heard, loop), name="stop line", daemon=True)
    listener.start()
    try:
        yield line
    finally:
        os.close(line)
        listener.join(1.0)  # it ends once nobody can press any more


def press(line: int) -> None:
    """Stop the output of the session at the other end of a line.

    Parameters
    ----------
    line : int
        From `stop_line`.
    """
    with suppress(BrokenPipeError):  # it has ended: there is no output any more
        os.write(line, b"!")


def _listen(heard: int, loop: Loop) -> None:
    with open(heard, "rb", buffering=0) as presses:
        while presses.read(1):
            loop.guard.tell(Signal.EMERGENCY_STOP)
            loop.tell(Event(kind=EventKind.STOPPED, text=PRESSED))


@contextmanager
def stopped_by(loop: Loop, seconds: float) -> Iterator[None]:
    """Let Ctrl-C, a termination and the clock on the wall end a loop.

    Parameters
    ----------
    loop : Loop
        Which.
    seconds : float
        After how long it ends; 0 for never.
    """
    timer = threading.Timer(seconds, loop.stop) if seconds else None
    if timer:
        timer.daemon = True
        timer.start()
    try:
        with ended_by_signals(loop.stop):
            yield
    finally:
        if timer:
            timer.cancel()


@contextmanager
def _terminal_kept() -> Iterator[None]:
    """Put the keyboard back as it was, whoever changed it."""
    if os.name != "posix" or not sys.stdin or not sys.stdin.isatty():
        yield
        return
    import termios

    before = termios.tcgetattr(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
