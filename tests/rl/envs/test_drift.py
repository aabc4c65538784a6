"""Each drift does what its name says, from its onset on, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.rl.envs.drift import DRIFTS, Directions, Drift, NoDrift, Recorded, Rotation, drift_of
from diverloop.runtime.errors import ConfigError

MEANS = np.array([[2.0, 0, 0, 0, 0, 0], [-1.0, 1.7, 0, 0, 0, 0], [-1.0, -1.7, 0, 0, 0, 0]])


@pytest.fixture
def to():
    return Directions.drawn(MEANS, 6, np.random.default_rng(0))


def differs(change, to):
    return {
        "means": not np.allclose(change.means, to.means),
        "shift": bool(change.shift.any()),
        "gain": change.gain != 1,
        "dead": len(change.dead) > 0,
    }


TOUCHES = {
    "none": set(), "shift": {"shift"}, "rotation": {"means"}, "class_selective": {"means"},
    "abrupt_recap": {"means", "shift"}, "gain": {"gain"}, "channel_death": {"dead"},
    "strategy_switch": {"means"}, "adversarial": {"means"}, "recorded": set(),
}  # fmt: skip


@pytest.mark.parametrize("kind", DRIFTS)
def test_a_drift_waits_for_its_onset_and_touches_only_what_it_is_about(kind, to):
    drift = drift_of({"kind": kind, "onset": 50})
    before, after = drift.change(49, to), drift.change(2000, to)
    assert not any(differs(before, to).values())
    assert {name for name, changed in differs(after, to).items() if changed} == TOUCHES[kind]


@pytest.mark.parametrize("kind", sorted(set(DRIFTS) - {"none"}))
def test_a_drift_grows_to_its_size_and_stays(kind):
    drift = drift_of({"kind": kind, "size": 0.8, "onset": 10, "over": 20})
    assert [drift.amount(trial) for trial in (9, 19, 29, 500)] == pytest.approx([0, 0.4, 0.8, 0.8])


def test_class_selective_drift_leaves_the_middle_where_it_was(to):
    change = drift_of({"kind": "class_selective", "size": 3}).change(1000, to)
    assert change.means.mean(axis=0) == pytest.approx(MEANS.mean(axis=0))


def test_rotation_keeps_every_distance(to):
    change = Rotation(size=75, over=1).change(0, to)
    apart = np.linalg.norm(change.means[:, None] - change.means, axis=-1)
    assert apart == pytest.approx(np.linalg.norm(MEANS[:, None] - MEANS, axis=-1))
    # 75 degrees away from where each class was, about rest.
    cosines = (change.means * MEANS).sum(axis=1) / (MEANS**2).sum(axis=1)
    assert cosines == pytest.approx(np.cos(np.deg2rad(75)))


def test_a_shift_has_the_length_that_was_set_and_most_of_it_hurts(to):
    change = drift_of({"kind": "shift", "size": 2, "over": 1}).change(0, to)
    assert np.linalg.norm(change.shift) == pytest.approx(2)
    assert np.linalg.norm(change.shift[:2]) == pytest.approx(1.6)


def test_recorded_drift_goes_as_far_as_the_person_did(to):
    change = Recorded(common=1.5, own=0.7, over=1).change(0, to)
    assert np.linalg.norm(change.shift) == pytest.approx(1.5)
    lengths = np.linalg.norm(change.means - MEANS, axis=1)
    assert np.sqrt((lengths**2).mean()) == pytest.approx(0.7)


def test_poisoning_past_half_way_makes_each_class_look_like_the_next(to):
    moved = drift_of({"kind": "adversarial", "over": 1}).change(0, to).means
    nearest = np.linalg.norm(moved[:, None] - MEANS, axis=-1).argmin(axis=1)
    assert nearest.tolist() == [1, 2, 0]


def test_two_classes_can_drift_too():
    to = Directions.drawn(MEANS[:2], 6, np.random.default_rng(1))
    for kind in DRIFTS:
        assert np.isfinite(drift_of(kind).change(300, to).means).all()


def test_a_drift_is_named_in_any_of_four_ways():
    assert drift_of(None) == NoDrift()
    assert drift_of("rotation") == Rotation() == drift_of(Rotation())
    assert drift_of({"kind": "rotation", "size": 10.0}) == Rotation(size=10.0)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [("twist", "known are none"), ({"kind": "shift", "speed": 1}, "it has size, onset, over"),
     ({"kind": "gain", "size": 9}, r"\[0, 3\]"), ({"kind": "gain", "over": 0}, "at least 1")],
)  # fmt: skip
def test_a_drift_that_does_not_exist_is_refused_with_what_does(wrong, says):
    with pytest.raises(ConfigError, match=says):
        drift_of(wrong)


def test_a_plain_drift_changes_nothing(to):
    assert not any(differs(Drift(size=1.0).change(5, to), to).values())
