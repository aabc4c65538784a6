"""A warning where telling recordings apart passes for decoding."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from diverloop.adapters.confounding import confounding
from diverloop.adapters.cross_validation import FitConfig
from diverloop.adapters.fitting import fit_linear
from diverloop.adapters.folds import Trials

CLASSES = ("feet", "fists", "left", "right")


def trials(recording_of, n_trials: int = 40) -> Trials:
    labels = np.array(CLASSES)[np.arange(n_trials) % 4]
    return Trials(
        classes=CLASSES,
        of_window=np.arange(n_trials),
        labels=labels,
        recordings=tuple(recording_of(n, label) for n, label in enumerate(labels.tolist())),
    )


def hands_apart(n: int, label: str) -> str:
    return "hands" if label in ("left", "right") else "others"


def test_where_recordings_hold_other_classes_it_is_said_and_counted():
    parted = trials(hands_apart)
    told = np.zeros((40, 4))
    # Whatever was asked for, the first class of each trial's recording.
    told[:, 0] = 1.0
    told[:, 2] = 0.5
    found = confounding(parted, told)
    assert found is not None
    assert found["recordings_lacking_a_class"] == 2
    assert found["recording_alone"] == 0.5
    assert found["within_recordings"] == 0.5
    assert found["sentence"].startswith("Careful: 2 of 2 recordings lack a class")
    assert "the recording alone gets 50% right" in found["sentence"]


def test_one_recording_that_lacks_a_class_is_enough():
    def where(n: int, label: str) -> str:
        return "first" if n < 20 or label == "feet" else "second"

    found = confounding(trials(where), np.zeros((40, 4)))
    assert found is not None
    assert found["recordings_lacking_a_class"] == 1


@pytest.mark.parametrize("recordings", [lambda n, label: "only", lambda n, label: n // 20])
def test_nothing_is_said_where_every_recording_holds_every_class(recordings):
    assert confounding(trials(recordings), np.zeros((40, 4))) is None


class Features:
    """An encoder that learns nothing."""

    def encode_many(self, windows):
        return windows


def test_a_fit_that_only_tells_recordings_apart_carries_the_warning_on_its_card():
    parted = trials(hands_apart)
    rng = np.random.default_rng(0)
    windows = rng.normal(size=(40, 3))
    windows[:, 0] += 8.0 * np.array([name == "hands" for name in parted.recordings])
    given = (parted.labels, np.arange(40), np.array(parted.recordings))
    config = FitConfig(classifier="lda")
    report = fit_linear(
        windows, *given, fit_encoder=lambda windows, labels: Features(), config=config
    ).report
    assert report["cross_validation"]["accuracy"] > 0.35
    assert report["confounded"]["within_recordings"] < 0.65
    assert "leave_one_recording_out" not in report
    alike = replace(parted, recordings=tuple(n // 20 for n in range(40)))
    report = fit_linear(
        windows,
        alike.labels,
        np.arange(40),
        np.array(alike.recordings),
        fit_encoder=lambda windows, labels: Features(),
        config=config,
    ).report
    assert "confounded" not in report
    assert report["n_folds"] == 2
    assert report["leave_one_recording_out"] == report["cross_validation"]
