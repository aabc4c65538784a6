"""What a live view knows of a session, and the words for it."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from ..runtime.latency import LatencyBook, LatencyReport
from ..runtime.limits import State
from ..runtime.messages import Chunk, Command, Event, EventKind, StreamSpec, Turn
from ..runtime.quality import Quality
from ..runtime.telemetry import Score, Telegram
from .guard_words import WORDS, guard_state

HISTORY = 60
"""How many decisions a view looks back."""

DISCLAIMER = "investigational, not a medical device"
"""In every view, in the language of the view."""

SEIZURE = "SUSPECTED SEIZURE (research guard): output is stopped; a person has to reset"
"""What is shown before anything else, until a person has reset the guard."""

_SEIZURE_WORD = "seizure"  # in every reason that the loop gives while it waits for a reset
_MOST_NAMED = 4
_SILENT_S = 2.0  # a session that says nothing for so long is asked about


@dataclass(slots=True, kw_only=True)
class ViewState:
    """What the view knows, gathered from the messages it has seen.

    Parameters
    ----------
    session : str
        Name of the session, for the header.
    """

    session: str = ""
    spec: StreamSpec | None = None
    turn: Turn | None = None
    guard: str = "nothing heard from the guard yet"
    can_stop: bool = False
    last_event: str = "none so far"
    n_samples: int = 0
    n_gaps: int = 0
    n_lost: int = 0
    score: Score | None = None
    quality: Quality | None = None
    seizure: str = ""
    report: LatencyReport | None = None
    history: deque[float] = field(default_factory=lambda: deque(maxlen=HISTORY))
    book: LatencyBook = field(default_factory=LatencyBook)
    heard_at_ns: int | None = None
    now_ns: int = 0
    missed_messages: int = 0
    unreadable: int = 0

    def take(self, message: Telegram, now_ns: int) -> None:
        """Learn from one message.

        Parameters
        ----------
        message : Telegram
            From the wire.
        now_ns : int
            When it came, on the view's own clock.
        """
        self.heard_at_ns = now_ns
        match message:
            case StreamSpec():
                self.spec = message
            case Chunk():
                self.n_samples = message.stop_sample
            case Turn():
                self._take_turn(message)
            case Event():
                self._take_event(message)
            case Quality():
                self.quality = message
            case Score():
                self.score = message
            case LatencyReport():
                self.report = message

    @property
    def silent_s(self) -> float:
        """For how long nothing has been heard, where that is worth a word; else 0."""
        if self.heard_at_ns is None:
            return 0.0
        silent_s = (self.now_ns - self.heard_at_ns) / 1e9
        return silent_s if silent_s > _SILENT_S else 0.0

    def latency(self) -> LatencyReport:
        """The loop's own report if it has sent one, else what can be told from the turns seen."""
        return self.report or self.book.report()

    def _take_turn(self, turn: Turn) -> None:
        decision = turn.decision
        self.turn = turn
        self.n_samples = max(self.n_samples, decision.stop_sample)
        self.book.turn(turn.times, turn.embedding is not None, decision.reason)
        self.history.append(_probability(turn))
        if _SEIZURE_WORD in decision.reason:  # a view that was started later learns it here
            self.seizure = decision.reason

    def _take_event(self, event: Event) -> None:
        match event.kind:
            case EventKind.GUARD:
                self.guard = event.text
                if f"from {State.STOPPED}" in event.text:  # only a person brings it there
                    self.seizure = ""
                return
            case EventKind.SEIZURE:
                self.seizure = event.text
            case EventKind.GAP:
                self.n_gaps += 1
                self.n_lost += event.count
            case EventKind.LATE:
                self.book.count_skipped(event.count)
            case EventKind.MISSED:
                self.book.count_missed()
        self.last_event = event.text


def plain_line(state: ViewState) -> str:
    """The state in one line of text, for a log or a pipe.

    Parameters
    ----------
    state : ViewState
        Left as it is.

    Returns
    -------
    line : str
        Without markup and without a line break.
    """
    total = state.latency().stages[-1]
    parts = [
        f"decision {label_of(state)}{_certainty(state)}",
        f"{count_text(state.n_samples)} samples, {gaps_text(state)}",
        f"sample to act p50 {ms_text(total.p50_ms)}, p99 {ms_text(total.p99_ms)} ms",
        f"guard: {guard_text(state)}",
    ]
    if state.turn is not None and state.turn.command.velocity:
        parts.insert(1, velocity_text(state.turn.command))
    if state.quality is not None:
        parts.insert(-2, signal_text(state.quality))
    if state.score is not None:
        parts.insert(1, score_text(state.score))
    if state.seizure:
        parts.insert(0, SEIZURE)
    return "; ".join([*parts, *warnings_about(state)]).replace("\n", " ")


def warnings_about(state: ViewState) -> list[str]:
    """What makes everything else on the screen doubtful, one sentence each."""
    found = []
    if state.heard_at_ns is None:
        found.append("no message has come yet: is the session running, is the address right?")
    elif state.silent_s:
        found.append(f"silent for {state.silent_s:.0f} s, all else is old: has the session ended?")
    if state.unreadable:
        found.append(f"{state.unreadable} messages unreadable: is the sender another version?")
    if state.missed_messages:
        found.append(f"this view was too slow for {state.missed_messages} messages")
    return found


def score_text(score: Score) -> str:
    """Hits, trials, accuracy and its interval, in words."""
    if not score.trials:
        return "no trial judged yet"
    low, high = (100 * bound for bound in score.interval)
    percent = 100 * score.hits / score.trials
    return f"{score.hits} of {score.trials}: {percent:.0f} % ({low:.0f} to {high:.0f} %)"


def velocity_text(command: Command) -> str:
    """Where the output moves, and how fast, along each axis."""
    if not any(command.velocity):
        return "standing still"
    along = ", ".join(f"{part:+.2f}" for part in command.velocity)
    return f"moving {command.label} at {command.strength:.2f} ({along})"


def signal_text(quality: Quality) -> str:
    """How good the signal is, and which electrodes are masked for what reason."""
    masked = [
        f"{name} ({cause})" if cause else name
        for name, cause, usable in zip(
            quality.channels, quality.causes, quality.usable, strict=True
        )
        if not usable
    ]
    more = len(masked) - _MOST_NAMED
    named = ", ".join(masked[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
    muscle = f"muscle {quality.muscle:.2f}, " if quality.muscle else ""
    told = f"masked: {named}" if masked else "none masked"
    return f"signal: {quality.overall:.2f}, {muscle}{told}"


def guard_text(state: ViewState) -> str:
    """Where the guard is and what that means: ``"armed, commands pass"``; else what was said."""
    now = guard_state(state.guard)
    return state.guard if now is None else f"{now}, {WORDS[now]}"


def label_of(state: ViewState) -> str:
    """The decided class in capitals."""
    if state.turn is None:
        return "NOTHING YET"
    return (state.turn.decision.label or "neutral").upper()


def _certainty(state: ViewState) -> str:
    probability = math.nan if state.turn is None else _probability(state.turn)
    return "" if math.isnan(probability) else f" ({probability:.2f})"


def _probability(turn: Turn) -> float:
    """Of the decided class; NaN where the loop abstained."""
    decision = turn.decision
    for name, probability in zip(decision.classes, decision.probabilities, strict=True):
        if name == decision.label:
            return float(probability)
    return math.nan


def gaps_text(state: ViewState) -> str:
    """How many gaps there were, and how much they cost."""
    if not state.n_gaps:
        return "no gap"
    gaps = "1 gap" if state.n_gaps == 1 else f"{state.n_gaps} gaps"
    return f"{gaps} ({count_text(state.n_lost)} samples lost)"


def count_text(number: int) -> str:
    """A number with its thousands set apart."""
    return f"{number:,}".replace(",", " ")


def ms_text(value: float) -> str:
    """Milliseconds in five characters at most; a dash where there are none."""
    return "-" if math.isnan(value) else f"{value:.1f}" if value < 10_000 else f"{value:.0f}"
