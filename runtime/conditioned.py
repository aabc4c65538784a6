"""What the conditioner hands to the loop: signal, and what may be thought of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .messages import Event, Samples
from .quality import Quality


@dataclass(frozen=True, slots=True, kw_only=True)
class Shut:
    """A stretch of the conditioned stream that must not be decoded, and why.

    Parameters
    ----------
    first, stop : int
        Conditioned stream indices, stop exclusive.
    reason : str
        What a neutral decision says.
    """

    first: int
    stop: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditioned:
    """A chunk behind the conditioner.

    Its indices count samples at the conditioned stream's own rate: sample j stands for the time
    of source sample ``j * source rate / conditioned rate``.

    Parameters
    ----------
    samples : ndarray, shape (n_rows, n_times)
        Signal; `n_times` may be 0.
    first_sample : int
        Conditioned stream index of ``samples[:, 0]``.
    masks : tuple of (int, ndarray of bool)
        From which index on which rows may be looked at, where that changes; shape (n_rows,).
    shut : tuple of Shut
        Stretches, possibly gone by already, that are not to be decoded.
    events : tuple of Event
        What the conditioner noticed; their samples are source stream indices.
    quality : Quality, optional
        About once a second.
    """

    samples: Samples
    first_sample: int
    masks: tuple[tuple[int, NDArray[np.bool_]], ...] = ()
    shut: tuple[Shut, ...] = ()
    events: tuple[Event, ...] = ()
    quality: Quality | None = None

    @property
    def stop_sample(self) -> int:
        """Conditioned stream index one past the last sample."""
        return self.first_sample + int(self.samples.shape[1])
