"""How good the signal is right now: one number for each electrode, one for all, and the reasons."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """What the conditioner thinks of the signal, about once a second.

    Parameters
    ----------
    channels : tuple of str
        Names of the electrodes it looks at.
    scores : ndarray, shape (n_channels,)
        0 unusable to 1 clean.
    causes : tuple of str
        What is wrong with each, in plain words; empty where nothing is.
    usable : ndarray of bool, shape (n_channels,)
        False for electrodes that are masked.
    changed : float
        Share of the variance that artefact removal took out of the last second, 0 to 1.
    muscle : float
        How much the last second sounds like muscle, median over the scalp electrodes: see
        `diverloop.runtime.signal.cleaning.muscle_index`. Well below 1 for brain alone; 0 where
        there is no scalp electrode.
    sample : int
        Stream index one past the last sample it rests on.
    at_ns : int
        Loop time at which it was said.
    """

    channels: tuple[str, ...]
    scores: NDArray[np.floating]
    causes: tuple[str, ...]
    usable: NDArray[np.bool_]
    changed: float = 0.0
    muscle: float = 0.0
    sample: int = -1
    at_ns: int = 0

    @property
    def overall(self) -> float:
        """Mean score, masked electrodes counted as they are: one number for the session."""
        return float(np.mean(self.scores)) if len(self.scores) else 0.0

    @property
    def reason(self) -> str:
        """Why it is not better: the causes with the electrodes they concern; empty if good."""
        found: dict[str, list[str]] = {}
        for name, cause in zip(self.channels, self.causes, strict=True):
            if cause:
                found.setdefault(cause, []).append(name)
        return "; ".join(f"{cause}: {', '.join(names)}" for cause, names in found.items())
