"""A stream to find ranges on: conditioned signal, with what a session may bring.

Ranges that were found on clean signal alone would cut off the first artefact; ranges that were
found with every channel there may not fit when some are gone.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import ConfigError
from .engine import Bools, Hop

_RATE_HZ = 500.0


def calibration_hops(
    windows_uv: NDArray[np.floating], hop: int, seed: int = 0
) -> Iterator[tuple[Hop, Bools]]:
    """A stream that holds what a session may bring: signal, artefacts, absent rows.

    Parameters
    ----------
    windows_uv : ndarray, shape (n, n_rows, n_times)
        Conditioned signal in microvolts, of the rows that will be served.
    hop : int
        Samples of a hop; what a window has above whole hops is cut off its beginning.
    seed : int
        Decides order, artefacts and absent rows.

    Yields
    ------
    hop_uv : ndarray of float32, shape (n_rows, hop)
        Every window once, one after the other: half of them as they are, the others with one of a
        drift, a burst, ten times the amplitude, flat rows, or mains hum.
    usable : ndarray of bool, shape (n_rows,)
        In half of the windows some rows are absent, never more than half of them.

    Raises
    ------
    ConfigError
        If there is no window with a whole hop, or a value is not finite.
    """
    windows_uv = np.asarray(windows_uv)
    if windows_uv.ndim != 3 or not windows_uv.size or windows_uv.shape[2] < hop:
        raise ConfigError(
            f"Calibration needs windows of shape (n, n_rows, n_times) with at least one hop of "
            f"{hop} samples, got {windows_uv.shape}: cut longer ones."
        )
    if not np.isfinite(windows_uv).all():
        raise ConfigError(
            "The windows to calibrate on hold NaN or infinity, allowed are finite numbers: leave "
            "out the windows that do."
        )
    return _spoilt_hops(windows_uv, hop, np.random.default_rng(seed))


def _spoilt_hops(
    windows_uv: NDArray[np.floating], hop: int, rng: np.random.Generator
) -> Iterator[tuple[Hop, Bools]]:
    n, n_rows, n_times = windows_uv.shape
    for place, window in enumerate(rng.permutation(n)):
        x = windows_uv[window, :, n_times % hop :].astype(np.float32)
        if place % 2:
            # In turn, so that a short stream holds them all.
            x = _ARTEFACTS[place // 2 % len(_ARTEFACTS)](rng, x).astype(np.float32)
        usable = np.ones(n_rows, dtype=np.bool_)
        if rng.random() < 0.5:
            usable[rng.choice(n_rows, rng.integers(n_rows // 2 + 1), replace=False)] = False
        for first in range(0, x.shape[1], hop):
            yield x[:, first : first + hop].copy(), usable.copy()


def _some(rng: np.random.Generator, n_rows: int, share: float) -> Bools:
    """Each row with this chance, and one in any case."""
    chosen: Bools = rng.random(n_rows) < share
    chosen[rng.integers(n_rows)] = True
    return chosen


def _drift(rng: np.random.Generator, x: NDArray[np.float32]) -> NDArray[np.floating]:
    """Slow waves of up to 300 uV on every row."""
    time_s = np.arange(x.shape[1]) / _RATE_HZ
    turn = 2 * np.pi * (rng.uniform(0.1, 1) * time_s + rng.random((len(x), 1)))
    return x + rng.uniform(0, 300, (len(x), 1)) * np.sin(turn)


def _burst(rng: np.random.Generator, x: NDArray[np.float32]) -> NDArray[np.floating]:
    """Muscle: white noise of up to 200 uV on some rows for a quarter of the time."""
    rows = _some(rng, len(x), 0.3)
    first = int(rng.integers(x.shape[1] - x.shape[1] // 4))
    noise = rng.uniform(50, 200) * rng.standard_normal(x.shape)
    noise[:, :first] = 0
    noise[:, first + x.shape[1] // 4 :] = 0
    return x + rows[:, None] * noise


def _loud(rng: np.random.Generator, x: NDArray[np.float32]) -> NDArray[np.floating]:
    return 10 * x


def _flat(rng: np.random.Generator, x: NDArray[np.float32]) -> NDArray[np.floating]:
    """Rows that hold nothing and were not noticed."""
    flat = _some(rng, len(x), 0.25)
    return np.where(flat[:, None], np.float32(0), x)


def _mains(rng: np.random.Generator, x: NDArray[np.float32]) -> NDArray[np.floating]:
    """Hum of up to 50 uV, one phase for all rows."""
    turn = rng.choice([50.0, 60.0]) * np.arange(x.shape[1]) / _RATE_HZ + rng.random()
    hum: NDArray[np.floating] = rng.uniform(0, 50, (len(x), 1)) * np.sin(2 * np.pi * turn)
    return x + hum


_ARTEFACTS = (_drift, _burst, _loud, _flat, _mains)
