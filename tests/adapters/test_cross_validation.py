"""Parts of a joined encoder are read one by one, and heard together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from diverloop.adapters.calibration import fit_temperature
from diverloop.adapters.cross_validation import CrossValidation, FitConfig
from diverloop.adapters.fitting import fit_linear
from diverloop.adapters.folds import Trials
from diverloop.adapters.weights import Reading
from diverloop.runtime.errors import ConfigError

SIZES = (3, 12)
LDA = FitConfig(classifier="lda", n_folds=4)
PARTS = (LDA, FitConfig(classifier="logistic", scale="common", costs=(1e-1, 1.0)))


class Rows:
    """A joined encoder that learns nothing: its features are the samples."""

    def __init__(self, rows=slice(None)) -> None:
        self._rows = rows
        self.sizes = SIZES

    def encode_many(self, windows):
        return windows[:, self._rows, 0]


def trials(n: int = 60, seed: int = 0, n_classes: int = 2):
    """Both parts know something of the class, and err in different trials."""
    rng = np.random.default_rng(seed)
    targets = np.arange(n) % n_classes
    features = rng.standard_normal((n, sum(SIZES)))
    for start, gain in ((0, 1.2), (SIZES[0], 1.5)):
        features[np.arange(n), start + targets] += gain
    return features[:, :, None], np.array(["a", "b", "c"])[targets], np.arange(n)


def validation(config: FitConfig, rows=slice(None), **made) -> CrossValidation:
    windows, labels, number = trials(**made)
    return CrossValidation(
        windows, Trials.of(labels, number, None, n_windows=len(windows)),
        lambda windows, labels: Rows(rows), config,
    )  # fmt: skip


@pytest.mark.parametrize("n_classes", [2, 3])
def test_joined_scores_are_the_mean_of_the_parts_each_at_its_own_temperature(n_classes):
    joined = validation(replace(LDA, parts=PARTS), n_classes=n_classes)
    everything = np.arange(60)
    rehearsal = joined.rehearse(everything)
    _, weights = joined.fit(everything, rehearsal.readings)
    classes = ("a", "b", "c")[:n_classes]
    windows = trials(seed=1, n_classes=n_classes)[0]
    found = weights.adapter(classes, LDA).scores(windows[:, :, 0])
    expected, rehearsed = np.zeros_like(found), np.zeros_like(rehearsal.scores)
    for rows, part in ((slice(0, 3), PARTS[0]), (slice(3, 15), PARTS[1])):
        alone = validation(replace(part, n_folds=4), rows, n_classes=n_classes)
        held_out = alone.rehearse(everything)
        temperature = fit_temperature(held_out.scores, np.arange(60) % n_classes)
        _, own = alone.fit(everything, held_out.readings)
        expected += own.adapter(classes, LDA).scores(windows[:, rows, 0]) / (2 * temperature)
        rehearsed += held_out.scores / (2 * temperature)
    np.testing.assert_allclose(found, expected)
    np.testing.assert_allclose(rehearsal.scores, rehearsed)


def test_together_parts_that_err_apart_do_better_than_the_better_one():
    right = {"joined": [], "first": [], "second": []}
    for seed in range(4):
        for name, config, rows in (
            ("joined", replace(LDA, parts=PARTS), slice(None)),
            ("first", LDA, slice(0, 3)),
            ("second", replace(PARTS[1], n_folds=4), slice(3, 15)),
        ):
            judged = validation(config, rows, seed=seed)
            folds = [np.arange(60)[place::4] for place in range(4)]
            scores = judged.predict(folds)
            right[name].append((scores.argmax(axis=1) == np.arange(60) % 2).mean())
    means = {name: np.mean(each) for name, each in right.items()}
    assert means["joined"] > max(means["first"], means["second"]) + 0.02


def test_a_report_says_how_every_part_was_read():
    windows, labels, number = trials()
    fitted = fit_linear(
        windows, labels, number, fit_encoder=lambda windows, labels: Rows(),
        config=replace(LDA, parts=PARTS),
    )  # fmt: skip
    first, second = fitted.report["parts"]
    assert first["cost"] is None
    assert second["cost"] in PARTS[1].costs
    assert first["temperature"] > 0
    assert fitted.adapter.to_arrays()["weights"].shape == (2, sum(SIZES))


def test_without_parts_nothing_is_divided():
    alone = validation(replace(LDA, parts=()))
    assert alone.choose_readings(np.arange(60)) == (Reading(),)


def test_parts_within_parts_are_refused():
    with pytest.raises(ConfigError, match="of its own"):
        FitConfig(parts=(LDA, replace(LDA, parts=PARTS)))
