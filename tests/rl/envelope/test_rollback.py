"""A promotion is taken back when it is worse and what served before would be better."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from diverloop.rl.envelope.config import EnvelopeConfig
from diverloop.rl.envelope.rollback import Baseline, baseline, why_back
from diverloop.rl.envelope.shadow import Beside, ShadowLog
from diverloop.rl.trial import ABSTAINED, Reward, Trial
from diverloop.runtime.prototype_head import PrototypeHead

from .streams import Detector, Person, World

CONFIG = EnvelopeConfig()


def served(person, head, seed=0, n=30, accuracy=0.9):
    log, detector = ShadowLog(n), Detector(accuracy, seed)
    for t in range(n):
        features, meant = person.trial(t)
        trial = Trial.plain(t, features, 4, 0)
        trial = replace(trial, decided=int(trial.posterior(head).argmax()))
        log.see(trial, 1, head, None, head)
        log.hear(detector.reward(t, trial.decided == meant))
    return list(log.records)


def exchanged(head):
    return replace(head, prototypes=np.roll(head.prototypes, 1, axis=0))


def test_a_bad_head_goes_within_twenty_trials_and_a_good_one_stays():
    gone = stayed = 0
    for seed in range(12):
        person = Person(World(), seed)
        good, bad = person.head(), exchanged(person.head())
        before = baseline(served(person, good, seed), CONFIG)
        gone += bool(why_back(served(person, bad, seed, n=20), before, good, True, CONFIG))
        stayed += not why_back(served(person, good, seed, n=20), before, bad, True, CONFIG)
    assert gone == 12
    assert stayed == 12


def test_a_fall_that_the_head_before_would_have_shared_changes_nothing():
    person = Person(World(jump=3.0, jump_at=0), 3)
    head = person.head()
    since = served(person, head, n=20)
    assert why_back(since, Baseline(rate=0.99, n_trials=30), head, True, CONFIG) == ""


def test_rewards_that_are_not_believed_take_nothing_back():
    person = Person(World(), 4)
    bad = exchanged(person.head())
    since = served(person, bad, n=20)
    assert why_back(since, Baseline(rate=0.9, n_trials=30), person.head(), True, CONFIG)
    assert not why_back(since, Baseline(rate=0.9, n_trials=30), person.head(), False, CONFIG)


def collapsing(person):
    prototypes = person.head().prototypes.copy()
    prototypes[1:] *= 10
    return replace(person.head(), prototypes=prototypes)


def test_outputs_that_collapse_go_back_even_without_rewards():
    person = Person(World(), 5)
    since = served(person, collapsing(person))
    told = why_back(since, Baseline(), person.head(), False, CONFIG)
    assert "decisions are the same" in told
    assert why_back(since, Baseline(), collapsing(person), False, CONFIG) == ""


def test_one_option_all_the_time_is_no_collapse_where_it_is_expected():
    person = Person(World(), 5)
    since = served(person, collapsing(person))
    for one in since:
        one.trial = replace(one.trial, prior=np.array([0.97, 0.01, 0.01, 0.01]))
    assert why_back(since, Baseline(), person.head(), False, CONFIG) == ""


def test_probabilities_that_are_surer_than_right_go_back():
    person = Person(World(distance=0.7), 6)
    sharp = replace(person.head(), temperature=0.05)
    before = baseline(served(person, person.head(), n=30), CONFIG)
    told = why_back(served(person, sharp, n=30), before, person.head(), True, CONFIG)
    assert "surer than right" in told


def test_where_nothing_was_decided_the_head_before_is_not_taken_to_have_been_sure():
    earlier = PrototypeHead(
        classes=("a", "b"), mean=np.zeros(1), scale=np.ones(1), basis=np.eye(1), centre=np.zeros(1),
        prototypes=np.array([[1.0], [-1.0]]), log_priors=np.log([0.5, 0.5]),
    )  # fmt: skip
    since = []
    for t in range(20):
        abstained = t % 2 == 1
        features = np.array([-3.0 if abstained else 0.1])
        trial = Trial.plain(t, features, 2, ABSTAINED if abstained else 0)
        served = np.array([0.01, 0.99]) if abstained else np.array([0.99, 0.01])
        since.append(Beside(trial, 1, served))
        since[-1].settle(Reward(trial=t, meant=1 if abstained else t % 4 // 2))
    told = why_back(since, Baseline(n_trials=30), earlier, True, CONFIG)
    assert "surer than right" in told


def test_nothing_heard_is_no_baseline():
    assert baseline([], CONFIG) == Baseline()
