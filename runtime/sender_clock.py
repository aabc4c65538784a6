"""The sender's clock as its time stamps show it: phase and period of the sampling.

References
----------
Bar-Shalom, Li, Kirubarajan. Estimation with Applications to Tracking and Navigation. 2001.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Stamps = NDArray[np.float64]

_NO_TIME_S = 1e11  # 3000 years: no clock counts so far, and a float would know it to 15 us only


def is_time(stamp_s: float) -> bool:
    """Whether a stamp can be the time of anything: NaN, infinity and absurd numbers cannot."""
    return abs(stamp_s) < _NO_TIME_S


def timed(
    stamps_s: Stamps, before_s: float, period_s: float, arrived_s: float
) -> tuple[Stamps, int]:
    """Stamps in which each that is no time is a period after the one before.

    Parameters
    ----------
    stamps_s : ndarray, shape (n_times,)
        As they came, at least one.
    before_s : float
        Stamp of the sample before them; NaN if there is none.
    period_s : float
        From one sample to the next.
    arrived_s : float
        What the last is taken for if nothing came before and none is a time.

    Returns
    -------
    stamps_s : ndarray, shape (n_times,)
        The same array if all are times.
    n_mended : int
        How many were not.
    """
    good = np.abs(stamps_s) < _NO_TIME_S  # NaN is not
    if good.all():
        return stamps_s, 0
    places = np.arange(len(stamps_s))
    if math.isnan(before_s):
        known = int(good.argmax()) if good.any() else len(stamps_s) - 1
        known_s = float(stamps_s[known]) if good.any() else arrived_s
        before_s = known_s - (known + 1) * period_s
    last_good = np.maximum.accumulate(np.where(good, places, -1))
    anchors_s = np.where(last_good < 0, before_s, stamps_s[last_good])
    mended = np.where(good, stamps_s, anchors_s + (places - last_good) * period_s)
    return mended, int((~good).sum())


class SenderClock:
    """A two-state Kalman filter over the stamps, in the sender's own seconds.

    Parameters
    ----------
    rate_hz : float
        Nominal rate; believed to 2 % until stamps say otherwise.
    """

    _DRIFT = 1e-8  # relative change of the period per sample: 1 ppm within 10 s at 1 kHz

    def __init__(self, rate_hz: float) -> None:
        self.nominal_s = 1 / rate_hz
        self.period_s = 1 / rate_hz
        self.phase_s = math.nan  # stamp of the last sample seen
        self.last = -1  # its index
        self._first = -1  # index of the first sample of all
        self.scatter_s = 0.05 / rate_hz
        self._p00 = self.scatter_s**2
        self._p01 = 0.0
        self._p11 = (0.02 / rate_hz) ** 2

    def start(self, index: int, stamp_s: float) -> None:
        """Anchor the phase; the period is kept."""
        if math.isnan(self.phase_s):
            self._first = index
        self.last, self.phase_s = index, stamp_s
        self._p00, self._p01 = self.scatter_s**2, 0.0

    def predict(self, index: int) -> float:
        """Stamp expected for a sample."""
        return self.phase_s + (index - self.last) * self.period_s

    def update(self, index: int, stamp_s: float) -> None:
        """Learn from the stamp of a later sample."""
        steps = index - self.last
        error = stamp_s - self.predict(index)
        self._p00 += steps * (2 * self._p01 + steps * self._p11)
        self._p01 += steps * self._p11
        self._p11 += steps * (self._DRIFT * self.nominal_s) ** 2
        # An outlier must not bend the period: it is trusted no more than its own size.
        total = self._p00 + max(self.scatter_s**2, error**2)
        gain0, gain1 = self._p00 / total, self._p01 / total
        self.phase_s = self.predict(index) + gain0 * error
        self.period_s += gain1 * error
        self.last = index
        self._p11 -= gain1 * self._p01
        self._p01 *= 1 - gain0
        self._p00 *= 1 - gain0
        floor = (0.02 * self.nominal_s) ** 2
        self.scatter_s = math.sqrt(0.98 * self.scatter_s**2 + 0.02 * max(error**2, floor))

    @property
    def period_error_s(self) -> float:
        """Standard error of the period."""
        # A sender that is late stays late for a while. Such scatter does not average away as the
        # filter believes, so the slope it can leave over all that was seen is added.
        return math.sqrt(max(self._p11, 0.0)) + self.scatter_s / max(1, self.last - self._first)

    @property
    def tolerance_s(self) -> float:
        """How far a stamp may lie from its prediction and still be the next sample's."""
        return max(0.5 * self.period_s, 5 * self.scatter_s)
