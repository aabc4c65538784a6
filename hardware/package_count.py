"""From a package counter that wraps, repeats itself or is missing, to a count that only grows.

Boards number their packages in a byte or two, some send several samples under one number, some
send every other number, and of some nobody says what the number means. What cannot be seen in
such a counter is a loss of a whole turn of it, and of an unknown one any loss: there the time
that has passed is compared with the samples that came.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """How a board numbers its packages.

    Parameters
    ----------
    turn : int
        How many numbers there are before it begins again at 0; 0 for a counter that is not to be
        relied on.
    step : int
        By how much the number grows from package to package.
    per_number : int
        Samples that come under one number, in order.
    """

    turn: int = 0
    step: int = 1
    per_number: int = 1

    @property
    def turn_samples(self) -> int:
        """Samples in a turn; a loss of so many leaves no trace in the numbers."""
        return self.turn // self.step * self.per_number


class PackageCount:
    """Follows one board's counter.

    Parameters
    ----------
    counter : Counter
        What the numbers mean.
    rate_hz : float
        Sampling rate of the board.

    Notes
    -----
    Rows are expected in the order in which the board sent them. A number that is not the
    expected one is a loss. One that comes once too often is a row that came twice, which keeps
    its number, unless as much time has passed as a whole turn takes.
    """

    _QUIET_S = 0.25  # with an unknown counter, a pause is a question from here on
    _COUNTED = 2**24  # some boards send their count as float32, which stands still from here on

    def __init__(self, counter: Counter, rate_hz: float) -> None:
        self._counter = counter
        self._rate_hz = rate_hz
        self._next = 0
        self._last: tuple[int, int] | None = None  # package, and which of its samples
        self._turns = counter.turn > 0
        self._came_s = 0.0

    def asks(self, now_s: float) -> bool:
        """Whether rows that come now come after a pause in which a whole turn may have gone.

        If so, wait a moment before they are handed to `place`: what was only held up on its way
        comes at once, and is then counted.

        Parameters
        ----------
        now_s : float
            Seconds of a monotonic clock.
        """
        turn_s = self._counter.turn_samples / self._rate_hz
        pause_s = now_s - self._came_s
        return self._next > 0 and pause_s > (turn_s / 2 if self._turns else self._QUIET_S)

    def place(self, packages: NDArray[np.float64], now_s: float) -> NDArray[np.int64]:
        """Number rows that have just come.

        Parameters
        ----------
        packages : ndarray, shape (n_times,)
            The board's own numbers.
        now_s : float
            When they came, in seconds of a monotonic clock.

        Returns
        -------
        numbers : ndarray of int64, shape (n_times,)
            A count of samples that grows, jumps where some were lost, and stands where one came
            twice.
        """
        n_times = len(packages)
        if not (packages < self._COUNTED).all():  # NaN, too
            self._turns = False  # from here on by the time that passes
        asked = self.asks(now_s)
        steps = self._steps(packages) if self._turns else np.ones(n_times, np.int64)
        if asked:
            passed = round((now_s - self._came_s) * self._rate_hz)
            steps[0] += self._unseen(passed - int(steps.sum()))
        numbers = self._next - 1 + np.cumsum(steps)
        self._next, self._came_s = int(numbers[-1]) + 1, now_s
        return numbers

    def _unseen(self, missing: int) -> int:
        """Samples that the numbers do not show as lost, of so many that have not come."""
        if not self._turns:
            return max(0, missing)
        turn = self._counter.turn_samples
        return max(0, round(missing / turn)) * turn

    def _steps(self, packages: NDArray[np.float64]) -> NDArray[np.int64]:
        """How far each row lies behind the one before it, in samples."""
        counter, steps = self._counter, np.ones(len(packages), np.int64)
        for row, package in enumerate(packages.astype(np.int64).tolist()):
            if self._last is None:
                self._last = (package, 0)
                continue
            before, place = self._last
            ahead = (package - before) % counter.turn // counter.step
            if ahead:
                # What was missing of the package before, and the packages in between.
                steps[row] = ahead * counter.per_number - place
                self._last = (package, 0)
            elif place + 1 < counter.per_number:
                self._last = (package, place + 1)
            else:
                steps[row] = 0
        return steps
