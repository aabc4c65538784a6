"""Rows as a sender put them on the wire: what a recording keeps, and what signal is made from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """How a sender puts its rows on the wire, before they become microvolts.

    Parameters
    ----------
    dtype : str
        Number format as numpy writes it, little-endian, for example ``"<i2"``.
    microvolts : tuple of float
        What one unit of each channel is, in microvolts; exact in float32.
    description : str
        The sender's own description of the stream: the XML of an LSL stream.
    rows : tuple of int
        Which of the sender's channels the rows of the signal are, in order, where a mapping says
        so; empty for all of them as they come.
    factors : tuple of float
        What each row of the signal is then multiplied with, exact in float32; empty for nothing.
    """

    dtype: str
    microvolts: tuple[float, ...]
    description: str = ""
    rows: tuple[int, ...] = ()
    factors: tuple[float, ...] = ()

    @property
    def n_rows(self) -> int:
        """Rows of the signal."""
        return len(self.rows) or len(self.microvolts)

    def to_microvolts(self, values: NDArray[np.generic]) -> NDArray[np.float32]:
        """Turn rows as sent into signal; live and replayed samples pass through here.

        Parameters
        ----------
        values : ndarray, shape (n_times, n_channels)
            One row for each sample.

        Returns
        -------
        samples : ndarray of float32, shape (n_channels, n_times)
            Microvolts, in memory of its own.
        """
        samples = values.T.astype(np.float32, order="C")
        if self.microvolts.count(1.0) < len(self.microvolts):
            samples *= np.array(self.microvolts, np.float32)[:, None]
        return self.arranged(samples)

    def arranged(self, samples: NDArray[np.floating]) -> NDArray[np.float32]:
        """Choose, order and scale channels as a mapping wants them.

        Parameters
        ----------
        samples : ndarray of float32, shape (n_channels, n_times)
            All of the sender's channels, in microvolts.

        Returns
        -------
        samples : ndarray of float32, shape (n_rows, n_times)
            The same memory, if there is nothing to do.
        """
        if self.rows:
            samples = samples[list(self.rows)]
        if self.factors:
            samples = samples * np.array(self.factors, np.float32)[:, None]
        return np.asarray(samples, np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """Rows as they reached this process: nothing converted, dropped or put in order.

    Parameters
    ----------
    values : ndarray, shape (n_rows, n_channels)
        In the sender's own numbers, see `Sent`. Read-only for everybody.
    stamps_s : ndarray of float64, shape (n_rows,)
        The sender's time stamps.
    first_row : int
        How many rows had come before.
    offset_s : float
        What the sender's clock is behind this machine's: added to a stamp, it corrects it.
    """

    values: NDArray[np.generic]
    stamps_s: NDArray[np.float64]
    first_row: int
    offset_s: float = 0.0
