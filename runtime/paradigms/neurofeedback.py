"""A neurofeedback session as data: what comes when, who sees what, and which arm a person is in.

Baselines with eyes open and closed, blocks of feedback with pauses between them, now and then a
transfer block without feedback, and the baselines again. The sham arm runs through the same
timeline and looks the same; its feedback follows a course that the person has no hand in. Nobody
who takes part is told the arm: see `diverloop.runtime.paradigms.sham`. What is kept follows the
checklist of the field [1]_; how old the feedback is belongs to it, because later feedback teaches
less [2]_.

References
----------
.. [1] Ros et al. Consensus on the reporting and experimental design of clinical and
   cognitive-behavioural neurofeedback studies (CRED-nf checklist). Brain, 2020.
.. [2] Belinskaia, Smetanin, Lebedev, Ossadtchi. Short-delay neurofeedback facilitates training of
   the parietal alpha rhythm. J. Neural Eng., 2020.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType

import numpy as np

from ..errors import ConfigError

KINDS = ("wait", "baseline", "block", "transfer", "pause", "end")
"""Parts of a session. A marker is the kind, or the kind, a colon and what tells it from others:
``"baseline:eyes_open:pre"``, ``"block:3"``, ``"transfer:1"``, ``"pause"``."""

_INSTRUCTIONS: Mapping[str, str] = MappingProxyType(
    {
        "wait": "Sit comfortably. We begin in a moment.",
        "baseline": "Rest and do nothing in particular.",
        "baseline:eyes_open": "Rest with your eyes open and look at the cross.",
        "baseline:eyes_closed": "Rest with your eyes closed until you hear the tone.",
        "block": "Let the bar rise. Find out what helps, and do not strain.",
        "transfer": "Do what helped before. The bar stays hidden.",
        "pause": "Pause. Move, blink, stretch.",
        "end": "Done. Thank you.",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One part of a session.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    marker : str
        What the task puts into the stream when the part begins.
    start_s, stop_s : float
        Since the session began, stop exclusive.
    number : int
        Of a block or transfer block, from 1; 0 for anything else.
    instruction : str
        What the participant reads.
    """

    kind: str
    marker: str
    start_s: float
    stop_s: float
    number: int = 0
    instruction: str = ""

    @property
    def feedback(self) -> bool:
        """Whether the participant sees feedback: in blocks only."""
        return self.kind == "block"

    @property
    def words(self) -> str:
        """In plain words, for example ``"block 3"`` or ``"baseline, eyes open, pre"``."""
        if self.number:
            return f"{self.kind} {self.number}"
        return self.marker.replace(":", ", ").replace("_", " ")


@dataclass(frozen=True, slots=True, kw_only=True)
class NeurofeedbackPlan:
    """What a session is made of.

    Parameters
    ----------
    lead_in_s : float
        Before anything counts, 0 to 600 s: filters settle, the person too.
    baselines : tuple of str
        Names of the baselines, in order; empty for none.
    baseline_s : float
        Length of each, 10 to 600 s.
    n_blocks : int
        Blocks with feedback, 1 to 60.
    block_s : float
        Length of a block, 10 to 600 s.
    pause_s : float
        Pause between two blocks, 0 to 600 s.
    transfer_every : int
        A transfer block, as long as any other, follows after so many blocks; 0 for none.
    post : bool
        Whether the baselines are repeated at the end.
    """

    lead_in_s: float = 5.0
    baselines: tuple[str, ...] = ("eyes_open", "eyes_closed")
    baseline_s: float = 60.0
    n_blocks: int = 15
    block_s: float = 120.0
    pause_s: float = 30.0
    transfer_every: int = 5
    post: bool = True

    def __post_init__(self) -> None:
        # A card read from JSON brings a list.
        object.__setattr__(self, "baselines", tuple(self.baselines))
        for name, low, high in (
            ("lead_in_s", 0, 600),
            ("baseline_s", 10, 600),
            ("n_blocks", 1, 60),
            ("block_s", 10, 600),
            ("pause_s", 0, 600),
            ("transfer_every", 0, 60),
        ):
            if not low <= getattr(self, name) <= high:
                raise ConfigError(
                    f"{name} must be in [{low}, {high}], got {getattr(self, name)}: choose one."
                )
        plain = all(name and ":" not in name for name in self.baselines)
        if not plain or len(set(self.baselines)) < len(self.baselines):
            raise ConfigError(
                f"baselines must be different names without a colon, got {list(self.baselines)}: "
                f"the colon parts a marker."
            )


def phases_of(plan: NeurofeedbackPlan) -> tuple[Phase, ...]:
    """The parts of a session in order.

    Parameters
    ----------
    plan : NeurofeedbackPlan
        What it is made of.

    Returns
    -------
    phases : tuple of Phase
        Each begins where the one before it stops; the last, ``"end"``, never stops.
    """
    parts: list[tuple[str, str, float, int]] = [("wait", "wait", plan.lead_in_s, 0)]
    parts += _baselines(plan, "pre")
    n_transfers = 0
    for block in range(1, plan.n_blocks + 1):
        parts += [("block", f"block:{block}", plan.block_s, block), _pause(plan)]
        if plan.transfer_every and block % plan.transfer_every == 0:
            n_transfers += 1
            name = f"transfer:{n_transfers}"
            parts += [("transfer", name, plan.block_s, n_transfers), _pause(plan)]
    if plan.post and plan.baselines:
        parts += _baselines(plan, "post")
    else:
        parts.pop()  # a pause before nothing
    parts = [part for part in parts if part[2] > 0]
    stops = np.cumsum([length_s for _, _, length_s, _ in parts]).tolist()
    phases = [
        Phase(
            kind=kind,
            marker=marker,
            start_s=start_s,
            stop_s=stop_s,
            number=number,
            instruction=_instruction(kind, marker),
        )
        for (kind, marker, _, number), (start_s, stop_s) in zip(
            parts, pairwise([0.0, *stops]), strict=True
        )
    ]
    end = Phase(
        kind="end",
        marker="end",
        start_s=stops[-1],
        stop_s=math.inf,
        instruction=_INSTRUCTIONS["end"],
    )
    return (*phases, end)


def _baselines(plan: NeurofeedbackPlan, when: str) -> list[tuple[str, str, float, int]]:
    return [("baseline", f"baseline:{name}:{when}", plan.baseline_s, 0) for name in plan.baselines]


def _pause(plan: NeurofeedbackPlan) -> tuple[str, str, float, int]:
    return "pause", "pause", plan.pause_s, 0


def _instruction(kind: str, marker: str) -> str:
    return _INSTRUCTIONS.get(marker.rpartition(":")[0], _INSTRUCTIONS[kind])


class Timeline:
    """Which part of a session a stretch of time lies in.

    Parameters
    ----------
    phases : tuple of Phase
        From `phases_of`.
    """

    def __init__(self, phases: tuple[Phase, ...]) -> None:
        self.phases = phases
        self._starts = [phase.start_s for phase in phases]

    def phase_of(self, start_s: float, stop_s: float) -> Phase | None:
        """The part that holds a whole stretch; None if it lies in none, or in two.

        Parameters
        ----------
        start_s, stop_s : float
            Since the session began, stop exclusive.

        Returns
        -------
        phase : Phase or None
            None for a stretch across a border: it would mix rest with training.
        """
        place = bisect_right(self._starts, start_s) - 1
        if place < 0 or stop_s > self.phases[place].stop_s:
            return None
        return self.phases[place]


def parse_marker(label: str) -> tuple[str, str]:
    """Take a marker of this paradigm apart.

    Parameters
    ----------
    label : str
        For example ``"block:3"``.

    Returns
    -------
    kind, detail : str
        ``("block", "3")``; detail is empty where there is none.

    Raises
    ------
    ConfigError
        If it is no marker of this paradigm.
    """
    kind, _, detail = label.partition(":")
    if kind not in KINDS:
        raise ConfigError(
            f"{label!r} is no marker of a neurofeedback session; allowed are {', '.join(KINDS)}, "
            f"with a colon and a detail where there are several."
        )
    return kind, detail


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackAge:
    """How old what a person sees is, and why.

    Parameters
    ----------
    half_window_s : float
        Half a window: what is measured lies in its middle.
    filter_delay_s : float
        Group delay of the filters (`Conditioner.delay_s`).
    processing_s : float
        From the last sample to the act (``total`` of a `LatencyReport`).
    memory_s : float
        Memory of the feedback (`FeedbackConfig.memory_s`); what it shows is older by that much.
    """

    half_window_s: float
    filter_delay_s: float
    processing_s: float = 0.0
    memory_s: float = 0.0

    def __post_init__(self) -> None:
        for name in ("half_window_s", "filter_delay_s", "processing_s", "memory_s"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"{name} must be at least 0 s, got {getattr(self, name)} s.")

    @property
    def total_s(self) -> float:
        """All of it together."""
        return self.half_window_s + self.filter_delay_s + self.processing_s + self.memory_s

    def sentence(self) -> str:
        """For the person in charge: the age, and what it is made of."""
        parts = [
            f"{self.half_window_s:.2f} s for half a window",
            f"{self.filter_delay_s:.2f} s for the filters",
            f"{self.processing_s:.2f} s for the computer",
        ]
        if self.memory_s:
            parts.append(f"{self.memory_s:.2f} s for the memory of the feedback")
        return f"What you see is {self.total_s:.2f} s old: {', '.join(parts)}."
