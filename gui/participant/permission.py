"""Whether the session lets stimuli run: still is the default, and whatever is doubtful means still.

No Qt here, and no clock: silence is counted in frames.
"""

from __future__ import annotations

from ...runtime.limits import State
from ...runtime.messages import Event, EventKind, Turn
from ...runtime.telemetry import Telegram
from ..guard_words import guard_state

SILENT_S = 2.0
"""After so long without a message nothing runs: who would stop it?"""

UNHEARD = "no session is heard yet"
SILENT = f"nothing has come from the session for {SILENT_S:g} s"
UNARMED = "the guard has not been armed yet"
ENDED = "the session can decode nothing any more"

_ON = (State.ARMED, State.HOLDING)


class Permission:
    """Hears the session, and says in each frame why nothing may run; or that it may.

    Parameters
    ----------
    rate_hz : float
        Frames a second.
    armed : bool
        Whether the guard has to be armed. A calibration arms nothing: there it is enough that a
        session is heard; a stop, or disarming what was armed, makes still all the same, until a
        person at the screen calls `start`.
    """

    def __init__(self, rate_hz: float, *, armed: bool = True) -> None:
        self._silent_frames = round(SILENT_S * rate_hz)
        self._armed = armed
        self._state: State | None = None
        self._blocked = UNARMED if armed else ""
        self._fresh, self._heard = False, -1

    def take(self, message: Telegram) -> None:
        """Learn from a message of the session."""
        self._fresh = True
        match message:
            case Event(kind=EventKind.GUARD):
                self._hear_guard(guard_state(message.text))
            case Event(kind=EventKind.STOPPED | EventKind.SEIZURE):
                self._hear_guard(State.STOPPED)
            case Event(lasting=True):
                self.block(ENDED)
            case Turn() if message.command.label is None:
                # An event may be lost on the way, and a decision tells the same; it can only make
                # still, for it may have been on its way when somebody pressed stop.
                state = guard_state(message.command.reason)
                if state in (State.STOPPED, State.DISARMED):
                    self._hear_guard(state)

    def look(self, frame: int) -> str:
        """Why nothing may run in a frame; empty if it may.

        Parameters
        ----------
        frame : int
            Number of the frame.

        Returns
        -------
        reason : str
            In words for whoever watches over the session.
        """
        if self._fresh:
            self._fresh, self._heard = False, frame
        if self._heard < 0:
            return UNHEARD
        if frame - self._heard > self._silent_frames:
            return SILENT
        return self._blocked

    def block(self, reason: str) -> None:
        """Let nothing run until the guard is armed anew, or a person calls `start`."""
        self._blocked = reason

    def start(self) -> None:
        """A person at the screen lets it go on; neither past a stop, nor where arming is asked."""
        if self._state is State.STOPPED or (self._armed and self._state not in _ON):
            return
        self._blocked = ""

    def _hear_guard(self, state: State | None) -> None:
        before, self._state = self._state, state or self._state
        if state is None or state is before:
            return
        if state in _ON:
            self._blocked = "" if before not in _ON else self._blocked
        elif self._armed or state is State.STOPPED or before is not None:
            self._blocked = f"guard is {state}"
