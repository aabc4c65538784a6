"""One number for each electrode and one for all, and the reasons in plain words."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from diverloop.runtime.quality import Quality


def quality(scores, causes):
    return Quality(
        channels=tuple(f"E{n}" for n in range(len(scores))),
        scores=np.array(scores, np.float32),
        causes=tuple(causes),
        usable=np.array([not cause for cause in causes]),
    )


def test_the_one_number_is_the_mean_of_all_electrodes_masked_ones_too():
    assert quality([1.0, 0.5, 0.0], ["", "", "flat"]).overall == pytest.approx(0.5)
    assert isinstance(quality([1.0], [""]).overall, float)


def test_without_electrodes_the_signal_is_worth_nothing():
    assert quality([], []).overall == 0.0


def test_the_reason_names_each_cause_once_with_all_its_electrodes():
    found = quality([1, 0, 0, 0], ["", "noisy", "flat", "noisy"])
    assert found.reason == "noisy: E1, E3; flat: E2"


def test_a_good_signal_has_no_reason():
    assert quality([1, 1], ["", ""]).reason == ""


def test_a_cause_for_every_electrode_is_needed():
    with pytest.raises(ValueError, match="shorter"):
        _ = quality([1, 1], [""]).reason


def test_it_says_of_itself_when_it_was_not_said_of_any_sample():
    assert (quality([1], [""]).sample, quality([1], [""]).changed) == (-1, 0.0)


def test_it_cannot_be_changed_once_it_was_said():
    with pytest.raises(dataclasses.FrozenInstanceError):
        quality([1], [""]).changed = 1.0
