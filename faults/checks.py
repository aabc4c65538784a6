"""What is looked at after a fault: six questions to every session, answered from what it left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..proving import verify
from ..runtime.errors import DiverloopError
from ..runtime.messages import Decision, EventKind
from ..runtime.record.audit import read_audit, verify_audit
from ..runtime.record.layout import SIGNAL
from ..runtime.record.link import FILE
from ..runtime.record.reading import open_record
from ..runtime.record.xdf_read import NumericSamples, XdfReader
from .matrix import Row
from .rig import LOOP, WINDOW, Outcome

QUESTIONS = ("went on", "safe", "nothing lost", "told once", "on record", "verifies")
"""Every column of the report; what does not apply to a row is left out of its findings."""

ORDINARY = frozenset(
    {
        EventKind.GUARD, EventKind.LATE, EventKind.MISSED, EventKind.OVERFLOW,
        EventKind.BAD_CHANNEL, EventKind.SENT,
    }
)  # fmt: skip
"""Told on any busy day, or at the end of each session; the guard has a limit of its own."""

MOST_GUARD = 8
LONGEST = 400
NEUTRAL_WITHIN_S = LOOP.stale_s + WINDOW.step_s

Calm = Mapping[tuple[int, int], Decision]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The answer to one question.

    Parameters
    ----------
    question : str
        Out of `QUESTIONS`, or what the trial itself has looked at.
    wrong : str
        What is not as it must be; empty if all is.
    """

    question: str
    wrong: str = ""

    @property
    def ok(self) -> bool:
        """Whether all is as it must be."""
        return not self.wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of a row.

    Parameters
    ----------
    row : Row
        Which.
    findings : tuple of Finding
        What was looked at.
    said : tuple of str
        What people were told, in order.
    took_s : float
        How long it took.
    pending : str
        Why it was not tried; empty if it was.
    """

    row: Row
    findings: tuple[Finding, ...] = ()
    said: tuple[str, ...] = ()
    took_s: float = 0.0
    pending: str = field(default="")

    @property
    def ok(self) -> bool:
        """Whether everything was as it must be; not if nothing was looked at."""
        return bool(self.findings) and all(finding.ok for finding in self.findings)

    def wrong(self) -> tuple[str, ...]:
        """What was not, in sentences."""
        return tuple(f"{one.question}: {one.wrong}" for one in self.findings if one.wrong)


def judge(
    row: Row, outcome: Outcome, *, calm: Calm | None = None, proof: bool = True
) -> tuple[Finding, ...]:
    """Ask everything that applies to a session.

    Parameters
    ----------
    row : Row
        What had to happen.
    outcome : Outcome
        What was seen.
    calm : mapping, optional
        Decisions of a session without a fault, by their window.
    proof : bool
        Whether the session is replayed, too.

    Returns
    -------
    findings : tuple of Finding
        One for each question, and those of the trial.
    """
    asked = [
        Finding(question="went on", wrong=_not_on(outcome)),
        Finding(question="safe", wrong=_unsafe(row, outcome, calm)),
        Finding(question="nothing lost", wrong=_lost(outcome)),
        Finding(question="told once", wrong=_ill_told(row, outcome)),
        Finding(question="on record", wrong=_off_record(row, outcome)),
        Finding(question="verifies", wrong=_unproved(row, outcome, proof)),
    ]
    return (*asked, *(Finding(question=key, wrong=text) for key, text in outcome.extra.items()))


def decisions_by_window(outcome: Outcome) -> dict[tuple[int, int], Decision]:
    """Decisions that have probabilities, by the first and the stop sample of their window."""
    return {
        (one.first_sample, one.stop_sample): one
        for _, one, _ in outcome.seen
        if np.isfinite(one.probabilities).all()
    }


def sentence_fault(text: str) -> str:
    """What keeps a text from being a plain sentence; empty if nothing does."""
    if not (text[:1].isalnum() or text[:1] == "/"):  # a path may come first
        return f"begins like no sentence: {text[:60]!r}"
    if text[-1] not in ".!?":
        return f"has no end: {text[-60:]!r}"
    if "Traceback" in text or "\n" in text or len(text) > LONGEST:
        return f"is no plain sentence: {text[:60]!r}..."
    return ""


def _not_on(outcome: Outcome) -> str:
    if outcome.error is None:
        return ""
    return f"the loop ended with {type(outcome.error).__name__}: {outcome.error}"


def _unsafe(row: Row, outcome: Outcome, calm: Calm | None) -> str:
    return next(_dangers(row, outcome, calm), "")


def _dangers(row: Row, outcome: Outcome, calm: Calm | None) -> Iterator[str]:
    passed = [(at, one, command) for at, one, command in outcome.seen if command.label is not None]
    if row.commands and len(passed) < 10:
        yield f"only {len(passed)} commands passed at all, so nothing is shown"
    for _, one, command in passed:
        if not np.isfinite(one.probabilities).all() or not np.isfinite(command.strength):
            yield f"{command.label} was commanded with no number behind it"
        for first, stop in outcome.invalid:
            if first < one.stop_sample and one.first_sample < stop:
                yield f"{command.label} was commanded from samples {first} to {stop}, which are bad"
    for first_s, stop_s in outcome.silences_s:
        yield from _moving(outcome, first_s + NEUTRAL_WITHIN_S, stop_s)
    if (after_s := row.settings.get("neutral_after_s")) is not None:
        yield from _moving(outcome, float(after_s), np.inf)
    if row.calm and calm is not None:
        yield from _otherwise(outcome, calm)


def _moving(outcome: Outcome, first_s: float, stop_s: float) -> Iterator[str]:
    """Commands that stand, or come, between two moments."""
    standing: str | None = None
    for at_ns, _, command in outcome.seen:
        at_s = (at_ns - outcome.opened_ns) / 1e9
        if at_s >= stop_s:
            break
        if at_s >= first_s and command.label is not None:
            yield f"{command.label} was commanded at {at_s:.2f} s, where output must be neutral"
        if at_s < first_s:
            standing = command.label
    if standing is not None and first_s < stop_s:
        yield f"{standing} still stood at {first_s:.2f} s, where output must be neutral"


def _otherwise(outcome: Outcome, calm: Calm) -> Iterator[str]:
    got = decisions_by_window(outcome)
    if set(got) != set(calm):
        yield f"{len(got)} windows were decided, {len(calm)} are without the fault"
        return
    for window, decision in got.items():
        if not np.array_equal(decision.probabilities, calm[window].probabilities):
            yield f"the window at sample {window[0]} was decided otherwise than without the fault"


def _lost(outcome: Outcome) -> str:
    if outcome.folder is None or outcome.delivered is None:
        return ""
    try:
        rows = recorded_rows(outcome.folder)
    except DiverloopError as error:
        return str(error)
    if rows.shape != outcome.delivered.shape:
        return f"{len(outcome.delivered)} samples came, {len(rows)} are in the recording"
    same = np.array_equal(rows, outcome.delivered, equal_nan=True)
    return "" if same else "the recording holds other samples than those that came"


def recorded_rows(folder: Path) -> NDArray[np.float32]:
    """Rows of the signal in a recording, as they came.

    Parameters
    ----------
    folder : Path
        The session's.

    Returns
    -------
    rows : ndarray, shape (n_rows, n_channels)
        In the order of the file.
    """
    blocks = [
        np.asarray(one.values, np.float32)
        for one in XdfReader(folder / FILE)
        if isinstance(one, NumericSamples) and one.stream_id == SIGNAL
    ]
    return np.concatenate(blocks) if blocks else np.empty((0, 0), np.float32)


def _ill_told(row: Row, outcome: Outcome) -> str:
    counts = Counter(event.kind for event in outcome.events)
    for kind in row.told:
        if not counts[kind]:
            return f"nobody was told of {kind}"
    allowed = {*row.told, *row.may}
    for kind, count in counts.items():
        if kind not in allowed | ORDINARY:
            text = next(event.text for event in outcome.events if event.kind is kind)
            return f"{kind} was told, and is not a consequence: {text}"
        most = MOST_GUARD if kind is EventKind.GUARD else row.most
        if kind in {*row.told, EventKind.GUARD} and count > most:
            return f"{kind} was told {count} times, {most} are enough"
    return next(filter(None, (sentence_fault(event.text) for event in outcome.events)), "")


def _off_record(row: Row, outcome: Outcome) -> str:
    if outcome.folder is None:
        return ""
    verdict = verify_audit(outcome.folder)
    if not verdict.ok:
        return f"the audit log does not hold: {verdict.first_fault}"
    said = {entry.why for entry in read_audit(outcome.folder)}
    for kind in row.told:
        told = [event.text for event in outcome.events if event.kind is kind]
        if told and not said & set(told):
            return f"the audit log has no entry for {kind}"
    return ""


def _unproved(row: Row, outcome: Outcome, proof: bool) -> str:
    if outcome.folder is None:
        return ""
    try:
        if not proof:
            record = open_record(outcome.folder)
            return "; ".join(record.remarks)
        found = verify(outcome.folder)
    except DiverloopError as error:
        return str(error)
    if not found.audit.ok or found.recording_fault or not found.sealed:
        return " ".join(found.sentences())
    if row.replays and not found.ok:
        return " ".join(found.sentences())
    return ""
