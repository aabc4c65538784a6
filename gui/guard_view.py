"""What the guard does and why, gathered from messages; no Qt."""

from __future__ import annotations

from collections import Counter, deque

from ..runtime.limits import BAD_NUMBERS, EXPOSED, TOO_LATE, TOO_MANY, State
from ..runtime.messages import Event, EventKind, Turn
from ..runtime.telemetry import Telegram
from .guard_words import guard_state

MINUTE_NS = 60_000_000_000

PASSED, HELD, ABSTAINED = "passed", "held back", "abstained"
"""What can become of a window."""

_LIMITS = (BAD_NUMBERS, TOO_LATE, TOO_MANY, EXPOSED)
_QUALITY = "signal quality is"
_MOST_TURNS = 20_000  # of a minute; more than any loop decides
_MOST_REASONS = 6


class GuardView:
    """Where the guard is, what it has just let through, and what held commands back."""

    def __init__(self) -> None:
        self.state: State | None = None
        """None until the guard has been heard."""
        self.changed: str = ""
        """The guard's last sentence."""
        self.changed_ns = 0
        """When that was, loop time."""
        self.now_ns = 0
        """Loop time of the newest message."""
        self.break_due = ""
        """What people were asked."""
        self.last: Turn | None = None
        """The newest decision."""
        self._minute: deque[tuple[int, str, str]] = deque(maxlen=_MOST_TURNS)
        self._counts: Counter[tuple[str, str]] = Counter()

    def take(self, message: Telegram) -> None:
        """Learn from a message."""
        if isinstance(message, Turn):
            self._take_turn(message)
        elif isinstance(message, Event):
            self._take_event(message)

    def became(self) -> str:
        """What has become of the newest command, in words."""
        if self.last is None:
            return "No decision has come yet."
        return sentence_of(self.last)

    def reasons(self) -> list[tuple[str, str, int]]:
        """What became of the windows of the last minute: what, why, how often; most often first."""
        ordered = self._counts.most_common(_MOST_REASONS)
        return [(what, why, count) for (what, why), count in ordered]

    def total(self) -> int:
        """Windows in the last minute."""
        return len(self._minute)

    def _take_turn(self, turn: Turn) -> None:
        self.last = turn
        self.now_ns = max(self.now_ns, turn.times.acted_ns)
        if len(self._minute) == _MOST_TURNS:
            self._drop()
        what, why = outcome(turn)
        why = kind_of_reason(why)
        self._minute.append((turn.times.acted_ns, what, why))
        self._counts[what, why] += 1
        while self._minute and self.now_ns - self._minute[0][0] > MINUTE_NS:
            self._drop()

    def _drop(self) -> None:
        _, what, why = self._minute.popleft()
        self._counts[what, why] -= 1
        if not self._counts[what, why]:
            del self._counts[what, why]

    def _take_event(self, event: Event) -> None:
        self.now_ns = max(self.now_ns, event.at_ns)
        if event.kind is EventKind.GUARD:
            self.state = guard_state(event.text) or self.state
            self.changed, self.changed_ns = event.text, event.at_ns
            if self.state is not State.ARMED and self.state is not State.HOLDING:
                self.break_due = ""
        elif event.kind is EventKind.BREAK:
            self.break_due = event.text


def outcome(turn: Turn) -> tuple[str, str]:
    """What became of a window, and why.

    Parameters
    ----------
    turn : Turn
        As the loop told it.

    Returns
    -------
    what, why : str
        `PASSED`, `HELD` or `ABSTAINED`; the reason, empty if it passed.
    """
    if turn.decision.label is None:
        return ABSTAINED, turn.decision.reason or turn.command.reason
    if turn.command.label is None:
        return HELD, turn.command.reason
    return PASSED, ""


def sentence_of(turn: Turn) -> str:
    """What became of one command, in a sentence for a person."""
    what, why = outcome(turn)
    if what == PASSED:
        chosen = ", selected" if turn.command.selected else ""
        return f"Passed: {turn.command.label} at {turn.command.strength:.2f}{chosen}"
    if what == HELD:
        return f"Held back ({turn.decision.label}): {why or 'no reason given'}"
    return f"The decoder abstained: {why or 'no reason given'}"


def kind_of_reason(reason: str) -> str:
    """A reason without its numbers, so that it can be counted."""
    return "signal quality is too low" if reason.startswith(_QUALITY) else reason


def is_limit(reason: str) -> bool:
    """Whether a reason is a limit of the guard, and not its state or the decoder's doubt."""
    return reason in _LIMITS or kind_of_reason(reason) != reason
