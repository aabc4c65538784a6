"""Sections on the decoder: calibration, accuracy, confidence, delays."""

from __future__ import annotations

import numpy as np

from .course import STAGES
from .course_pictures import delays as delay_picture
from .inputs import Judged, ReliabilityBin, Score
from .markup import Html, Part, element, missing, table
from .score_pictures import blocks, intervals, reliability
from .summary import SIGNIFICANT, Facts
from .wording import (
    count,
    duration,
    listed,
    milliseconds,
    percent,
    percent_range,
    probability,
    spoken,
)

_CALIBRATION = {
    "cross_validation": "held-out trials",
    "leave_one_recording_out": "held-out recordings",
}
_STAGE_WORDS = {
    "wait": "Waiting for the sample",
    "condition": "Filtering",
    "cut": "Cutting the window",
    "encode": "Encoding",
    "decide": "Deciding",
    "feedback": "Gathering evidence",
    "act": "Guard and output",
    "loop": "From arrival to output",
    "total": "From last sample to output",
}


def calibration(facts: Facts) -> list[Part]:
    """How well the model did on data it had not seen, before the session."""
    card = facts.record.card
    if card is None:
        return [missing("No model was found beside this recording, so its calibration is unknown.")]
    found = [Score.from_plain(name, card.scores.get(key)) for key, name in _CALIBRATION.items()]
    scores = [score for score in found if score is not None]
    if not scores and "verdict" in card.scores:
        return [element("p", str(card.scores["verdict"]))]
    if not scores:
        return [missing("The model carries no scores of its own calibration.")]
    first = scores[0]
    sure = first.p_value is not None and first.p_value < SIGNIFICANT
    caption = (
        f"In calibration the model found {percent(first.accuracy)} of {count(first.n, 'trial')} it "
        f"had not been fitted on (interval {percent_range(*first.interval)}), where guessing the "
        f"commonest class would find {percent(first.chance)}"
        + (f", {probability(first.p_value)}" if first.p_value is not None else "")
        + ("." if sure else ": not clearly better than guessing.")
    )
    trained = listed([f"{data.name} ({duration(data.seconds)})" for data in card.trained_on], 4)
    words = element("p", f"Fitted on {trained}." if trained else "It is not known on what.")
    return [words, intervals("calibration", scores, caption=caption)]


def accuracy(facts: Facts) -> list[Part]:
    """How often the decoder was right, block by block."""
    performance = facts.performance
    if performance is None and facts.judged:
        return [element("p", facts.judged)]
    if performance is None:
        return [missing(_why_unscored(facts))]
    overall = performance.overall
    if not overall.n:
        text = f"The decoder gave no answer in any of {count(overall.n_abstained, 'trial')}."
        return [missing(text)]
    # A single block is the whole session, which is told anyway.
    each = performance.blocks if len(performance.blocks) > 1 else ()
    apart = [b for b in each if b.n and b.interval[0] > b.chance]
    several = len([block for block in each if block.n])
    caption = (
        f"Over all {count(overall.n, 'answered trial')} {percent(overall.accuracy)} were right"
    )
    if several:
        caption += (
            "; the thin lines are 95 % intervals, the dashed ones what guessing gives; in "
            f"{len(apart)} of {count(several, 'block')} the whole interval lies above"
        )
        drawn = blocks(overall, each, caption=f"{caption}.")
    else:
        caption += "; the line is the 95 % interval, the dashed one what guessing gives"
        drawn = intervals("blocks", [overall], caption=f"{caption}.")
    rows = [_score_row(score) for score in (*each, overall)]
    head = ("", "Right", "Accuracy", "95 % interval", "Guessing", "p", "No answer", "Bits/min")
    parts: list[Part] = [drawn, table(head, rows, numbers_from=1)]
    if performance.trials:
        parts.append(_confusion(performance.trials))
    return parts


def _why_unscored(facts: Facts) -> str:
    if not facts.record.turns:
        return "There are no decisions in this file, so there is nothing to score."
    if facts.cues is None:
        return "Without cues there is no truth that decisions could be compared with."
    return "The decisions were not scored against the cues."


def _score_row(score: Score) -> tuple[str, ...]:
    p_value, bits = score.p_value, score.itr_bits_per_min
    return (
        score.name,
        f"{score.n_correct} of {score.n}",
        percent(score.accuracy) if score.n else "–",  # noqa: RUF001
        percent_range(*score.interval) if score.n else "–",  # noqa: RUF001
        percent(score.chance),
        "–" if p_value is None else probability(p_value).removeprefix("p ").removeprefix("= "),  # noqa: RUF001
        f"{score.n_abstained} ({percent(score.abstention)})",
        "–" if bits is None else f"{bits:.1f}",  # noqa: RUF001
    )


def _confusion(trials: tuple[Judged, ...]) -> Html:
    """What was chosen for every cued class."""
    cued = list(dict.fromkeys(trial.cue for trial in trials))
    chosen = list(dict.fromkeys([*cued, *(t.predicted for t in trials if t.predicted is not None)]))
    rows = []
    for cue in cued:
        answers = [trial.predicted for trial in trials if trial.cue == cue]
        rows.append(
            (spoken(cue), *(str(answers.count(c)) for c in chosen), str(answers.count(None)))
        )
    head = ("Cued", *(f"chosen: {spoken(name)}" for name in chosen), "no answer")
    return table(head, rows, numbers_from=1)


def confidence(facts: Facts) -> list[Part]:
    """Whether the decoder knew when it was right."""
    bins = facts.performance.reliability if facts.performance is not None else ()
    bins = tuple(entry for entry in bins if entry.n)
    if not bins:
        return [missing("Confidence was not compared with the truth: there were no scored trials.")]
    return [reliability(bins, caption=_confidence_caption(bins))]


def _confidence_caption(bins: tuple[ReliabilityBin, ...]) -> str:
    n = np.array([entry.n for entry in bins])
    sure = float(np.average([entry.confidence for entry in bins], weights=n))
    right = float(np.average([entry.share_right for entry in bins], weights=n))
    verdict = (
        "it knew about as well as it said"
        if abs(sure - right) < 0.05
        else "it was surer than it should have been"
        if sure > right
        else "it was right more often than it said"
    )
    return (
        f"On average the decoder was {percent(sure)} sure and right in {percent(right)} of "
        f"{count(int(n.sum()), 'decision')}: {verdict}; dots on the dashed line would be perfect, "
        "and larger dots rest on more decisions."
    )


def delays(facts: Facts) -> list[Part]:
    """How fast the loop was, stage by stage."""
    if not facts.timed:
        return [missing("This session did not run in real time: its delays mean nothing.")]
    found = facts.course.delays_ms
    total_ms = found["total"]
    if not len(total_ms):
        return [missing("No window was decoded, so there are no delays to show.")]
    deadline_ms, missed = facts.course.deadline_ms, facts.course.n_missed
    caption = (
        f"Half of {count(len(total_ms), 'decision')} were out within "
        f"{milliseconds(float(np.median(total_ms)))} ms of their last sample, 99 % within "
        f"{milliseconds(float(np.quantile(total_ms, 0.99)))} ms, and the slowest took "
        f"{milliseconds(float(total_ms.max()))} ms; "
    )
    late = (
        f"{count(missed, 'decision')} missed the deadline" if missed else "no deadline was missed"
    )
    caption += late + ("." if np.isnan(deadline_ms) else f" of {milliseconds(deadline_ms)} ms.")
    head = ("Stage", "Median, ms", "95 %", "99 %", "Worst")
    rows = []
    for name in STAGES:
        marks = [*np.quantile(found[name], (0.5, 0.95, 0.99)), found[name].max()]
        rows.append((_STAGE_WORDS[name], *(milliseconds(float(mark)) for mark in marks)))
    parts: list[Part] = [
        delay_picture(facts.course, caption=caption),
        table(head, rows, numbers_from=1),
    ]
    if (card := facts.record.card) is not None:
        half_ms = 500 * card.window.length_s
        parts.append(
            element(
                "p",
                f"A decision speaks of a window of {duration(card.window.length_s)}: its middle is "
                f"{milliseconds(half_ms + float(np.median(total_ms)))} ms old when the output "
                "changes, not counting the delay of the filters.",
            )
        )
    return parts
