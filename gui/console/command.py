"""One of the product's own commands, run beside the window: it says when it is over."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from PySide6.QtCore import QObject, QProcess

_GONE_MS = 3000


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a command said at its end.

    Parameters
    ----------
    ok : bool
        Whether it did what it was for.
    facts : mapping
        Its JSON object; empty if it printed none.
    message : str
        Why not, in one sentence.
    """

    ok: bool
    facts: Mapping[str, Any] = field(default_factory=dict)
    message: str = ""


def read_told(output: str, code: int, complaint: str = "") -> Told:
    """Read what a command printed.

    Parameters
    ----------
    output : str
        Its standard output: one JSON object, perhaps behind other lines.
    code : int
        Its exit status.
    complaint : str
        Its standard error, for one that printed no JSON.

    Returns
    -------
    told : Told
        Not `ok` if it failed or cannot be understood.
    """
    facts = _last_object(output)
    if code == 0 and facts is not None:
        return Told(ok=True, facts=facts)
    if facts and "message" in facts:
        return Told(ok=False, facts=facts, message=str(facts["message"]))
    said = " ".join(complaint.split())[-300:]
    return Told(ok=False, facts=facts or {}, message=said or f"It ended with status {code}.")


def filled(arguments: Sequence[str], values: Mapping[str, str]) -> list[str]:
    """Arguments of a command with its ``{places}`` filled.

    Parameters
    ----------
    arguments : sequence of str
        As the root gave them.
    values : mapping of str to str
        What stands for each place.

    Returns
    -------
    arguments : list of str
        One for each; a place that nobody fills stays as it is.
    """
    made = []
    for argument in arguments:
        for name, value in values.items():
            argument = argument.replace("{" + name + "}", value)
        made.append(argument)
    return made


class Command(QObject):
    """A process that is started, asked to end, and heard when it is over.

    Parameters
    ----------
    arguments : sequence of str
        Program and arguments; no shell reads them.
    over : callable
        Told what it said, on the window's thread.
    """

    def __init__(self, arguments: Sequence[str], over: Callable[[Told], None]) -> None:
        super().__init__()
        self._over: Callable[[Told], None] | None = over
        self._process = QProcess(self)
        self._process.finished.connect(self._finished)
        self._process.errorOccurred.connect(self._failed)
        self._process.start(arguments[0], list(arguments[1:]))

    @property
    def running(self) -> bool:
        """Whether it is not over yet."""
        return self._process.state() != QProcess.ProcessState.NotRunning

    def end(self) -> None:
        """Ask it to end in good order, as Ctrl-C does."""
        pid = self._process.processId()
        if not self.running or not pid:
            return
        if os.name == "posix":
            os.kill(pid, signal.SIGINT)
        else:
            self._process.terminate()

    def forget(self) -> None:
        """Hear nothing of it any more."""
        self._over = None

    def abandon(self) -> None:
        """Hear nothing of it any more, and see that it ends."""
        self._over = None
        self.end()
        if self.running and not self._process.waitForFinished(_GONE_MS):
            self._process.kill()
            self._process.waitForFinished(_GONE_MS)

    def _finished(self, code: int, _: object = None) -> None:
        output = bytes(self._process.readAllStandardOutput().data()).decode("utf-8", "replace")
        complaint = bytes(self._process.readAllStandardError().data()).decode("utf-8", "replace")
        crashed = self._process.exitStatus() is QProcess.ExitStatus.CrashExit
        self._tell(read_told(output, code or int(crashed), complaint))

    def _failed(self, error: QProcess.ProcessError) -> None:
        if error is QProcess.ProcessError.FailedToStart:
            self._tell(Told(ok=False, message=self._process.errorString()))

    def _tell(self, told: Told) -> None:
        over, self._over = self._over, None
        if over:
            over(told)


def _last_object(output: str) -> dict[str, Any] | None:
    """The JSON object that ends an output, whether on one line or on many."""
    start = 0 if output.startswith("{") else output.rfind("\n{") + 1
    try:
        found = json.loads(output[start:])
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
