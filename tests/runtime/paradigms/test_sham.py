from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from diverloop.runtime.errors import ConfigError
from diverloop.runtime.paradigms.sham import assign_arm, seed_of, surrogate_course


def sluggish(seed: int, n: int = 600) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(n + 100)
    return np.exp(signal.lfilter([0.3], [1, -0.9], noise)[100:])


def neighbours(course: np.ndarray) -> float:
    return float(np.corrcoef(course[:-1], course[1:])[0, 1])


def test_the_arm_is_the_same_whenever_it_is_asked_and_another_study_draws_anew():
    people = [f"p{number}" for number in range(200)]
    arms = [assign_arm(name, "secret") for name in people]
    assert arms == [assign_arm(name, "secret") for name in people]
    agree = sum(assign_arm(name, "other") == arm for name, arm in zip(people, arms, strict=True))
    assert 70 < agree < 130


@pytest.mark.parametrize(("share", "low", "high"), [(0, 0, 0), (0.25, 70, 130), (1, 400, 400)])
def test_the_share_of_the_sham_arm_is_the_one_asked_for(share, low, high):
    arms = [assign_arm(f"p{number}", "secret", share) for number in range(400)]
    assert low <= arms.count("sham") <= high


def test_an_arm_without_a_person_or_with_a_strange_share_is_refused():
    with pytest.raises(ConfigError, match="pseudonym"):
        assign_arm("", "secret")
    with pytest.raises(ConfigError, match="share_sham"):
        assign_arm("p", "secret", 1.5)


def test_a_seed_follows_from_all_words_and_their_borders():
    assert seed_of("a", "b") == seed_of("a", "b")
    assert len({seed_of("a", "b"), seed_of("ab"), seed_of("b", "a"), seed_of("a", "b", "")}) == 4
    # Written down once: a replay elsewhere has to draw the same.
    assert seed_of("course", "study", "p1") == 16128205261521046541


def test_a_surrogate_is_distributed_like_the_course_and_as_sluggish():
    course = sluggish(0)
    made = surrogate_course(course, 1500, seed=3)
    assert made.shape == (1500,)
    parts = np.linspace(0.05, 0.95, 19)
    np.testing.assert_allclose(np.quantile(made, parts), np.quantile(course, parts), atol=0.01)
    assert neighbours(made) == pytest.approx(neighbours(course), abs=0.05)


def test_a_surrogate_follows_its_seed_and_not_the_course():
    course = sluggish(1)
    made = surrogate_course(course, 600, seed=3)
    np.testing.assert_array_equal(made, surrogate_course(course, 600, seed=3))
    other = surrogate_course(course, 600, seed=4)
    assert abs(np.corrcoef(made, course)[0, 1]) < 0.3
    assert abs(np.corrcoef(made, other)[0, 1]) < 0.3


def test_a_surrogate_does_not_lead_back_to_its_start():
    course = sluggish(2)
    made = np.stack([surrogate_course(course, 200, seed) for seed in range(200)])
    # What comes round in a circle has its ends beside each other, and neighbours are alike.
    assert np.corrcoef(made[:, 0], made[:, 1])[0, 1] > 0.6
    assert abs(np.corrcoef(made[:, 0], made[:, -1])[0, 1]) < 0.3


@pytest.mark.parametrize("course", [np.ones(4), np.full(100, np.nan), np.ones((2, 50))])
def test_a_course_that_is_too_little_to_go_by_is_refused(course):
    with pytest.raises(ConfigError, match="8 finite steps"):
        surrogate_course(course, 100, seed=0)
