from __future__ import annotations

import numpy as np

from diverloop.rl.protocol.bounds import Dose, ProtocolBounds
from diverloop.rl.protocol.progress import ProgressBandit
from diverloop.rl.protocol.trainee import Trainee, TraineeConfig

BOUNDS = ProtocolBounds()


def test_a_person_is_the_same_for_the_same_seed():
    one, other = (Trainee(BOUNDS, TraineeConfig(), 3) for _ in range(2))
    assert [one.train(BOUNDS.usual) for _ in range(3)] == [
        other.train(BOUNDS.usual) for _ in range(3)
    ]


def test_skill_rises_ever_more_slowly():
    person = Trainee(BOUNDS, TraineeConfig(), 0)
    skills = [0.0]
    for _ in range(10):
        person.train(BOUNDS.usual)
        skills.append(person.skill)
    steps = np.diff(skills)
    assert (steps > 0).all()
    assert (np.diff(steps) < 0).all()


def test_most_is_learnt_at_the_persons_own_challenge_point():
    person = Trainee(BOUNDS, TraineeConfig(), 1)
    best = Dose(difficulty=0.65 + 0.15 * person.best[0], block_s=120.0 + 60.0 * person.best[1])
    assert person.efficiency(best) == 1.0
    assert person.efficiency(Dose(difficulty=best.difficulty - 0.1, block_s=best.block_s)) < 0.9


def test_long_blocks_tire_and_rare_reward_frustrates():
    people = [Trainee(BOUNDS, TraineeConfig(), seed) for seed in range(10)]
    calm = [one.train(Dose(difficulty=0.8, block_s=60.0)) for one in people]
    spent = [one.train(Dose(difficulty=0.5, block_s=180.0)) for one in people]
    for sign in ("fatigue", "frustration"):
        assert np.mean([getattr(one, sign) for one in spent]) > 0.2 + np.mean(
            [getattr(one, sign) for one in calm]
        )


def test_following_persons_who_differ_teaches_them_more_than_the_usual_settings():
    bandit, more = ProgressBandit(BOUNDS), []
    for seed in range(200, 212):
        followed, fixed = (Trainee(BOUNDS, TraineeConfig(), seed) for _ in range(2))
        known = []
        for _ in range(15):
            known.append(followed.train(bandit.suggest(known, str(seed)).dose))
            fixed.train(BOUNDS.usual)
        more.append(followed.skill - fixed.skill)
    assert np.mean(more) > 0
