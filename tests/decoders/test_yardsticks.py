from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from diverloop.decoders.window_statistics import WindowStatistics
from diverloop.decoders.yardsticks import Yardsticks, ways
from diverloop.runtime.errors import BundleError

RATE_HZ, N_TIMES, N_CHANNELS, WEIGHT = 500.0, 500, 5, 0.1
MIXING = np.random.default_rng(0).normal(size=(N_CHANNELS, N_CHANNELS))
MEASURE = WindowStatistics(RATE_HZ, N_TIMES)


def signal(n: int, seed: int) -> np.ndarray:
    return 5 * MIXING @ np.random.default_rng(seed).normal(size=(n, N_CHANNELS, N_TIMES))


def values(n: int, seed: int) -> np.ndarray:
    """Forty features that only move along two directions."""
    rng = np.random.default_rng(seed)
    axes = np.random.default_rng(99).normal(size=(2, 40))
    return rng.normal(size=(n, 2)) * [3, 1] @ axes + 0.01 * rng.normal(size=(n, 40))


def fitted() -> Yardsticks:
    measured = [MEASURE.measure(one) for one in signal(60, 1)]
    return Yardsticks.fit(measured, values(60, 1), 8)


def distances(yards: Yardsticks, samples: np.ndarray, vector=None) -> dict[str, float]:
    whiteners = yards.whiteners(WEIGHT)
    found = yards.distances(MEASURE.measure(samples), vector, whiteners, WEIGHT)
    return dict(zip(ways(MEASURE, vector is not None), found.tolist(), strict=True))


def test_calibration_itself_is_near_by_every_yardstick():
    found = distances(fitted(), signal(1, 2)[0], values(1, 2)[0])
    assert all(0 <= far < 6 for far in found.values())


def test_gain_is_a_matter_of_size_and_not_of_pattern():
    yards, window = fitted(), signal(1, 2)[0]
    usual, loud = distances(yards, window), distances(yards, 10 * window)
    assert loud["RMS"] > usual["RMS"] + 5
    assert loud["pattern 1-8 Hz"] == pytest.approx(usual["pattern 1-8 Hz"], abs=1e-6)


def test_channels_in_a_wrong_order_have_a_strange_pattern():
    yards, window = fitted(), signal(1, 2)[0]
    usual, moved = distances(yards, window), distances(yards, window[[1, 2, 3, 4, 0]])
    for name in (way for way in usual if way.startswith("pattern")):
        assert moved[name] > 2 * usual[name]


def test_the_pattern_is_a_distance_that_does_not_care_for_mixing():
    measured = [MEASURE.measure(one) for one in signal(60, 1)]
    yards = Yardsticks.fit(measured, np.empty((60, 0)), 8)
    whiteners = yards.whiteners(1e-6)
    other = np.random.default_rng(7).normal(size=(N_CHANNELS, N_CHANNELS))
    mixed = [MEASURE.measure(other @ one) for one in signal(60, 1)]
    again = Yardsticks.fit(mixed, np.empty((60, 0)), 8)
    new = signal(1, 3)[0]
    near = yards.distances(MEASURE.measure(new), None, whiteners, 1e-6)[-3:]
    # Each window counts at its own trace, which mixing changes a little.
    as_near = again.distances(MEASURE.measure(other @ new), None, again.whiteners(1e-6), 1e-6)[-3:]
    assert np.allclose(near, as_near, atol=0.1)


def test_a_new_reference_is_no_reason_to_be_strange():
    rows = np.array([True, True, False, True, True])
    known = np.diag(rows.astype(float))
    known[np.ix_(rows, rows)] -= 1 / 4
    left, window = fitted().left(known, rows), (known @ signal(1, 2)[0])[rows]
    found = left.distances(MEASURE.measure(window), None, left.whiteners(WEIGHT), WEIGHT)
    assert found.max() < 6
    not_told = replace(left, middle=fitted().middle[rows], coupling=fitted().coupling)
    astray = not_told.distances(MEASURE.measure(window), None, left.whiteners(WEIGHT), WEIGHT)
    names = ways(MEASURE, False)
    for way in ("RMS", "coupling"):
        assert astray[names.index(way)] > 1.5 * found[names.index(way)]


def test_an_embedding_is_far_along_its_axes_or_away_from_them():
    yards = fitted()
    usual = values(1, 2)[0]
    along = values(60, 1).mean(axis=0) + 10 * (usual - values(60, 1).mean(axis=0))
    away = usual + np.random.default_rng(5).normal(size=40)
    window = signal(1, 2)[0]
    near, far, out = (distances(yards, window, one) for one in (usual, along, away))
    outside = "outside the embedding's space"
    assert far["embedding"] > 5 * near["embedding"]
    assert out[outside] > 20 * near[outside]


def test_a_feature_that_never_moved_is_no_division_by_zero():
    still = np.zeros((60, 3))
    measured = [MEASURE.measure(one) for one in signal(60, 1)]
    found = distances(Yardsticks.fit(measured, still, 8), signal(1, 2)[0], np.zeros(3))
    assert np.isfinite(list(found.values())).all()


def test_what_was_learnt_survives_a_bundle():
    yards = fitted()
    again = Yardsticks.from_arrays(yards.to_arrays())
    window = signal(1, 2)[0]
    assert distances(again, window, values(1, 2)[0]) == distances(yards, window, values(1, 2)[0])


@pytest.mark.parametrize("change", ["shape", "nan", "gone"])
def test_arrays_that_do_not_fit_are_refused(change):
    arrays = fitted().to_arrays()
    if change == "shape":
        arrays["patterns"] = arrays["patterns"][:, :3]
    elif change == "nan":
        arrays["middle"] = np.full_like(arrays["middle"], np.nan)
    else:
        del arrays["axes"]
    with pytest.raises(BundleError, match="fit the model again"):
        Yardsticks.from_arrays(arrays)
