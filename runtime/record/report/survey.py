"""One pass over the signal, second by second: nothing longer than a trial is ever held."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...messages import BRAIN, Chunk
from ..contents import Record
from .locked import Cues, Epochs, Locked
from .quality import CAUSES, GOOD, Floats, Second, Verdict, judge, measure, verdict

# More samples than this, or more seconds, are not looked at one by one: every second, third, ...
# second is measured instead. 2e8 samples take about 15 s on one core.
_MOST_SAMPLES, _MOST_SECONDS = 200_000_000, 3600
_MOST_CELLS = 150  # columns of the map: more could not be told apart in print
_TOP_HZ = 150.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What the signal was like.

    Parameters
    ----------
    rows : tuple of int
        Channels that were judged.
    names : tuple of str
        Their labels.
    rate_hz : float
        Of the stream.
    every : int
        One second in so many was measured.
    cell_s : float
        Length of a column of `index`.
    index, share : ndarray, shape (n_channels, n_cells)
        Quality, 0 to 1, NaN where nothing was measured; and how much of the signal was there.
    verdicts : tuple of Verdict
        In short, channel by channel.
    freqs_hz : ndarray, shape (n_freqs,)
        Frequencies of `psd`.
    psd : ndarray, shape (n_channels, n_freqs)
        Median over time of the power spectral density, microvolts squared per hertz; NaN for a
        channel that was never good.
    lost : tuple of (int, int)
        Stream indices that never came, stop exclusive.
    locked : Locked, optional
        What happened around the cues; None without cues or without a whole trial.
    """

    rows: tuple[int, ...]
    names: tuple[str, ...]
    rate_hz: float
    every: int
    cell_s: float
    index: Floats
    share: Floats
    verdicts: tuple[Verdict, ...]
    freqs_hz: Floats
    psd: Floats
    lost: tuple[tuple[int, int], ...]
    locked: Locked | None

    @property
    def n_lost(self) -> int:
        """Samples that never came."""
        return sum(stop - first for first, stop in self.lost)


def look_through(record: Record, cues: Cues | None) -> Survey:
    """Read the signal once.

    Parameters
    ----------
    record : Record
        Whose ``chunks`` are read.
    cues : Cues, optional
        Around which to look more closely.

    Returns
    -------
    survey : Survey
        What was seen. Nothing in it is longer than a second's spectrum for each column.
    """
    kinds = [channel.kind for channel in record.spec.channels]
    rows = np.array([row for row, kind in enumerate(kinds) if kind in BRAIN] or range(len(kinds)))
    eeg = all(kinds[row] == "eeg" for row in rows)
    epochs = None
    if cues is not None:
        # Eight electrodes make a median that one bad electrode cannot move.
        epochs = Epochs(cues, rows, fast=not eeg, median_reference=eeg and len(rows) >= 8)
    seconds = _Seconds(record, rows)
    lost, following = [], 0
    for chunk in record.chunks():
        if not chunk.samples.shape[1]:
            continue
        if chunk.first_sample > following:
            lost.append((following, chunk.first_sample))
        following = max(following, chunk.stop_sample)
        seconds.take(chunk)
        if epochs is not None:
            epochs.take(chunk)
    if following < record.n_times:
        lost.append((following, record.n_times))
    return seconds.finish(tuple(lost), None if epochs is None else epochs.finish())


class _Seconds:
    """Cuts the stream into whole seconds on a fixed grid, and measures them."""

    def __init__(self, record: Record, rows: NDArray[np.intp]) -> None:
        self._names = tuple(record.spec.channels[row].name for row in rows)
        self._rows = rows
        self._length = max(round(record.spec.rate_hz), 8)
        self._n_seconds = record.n_times // self._length
        wanted = max(self._n_seconds * self._length * len(rows) / _MOST_SAMPLES,
                     self._n_seconds / _MOST_SECONDS)  # fmt: skip
        self._every = max(1, int(np.ceil(wanted)))
        per_cell = max(1, int(np.ceil(self._n_seconds / _MOST_CELLS)))
        self._per_cell = int(np.ceil(per_cell / self._every)) * self._every
        n_cells = int(np.ceil(self._n_seconds / self._per_cell))
        self._rate_hz = record.spec.rate_hz
        self._freqs_hz = np.fft.rfftfreq(self._length, 1 / self._rate_hz)
        self._kept = self._freqs_hz <= _TOP_HZ
        self._taper = np.hanning(self._length).astype(np.float32)
        self._psd = np.zeros((n_cells, len(rows), int(self._kept.sum())), np.float32)
        self._whole = np.zeros((n_cells, len(rows)), np.int64)
        self._second = 0
        self._block = self._fresh()
        self._seen: list[Second] = []

    def _fresh(self) -> NDArray[np.float32]:
        return np.full((len(self._rows), self._length), np.nan, np.float32)

    def take(self, chunk: Chunk) -> None:
        """Put a chunk where it belongs, measuring every second that it completes."""
        at = chunk.first_sample
        while at < chunk.stop_sample and self._second < self._n_seconds:
            start = self._second * self._length
            stop = min(start + self._length, chunk.stop_sample)
            if at < stop and self._second % self._every == 0:
                there = slice(at - chunk.first_sample, stop - chunk.first_sample)
                self._block[:, at - start : stop - start] = chunk.samples[self._rows, there]
            at = max(at, stop)
            if at >= start + self._length:
                self._close()

    def _close(self) -> None:
        if self._second % self._every == 0:
            self._measure(self._second // self._per_cell)
            self._block = self._fresh()
        self._second += 1

    def _measure(self, cell: int) -> None:
        from scipy.fft import rfft

        block = self._block
        spectrum = rfft((block - block.mean(axis=1, keepdims=True)) * self._taper, axis=1)
        power = spectrum.real**2 + spectrum.imag**2
        power *= 2 / (self._rate_hz * float((self._taper**2).sum()))
        self._seen.append(measure(block, power, self._freqs_hz))
        whole = np.isfinite(power[:, 0])
        self._psd[cell, whole] += power[whole][:, self._kept]
        self._whole[cell] += whole

    def finish(self, lost: tuple[tuple[int, int], ...], locked: Locked | None) -> Survey:
        """Sum up."""
        while self._second < self._n_seconds:
            self._close()
        n_cells = len(self._whole)
        index = np.full((len(self._rows), n_cells), np.nan)
        share = np.zeros((len(self._rows), n_cells))
        verdicts: tuple[Verdict, ...] = ()
        if self._seen:
            each, cause = judge(self._seen)
            cells = np.arange(len(self._seen)) * self._every // self._per_cell
            there = cause != CAUSES.index("signal lost")
            for cell in range(n_cells):
                now = cells == cell
                share[:, cell] = there[:, now].mean(axis=1)
                index[:, cell] = _mean_where(each[:, now], there[:, now])
            starts_s = np.arange(len(self._seen)) * self._every * self._length / self._rate_hz
            verdicts = tuple(
                verdict(name, each[row], cause[row], starts_s)
                for row, name in enumerate(self._names)
            )
        return Survey(
            rows=tuple(self._rows.tolist()),
            names=self._names,
            rate_hz=self._rate_hz,
            every=self._every,
            cell_s=self._per_cell * self._length / self._rate_hz,
            index=index,
            share=share,
            verdicts=verdicts,
            freqs_hz=self._freqs_hz[self._kept],
            psd=self._median_psd(index),
            lost=lost,
            locked=locked,
        )

    def _median_psd(self, index: Floats) -> Floats:
        """Median over columns in which a channel was good: a mean would show every blink."""
        found = np.full(self._psd.shape[1:], np.nan)
        for row in range(len(found)):
            usable = (self._whole[:, row] > 0) & (index[row] >= GOOD)
            if usable.any():
                cells = self._psd[usable, row] / self._whole[usable, row, None]
                found[row] = np.median(cells, axis=0)
        return found


def _mean_where(values: Floats, there: NDArray[np.bool_]) -> Floats:
    n = there.sum(axis=1)
    total = np.where(there, values, 0).sum(axis=1)
    return np.where(n > 0, total / np.maximum(n, 1), np.nan)
