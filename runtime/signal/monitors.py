"""What looks at the raw signal beside the conditioning: bad electrodes, suspected pathology.

A monitor is shown the signal in steps of equal length, on a grid fixed at the first sample, so
what it finds does not depend on how the stream was cut. It speaks of samples that have already
gone by; what it says takes effect from the end of its step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..messages import EventKind, Samples


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something a monitor saw.

    Parameters
    ----------
    kind : EventKind
        What it looks like.
    first, stop : int
        Samples it concerns, stop exclusive.
    rows : tuple of int
        Channels in which it was seen.
    text : str
        One sentence for a person.
    """

    kind: EventKind
    first: int
    stop: int
    rows: tuple[int, ...]
    text: str


class Monitor(Protocol):
    """A research guard: causal, chunk-invariant, never a diagnosis."""

    def look(
        self, samples: Samples, first_sample: int, usable: NDArray[np.bool_]
    ) -> tuple[Finding, ...]:
        """Take the next step of raw signal, (n_channels, step) in microvolts; say what is new."""

    def restart(self) -> None:
        """Samples were lost: the next step does not follow the last one."""
