"""Drift is found without labels, is zero without drift, and does not mind noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from diverloop.rl.envelope.drift_index import density, drift_index, residual
from diverloop.rl.trial import Trial

from .streams import Person, World


def seen(person, head, n, start=0):
    trials = [Trial.plain(t, person.trial(t)[0], 4, 0) for t in range(start, start + n)]
    return trials, [residual(head, one, one.posterior(head)) for one in trials]


def test_no_drift_gives_nothing_and_a_shift_its_square():
    still = Person(World(distance=4.0), 1)
    assert drift_index(seen(still, still.head(), 400)[1]) < 0.05
    moved = Person(World(distance=4.0, jump=1.5, jump_at=0), 1)
    assert drift_index(seen(moved, moved.head(), 400)[1]) == pytest.approx(1.5**2, rel=0.2)


def test_few_trials_give_no_index():
    person = Person(World(), 1)
    assert drift_index(seen(person, person.head(), 3)[1]) == 0.0


def test_exchanged_classes_fit_as_well_as_before_and_moved_ones_do_not():
    person = Person(World(), 2)
    head = person.head()
    trials, _ = seen(person, head, 40)
    swapped = replace(head, prototypes=np.roll(head.prototypes, 1, axis=0))
    moved = replace(head, prototypes=head.prototypes + 2.0)
    fits = [np.mean([density(one, trial) for trial in trials]) for one in (head, swapped, moved)]
    assert fits[0] == pytest.approx(fits[1])
    assert fits[2] < fits[0] - 1
