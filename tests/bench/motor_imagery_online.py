"""The asynchronous parts of `motor_imagery`, whose docstring says what is chosen on what."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from motor_imagery_runs import STEP_S, Run, Turns, note, play
from numpy.typing import NDArray

import diverloop.calibration as calibration
import diverloop.rehearsal as rehearsal
from diverloop.adapters.event_scores import EventRun, Stretch, event_scores, nmcc, selections_of
from diverloop.adapters.working_point import Rehearsed, choose_working_point
from diverloop.fit_plan import FitPlan, plans_for
from diverloop.runtime.bundle import Bundle
from diverloop.runtime.feedback import EvidenceFeedback, FeedbackConfig
from diverloop.runtime.messages import Turn
from diverloop.training_sources import TrainingSource

MOVEMENT_S, GRACE_S = 4.1, 1.0
MOST_FALSE_PER_MIN = 2.0
WISHES = (1.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One run as a model heard it."""

    run: Run
    turns: list[Turn]

    def played(self, config: FeedbackConfig) -> list[Turn]:
        """The same decisions with other settings: what the loop would have done."""
        feedback = EvidenceFeedback(config)
        return [
            replace(turn, command=feedback.advance(turn.decision, turn.times.decided_ns))
            for turn in self.turns
        ]


def online(runs: Sequence[Run], classes: tuple[str, ...], imagined: set[str], encoder: str) -> Any:
    """Each run judged with everything chosen on the others."""
    plans = plans_for(
        "motor_imagery",
        encoder=encoder,
        classes=(*classes, "rest"),
        stop_s=MOVEMENT_S,
        step_s=STEP_S,
        false_per_min=MOST_FALSE_PER_MIN,
    )
    calibration.fit_model = _remembering(calibration.fit_model)
    rehearsed = _remember_rehearsed()
    picked, judged, alike = [], [], []
    at_wish: dict[float, list[EventRun]] = {wish: [] for wish in WISHES}
    for place, run in enumerate(runs):
        rehearsed.clear()
        began_s = time.process_time()
        bundle = calibration.fit_best([one.training for one in runs if one is not run], plans)
        took_s = time.process_time() - began_s
        config = FeedbackConfig(**bundle.card.feedback)
        judged.append(_heard(bundle, run, config))
        alike.append(_commands(judged[-1].turns) == _commands(judged[-1].played(config)))
        for wish in WISHES:
            wished = choose_working_point(rehearsed, wish).feedback
            at_wish[wish].append(_events(run, judged[-1].played(wished)))
        found = bundle.card.scores["working_point"]
        kept = {name: found[name] for name in ("feedback", "rehearsed", "promised", "sentence")}
        picked.append({"run": run.name, "processor_s": round(took_s, 1), **kept})
        note(f"online {run.name} {place + 1}/{len(runs)}")
    said = {"encoder": encoder, "picked": picked, "all": _scores(judged, len(classes))}
    if len(imagined) < len(runs):
        kept_runs = [one for one in judged if one.run.name in imagined]
        said["imagined"] = _scores(kept_runs, len(classes))
    # Other wishes are computed from the decisions, which only holds if this one comes out.
    said["computed_as_in_the_loop"] = all(alike)
    said["at_wish"] = [{"most_per_min": wish} | _two(found) for wish, found in at_wish.items()]
    return said


def _commands(turns: Sequence[Turn]) -> list[Any]:
    return [turn.command for turn in turns]


def _remember_rehearsed() -> list[Rehearsed]:
    """What the fits from now on rehearse, as they do."""
    kept: list[Rehearsed] = []
    rehearse = rehearsal.rehearse

    def remembered(*args: Any) -> Rehearsed:
        kept.append(rehearse(*args))
        return kept[-1]

    rehearsal.rehearse = remembered
    return kept


Fit = Callable[[Sequence[TrainingSource], FitPlan], Bundle]


def _remembering(fit: Fit) -> Fit:
    """Two runs that are left out together are left out twice, for one model."""
    known: dict[str, Bundle] = {}

    def fitted(some: Sequence[TrainingSource], plan: FitPlan) -> Bundle:
        key = " ".join(one.name for one in some)
        if key not in known:
            known[key] = fit(some, plan)
        return known[key]

    return fitted


def _heard(bundle: Bundle, run: Run, config: FeedbackConfig) -> Heard:
    watcher = Turns()
    play(bundle, run, [watcher], config)
    return Heard(run=run, turns=watcher.turns)


def _events(run: Run, turns: Sequence[Turn], grace_s: float = 0.0) -> EventRun:
    """Stretches in which an activation answers, of the time in which there were decisions."""
    rate_hz, markers = run.recording.spec.rate_hz, run.recording.markers
    length_s = MOVEMENT_S + grace_s
    start_s = turns[0].decision.stop_sample / rate_hz
    cues_s = [(m.label, m.sample / rate_hz) for m in markers]
    stretches = tuple(
        Stretch(label=label, start_s=at_s, stop_s=at_s + length_s)
        for label, at_s in cues_s
        if label != "rest" and at_s >= start_s
    )
    stop_s = cues_s[-1][1] + length_s
    return EventRun(
        stretches=stretches,
        activations=selections_of(turns, rate_hz),
        start_s=start_s,
        stop_s=stop_s,
    )


def _two(runs: Sequence[EventRun]) -> dict[str, float]:
    scores = event_scores(runs, intervals=False)
    return {
        "hit_rate": round(scores.hit_rate, 3),
        "false_per_min": round(scores.false_per_min, 2),
        "wrong_rate": round(scores.wrong_rate, 3),
        "delay_median_s": round(scores.delay_median_s, 2),
    }


def _scores(judged: Sequence[Heard], n_classes: int) -> dict[str, Any]:
    """What really happened in the loop."""
    scores = event_scores([_events(one.run, one.turns) for one in judged])
    late = event_scores([_events(one.run, one.turns, GRACE_S) for one in judged])
    truth = [label for one in judged for label in _truth(one)]
    said = [turn.command.label for one in judged for turn in one.turns]
    # Activations at the rate of those in rest, at random, and of a random class.
    lucky = (1 - np.exp(-scores.false_per_min * MOVEMENT_S / 60)) / n_classes
    return {
        **_rounded(scores.as_dict()),
        "hit_rate_by_chance": round(float(lucky), 3),
        "nmcc": round(nmcc(truth, said), 3),
        "reaches_target": scores.false_per_min <= MOST_FALSE_PER_MIN and scores.hit_rate >= 0.7,
        "late": _rounded({k: v for k, v in late.as_dict().items() if not k.startswith("delay")}),
    }


def _truth(heard: Heard) -> list[str | None]:
    """What is asked for when each window ends."""
    markers = heard.run.recording.markers
    samples: NDArray[np.int64] = np.array([m.sample for m in markers])
    ends = [turn.decision.stop_sample - 1 for turn in heard.turns]
    places = np.searchsorted(samples, ends, side="right") - 1
    asked = [markers[place].label if place >= 0 else "rest" for place in places]
    return [None if label == "rest" else label for label in asked]


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    def short(value: Any) -> Any:
        if isinstance(value, list):
            return [short(part) for part in value]
        return None if value is None else round(value, 3)

    return {name: short(value) for name, value in values.items()}
