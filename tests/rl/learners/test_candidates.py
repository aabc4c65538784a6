"""Rewards of what was decided tell, on average rightly, how good other heads would have been."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.rl.learners import updates
from diverloop.rl.learners.candidates import (
    Candidates,
    in_its_space,
    lifted,
    quadratic_scores,
    whitened,
    worths,
)
from diverloop.rl.trial import ABSTAINED, Reward, Trial
from diverloop.runtime.prototype_head import PrototypeHead


def head(offset=0.0):
    return PrototypeHead(
        classes=("a", "b", "c"),
        mean=np.full(2, 0.5), scale=np.full(2, 2.0), basis=np.array([[0.0, 1.0], [1.0, 0.5]]),
        centre=np.array([offset, 0.1]), log_priors=np.zeros(3),
        prototypes=np.array([[0.0, 1.5], [1.5, -0.5], [-1.5, -0.5]]),
    )  # fmt: skip


def value_of(right, rng, sensitivity=0.75):
    """What an error detector says, corrected for how often it errs."""
    error = rng.random() < (sensitivity if not right else 1 - sensitivity)
    return ((not error) - (1 - sensitivity)) / (2 * sensitivity - 1)


def test_what_was_decided_is_worth_its_reward_and_the_rest_is_shared():
    trial = Trial.plain(1, np.zeros(2), 3, decided=0)
    got = worths(trial, Reward(trial=1, value=0.4), np.array([0.5, 0.3, 0.2]))
    assert got == pytest.approx([0.4, 0.36, 0.24])


def test_a_cue_says_it_outright_and_no_decision_says_nothing():
    nothing = Trial.plain(1, np.zeros(2), 3, decided=ABSTAINED)
    assert worths(nothing, Reward(trial=1, value=1.0), np.full(3, 1 / 3)) is None
    assert worths(nothing, Reward(trial=1, meant=2), np.full(3, 1 / 3)).tolist() == [0, 0, 1]


def test_estimates_of_all_options_are_unbiased_where_the_split_of_the_others_is_right():
    rng = np.random.default_rng(0)
    options = np.array([0.5, 0.3, 0.2])
    trial = Trial.plain(1, np.zeros(2), 3, decided=0)
    sums = np.zeros(3)
    for _ in range(20_000):
        right = rng.choice(3, p=options) == 0
        sums += worths(trial, Reward(trial=1, value=value_of(right, rng)), options)
    assert sums / 20_000 == pytest.approx(options, abs=0.02)


def test_the_true_posterior_has_the_best_score_and_neither_bolder_nor_milder_does():
    truth = np.array([0.6, 0.3, 0.1])
    tempered = np.stack([truth**power / (truth**power).sum() for power in (1.0, 0.5, 2.0)])
    expected = sum(p * quadratic_scores(tempered, np.eye(3)[k]) for k, p in enumerate(truth))
    assert expected.argmax() == 0


def test_a_head_that_was_right_more_often_leads():
    rng = np.random.default_rng(1)
    good = in_its_space(head())
    candidates = Candidates(good, {"good": updates.keep, "bad": updates.keep}, window=2000)
    candidates.heads["bad"] = in_its_space(head(offset=1.2))
    right = np.zeros(2)
    for number in range(2000):
        meant = rng.integers(3)
        trial = Trial.plain(number, good.prototypes[meant] + good.centre + rng.normal(size=2), 3, 0)
        posteriors = candidates.posteriors(trial)
        right += posteriors.argmax(axis=1) == meant
        decided = int(posteriors[0].argmax())
        trial = Trial.plain(number, trial.features, 3, decided)
        reward = Reward(trial=number, value=value_of(decided == meant, rng))
        candidates.judge(posteriors, worths(trial, reward, posteriors[0]))
    lead = candidates.lead("good", "bad")
    assert lead.trials == 2000
    assert lead.mean > 2 * lead.error
    for place, name in enumerate(("good", "bad")):
        got = candidates.accuracy(name)
        assert abs(got.mean - right[place] / 2000) < 3 * got.error + 0.02
        assert candidates.earning(name).error < got.error
    assert candidates.best() == "good"


def test_a_trial_judges_before_it_teaches_and_old_ones_are_forgotten():
    start = in_its_space(head())
    candidates = Candidates(start, {"keep": updates.keep, "pull": updates.pull_told}, window=10)
    for number in range(50):
        trial = Trial.plain(number, np.array([0.1, 1.4]), 3, decided=0)
        reward = Reward(trial=number, value=1.0, log_odds=1.0)
        posteriors = candidates.posteriors(trial)
        candidates.judge(posteriors, worths(trial, reward, posteriors[0]))
        candidates.learn(trial, reward)
    assert candidates.heads["keep"] is start
    assert candidates.heads["pull"].sha256 != start.sha256
    assert candidates.accuracy("pull").trials == 10


def test_one_trial_says_nothing_of_accuracy():
    candidates = Candidates(in_its_space(head()), {"keep": updates.keep}, window=10)
    candidates.judge(np.array([[1.0, 0.0, 0.0]]), np.array([1.0, 0.0, 0.0]))
    assert candidates.accuracy("keep").error == np.inf


def test_in_the_small_space_a_head_decides_as_it_does_outside():
    full = head(0.3)
    trial = Trial.plain(1, np.array([[0.2, 1.0], [3.0, -1.0]]), 3, decided=0)
    small = in_its_space(full)
    assert whitened(trial, full).posterior(small) == pytest.approx(trial.posterior(full))
    assert lifted(small, full).sha256 == full.sha256
