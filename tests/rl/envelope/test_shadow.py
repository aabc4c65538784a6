"""Who would have done better is estimated without knowing what was meant, and not too surely."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from diverloop.rl.envelope.shadow import ShadowLog, benefits, lower_bound, replayed, supports
from diverloop.rl.trial import Reward, Trial

from .streams import Detector, Person, World


def log_of(person, proposed, n, accuracy=0.75, seed=0, serving=None):
    log, detector, truth = ShadowLog(n), Detector(accuracy, seed), []
    serving = serving or person.head()
    for t in range(n):
        features, meant = person.trial(t)
        trial = Trial.plain(t, features, person.world.n_classes, 0)
        trial = replace(trial, decided=int(trial.posterior(serving).argmax()))
        log.see(trial, 0, serving, proposed, serving)
        log.hear(detector.reward(t, trial.decided == meant))
        truth.append(float(trial.posterior(proposed).argmax() == meant) - (trial.decided == meant))
    return list(log.records), np.array(truth)


def test_heads_that_decide_alike_differ_by_nothing():
    person = Person(World(), 1)
    records, _ = log_of(person, person.head(), 50)
    assert not benefits(records).any()
    assert supports(records) == pytest.approx(np.zeros(50))


@pytest.mark.parametrize("seed", range(2))
def test_with_two_classes_the_benefit_is_unbiased_although_every_reward_errs(seed):
    person = Person(World(n_classes=2, distance=1.0, jump=1.5, jump_at=0), seed)
    records, truth = log_of(person, person.oracle(1), 900, seed=seed)
    assert benefits(records).mean() == pytest.approx(truth.mean(), abs=0.08)
    assert supports(records).mean() > 0


def test_with_more_classes_a_better_head_is_not_overrated_much():
    person = Person(World(jump=2.5, jump_at=0), 4)
    records, truth = log_of(person, person.oracle(1), 600)
    assert 0 < benefits(records).mean() < truth.mean() + 0.05


def test_a_sure_and_wrong_head_cannot_vouch_for_itself():
    person = Person(World(distance=0.8), 5)
    swapped = replace(
        person.head(), prototypes=np.roll(person.head().prototypes, 1, axis=0), temperature=0.05
    )
    records, truth = log_of(person, swapped, 600)
    assert truth.mean() < -0.1
    assert benefits(records).mean() < 0


def test_a_known_intention_settles_both_sides():
    person = Person(World(), 6)
    records, _ = log_of(person, person.head(), 3)
    record = records[0]
    other = (record.trial.decided + 1) % 4
    record.reward = Reward(trial=0, meant=other)
    assert record.worth(other) == 1
    assert record.worth(record.trial.decided) == 0
    right, wrong = np.eye(4)[other], np.eye(4)[record.trial.decided]
    assert replayed([record], [right], [wrong]).tolist() == [1.0]


def test_the_bound_lies_above_nothing_in_few_cases_where_there_is_nothing():
    rng = np.random.default_rng(100)
    above = 0
    for _ in range(1000):
        differs = rng.random(30) < 0.2
        values = np.where(differs, rng.choice([-2.0, 2.0, 1.2, -1.2], 30), 0.0)
        above += lower_bound(values, 0.9, np.abs(values).max(initial=1)) > 0
    assert above <= 100


def test_a_bound_of_nothing_is_no_bound():
    assert lower_bound(np.zeros(1), 0.9, 1.0) == -np.inf
    assert lower_bound(np.ones(30), 0.9, 1.0) > 0.3


def test_rewards_of_unknown_trials_and_impossible_options_are_not_heard():
    person = Person(World(), 7)
    log = ShadowLog(5)
    log.see(Trial.plain(3, person.trial(0)[0], 4, 1), 0, person.head(), None, person.head())
    assert not log.hear(Reward(trial=99))
    assert not log.hear(Reward(trial=3, meant=7))
    assert log.hear(Reward(trial=3, log_odds=1.0, value=1.5, source="a"))
    assert log.hear(Reward(trial=3, log_odds=-0.5, value=-0.5, source="b"))
    assert log.records[0].reward.log_odds == 0.5
    assert log.records[0].reward.value == 1.5
    assert not log.records[0].counts
