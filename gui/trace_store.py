"""The last minutes of every channel, for windows that show the signal.

A hole stays a hole: samples that never came read as NaN, and so does what is too old.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import ConfigError
from ..runtime.messages import Chunk, StreamSpec
from ..runtime.telemetry import Telegram

BIN = 16
"""Samples of which the least and the greatest are kept as well, for long windows."""
KEEP_S = 180.0
"""How far back a person may look."""

_BACK_S = 1.0  # a stream that goes back this far has begun anew


class TraceStore:
    """Samples by stream index, the newest `keep_s` of them.

    Several panels may share one: what is told twice is taken once. Memory is 4.5 bytes for each
    sample of each channel that fits, all of it in use once `keep_s` have passed: 52 MB for 64
    channels at 1 kHz and 415 MB for 256 at 2 kHz over three minutes.

    Parameters
    ----------
    keep_s : float
        How much to keep, in seconds.

    Raises
    ------
    ConfigError
        If `keep_s` is not positive.
    """

    def __init__(self, keep_s: float = KEEP_S) -> None:
        if not keep_s > 0:
            raise ConfigError(f"keep_s must be above 0 seconds, got {keep_s:g}; leave it out.")
        self.keep_s = keep_s
        self.spec: StreamSpec | None = None
        """What the stream promises; None until it was told."""
        self.first = 0
        """Stream index of the oldest sample that is kept."""
        self.stop = 0
        """Stream index one past the newest sample."""
        self.age = 0
        """Grows whenever everything was forgotten: what was drawn of it is void."""
        self.refused = 0
        """Chunks that did not have the rows that were promised."""
        self._empty = True
        self._shape(0, 0)

    @property
    def n_bytes(self) -> int:
        """Memory that it may take."""
        return self._samples.nbytes + self._low.nbytes + self._high.nbytes

    @property
    def rate_hz(self) -> float:
        """Of the stream; 1 before it was told."""
        return self.spec.rate_hz if self.spec and self.spec.rate_hz > 0 else 1.0

    def take(self, message: Telegram) -> None:
        """Learn from a message.

        Parameters
        ----------
        message : Telegram
            Streams and chunks count, all others are passed over. Samples that are known stay as
            they are; a stream that goes back by more than a second has begun anew.
        """
        match message:
            case StreamSpec() if message != self.spec:
                self.spec = message
                rows = math.ceil(self.keep_s * self.rate_hz / BIN) * BIN
                self._shape(rows, message.n_channels)
                self.forget()
            case Chunk() if message.samples.size:
                self._take_chunk(message)

    def forget(self) -> None:
        """Know no sample any more; the stream is still the same."""
        self.first = self.stop = 0
        self._empty = True
        self._binned = 0
        self.age += 1

    def read(self, first: int, stop: int) -> NDArray[np.float32]:
        """Samples of a stretch.

        Parameters
        ----------
        first, stop : int
            Stream indices, stop exclusive.

        Returns
        -------
        samples : ndarray, shape (n_times, n_channels)
            Microvolts, one row per sample; NaN where it is not known. New memory.
        """
        return _part(self._samples, first, stop, self.first, self.stop)

    def read_bins(self, first: int, stop: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The least and the greatest of each `BIN` samples.

        Parameters
        ----------
        first, stop : int
            Bins, stop exclusive; bin ``n`` is of the samples from ``n * BIN`` on.

        Returns
        -------
        low, high : ndarray, shape (n_bins, n_channels)
            Microvolts; NaN where a sample is missing or the bin is not complete. New memory.
        """
        oldest = -(-self.first // BIN)
        return (
            _part(self._low, first, stop, oldest, self._binned),
            _part(self._high, first, stop, oldest, self._binned),
        )

    def _shape(self, n_rows: int, n_channels: int) -> None:
        self._samples = np.empty((n_rows, n_channels), np.float32)
        self._low = np.empty((n_rows // BIN, n_channels), np.float32)
        self._high = np.empty_like(self._low)
        self._binned = 0

    def _take_chunk(self, chunk: Chunk) -> None:
        if self.spec is None or chunk.samples.shape[0] != self.spec.n_channels:
            self.refused += 1
            return
        if not self._empty and chunk.first_sample < self.stop - _BACK_S * self.rate_hz:
            if chunk.stop_sample > self.first and self._is_known(chunk):
                return
            self.forget()
        if self._empty:
            self.first = self.stop = chunk.first_sample
            self._binned = -(-self.first // BIN)
            self._empty = False
        new = chunk.samples[:, max(self.stop - chunk.first_sample, 0) :]
        if not new.shape[1]:
            return
        self._write_hole(chunk.first_sample - self.stop)
        self._write(new.T)
        self._write_bins()

    def _is_known(self, chunk: Chunk) -> bool:
        """Whether a chunk from before was told already, by another panel that shares the store."""
        there = self.read(chunk.first_sample, chunk.stop_sample)
        return np.array_equal(there, chunk.samples.T, equal_nan=True)

    def _write_hole(self, n_lost: int) -> None:
        if n_lost > 0:
            n_blank = min(n_lost, len(self._samples))
            self.stop += n_lost - n_blank
            self._write(np.full((n_blank, self._samples.shape[1]), np.nan, np.float32))

    def _write(self, rows: NDArray[np.floating]) -> None:
        size = len(self._samples)
        kept = np.where(np.isfinite(rows), rows, np.nan)[-size:]  # infinity is no value either
        start = (self.stop + len(rows) - len(kept)) % size
        n_straight = min(size - start, len(kept))
        self._samples[start : start + n_straight] = kept[:n_straight]
        self._samples[: len(kept) - n_straight] = kept[n_straight:]
        self.stop += len(rows)
        self.first = max(self.first, self.stop - size)

    def _write_bins(self) -> None:
        self._binned = max(self._binned, -(-self.first // BIN))
        stop, size = self.stop // BIN, len(self._low)
        if stop <= self._binned:
            return
        rows = self.read(self._binned * BIN, stop * BIN)
        blocks = rows.reshape(-1, BIN, rows.shape[1])
        places = np.arange(self._binned, stop) % size
        self._low[places], self._high[places] = blocks.min(axis=1), blocks.max(axis=1)
        self._binned = stop


def _part(
    ring: NDArray[np.float32], first: int, stop: int, oldest: int, newest: int
) -> NDArray[np.float32]:
    """Rows by index out of a ring that holds the indices from `oldest` to `newest`."""
    wanted = np.full((max(stop - first, 0), ring.shape[1]), np.nan, np.float32)
    begin, end = max(first, oldest), min(stop, newest)
    if end > begin:
        start = begin % len(ring)
        n_straight = min(len(ring) - start, end - begin)
        to = wanted[begin - first : end - first]
        to[:n_straight] = ring[start : start + n_straight]
        to[n_straight:] = ring[: end - begin - n_straight]
    return wanted
