from __future__ import annotations

import numpy as np
import pytest

from diverloop.adapters.alignment import (
    AlignmentConfig,
    SessionReference,
    align,
    moved,
    reference_of,
    transport,
)
from diverloop.runtime.errors import BundleError, ConfigError

N_BANDS, N_CHANNELS, N_TIMES = 2, 5, 100


def mixed(n_windows: int = 20, seed: int = 0, person: int = 0) -> np.ndarray:
    mixing = np.random.default_rng([7, person]).normal(size=(N_BANDS, N_CHANNELS, N_CHANNELS)) * 5
    sources = np.random.default_rng(seed).normal(size=(n_windows, N_BANDS, N_CHANNELS, N_TIMES))
    return (mixing @ sources).reshape(n_windows, -1, N_TIMES)


def config(**fields) -> AlignmentConfig:
    return AlignmentConfig(**{"n_bands": N_BANDS, "ridge": 0.0} | fields)


def referenced(windows: np.ndarray) -> np.ndarray:
    by_band = windows.reshape(len(windows), N_BANDS, N_CHANNELS, N_TIMES)
    return (by_band - by_band.mean(axis=2, keepdims=True)).reshape(windows.shape)


def two_people() -> tuple[np.ndarray, np.ndarray]:
    return np.concatenate([mixed(person=1), mixed(person=2)]), np.repeat(["a", "b"], 20)


def fed(windows: np.ndarray, common: np.ndarray, **fields) -> SessionReference:
    session = SessionReference(common, config(**fields))
    for window in windows:
        session.add(window)
    return session


def test_every_recording_becomes_white_on_average():
    windows, names = two_people()
    found = align(windows, names, config(coloured=False))
    for name in ("a", "b"):
        reference = reference_of(found.windows[names == name], config())
        shape = reference / np.trace(reference, axis1=1, axis2=2)[:, None, None] * N_CHANNELS
        np.testing.assert_allclose(shape, np.tile(np.eye(N_CHANNELS), (N_BANDS, 1, 1)), atol=0.35)


def test_transport_gives_exactly_the_reference_that_was_asked_for():
    first, second = (reference_of(mixed(person=p), config()) for p in (1, 2))
    matrices = transport(first, second, config())
    np.testing.assert_allclose(matrices @ first @ matrices.swapaxes(1, 2), second, rtol=1e-6)
    white = transport(first, None, config())
    eye = np.tile(np.eye(N_CHANNELS), (N_BANDS, 1, 1))
    np.testing.assert_allclose(white @ first @ white.swapaxes(1, 2), eye, atol=1e-8)


def test_what_has_the_common_reference_already_stays_as_it_is():
    windows = mixed()
    found = align(windows, np.zeros(20), config())
    np.testing.assert_allclose(found.windows, windows, atol=1e-8)


def test_bands_do_not_touch_each_other():
    windows, names = two_people()
    changed = windows.copy()
    changed[:, N_CHANNELS:] *= np.linspace(1, 2, N_CHANNELS)[:, None]
    first, second = (align(one, names, config()).windows for one in (windows, changed))
    np.testing.assert_allclose(first[:, :N_CHANNELS], second[:, :N_CHANNELS], atol=1e-8)


def test_an_average_reference_stays_one_and_makes_nothing_infinite():
    windows = referenced(np.concatenate([mixed(person=1), mixed(person=2)]))
    found = align(windows, np.repeat([1, 2], 20), config(ridge=1e-3)).windows
    assert np.isfinite(found).all()
    by_band = found.reshape(40, N_BANDS, N_CHANNELS, N_TIMES)
    np.testing.assert_allclose(by_band.sum(axis=2), 0, atol=1e-6)


def test_a_loud_window_does_not_decide_the_reference():
    windows = mixed()
    loud = windows.copy()
    loud[3] *= 1000
    before, after = (reference_of(one, config()) for one in (windows, loud))
    np.testing.assert_allclose(after, before, rtol=0.1, atol=0.1 * np.abs(before).max())


def test_a_session_starts_at_the_common_reference_and_ends_at_its_own():
    common = reference_of(mixed(person=1), config())
    windows = mixed(1000, person=1, seed=3) * 1.5
    np.testing.assert_array_equal(fed(windows[:0], common).reference, common)
    # What is common is the answer, so nothing is changed before anything is heard.
    eye = np.tile(np.eye(N_CHANNELS), (N_BANDS, 1, 1))
    np.testing.assert_allclose(fed(windows[:0], common).matrices(), eye, atol=1e-8)
    own = reference_of(windows, config())
    np.testing.assert_allclose(fed(windows, common).reference, own, atol=0.05 * np.abs(own).max())


def test_a_session_knows_nothing_of_what_comes_later():
    common = reference_of(mixed(person=1), config())
    windows = mixed(10, person=2)
    whole = SessionReference(common, config())
    for place, window in enumerate(windows):
        np.testing.assert_array_equal(whole.matrices(), fed(windows[:place], common).matrices())
        whole.add(window)


def test_a_session_can_be_put_away_and_taken_up_again():
    common, windows = reference_of(mixed(person=1), config()), mixed(10, person=2)
    half = fed(windows[:5], common)
    again = SessionReference.from_arrays(config(), half.to_arrays())
    for window in windows[5:]:
        again.add(window)
    np.testing.assert_array_equal(again.matrices(), fed(windows, common).matrices())


def test_masked_silent_and_broken_windows_do_not_count():
    session = SessionReference(reference_of(mixed(), config()), config())
    window = mixed(1, seed=4)[0]
    masked = np.ones(len(window), bool)
    masked[3] = False
    broken = window.copy()
    broken[0, 0] = np.nan
    assert not session.add(window, masked)
    assert not session.add(0 * window)
    assert not session.add(broken)
    assert session.n_windows == 0
    assert session.add(window, np.ones(len(window), bool))
    assert session.n_windows == 1


def test_one_enormous_window_does_not_take_the_session_over():
    common, windows = reference_of(mixed(), config()), mixed(20, seed=5)
    loud = windows.copy()
    loud[3] *= 1e4
    before, after = (np.trace(fed(one, common).reference[0]) for one in (windows, loud))
    assert 0.8 * before < after < 1.5 * before


def test_moving_one_window_is_moving_many():
    matrices = transport(reference_of(mixed(), config()), None, config())
    windows = mixed(3)
    np.testing.assert_allclose(
        moved(windows, matrices), [moved(one, matrices) for one in windows], atol=1e-10
    )


def test_people_who_differ_in_their_mixing_alone_become_alike():
    windows, names = two_people()
    found = align(windows, names, config()).windows
    before, after = (
        np.linalg.norm(np.diff([reference_of(one[names == n], config()) for n in "ab"], axis=0))
        for one in (windows, found)
    )
    assert after < 0.2 * before


def test_what_cannot_be_aligned_is_refused():
    with pytest.raises(ConfigError, match="recording"):
        align(mixed(), np.zeros(3), config())
    silent = mixed()
    silent[2, :N_CHANNELS] = 0.0
    with pytest.raises(ConfigError, match="silent"):
        align(silent, np.zeros(20), config())
    with pytest.raises(ConfigError, match="multiple of the 3 bands"):
        reference_of(mixed(), config(n_bands=3))
    with pytest.raises(BundleError, match="3 bands"):
        SessionReference(np.ones((N_BANDS, 2, 2)), config(n_bands=3))


@pytest.mark.parametrize("fields", [{"n_bands": 0}, {"ridge": 1.0}, {"prior_windows": -1.0}])
def test_settings_outside_their_range_are_refused(fields):
    with pytest.raises(ConfigError, match=next(iter(fields))):
        config(**fields)
