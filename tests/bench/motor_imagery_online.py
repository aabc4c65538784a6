"""The asynchronous parts of `motor_imagery`, whose docstring says what is chosen on what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from motor_imagery_runs import Run, Turns, note, play
from numpy.typing import NDArray

from diverloop.adapters.event_scores import EventRun, Stretch, event_scores, nmcc, selections_of
from diverloop.calibration import fit_best
from diverloop.fit_plan import plans_for
from diverloop.runtime.bundle import Bundle
from diverloop.runtime.feedback import EvidenceFeedback, FeedbackConfig
from diverloop.runtime.messages import Turn

MOVEMENT_S, GRACE_S = 4.1, 1.0
MOST_FALSE_PER_MIN = 2.0
POINTS = tuple(product((0.5, 0.6, 0.7, 0.8, 0.9, 0.95), (0.0, 0.25, 0.5, 1.0, 1.5)))
"""Pairs of `select_at` and `dwell_s`."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One run as a model heard it."""

    run: Run
    turns: list[Turn]

    def played(self, point: Point) -> list[Turn]:
        """The same decisions with another operating point: what the loop would have done."""
        feedback = EvidenceFeedback(_config(point))
        return [
            replace(turn, command=feedback.advance(turn.decision, turn.times.decided_ns))
            for turn in self.turns
        ]


def _commands(heard: Heard, point: Point) -> list[Any]:
    return [turn.command for turn in heard.played(point)]


def _config(point: Point) -> FeedbackConfig:
    return FeedbackConfig(select_at=point[0], dwell_s=point[1])


def online(runs: Sequence[Run], classes: tuple[str, ...], imagined: set[str], encoder: str) -> Any:
    """Each run judged with everything chosen on the others."""
    plans = plans_for("motor_imagery", encoder=encoder, classes=(*classes, "rest"))
    fit: Callable[[Sequence[Run]], Bundle] = _remembering(
        lambda some: fit_best([run.training for run in some], plans)
    )
    picked, judged, alike = [], [], []
    for place, run in enumerate(runs):
        others = [other for other in runs if other is not run]
        rehearsed = [_heard(fit([one for one in others if one is not out]), out) for out in others]
        point, seen = _pick(rehearsed)
        bundle = fit(others)
        judged.append(_heard(bundle, run, point))
        alike.append([turn.command for turn in judged[-1].turns] == _commands(judged[-1], point))
        picked.append({"run": run.name, "select_at": point[0], "dwell_s": point[1], **seen})
        note(f"online {run.name} {place + 1}/{len(runs)}")
    said = {"encoder": encoder, "picked": picked, "all": _scores(judged, len(classes))}
    if len(imagined) < len(runs):
        kept = [one for one in judged if one.run.name in imagined]
        said["imagined"] = _scores(kept, len(classes))
    # Other points are computed from the decisions, which only holds if this one comes out.
    said["computed_as_in_the_loop"] = all(alike)
    said["trade_off"] = [
        {"select_at": point[0], "dwell_s": point[1]}
        | _two([_events(one.run, one.played(point)) for one in judged])
        for point in POINTS
    ]
    return said


def _remembering(fit: Callable[[Sequence[Run]], Bundle]) -> Callable[[Sequence[Run]], Bundle]:
    """Two runs that are left out together are left out twice, for one model."""
    known: dict[str, Bundle] = {}

    def fitted(some: Sequence[Run]) -> Bundle:
        key = " ".join(run.name for run in some)
        if key not in known:
            known[key] = fit(some)
        return known[key]

    return fitted


def _heard(bundle: Bundle, run: Run, point: Point | None = None) -> Heard:
    watcher = Turns()
    play(bundle, run, [watcher], None if point is None else _config(point))
    return Heard(run=run, turns=watcher.turns)


def _pick(rehearsed: Sequence[Heard]) -> tuple[Point, dict[str, Any]]:
    """The operating point for a run that nobody has looked at."""
    found = [_two([_events(one.run, one.played(point)) for one in rehearsed]) for point in POINTS]

    def worth(place: int) -> tuple[float, float, float]:
        hits, false = found[place]["hit_rate"], found[place]["false_per_min"]
        if false <= MOST_FALSE_PER_MIN:
            return 1.0, hits, -false
        return 0.0, -false, hits

    best = max(range(len(POINTS)), key=worth)
    return POINTS[best], {f"rehearsed_{name}": value for name, value in found[best].items()}


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
    found: dict[str, Any] = {}
    for name, value in values.items():
        pair = isinstance(value, tuple)
        found[name] = [round(x, 3) for x in value] if pair else round(value, 3)
    return found
