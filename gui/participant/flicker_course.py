"""The course of flicker: how bright each target is in each frame, and when all of it is still.

No Qt here. Luminance is the plan's, a sine sampled at frame times [1]_ [2]_, by the number of the
frame: a frame that the screen loses costs a sample, and never shifts the phase. What is shown in
its place is not what was planned, and how much of that may be is limited, see `Distortion`.

References
----------
.. [1] Manyakov, Chumerin, Robben, Combaz, van Vliet, Van Hulle. Sampled sinusoidal stimulation
   profile and multichannel fuzzy logic classification for monitor-based phase-coded SSVEP
   brain-computer interfacing. J. Neural Eng., 2013.
.. [2] Chen, Chen, Gao, Gao. A high-ITR SSVEP-based BCI speller. Brain-Computer Interfaces, 2014.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import ConfigError
from ...runtime.messages import Command, Turn
from ...runtime.paradigms.flicker import RESTING, FlickerPlan, frequency_of, refusal
from ...runtime.paradigms.guided_plan import REJECT
from ...runtime.paradigms.profiles import Profile
from ...runtime.telemetry import Telegram
from .permission import Permission

GREY = 0.5
"""Luminance of a still target, the mean of its flicker."""

ON, OFF = "flicker:on", "flicker:off"
"""Markers of free looking; they name no frequency, so they begin no trial."""

MAX_AREA = 0.25
"""Largest share of the screen that may flicker, see `FlickerShow`."""

LOST = "the screen loses too many frames: what it shows is no longer the plan's flicker"
REST = "a break is due: it has flickered for {seconds:.0f} s"

_MODES = ("free", "calibrate")
_ANY_CONTRAST = 0.1  # where a profile refuses flicker at any contrast, other lines are this faint
_SAME_RATE = 2e-3  # 59.94 Hz is 60 Hz to a frame counter
_RESTED_S = 10.0  # stillness that counts as a break
_CHOSEN_S = 1.5


class Phase(StrEnum):
    """Where the course is."""

    STILL = "still"
    CUE = "cue"  # grey; calibration points at a target
    FLICKER = "flicker"
    PAUSE = "pause"
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class FlickerShow:
    """What flickers before whom.

    Parameters
    ----------
    plan : FlickerPlan
        Frequencies, contrast, phases, the display's rate.
    profile : Profile
        Who looks at it; there is no default, for somebody has to choose.
    classes : tuple of str
        The decoder's name for each target, which is also the marker of its trial; empty takes
        `FlickerPlan.labels`.
    names : tuple of str
        What stands below each target; empty shows the frequencies.
    mode : str
        ``"free"``: all flicker for as long as the guard lets commands through. ``"calibrate"``:
        one target after the other is pointed at, then all flicker for a while.
    trials : int
        Of each target in a calibration, 1 to 100.
    cue_s, flicker_s, pause_s : float
        Parts of a trial, each 0.5 to 30 s. In free looking `cue_s` is the time between the
        permission and the first flicker.
    area : float
        Share of the screen that flickers, above 0 to 0.25: flashes over a quarter of the central
        visual field count as a hazard [1]_; a guide that is followed, not claimed as met.
    gamma : float
        Of the display, 1 to 3: light is the pixel's value to this power.
    seed : int
        Same seed, same order of trials.

    Raises
    ------
    ConfigError
        If it does not fit together, or the profile refuses some of it and nobody unlocked it.

    References
    ----------
    .. [1] Harding, Wilkins, Erba, Barkley, Fisher. Photic- and pattern-induced seizures: expert
       consensus of the Epilepsy Foundation of America Working Group. Epilepsia, 2005.
    """

    plan: FlickerPlan
    profile: Profile
    classes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    mode: str = "free"
    trials: int = 5
    cue_s: float = 1.5
    flicker_s: float = 5.0
    pause_s: float = 1.5
    area: float = 0.15
    gamma: float = 2.2
    seed: int = 0

    def __post_init__(self) -> None:
        hertz = self.plan.frequencies_hz
        for name, default in (
            ("classes", self.plan.labels),
            ("names", tuple(f"{one:g} Hz" for one in hertz)),
        ):
            given = tuple(getattr(self, name)) or default
            object.__setattr__(self, name, given)
            if len(given) != len(hertz) or len(set(given)) < len(hertz):
                raise ConfigError(
                    f"{name} must hold {len(hertz)} different names, got {list(given)}: give one "
                    f"for each frequency, or none."
                )
        if self.mode not in _MODES:
            raise ConfigError(f"mode must be one of {', '.join(_MODES)}, got {self.mode!r}.")
        self._check_ranges()
        refused = refusal(self.profile, hertz, self.plan.contrast)
        if refused and self.plan.unlock is None:
            raise ConfigError(
                f"{refused}; change the plan, or have an operator unlock it by name and with a "
                f"reason."
            )

    def _check_ranges(self) -> None:
        for name, low, high in (
            ("trials", 1, 100),
            ("cue_s", 0.5, 30),
            ("flicker_s", 0.5, 30),
            ("pause_s", 0.5, 30),
            ("gamma", 1, 3),
            ("seed", 0, 2**31),
        ):
            if not low <= getattr(self, name) <= high:
                raise ConfigError(
                    f"{name} must be in [{low}, {high}], got {getattr(self, name)}: change it."
                )
        if not 0 < self.area <= MAX_AREA:
            raise ConfigError(
                f"area must be above 0 and at most {MAX_AREA:g} of the screen, got {self.area}: "
                f"show fewer or smaller targets."
            )


class Distortion:
    """How strong any line can be, in what is shown, that is not in the plan.

    Over the last second, ``e`` is what is shown minus what was planned, zero in every frame that
    was not lost. A line of ``e`` has at most the amplitude ``2 mean|e|``, whatever its frequency,
    so its contrast on a ground of 0.5 is at most ``4 mean|e|``: no spectrum has to be computed.

    Parameters
    ----------
    rate_hz : float
        Frames a second.
    profile : Profile
        What it refuses sets the limit: a line that cannot be told from a refused flicker.
    """

    def __init__(self, rate_hz: float, profile: Profile) -> None:
        self.limit = _ANY_CONTRAST if profile.refused_hz else profile.high_contrast
        self._errors: deque[NDArray[np.float64]] = deque(maxlen=round(rate_hz))

    def add(self, shown: NDArray[np.float64], planned: NDArray[np.float64]) -> None:
        """Note frames: shown (n_targets,), in place of planned (n_targets, n_frames)."""
        # A screen that hangs for longer than a second is judged by its last.
        late = planned[:, -(self._errors.maxlen or 1) :]
        self._errors.extend(np.abs(shown[:, None] - late).T)

    @property
    def contrast(self) -> float:
        """The bound, of the target that is worst."""
        if not self._errors:
            return 0.0
        total = np.sum(self._errors, axis=0).max()
        return float(4 * total / (self._errors.maxlen or 1))

    @property
    def too_much(self) -> bool:
        """Whether it reaches the limit."""
        return self.contrast >= self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class FlickerFrame:
    """What one frame shows.

    Parameters
    ----------
    phase : Phase
        Where the course is.
    light : tuple of float
        Luminance of each target, 0 to 1, linear.
    cued : int
        Number of the target that is pointed at; -1 for none.
    led : int
        Number of the target that the session's command names; -1 for none.
    strength : float
        Evidence for it, 0 to 1.
    chosen : int
        Number of the target that was selected, for a moment; -1 for none.
    said : str
        Why all is still; empty otherwise.
    labels : tuple of str
        Markers of what begins with this frame.
    """

    phase: Phase
    light: tuple[float, ...]
    cued: int = -1
    led: int = -1
    strength: float = 0.0
    chosen: int = -1
    said: str = ""
    labels: tuple[str, ...] = ()


class FlickerCourse:
    """One frame after the other. All on one thread.

    Parameters
    ----------
    show : FlickerShow
        What flickers.
    rate_hz : float
        The display's true rate. If it is not the plan's, nothing ever flickers.
    """

    def __init__(self, show: FlickerShow, rate_hz: float) -> None:
        self.show, self._rate_hz = show, rate_hz
        self.permission = Permission(rate_hz, armed=show.mode == "free")
        self._other_rate = _other_rate(show.plan.refresh_hz, rate_hz)
        order = np.random.default_rng(show.seed)
        self._trials = [
            int(target)
            for _ in range(show.trials if show.mode == "calibrate" else 0)
            for target in order.permutation(len(show.plan.frequencies_hz))
        ]
        self.trial = 0
        """Trials that are over."""
        self._phase, self._since, self._last = Phase.STILL, 0, -1
        self._light = self._still = np.full(len(show.plan.frequencies_hz), GREY)
        self._distortion = Distortion(rate_hz, show.profile)
        self._flickered, self._rested = 0, 0
        self._command = Command(label=None)
        self._chosen, self._chosen_until = -1, -1

    @property
    def n_trials(self) -> int:
        """Trials of the calibration; 0 in free looking."""
        return len(self._trials)

    def take(self, message: Telegram) -> None:
        """Learn from a message of the session."""
        self.permission.take(message)
        if isinstance(message, Turn):
            self._command = message.command
            if message.command.selected:
                self._chosen, self._chosen_until = self._target_of(message.command), -1

    def step(self, frame: int) -> FlickerFrame:
        """Go on to a frame.

        Parameters
        ----------
        frame : int
            Its number; those that were skipped were lost by the screen.

        Returns
        -------
        shown : FlickerFrame
            What to draw.
        """
        self._account(frame)
        labels: list[str] = []
        why = self._other_rate or self.permission.look(frame)
        if why and self._phase is not Phase.DONE:
            self._interrupt(labels)
        elif not why:
            self._go_on(frame, labels)
        flickering = self._phase is Phase.FLICKER
        self._light = self._planned(frame, 1)[:, 0] if flickering else self._still
        self._last = frame
        return self._shown(frame, why, labels)

    def _account(self, frame: int) -> None:
        """Look at what was lost since the last frame, and at how long it has flickered."""
        passed = frame - self._last
        if self._phase is not Phase.FLICKER:
            self._rested += passed
            if self._rested >= _RESTED_S * self._rate_hz:
                self._flickered = 0
            return
        self._rested = 0
        self._flickered += passed
        self._distortion.add(self._light, self._planned(self._last, passed))
        if self._distortion.too_much:
            self.permission.block(LOST)
        elif self._flickered >= self.show.profile.rest_after_s * self._rate_hz:
            self.permission.block(REST.format(seconds=self._flickered / self._rate_hz))

    def _planned(self, frame: int, n_frames: int) -> NDArray[np.float64]:
        return self.show.plan.luminance(n_frames, frame - self._since)

    def _interrupt(self, labels: list[str]) -> None:
        """Be still at once; a trial of a calibration that is cut short is marked as bad."""
        if self._phase is Phase.FLICKER:
            labels.append(REJECT if self._trials else OFF)
        self._phase = Phase.STILL

    def _go_on(self, frame: int, labels: list[str]) -> None:
        show, since_s = self.show, (frame - self._since) / self._rate_hz + 1e-6
        match self._phase:
            case Phase.STILL:
                self._enter(Phase.CUE, frame)
            case Phase.CUE if since_s >= show.cue_s:
                self._enter(Phase.FLICKER, frame)
                labels.append(show.classes[self._trials[self.trial]] if self._trials else ON)
            case Phase.FLICKER if self._trials and since_s >= show.flicker_s:
                self._enter(Phase.PAUSE, frame)
                labels.append(RESTING[0])
                self.trial += 1
            case Phase.PAUSE if since_s >= show.pause_s:
                over = self.trial >= len(self._trials)
                self._enter(Phase.DONE if over else Phase.CUE, frame)

    def _enter(self, phase: Phase, frame: int) -> None:
        self._phase, self._since = phase, frame
        if phase is Phase.FLICKER:
            self._distortion = Distortion(self._rate_hz, self.show.profile)

    def _target_of(self, command: Command) -> int:
        """Which target a command names, by its class or its frequency."""
        if command.label in self.show.classes:
            return self.show.classes.index(command.label)
        hertz = None if command.label is None else frequency_of(command.label)
        planned = self.show.plan.frequencies_hz
        return planned.index(hertz) if hertz in planned else -1

    def _shown(self, frame: int, why: str, labels: list[str]) -> FlickerFrame:
        if self._chosen >= 0 and self._chosen_until < 0:
            self._chosen_until = frame + round(_CHOSEN_S * self._rate_hz)
        if frame >= self._chosen_until:
            self._chosen, self._chosen_until = -1, -1
        cued = self._phase in (Phase.CUE, Phase.FLICKER) and self._trials
        free = not self._trials and self._phase is Phase.FLICKER
        led = self._target_of(self._command) if free else -1
        return FlickerFrame(
            phase=self._phase,
            light=tuple(self._light.tolist()),
            cued=self._trials[self.trial] if cued else -1,
            led=led,
            strength=self._command.strength if led >= 0 else 0.0,
            chosen=self._chosen,
            said=why,
            labels=tuple(labels),
        )


def _other_rate(planned_hz: float, rate_hz: float) -> str:
    """What to say of a display that is not the plan's; empty if it is."""
    if abs(rate_hz - planned_hz) <= _SAME_RATE * planned_hz:
        return ""
    return (
        f"the display has {rate_hz:g} Hz and the plan is for {planned_hz:g} Hz: all flicker would "
        f"have another frequency"
    )
