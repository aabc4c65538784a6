"""Calibration moves along with what serves, by the median of trials, and back to the bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from diverloop.rl.envelope.version import ROLL_BACK, Version
from diverloop.rl.reference import Reference
from diverloop.rl.trial import Trial

from .heads import head

HOME = np.zeros(3)
FIRST = Version(epoch=0, head=head(3), sha256="first")


def version(name, rule="reward"):
    return replace(FIRST, sha256=name, rule=rule)


def seen(reference, *middles):
    for number, middle in enumerate(middles):
        features = np.full((2, 3), middle) + np.array([[-1.0], [1.0]])
        reference.see(Trial.plain(number, features, 2, 0))


def test_it_stays_until_more_than_half_of_the_trials_lie_elsewhere():
    reference = Reference(HOME, n_trials=5, kept=4)
    seen(reference, 0, 0, 0, 8, 8)
    assert reference.of(version("a")).tolist() == [0.0] * 3
    seen(reference, 8)
    assert reference.of(version("b")).tolist() == [8.0] * 3


def test_of_too_few_trials_nothing_follows():
    reference = Reference(HOME, n_trials=5, kept=4)
    seen(reference, 8, 8, 8, 8)
    assert reference.of(version("a")) is HOME


def test_a_roll_back_brings_the_middle_of_that_version_back_to_the_bit():
    reference = Reference(HOME, n_trials=3, kept=4)
    seen(reference, 1.1, 1.2, 1.3)
    first = reference.of(version("a")).copy()
    seen(reference, 7, 8, 9)
    assert not np.array_equal(reference.of(version("b")), first)
    assert np.array_equal(reference.of(version("a", ROLL_BACK)), first)
    assert reference.of(version("first", ROLL_BACK)) is HOME


@pytest.mark.parametrize("kept", [2, 3])
def test_no_more_versions_are_remembered_than_wanted(kept):
    reference = Reference(HOME, n_trials=2, kept=kept)
    for number in range(5):
        seen(reference, number + 1.0, number + 1.0)
        reference.of(version(str(number)))
    found = [reference.of(version(str(number), ROLL_BACK)) is not HOME for number in range(5)]
    assert found == [number >= 5 - kept for number in range(5)]
