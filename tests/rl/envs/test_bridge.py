"""Learners play in the environments: told more, they get better, and nothing is told too early."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("gymnasium")

from diverloop.rl.envs.bridge import calibrated, play, reward_of, trial_of
from diverloop.rl.envs.error_channel import ErrorChannelConfig
from diverloop.rl.envs.motor_imagery import MotorImagery
from diverloop.rl.envs.p300_speller import P300Speller
from diverloop.rl.trial import ABSTAINED
from diverloop.runtime.errors import ConfigError

JUMP = {"drift": {"kind": "abrupt_recap", "onset": 20, "size": 4.0}}


class Follower:
    """Moves the prototypes by what rewards say; enough to tell the kinds of telling apart."""

    rule = "follows"

    def __init__(self, head):
        self.head, self.trials, self.heard = head, {}, []

    def see(self, trial):
        self.trials[trial.number] = trial

    def hear(self, reward):
        self.heard.append((max(self.trials), reward))
        trial = self.trials[reward.trial]
        options = reward.weigh(trial, trial.posterior(self.head))
        shares = trial.shares(options, len(self.head.classes)).mean(axis=0)
        away = self.head.project(trial.features).mean(axis=0) - self.head.prototypes
        self.adopt(replace(self.head, prototypes=self.head.prototypes + 0.1 * shares[:, None] * away))

    def adopt(self, head):
        self.head = head


def test_a_learner_that_is_told_the_truth_recovers_from_a_jump():
    late = {}
    for told in ("nothing", "errors", "truth"):
        played = [
            play(MotorImagery(n_trials=100), Follower, seed=seed, options=JUMP, told=told)
            for seed in range(100, 104)
        ]
        late[told] = np.mean([one.accuracy(60) for one in played])
    assert late["truth"] > late["nothing"] + 0.1
    assert late["truth"] > late["errors"] > late["nothing"]


def test_playing_is_repeatable_and_shuffling_keeps_only_names():
    made = []

    def make(head):
        made.append(Follower(head))
        return made[-1]

    for told in ("errors", "errors", "shuffled"):
        play(MotorImagery(n_trials=40), make, seed=101, told=told)
    first, again, shuffled = made
    assert first.head.sha256 == again.head.sha256 != shuffled.head.sha256
    assert all(now > reward.trial for now, reward in first.heard)
    drawn = {round(reward.log_odds, 9) for _, reward in shuffled.heard}
    real = {round(reward.log_odds, 9) for _, reward in first.heard}
    assert not drawn <= real or shuffled.heard != first.heard


def test_a_speller_is_read_through_its_board():
    env = P300Speller(rows=3, columns=3, n_trials=12)
    easy = {"user": {"distance": 5.0, "lapses": 0.0, "tired_lapses": 0.0}}
    played = play(env, Follower, seed=100, options=easy, told="nothing")
    assert played.accuracy() > 0.8
    observation, _ = env.reset(seed=1)
    trial = trial_of(observation, 4, 2)
    assert trial.under.shape == (9, 18)
    assert trial.decided == ABSTAINED
    assert trial.number == 4


def test_a_cautious_decoder_abstains_and_is_right_more_often_where_it_decides():
    played = [
        play(MotorImagery(n_trials=80), Follower, seed=100, told="nothing", decide_at=at)
        for at in (0.0, 0.8)
    ]
    made = played[1].decided != ABSTAINED
    assert 0 < made.sum() < 80
    assert played[1].right[made].mean() > played[0].right.mean()
    assert (played[0].decided != ABSTAINED).all()


def test_windows_that_say_the_same_make_the_head_more_modest():
    _, info = MotorImagery(calibration=60).reset(seed=100)
    features = info["calibration"]["features"]
    alone = {"features": features[:, :1], "labels": info["calibration"]["labels"][:, :1]}
    copied = {
        "features": np.repeat(features[:, :1], 8, axis=1),
        "labels": np.repeat(alone["labels"], 8, axis=1),
    }
    classes = tuple("abcd")
    ratio = calibrated(copied, classes).temperature / calibrated(alone, classes).temperature
    assert ratio >= 4


def test_a_score_becomes_a_reward_of_its_trial():
    channel = ErrorChannelConfig(balanced_accuracy=0.75)
    reward = reward_of((7, 1.5, 12.0), channel)
    assert (reward.trial, reward.at_s, reward.source) == (7, 12.0, "error potential")
    assert reward.log_odds < 0
    assert reward.value == pytest.approx(-0.5)


def test_an_unknown_way_of_telling_is_refused():
    with pytest.raises(ConfigError, match="told must be one of"):
        play(MotorImagery(), Follower, seed=0, told="all")
