"""From flashes to a speller."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.adapters.folds import Trials
from diverloop.adapters.p300 import FlashSpan, SelectionSpan, known_selections
from diverloop.adapters.trial_scorer import TrialScorer
from diverloop.runtime.collection import Collected
from diverloop.runtime.messages import (
    Chunk,
    Command,
    Decision,
    Marker,
    StageTimes,
    StreamSpec,
    Turn,
)
from diverloop.runtime.paradigms.speller import SpellerPlan, lit, timeline

PLAN = SpellerPlan(repetitions=1)
SPEC = StreamSpec(name="s", rate_hz=100.0, channels=())


def markers(letters: str, seed: int = 0) -> list[Marker]:
    """Selections of these letters, 20 s apart, at 100 Hz."""
    rng, found = np.random.default_rng(seed), []
    for place, letter in enumerate(letters):
        for at_s, label in timeline(PLAN, rng, letter):
            found.append(Marker(label=label, sample=round((20 * place + at_s) * 100)))
    return found


def collected(shown: list[Marker]) -> Collected:
    """One window for each flash."""
    span = FlashSpan(classes=("nontarget", "target"), plan=PLAN)
    places = [p for p in range(len(shown)) if span.label(shown, p)]
    cues = np.array([shown[place].sample for place in places])
    n = len(places)
    return Collected(
        windows=np.zeros((n, 1, 80)),
        labels=np.array([span.label(shown, place) for place in places]),
        trials=np.arange(n),
        cues=cues,
        stops=cues + 80,
        spec=SPEC,
        conditioned=SPEC,
        n_samples=10_000,
        markers=tuple(shown),
        usable=np.ones((n, 1), bool),
    )


def test_flashes_are_called_after_what_they_were_to_the_person():
    part = collected(markers("QZ"))
    assert len(part.labels) == 24
    assert (part.labels == "target").sum() == 4


def test_held_out_flashes_become_selections_in_order():
    parts = [collected(markers("QZ")), collected(markers("A", seed=1))]
    labels = np.concatenate([part.labels for part in parts])
    trials = Trials.of(
        labels,
        np.concatenate([part.cues for part in parts]),
        np.repeat([0, 1], [len(part.labels) for part in parts]),
        n_windows=len(labels),
    )
    held_out = np.zeros((len(labels), 2))
    held_out[:, trials.classes.index("target")] = labels == "target"
    known = known_selections(trials, held_out, parts, PLAN)
    assert [PLAN.items[each.item] for each in known] == ["Q", "Z", "A"]
    for each in known:
        assert each.lit.sum(axis=1).tolist() == [6] * 12
        np.testing.assert_array_equal(each.scores == 1, each.lit[:, each.item])


def test_a_flash_that_was_refused_is_missing_and_the_others_keep_their_place():
    part = collected(markers("Q"))
    fewer = part.only(np.arange(len(part.labels)) != 3)
    trials = Trials.of(fewer.labels, fewer.cues, None, n_windows=len(fewer.labels))
    scores = np.arange(2.0 * len(fewer.labels)).reshape(-1, 2)
    (known,) = known_selections(trials, scores, [fewer], PLAN)
    assert len(known.scores) == 11
    left = [marker for marker in fewer.markers if marker.sample in fewer.cues]
    for row, marker in zip(known.lit, left, strict=True):
        assert set(np.flatnonzero(row)) == lit(PLAN, marker.label)


@pytest.mark.parametrize(("said", "right"), [("Q", 1), ("A", 0)])
def test_a_selection_is_judged_by_the_item_that_was_asked_for(said, right):
    shown = markers("Q")
    scorer = TrialScorer(SelectionSpan(classes=PLAN.items, start_s=0.0, stop_s=60.0))
    scorer.watch(SPEC)
    nothing = np.empty((0, 0), np.float32)
    scorer.watch(Chunk(samples=nothing, first_sample=0, arrived_ns=0, markers=tuple(shown)))
    flash = shown[5]
    probabilities = np.full(36, 0.01)
    probabilities[PLAN.items.index(said)] = 0.65
    decision = Decision(
        classes=PLAN.items,
        probabilities=probabilities,
        label=said,
        first_sample=flash.sample,
        stop_sample=flash.sample + 80,
        marker=flash,
    )
    times = StageTimes(
        due_ns=0, arrived_ns=0, conditioned_ns=0, cut_ns=0,
        encoded_ns=0, decided_ns=0, fed_back_ns=0, acted_ns=0,
    )  # fmt: skip
    scorer.watch(Turn(decision=decision, command=Command(label=said), times=times))
    report = scorer.report()
    assert (report.n, report.n_correct) == (1, right)
    ((cue, decided),) = scorer.outcomes()
    assert (cue.label, decided) == ("Q", said)
