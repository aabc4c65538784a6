"""Cued trials that the screen gives itself, counted in frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...runtime.errors import ConfigError
from ...runtime.paradigms.guided import shuffled
from ...runtime.paradigms.guided_plan import REJECT


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialsConfig:
    """What the screen asks for.

    Parameters
    ----------
    classes : tuple of str
        Two at least; they become the markers of the cues.
    per_class : int
        Trials of each, 1 to 200.
    rest_s : tuple of 2 float
        Before a cue, drawn evenly between the two, so that nobody can count along; 0.5 to 60 s.
    cue_s : float
        How long the cue is seen, 0.2 to 10 s.
    trial_s : float
        How long feedback goes on behind it, 0.5 to 60 s.
    seed : int
        Order and rests follow from it.

    Raises
    ------
    ConfigError
        If a value cannot be used.
    """

    classes: tuple[str, ...] = ("left", "right")
    per_class: int = 20
    rest_s: tuple[float, float] = (2.0, 3.0)
    cue_s: float = 1.25
    trial_s: float = 3.25
    seed: int = 0

    def __post_init__(self) -> None:
        if len(set(self.classes)) < 2 or len(set(self.classes)) < len(self.classes):
            raise ConfigError(f"classes must be two or more, got {self.classes}: name each once.")
        low_s, high_s = self.rest_s
        if not 0.5 <= low_s <= high_s <= 60:
            raise ConfigError(f"rest_s must rise within [0.5, 60] s, got {self.rest_s}: change it.")
        for name, low, high in (("per_class", 1, 200), ("cue_s", 0.2, 10), ("trial_s", 0.5, 60)):
            if not low <= getattr(self, name) <= high:
                raise ConfigError(
                    f"{name} must be in [{low:g}, {high:g}], got {getattr(self, name)}: change it."
                )

    @property
    def end_marker(self) -> str:
        """Says that a task is over: ``"rest"``, or ``"relax"`` where rest is a class."""
        return "relax" if "rest" in self.classes else "rest"


class Trials:
    """Rest, cue, task; again and again, as far as nothing pauses.

    A trial that is broken off by a pause is marked ``"reject"`` and asked for again.

    Parameters
    ----------
    config : TrialsConfig
        What is asked for.

    Attributes
    ----------
    phase : str
        ``"rest"``, ``"cue"``, ``"trial"`` or ``"over"``.
    label : str
        Class of the trial that is on, empty before its cue.
    """

    def __init__(self, config: TrialsConfig) -> None:
        self.config = config
        self._rng = np.random.default_rng(config.seed)
        counts = dict.fromkeys(config.classes, config.per_class)
        drawn = shuffled(self._rng, counts)
        self._ahead = drawn or [name for name in counts for _ in range(config.per_class)]
        self.phase, self.label = "rest", ""
        self._rate_hz = 60.0
        self._left = 0

    def begin(self, rate_hz: float) -> None:
        """Learn how many frames a second there are, and begin with a rest."""
        self._rate_hz = rate_hz
        self._rest()

    def advance(self, frames: int, *, paused: bool) -> tuple[str, ...]:
        """Let frames pass.

        Parameters
        ----------
        frames : int
            How many since the last call.
        paused : bool
            Whether the session pauses.

        Returns
        -------
        labels : tuple of str
            What begins now, in the names that a calibration writes.
        """
        if paused:
            cued = self.phase in ("cue", "trial")
            if cued:
                self._ahead.insert(0, self.label)
            if self.phase != "over":
                self._rest()
            return (REJECT,) if cued else ()
        self._left -= frames
        # One phase at a call: a cue that a stutter leapt over would be a trial without a cue.
        return self._next() if self._left <= 0 and self.phase != "over" else ()

    def _next(self) -> tuple[str, ...]:
        if self.phase == "rest":
            if not self._ahead:
                self.phase = "over"
                return ()
            self.phase, self.label = "cue", self._ahead.pop(0)
            self._left = self._frames(self.config.cue_s)
            return (self.label,)
        if self.phase == "cue":
            self.phase, self._left = "trial", self._frames(self.config.trial_s)
            return ()
        self._rest()
        return (self.config.end_marker,)

    def _rest(self) -> None:
        self.phase, self.label = "rest", ""
        self._left = self._frames(float(self._rng.uniform(*self.config.rest_s)))

    def _frames(self, seconds: float) -> int:
        return max(1, round(seconds * self._rate_hz))
