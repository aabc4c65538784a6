"""Rewards that cannot be about the decisions are doubted; honest ones hardly ever are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from diverloop.rl.envelope.config import EnvelopeConfig
from diverloop.rl.envelope.poison import doubts
from diverloop.rl.envelope.shadow import ShadowLog
from diverloop.rl.trial import Trial

from .streams import Detector, Person, World

STILL = World()


def doubt(poison, seed, world=STILL, n=60, accuracy=0.75):
    person, log, detector = Person(world, seed), ShadowLog(n), Detector(accuracy, seed, poison)
    for t in range(n):
        features, meant = person.trial(t)
        trial = Trial.plain(t, features, world.n_classes, 0)
        trial = replace(trial, decided=int(trial.posterior(person.head()).argmax()))
        log.see(trial, 0, person.head(), None, person.head())
        log.hear(detector.reward(t, trial.decided == meant))
    return doubts(list(log.records), EnvelopeConfig())


@pytest.mark.parametrize(
    ("poison", "word"), [("all right", "said right"), ("all wrong", "said wrong")]
)
def test_a_detector_that_never_errs_is_not_believed(poison, word):
    assert word in doubt(poison, 1)


def test_inverted_rewards_are_below_chance_with_two_classes():
    two = World(n_classes=2, distance=1.5)
    assert sum("below chance" in doubt("inverted", seed, two) for seed in range(20)) >= 18


def test_honest_rewards_are_believed_also_after_an_abrupt_change():
    worlds = (STILL, World(jump=2.5, jump_at=30), World(distance=1.0, lapses=0.25))
    told = [doubt("", seed, world) for world in worlds for seed in range(8)]
    assert sum(map(bool, told)) <= 1


def test_a_detector_as_good_as_certain_may_say_right_for_ever():
    assert doubt("all right", 1, World(distance=6.0), accuracy=0.9999) == ""


def test_a_few_rewards_are_no_stream():
    assert doubt("all wrong", 1, n=9) == ""
