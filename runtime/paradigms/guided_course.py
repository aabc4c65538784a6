"""Guided trials on the time of a stream: which phase has begun, and what is to be shown of it."""

from __future__ import annotations

from dataclasses import dataclass

from .guided_plan import GuidedPhase, GuidedTrial


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What a person and an operator see at a moment.

    Parameters
    ----------
    kind : str
        Of the phase, see `GuidedPhase`; also ``"wait"`` and ``"over"``.
    instruction : str
        What the person is to do.
    trial : int
        Number of the trial, from 1, repetitions counted in; 0 for none.
    good, planned : int
        Good trials so far, and how many there are to be.
    last : str
        How the last trial went.
    staff : str
        For the operator.
    """

    kind: str
    instruction: str
    trial: int = 0
    good: int = 0
    planned: int = 0
    last: str = ""
    staff: str = ""

    @property
    def line(self) -> str:
        """All of it in one line, for where there is no screen."""
        trial = f"Trial {self.trial}: " if self.trial else ""
        count = f" ({self.good} of {self.planned} good)" if self.planned else ""
        last = f" {self.last}" if self.last and self.kind in ("rest", "pause", "over") else ""
        return f"{trial}{self.instruction}{count}{last}"


class GuidedCourse:
    """Places the phases of one trial after another in a stream.

    A phase begins at the first sample that comes after its time: later than planned by as much as
    the stream comes late, never earlier.

    Parameters
    ----------
    rate_hz : float
        Of the stream.
    """

    def __init__(self, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        self._trial: GuidedTrial | None = None
        self._begin = self._next = 0
        self._cue = self._end = -1

    @property
    def trial(self) -> GuidedTrial | None:
        """The trial that is on."""
        return self._trial

    @property
    def over(self) -> bool:
        """Whether the task of the trial that is on has ended, so that it can be judged."""
        return self._end >= 0

    @property
    def cued(self) -> bool:
        """Whether its cue has been shown."""
        return self._cue >= 0

    @property
    def span(self) -> tuple[int, int]:
        """Samples from its cue to the end of its task, stop exclusive; call it when `over`."""
        return self._cue, self._end

    def begin(self, trial: GuidedTrial | None, at: int) -> None:
        """Let a trial begin.

        Parameters
        ----------
        trial : GuidedTrial or None
            None for no trial.
        at : int
            Stream index from which its phases count.
        """
        self._trial, self._begin, self._next = trial, at, 0
        self._cue = self._end = -1

    def due(self, came: int) -> list[GuidedPhase]:
        """Phases that begin now.

        Parameters
        ----------
        came : int
            Stream index one past the newest sample.

        Returns
        -------
        phases : list of GuidedPhase
            In order; several at once only if the stream jumped.
        """
        found = []
        while self._left() and self._start_of(self._next) <= came:
            phase = self._left()[0]
            found.append(phase)
            self._next += 1
            if phase.kind == "cue":
                self._cue = came
            elif phase.kind == "end":
                self._end = came
        return found

    def wanted(self, came: int, most: int) -> int:
        """How many samples to wait for: until the next phase, and `most` at most."""
        return max(1, min(most, self._start_of(self._next) - came)) if self._left() else most

    def _left(self) -> tuple[GuidedPhase, ...]:
        return self._trial.phases[self._next :] if self._trial else ()

    def _start_of(self, place: int) -> int:
        assert self._trial is not None
        return self._begin + round(self._trial.phases[place].start_s * self._rate_hz)
