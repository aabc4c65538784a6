"""A simulated person learns by a power law, lapses, tires, and is put off by errors."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.rl.envs.person import Person, PersonConfig
from diverloop.runtime.errors import ConfigError


def test_a_steady_person_never_changes_and_always_attends():
    person, rng = Person(PersonConfig.steady()), np.random.default_rng(0)
    for _ in range(50):
        person.feedback(False)
        person.advance(60)
    assert person.modulation == 1
    assert all(person.attends(rng) for _ in range(100))
    assert person.reaction(rng) == 0


def test_practice_follows_a_power_law():
    config = PersonConfig(gain=0.5, rate=0.6, practice=10, frustration=0, fatigue=0)
    person, left = Person(config), []
    for _ in range(1000):
        left.append(1 + config.gain - person.modulation)
        person.feedback(True)
    n = np.arange(1000)
    slope = np.polyfit(np.log1p(n / 10), np.log(left), 1)[0]
    assert slope == pytest.approx(-0.6, abs=1e-9)


def test_errors_lower_modulation_and_successes_bring_it_back():
    person = Person(PersonConfig(frustration=0.4, gain=0, fatigue=0))
    for _ in range(10):
        person.feedback(False)
    assert person.modulation == pytest.approx(0.6)
    for _ in range(10):
        person.feedback(True)
    assert person.modulation == 1


def test_a_single_early_error_annoys_nobody():
    person = Person()
    person.feedback(False)
    assert person.annoyance == 0


def test_the_tired_lapse_more_often_and_modulate_less():
    config = PersonConfig(lapses=0.1, tired_lapses=0.3, fatigue=0.5, tires_s=100, gain=0)
    person, rng = Person(config), np.random.default_rng(1)
    rested = np.mean([person.attends(rng) for _ in range(4000)])
    person.advance(1000)
    tired = np.mean([person.attends(rng) for _ in range(4000)])
    assert rested == pytest.approx(0.9, abs=0.02)
    assert tired == pytest.approx(0.6, abs=0.03)
    assert person.modulation == pytest.approx(0.5, abs=0.01)


def test_reactions_have_the_median_that_was_set():
    person, rng = Person(PersonConfig(reaction_s=0.4)), np.random.default_rng(2)
    assert np.median([person.reaction(rng) for _ in range(4000)]) == pytest.approx(0.4, abs=0.01)


def test_sampled_people_differ_and_lapse_as_people_do():
    people = [PersonConfig.sampled(np.random.default_rng(seed)) for seed in range(100, 130)]
    lapses = [config.lapses for config in people]
    assert 0.05 <= min(lapses) < max(lapses) <= 0.25
    assert len({config.frustration for config in people}) == 30
    assert people[0] == PersonConfig.sampled(np.random.default_rng(100))


@pytest.mark.parametrize("wrong", [{"lapses": 1.0}, {"lapses": np.nan}, {"remembers": 0}])
def test_what_nobody_is_like_is_refused_with_what_is_allowed(wrong):
    with pytest.raises(ConfigError, match="must be"):
        PersonConfig(**wrong)


def test_a_misspelt_trait_is_refused_with_those_known():
    with pytest.raises(ConfigError, match="known are lapses"):
        PersonConfig().changed({"laps": 0.1})
