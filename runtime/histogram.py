"""A histogram of durations at a fixed size, for a loop that must not allocate.

The buckets are log-linear, after Tene's HdrHistogram [1]_: each octave of nanoseconds is cut into
64 equal parts, so a duration is known to better than 1 % anywhere between a nanosecond and two
minutes, in 16 kB that never grow.

References
----------
.. [1] G. Tene, "HdrHistogram: a high dynamic range histogram", http://hdrhistogram.org, 2012.
"""

from __future__ import annotations

import math

import numpy as np

_PART_BITS = 6  # 64 parts an octave: a bucket's middle is within 1/128 of all that is in it
_N_BUCKETS = 2048
_LARGEST_NS = 2**37 - 1  # 137 s, the upper end of bucket 2047


class Histogram:
    """Counts of durations, to better than 1 %, at a fixed size.

    Durations below 0 count as 0, durations above 137 s as 137 s; `max_ns` is exact in any case.
    """

    def __init__(self) -> None:
        self._counts = np.zeros(_N_BUCKETS, np.int64)
        # Same memory as `_counts`; a single cell is twice as fast to reach through it.
        self._cells = self._counts.data
        self._count = 0
        self._min_ns = _LARGEST_NS
        self._max_ns = 0

    def record(self, duration_ns: int) -> None:
        """Count one duration.

        Parameters
        ----------
        duration_ns : int
            How long it took.
        """
        if duration_ns < 0:
            duration_ns = 0
        shift = duration_ns.bit_length() - _PART_BITS - 1
        if shift <= 0:
            bucket = duration_ns
        elif duration_ns > _LARGEST_NS:
            bucket = _N_BUCKETS - 1
        else:
            bucket = (shift << _PART_BITS) + (duration_ns >> shift)
        self._cells[bucket] += 1
        self._count += 1
        if duration_ns > self._max_ns:
            self._max_ns = duration_ns
        if duration_ns < self._min_ns:
            self._min_ns = duration_ns

    @property
    def count(self) -> int:
        """How many durations were recorded."""
        return self._count

    @property
    def max_ns(self) -> int:
        """The longest, exactly; 0 when empty."""
        return self._max_ns

    def quantile_ns(self, q: float) -> float:
        """The smallest duration that at least a fraction `q` does not exceed.

        Parameters
        ----------
        q : float
            From 0 to 1; 0.5 is the median.

        Returns
        -------
        duration_ns : float
            Right to better than 1 %; NaN when empty.

        Raises
        ------
        ValueError
            If `q` is outside 0 to 1.
        """
        if not 0 <= q <= 1:
            raise ValueError(f"q must be 0 to 1, got {q}: the median is 0.5.")
        if not self._count:
            return math.nan
        # The tiny step back keeps 0.07 * 100 = 7.000000000000001 at rank 7.
        rank = max(1, math.ceil(q * self._count - 1e-9))
        bucket = int(np.searchsorted(np.cumsum(self._counts), rank))
        return float(min(max(_middle_ns(bucket), self._min_ns), self._max_ns))


def _middle_ns(bucket: int) -> int:
    shift = max((bucket >> _PART_BITS) - 1, 0)
    return ((bucket - (shift << _PART_BITS)) << shift) + ((1 << shift) >> 1)
