"""What a report is told about the decoder by those who can judge it.

The report draws and words these figures; it computes none of them, so that one place decides what
an interval or a bit rate is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How often a decoder was right, and what puts it into proportion.

    Parameters
    ----------
    name : str
        What it speaks of, for example ``"block 2"``.
    n, n_correct : int
        Trials that got an answer, and those whose answer was the cued class.
    accuracy : float
        Their share, 0 to 1.
    interval : tuple of 2 float
        95 % interval of the accuracy.
    chance : float
        What guessing would score.
    p_value : float, optional
        Probability of doing at least as well by guessing.
    n_abstained : int
        Further trials in which the decoder gave no answer.
    itr_bits_per_min : float, optional
        Information transfer rate.
    """

    name: str
    n: int
    n_correct: int
    accuracy: float
    interval: tuple[float, float]
    chance: float
    p_value: float | None = None
    n_abstained: int = 0
    itr_bits_per_min: float | None = None

    @property
    def abstention(self) -> float:
        """Share of all trials without an answer, 0 if there was none."""
        total = self.n + self.n_abstained
        return self.n_abstained / total if total else 0.0

    @classmethod
    def from_plain(cls, name: str, plain: object) -> Score | None:
        """Read the scores of a model's card.

        Parameters
        ----------
        name : str
            What they speak of.
        plain : object
            One entry of ``Card.scores``; anything may stand there.

        Returns
        -------
        score : Score or None
            None if the entry does not hold counts, accuracy, interval and chance.
        """
        if not isinstance(plain, Mapping):
            return None
        numbers = [plain.get(key) for key in ("n", "n_correct", "accuracy", "chance")]
        interval = plain.get("interval")
        ends = list(interval) if isinstance(interval, list | tuple) else []
        if len(ends) != 2 or not all(_is_number(value) for value in (*numbers, *ends)):
            return None
        p_value = plain.get("p_value")
        return cls(
            name=name,
            n=int(plain["n"]),
            n_correct=int(plain["n_correct"]),
            accuracy=float(plain["accuracy"]),
            interval=(float(ends[0]), float(ends[1])),
            chance=float(plain["chance"]),
            p_value=float(plain["p_value"]) if _is_number(p_value) else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityBin:
    """Decisions of like confidence.

    Parameters
    ----------
    confidence : float
        Their mean confidence, 0 to 1.
    share_right : float
        How many of them were right, 0 to 1.
    n : int
        How many there are.
    """

    confidence: float
    share_right: float
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One trial: what was asked, and what the decoder made of it.

    Parameters
    ----------
    cue : str
        The cued class.
    predicted : str or None
        The class that the decoder chose; None where it gave no answer.
    onset_sample : int
        Stream index of the cue.
    block : str
        Name of the block it belongs to; empty if there are no blocks.
    """

    cue: str
    predicted: str | None
    onset_sample: int
    block: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """How the decoder did in this session.

    Parameters
    ----------
    overall : Score
        Over all trials.
    blocks : tuple of Score
        Block by block, in order.
    reliability : tuple of ReliabilityBin
        Confidence against truth, in order of confidence.
    trials : tuple of Judged
        Trial by trial, in order.
    """

    overall: Score
    blocks: tuple[Score, ...] = ()
    reliability: tuple[ReliabilityBin, ...] = ()
    trials: tuple[Judged, ...] = ()


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
