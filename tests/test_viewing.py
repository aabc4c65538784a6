"""The live view beside a session, and the stop key of its terminal."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
import threading
from types import SimpleNamespace

from rich.console import Console

from diverloop import console, viewing
from diverloop.runtime.guard import Guard, Signal
from diverloop.runtime.limits import State
from diverloop.runtime.messages import Event, EventKind


def test_the_stop_key_of_the_view_stops_the_guard_of_the_session_and_is_told():
    guard, told, heard = Guard(), [], threading.Event()
    guard.tell(Signal.PERSON_ARMS)

    def tell(event: Event) -> None:
        told.append(event)
        heard.set()

    loop = SimpleNamespace(guard=guard, tell=tell)
    with viewing.stop_line(loop) as line:
        viewing.press(line)
        assert heard.wait(30)
        assert guard.state is State.STOPPED
    assert [event.kind for event in told] == [EventKind.STOPPED]
    assert "stop line" not in {thread.name for thread in threading.enumerate()}


def test_a_press_in_another_process_is_heard_even_when_that_one_dies_at_once():
    guard = Guard()
    with viewing.stop_line(SimpleNamespace(guard=guard, tell=lambda event: None)) as line:
        program = f"import os, sys; from diverloop.viewing import press; press({line}); os._exit(9)"
        subprocess.run([sys.executable, "-c", program], pass_fds=(line,), check=False)
    assert guard.state is State.STOPPED


def test_a_press_after_the_session_has_ended_is_nothing():
    heard, line = os.pipe()
    os.close(heard)
    assert viewing.press(line) is None
    os.close(line)


class Recorded(list):
    """Starts processes, and keeps them."""

    def __call__(self, *arguments: object, **options: object) -> subprocess.Popen:
        self.append(subprocess.Popen(*arguments, **options))
        return self[-1]


def test_the_terminal_is_restored_when_the_viewer_is_killed(monkeypatch):
    file, started = io.StringIO(), Recorded()
    monkeypatch.setattr(console, "out", Console(file=file, force_terminal=True))
    real = viewing.subprocess
    fake = type("Processes", (), {"Popen": started, "TimeoutExpired": real.TimeoutExpired})
    monkeypatch.setattr(viewing, "subprocess", fake)
    with viewing.viewer("tcp://127.0.0.1:9", "test", SimpleNamespace()):
        started[0].kill()
        started[0].wait(30)
        assert file.getvalue() == ""
    assert "\x1b[?1049l" in file.getvalue()
    assert "\x1b[?25h" in file.getvalue()


def test_a_viewer_that_is_terminated_puts_the_terminal_back_itself():
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "diverloop", "watch", "tcp://127.0.0.1:9"]
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=os.environ | {"TERM": "xterm"}
    ) as viewer:
        guard = threading.Timer(60, viewer.kill)
        guard.start()
        os.close(theirs)
        text = read_until(ours, "neutral", "")
        viewer.terminate()
        text = read_until(ours, "\x1b[?1049l", text)
        read_until(ours, None, "")
        assert viewer.wait(30) == 0
        guard.cancel()
    os.close(ours)
    assert text.index("\x1b[?1049h") < text.index("\x1b[?1049l")


def read_until(terminal: int, wanted: str | None, text: str) -> str:
    """What a terminal shows until something has appeared, or, for None, until it is closed."""
    while wanted is None or wanted not in text:
        try:
            text += os.read(terminal, 65536).decode(errors="replace")
        except OSError:  # Linux: nobody has the other end open any more
            break
    return text
