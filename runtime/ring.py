"""The ring: a fixed piece of memory that holds the newest samples and knows which were lost."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .errors import SamplesLost
from .messages import Samples


class Ring:
    """Preallocated samples, read as views by stream index.

    Every sample is written twice, `capacity` columns apart, so that any stretch of up to
    `capacity` samples is one contiguous view: nothing is rolled, joined or copied on reading.
    Written and read by one thread.

    Parameters
    ----------
    n_channels : int
        Rows.
    capacity : int
        Samples kept, at least 1.
    dtype : data-type
        float64 behind a conditioner, float32 for a signal taken as it comes.
    """

    def __init__(self, n_channels: int, capacity: int, dtype: DTypeLike = np.float64) -> None:
        if n_channels < 1 or capacity < 1:
            raise ValueError(
                f"A ring needs at least 1 channel and 1 sample, got {n_channels} and {capacity}."
            )
        self._memory: NDArray[np.floating] = np.zeros((n_channels, 2 * capacity), dtype)
        self._readable = self._memory.view()
        self._readable.flags.writeable = False
        self._capacity = capacity
        self._holes: deque[tuple[int, int]] = deque()
        self._stop = 0

    @property
    def n_channels(self) -> int:
        """Rows."""
        return len(self._memory)

    @property
    def capacity(self) -> int:
        """How many samples are kept."""
        return self._capacity

    @property
    def stop(self) -> int:
        """Stream index one past the newest sample."""
        return self._stop

    @property
    def _oldest(self) -> int:
        return max(0, self._stop - self._capacity)

    def write(self, samples: Samples, first_sample: int) -> int:
        """Append samples; a jump ahead of `stop` is remembered as a hole.

        Parameters
        ----------
        samples : ndarray, shape (n_channels, n_times)
            Copied in.
        first_sample : int
            Stream index of the first column, at least `stop`.

        Returns
        -------
        n_lost : int
            Samples between the newest one and this one that never came.

        Raises
        ------
        ValueError
            If the index goes back: putting samples in order is the source's task.
        """
        lost = first_sample - self._stop
        if lost < 0:
            raise ValueError(
                f"Sample {first_sample} comes after sample {self._stop - 1}: a source must "
                f"deliver growing indices and drop what came twice."
            )
        if lost:
            self._holes.append((self._stop, first_sample))
        self._store(samples[:, -self._capacity :], first_sample + samples.shape[1])
        return lost

    def view(self, first: int, stop: int) -> Samples:
        """Samples ``[first, stop)``, read-only, without a copy.

        Parameters
        ----------
        first, stop : int
            Stream indices, stop exclusive.

        Returns
        -------
        samples : ndarray, shape (n_channels, stop - first)
            Overwritten once `capacity` newer samples have come.

        Raises
        ------
        SamplesLost
            If a part of it was never received, is not there yet or has been overwritten.
        """
        if not self.holds(first, stop):
            raise SamplesLost(
                f"Samples {first} to {stop} were asked for; the ring holds {self._oldest} to "
                f"{self._stop} with holes at {list(self._holes)}."
            )
        begin = first % self._capacity
        return self._readable[:, begin : begin + stop - first]

    def holds(self, first: int, stop: int) -> bool:
        """Whether every sample of ``[first, stop)`` is there."""
        if first < self._oldest or stop > self._stop:
            return False
        return all(stop <= begin or end <= first for begin, end in self._holes)

    def _store(self, samples: Samples, stop: int) -> None:
        n = samples.shape[1]
        at = (stop - n) % self._capacity
        head = min(n, self._capacity - at)
        for base in (at, at + self._capacity):
            self._memory[:, base : base + head] = samples[:, :head]
        if head < n:
            for base in (0, self._capacity):
                self._memory[:, base : base + n - head] = samples[:, head:]
        self._stop = stop
        oldest = stop - self._capacity
        while self._holes and self._holes[0][1] <= oldest:
            self._holes.popleft()
