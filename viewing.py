"""The live view beside a running session, and what from this terminal stops the session."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from .console import restore_terminal
from .runtime.guard import Signal
from .runtime.loop import Loop
from .runtime.messages import Event, EventKind

PRESSED = "The emergency stop was pressed in the terminal of the session."


@contextmanager
def viewer(address: str, session: str) -> Iterator[None]:
    """Show the live view, a process of its own on this terminal, while a block runs.

    Parameters
    ----------
    address : str
        Of the telemetry.
    session : str
        Name for the header.
    """
    command = [
        sys.executable, "-m", "diverloop", "watch", address, "--session", session,
        "--stop-process", str(os.getpid()),
    ]  # fmt: skip
    _survive_presses()
    with _terminal_kept():
        process = subprocess.Popen(command)
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
def stopped_by(loop: Loop, seconds: float) -> Iterator[None]:
    """Let Ctrl-C, a termination and the clock on the wall end a loop, and the stop key stop it.

    Parameters
    ----------
    loop : Loop
        Which.
    seconds : float
        After how long it ends; 0 for never.
    """
    timer = threading.Timer(seconds, loop.stop) if seconds else None
    before = {n: signal.signal(n, lambda *_: loop.stop()) for n in (signal.SIGINT, signal.SIGTERM)}
    if hasattr(signal, "SIGUSR1"):
        before[signal.SIGUSR1] = signal.signal(signal.SIGUSR1, lambda *_: _press(loop))
    if timer:
        timer.daemon = True
        timer.start()
    try:
        yield
    finally:
        if timer:
            timer.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)
        _survive_presses()


def press(process: int) -> None:
    """Stop the output of a session that runs in another process of this user.

    Parameters
    ----------
    process : int
        Its number.
    """
    with suppress(ProcessLookupError):  # it has ended: there is no output any more
        os.kill(process, signal.SIGUSR1)


def _survive_presses() -> None:
    """Let a press while no loop runs be nothing: left alone, the signal would end the process."""
    if hasattr(signal, "SIGUSR1") and signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)


def _press(loop: Loop) -> None:
    loop.guard.tell(Signal.EMERGENCY_STOP)
    loop.tell(Event(kind=EventKind.STOPPED, text=PRESSED))


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
