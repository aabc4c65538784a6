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

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import ConfigError

Values = NDArray[np.float64]

_HALF = float(np.log(2))  # of an exponential rise, in time constants
_SETTLED = 25.0  # time constants after which light is as bright as it gets


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
        self._rng = np.random.default_rng(seed)
        begins_s = np.asarray(onsets_s, np.float64) - _HALF * self._tau_s
        self._edges, self._weights = self._edges_of(begins_s)
        self._reach = 3 + math.ceil(_SETTLED * self._tau_s * rate_hz)

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
        creep = config.drift_per_s * np.arange(first, stop) / self._rate_hz
        level = config.rest + (config.on - config.rest) * self._light(first, stop) + creep
        noisy = level + config.noise * self._rng.standard_normal(stop - first)
        return np.asarray(noisy, np.float32)

    def _edges_of(self, begins_s: Values) -> tuple[Values, Values]:
        """Moments at which light is switched, in samples, and by how much."""
        config = self._config
        depth = config.flicker_depth if config.flicker_hz else 0.0
        parts = [(begins_s, 1 - depth), (begins_s + config.on_s, depth - 1)]
        if depth:
            frames = np.arange(math.ceil(config.on_s * config.flicker_hz)) / config.flicker_hz
            lit_s = (begins_s[:, None] + frames).ravel()
            parts += [(lit_s, depth), (lit_s + 0.5 / config.flicker_hz, -depth)]
        edges = np.concatenate([at_s for at_s, _ in parts]) * self._rate_hz
        weights = np.concatenate([np.full(len(at_s), weight) for at_s, weight in parts])
        order = np.argsort(edges)
        return edges[order], weights[order]

    def _light(self, first: int, stop: int) -> Values:
        """Light as it was sampled, 0 to 1: what edges long ago have left, and those nearby."""
        begin = np.searchsorted(self._edges, first - self._reach - 2)
        edges = self._edges[begin : np.searchsorted(self._edges, stop + 2)]
        weights = self._weights[begin : begin + len(edges)]
        light = np.zeros(stop - first + 2 * self._reach + 8)
        from_ = np.floor(edges).astype(np.int64) - 1
        at = from_[:, None] + np.arange(self._reach + 2)
        tau = self._tau_s * self._rate_hz
        part = weights[:, None] * _response(at - edges[:, None], tau)
        place = at - first + self._reach + 4
        np.add.at(light, place.ravel(), part.ravel())
        lasting = np.zeros(len(light))
        np.add.at(lasting, place[:, -1] + 1, weights)
        light += np.cumsum(lasting)
        before = float(self._weights[:begin].sum())
        return np.asarray(before + light[self._reach + 4 :][: stop - first])


def _response(t: Values, tau: float) -> Values:
    """What a third-order comb filter makes of a light that rises exponentially from 0 on.

    Each of its three running means is a difference of integrals, so the whole is the third
    difference of the light's third integral. All in samples.
    """
    total = np.zeros(np.shape(t))
    for shift, sign in ((1.5, 1), (0.5, -3), (-0.5, 3), (-1.5, -1)):
        since = np.maximum(t + shift, 0.0)
        lag = tau * since**2 / 2 - tau**2 * since
        if tau > 0:
            lag = lag - tau**3 * np.expm1(-since / tau)
        total += sign * (since**3 / 6 - lag)
    return np.asarray(total)
