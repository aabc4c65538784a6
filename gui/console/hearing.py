"""What the console makes of the session's telemetry: news for its steps, and what is wrong."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping

from ...runtime.limits import State
from ...runtime.messages import Event, EventKind, Turn
from ...runtime.quality import Quality
from ...runtime.telemetry import Score, Telegram
from ..guard_words import guard_state
from .alarms import Alarm
from .news import GuardIs, Judged, News, ResetDone, SignalSeen
from .session import Output, Session

_SILENT_S = 3.0  # telemetry comes many times a second
_UNDECIDED_S = 20.0  # longer than a trial and the rest between two
_LATE_IN = 20.0  # s
_LATE_MANY = 3
_RECORDER_S = 30.0  # the recorder repeats what is still wrong more often than this
_WEAK = 0.6

Wrong = dict[Alarm, Mapping[str, str]]


class Hearing:
    """Gathers what the telemetry tells. For the window's thread.

    Attributes
    ----------
    seizure : bool
        Whether a seizure is suspected; until a person has reset the session.
    strength : float
        How sure the last decision was, 0 to 1; NaN before the first.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Know nothing any more: another session begins."""
        self.seizure = False
        self.strength = math.nan
        self.decided_s = -math.inf
        self.begin_loop(-math.inf)

    def take(self, message: Telegram, now_s: float) -> tuple[News, ...]:
        """Learn from a message.

        Parameters
        ----------
        message : Telegram
            From the wire.
        now_s : float
            When it came, on the window's clock.

        Returns
        -------
        news : tuple of News
            For `learning.learn`.
        """
        self.heard_s = now_s
        match message:
            case Quality():
                self._overall = message.overall
                bad = tuple(
                    name
                    for name, ok in zip(message.channels, message.usable, strict=True)
                    if not ok
                )
                return (SignalSeen(electrodes=len(message.channels), bad=bad),)
            case Turn():
                return self._turn(message, now_s)
            case Score():
                return (Judged(hits=message.hits, trials=message.trials),)
            case Event():
                return self._event(message, now_s)
        return ()

    def wrong(self, session: Session, now_s: float, lost: int = 0) -> Wrong:
        """What is wrong at this moment.

        Parameters
        ----------
        session : Session
            As the steps know it.
        now_s : float
            On the window's clock.
        lost : int
            Messages that this window was too slow for.

        Returns
        -------
        wrong : dict of Alarm to mapping
            With what is put into the sentences.
        """
        found: Wrong = {}
        live = session.output in (Output.ON, Output.HOLDING)
        answers = {
            Alarm.STOP_UNANSWERED: session.trouble == "trouble_stop",
            Alarm.SEIZURE: self.seizure,
            Alarm.STOPPED: session.output is Output.STOPPED,
            Alarm.LOOP_GONE: session.trouble == "trouble_gone"
            or (session.running and self._silent(now_s)),
            Alarm.RECORDER: now_s - self._recorder_s < _RECORDER_S,
            Alarm.SIGNAL_LOST: self.lost_signal,
            Alarm.LATE: self._late(now_s),
            Alarm.QUIET: live and now_s - self.decided_s > _UNDECIDED_S,
            Alarm.NOT_DONE: session.trouble not in ("", "trouble_gone", "trouble_stop"),
            Alarm.BREAK_DUE: self.break_due and live,
            Alarm.WEAK_SIGNAL: self._overall < _WEAK and not session.too_many_bad,
            Alarm.MESSAGES_LOST: lost > 0,
        }
        for alarm, so in answers.items():
            if so:
                found[alarm] = {}
        if session.too_many_bad:
            found[Alarm.ELECTRODES] = {"count": str(len(session.bad)), "names": session.named_bad}
        return found

    def begin_block(self, now_s: float) -> None:
        """Feedback begins: no decision is missed from before, and a break is not due any more."""
        self.decided_s, self.break_due = now_s, False

    def begin_loop(self, now_s: float) -> None:
        """The loop begins: it is given time to say its first word, and what ailed another is over.

        A suspected seizure is not: it stays until a person has reset the session.
        """
        self.heard_s, self._recorder_s = now_s, -math.inf
        self.break_due = self.lost_signal = False
        self._late_s: deque[float] = deque(maxlen=_LATE_MANY)
        self._overall = 1.0

    def reset(self) -> None:
        """A person has released the stop, even if the loop that would tell so is gone."""
        self.seizure = False

    def _silent(self, now_s: float) -> bool:
        return now_s - self.heard_s > _SILENT_S

    def _late(self, now_s: float) -> bool:
        return len(self._late_s) == _LATE_MANY and now_s - self._late_s[0] < _LATE_IN

    def _turn(self, turn: Turn, now_s: float) -> tuple[News, ...]:
        if turn.decision.label is not None:
            self.decided_s = now_s
        if "seizure" in turn.decision.reason:  # a console that was started later learns it here
            self.seizure = True
        self.strength = turn.command.strength
        return ()

    def _event(self, event: Event, now_s: float) -> tuple[News, ...]:
        match event.kind:
            case EventKind.GUARD:
                return self._guard(event.text)
            case EventKind.SEIZURE:
                self.seizure = True
            case EventKind.RECORDER:
                self._recorder_s = now_s
            case EventKind.MISSED | EventKind.LATE:
                self._late_s.append(now_s)
            case EventKind.STALE | EventKind.SOURCE_LOST:
                self.lost_signal = True
            case EventKind.FRESH | EventKind.SOURCE_BACK:
                self.lost_signal = False
            case EventKind.BREAK:
                self.break_due = True
            case EventKind.STOPPED:
                return (GuardIs(state=State.STOPPED),)
        return ()

    def _guard(self, text: str) -> tuple[News, ...]:
        """The guard's last word: ``"The guard went from stopped to disarmed."``."""
        state = guard_state(text)
        if state is None:
            return ()
        news: tuple[News, ...] = (GuardIs(state=state),)
        if f"from {State.STOPPED}" in text:  # only a person leads it out of there
            self.reset()
            return (ResetDone(), *news)
        return news
