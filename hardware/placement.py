"""Time stamps -> stream indices: tell lost samples from late ones.

A recording that was made over a network has a stamp for every sample it holds and nothing for
those it lost. Stamps also scatter, because many devices hand over whole packets and stamp them
on arrival. Two cases are told apart:

- the stamps follow a *sample clock* (nine in ten intervals within 5 % of the nominal period):
  then an interval of two periods is a lost sample, unless the next stamps take the delay back;
- the stamps come *in packets*: then a delay of a tenth of a second is nothing unusual, and only
  a hole of more than `HOLE_S` that later stamps do not make up for counts as lost.

The rate is measured, never taken as nominal: 0.01 % of drift is a whole sample every minute.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

HOLE_S = 0.5
"""A hole longer than this is one, however much the stamps scatter."""

_MOST_TIMES = 2.0**48  # samples between two stamps: a year at 10 MHz, and exact in float64
_OFFSET_ERROR_S = 1e-4  # of LSL's measurement, streams of one machine differ by 1 to 5e-5 s
_CLOCKED_WITHIN = 0.05  # of the nominal period
_CLOCKED_SHARE = 0.9
_WINDOW_S = 5.0  # over which a rate is measured when single intervals mean nothing
_BELIEVED_WITHIN_S = 1.0  # of the running median; monotone stamps are their own running median
_MEDIAN_SAMPLES = 129  # a damaged stretch of up to 64 samples is recognised


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where the samples of a recording belong.

    Parameters
    ----------
    kept : ndarray of int, shape (n_kept,)
        Rows of the input whose stamp can be believed, in order.
    indices : ndarray of int, shape (n_kept,)
        Stream index of each of them, starting at 0 and strictly growing.
    stamps_s : ndarray, shape (n_kept,)
        Their time in seconds, never decreasing, freed of the scatter of packets.
    rate_hz : float
        Rate at which samples really came.
    """

    kept: NDArray[np.intp]
    indices: NDArray[np.int64]
    stamps_s: NDArray[np.float64]
    rate_hz: float

    @property
    def n_times(self) -> int:
        """Number of stream indices from the first sample to the last."""
        return int(self.indices[-1]) + 1

    @property
    def gaps(self) -> tuple[tuple[int, int], ...]:
        """Ranges of stream indices, stop exclusive, that have no sample."""
        jumps = np.flatnonzero(np.diff(self.indices) > 1)
        return tuple((int(self.indices[at]) + 1, int(self.indices[at + 1])) for at in jumps)

    def index_at(self, stamp_s: float) -> int | None:
        """Stream index of the first sample at or after a moment; None outside the recording."""
        at = float(np.interp(stamp_s, self.stamps_s, self.indices))
        early_s, late_s = self.stamps_s[0] - stamp_s, stamp_s - self.stamps_s[-1]
        if max(early_s, late_s) * self.rate_hz > 1:
            return None
        # Two stamps that mean the same moment differ by the error of two streams' clock offsets.
        same = max(1e-3, min(_OFFSET_ERROR_S * self.rate_hz, 0.25))
        return int(np.ceil(at - same))


def place(stamps_s: NDArray[np.float64], nominal_hz: float) -> Placement:
    """Give every sample the stream index that its time stamp asks for.

    Parameters
    ----------
    stamps_s : ndarray, shape (n_times,)
        Time stamps in seconds, in the order of the file.
    nominal_hz : float
        Sampling rate that the stream promised.

    Returns
    -------
    placement : Placement
        Indices, with jumps where samples are missing.

    Raises
    ------
    ValueError
        If no stamp can be believed, or they lie further apart than any recording lasts.
    """
    kept = np.flatnonzero(believable(stamps_s))
    if not len(kept):
        raise ValueError(f"none of {len(stamps_s)} time stamps is a finite number of seconds.")
    good = stamps_s[kept]
    span = float(good.max() - good.min()) * nominal_hz
    if not span < _MOST_TIMES:
        raise ValueError(f"its time stamps reach from {good.min():g} to {good.max():g} s.")
    if len(good) == 1:
        return Placement(
            kept=kept, indices=np.zeros(1, np.int64), stamps_s=good, rate_hz=nominal_hz
        )
    clocked = _follows_a_clock(good, nominal_hz)
    period_s = _period_s(good, nominal_hz, clocked)
    lost = _lost_before(good, period_s, nominal_hz, clocked)
    indices = np.arange(len(good), dtype=np.int64) + np.cumsum(lost)
    smooth = good if clocked else _smoothed(good, indices, period_s, nominal_hz)
    return Placement(
        kept=kept,
        indices=indices,
        stamps_s=np.maximum.accumulate(smooth),
        rate_hz=1 / period_s,
    )


def believable(stamps_s: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which time stamps fit those around them.

    Parameters
    ----------
    stamps_s : ndarray, shape (n_times,)
        Time stamps in seconds, in the order of the file.

    Returns
    -------
    mask : ndarray of bool, shape (n_times,)
        False where a stamp is not finite, or is more than a second off the median of its
        neighbours: the mark of damaged bytes, never of a hole.
    """
    finite = np.isfinite(stamps_s)
    filled = np.where(finite, stamps_s, -np.inf)
    median = median_filter(filled, size=min(_MEDIAN_SAMPLES, 2 * len(filled) - 1), mode="nearest")
    median = np.where(np.isfinite(median), median, 0.0)
    return np.asarray(
        finite & (np.abs(np.where(finite, filled, 0.0) - median) <= _BELIEVED_WITHIN_S)
    )


def _follows_a_clock(stamps_s: NDArray[np.float64], nominal_hz: float) -> bool:
    off = np.abs(np.diff(stamps_s) * nominal_hz - 1)
    return bool(np.mean(off <= _CLOCKED_WITHIN) >= _CLOCKED_SHARE)


def _period_s(stamps_s: NDArray[np.float64], nominal_hz: float, clocked: bool) -> float:
    if clocked:
        return float(np.median(np.diff(stamps_s)))
    span = min(max(1, round(_WINDOW_S * nominal_hz)), len(stamps_s) - 1)
    measured = float(np.median(stamps_s[span:] - stamps_s[:-span])) / span
    return measured if measured > 0 else 1 / nominal_hz


def _lost_before(
    stamps_s: NDArray[np.float64], period_s: float, nominal_hz: float, clocked: bool
) -> NDArray[np.int64]:
    """How many samples are missing in front of each sample."""
    lead = stamps_s / period_s - np.arange(len(stamps_s))
    steps = np.diff(lead)
    suspects = np.flatnonzero(steps > (0.5 if clocked else HOLE_S * nominal_hz))
    # A late packet is made up for by the stamps that follow it, a lost one never is: compare
    # the earliest arrival after the jump with the earliest before it.
    back, ahead = (1, 3) if clocked else (round(HOLE_S * nominal_hz) or 1,) * 2
    lost = np.zeros(len(stamps_s), dtype=np.int64)
    for at in suspects:
        before = lead[max(0, at + 1 - back) : at + 1].min()
        step = lead[at + 1 : at + 1 + ahead].min() - before
        if step >= steps[at] / 2:
            lost[at + 1] = max(0, round(step))
    return lost


def _smoothed(
    stamps_s: NDArray[np.float64],
    indices: NDArray[np.int64],
    period_s: float,
    nominal_hz: float,
) -> NDArray[np.float64]:
    """Stamps on the grid of the measured rate, carried by the running median of their delay."""
    grid_s = indices * period_s
    reach = min(round(HOLE_S * nominal_hz), len(stamps_s) - 1)
    delay_s = median_filter(stamps_s - grid_s, size=2 * reach + 1, mode="nearest")
    return np.asarray(grid_s + delay_s, dtype=np.float64)
