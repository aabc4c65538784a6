"""Causal resampling: from any rate to the encoder's, block by block, without linear phase.

A polyphase filter is a linear system like any other: what a block of samples adds to the outputs
that are due within it, and to the later ones that its taps still reach, is a fixed matrix for
each phase of the grid of outputs against the block. The later ones are kept as sums that are not
complete yet. No history is stored or moved, which at 30 kHz would be the larger part of the work.

As in `blocks`, the stream is cut into blocks on a grid fixed at its first sample, and a block
that is not full yet is filled up with zeros and computed again. Output column n depends on input
columns up to its own time alone, and always through products and sums of the same shape, so any
cut of the stream gives the same output, to the last bit.

The filter is minimum-phase: a linear-phase one would be late by half its length, 40 ms at 500 Hz.

References
----------
Crochiere, Rabiner. Multirate Digital Signal Processing. 1983.
Oppenheim, Schafer. Discrete-Time Signal Processing, ch. on the cepstrum. 2010.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy import fft, signal

from ..errors import ConfigError
from ..messages import Samples

Floats = NDArray[np.float64]

_PASS = 0.4  # of the lower rate: 200 Hz for 500 Hz
_STOP = 0.5
_STOP_DB = 66.0  # 60 are promised; setting every phase to unit gain costs a little
_ACCURACIES = (0, 1e-6, 2e-5)  # tried in this order; amplifiers' own clocks are off by 5e-5
_MOST_TAPS = 2**18
_CACHE_BYTES = 64e6


class BlockResampler:
    """A polyphase low-pass with state that brings a stream to another rate.

    Output j stands for input time ``j * down / up`` and needs the inputs up to that time, no
    later one. Both are counted as the stream counts, so that outputs keep their places across a
    gap. The pass band ends at 0.4 of the lower rate, and from half that rate on at least 60 dB
    are taken off. Equal rates leave the samples as they are.

    The state starts as if the first sample had stood there for ever, so that an offset makes no
    step at the start.

    Parameters
    ----------
    rate_in_hz, rate_out_hz : float
        Rates of the input and of the output. Their ratio is taken as it is where 2**18 taps do
        for it, or else as the simplest fraction within 1 part in a million, or 20 at worst;
        `ratio` tells what really comes out. Where each output lies, ``Pace`` tells.
    n_rows : int
        Rows of the signal.
    n_times : int
        Input samples in a block.
    minimum_phase : bool
        False for linear phase, which is late by half the filter's length.

    Raises
    ------
    ConfigError
        If a rate, or a number of rows or samples, is not positive, or if no fraction that is
        simple enough comes near the ratio.

    Attributes
    ----------
    ratio : Fraction
        ``up / down``, output rate over input rate.
    taps : ndarray of float64, shape (n_taps,)
        The filter at ``up`` times the input rate; the taps of each phase add up to 1.
    delay_s : float
        Group delay, median over the pass band.
    settle_samples : int
        How long a start is felt: input samples until every phase has a step to within 1 %.
    """

    def __init__(
        self,
        rate_in_hz: float,
        rate_out_hz: float,
        n_rows: int,
        n_times: int,
        *,
        minimum_phase: bool = True,
    ) -> None:
        if n_rows < 1 or n_times < 1:
            raise ConfigError(
                f"A resampler needs at least 1 row and 1 sample in a block, got {n_rows} and "
                f"{n_times}."
            )
        self.ratio = simple_ratio(rate_in_hz, rate_out_hz)
        self._n_times = n_times
        self.taps = _prototype(rate_in_hz, self.ratio, minimum_phase)
        self.delay_s = _delay_s(self.taps, rate_in_hz, self.ratio)
        self.settle_samples = _settle_samples(self.taps, self.ratio.numerator)
        self._padded = np.append(self.taps, 0.0)
        up, down = self.ratio.numerator, self.ratio.denominator
        self._n_late = max(0, -(-(len(self.taps) - up) // down))
        self._matrices: dict[int, Floats] = {}
        self._step = math.gcd(down, n_times * up)  # from each phase that occurs to the next
        size = 8 * n_times * (self._n_due(0) + self._n_late) * (down // self._step)
        self._keep = size <= _CACHE_BYTES
        self._input = np.zeros((n_rows, n_times))
        self._output = np.zeros((n_rows, self._n_due(0) + self._n_late))
        self._late = np.zeros((n_rows, self._n_late))
        for phase in range(0, down if self._keep else 1, self._step):
            self._begin_block(phase)
        self.restart()

    @property
    def n_times(self) -> int:
        """Input samples in a block."""
        return self._n_times

    def restart(self, first_sample: int = 0) -> None:
        """Forget the past: the next sample is a first one.

        Parameters
        ----------
        first_sample : int
            Stream index of it. A block begins there, with the first output at or after it.
        """
        phase = -first_sample * self.ratio.numerator % self.ratio.denominator
        if phase % self._step != self._phase % self._step:
            self._matrices.clear()
        self._begin_block(phase)
        self._steady = self._resting(phase)
        self._started = False

    def peek(self, block: Samples) -> Floats:
        """What a block gives, without moving on.

        Parameters
        ----------
        block : ndarray, shape (n_rows, n_times)
            The block so far, zeros where nothing has come yet.

        Returns
        -------
        resampled : ndarray of float64, shape (n_rows, n_out)
            The outputs due within the block, a number that varies by one; those that lie past the
            samples that have come are not complete. A view of memory that the next call overwrites.
        """
        if not self._started:
            self._late[:] = block[:, :1] * self._steady
            self._started = True
        self._input[:] = block
        np.matmul(self._input, self._matrix, out=self._work)
        self._work[:, : self._n_late] += self._late
        return self._work[:, : self._n_out]

    def move_on(self) -> None:
        """The block that was last looked at is full: what its taps still reach is kept."""
        self._late[:] = self._work[:, self._n_out :]
        up, down = self.ratio.numerator, self.ratio.denominator
        self._begin_block(self._phase + self._n_out * down - self._n_times * up)

    def process(self, block: Samples) -> Floats:
        """What a full block gives; the next one follows it. As `peek` and `move_on`."""
        resampled = self.peek(block)
        self.move_on()
        return resampled

    def _begin_block(self, phase: int) -> None:
        """Phase: from the block's first sample to its first output, in ``1 / up`` samples."""
        self._phase = phase
        self._n_out = self._n_due(phase)
        matrix = self._matrices.get(phase)
        if matrix is None:
            matrix = self._compiled(phase)
            if self._keep:
                self._matrices[phase] = matrix
        self._matrix = matrix
        self._work = self._output[:, : self._n_out + self._n_late]

    def _n_due(self, phase: int) -> int:
        return -((phase - self._n_times * self.ratio.numerator) // self.ratio.denominator)

    def _compiled(self, phase: int) -> Floats:
        """Rows: the block's samples. Columns: the outputs within it, then the later ones."""
        up, down = self.ratio.numerator, self.ratio.denominator
        outputs = phase + down * np.arange(self._n_due(phase) + self._n_late)
        lags = outputs - up * np.arange(self._n_times)[:, None]
        lags[(lags < 0) | (lags > len(self.taps))] = len(self.taps)
        return np.asarray(self._padded[lags])

    def _resting(self, phase: int) -> Floats:
        """What a 1 that has stood there for ever adds to the first outputs, shape (n_late,)."""
        up, down = self.ratio.numerator, self.ratio.denominator
        return np.array(
            [self.taps[phase + late * down + up :: up].sum() for late in range(self._n_late)]
        )


def simple_ratio(rate_in_hz: float, rate_out_hz: float) -> Fraction:
    """The ratio of two rates in whole numbers that a filter can be made for.

    Parameters
    ----------
    rate_in_hz, rate_out_hz : float
        The rates.

    Returns
    -------
    ratio : Fraction
        ``rate_out_hz / rate_in_hz`` as it is where 2**18 taps do for it, or else the simplest
        fraction within 1 part in a million, or 20 at worst.

    Raises
    ------
    ConfigError
        If a rate is not positive, or none of the three is simple enough.
    """
    if not (0 < rate_in_hz < math.inf and 0 < rate_out_hz < math.inf):
        raise ConfigError(
            f"Rates to resample from and to must be positive, got {rate_in_hz:g} Hz and "
            f"{rate_out_hz:g} Hz."
        )
    exact = Fraction(rate_out_hz) / Fraction(rate_in_hz)
    for accuracy in map(Fraction, _ACCURACIES):
        ratio = _simplest_between(exact * (1 - accuracy), exact * (1 + accuracy))
        if _n_taps(ratio) <= _MOST_TAPS:
            return ratio
    raise ConfigError(
        f"{rate_in_hz:.10g} Hz cannot be resampled to {rate_out_hz:.10g} Hz: the simplest ratio "
        f"within 20 parts in a million, {ratio}, needs {_n_taps(ratio)} taps and {_MOST_TAPS} "
        f"are allowed; choose an output rate in a simpler ratio to the input's."
    )


def _simplest_between(low: Fraction, high: Fraction) -> Fraction:
    """The fraction of smallest denominator in a closed interval, by continued fractions."""
    whole = math.ceil(low)
    if whole <= high:
        return Fraction(whole)
    return whole - 1 + 1 / _simplest_between(1 / (high - whole + 1), 1 / (low - whole + 1))


def _n_taps(ratio: Fraction) -> int:
    """Length of a Kaiser window that is steep enough (Kaiser 1974)."""
    width = (_STOP - _PASS) / max(ratio.numerator, ratio.denominator)
    return 1 if ratio == 1 else math.ceil((_STOP_DB - 7.95) / (14.36 * width)) + 1


def _prototype(rate_in_hz: float, ratio: Fraction, minimum_phase: bool) -> Floats:
    """Taps at ``up`` times the input rate; those of each phase add up to 1."""
    if ratio == 1:
        return np.ones(1)
    up = ratio.numerator
    half = 2 * max(up, ratio.denominator)
    taps = signal.firwin(
        _n_taps(ratio),
        (_PASS + _STOP) / half,
        window=("kaiser", signal.kaiser_beta(_STOP_DB)),
        fs=1,
    )
    taps = _advanced(taps) if minimum_phase else taps
    for phase in range(up):
        taps[phase::up] /= taps[phase::up].sum()
    return np.asarray(taps)


def _advanced(taps: Floats) -> Floats:
    """The filter of the same length and magnitude whose energy comes first.

    The logarithm of a magnitude and the phase that goes with it are a Hilbert pair: the cepstrum
    is made causal. Zeros on the unit circle are lifted to -120 dB, far below the stop band. With
    16 times the length, what wraps around changes the magnitude by 1e-4 or so.
    """
    size = fft.next_fast_len(16 * len(taps), real=True)
    size += size % 2
    magnitude = np.abs(fft.rfft(taps, size))
    cepstrum = fft.irfft(np.log(np.maximum(magnitude, 1e-6 * magnitude.max())), size)
    cepstrum[1 : size // 2] *= 2
    cepstrum[size // 2 + 1 :] = 0
    return np.asarray(fft.irfft(np.exp(fft.rfft(cepstrum)), size)[: len(taps)])


def _delay_s(taps: Floats, rate_in_hz: float, ratio: Fraction) -> float:
    rate_hz = rate_in_hz * ratio.numerator
    edge_hz = _PASS * rate_in_hz * min(1, float(ratio))
    response, slope = (
        signal.zoom_fft(weighted, [0.01 * edge_hz, edge_hz], m=256, fs=rate_hz)
        for weighted in (taps, taps * np.arange(len(taps)))
    )
    return float(np.median((slope / response).real)) / rate_hz


def _settle_samples(taps: Floats, up: int) -> int:
    steps = np.cumsum(np.append(taps, np.zeros(-len(taps) % up)).reshape(-1, up), axis=0)
    unsettled = np.flatnonzero((np.abs(steps - 1) > 0.01).any(axis=1))
    return int(unsettled[-1]) + 1 if len(unsettled) else 0
