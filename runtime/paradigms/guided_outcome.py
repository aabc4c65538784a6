"""How a guided calibration can end, and what is said of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from ..proportions import wilson_interval

Ended = Literal["enough", "known", "below", "complete", "given up", "time", "stopped"]
"""Why a calibration ended: clearly above what is needed, known precisely, clearly below, all
trials are there, some were bad too often, no time is left, or somebody stopped it."""

SENTENCES: dict[Ended, tuple[str, str]] = {
    "enough": ("The accuracy is clearly above what is needed.", "Go on: fit the decoder."),
    "known": ("The accuracy is known well enough.", "Go on: fit the decoder and see its verdict."),
    "below": (
        "The accuracy is clearly below what is needed.",
        "More of the same will not help: check the electrodes, go through the instruction again, "
        "and try another strategy or another task.",
    ),
    "complete": ("All trials are there.", "Fit the decoder and see its verdict."),
    "given up": (
        "Some trials were bad every time, the others are there.",
        "Mend what was wrong with the signal, then fit on what there is or record a block more.",
    ),
    "time": (
        "The time is used up.",
        "Let the person rest. Fit on what there is, or record more in a second part.",
    ),
    "stopped": ("Somebody stopped it.", "What was recorded is kept; begin again when ready."),
}
TOO_FEW = "There are too few trials to fit: fewer than two of some class. Record again."


def wilson(n_right: int, n: int, confidence: float) -> tuple[float, float]:
    """Interval of a share by `wilson_interval`; all of [0, 1] if nothing was judged."""
    return wilson_interval(n_right, n, confidence) if n else (0.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class GuidedVerdict:
    """What becomes of a trial.

    Parameters
    ----------
    kept : bool
        Whether it counts.
    repeat : bool
        Whether it will be asked for again.
    sentence : str
        For the operator, in plain words.
    """

    kept: bool
    repeat: bool
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GuidedSummary:
    """What a guided calibration came to.

    Parameters
    ----------
    kept : dict of str to int
        Good trials of each class.
    asked : int
        Trials that were judged, good or not.
    repeats : int
        Repetitions among them.
    given_up : int
        Planned trials that were bad too often.
    spent_s : float
        Planned length of all of them, pauses counted in.
    ended : str
        See `Ended`; empty while it goes on.
    n_right, n_judged : int
        What was last told of the cross-validated trials.
    interval : tuple of 2 float
        Of the accuracy, as wide as looking several times asks for.
    sentence, what_next : str
        In plain words.
    """

    kept: dict[str, int]
    asked: int
    repeats: int
    given_up: int
    spent_s: float
    ended: Ended | Literal[""]
    n_right: int
    n_judged: int
    interval: tuple[float, float]
    sentence: str
    what_next: str

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, for a card or a report."""
        return asdict(self)
