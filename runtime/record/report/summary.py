"""The session in a handful of plain sentences, every one made from the figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...messages import INTRACRANIAL
from ..contents import Record
from .course import Course
from .inputs import Performance, Score
from .locked import Cues
from .quality import Verdict
from .survey import Survey
from .watch import Watch, watch_of
from .wording import count, duration, listed, milliseconds, moment, percent, percent_range, spoken

SIGNIFICANT = 0.05
"""Below this probability of doing as well by guessing, a score counts as more than guessing."""


@dataclass(frozen=True, kw_only=True)  # without slots, which would leave `watch` no place
class Facts:
    """All that a page is made of.

    Parameters
    ----------
    record : Record
        The session.
    cues : Cues, optional
        What was asked.
    survey : Survey
        The signal.
    course : Course
        What happened.
    performance : Performance, optional
        How the decoder did, trial by trial.
    judged : str
        The same in words, for a task whose decisions are judged in another way.
    """

    record: Record
    cues: Cues | None
    survey: Survey
    course: Course
    performance: Performance | None
    judged: str = ""

    @cached_property
    def watch(self) -> Watch:
        """What the session itself saw of its signal."""
        return watch_of(self.record, self.course)

    @property
    def timed(self) -> bool:
        """Whether it ran in real time, so that delays mean something."""
        return self.record.manifest is None or self.record.manifest.live


def sentences(facts: Facts) -> list[str]:
    """The summary, the most important first.

    Parameters
    ----------
    facts : Facts
        What is known.

    Returns
    -------
    sentences : list of str
        Four to six; what is missing is said, too.
    """
    return [
        opening(facts),
        accuracy(facts),
        signal(facts),
        interruptions(facts),
        *delays(facts),
        safety(facts),
    ]


def opening(facts: Facts) -> str:
    """What was done, for how long."""
    record, cues = facts.record, facts.cues
    task = f"{spoken(record.card.task)} session" if record.card is not None else "recording"
    text = f"{task[:1].upper()}{task[1:]} of {duration(record.duration_s)}"
    if cues is not None:
        names = listed([spoken(label) for label in cues.labels])
        text += f" with {count(len(cues.samples), 'cue')} ({names})"
    if record.manifest is not None and not record.manifest.live:
        text += ", not live but played back"
    return text + "."


def accuracy(facts: Facts) -> str:
    """How often the decoder was right, against guessing."""
    if facts.performance is not None and facts.performance.overall.n:
        return score_sentence(facts.performance.overall)
    if facts.performance is not None:
        return "The decoder gave no answer in any trial, so there is no accuracy to report."
    if facts.judged:
        return facts.judged
    if not facts.record.turns:
        return "No decoder ran, or its decisions are not in this file, so nothing is said of it."
    if facts.cues is None:
        return "There were no cues, so nobody can say how often the decoder was right."
    return "The decoder's choices were not scored against the cues."


def score_sentence(score: Score) -> str:
    """One score with its interval and what guessing would give."""
    text = (
        f"The decoder chose the cued class in {score.n_correct} of {count(score.n, 'trial')} "
        f"({percent(score.accuracy)}, 95 % interval {percent_range(*score.interval)}; guessing "
        f"would give {percent(score.chance)})"
    )
    if score.p_value is not None:
        better = score.p_value < SIGNIFICANT
        text += ", more than guessing" if better else ", which guessing might give, too"
    text += "."
    if score.n_abstained:
        text += f" In {count(score.n_abstained, 'further trial')} it gave no answer."
    return text


def signal(facts: Facts) -> str:
    """Which electrodes were good, and what was wrong with the rest."""
    verdicts = facts.survey.verdicts
    if not verdicts:
        return "The recording is too short to judge the signal: less than one whole second."
    good = sum(entry.good for entry in verdicts)
    noun = place_noun(facts.record)
    if good == len(verdicts):
        masked = facts.watch.names
        text = f"Signal was good on all {count(good, noun)}"
        return f"{text}, though the session masked {listed(masked)}." if masked else f"{text}."
    if not good:
        causes = sorted({entry.cause for entry in verdicts})
        return f"No {noun} gave a good signal: {listed(causes)} ({len(verdicts)} {noun}s)."
    bad = [entry for entry in verdicts if not entry.good]
    return f"Signal was good on {good} of {count(len(verdicts), noun)}; {faults(bad)}."


def place_noun(record: Record) -> str:
    """What a row of the signal is called."""
    intracranial = any(row.kind in INTRACRANIAL for row in record.spec.channels)
    return "contact" if intracranial else "electrode"


def faults(bad: Sequence[Verdict]) -> str:
    """Which were bad, and how: ``"F7 and T8 were noisy from 3:05 on"``."""
    groups: dict[str, list[str]] = {}
    for entry in bad:
        groups.setdefault(_fault(entry), []).append(entry.name)
    parts = [
        f"{listed(names)} {'was' if len(names) == 1 else 'were'} {fault}"
        for fault, names in list(groups.items())[:3]
    ]
    rest = sum(len(names) for names in list(groups.values())[3:])
    return ", ".join(parts) + (f", and {rest} more" if rest else "")


def _fault(entry: Verdict) -> str:
    named = {
        "mains hum": "full of mains hum",
        "large slow swings": "swinging slowly",
        "signal lost": "missing",
    }.get(entry.cause, entry.cause)
    if np.isnan(entry.from_s):
        return f"{named} on and off"
    return f"{named} throughout" if entry.from_s < 5 else f"{named} from {moment(entry.from_s)} on"


def interruptions(facts: Facts) -> str:
    """How much signal was lost, and what the output did meanwhile."""
    lost = facts.survey.lost
    if not lost:
        return "No signal was lost."
    lost_s = facts.survey.n_lost / facts.record.spec.rate_hz
    text = f"{count(len(lost), 'interruption')}, {duration(lost_s)} of signal lost"
    if not facts.record.turns:
        return f"{text}."
    acted = facts.course.acted_on_loss()
    if acted:
        return f"{text}; {count(acted, 'command')} left the system on incomplete signal."
    return f"{text}; output was neutral meanwhile."


def delays(facts: Facts) -> list[str]:
    """How fast the loop answered."""
    if not facts.timed:
        return ["It did not run in real time, so its delays mean nothing."]
    total_ms = facts.course.delays_ms["total"]
    if not len(total_ms):
        return []
    text = (
        f"From the last sample to the output took {milliseconds(float(np.median(total_ms)))} ms in "
        f"the median and {milliseconds(float(np.quantile(total_ms, 0.99)))} ms in all but the "
        f"slowest hundredth"
    )
    missed = facts.course.n_missed
    late = f"{missed:,} of {count(len(total_ms), 'decision')} came late" if missed else "none late"
    return [f"{text}; {late}."]


def safety(facts: Facts) -> str:
    """What the guard did, whether anybody pressed stop, and whether a seizure was suspected."""
    course = facts.course
    if not course.guard:
        return "Nothing in this file tells whether output was allowed."
    stops = [moment(at_s) for at_s in course.stops_s]
    pressed = (
        f"The emergency stop was pressed {_times(len(stops))}, at {listed(stops)}"
        if stops
        else "Nobody pressed stop"
    )
    allowed = (
        f"output was allowed for {duration(course.armed_s)}"
        if course.armed_s
        else "output was never allowed"
    )
    text = f"{pressed}; {allowed}."
    if halts := [moment(span.start_s) for _, span in course.halts]:
        text += (
            f" A suspected seizure (research guard, not a diagnosis) stopped the output "
            f"{_times(len(halts))}, at {listed(halts)}."
        )
    if wrong := course.acted_when_shut():
        text += f" {count(wrong, 'command')} left while the guard was shut: look into this first."
    return text


def _times(n: int) -> str:
    return {1: "once", 2: "twice"}.get(n, f"{n} times")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One figure that is seen before anything is read.

    Parameters
    ----------
    figure : str
        The figure itself.
    name : str
        What it is.
    detail : str
        What puts it into proportion.
    state : str
        ``"fine"``, ``"look"`` or ``"none"``; shown as a word and a colour.
    """

    figure: str
    name: str
    detail: str
    state: str


def tiles(facts: Facts) -> list[Tile]:
    """The figures on the first screen."""
    return [_right(facts), _electrodes(facts), _lost(facts), _delay(facts), _stop(facts)]


def _right(facts: Facts) -> Tile:
    score = facts.performance.overall if facts.performance is not None else None
    if score is None or not score.n:
        return Tile(figure="–", name="Right decisions", detail="not scored", state="none")  # noqa: RUF001
    detail = f"{percent_range(*score.interval)}; guessing {percent(score.chance)}"
    known = score.p_value is not None
    fine = known and (score.p_value or 0.0) < SIGNIFICANT
    state = "fine" if fine else "look" if known else "none"
    return Tile(figure=percent(score.accuracy), name="Right decisions", detail=detail, state=state)


def _electrodes(facts: Facts) -> Tile:
    verdicts = facts.survey.verdicts
    name = f"Good {place_noun(facts.record)}s"
    if not verdicts:
        return Tile(figure="–", name=name, detail="too short to judge", state="none")  # noqa: RUF001
    bad = [entry.name for entry in verdicts if not entry.good or entry.name in facts.watch.names]
    return Tile(
        figure=f"{len(verdicts) - len(bad)} / {len(verdicts)}",
        name=name,
        detail=f"bad or masked: {listed(bad, 3)}" if bad else "all were good",
        state="look" if bad else "fine",
    )


def _lost(facts: Facts) -> Tile:
    lost_s = facts.survey.n_lost / facts.record.spec.rate_hz
    n = len(facts.survey.lost)
    return Tile(
        figure=duration(lost_s) if n else "0 s",
        name="Signal lost",
        detail=f"in {count(n, 'interruption')}" if n else "no interruption",
        state="look" if n else "fine",
    )


def _delay(facts: Facts) -> Tile:
    if not facts.timed:
        return Tile(figure="–", name="Delay", detail="not in real time", state="none")  # noqa: RUF001
    total_ms = facts.course.delays_ms["total"]
    if not len(total_ms):
        return Tile(figure="–", name="Delay", detail="no decisions", state="none")  # noqa: RUF001
    missed = facts.course.n_missed
    return Tile(
        figure=f"{milliseconds(float(np.median(total_ms)))} ms",
        name="Delay",
        detail=count(missed, "late decision") if missed else "no late decision",
        state="look" if missed else "fine",
    )


def _stop(facts: Facts) -> Tile:
    course = facts.course
    if not course.guard:
        return Tile(figure="–", name="Emergency stop", detail="not recorded", state="none")  # noqa: RUF001
    n = len(course.stops_s)
    wrong = course.acted_when_shut()
    detail = f"at {listed([moment(s) for s in course.stops_s], 3)}" if n else "nobody pressed it"
    if halts := len(course.halts):
        detail = f"{detail}; {halts} more" if n else f"{halts}"
        detail += " by the research guard"
    return Tile(
        figure=f"{n} ×" if n else "none",  # noqa: RUF001
        name="Emergency stop",
        detail=f"{count(wrong, 'command')} left while shut" if wrong else detail,
        state="look" if n or wrong or halts else "fine",
    )
