"""Filters as one matrix: a block of samples goes through a whole bank in a single product.

A cascade of second-order sections is a linear system: what it gives for a block of samples is a
fixed matrix times those samples and the state before them. Such a matrix holds a high-pass, a
notch with all its harmonics and every band of a filter bank at once, so that their number hardly
counts, and the product is done by the fastest code on the machine (state-space block filtering,
Burrus 1972).

The stream is cut into blocks on a grid of its own, fixed at its first sample. A block that is not
full yet is filled up with zeros and computed again when more has come: column n of the product
depends on columns up to n alone, and always through products of the same shape. That is why any
cut of the stream gives the same output, to the last bit.

References
----------
Burrus. Block realization of digital filters. IEEE Trans. Audio Electroacoust., 1972.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from ..messages import Samples
from .filters import Sos

Floats = NDArray[np.float64]

_BLOCK_S = 0.016
_SHORTEST = 16
_NO_GAIN = 1e-9  # a high-pass lets nothing of a constant through, but for rounding


def block_length(rate_hz: float) -> int:
    """Samples in a block: a power of two near 16 ms, at least 16.

    Longer blocks cost more arithmetic for each small piece, shorter ones more calls.

    Parameters
    ----------
    rate_hz : float
        Sampling rate.

    Returns
    -------
    n_times : int
        16 at 1 kHz, 32 at 2 kHz.
    """
    return max(_SHORTEST, int(2 ** round(math.log2(rate_hz * _BLOCK_S))))


class BlockBank:
    """A filter bank behind a common front, one state per channel, applied block by block.

    The first sample is taken off all that follow, and what the filters make of a constant is put
    back: as if it had stood there for ever. So an offset makes no step at the start, and the
    offsets of electrodes, a thousand times the signal, cost no digits.

    Parameters
    ----------
    front : sequence of ndarray, each of shape (n_sections, 6)
        Second-order sections that everything passes through, in order.
    bands : sequence of ndarray, each of shape (n_sections, 6)
        Alternatives behind the front, one output each; none at all gives the front's own output.
    n_channels : int
        Rows of the signal.
    n_times : int
        Samples in a block.
    """

    def __init__(
        self, front: Sequence[Sos], bands: Sequence[Sos], n_channels: int, n_times: int
    ) -> None:
        common = _cascade(front)
        self._paths = [(common, np.asarray(band, np.float64)) for band in bands or [_cascade(())]]
        self.n_bands = len(self._paths)
        self._n_times = n_times
        self._n_states = 2 * len(common) + 2 * sum(len(band) for _, band in self._paths)
        self._matrix = self._compiled()
        self._gains = self._of_a_constant()
        self._offset = np.zeros((n_channels, 1))
        self._input = np.zeros((n_channels, self._n_states + n_times))
        self._output = np.empty((n_channels, self._matrix.shape[1]))
        self._started = False

    @property
    def n_times(self) -> int:
        """Samples in a block."""
        return self._n_times

    def restart(self) -> None:
        """Forget the past: the next sample is a first one."""
        self._started = False

    def peek(self, block: Samples) -> Floats:
        """What a block gives, without moving on.

        Parameters
        ----------
        block : ndarray, shape (n_channels, n_times)
            The block so far, zeros where nothing has come yet.

        Returns
        -------
        filtered : ndarray of float64, shape (n_channels, n_bands, n_times)
            A view of memory that the next call overwrites.
        """
        states = self._n_states
        if not self._started:
            self._offset[:] = block[:, :1]
            self._input[:, :states] = 0
            self._started = True
        np.subtract(block, self._offset, out=self._input[:, states:])
        np.matmul(self._input, self._matrix, out=self._output)
        filtered = self._output[:, : self.n_bands * self._n_times]
        by_band = filtered.reshape(len(filtered), self.n_bands, self._n_times)
        if self._gains.any():
            by_band += self._offset[:, :, None] * self._gains[:, None]
        return by_band

    def move_on(self) -> None:
        """The block that was last looked at is full: what it left behind becomes the state."""
        self._input[:, : self._n_states] = self._output[:, self.n_bands * self._n_times :]

    def process(self, block: Samples) -> Floats:
        """What a full block gives; the next one follows it. As `peek` and `move_on`."""
        filtered = self.peek(block)
        self.move_on()
        return filtered

    def _compiled(self) -> Floats:
        """Rows: state, then block. Columns: every band's output, then the state behind it."""
        n_rows = self._n_states + self._n_times
        matrix = np.zeros((n_rows, self.n_bands * self._n_times + self._n_states))
        inputs = np.zeros((n_rows, self._n_times))
        inputs[self._n_states :] = np.eye(self._n_times)
        states = np.zeros((n_rows, self._n_states))
        states[: self._n_states] = np.eye(self._n_states)
        outputs, behind = self._through(inputs, states)
        matrix[:, : -self._n_states or None] = outputs
        matrix[:, self.n_bands * self._n_times :] = behind
        return matrix

    def _through(self, inputs: Floats, states: Floats) -> tuple[Floats, Floats]:
        """The plain way, section by section; only used to make the matrix."""
        common, _ = self._paths[0]
        width = 2 * len(common)
        ahead, behind = _run(common, inputs, states[:, :width])
        outputs, ends = [], [behind]
        for _, band in self._paths:
            stop = width + 2 * len(band)
            out, behind = _run(band, ahead, states[:, width:stop])
            outputs.append(out)
            ends.append(behind)
            width = stop
        return np.hstack(outputs), np.hstack(ends)

    def _of_a_constant(self) -> Floats:
        """What each band makes of a constant 1, shape (n_bands,); exactly 0 where next to none."""
        gains = np.array([_gain(common) * _gain(band) for common, band in self._paths])
        return np.where(np.abs(gains) < _NO_GAIN, 0.0, gains)


def _cascade(parts: Sequence[Sos]) -> Sos:
    return np.concatenate([np.zeros((0, 6)), *(np.asarray(p, np.float64) for p in parts)])


def _run(sos: Sos, inputs: Floats, states: Floats) -> tuple[Floats, Floats]:
    if not len(sos):
        return inputs, states
    zi = np.ascontiguousarray(states.reshape(len(inputs), len(sos), 2).swapaxes(0, 1))
    out, behind = signal.sosfilt(sos, inputs, axis=1, zi=zi)
    return out, behind.swapaxes(0, 1).reshape(len(inputs), -1)


def _gain(sos: Sos) -> float:
    """For a constant."""
    return float(np.prod(sos[:, :3].sum(axis=1) / sos[:, 3:].sum(axis=1)))
