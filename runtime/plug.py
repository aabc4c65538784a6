"""The loop's end of the watchdog: one sink for all that act outside this program.

Nothing here waits for the watchdog. A command is put into its socket; if the socket is full, or
nothing has come back for too long, the watchdog itself has failed: it is killed, the guard is
disarmed, and another is started beside the loop, which opens the sinks anew.
"""

from __future__ import annotations

import math
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Protocol

from .errors import ConfigError, DiverloopError
from .messages import Command, Decision, Event, EventKind, StreamSpec
from .sent_log import SentLog
from .session import PartConfig
from .watchdog import (
    LONGEST,
    Acting,
    Beat,
    Bye,
    Did,
    Opened,
    Opening,
    Stop,
    Told,
    Woke,
    packed,
    unpacked,
)
from .watchdog_config import WatchdogConfig

_START_LIMIT_S = 20.0
_LEAVE_LIMIT_S = 2.0
_DEAF_S = 0.5  # ten signs of life without an answer
_BEAT = packed(Beat())

LOST = "the watchdog was lost, another is being started"
SAFE_FIRST = "the outputs were made safe, and begin with rest"


class Disarms(Protocol):
    """Whoever can be disarmed: a guard, told of the watchdog."""

    def __call__(self) -> object:
        """Let no command pass until a person arms again."""


class Plug:
    """Hands commands to the watchdog, and gives it signs of life.

    What a sink really did, and when, is known only when its answer has come back, one turn later at
    best. A command counts as done once it is handed over. The answers are kept in `sent`; one that
    differs is told as an event, and at the end how long sending took.

    Parameters
    ----------
    sinks : sequence of PartConfig
        What the watchdog is to open.
    config : WatchdogConfig
        How patient it is.
    disarm : callable
        Called when the watchdog was lost, or the loop had hung for long.
    tell : callable
        Takes an event; safe from any thread.

    Attributes
    ----------
    sent : SentLog
        What was really done with each command, and when.
    restarts : int
        How many times a lost watchdog was replaced.
    """

    def __init__(
        self,
        sinks: Sequence[PartConfig],
        config: WatchdogConfig,
        *,
        disarm: Disarms,
        tell: Callable[[Event], None],
    ) -> None:
        self._sinks = tuple((sink.kind, asdict(sink.settings)) for sink in sinks)
        self._config = config
        self._disarm = disarm
        self._tell = tell
        self._opening: Opening | None = None
        self._child: _Child | None = None
        self._starting: threading.Thread | None = None
        self._owed = True  # a neutral command: the watchdog lets nothing pass before it
        self._closed = False
        self._told = ""
        self.sent = SentLog()
        self.restarts = 0

    @property
    def pid(self) -> int:
        """Process number of the present watchdog; 0 while there is none."""
        return self._child.pid if self._child else 0

    def open(self, spec: StreamSpec, classes: tuple[str, ...]) -> None:
        """Start the watchdog and let it open the sinks; raises `ConfigError` if it cannot."""
        self._opening = Opening(sinks=self._sinks, spec=spec, classes=classes)
        if len(packed(self._opening)) > LONGEST:
            raise ConfigError(
                f"The description of the stream has {spec.n_channels} channels and takes more than "
                f"{LONGEST} bytes, too much for the watchdog: shorten the channels' names."
            )
        self._child = _Child(self._opening, self._config)

    def act(self, decision: Decision, command: Command) -> Command:
        """Hand a command over; neutral if the outputs were made safe since the last one."""
        self._hear()
        if self._owed or self._child is None:
            command = command.at_rest(SAFE_FIRST if self._child else LOST)
            self._owed = False
        if self._child:
            number = self.sent.hand_over(decision.stop_sample, command, time.monotonic_ns())
            acting = Acting(decision=decision, command=command, number=number)
            if not self._child.say(packed(acting)):
                self._lose("it takes no commands")
        return command

    def beat(self) -> None:
        """Give a sign of life, and look for one."""
        if self._opening is None or self._closed:
            return
        self._hear()
        if self._child is None:
            return
        if not self._child.ask():
            self._lose("it is gone")
        elif self._child.deaf_s > _DEAF_S:
            self._lose(f"it gave no sign of life for {_DEAF_S:g} s")

    def stop(self) -> None:
        """Emergency stop, straight to the outputs. From any thread, whatever the loop does."""
        self._owed = True
        if child := self._child:
            child.say(packed(Stop()))

    def close(self) -> None:
        """Let the watchdog make the outputs neutral and go. Calling it twice is harmless."""
        self._closed = True
        if self._starting:
            self._starting.join()
        if self._child:
            self._child.finish()
            self._hear()
            self._child.kill()
            self._child.gone(_LEAVE_LIMIT_S)
            self._child = None
            if text := self.sent.sentence():
                self._tell(Event(kind=EventKind.SENT, text=text, at_ns=time.monotonic_ns()))

    def _hear(self) -> None:
        child = self._child
        for said in child.heard() if child else ():
            match said:
                case Woke(silent_ns=silent_ns):
                    self._wake(silent_ns / 1e9)
                case Did(asked=asked, done=done, number=number, sent_ns=sent_ns):
                    self.sent.take_answer(number, done, sent_ns)
                    if done != asked and not self._owed:
                        self._report(
                            f"A sink was asked for {asked.label or 'neutral'} and did "
                            f"{done.label or f'nothing ({done.reason})'}."
                        )
                case Told(event=event):
                    self._tell(event)
                case _:
                    pass

    def _wake(self, silent_s: float) -> None:
        """The loop was silent for too long, and hears of it now that it is back."""
        self._owed = True
        long = silent_s > self._config.forgive_s
        if long:
            self._disarm()
        self._report(
            f"The loop stood still for {silent_s * 1e3:.0f} ms; the watchdog had made the outputs "
            f"neutral meanwhile{', and nothing passes until a person arms again' if long else ''}."
        )

    def _lose(self, why: str) -> None:
        assert self._child is not None
        lost = self._child
        lost.kill()
        self._child = None
        self._disarm()
        self._report(
            f"The watchdog was lost ({why}); another is being started, and nothing passes until a "
            f"person arms again."
        )
        self._starting = threading.Thread(
            target=self._start_again, args=(lost,), name="watchdog", daemon=True
        )
        self._starting.start()

    def _start_again(self, lost: _Child) -> None:
        assert self._opening is not None
        while not lost.gone(1.0) and not self._closed:
            pass  # it holds the outputs as long as it is there
        while not self._closed:
            try:
                child = _Child(self._opening, self._config)
            except DiverloopError as error:
                self._report(f"{error} It is tried again.")
                time.sleep(1.0)
                continue
            self.restarts += 1
            self._owed = True
            self._child = child
            self._report("The watchdog is back, and holds the outputs neutral.")
            return

    def _report(self, text: str) -> None:
        if text == self._told:  # a sink that refuses does so many times a second
            return
        self._told = text
        self._tell(Event(kind=EventKind.WATCHDOG, text=text, at_ns=time.monotonic_ns()))


class _Child:
    """The process and the socket to it; ready when it is made."""

    def __init__(self, opening: Opening, config: WatchdogConfig) -> None:
        ours, theirs = _pair()
        limit_ns = round(config.limit_s * 1e9)
        number = str(theirs.fileno())
        command = [sys.executable, "-m", "diverloop.runtime.watchdog", number, str(limit_ns)]
        try:
            # A session of its own: Ctrl-C in the terminal is for the loop.
            self._process = subprocess.Popen(
                command, pass_fds=[theirs.fileno()], start_new_session=True
            )
        except OSError as error:
            ours.close()
            raise ConfigError(f"The watchdog cannot be started: {error}.") from error
        finally:
            theirs.close()
        self._link = ours
        self.pid = self._process.pid
        self._asked_s = math.inf
        self._await(opening)

    def _await(self, opening: Opening) -> None:
        self._link.settimeout(_START_LIMIT_S)
        try:
            self._link.send(packed(opening))
            answer = unpacked(self._link.recv(LONGEST) or packed(Bye()))
        except OSError:
            answer = Bye()
        self._link.setblocking(False)
        if not isinstance(answer, Opened) or answer.refusal:
            self.kill()
            self.gone(_LEAVE_LIMIT_S)
            refusal = answer.refusal if isinstance(answer, Opened) else ""
            raise ConfigError(
                refusal
                or "The watchdog did not open the outputs: is this a system without "
                "processes of one's own? [watchdog] on = false runs without it."
            )

    @property
    def deaf_s(self) -> float:
        """For how long it has not answered a sign of life."""
        return max(0.0, time.monotonic() - self._asked_s)

    def ask(self) -> bool:
        """Give a sign of life, which it answers; False as for `say`."""
        self._asked_s = min(self._asked_s, time.monotonic())
        return self.say(_BEAT)

    def say(self, datagram: bytes) -> bool:
        """Put a message into the socket; False if it has no room, or nobody is there."""
        try:
            self._link.send(datagram)
        except OSError:
            return False
        return True

    def heard(self) -> list[Beat | Did | Told | Woke]:
        """All that it has said since it was last listened to."""
        found: list[Beat | Did | Told | Woke] = []
        with suppress(OSError):  # nothing more, or it is gone: `say` will find out
            while datagram := self._link.recv(LONGEST):
                self._asked_s = math.inf
                if isinstance(said := unpacked(datagram), Beat | Did | Told | Woke):
                    found.append(said)
        return found

    def finish(self) -> None:
        """Say goodbye, and wait for the end, but not for long."""
        self.say(packed(Bye()))
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_LEAVE_LIMIT_S)

    def kill(self) -> None:
        """Make an end of it, without waiting for the end; its own outputs go with it."""
        self._process.kill()
        self._link.close()

    def gone(self, limit_s: float) -> bool:
        """Wait for its end, but not for longer; a process that waits for a disk may take long."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(limit_s)
        return self._process.returncode is not None


def _pair() -> tuple[socket.socket, socket.socket]:
    """Two ends that keep datagrams apart."""
    if not hasattr(socket, "AF_UNIX") or not hasattr(socket, "SOCK_SEQPACKET"):
        raise ConfigError(
            "The watchdog needs sockets of a Unix system, and this is none: set [watchdog] on = "
            "false, and let nothing move that can do harm."
        )
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
