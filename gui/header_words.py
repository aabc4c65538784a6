"""What stands in the header of the dashboard, in words; no Qt."""

from __future__ import annotations

from dataclasses import dataclass

from ..runtime.limits import State
from .guard_words import SIGNS, WORDS, guard_state
from .view_state import ViewState, count_text, label_of, ms_text, velocity_text

GOOD, DOUBTFUL, BAD, PLAIN = "good", "doubtful", "bad", "plain"
"""How a cell is meant: names of the colours of a `diverloop.gui.look.Look`."""

_LEVELS = {
    State.DISARMED: PLAIN, State.ARMED: GOOD, State.HOLDING: DOUBTFUL, State.STOPPED: BAD,
}  # fmt: skip
_OFTEN_LATE, _MUCH_LOST = 0.01, 0.001  # shares from which a figure is doubtful
_GOOD_SIGNAL, _DOUBTFUL_SIGNAL = 0.7, 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A part of the header.

    Parameters
    ----------
    name : str
        For tests and for screen readers.
    title : str
        Small, above.
    text : str
        Large.
    detail : str
        Small, below.
    level : str
        `GOOD`, `DOUBTFUL`, `BAD` or `PLAIN`; the words say the same.
    """

    name: str
    title: str
    text: str
    detail: str = ""
    level: str = PLAIN


def cells(state: ViewState) -> tuple[Cell, ...]:
    """Everything that the header says.

    Parameters
    ----------
    state : ViewState
        With `ViewState.now_ns` of now.

    Returns
    -------
    cells : tuple of Cell
        From the left to the right.
    """
    return (
        decided(state), guard(state), signal(state), latency(state), samples(state), view(state),
    )  # fmt: skip


def decided(state: ViewState) -> Cell:
    """What is decided now."""
    turn = state.turn
    if turn is None:
        return Cell(name="decided", title="decided now", text="—", detail="nothing yet")
    decision, command = turn.decision, turn.command
    certainty = max(decision.probabilities, default=float("nan"))
    if decision.label is None:
        text, detail, level = "neutral", decision.reason, DOUBTFUL
    else:
        text, level = label_of(state).lower(), PLAIN
        detail = f"probability {certainty:.2f}"
        if command.label is None:
            detail += ", held back"
    if command.velocity:
        detail = velocity_text(command)
    return Cell(name="decided", title="decided now", text=text, detail=detail, level=level)


def guard(state: ViewState) -> Cell:
    """Where the guard is, in words and as a sign."""
    now = guard_state(state.guard)
    if now is None:
        detail = "waiting for its word" if state.heard_at_ns else "nothing heard yet"
        return Cell(name="guard", title="guard", text="? unknown", detail=detail, level=DOUBTFUL)
    text = f"{SIGNS[now]} {now}"
    detail, level = WORDS[now], _LEVELS[now]
    if state.seizure:
        detail, level = "suspected seizure (research guard)", BAD
    return Cell(name="guard", title="guard", text=text, detail=detail, level=level)


def signal(state: ViewState) -> Cell:
    """How good the signal is."""
    quality = state.quality
    if quality is None:
        return Cell(name="signal", title="signal", text="—", detail="not judged yet")
    overall = quality.overall
    word, level = "bad", BAD
    if overall >= _GOOD_SIGNAL:
        word, level = "good", GOOD
    elif overall >= _DOUBTFUL_SIGNAL:
        word, level = "doubtful", DOUBTFUL
    masked = int((~quality.usable).sum())
    names = [n for n, usable in zip(quality.channels, quality.usable, strict=True) if not usable]
    detail = f"masked: {masked} of {len(quality.channels)}" if masked else "none masked"
    if 0 < masked <= 2:
        detail = f"masked: {', '.join(names)}"
    text = f"{word} {overall:.2f}"
    return Cell(name="signal", title="signal", text=text, detail=detail, level=level)


def latency(state: ViewState) -> Cell:
    """From sample to act."""
    report = state.latency()
    total = report.stages[-1]
    missed, skipped = report.missed_deadlines, report.skipped_late
    text = f"{ms_text(total.p50_ms)} / {ms_text(total.p99_ms)} ms"
    late = [f"{missed} missed"] * bool(missed) + [f"{skipped} skipped"] * bool(skipped)
    often = missed + skipped > _OFTEN_LATE * max(report.windows_due, 1)
    return Cell(
        name="latency",
        title="sample to act, p50 / p99",
        text=text,
        detail=", ".join(late) or "no deadline missed",
        level=DOUBTFUL if often else PLAIN,
    )


def samples(state: ViewState) -> Cell:
    """How much has come, and what is missing."""
    rate_hz = state.spec.rate_hz if state.spec else 0.0
    text = count_text(state.n_samples)
    if rate_hz:
        minutes, seconds = divmod(int(state.n_samples / rate_hz), 60)
        text = f"{minutes}:{seconds:02d} min"
    return Cell(
        name="samples",
        title=f"{count_text(state.n_samples)} samples" if rate_hz else "samples",
        text=text,
        detail=_gaps(state) if state.spec else "stream not known yet",
        level=DOUBTFUL if state.n_lost > _MUCH_LOST * state.n_samples else PLAIN,
    )


def _gaps(state: ViewState) -> str:
    if not state.n_gaps:
        return "no gap"
    gaps = "1 gap" if state.n_gaps == 1 else f"{state.n_gaps} gaps"
    return f"{gaps}, {count_text(state.n_lost)} lost"


def view(state: ViewState) -> Cell:
    """Whether what is shown is all, and of now."""
    title = "this view"
    if state.heard_at_ns is None:
        return Cell(
            name="view", title=title, text="waiting", detail="no message yet", level=DOUBTFUL
        )
    if state.silent_s:
        text = f"silent {state.silent_s:.0f} s"
        return Cell(name="view", title=title, text=text, detail="session ended?", level=BAD)
    found = []
    if state.missed_messages:
        found.append(f"{count_text(state.missed_messages)} messages lost")
    if state.unreadable:
        found.append(f"{count_text(state.unreadable)} unreadable")
    return Cell(
        name="view",
        title=title,
        text="live",
        detail=", ".join(found) or "nothing lost",
        level=DOUBTFUL if found else GOOD,
    )


def replayed(playing: bool, speed: float) -> Cell:
    """In place of `view`, for a recording."""
    text = f"▶ {speed:g} x" if playing else "‖ paused"
    return Cell(name="view", title="this recording", text=text, detail="decided then, not now")


def silence(state: ViewState) -> str:
    """What to say across the whole window when nothing comes; empty while something does."""
    if not state.silent_s:
        return ""
    return f"Silent for {state.silent_s:.0f} s: has the session ended? Everything below is old."
