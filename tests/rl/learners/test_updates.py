"""Updates of a head are pure, bounded, and move what the trial and its reward speak of."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.rl.learners import updates
from diverloop.rl.trial import ABSTAINED, Reward, Trial
from diverloop.runtime.prototype_head import PrototypeHead

ALL = (
    updates.keep, updates.recentre, updates.pull_decided, updates.pull_second, updates.pull_told,
    updates.recentre_and_pull, updates.warm, updates.cool,
)  # fmt: skip
GOOD = Reward(trial=1, log_odds=2.0, value=1.5)
BAD = Reward(trial=1, log_odds=-2.0, value=-0.5)


def head(seed=0):
    rng = np.random.default_rng(seed)
    return PrototypeHead(
        classes=("a", "b", "c"),
        mean=rng.normal(size=5), scale=rng.uniform(0.5, 2, 5), basis=rng.normal(size=(5, 4)),
        centre=rng.normal(size=4), prototypes=rng.normal(size=(3, 4)) * 2, log_priors=np.zeros(3),
    )  # fmt: skip


def trial(seed=0, decided=0):
    return Trial.plain(1, np.random.default_rng(seed).normal(size=(3, 5)) * 2, 3, decided)


def moved(before, after):
    return np.linalg.norm(after.prototypes - before.prototypes, axis=1)


@pytest.mark.parametrize("update", ALL)
def test_an_update_leaves_the_head_it_was_given_as_it_was(update):
    given = head()
    before = given.sha256
    first, again = update(given, trial(), BAD), update(given, trial(), BAD)
    assert given.sha256 == before
    assert first.sha256 == again.sha256


@pytest.mark.parametrize("update", ALL)
@pytest.mark.parametrize("reward", [None, GOOD, BAD, Reward(trial=1, meant=2)])
def test_no_prototype_moves_by_more_than_a_tenth_of_the_distance_to_the_next(update, reward):
    for seed in range(10):
        before = head(seed)
        far = Trial.plain(1, 1e3 * np.random.default_rng(seed).normal(size=(2, 5)), 3, seed % 3)
        after = update(before, far, reward)
        # Recentring changes no distance, so that two steps of one update have the same limit.
        assert (moved(before, after) <= 0.1 * updates.distances(before) + 1e-9).all()
        shift = np.linalg.norm(after.centre - before.centre)
        assert shift <= 0.1 * updates.distances(before).min() + 1e-9


def test_a_confirmed_decision_pulls_its_own_prototype_and_no_other():
    before, seen = head(), trial(decided=1)
    after = updates.pull_decided(before, seen, GOOD)
    assert (moved(before, after) > 0).tolist() == [False, True, False]
    target = before.project(seen.features).mean(axis=0)
    closer = np.linalg.norm(target - after.prototypes[1])
    assert closer < np.linalg.norm(target - before.prototypes[1])


def test_an_error_pulls_the_most_probable_other_and_praise_does_not():
    before, seen = head(), trial(decided=1)
    options = BAD.weigh(seen, seen.posterior(before))
    second = max((0, 2), key=lambda k: options[k])
    assert moved(before, updates.pull_second(before, seen, BAD)).argmax() == second
    assert updates.pull_second(before, seen, GOOD) is before
    assert updates.pull_second(before, seen, None) is before


def test_the_less_a_decision_is_believed_the_less_it_pulls():
    before, seen = head(), trial(decided=1)
    steps = [
        moved(before, updates.pull_decided(before, seen, Reward(trial=1, log_odds=o)))[1]
        for o in (-6.0, 0.0, 6.0)
    ]
    assert steps[0] <= steps[1] <= steps[2]
    assert steps[0] < steps[2]


def test_a_speller_pulls_targets_and_nontargets_at_once():
    rng = np.random.default_rng(3)
    before = PrototypeHead(
        classes=("nontarget", "target"), mean=np.zeros(2), scale=np.ones(2), basis=np.eye(2),
        centre=np.zeros(2), prototypes=np.array([[0.0, 0.0], [2.0, 0.0]]), log_priors=np.zeros(2),
    )  # fmt: skip
    under = np.eye(4, dtype=np.int64)
    features = rng.normal(size=(4, 2)) + np.array([[0, 3], [0, 3], [2, 3], [0, 3]])
    seen = Trial(number=1, features=features, under=under, prior=np.full(4, 0.25), decided=2)
    after = updates.pull_decided(before, seen, GOOD)
    assert (moved(before, after) > 0).all()
    assert (after.prototypes[:, 1] > before.prototypes[:, 1]).all()


def test_recentring_follows_a_common_shift_and_keeps_the_prototypes():
    rng = np.random.default_rng(5)
    start = head()
    shift = np.array([0.6, -0.4, 0.5, 0.3])
    now = start
    back = np.linalg.pinv(start.basis)
    for number in range(300):
        point = start.prototypes[number % 3] + shift + 0.3 * rng.normal(size=4)
        features = ((point + start.centre) @ back) * start.scale + start.mean
        now = updates.recentre(now, Trial.plain(number, features, 3, 0), None)
    assert np.linalg.norm(now.centre - start.centre - shift) < 0.25
    assert (now.prototypes == start.prototypes).all()


def test_temperature_stays_within_its_bounds():
    hot = cold = head()
    for _ in range(100):
        hot, cold = updates.warm(hot, trial(), None), updates.cool(cold, trial(), None)
    assert hot.temperature == updates.HIGHEST_TEMPERATURE
    assert cold.temperature == updates.LOWEST_TEMPERATURE


def test_steps_to_another_head_arrive_there():
    now, there = head(), updates.warm(head(1), trial(), None)
    there = PrototypeHead(**{
        name: getattr(there if name in ("centre", "prototypes", "temperature") else now, name)
        for name in PrototypeHead.__dataclass_fields__
    })
    for _ in range(200):
        before, now = now, updates.towards(now, there)
        assert (moved(before, now) <= 0.1 * updates.distances(before) + 1e-9).all()
    assert now.prototypes == pytest.approx(there.prototypes)
    assert now.centre == pytest.approx(there.centre)
    assert now.temperature == there.temperature


def test_nothing_decided_pulls_nothing():
    before, seen = head(), trial(decided=ABSTAINED)
    assert updates.pull_decided(before, seen, None) is before
    assert updates.pull_told(before, seen, BAD) is before
