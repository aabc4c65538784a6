"""What a guided calibration is made of: its plan, its trials, and what is said in them.

See `diverloop.runtime.paradigms.guided` for how it is run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..errors import ConfigError
from ..quality import Quality

REJECT = "reject"
"""Marker behind a trial that does not count: what is learnt from a recording leaves it out."""

MOST_IN_A_ROW = 3
"""So often at most the same class is asked for before another one, or a pause, comes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuidedPlan:
    """What can be chosen about a guided calibration.

    Parameters
    ----------
    classes : tuple of str
        Two at least; they become the markers of the cues. ``"pause"`` and
        ``"reject"`` are not allowed.
    trials_per_class : int
        Good trials of each class at the end, unless it stops earlier: 2 to 200.
    block_per_class : int
        Trials of each class from one pause to the next, 1 to 20.
    rest_s : tuple of 2 float
        Before a cue; drawn evenly between the two, so that nobody can count along.
    cue_s : float
        How long the cue is seen; the task begins with it.
    trial_s : float
        How long the task goes on without the cue.
    pause_s : float
        Between two blocks.
    max_repeats : int
        A trial that is bad so often, beyond the first time, is given up.
    max_s : float
        No trial begins that would end later than this, pauses counted in.
    needed : float, optional
        Accuracy that the task needs; None for 0.3 of the way from chance to perfect, as in
        `diverloop.adapters.permutation.GoNoGoConfig`: 65 % of two classes.
    first_check : int
        Good trials of each class before an accuracy may end the calibration well.
    first_give_up : int
        Good trials of each class before a low accuracy may end it: a decoder that has learnt from
        few trials is worse than it will be.
    narrow : float
        Half the width of the interval at which the accuracy is known well enough.
    confidence : float
        Of the interval, both sides together. It is wider where it is looked at several times, so
        that this is the chance that *no* look is misled.
    words : mapping of str to str
        What the person reads for a class; the class itself where there is none.

    Raises
    ------
    ConfigError
        If a value cannot be used.
    """

    classes: tuple[str, ...] = ("left", "right")
    trials_per_class: int = 20
    block_per_class: int = 5
    rest_s: tuple[float, float] = (2.0, 3.0)
    cue_s: float = 1.25
    trial_s: float = 3.25
    pause_s: float = 20.0
    max_repeats: int = 2
    max_s: float = 900.0
    needed: float | None = None
    first_check: int = 10
    first_give_up: int = 15
    narrow: float = 0.07
    confidence: float = 0.9
    words: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(set(self.classes)) < 2 or len(set(self.classes)) < len(self.classes):
            raise ConfigError(f"classes must be two or more, got {self.classes}: name each once.")
        if {"pause", REJECT, ""} & set(self.classes):
            raise ConfigError(
                f'No class may be called "pause" or "{REJECT}", got {self.classes}: rename it.'
            )
        if self.end_marker in self.classes:
            raise ConfigError(
                f'"rest" and "relax" cannot both be classes, got {self.classes}: one of them '
                f"says that a trial is over, so rename the other."
            )
        self._check_counts()
        self._check_times()
        for name, share in (("confidence", self.confidence), ("narrow", self.narrow)):
            if not 0 < share < 1:
                raise ConfigError(f"{name} must be between 0 and 1, got {share}: change it.")
        if not self.chance < self.needed_accuracy < 1:
            raise ConfigError(
                f"needed must be above chance ({self.chance:.2f}) and below 1, got {self.needed}: "
                f"leave it out for {self.chance + 0.3 * (1 - self.chance):.2f}."
            )

    def _check_counts(self) -> None:
        limits = {
            "trials_per_class": (2, 200), "block_per_class": (1, 20), "max_repeats": (0, 10),
            "first_check": (2, 200), "first_give_up": (2, 200),
        }  # fmt: skip
        for name, (low, high) in limits.items():
            if not low <= (count := getattr(self, name)) <= high:
                raise ConfigError(f"{name} must be in [{low}, {high}], got {count}: change it.")

    def _check_times(self) -> None:
        shortest_s, longest_s = self.rest_s
        if not 0 <= shortest_s <= longest_s <= 60:
            raise ConfigError(f"rest_s must rise within [0, 60], got {self.rest_s}: change it.")
        for name, high_s in (("cue_s", 60), ("trial_s", 60), ("pause_s", 600), ("max_s", 7200)):
            if not 0 < (length_s := getattr(self, name)) <= high_s:
                raise ConfigError(f"{name} must be in (0, {high_s}], got {length_s}: change it.")

    @property
    def chance(self) -> float:
        """Accuracy of guessing."""
        return 1 / len(self.classes)

    @property
    def needed_accuracy(self) -> float:
        """What the task needs, given or by rule."""
        return self.chance + 0.3 * (1 - self.chance) if self.needed is None else self.needed

    @property
    def n_trials(self) -> int:
        """Good trials at the end, of all classes."""
        return self.trials_per_class * len(self.classes)

    @property
    def n_blocks(self) -> int:
        """Blocks without those that repeat what was bad to the last."""
        return math.ceil(self.trials_per_class / self.block_per_class)

    @property
    def n_looks(self) -> int:
        """So often at most an accuracy may end it: after each block but the last."""
        done = [min(self.trials_per_class, (b + 1) * self.block_per_class)
                for b in range(self.n_blocks)]  # fmt: skip
        return max(1, sum(n >= min(self.first_check, self.first_give_up) for n in done[:-1]))

    @property
    def end_marker(self) -> str:
        """Says that a task is over: ``"rest"``, or ``"relax"`` where rest is a class."""
        return "relax" if "rest" in self.classes else "rest"

    def said(self, label: str) -> str:
        """What the person reads for a class."""
        return self.words.get(label, f"Now: {label}")


@dataclass(frozen=True, slots=True, kw_only=True)
class GuidedPhase:
    """One part of a trial.

    Parameters
    ----------
    kind : str
        ``"pause"``, ``"rest"``, ``"cue"``, ``"trial"`` or ``"end"``.
    start_s, stop_s : float
        Since the trial began, stop exclusive; equal for the end.
    marker : str
        What goes into the stream when the phase begins; empty for nothing.
    instruction : str
        What the person reads.
    """

    kind: str
    start_s: float
    stop_s: float
    marker: str
    instruction: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GuidedTrial:
    """One trial that is asked for.

    Parameters
    ----------
    number : int
        From 1, repetitions counted in.
    slot : int
        Which of the planned trials this is, from 0; a repetition keeps it.
    label : str
        Class.
    block : int
        From 1.
    attempt : int
        1, or more for a repetition.
    phases : tuple of GuidedPhase
        In order.
    staff : str
        What the operator reads, in plain words.
    """

    number: int
    slot: int
    label: str
    block: int
    attempt: int
    phases: tuple[GuidedPhase, ...]
    staff: str

    @property
    def length_s(self) -> float:
        """From its beginning to the end of the task."""
        return self.phases[-1].stop_s


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialQuality:
    """How good the signal of one trial was.

    Parameters
    ----------
    usable_share : float
        Smallest share of usable electrodes at any moment of it.
    lost_share : float
        Share of its samples that never came.
    changed : float
        Largest share of variance that was taken out as artefact; see `Quality`.
    muscle : float
        Largest muscle index; see `Quality`.
    reason : str
        What was wrong with electrodes, in plain words.
    """

    usable_share: float = 1.0
    lost_share: float = 0.0
    changed: float = 0.0
    muscle: float = 0.0
    reason: str = ""

    @classmethod
    def over(cls, said: Sequence[Quality], n_lost: int, n_samples: int) -> TrialQuality:
        """From what the conditioner said during a trial.

        Parameters
        ----------
        said : sequence of Quality
            In the order of time; none at all counts as no usable electrode.
        n_lost, n_samples : int
            Samples that never came, and samples that there should have been.

        Returns
        -------
        quality : TrialQuality
            The worst of it.
        """
        lost_share = n_lost / n_samples if n_samples else 1.0
        if not said:
            return cls(usable_share=0.0, lost_share=lost_share, reason="no signal was judged")
        shares = [float(np.mean(one.usable)) if len(one.usable) else 0.0 for one in said]
        worst = int(np.argmin(shares))
        return cls(
            usable_share=shares[worst],
            lost_share=lost_share,
            changed=max(one.changed for one in said),
            muscle=max(one.muscle for one in said),
            reason=said[worst].reason,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialLimits:
    """When a trial is too bad to learn from.

    Parameters
    ----------
    usable_share : float
        At least so many electrodes are usable.
    lost_share : float
        At most so many samples are lost: windows that touch a gap are not cut at all.
    changed : float
        At most so much of the variance was artefact.
    muscle : float
        Largest muscle index.
    """

    usable_share: float = 0.8
    lost_share: float = 0.05
    changed: float = 0.8
    muscle: float = 1.0

    def __post_init__(self) -> None:
        for name in ("usable_share", "lost_share", "changed"):
            if not 0 <= (share := getattr(self, name)) <= 1:
                raise ConfigError(f"{name} must be in [0, 1], got {share}: change it.")
        if not self.muscle > 0:
            raise ConfigError(f"muscle must be positive, got {self.muscle}: 1 is usual.")

    def complaint(self, quality: TrialQuality) -> str:
        """What is wrong with a trial, in plain words; empty if nothing is.

        Parameters
        ----------
        quality : TrialQuality
            Of the trial; a value that is not a number is wrong.

        Returns
        -------
        complaint : str
            The first of lost samples, electrodes, muscle and other artefacts.
        """
        if not quality.lost_share <= self.lost_share:
            return f"{quality.lost_share:.0%} of the signal was lost: check the connection"
        if not quality.usable_share >= self.usable_share:
            why = f" ({quality.reason})" if quality.reason else ""
            return f"only {quality.usable_share:.0%} of the electrodes were usable{why}"
        if not quality.muscle <= self.muscle:
            return "strong muscle activity: ask for a loose jaw, neck and forehead"
        if not quality.changed <= self.changed:
            return "mostly artefact, such as movement or blinks: ask to sit still"
        return ""
