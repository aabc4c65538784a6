from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from diverloop.rl.protocol.bounds import Dose, ProtocolBounds
from diverloop.rl.protocol.history import Outcome
from diverloop.rl.protocol.progress import ProgressBandit, ProgressConfig
from diverloop.runtime.errors import ConfigError

BOUNDS = ProtocolBounds()
BANDIT = ProgressBandit(BOUNDS)
CALM = {"fatigue": 0.2, "frustration": 0.2}


def outcomes(n: int = 20, *, best: float, noise: float = 0.0) -> list[Outcome]:
    """Of a person who learns most at one difficulty, under settings that go to and fro."""
    rng = np.random.default_rng(0)
    made, level = [], 0.3
    for number in range(n):
        dose = Dose(
            difficulty=(0.55, 0.65, 0.75, 0.65)[number % 4],
            block_s=(90.0, 120.0, 150.0)[number % 3],
        )
        away = (dose.difficulty - best) / 0.15
        level += 0.1 * (1 - away**2) * (number + 1) ** -0.5
        made.append(Outcome(dose=dose, probe=level + noise * rng.standard_normal(), **CALM))
    return made


def test_the_first_session_is_the_usual_one_and_the_same_however_often_it_is_asked():
    first = BANDIT.suggest([], "P07")
    assert first.dose == BOUNDS.usual
    assert "first session" in first.reason
    known = outcomes(5, best=0.7)
    assert BANDIT.suggest(known, "P07") == BANDIT.suggest(known, "P07")


@pytest.mark.parametrize("best", [0.55, 0.75])
def test_it_finds_the_difficulty_that_a_person_learns_most_under(best):
    exact = ProgressBandit(BOUNDS, ProgressConfig(probe_noise=0.01))
    belief = exact.learn(outcomes(best=best))
    doses = [Dose(difficulty=value, block_s=120.0) for value in (0.55, 0.65, 0.75)]
    gains, spread = exact.gains(belief, doses)
    assert doses[int(gains.argmax())].difficulty == best
    assert (spread > 0).all()
    assert gains[doses.index(Dose(difficulty=best, block_s=120.0))] == pytest.approx(0.1, abs=0.03)


def test_sessions_without_a_probe_are_practice_all_the_same():
    known = outcomes(6, best=0.7)
    silent = [replace(known[0], probe=None), *known[1:]]
    full, less = BANDIT.learn(known), BANDIT.learn(silent)
    assert np.trace(less.covariance) > np.trace(full.covariance)
    assert BANDIT.suggest([replace(one, probe=None) for one in known]).reason.startswith("No probe")


def test_where_somebody_began_says_nothing_of_how_they_learn():
    known = outcomes(8, best=0.7)
    higher = [replace(one, probe=one.probe + 3.0) for one in known]
    np.testing.assert_allclose(BANDIT.learn(known).mean, BANDIT.learn(higher).mean, atol=0.01)


def test_after_much_fatigue_blocks_get_no_longer_and_after_frustration_it_gets_no_harder():
    known = outcomes(6, best=0.7)
    last = replace(known[-1], fatigue=0.9, frustration=0.9)
    for name in map(str, range(30)):
        suggestion = BANDIT.suggest([*known[:-1], last], name)
        assert suggestion.dose.block_s <= last.dose.block_s
        assert suggestion.dose.difficulty >= last.dose.difficulty  # reward comes as often, or more
        assert "fatigue of 0.9" in suggestion.reason


def test_frequent_signs_lead_to_easier_sessions_and_shorter_blocks():
    tired = [
        Outcome(dose=BOUNDS.usual, probe=0.1 * n, fatigue=0.5, frustration=0.5) for n in range(6)
    ]
    calm = [replace(one, fatigue=0.0, frustration=0.0) for one in tired]
    greedy = ProgressBandit(
        BOUNDS, ProgressConfig(boldness=0.0, fatigue_cost=50.0, frustration_cost=50.0)
    )
    easier, harder = greedy.suggest(tired).dose, greedy.suggest(calm).dose
    assert easier.difficulty > harder.difficulty
    assert easier.block_s < harder.block_s


@pytest.mark.parametrize("name", ["A", "Bo", "Cem"])
def test_every_suggestion_keeps_to_the_bounds_whatever_the_probes_say(name):
    rng = np.random.default_rng(len(name))
    known: list[Outcome] = []
    for _ in range(12):
        suggestion = BANDIT.suggest(known, name)
        assert suggestion.dose in BOUNDS.doses(known[-1].dose if known else None)
        signs = {"fatigue": rng.random(), "frustration": rng.random()}
        probe = float(10 ** rng.uniform(-3, 3) * rng.standard_normal())
        known.append(Outcome(dose=suggestion.dose, probe=probe, **signs))
    assert len({outcome.dose for outcome in known}) > 1


def test_great_caution_stays_with_the_usual_settings():
    cautious = ProgressBandit(BOUNDS, ProgressConfig(caution=5.0, allowance=0.0))
    known: list[Outcome] = []
    for number in range(5):
        known.append(Outcome(dose=cautious.suggest(known).dose, probe=0.1 * number, **CALM))
    assert {outcome.dose for outcome in known} == {BOUNDS.usual}


@pytest.mark.parametrize("changes", [{"probe_noise": 0.0}, {"slowing": 2.0}, {"boldness": -1.0}])
def test_settings_that_make_no_sense_are_refused(changes):
    with pytest.raises(ConfigError, match="must be in"):
        ProgressConfig(**changes)
