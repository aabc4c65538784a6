"""A photodiode on a flashing patch, as an amplifier's auxiliary input sees it, with known truth.

The light rises as a screen's does, the amplifier's anti-alias filter spreads the edge, and only
then is it sampled. So the moment of a flash is in the samples to a fraction of one, and what a
measurement finds can be compared with what was put in.

References
----------
Elze, Tanner. Temporal properties of liquid crystal displays. PLoS ONE, 2012.
Hogenauer. An economical class of digital filters for decimation and interpolation. IEEE
Transactions on Acoustics, Speech, and Signal Processing, 1981.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import ConfigError

Values = NDArray[np.float64]

_HALF = float(np.log(2))  # of an exponential rise, in time constants
_SPREAD = 1.5  # samples: half the length of a third-order comb filter's response
_FEWEST, _MOST = 24, 400  # points of an integral; a light that jumps needs many


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotodiodeConfig:
    """The patch, the sensor and the amplifier.

    Parameters
    ----------
    rest, on : float
        Level of the channel in the dark and in the light, in its own unit.
    on_s : float
        How long a flash lasts, 0.001 to 10 s.
    rise_s : float
        10 to 90 % rise and decay time of the light, 0 to 0.05 s; exponential.
    flicker_hz : float
        Refresh of the display if it flickers while it is on; 0 for a steady light.
    flicker_depth : float
        Share of the light that goes between two refreshes, 0 to 1.
    noise : float
        Standard deviation of the noise, in the channel's unit.
    drift_per_s : float
        How fast both levels creep, in the channel's unit.
    """

    rest: float = 100.0
    on: float = 1100.0
    on_s: float = 0.1
    rise_s: float = 0.001
    flicker_hz: float = 0.0
    flicker_depth: float = 1.0
    noise: float = 5.0
    drift_per_s: float = 0.0

    def __post_init__(self) -> None:
        if not 0.001 <= self.on_s <= 10:
            raise ConfigError(f"on_s must be in [0.001, 10] s, got {self.on_s} s.")
        if not 0 <= self.rise_s <= 0.05:
            raise ConfigError(f"rise_s must be in [0, 0.05] s, got {self.rise_s} s.")
        if not 0 <= self.flicker_depth <= 1:
            raise ConfigError(f"flicker_depth must be in [0, 1], got {self.flicker_depth}.")


class SimulatedPhotodiode:
    """Makes the channel, stretch by stretch.

    Parameters
    ----------
    config : PhotodiodeConfig
        What is simulated.
    rate_hz : float
        Sampling rate.
    onsets_s : ndarray, shape (n_flashes,)
        When the light of each flash is half way up, in seconds after sample 0; growing, and no
        flash begins before the one before it has ended.
    seed : int
        Of the noise.
    """

    def __init__(
        self, config: PhotodiodeConfig, rate_hz: float, onsets_s: Values, seed: int = 0
    ) -> None:
        self._config = config
        self._rate_hz = rate_hz
        self._tau_s = config.rise_s / np.log(9)
        self._begins_s = np.asarray(onsets_s, np.float64) - _HALF * self._tau_s
        self._rng = np.random.default_rng(seed)
        nodes, weights = np.polynomial.legendre.leggauss(_points(self._tau_s * rate_hz))
        kernel = _comb_response(_SPREAD * nodes)
        self._shifts_s = _SPREAD * nodes / rate_hz
        self._weights = weights * kernel / (weights * kernel).sum()

    def samples(self, first: int, stop: int) -> NDArray[np.float32]:
        """The channel between two stream indices.

        Parameters
        ----------
        first, stop : int
            Stop exclusive.

        Returns
        -------
        samples : ndarray of float32, shape (stop - first,)
            In the channel's unit.
        """
        config = self._config
        at_s = np.arange(first, stop) / self._rate_hz
        light = sum(
            weight * self._light(at_s - shift_s)
            for shift_s, weight in zip(self._shifts_s, self._weights, strict=True)
        )
        level = config.rest + (config.on - config.rest) * light + config.drift_per_s * at_s
        noisy = level + config.noise * self._rng.standard_normal(len(at_s))
        return np.asarray(noisy, np.float32)

    def _light(self, at_s: Values) -> Values:
        """Light of the flash that came last, 0 to 1."""
        config = self._config
        if not len(self._begins_s):
            return np.zeros(len(at_s))
        place = np.searchsorted(self._begins_s, at_s, side="right") - 1
        since_s = np.where(place >= 0, at_s - self._begins_s[np.maximum(place, 0)], np.inf)
        if self._tau_s <= 0:
            light = (since_s < config.on_s).astype(np.float64)
        else:
            full = 1 - np.exp(-config.on_s / self._tau_s)
            lit = 1 - np.exp(-np.minimum(since_s, config.on_s) / self._tau_s)
            faded = full * np.exp(-(since_s - config.on_s) / self._tau_s)
            light = np.where(since_s < config.on_s, lit, np.where(since_s < np.inf, faded, 0.0))
        if config.flicker_hz:
            phase = np.where(since_s < np.inf, since_s * config.flicker_hz, 0.0) % 1
            light = light * (1 - config.flicker_depth * (phase > 0.5))
        return np.asarray(light)


def _points(rise: float) -> int:
    """How many points an integral takes across an edge of so many samples."""
    return _MOST if rise <= _FEWEST / _MOST else max(_FEWEST, round(_FEWEST / rise))


def _comb_response(u: Values) -> Values:
    """Impulse response of a third-order comb filter, `u` in samples from its middle."""
    size = np.abs(u)
    near, far = 0.75 - size**2, 0.5 * (1.5 - size) ** 2
    return np.asarray(np.where(size <= 0.5, near, np.where(size <= 1.5, far, 0.0)))
