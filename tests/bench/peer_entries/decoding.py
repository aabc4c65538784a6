"""What every entry of ``tests/bench/peers.py`` shares: the task, its decode function, a signal.

An entry is a program that reads the LSL stream ``TASK.stream`` and opens the outlet ``TASK.out`` of
eight float64 channels. Once it has ``TASK.n_window`` samples, and then for every ``TASK.n_step``
more, it pushes what `Decoder` makes of the newest window. A window that it refuses is four NaN, the
numbers of its samples, and twice the time of pushing. It runs until it is told to end (SIGTERM).
Channel 0 of each sample is the sample's own number. Needs numpy alone: it runs in the interpreters
of peers.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass

import numpy as np

N_SCORES = 4
N_OUT = N_SCORES + 4  # first and last sample of the window, begin and end of decoding in seconds
_N_PROJECTED = 8
_PERIOD = 4099  # a prime: the signal repeats at no multiple of a window or of a step


@dataclass(frozen=True)
class Task:
    """What is sent and what is wanted; handed on in the environment as ``PEER_TASK``."""

    stream: str
    out: str
    n_channels: int
    rate_hz: float
    n_window: int
    n_step: int
    precision: str = "float64"


def task_here() -> Task:
    """The task that this process was started for."""
    return Task(**json.loads(os.environ["PEER_TASK"]))


class Decoder:
    """Four scores of a window: a projection, its power by frequency, a linear reader."""

    def __init__(self, task: Task) -> None:
        rng = np.random.default_rng(1)
        project = rng.normal(size=(task.n_channels, _N_PROJECTED)) / task.n_channels
        project[0] = 0.0  # the sample's number is no signal
        self._precision = np.dtype(task.precision)
        self._project = project.astype(self._precision)
        n_frequencies = task.n_window // 2 + 1
        self._read = rng.normal(size=(n_frequencies * _N_PROJECTED, N_SCORES)) / n_frequencies

    def scores(self, window: np.ndarray) -> np.ndarray:
        """Of a window, shape (n_window, n_channels), whose channels or samples are contiguous."""
        signal = np.asarray(window, self._precision) @ self._project
        spectrum = np.fft.rfft(signal, axis=0)
        return np.asarray(np.log(np.abs(spectrum) ** 2 + 1.0).ravel() @ self._read)

    def __call__(self, window: np.ndarray) -> np.ndarray:
        """All eight numbers of a window, shape (n_window, n_channels)."""
        begun_s = time.monotonic()
        scores = self.scores(window)
        return np.array([*scores, window[0, 0], window[-1, 0], begun_s, time.monotonic()])


class Newest:
    """The newest window of rows that come in pieces, for entries that keep it themselves.

    It lies in an array four times as long, so that it is moved once in three windows and not for
    every piece.
    """

    def __init__(self, task: Task) -> None:
        self._rows = np.zeros((4 * task.n_window, task.n_channels), np.float32)
        self._n_window, self._stop = task.n_window, 0

    def add(self, piece: np.ndarray) -> None:
        """Take in rows, at most a window of them, shape (n, n_channels)."""
        if self._stop + len(piece) > len(self._rows):
            self._rows[: self._n_window] = self.window()
            self._stop = self._n_window
        self._rows[self._stop : self._stop + len(piece)] = piece
        self._stop += len(piece)

    def window(self) -> np.ndarray:
        """A view, once a window is there: shape (n_window, n_channels), valid until `add`."""
        return self._rows[self._stop - self._n_window : self._stop]


class Signal:
    """Noise that can be made again for any sample; channel 0 is the sample's number."""

    def __init__(self, task: Task) -> None:
        rng = np.random.default_rng(2)
        self._noise = rng.normal(scale=20.0, size=(_PERIOD, task.n_channels)).astype(np.float32)

    def rows(self, first: int, stop: int) -> np.ndarray:
        """Samples from `first` up to `stop`, shape (stop - first, n_channels)."""
        numbers = np.arange(first, stop)
        rows = self._noise[numbers % _PERIOD]
        rows[:, 0] = numbers
        return rows
