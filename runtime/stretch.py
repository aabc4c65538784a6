"""What a stream beside the signal brings to a window."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray


class Presence(StrEnum):
    """How far a stream beside the signal is there."""

    PRESENT = "present"  # it reaches to the last 50 ms of the window, or its last 2.5 samples
    LATE = "late"  # what belongs to the end of the window has not come yet
    STALE = "stale"  # it has brought nothing for longer than the session allows
    MISSING = "missing"  # it has brought nothing at all


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """The samples of one stream that lie in the time of a window, at the stream's own rate.

    Parameters
    ----------
    role : str
        What the session calls the stream.
    presence : Presence
        How far it is there; nothing is waited for.
    samples : ndarray, shape (n_channels, n_times)
        Read-only view, valid until the loop reads again; in microvolts where the stream is a
        voltage, else in its own unit. No columns where nothing is there.
    at_s : ndarray of float64, shape (n_times,)
        When each column was taken, in seconds since the window's first sample.
    known_s : float
        Up to where the window is known, in seconds since its first sample; minus infinity where
        nothing has come.
    """

    role: str
    presence: Presence
    samples: NDArray[np.floating]
    at_s: NDArray[np.float64]
    known_s: float

    @property
    def usable(self) -> bool:
        """Whether it may be looked at as it is."""
        return self.presence is Presence.PRESENT
