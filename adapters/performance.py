"""How a recorded session went: every trial judged, block by block, and how far confidence is true.

References
----------
Naeini, Cooper, Hauskrecht. Obtaining well calibrated probabilities using Bayesian binning. AAAI,
2015: confidence against share right, in bins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from ..runtime.collection import TrialSpan
from ..runtime.messages import Marker, StreamSpec, Turn
from ..runtime.record.report import Judged, Performance, ReliabilityBin, Score
from .scorer import watch_whole
from .scores import accuracy_report, information_transfer_rate
from .trial_scorer import TrialScorer

_PAUSE_S = 20.0  # between two cues: a break that divides blocks,
_PAUSE_STEPS = 3  # if it is also so many times longer than from one cue to the next
_PARTS = 4  # of a session without breaks, so that learning or tiring can be seen
_FEWEST = 5  # trials in a part
_BINS = 8


def judge(
    spec: StreamSpec, markers: Sequence[Marker], turns: Sequence[Turn], span: TrialSpan
) -> Performance | None:
    """Judge the decisions of a session by its cues.

    Parameters
    ----------
    spec : StreamSpec
        The signal.
    markers : sequence of Marker
        In order.
    turns : sequence of Turn
        In order.
    span : TrialSpan
        Which markers begin a trial, and which part of it counts.

    Returns
    -------
    performance : Performance or None
        None if no trial was decided.
    """
    scorer = TrialScorer(span)
    watch_whole(scorer, spec, markers, turns)
    outcomes = _over(scorer.outcomes(), turns, round(span.stop_s * spec.rate_hz))
    if all(predicted is None for _, predicted in outcomes):
        return None
    trials = [
        Judged(cue=cue.label, predicted=predicted, onset_sample=cue.sample, block=name)
        for name, part in _blocks(outcomes, spec.rate_hz)
        for cue, predicted in part
    ]
    names = list(dict.fromkeys(trial.block for trial in trials))
    selection_s = _selection_s([cue for cue, _ in outcomes], spec.rate_hz)
    blocks = [
        _score(name, [trial for trial in trials if trial.block == name], span, selection_s)
        for name in names
    ]
    overall = _score("whole session", trials, span, selection_s)
    assert overall is not None
    return Performance(
        overall=overall,
        blocks=tuple(block for block in blocks if block is not None),
        reliability=tuple(_reliability(turns, markers, span, spec.rate_hz)),
        trials=tuple(trials),
    )


_Outcome = tuple[Marker, str | None]


def _over(outcomes: Sequence[_Outcome], turns: Sequence[Turn], length: int) -> tuple[_Outcome, ...]:
    """Without trials that the end of the session cut off before anything was decided."""
    end = max((turn.decision.stop_sample for turn in turns), default=-1)
    return tuple(
        (cue, predicted)
        for cue, predicted in outcomes
        if predicted is not None or cue.sample + length <= end
    )


def _blocks(
    outcomes: Sequence[_Outcome], rate_hz: float
) -> Iterator[tuple[str, Sequence[_Outcome]]]:
    """Parts of a session: between its breaks, or quarters if it has none."""
    n = len(outcomes)
    steps = np.diff([cue.sample for cue, _ in outcomes])
    longest = max(_PAUSE_S * rate_hz, _PAUSE_STEPS * np.median(steps)) if n > 1 else 0
    pauses = [place for place, step in enumerate(steps.tolist(), start=1) if step > longest]
    if not pauses and n >= _PARTS * _FEWEST:
        pauses = [round(n * part / _PARTS) for part in range(1, _PARTS)]
    for start, stop in pairwise([0, *pauses, n]):
        yield f"trials {start + 1} to {stop}", outcomes[start:stop]


def _selection_s(cues: Sequence[Marker], rate_hz: float) -> float:
    steps = np.diff([cue.sample for cue in cues])
    return float(np.median(steps)) / rate_hz if len(steps) else 0.0


def _score(
    name: str, trials: Sequence[Judged], span: TrialSpan, selection_s: float
) -> Score | None:
    decided = [(trial.cue, trial.predicted) for trial in trials if trial.predicted is not None]
    if not decided:
        return None
    report = accuracy_report(
        [cue for cue, _ in decided], [predicted for _, predicted in decided], span.classes
    )
    n_classes = len(span.classes)
    rate = None
    if selection_s > 0 and n_classes > 1:
        # A trial without an answer takes its time, too, and carries nothing.
        answer_s = selection_s * len(trials) / len(decided)
        rate = information_transfer_rate(report.accuracy, n_classes, answer_s)
    return Score(
        name=name,
        n=report.n,
        n_correct=report.n_correct,
        accuracy=report.accuracy,
        interval=report.interval,
        chance=report.chance,
        p_value=report.p_value,
        n_abstained=len(trials) - len(decided),
        itr_bits_per_min=rate,
    )


def _reliability(
    turns: Sequence[Turn], markers: Sequence[Marker], span: TrialSpan, rate_hz: float
) -> Iterator[ReliabilityBin]:
    """Decisions inside trials in order of confidence, in bins that hold equally many."""
    judged = []
    for turn in turns:
        decision = turn.decision
        if decision.label is None:
            continue
        trial = span.trial_of(decision, markers, rate_hz)
        if trial >= 0:
            confidence = float(np.max(decision.probabilities))
            judged.append((confidence, decision.label == span.label(markers, trial)))
    judged.sort()
    for part in np.array_split(np.array(judged, float).reshape(-1, 2), _BINS):
        if len(part):
            confidence, right = part.mean(axis=0)
            yield ReliabilityBin(
                confidence=float(confidence), share_right=float(right), n=len(part)
            )
