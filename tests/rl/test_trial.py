"""Trials give posteriors over what could have been meant, and rewards move them as Bayes says."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.rl.trial import ABSTAINED, Reward, Trial
from diverloop.runtime.prototype_head import PrototypeHead


def head():
    return PrototypeHead(
        classes=("nontarget", "target"),
        mean=np.zeros(2), scale=np.ones(2), basis=np.eye(2), centre=np.zeros(2),
        prototypes=np.array([[0.0, 0.0], [2.0, 0.0]]), log_priors=np.log([0.8, 0.2]),
    )  # fmt: skip


def test_a_speller_takes_the_item_whose_flashes_look_like_targets():
    under = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]])
    features = np.array([[0.0, 0.0], [2.1, 0.0], [-0.2, 0.0]])
    trial = Trial(number=1, features=features, under=under, prior=np.full(3, 1 / 3), decided=1)
    posterior = trial.posterior(head())
    assert posterior.sum() == pytest.approx(1)
    assert posterior.argmax() == 1
    shares = trial.shares(posterior, 2)
    assert shares.sum(axis=1) == pytest.approx(1)
    assert shares[:, 1] == pytest.approx(posterior)


def test_a_prior_of_zero_cannot_be_overruled_by_noise():
    trial = Trial(
        number=1, features=np.array([[1.2, 0.0]]), under=np.array([[0], [1]]),
        prior=np.array([1.0, 0.0]), decided=0,
    )  # fmt: skip
    assert trial.posterior(head())[1] < 1e-9


def test_an_error_takes_from_the_decided_option_and_the_others_share():
    trial = Trial.plain(4, np.zeros(2), 3, decided=0)
    before = np.array([0.6, 0.3, 0.1])
    after = Reward(trial=4, log_odds=np.log(0.25)).weigh(trial, before)
    assert after == pytest.approx(np.array([0.15, 0.3, 0.1]) / 0.55)


def test_what_says_nothing_changes_nothing():
    trial = Trial.plain(4, np.zeros(2), 2, decided=0)
    before = np.array([0.7, 0.3])
    assert Reward(trial=4).weigh(trial, before) == pytest.approx(before)
    nothing = Trial.plain(4, np.zeros(2), 2, decided=ABSTAINED)
    assert Reward(trial=4, log_odds=3.0).weigh(nothing, before) == pytest.approx(before)


def test_a_cue_settles_it():
    trial = Trial.plain(4, np.zeros(2), 2, decided=0)
    known = Reward(trial=4, meant=1, log_odds=9.0).weigh(trial, np.array([0.99, 0.01]))
    assert known.tolist() == [0.0, 1.0]
