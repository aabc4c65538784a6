"""A session that only seems to happen: for staff who practise, and for tests."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

import numpy as np
from PySide6.QtCore import QObject, QTimer, Signal

from ...runtime.guard import Guard
from ...runtime.guard import Signal as GuardSignal
from ...runtime.limits import State
from ...runtime.messages import (
    Channel,
    Command,
    Decision,
    Event,
    EventKind,
    StageTimes,
    StreamSpec,
    Turn,
)
from ...runtime.quality import Quality
from ...runtime.telemetry import Score
from . import news as n
from .session import Found, Model, Order, Session

ELECTRODES = (
    "Fp1", "Fp2", "F3", "Fz", "F4", "T7", "C3", "Cz", "C4", "T8", "P3", "Pz", "P4", "O1", "Oz",
    "O2",
)  # fmt: skip
_TICK_S = 0.05
_TRIALS = 20
_CLASSES = ("left", "right")


class Fault(StrEnum):
    """What goes wrong in a rehearsal."""

    NONE = "none"
    EQUIPMENT = "equipment"  # the first pre-flight check fails
    ELECTRODES = "electrodes"  # four are bad for the first half minute
    POOR_MODEL = "poor_model"  # the first calibration is no better than guessing
    FIT = "fit"  # the first fit fails
    LOOP = "loop"  # the session ends by itself soon after feedback began
    SEIZURE = "seizure"  # a seizure is suspected soon after feedback began
    DISK = "disk"  # the recorder complains soon after feedback began
    DEAF = "deaf"  # nobody answers the stop


class RehearsedWork(QObject):
    """Plays a session: no electrode, no loop, no file, but the same words at the same places.

    Its guard is the product's own, so what may follow what is as in a real session.

    Parameters
    ----------
    speed : float
        How much faster than life; 0 stands still until `tick` is called.
    fault : Fault
        What goes wrong.
    known : bool
        Whether the participant has a calibration of today.
    seed : int
        Of the decisions.
    """

    news = Signal(object)
    heard = Signal(object)
    code_wanted = Signal()
    lost = 0

    def __init__(
        self, speed: float = 1.0, fault: Fault = Fault.NONE, *, known: bool = False, seed: int = 0
    ) -> None:
        super().__init__()
        self.fault = fault
        self.notes: list[str] = []
        """What was noted."""
        self.orders: list[Order] = []
        """What was ordered, in order."""
        self._known, self._speed = known, speed
        self._rng = np.random.default_rng(seed)
        self._now_s = 0.0
        self._due: list[tuple[float, Callable[[], None]]] = []
        self._guard = Guard()
        self._running = self._watching = False
        self._calibrating = -1
        self._checks = self._fits = self._judged = self._right = 0
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.tick)
        if speed:
            self._timer.start(int(_TICK_S * 1000))

    def do(self, order: Order, session: Session) -> None:
        """Seem to do something.

        Parameters
        ----------
        order : Order
            What.
        session : Session
            As it is now.
        """
        self.orders.append(order)
        does: dict[Order, Callable[[], None]] = {
            Order.PREFLIGHT: lambda: self._after(3.0, self._checked),
            Order.WATCH: self._watch,
            Order.CALIBRATE: self._calibrate,
            Order.END_CALIBRATION: self._end_calibration,
            Order.FIT: lambda: self._after(6.0, self._fitted),
            Order.RUN: lambda: self._after(3.0, self._runs),
            Order.ARM: lambda: self._signal(GuardSignal.PERSON_ARMS),
            Order.DISARM: lambda: self._signal(GuardSignal.PERSON_DISARMS),
            Order.STOP: self._stop,
            Order.RESET: self._reset,
            Order.END: lambda: self._after(4.0, self._ended),
            Order.REPORT: lambda: self._after(
                4.0, lambda: self.news.emit(n.Reported(path="rehearsal/report.html"))
            ),
            Order.OPEN: lambda: None,
        }
        does[order]()

    def note(self, text: str) -> None:
        """Remember a note.

        Parameters
        ----------
        text : str
            The note.
        """
        self.notes.append(text)

    def code(self, text: str) -> None:
        """Nothing: nobody is locked in a rehearsal."""

    def close(self) -> None:
        """Play no more."""
        self._timer.stop()

    def tick(self, seconds: float | None = None) -> None:
        """Let time pass.

        Parameters
        ----------
        seconds : float, optional
            How much; what the timer counts by default.
        """
        until_s = self._now_s + (_TICK_S * self._speed if seconds is None else seconds)
        while due := [one for one in self._due if one[0] <= until_s]:
            first = min(due, key=lambda one: one[0])
            self._due.remove(first)
            self._now_s = max(self._now_s, first[0])
            first[1]()
        self._now_s = until_s

    def _after(self, seconds: float, does: Callable[[], None]) -> None:
        self._due.append((self._now_s + seconds, does))

    # ----------------------------------------------------------------------------- before feedback

    def _checked(self) -> None:
        self._checks += 1
        broken = self.fault is Fault.EQUIPMENT and self._checks == 1
        findings = (
            Found(name="session", ok=True),
            Found(name="settings", ok=True),
            Found(name="free disk", ok=not broken, detail="0.2 GB free: make room" * broken),
            Found(name="machine", ok=True),
        )
        model = _model(0.86) if self._known else None
        self.news.emit(n.PreflightDone(findings=findings, model=model))

    def _watch(self) -> None:
        if not self._watching:
            self._watching = True
            channels = tuple(Channel(name=name, kind="eeg") for name in ELECTRODES)
            self.heard.emit(StreamSpec(name="rehearsal", rate_hz=250.0, channels=channels))
            self._look()

    def _look(self) -> None:
        bad = ELECTRODES[5:9] if self.fault is Fault.ELECTRODES and self._now_s < 30 else ()
        scores = [0.1 if name in bad else self._rng.uniform(0.85, 1) for name in ELECTRODES]
        self.heard.emit(
            Quality(
                channels=ELECTRODES,
                scores=np.array(scores),
                causes=tuple("no contact" if name in bad else "" for name in ELECTRODES),
                usable=np.array([name not in bad for name in ELECTRODES]),
            )
        )
        self._after(1.0, self._look)

    def _calibrate(self) -> None:
        self._calibrating = 0
        self.news.emit(n.CalibrationWent(done=0, of=_TRIALS))
        self._after(1.5, self._trial)

    def _trial(self) -> None:
        if self._calibrating < 0:
            return
        self._calibrating += 1
        self.news.emit(n.CalibrationWent(done=self._calibrating, of=_TRIALS))
        if self._calibrating < _TRIALS:
            self._after(1.5, self._trial)
        else:
            self._calibrating = -1
            self.news.emit(n.Calibrated())

    def _end_calibration(self) -> None:
        enough = self._calibrating >= _TRIALS // 2
        if self._calibrating >= 0:
            self._calibrating = -1
            self.news.emit(n.Calibrated(usable=enough))

    def _fitted(self) -> None:
        self._fits += 1
        if self.fault is Fault.FIT and self._fits == 1:
            self.news.emit(n.Failed(order=Order.FIT, detail="too few good trials of 'left'"))
            return
        poor = self.fault is Fault.POOR_MODEL and self._fits == 1
        self.news.emit(n.Fitted(model=_model(0.55 if poor else 0.86)))

    # ----------------------------------------------------------------------------- the loop

    def _runs(self) -> None:
        self._running, self._guard = True, Guard()
        self._judged = self._right = 0
        self.news.emit(n.LoopRuns())
        self._tell_guard("The guard is disarmed.")
        self._after(0.5, self._turn)

    def _signal(self, signal: GuardSignal) -> None:
        before = self._guard.state
        if self._running and self._guard.tell(signal):
            self._tell_guard(f"The guard went from {before} to {self._guard.settled()}.")
        if signal is GuardSignal.PERSON_ARMS and self._guard.state is State.ARMED:
            self._after(8.0, self._go_wrong)

    def _stop(self) -> None:
        if self.fault is Fault.DEAF and self._running:
            self.news.emit(n.Failed(order=Order.STOP, detail="Nobody answered within 2 s."))
            return
        self._signal(GuardSignal.EMERGENCY_STOP)

    def _reset(self) -> None:
        self._signal(GuardSignal.PERSON_RESETS)
        self.news.emit(n.ResetDone())

    def _go_wrong(self) -> None:
        if self._guard.state is not State.ARMED:
            return
        match self.fault:
            case Fault.LOOP:
                self.fault, self._running = Fault.NONE, False
                self.news.emit(n.LoopGone(detail="It ended with status 1."))
            case Fault.SEIZURE:
                self._event(EventKind.SEIZURE, "Seizure-like activity on T7, C3.")
                self._signal(GuardSignal.SEIZURE_SUSPECTED)
                self.fault = Fault.NONE
            case Fault.DISK:
                self._event(EventKind.RECORDER, "The recording is behind: is the disk full?")

    def _turn(self) -> None:
        if not self._running:
            return
        armed = self._guard.state is State.ARMED
        share = float(np.clip(self._rng.normal(0.75, 0.2), 0.05, 0.95))
        label = _CLASSES[self._rng.integers(2)]
        decision = Decision(
            classes=_CLASSES, probabilities=np.array([share, 1 - share]), label=label
        )
        command = Command(label=label if armed else None, strength=share if armed else 0.0)
        times = dict.fromkeys(StageTimes.__dataclass_fields__, round(self._now_s * 1e9))
        self.heard.emit(Turn(decision=decision, command=command, times=StageTimes(**times)))
        if armed:
            self._judge()
        self._after(0.5, self._turn)

    def _judge(self) -> None:
        self._judged += 1
        self._right += bool(self._rng.random() < 0.84)
        if self._judged % 8 == 0:  # a trial takes about four seconds
            hits, trials = round(self._right / 8), self._judged // 8
            self.heard.emit(Score(hits=hits, trials=trials, interval=(0.0, 1.0)))

    def _ended(self) -> None:
        self._running = False
        self.news.emit(n.Ended(folder="rehearsal", verified=True))

    def _tell_guard(self, text: str) -> None:
        self._event(EventKind.GUARD, text)

    def _event(self, kind: EventKind, text: str) -> None:
        self.heard.emit(Event(kind=kind, text=text, at_ns=round(self._now_s * 1e9)))


def _model(accuracy: float) -> Model:
    return Model(
        accuracy=accuracy,
        low=accuracy - 0.13,
        high=min(accuracy + 0.09, 1.0),
        chance=0.5,
        trials=_TRIALS,
        fits_signal=True,
    )
