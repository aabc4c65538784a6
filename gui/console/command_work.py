"""What the console has done for it: by the product's own commands, while the window goes on."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QTimer, QUrl, Signal
from PySide6.QtGui import QDesktopServices

from ...runtime.access import Action
from ...runtime.control_client import DOOR
from ...runtime.errors import DiverloopError
from ...runtime.limits import State
from ..controls import Answer, ControlLink, Controls
from ..feed import Feed, Teller
from . import news as n
from .command import Command, Told, filled
from .reading import findings_of, model_of, quality_of
from .session import Model, Order, Session

NOTES = "console-notes.jsonl"
"""Every note, beside the recordings, whether a session took it or not."""

_DOOR_MS = 250
_ORDERS = {
    Action.ARM: Order.ARM,
    Action.DISARM: Order.DISARM,
    Action.STOP: Order.STOP,
    Action.RESET: Order.RESET,
}


class CommandWork(QObject):
    """Runs the product's own commands, and talks to the session that one of them is.

    Parameters
    ----------
    commands : mapping of str to tuple of str
        Program and arguments of ``preflight`` (doctor --session), ``signal`` (doctor --stream),
        ``calibrate``, ``fit``, ``run``, ``verify`` and ``report``, each to print one JSON object.
        Filled in are ``{participant}``, ``{recording}`` (a file for calibrate and fit, a folder for
        verify and report), ``{bundle}``, ``{recordings}``, ``{task}``, ``{classes}`` and
        ``{stop_s}``. Without ``signal`` nothing is looked at before the loop runs; without
        ``verify`` nothing is proven at the end. ``screen_calibrate`` and ``screen_run`` are the
        participant's screen meanwhile, if there is one; ``{session}`` is the session's folder.
    folder : Path
        Where calibrations, models, notes and the session's folder go.
    connect : callable
        Opens the control link of a session's folder; called on another thread.
    listen : callable
        Opens the telemetry of a session's folder.
    known : callable
        The model of today for a pseudonym, with its file, if there is one.
    """

    news = Signal(object)
    heard = Signal(object)
    code_wanted = Signal()

    def __init__(
        self,
        commands: Mapping[str, tuple[str, ...]],
        folder: Path,
        *,
        connect: Callable[[Path], ControlLink],
        listen: Callable[[Path], Teller],
        known: Callable[[str], tuple[Model, Path] | None] = lambda person: None,
    ) -> None:
        super().__init__()
        self._commands, self._folder = dict(commands), folder
        self._connect, self._listen, self._known = connect, listen, known
        self._running: dict[str, Command] = {}
        self._leaving: list[Command] = []
        self._values: dict[str, str] = {"recordings": str(folder)}
        self._controls: Controls | None = None
        self._feed: Feed | None = None
        self._session_folder: Path | None = None
        self._old_doors: set[Path] = set()
        self._ending = False
        self._waiting_notes: list[str] = []
        self._refused: Action | None = None  # for want of a one-time code
        self._door = QTimer(self)
        self._door.setInterval(_DOOR_MS)
        self._door.timeout.connect(self._look_for_door)

    @property
    def lost(self) -> int:
        """Telegrams that were dropped because this window was too slow."""
        return self._feed.teller.lost if self._feed else 0

    def do(self, order: Order, session: Session) -> None:
        """Do something.

        Parameters
        ----------
        order : Order
            What.
        session : Session
            As it is now.
        """
        if session.person != self._values.get("participant", session.person):
            self._leave_person()
        self._values["participant"] = session.person
        if order is not Order.WATCH:
            self._leave("signal")
        _DOES[order](self)

    def note(self, text: str) -> None:
        """Put a note on record: in a file at once, and with the session when one runs.

        Parameters
        ----------
        text : str
            The note.
        """
        at = datetime.now().astimezone()
        self._folder.mkdir(parents=True, exist_ok=True)
        line = {"at": at.isoformat(), "person": self._values.get("participant", ""), "text": text}
        with (self._folder / NOTES).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
        if self._controls:
            self._controls.ask(Action.NOTE, text=text)
        else:
            self._waiting_notes.append(f"(at {at:%H:%M:%S}, before the session) {text}")

    def code(self, text: str) -> None:
        """Try again what was refused, with a one-time code."""
        if self._controls and self._refused:
            self._controls.ask(self._refused, code=text)
        self._refused = None

    def close(self) -> None:
        """Let go of everything; commands that still run are ended in good order."""
        self._door.stop()
        self._let_go()
        for command in (*self._running.values(), *self._leaving):
            command.abandon()
        self._running.clear()

    # ------------------------------------------------------------------------------- commands

    def _start(self, name: str, over: Callable[[Told], None]) -> bool:
        """Start a command; one that already runs goes on instead."""
        if name in self._running and self._running[name].running:
            return False
        arguments = filled(self._commands[name], self._values)
        self._running[name] = Command(arguments, over)
        return True

    def _leave(self, name: str) -> None:
        """Have a command end, and hear nothing of it any more. The window does not wait for it."""
        if command := self._running.pop(name, None):
            command.forget()
            command.end()
            self._leaving = [*(one for one in self._leaving if one.running), command]

    def _leave_person(self) -> None:
        """Nothing that was begun, made or noted for one person may reach the session of another."""
        for name in tuple(self._running):
            self._leave(name)
        self._values = {"recordings": str(self._folder)}
        self._waiting_notes.clear()

    def _preflight(self) -> None:
        self._start("preflight", self._checked)

    def _checked(self, told: Told) -> None:
        if "findings" not in told.facts:
            self.news.emit(n.Failed(order=Order.PREFLIGHT, detail=told.message))
            return
        known = self._known(self._values["participant"])
        if known:
            self._values["bundle"] = str(known[1])
        found = findings_of(told.facts["findings"])
        self.news.emit(n.PreflightDone(findings=found, model=known[0] if known else None))

    def _watch(self) -> None:
        if "signal" in self._commands:
            self._start("signal", self._looked)
        else:
            self.news.emit(n.SignalUnseen())

    def _looked(self, told: Told) -> None:
        quality = quality_of(told.facts)
        if quality is None:
            self.news.emit(n.Failed(order=Order.WATCH, detail=told.message))
        else:
            self.heard.emit(quality)
        # The window's loop comes first: a command that fails at once must not hold it up.
        QTimer.singleShot(_DOOR_MS, self, self._look_again)

    def _look_again(self) -> None:
        if "signal" in self._running:
            self._watch()

    def _calibrate(self) -> None:
        if (before := self._running.get("calibrate")) and before.running:
            saving = "The calibration before is still being saved: start again in a moment."
            self.news.emit(n.Failed(order=Order.CALIBRATE, detail=saving))
            return
        stem = f"{self._values['participant']}-{datetime.now():%Y%m%d-%H%M%S}"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._values["recording"] = str(self._folder / f"{stem}.xdf")
        self._values["bundle"] = str(self._folder / f"{stem}.bundle")
        self._start("calibrate", self._calibrated)
        self._open_screen("screen_calibrate")

    def _end_calibration(self) -> None:
        if command := self._running.get("calibrate"):
            command.end()

    def _calibrated(self, told: Told) -> None:
        self._close_screen()
        if not told.facts or not told.ok:
            self.news.emit(n.Failed(order=Order.CALIBRATE, detail=told.message))
            return
        facts, fit = told.facts, told.facts.get("fit")
        self._values["task"] = str(facts.get("task", ""))
        self._values["classes"] = ",".join(facts.get("plan", {}).get("classes", ()))
        found = re.search(r"--stop-s (\S+)", fit or "")
        self._values["stop_s"] = found.group(1) if found else ""
        self.news.emit(n.Calibrated(usable=bool(fit)))

    def _fit(self) -> None:
        self._start("fit", self._fitted)

    def _fitted(self, told: Told) -> None:
        if told.ok:
            self.news.emit(n.Fitted(model=model_of(told.facts.get("scores", {}))))
        else:
            self.news.emit(n.Failed(order=Order.FIT, detail=told.message))

    # ------------------------------------------------------------------------------- the screen

    def _open_screen(self, name: str) -> None:
        """Show the participant what is asked for, if there is a screen for it."""
        self._close_screen()
        if name in self._commands:
            arguments = filled(self._commands[name], self._values)
            self._running["screen"] = Command(arguments, self._screen_gone)

    def _close_screen(self) -> None:
        self._leave("screen")

    def _screen_gone(self, told: Told) -> None:
        self.news.emit(n.ScreenGone(detail=told.message))

    # ------------------------------------------------------------------------------- the session

    def _run(self) -> None:
        self._ending, self._old_doors = False, self._doors()
        if self._start("run", self._over):
            self._door.start()

    def _doors(self) -> set[Path]:
        return set(self._folder.glob(f"*/{DOOR}"))

    def _look_for_door(self) -> None:
        """The session is there when it has left word of how to control it."""
        new = self._doors() - self._old_doors
        if not new:
            return
        self._door.stop()
        folder = max(new).parent
        self._session_folder = folder
        try:
            self._feed = Feed(self._listen(folder), self.heard.emit, lambda: None)
        except DiverloopError as error:
            self._give_up(str(error))
            return
        self._feed.start()
        self._values["session"] = str(folder)
        self._open_screen("screen_run")
        self._controls = Controls(lambda: self._connect(folder))
        self._controls.answered.connect(self._answered)
        for text in self._waiting_notes:
            self._controls.ask(Action.NOTE, text=text)
        self._waiting_notes.clear()
        self.news.emit(n.LoopRuns())

    def _give_up(self, why: str) -> None:
        """A session that cannot be watched is not left running unwatched."""
        self._leave("run")
        self._session_folder = None
        self.news.emit(n.Failed(order=Order.RUN, detail=why))

    def _over(self, told: Told) -> None:
        self._door.stop()
        self._close_screen()
        folder = str(told.facts.get("recording") or self._session_folder or "")
        began = self._session_folder is not None
        self._let_go()
        if not self._ending:
            lost = n.LoopGone(detail=told.message) if began else None
            self.news.emit(lost or n.Failed(order=Order.RUN, detail=told.message))
            if folder:  # else what a loop before it left is still what there is
                self._values["recording"] = folder
            return
        self._prove(folder)

    def _prove(self, folder: str) -> None:
        self._values["recording"] = folder
        if not folder:
            self.news.emit(n.Failed(order=Order.END, detail="No recording was left."))
        elif "verify" in self._commands:
            self._start("verify", self._proven)
        else:
            self.news.emit(n.Ended(folder=folder))

    def _proven(self, told: Told) -> None:
        self.news.emit(n.Ended(folder=self._values["recording"], verified=told.facts.get("ok")))

    def _end(self) -> None:
        self._ending = True
        if (command := self._running.get("run")) and command.running:
            command.end()
        else:
            self._prove(self._values.get("recording", ""))

    def _let_go(self) -> None:
        if self._feed:
            self._feed.stop()
        if self._controls:
            self._controls.close()
        self._feed = self._controls = self._session_folder = None

    # ------------------------------------------------------------------------------- what is asked

    def _ask(self, action: Action) -> None:
        if self._controls:
            self._controls.ask(action)
        elif action is Action.RESET:
            self.news.emit(n.ResetDone())  # nothing runs, so nothing has to be asked
        elif action is Action.ARM:
            self.news.emit(n.Failed(order=Order.ARM))

    def _answered(self, answer: Answer) -> None:
        order = _ORDERS.get(answer.action)
        if order and not answer.done:
            self.news.emit(n.Failed(order=order, detail=answer.text))
            if answer.wants_code:
                self._refused = answer.action
                self.code_wanted.emit()
            command = self._running.get("run")
            if order is Order.STOP and command:
                command.end()  # a second way to the same end: outputs are neutral after it
        elif answer.action is Action.RESET:
            self.news.emit(n.ResetDone())
        elif answer.action is Action.ARM:
            held = str(State.HOLDING) in answer.text
            self.news.emit(n.GuardIs(state=State.HOLDING if held else State.ARMED))

    def _report(self) -> None:
        self._start("report", self._reported)

    def _reported(self, told: Told) -> None:
        files = told.facts.get("files") or [""]
        if told.ok and files[0]:
            self._values["report"] = str(files[0])
            self.news.emit(n.Reported(path=str(files[0])))
        else:
            self.news.emit(n.Failed(order=Order.REPORT, detail=told.message))

    def _open(self) -> None:
        if not QDesktopServices.openUrl(QUrl.fromLocalFile(self._values["report"])):
            self.news.emit(n.Failed(order=Order.OPEN, detail=self._values["report"]))


_DOES: dict[Order, Callable[[Any], None]] = {
    Order.PREFLIGHT: CommandWork._preflight,
    Order.WATCH: CommandWork._watch,
    Order.CALIBRATE: CommandWork._calibrate,
    Order.END_CALIBRATION: CommandWork._end_calibration,
    Order.FIT: CommandWork._fit,
    Order.RUN: CommandWork._run,
    Order.ARM: lambda work: work._ask(Action.ARM),
    Order.DISARM: lambda work: work._ask(Action.DISARM),
    Order.STOP: lambda work: work._ask(Action.STOP),
    Order.RESET: lambda work: work._ask(Action.RESET),
    Order.END: CommandWork._end,
    Order.REPORT: CommandWork._report,
    Order.OPEN: CommandWork._open,
}
