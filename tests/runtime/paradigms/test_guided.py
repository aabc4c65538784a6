from __future__ import annotations

from collections import Counter
from itertools import groupby

import numpy as np
import pytest

from diverloop.adapters.scores import wilson_interval
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.paradigms.guided import GuidedCalibration, shuffled
from diverloop.runtime.paradigms.guided_outcome import wilson
from diverloop.runtime.paradigms.guided_plan import (
    GuidedPlan,
    GuidedTrial,
    TrialLimits,
    TrialQuality,
)
from diverloop.runtime.quality import Quality

GOOD, BAD = TrialQuality(), TrialQuality(lost_share=0.5)


def run(guided: GuidedCalibration, bad=lambda trial: False) -> list[GuidedTrial]:
    shown = []
    while (trial := guided.next_trial()) is not None:
        shown.append(trial)
        guided.judge(trial, BAD if bad(trial) else GOOD)
    return shown


def longest_run(shown: list[GuidedTrial]) -> int:
    """Most trials of a class in a row, where a pause ends a row."""
    row, longest, before = 0, 0, ""
    for trial in shown:
        paused = trial.phases[0].kind == "pause"
        row = row + 1 if trial.label == before and not paused else 1
        before, longest = trial.label, max(longest, row)
    return longest


def told_after(plan: GuidedPlan, accuracy: float) -> GuidedCalibration:
    """A calibration in which that share of trials is right at every check."""
    guided, kept = GuidedCalibration(plan), 0
    while not guided.ended:
        if guided.at_a_check:
            guided.tell(round(accuracy * kept), kept)
        if (trial := guided.next_trial()) is not None:
            guided.judge(trial, GOOD)
            kept += 1
    return guided


@pytest.mark.parametrize("classes", [("left", "right"), ("left", "right", "feet", "rest")])
@pytest.mark.parametrize("seed", range(5))
def test_every_block_is_balanced_and_no_class_comes_four_times_in_a_row(classes, seed):
    guided = GuidedCalibration(GuidedPlan(classes=classes, trials_per_class=12), seed)
    shown = run(guided)
    assert [len(list(block)) for _, block in groupby(shown, key=lambda t: t.block)] == [
        5 * len(classes), 5 * len(classes), 2 * len(classes)
    ]  # fmt: skip
    for _, block in groupby(shown, key=lambda trial: trial.block):
        assert len(set(Counter(trial.label for trial in block).values())) == 1
    assert longest_run(shown) <= 3
    assert guided.summary().kept == dict.fromkeys(classes, 12)
    assert guided.ended == "complete"


def test_the_seed_decides_order_and_rests_and_nothing_else_does():
    first, again, other = (run(GuidedCalibration(GuidedPlan(), seed)) for seed in (3, 3, 4))
    assert first == again
    assert [trial.label for trial in first] != [trial.label for trial in other]


@pytest.mark.parametrize("seed", range(20))
def test_bad_trials_come_again_later_and_never_make_a_long_run(seed):
    rng = np.random.default_rng(seed)
    plan = GuidedPlan(trials_per_class=10, max_repeats=10, max_s=7200)
    guided = GuidedCalibration(plan, seed)
    bad = {}
    shown = run(guided, lambda trial: bad.setdefault(trial.number, rng.random() < 0.4))
    assert guided.ended == "complete"
    assert guided.summary().kept == {"left": 10, "right": 10}
    assert guided.summary().repeats == sum(bad.values()) > 0
    assert longest_run(shown) <= 3


def test_a_bad_trial_is_not_asked_for_again_at_once_where_others_are_left():
    guided = GuidedCalibration(GuidedPlan(), seed=0)
    first = guided.next_trial()
    verdict = guided.judge(first, BAD)
    assert (verdict.kept, verdict.repeat) == (False, True)
    assert "50% of the signal was lost" in verdict.sentence
    assert "comes again" in verdict.sentence
    assert guided.next_trial().slot != first.slot


def test_a_trial_that_stays_bad_is_given_up_and_the_rest_goes_on():
    guided = GuidedCalibration(GuidedPlan(trials_per_class=4, max_repeats=2))
    shown = run(guided, bad=lambda trial: trial.slot == 5)
    assert [trial.attempt for trial in shown if trial.slot == 5] == [1, 2, 3]
    found = guided.summary()
    assert (found.ended, found.given_up, found.repeats, found.asked) == ("given up", 1, 2, 10)
    assert sum(found.kept.values()) == 7
    assert "Mend" in found.what_next


def test_nothing_good_at_all_ends_and_says_that_nothing_can_be_fitted():
    guided = GuidedCalibration(GuidedPlan(trials_per_class=3, max_repeats=1))
    assert len(run(guided, bad=lambda trial: True)) == 12
    assert "fewer than two" in guided.summary().what_next


def test_no_trial_begins_that_would_end_after_the_time_is_used_up():
    plan = GuidedPlan(max_s=100.0)
    guided = GuidedCalibration(plan)
    run(guided, bad=lambda trial: trial.number % 2)
    found = guided.summary()
    assert found.ended == "time"
    assert 80 < found.spent_s <= 100
    assert "second part" in found.what_next


def test_phases_follow_each_other_and_carry_the_markers():
    shown = run(GuidedCalibration(GuidedPlan(), seed=2))
    for trial in shown:
        kinds = [phase.kind for phase in trial.phases]
        assert kinds[-4:] == ["rest", "cue", "trial", "end"]
        for before, after in zip(trial.phases[:-1], trial.phases[1:], strict=True):
            assert before.stop_s == after.start_s
        markers = [phase.marker for phase in trial.phases if phase.marker]
        assert markers[-2:] == [trial.label, "rest"]
    pauses = [trial.number for trial in shown if trial.phases[0].marker == "pause"]
    assert pauses == [11, 21, 31]


def test_where_rest_is_a_class_its_cue_is_not_the_end_of_a_trial():
    guided = GuidedCalibration(GuidedPlan(classes=("left", "rest")))
    assert guided.next_trial().phases[-1].marker == "relax"


def test_the_person_and_the_operator_read_plain_words():
    plan = GuidedPlan(words={"left": "Imagine closing your left hand."}, trials_per_class=2)
    guided = GuidedCalibration(plan)
    said = {trial.label: trial.phases[-2].instruction for trial in run(guided)}
    assert said == {"left": "Imagine closing your left hand.", "right": "Now: right"}
    again = GuidedCalibration(plan)
    assert "0 of 4 trials are good; block 1." in again.next_trial().staff


def test_the_next_trial_stays_the_same_until_it_is_judged_and_only_it_can_be():
    guided = GuidedCalibration(GuidedPlan())
    first = guided.next_trial()
    assert guided.next_trial() is first
    guided.judge(first, GOOD)
    with pytest.raises(ValueError, match="not on"):
        guided.judge(first, GOOD)


@pytest.mark.parametrize(
    ("accuracy", "ended", "per_class"),
    [(1.0, "enough", 10), (0.3, "below", 15), (0.65, "complete", 20)],
)
def test_it_ends_early_where_the_accuracy_is_on_one_side(accuracy, ended, per_class):
    found = told_after(GuidedPlan(), accuracy).summary()
    assert found.ended == ended
    assert found.kept == {"left": per_class, "right": per_class}


def test_it_ends_where_the_accuracy_is_known_well_enough():
    plan = GuidedPlan(trials_per_class=60, block_per_class=20, narrow=0.12, needed=0.7, max_s=3600)
    found = told_after(plan, 0.7).summary()
    assert found.ended == "known"
    low, high = found.interval
    assert (high - low) / 2 <= 0.12
    assert found.kept["left"] == 40


def test_a_low_accuracy_after_few_trials_does_not_end_it():
    guided = GuidedCalibration(GuidedPlan(first_give_up=20))
    while not guided.at_a_check:
        guided.judge(guided.next_trial(), GOOD)
    assert guided.tell(0, 20) == ""
    assert guided.next_trial() is not None


def test_looking_more_often_asks_for_a_wider_interval():
    once = GuidedPlan(trials_per_class=20, block_per_class=10, first_give_up=10)
    often = GuidedPlan(trials_per_class=20, block_per_class=1)
    assert (once.n_looks, often.n_looks) == (1, 10)
    widths = []
    for plan in (once, often):
        guided = GuidedCalibration(plan)
        for _ in range(20):
            guided.judge(guided.next_trial(), GOOD)
        guided.tell(13, 20)
        low, high = guided.summary().interval
        widths.append(high - low)
    assert widths[0] < widths[1]


def test_the_chance_that_any_look_is_misled_stays_below_what_is_allowed():
    # Exactly as good as needed: whatever side a look takes is a mistake.
    plan = GuidedPlan(trials_per_class=40, first_give_up=10, max_s=3600)
    rng, wrong = np.random.default_rng(0), 0
    for _ in range(200):
        guided, right = GuidedCalibration(plan), []
        while (trial := guided.next_trial()) is not None:
            guided.judge(trial, GOOD)
            right.append(rng.random() < plan.needed_accuracy)
            if guided.at_a_check:
                guided.tell(sum(right), len(right))
        wrong += guided.ended in ("enough", "below")
    assert wrong / 200 < 1 - plan.confidence + 0.03


def test_more_right_than_kept_is_refused():
    guided = GuidedCalibration(GuidedPlan())
    guided.judge(guided.next_trial(), GOOD)
    with pytest.raises(ValueError, match="1 kept"):
        guided.tell(2, 2)


def test_somebody_can_stop_it_and_what_was_good_is_kept():
    guided = GuidedCalibration(GuidedPlan())
    guided.judge(guided.next_trial(), GOOD)
    guided.next_trial()
    guided.stop()
    assert guided.next_trial() is None
    found = guided.summary()
    assert (found.ended, sum(found.kept.values())) == ("stopped", 1)
    assert found.as_dict()["interval"] == (0.0, 1.0)


def quality(usable: list[bool], **fields) -> Quality:
    causes = tuple("" if good else "flat" for good in usable)
    names = tuple(f"C{row}" for row in range(len(usable)))
    return Quality(
        channels=names, scores=np.array(usable, float), causes=causes, usable=np.array(usable),
        **fields,
    )  # fmt: skip


def test_a_trial_is_as_good_as_its_worst_moment():
    said = [quality([True] * 4, changed=0.2), quality([True, False, True, False], muscle=0.4)]
    found = TrialQuality.over(said, n_lost=10, n_samples=1000)
    assert found == TrialQuality(
        usable_share=0.5, lost_share=0.01, changed=0.2, muscle=0.4, reason="flat: C1, C3"
    )
    assert "50% of the electrodes were usable (flat: C1, C3)" in TrialLimits().complaint(found)
    assert TrialLimits(usable_share=0.5).complaint(found) == ""


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"lost_share": 0.06}, "lost"),
        ({"usable_share": 0.7}, "electrodes"),
        ({"muscle": 1.2}, "jaw"),
        ({"changed": 0.9}, "artefact"),
        ({"muscle": float("nan")}, "jaw"),
    ],
)
def test_each_thing_that_spoils_a_trial_is_named(fields, word):
    assert word in TrialLimits().complaint(TrialQuality(**fields))
    assert TrialLimits().complaint(TrialQuality()) == ""


def test_a_trial_that_nobody_judged_is_not_good():
    assert TrialLimits().complaint(TrialQuality.over([], 0, 1000)) != ""


@pytest.mark.parametrize(("n_right", "n"), [(0, 1), (7, 10), (40, 40)])
def test_the_interval_is_the_one_that_scores_use(n_right, n):
    np.testing.assert_allclose(wilson(n_right, n, 0.95), wilson_interval(n_right, n), atol=1e-9)


def test_an_order_that_cannot_be_is_not_made_up():
    assert shuffled(np.random.default_rng(0), {"left": 9, "right": 1}) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"classes": ("left",)},
        {"classes": ("left", "left")},
        {"classes": ("left", "pause")},
        {"classes": ("rest", "relax")},
        {"trials_per_class": 1},
        {"block_per_class": 0},
        {"rest_s": (3.0, 2.0)},
        {"cue_s": 0.0},
        {"max_s": 0.0},
        {"needed": 0.5},
        {"confidence": 1.0},
    ],
)
def test_plans_outside_their_range_are_refused(fields):
    name = next(iter(fields))
    with pytest.raises(ConfigError, match=r"[Pp]ause" if "pause" in str(fields) else name):
        GuidedPlan(**fields)
