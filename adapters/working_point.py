"""How sure, for how long: feedback settings that keep false activations as seldom as is wished.

What a decoder that runs all the time should do at rest is for the person to say: a light may come
on unasked twice a minute, a wheelchair may not. Settings are tried on recordings that the decoder
has not seen, from beginning to end, idle time included, through the very feedback that serves
[1]_. Of those that keep false activations below the wish, the one with most hits is taken.

A setting that is best of many has been lucky, too. What is promised is therefore judged again: for
each recording the setting is chosen on the others alone.

References
----------
.. [1] Carrara, Papadopoulo. Pseudo-online framework for BCI evaluation: a MOABB perspective using
   various MI and SSVEP datasets. J. Neural Eng., 2024 (arXiv 2308.11656, 2023).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from ..runtime.collection import TrialSpan
from ..runtime.errors import ConfigError
from ..runtime.feedback import EvidenceFeedback, FeedbackConfig
from ..runtime.messages import Decision, Marker
from .event_scores import Activation, EventRun, EventScores, Stretch, event_scores
from .linear import Floats

CURVE_PER_MIN = (1.0, 2.0, 5.0, 10.0)
"""Wishes for which a card says how many hits they would leave."""

POINTS = tuple(
    FeedbackConfig(select_at=sure, dwell_s=dwell_s, memory_s=memory_s, once=True)
    for memory_s, dwell_s, sure in product(
        (0.0, 0.5, 1.0), (0.0, 0.25, 0.5, 1.0), (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95)
    )
)
"""Settings that are tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """A recording as it was decoded by a model that had not seen it.

    Parameters
    ----------
    name : str
        Of the recording.
    decisions : tuple of (Decision, int)
        Every decision, and the loop's time in nanoseconds when it was made.
    stretches : tuple of Stretch
        When something was asked for.
    rate_hz : float
        Rate of the stream.
    """

    name: str
    decisions: tuple[tuple[Decision, int], ...]
    stretches: tuple[Stretch, ...]
    rate_hz: float

    def run(self, config: FeedbackConfig) -> EventRun:
        """What would have been selected, from the first decision to the last.

        Parameters
        ----------
        config : FeedbackConfig
            Settings.

        Returns
        -------
        run : EventRun
            Of a stretch that was going on when decisions began, nothing is judged.
        """
        feedback = EvidenceFeedback(config)
        activations = []
        for decision, at_ns in self.decisions:
            command = feedback.advance(decision, at_ns)
            if command.selected and command.label is not None:
                at_s = decision.stop_sample / self.rate_hz
                activations.append(Activation(label=command.label, at_s=at_s))
        start_s, stop_s = (self.decisions[at][0].stop_sample / self.rate_hz for at in (0, -1))
        begun = [one.stop_s for one in self.stretches if one.start_s < start_s < one.stop_s]
        start_s = min(max([start_s, *begun]), stop_s)
        return EventRun(
            stretches=tuple(
                replace(one, stop_s=min(one.stop_s, stop_s))
                for one in self.stretches
                if start_s <= one.start_s < stop_s
            ),
            activations=tuple(activations),
            start_s=start_s,
            stop_s=stop_s,
        )


def stretches_of(
    markers: Sequence[Marker], span: TrialSpan, idle: Sequence[str], rate_hz: float
) -> tuple[Stretch, ...]:
    """When a recording asked for something.

    Parameters
    ----------
    markers : sequence of Marker
        In order.
    span : TrialSpan
        Classes, and how long a trial lasts.
    idle : sequence of str
        Classes that ask for nothing.
    rate_hz : float
        Rate of the stream.

    Returns
    -------
    stretches : tuple of Stretch
        From each cue to the trial's end, or to the next marker if that comes first.
    """
    found = []
    for marker, after in zip(markers, [*markers[1:], None], strict=True):
        if marker.label not in span.classes or marker.label in idle:
            continue
        start_s = marker.sample / rate_hz
        stop_s = start_s + span.stop_s
        if after is not None:
            stop_s = min(stop_s, after.sample / rate_hz)
        if stop_s > start_s:
            found.append(Stretch(label=marker.label, start_s=start_s, stop_s=stop_s))
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkingPoint:
    """Settings that were chosen, and what may be expected of them.

    Parameters
    ----------
    feedback : FeedbackConfig
        The settings.
    promised : EventScores
        Of every recording, with settings chosen on the others.
    report : dict
        Plain numbers for a card, with a sentence that says what is promised.
    """

    feedback: FeedbackConfig
    promised: EventScores
    report: dict[str, Any]


def choose_working_point(runs: Sequence[Rehearsed], most_per_min: float) -> WorkingPoint:
    """Most hits with as few false activations as wished.

    Parameters
    ----------
    runs : sequence of Rehearsed
        Two recordings or more.
    most_per_min : float
        False activations that are allowed in a minute of idle, above 0.

    Returns
    -------
    point : WorkingPoint
        If no setting has so few, the one with fewest is taken, and the sentence says so.

    Raises
    ------
    ConfigError
        If there are fewer than two recordings, or the wish is not positive.
    """
    if not most_per_min > 0:
        raise ConfigError(
            f"False activations in a minute must be above 0, got {most_per_min}: 2 is usual."
        )
    if len(runs) < 2:
        raise ConfigError(
            f"Settings for a rate of false activations are chosen on recordings that are held out "
            f"whole, at least 2, got {len(runs)}: record more."
        )
    table = [[run.run(point) for run in runs] for point in POINTS]
    counts = np.array([[_counts(run) for run in row] for row in table])
    taken = _best(counts.sum(axis=1), most_per_min)
    rehearsed = event_scores(table[taken], intervals=False)
    promised = event_scores(_promised(table, counts, most_per_min))
    curve = [
        {
            "most_per_min": wish,
            **_rates(event_scores(_promised(table, counts, wish), intervals=False)),
        }
        for wish in CURVE_PER_MIN
    ]
    report = {
        "most_false_per_min": most_per_min,
        "held_out": [run.name for run in runs],
        "feedback": chosen_fields(POINTS[taken]),
        "rehearsed": _rates(rehearsed),
        "promised": promised.as_dict(),
        "curve": curve,
        "sentence": _sentence(promised, len(runs), most_per_min, rehearsed),
    }
    return WorkingPoint(feedback=POINTS[taken], promised=promised, report=report)


def chosen_fields(config: FeedbackConfig) -> dict[str, Any]:
    """Fields of a setting that a card keeps: what is idle follows from the task."""
    return {name: value for name, value in asdict(config).items() if name != "idle"}


def _counts(run: EventRun) -> tuple[float, float, float]:
    """Hits, false activations, and minutes of idle time."""
    scores = event_scores([run], intervals=False)
    return scores.n_hits, scores.n_false, scores.idle_s / 60


def _best(counts: Floats, most_per_min: float) -> int:
    """Place of the best setting, from what each counted, shape (n_settings, 3)."""

    def worth(place: int) -> tuple[bool, float, float]:
        hits, false, minutes = counts[place].tolist()
        return (True, hits, -false) if false <= most_per_min * minutes else (False, -false, hits)

    return max(range(len(counts)), key=worth)


def _promised(
    table: Sequence[Sequence[EventRun]], counts: Floats, most_per_min: float
) -> list[EventRun]:
    """Every recording with the setting that the others would choose."""
    found = []
    for place in range(len(table[0])):
        others = np.delete(counts, place, axis=1).sum(axis=1)
        found.append(table[_best(others, most_per_min)][place])
    return found


def _rates(scores: EventScores) -> dict[str, float | None]:
    plain = scores.as_dict()
    return {name: plain[name] for name in ("hit_rate", "false_per_min", "delay_median_s")}


def _sentence(
    promised: EventScores, n_runs: int, most_per_min: float, rehearsed: EventScores
) -> str:
    """What is promised, and what it was judged on."""
    low, high = promised.false_interval
    answered = f"{promised.hit_rate:.0%} of {promised.n_trials} trials answered"
    if promised.n_hits:
        answered += f", after {promised.delay_median_s:.1f} s"
    told = (
        f"At rest {promised.false_per_min:.1f} false activations a minute ({low:.1f} to "
        f"{high:.1f}), {answered}: each of {n_runs} recordings held out whole, settings chosen on "
        f"the others."
    )
    if rehearsed.false_per_min > most_per_min:
        return f"No setting keeps to {most_per_min:g} a minute; this is the quietest. {told}"
    return f"Wished were at most {most_per_min:g} a minute. {told}"
