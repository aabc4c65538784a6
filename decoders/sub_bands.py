"""Sub-bands of a window, cut from the window itself: a Fourier transform, bins in and bins out.

Sub-band ``m`` (from 1) reaches from ``m * step_hz`` to `top_hz`, so each holds all that are above
it [1]_. A window is turned into the real and imaginary parts of its bins, scaled so that sums of
products over them are sums of products over time: the signal need not be turned back, and what
the sub-bands share is computed once.

References
----------
.. [1] Chen, Wang, Gao, Jung, Gao. Filter bank canonical correlation analysis for implementing a
   high-speed SSVEP-based brain-computer interface. J. Neural Eng., 2015.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..runtime.errors import ConfigError
from ..runtime.messages import Samples
from .bands import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class SubBandConfig:
    """Which sub-bands a window is cut into.

    Parameters
    ----------
    rate_hz : float
        Rate of the conditioned stream.
    n_bands : int
        Sub-bands, 1 to 10; fewer are made where the rate leaves no room for them.
    step_hz : float
        From the lower edge of one sub-band to the next, and the lower edge of the first.
    top_hz : float
        Upper edge of all; lower where the rate ends earlier.
    """

    rate_hz: float
    n_bands: int = 5
    step_hz: float = 8.0
    top_hz: float = 88.0

    def __post_init__(self) -> None:
        if not 50 <= self.rate_hz <= 50_000:
            raise ConfigError(
                f"rate_hz must be in [50, 50000] Hz, got {self.rate_hz} Hz: it is the rate of the "
                f"conditioned stream."
            )
        if not 1 <= self.n_bands <= 10:
            raise ConfigError(f"n_bands must be in 1 to 10, got {self.n_bands}: 5 is usual.")
        if not 2 <= self.step_hz <= 20:
            raise ConfigError(f"step_hz must be in [2, 20] Hz, got {self.step_hz} Hz: 8 is usual.")
        if not 2 * self.step_hz <= self.top_hz <= 500:
            raise ConfigError(
                f"top_hz must be in [{2 * self.step_hz:g}, 500] Hz, got {self.top_hz} Hz: 88 is "
                f"usual."
            )

    @property
    def end_hz(self) -> float:
        """Upper edge of all sub-bands, below half the rate."""
        return min(self.top_hz, 0.48 * self.rate_hz)

    @property
    def n_sub_bands(self) -> int:
        """How many are made: the highest is as wide as a step at least."""
        return max(1, min(self.n_bands, int(self.end_hz / self.step_hz) - 1))

    @property
    def weights(self) -> Floats:
        """Weight of each sub-band's squared correlation, falling; shape (n_sub_bands,)."""
        place = np.arange(1.0, self.n_sub_bands + 1)
        weights: Floats = place**-1.25 + 0.25
        return weights


class SubBands:
    """The sub-bands of windows of one length.

    Parameters
    ----------
    config : SubBandConfig
        Which.
    n_times : int
        Samples in a window.

    Raises
    ------
    ConfigError
        If the window is too short to tell the sub-bands apart.
    """

    def __init__(self, config: SubBandConfig, n_times: int) -> None:
        bins_hz = np.fft.rfftfreq(n_times, 1 / config.rate_hz)
        # A bin on an edge is inside, whatever rounding says.
        edges_hz = config.step_hz * np.arange(1, config.n_sub_bands + 1) - 1e-6
        firsts = np.searchsorted(bins_hz, edges_hz)
        stop = int(np.searchsorted(bins_hz, config.end_hz + 1e-6))
        if np.diff([*firsts, stop]).min() < 1:
            raise ConfigError(
                f"A window of {n_times / config.rate_hz:g} s is too short for sub-bands "
                f"{config.step_hz:g} Hz apart: lengthen it."
            )
        self._bins = slice(int(firsts[0]), stop)
        # Sub-bands begin here among the coefficients; each bin has two.
        self._firsts = [2 * int(first - firsts[0]) for first in firsts]
        self._scale = np.sqrt(2 / n_times)
        self.n_coefficients = 2 * (stop - int(firsts[0]))

    def coefficients(self, signal: Samples) -> Floats:
        """Real and imaginary parts of the bins, side by side.

        Parameters
        ----------
        signal : ndarray, shape (n_rows, n_times)
            Window in microvolts.

        Returns
        -------
        coefficients : ndarray, shape (n_rows, n_coefficients)
            Not finite if the window is not.
        """
        # A window of garbage may overflow; the caller looks at the result, not at warnings.
        with np.errstate(over="ignore", invalid="ignore"):
            bins = np.fft.rfft(np.asarray(signal, dtype=np.float64), axis=1)[:, self._bins]
            parts: Floats = np.ascontiguousarray(bins).view(np.float64) * self._scale
        return parts

    def of(self, coefficients: Floats, band: int) -> Floats:
        """Coefficients of one sub-band, (..., n_rows, n_of_band): a view."""
        return coefficients[..., self._firsts[band] :]

    def products(self, one: Floats, other: Floats) -> Floats:
        """Sums of products over time in every sub-band.

        Parameters
        ----------
        one, other : ndarray, shape (n_rows, n_coefficients)
            From `coefficients`; rows may differ in number.

        Returns
        -------
        products : ndarray, shape (n_sub_bands, n_rows_one, n_rows_other)
            Not finite if an argument is not.
        """
        found = np.empty((len(self._firsts), len(one), len(other)))
        stops = [*self._firsts[1:], self.n_coefficients]
        with np.errstate(over="ignore", invalid="ignore"):
            for band, first in enumerate(self._firsts):
                part = slice(first, stops[band])
                np.matmul(one[:, part], other[:, part].T, out=found[band])
            # The last sub-band is its own part; each below it has all that are above as well.
            for band in range(len(found) - 2, -1, -1):
                found[band] += found[band + 1]
        return found
