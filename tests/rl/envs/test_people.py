"""People are drawn by number or fitted, and are the same whenever they come back."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.rl.envs.people import FLASHES, IMAGERY, Traits, fitted_people, who
from diverloop.runtime.errors import ConfigError


def rng():
    return np.random.default_rng(5)


def test_a_numbered_person_is_the_same_in_every_episode():
    first, behaviour, theirs = who(103, 4, IMAGERY, np.random.default_rng(0))
    again, same, also = who(103, 4, IMAGERY, np.random.default_rng(1))
    assert (first, behaviour) == (again, same)
    assert theirs.random() == also.random()
    assert who(104, 4, IMAGERY, rng())[0] != first


def test_nobody_in_particular_comes_from_the_episode():
    assert who(None, 2, FLASHES, rng())[:2] == who(None, 2, FLASHES, rng())[:2]
    assert who(None, 2, FLASHES, np.random.default_rng(6))[0] != who(None, 2, FLASHES, rng())[0]


def test_single_traits_can_be_set():
    traits, behaviour, _ = who({"who": 100, "distance": 3.0, "lapses": 0.25}, 4, IMAGERY, rng())
    assert traits.apart[np.triu_indices(4, 1)].mean() == pytest.approx(3)
    assert behaviour.lapses == 0.25


@pytest.mark.parametrize(
    ("wanted", "says"),
    [(-1, "negative"), ("nobody at all", "known are"), ({"distance": -1}, "distance"),
     ({"height": 2}, "known are")],
)  # fmt: skip
def test_somebody_who_does_not_exist_is_refused(wanted, says):
    with pytest.raises(ConfigError, match=says):
        who(wanted, 4, IMAGERY, rng())


def test_a_fitted_person_needs_as_many_classes_as_they_have():
    name, traits = next(iter(fitted_people().items()))
    n_classes = len(traits.distances)
    assert who(name, n_classes, IMAGERY, rng())[0] == traits
    with pytest.raises(ConfigError, match=f"n_classes={n_classes}"):
        who(name, n_classes + 1, IMAGERY, rng())


def test_traits_fitted_by_oneself_are_taken_as_a_person_who_stays_the_same():
    name, traits = next(iter(fitted_people().items()))
    n_classes = len(traits.distances)
    named, given = who(name, n_classes, IMAGERY, rng()), who(traits, n_classes, IMAGERY, rng())
    assert named[:2] == given[:2]
    assert named[2].random() == given[2].random()
    with pytest.raises(ConfigError, match=f"n_classes={n_classes}"):
        who({"who": traits}, n_classes + 1, IMAGERY, rng())


def test_every_fitted_person_says_where_they_come_from():
    assert fitted_people()
    for traits in fitted_people().values():
        assert traits.data_set
        assert traits.licence


def test_distances_that_are_no_table_are_refused():
    with pytest.raises(ConfigError, match="symmetric"):
        Traits(name="x", distances=((0.0, 1.0), (2.0, 0.0)), correlation=0.1, tail=10)
