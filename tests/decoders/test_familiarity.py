from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import lfilter

from diverloop.decoders.familiarity import Familiarity, FamiliarityConfig
from diverloop.runtime.errors import BundleError, ConfigError, SchemaMismatch

RATE_HZ, N_TIMES, N_CHANNELS = 500.0, 1000, 8
MIXING = np.random.default_rng(5).normal(size=(N_CHANNELS, N_CHANNELS))
CONFIG = FamiliarityConfig(rate_hz=RATE_HZ, alpha=0.05)


def brain(n: int, seed: int) -> np.ndarray:
    """Windows with a falling spectrum, mixed and average-referenced, sizes varying a little."""
    rng = np.random.default_rng(seed)
    sources = lfilter([1], [1, -0.97], rng.standard_normal((n, N_CHANNELS, N_TIMES + 200)))
    signal = MIXING @ sources[:, :, 200:] * np.exp(0.2 * rng.standard_normal((n, N_CHANNELS, 1)))
    return signal - signal.mean(axis=1, keepdims=True)


def embedding(windows: np.ndarray) -> np.ndarray:
    power = np.log((windows**2).mean(axis=2) + 1e-6)
    return np.concatenate([power, power[:, :1] * np.ones((1, 20))], axis=1)


@cache
def fitted() -> Familiarity:
    windows = brain(300, 1)
    return Familiarity.fit(embedding(windows), windows, CONFIG)


def scores(windows: np.ndarray, usable=None):
    return [
        fitted().score(values, samples, usable)
        for values, samples in zip(embedding(windows), windows, strict=True)
    ]


def burst(windows: np.ndarray) -> np.ndarray:
    """Muscle on two channels for half of the window."""
    rng = np.random.default_rng(3)
    fast = np.diff(rng.standard_normal((len(windows), 2, N_TIMES + 1)), axis=2)
    fast[:, :, 500:] = 0
    spoilt = windows.copy()
    spoilt[:, :2] += 5 * windows[:, :2].std(axis=2, keepdims=True) * fast
    return spoilt


def floating(windows: np.ndarray) -> np.ndarray:
    """Half of the channels see mains hum."""
    spoilt = windows.copy()
    hum = 200 * np.sin(2 * np.pi * 50 * np.arange(N_TIMES) / RATE_HZ)
    spoilt[:, ::2] = hum + np.random.default_rng(4).standard_normal(spoilt[:, ::2].shape)
    return spoilt


def noise(windows: np.ndarray) -> np.ndarray:
    """White, with the size of each channel."""
    white = np.random.default_rng(2).standard_normal(windows.shape)
    return white * windows.std(axis=2, keepdims=True)


STRANGE = {
    "noise": noise,
    "silence": np.zeros_like,
    "amplifier": lambda windows: np.random.default_rng(6).standard_normal(windows.shape),
    "floating": floating,
    "burst": burst,
    "wrong montage": lambda windows: np.roll(windows, 1, axis=1),
    "gain": lambda windows: 10 * windows,
}


def test_good_windows_are_refused_as_rarely_as_asked_for():
    """On average over calibrations: a single one may be lucky or not."""
    later, refused = brain(50, 2), []
    for seed in range(20, 26):
        familiarity = Familiarity.fit(None, brain(60, seed), CONFIG)
        refused += [not familiarity.score(None, window).familiar for window in later]
    assert np.mean(refused) < 0.08


@pytest.mark.parametrize("name", STRANGE)
def test_strange_windows_are_refused(name):
    found = scores(STRANGE[name](brain(20, 3)))
    assert not any(one.familiar for one in found)
    assert max(one.quality for one in found) < 0.5


def test_the_reason_names_what_is_strange():
    good = brain(1, 3)
    assert "power" in scores(burst(good))[0].reason
    assert "pattern" in scores(np.roll(good, 1, axis=1))[0].reason
    assert {one.reason for one in scores(brain(20, 3)) if one.familiar} == {""}


def test_quality_is_half_at_alpha_and_whole_for_the_usual():
    for one in scores(brain(50, 4)):
        assert one.quality == pytest.approx(min(1.0, one.p / 0.1))
        assert one.familiar == (one.quality >= 0.5)
    windows = brain(1, 4)
    alone = fitted().quality(embedding(windows)[0], windows[0])
    assert alone == scores(windows)[0].quality


def test_the_threshold_says_what_p_says():
    found = scores(np.concatenate([brain(40, 5), burst(brain(5, 5))]))
    for alpha in (0.01, 0.05, 0.2):
        limit = fitted().threshold(alpha)
        assert [one.surprise <= limit for one in found] == [one.p >= alpha for one in found]


def test_the_embedding_alone_can_be_strange():
    windows = brain(1, 6)
    odd = fitted().score(embedding(windows)[0] + np.linspace(-9, 9, 28), windows[0])
    assert not odd.familiar
    assert "embedding" in odd.reason
    assert fitted().score(None, windows[0]).familiar


def test_masked_rows_are_not_looked_at_and_the_rest_is_still_judged():
    usable = np.ones(N_CHANNELS, dtype=bool)
    usable[[1, 6]] = False
    good = brain(100, 7)
    good[:, usable] -= good[:, usable].mean(axis=1, keepdims=True)
    good[:, ~usable] = np.nan
    judged = [fitted().score(None, window, usable) for window in good]
    assert np.mean([one.familiar for one in judged]) > 0.9
    white = np.random.default_rng(8).standard_normal(good.shape) * 10
    assert not any(fitted().score(None, window, usable).familiar for window in white[:10])


@pytest.mark.parametrize("n_left", [0, 2])
def test_too_few_channels_cannot_be_judged(n_left):
    usable = np.arange(N_CHANNELS) < n_left
    found = fitted().score(None, brain(1, 8)[0], usable)
    assert (found.p, found.familiar, found.quality) == (0.0, False, 0.0)
    assert "too few usable channels" in found.reason


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_number_cannot_be_judged(bad):
    window = brain(1, 8)[0]
    values = embedding(window[None])[0]
    broken = window.copy()
    broken[2, 10] = bad
    assert fitted().score(values, broken).p == 0
    values[3] = bad
    assert fitted().score(values, window).p == 0


def test_a_calibration_with_artefacts_still_refuses_them():
    windows = brain(120, 9)
    windows[50:56] = 30 * noise(windows[50:56])
    familiarity = Familiarity.fit(None, windows, CONFIG)
    assert not any(familiarity.score(None, window).familiar for window in windows[50:56])
    kept = [familiarity.score(None, window).familiar for window in brain(100, 10)]
    assert np.mean(kept) > 0.85


def test_recordings_that_differ_widen_what_is_familiar():
    windows = brain(120, 11)
    windows[60:] *= 1.5
    runs = np.repeat([0, 1], 60)
    between = 1.5 * brain(40, 12)
    apart = Familiarity.fit(None, windows, CONFIG, runs)
    first = Familiarity.fit(None, windows[:60], CONFIG)
    share = [np.mean([f.score(None, w).familiar for w in between]) for f in (apart, first)]
    assert share[0] > 0.9 > share[1] + 0.1


def test_what_was_learnt_survives_a_bundle():
    again = Familiarity.from_arrays(CONFIG, fitted().to_arrays())
    window = brain(1, 13)[0]
    values = embedding(window[None])[0]
    assert again.score(values, window) == fitted().score(values, window)
    assert again.ways == fitted().ways


def test_arrays_of_another_make_are_refused():
    arrays = fitted().to_arrays()
    with pytest.raises(BundleError, match="fit the model again"):
        Familiarity.from_arrays(CONFIG, arrays | {"ranks": arrays["ranks"][:3]})
    slow = FamiliarityConfig(rate_hz=200.0)
    with pytest.raises(BundleError, match="statistics and ranks"):
        Familiarity.from_arrays(slow, arrays)


def test_windows_of_another_shape_are_refused():
    window = brain(1, 14)[0]
    with pytest.raises(SchemaMismatch, match=r"shape \(7, 1000\)"):
        fitted().score(None, window[:7])
    with pytest.raises(SchemaMismatch, match=r"\(5,\), calibrated were 28 features"):
        fitted().score(np.zeros(5), window)
    with pytest.raises(SchemaMismatch, match="mask"):
        fitted().score(None, window, np.ones(3, dtype=bool))


@pytest.mark.parametrize(
    ("windows", "embeddings", "says"),
    [
        (brain(5, 1), None, "at least 12"),
        (brain(20, 1), np.zeros((19, 3)), r"\(19, 3\)"),
        (brain(20, 1) * np.nan, None, "NaN or infinite"),
    ],
)
def test_calibrations_that_say_nothing_are_refused(windows, embeddings, says):
    with pytest.raises(ConfigError, match=says):
        Familiarity.fit(embeddings, windows, CONFIG)


def test_one_group_for_each_window_is_needed():
    with pytest.raises(ConfigError, match="one for each of 20"):
        Familiarity.fit(None, brain(20, 1), CONFIG, [0, 1])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rate_hz", 50.0),
        ("alpha", 0.0),
        ("alpha", 0.6),
        ("shrinkage", 0.0),
        ("trim", 1.0),
        ("n_components", 0),
        ("n_folds", 1),
    ],
)
def test_settings_outside_their_range_are_refused(name, value):
    with pytest.raises(ConfigError, match=f"{name} must be"):
        FamiliarityConfig(**{"rate_hz": RATE_HZ, name: value})


@pytest.mark.data
def test_a_real_cap_in_a_wrong_order_is_noticed():
    folder = os.environ.get("DIVERLOOP_DATA")
    path = Path(folder or "") / "p300" / "gtec_S1.npz"
    if not folder or not path.is_file():
        pytest.skip("point DIVERLOOP_DATA at the recordings")
    file = np.load(path, allow_pickle=False)
    raw = file["data"] * file["scale"][:, None]
    raw = raw - raw.mean(axis=0)
    raw = lfilter([0.99, -0.99], [1, -0.98], raw)[:, 1000:]
    windows = np.stack([raw[:, a : a + 500] for a in range(0, 55_000, 500)])
    familiarity = Familiarity.fit(None, windows[:70], FamiliarityConfig(rate_hz=250.0))
    later = windows[70:]
    usual = [familiarity.score(None, window).surprise for window in later]
    moved = [familiarity.score(None, np.roll(window, 3, axis=0)).surprise for window in later]
    assert np.mean(np.array(moved)[:, None] > usual) > 0.95
