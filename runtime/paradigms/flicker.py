"""Flicker as data: frequencies that a screen can show, that stay apart, and that are safe to show.

A plan that exists may be shown. What the screen cannot show, what a decoder could not tell apart
and what the participant's profile refuses is refused when the plan is made; flicker that the
profile refuses can be unlocked by a named operator with a reason, and both are part of the record.

How a frequency gets onto a screen: if the refresh rate is a whole multiple of it, every cycle is
the same whole number of frames; otherwise the luminance of each frame is a sample of a sine [1]_.

References
----------
.. [1] Manyakov, Chumerin, Robben, Combaz, van Vliet, Van Hulle. Sampled sinusoidal stimulation
   profile and multichannel fuzzy logic classification for monitor-based phase-coded SSVEP
   brain-computer interfacing. J. Neural Eng., 2013.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import permutations, product
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from .profiles import GENERAL, Profile, profile_named

PREFIX = "flicker:"
"""Begins the label of a marker: ``"flicker:12"`` asks for attention to 12 Hz."""

RESTING = ("rest", "idle")
"""Labels of a trial in which no flicker is attended to."""

_HARMONICS = (1, 2)
_WHOLE = 1e-3  # a refresh rate of 59.94 Hz is 60 Hz to a frame counter


def label_of(frequency_hz: float) -> str:
    """Label of the marker that begins a trial.

    Parameters
    ----------
    frequency_hz : float
        What is to be attended to.

    Returns
    -------
    label : str
        For example ``"flicker:12"`` or ``"flicker:7.5"``.
    """
    return f"{PREFIX}{frequency_hz:g}"


def frequency_of(label: str) -> float | None:
    """Frequency that a label names.

    Parameters
    ----------
    label : str
        With or without ``"flicker:"`` in front and ``"Hz"`` behind: ``"12"``, ``"7.5 Hz"``.

    Returns
    -------
    frequency_hz : float or None
        Positive and finite; None if the label names none, as ``"rest"`` does.
    """
    text = label.strip().lower().removeprefix(PREFIX).removesuffix("hz").strip()
    try:
        found = float(text)
    except ValueError:
        return None
    return found if math.isfinite(found) and found > 0 else None


def refusal(profile: Profile, frequencies_hz: Iterable[float], contrast: float) -> str:
    """What a profile refuses of several flickers.

    Parameters
    ----------
    profile : Profile
        Who looks at it.
    frequencies_hz : iterable of float
        What flickers.
    contrast : float
        Michelson contrast, 0 to 1.

    Returns
    -------
    refusal : str
        A sentence without its stop about the first that is refused; empty if none is.
    """
    for frequency_hz in frequencies_hz:
        why = profile.objection(frequency_hz, contrast)
        if why:
            return (
                f"Flicker at {frequency_hz:g} Hz and contrast {contrast:g} can provoke seizures "
                f"and is locked: {why}"
            )
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlickerConfig:
    """What a session says of the person who looks at flicker, and of the screen.

    Parameters
    ----------
    profile : str
        ``"general"`` or ``"epilepsy"``, see `diverloop.runtime.paradigms.profiles`; empty takes
        the one of epilepsy as soon as a channel lies inside the skull, else the general one.
    contrast : float
        Michelson contrast of what flickers, in (0, 1]; 1 is black and white.

    Raises
    ------
    ConfigError
        If there is no such profile, or no such contrast.
    """

    profile: str = ""
    contrast: float = 1.0

    def __post_init__(self) -> None:
        if self.profile:
            profile_named(self.profile)
        if not 0 < self.contrast <= 1:
            raise ConfigError(
                f"flicker.contrast must be in (0, 1], got {self.contrast}: 1 is black and white."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlock:
    """A person takes responsibility for flicker that the profile refuses.

    Parameters
    ----------
    operator : str
        Who; not empty.
    reason : str
        Why, in words that a reader of the record understands; not empty.

    Raises
    ------
    ConfigError
        If either is missing.
    """

    operator: str
    reason: str

    def __post_init__(self) -> None:
        for name in ("operator", "reason"):
            if not getattr(self, name).strip():
                raise ConfigError(
                    f"unlock.{name} must not be empty, got {getattr(self, name)!r}: a locked "
                    f"flicker is unlocked by a person, by name and with a reason."
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class FlickerPlan:
    """What flickers, how, and for whom.

    Parameters
    ----------
    frequencies_hz : tuple of float
        One for each target, all different, at most half the refresh rate.
    contrast : float
        Michelson contrast of the flicker, in (0, 1].
    refresh_hz : float
        Refresh rate of the screen, 30 to 1000 Hz.
    phases_rad : tuple of float
        Phase of each target at the first frame; empty for 0 throughout.
    apart_hz : float
        Frequencies and their second harmonics must differ from each other by this much; what a
        window of ``1 / apart_hz`` seconds resolves.
    profile : Profile
        Who looks at it: `profiles.profile_for` chooses by the channels of the stream.
    unlock : Unlock, optional
        Who takes responsibility for what the profile refuses.

    Raises
    ------
    ConfigError
        If the plan cannot be shown, cannot be decoded, or is refused by the profile.
    """

    frequencies_hz: tuple[float, ...]
    contrast: float = 1.0
    refresh_hz: float = 60.0
    phases_rad: tuple[float, ...] = ()
    apart_hz: float = 0.2
    profile: Profile = GENERAL
    unlock: Unlock | None = None

    def __post_init__(self) -> None:
        for name in ("frequencies_hz", "phases_rad"):
            object.__setattr__(self, name, tuple(map(float, getattr(self, name))))
        self._check_numbers()
        for frequency_hz in self.frequencies_hz:
            self.shown_by(frequency_hz)
        self._check_collisions()
        refused = self._refused()
        if refused and self.unlock is None:
            raise ConfigError(refused)

    def _check_numbers(self) -> None:
        if not self.frequencies_hz:
            raise ConfigError("frequencies_hz must hold at least 1 frequency, got none: name one.")
        # Written so that a NaN is refused, too.
        if not 0 < self.contrast <= 1:
            raise ConfigError(f"contrast must be in (0, 1], got {self.contrast}: 1 is black/white.")
        if not 30 <= self.refresh_hz <= 1000:
            raise ConfigError(
                f"refresh_hz must be in [30, 1000] Hz, got {self.refresh_hz} Hz: ask the screen."
            )
        if self.phases_rad and len(self.phases_rad) != len(self.frequencies_hz):
            raise ConfigError(
                f"phases_rad must be empty or hold {len(self.frequencies_hz)} phases, got "
                f"{len(self.phases_rad)}: give one for each frequency."
            )
        if not all(map(math.isfinite, self.phases_rad)):
            raise ConfigError(f"phases_rad must be finite, got {self.phases_rad}: use radians.")
        if not 0 < self.apart_hz <= 5:
            raise ConfigError(f"apart_hz must be in (0, 5] Hz, got {self.apart_hz} Hz: try 0.2.")

    def _check_collisions(self) -> None:
        for one, other in permutations(self.frequencies_hz, 2):
            for h, g in product(_HARMONICS, repeat=2):
                if abs(h * one - g * other) < self.apart_hz - 1e-9:
                    raise ConfigError(
                        f"frequencies_hz holds {one:g} and {other:g} Hz, of which {h} x {one:g} Hz "
                        f"and {g} x {other:g} Hz are less than {self.apart_hz:g} Hz apart: move "
                        f"one of them."
                    )

    def _refused(self) -> str:
        """One sentence about what the profile refuses; empty if nothing."""
        refused = refusal(self.profile, self.frequencies_hz, self.contrast)
        advice = "change the plan, or have an operator unlock it by name and with a reason"
        return f"{refused}; {advice}." if refused else ""

    def shown_by(self, frequency_hz: float) -> Literal["frames", "sine"]:
        """How the screen shows a frequency.

        Parameters
        ----------
        frequency_hz : float
            Positive, at most half the refresh rate.

        Returns
        -------
        way : str
            ``"frames"``: every cycle is the same whole number of frames. ``"sine"``: each frame
            samples a sine, and the cycles differ from each other.

        Raises
        ------
        ConfigError
            If the screen is too slow.
        """
        whole = self._whole_frames(frequency_hz)
        if whole or 0 < frequency_hz < self.refresh_hz / 2:
            return "frames" if whole else "sine"
        raise ConfigError(
            f"frequencies_hz must be above 0 and at most half the refresh rate, got "
            f"{frequency_hz:g} Hz on a screen of {self.refresh_hz:g} Hz: lower it, or use a faster "
            f"screen."
        )

    def _whole_frames(self, frequency_hz: float) -> int:
        """Frames of a cycle if they are whole and at least 2, else 0."""
        if not (math.isfinite(frequency_hz) and frequency_hz > 0):
            return 0
        frames = self.refresh_hz / frequency_hz
        nearest = round(frames)
        return nearest if nearest >= 2 and abs(frames - nearest) < _WHOLE * nearest else 0

    def luminance(self, n_frames: int, first_frame: int = 0) -> NDArray[np.float64]:
        """Luminance of every target in every frame.

        Parameters
        ----------
        n_frames : int
            How many frames.
        first_frame : int
            Frames since the onset of the flicker.

        Returns
        -------
        luminance : ndarray, shape (n_frequencies, n_frames)
            0 (black) to 1 (white), around 0.5; linear light, before any gamma.
        """
        frames = first_frame + np.arange(n_frames)
        phases = np.array(self.phases_rad or (0.0,) * len(self.frequencies_hz))
        # Whole cycles are counted in frames: a cycle that is off by 1e-4 would drift for minutes.
        per_frame = [
            1 / whole if (whole := self._whole_frames(hz)) else hz / self.refresh_hz
            for hz in self.frequencies_hz
        ]
        # Two frames a cycle sample a sine at its zeros; a quarter of a cycle on they see its peaks.
        shift = np.where(np.isclose(per_frame, 0.5), math.pi / 2, 0.0)
        cycles = np.outer(per_frame, frames) % 1.0
        angle = 2 * math.pi * cycles + (phases + shift)[:, None]
        light: NDArray[np.float64] = 0.5 + 0.5 * self.contrast * np.sin(angle)
        return light

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the markers that begin a trial, one for each frequency."""
        return tuple(map(label_of, self.frequencies_hz))

    def record(self) -> dict[str, Any]:
        """What an audit log keeps of the plan.

        Returns
        -------
        record : dict
            Plain values: the plan, the profile's name, how each frequency is shown, what the
            profile refuses, and who unlocked it and why (None if nobody did or had to).
        """
        refused = self._refused()
        used = self.unlock if refused else None
        return {
            "frequencies_hz": list(self.frequencies_hz),
            "shown_by": [self.shown_by(one) for one in self.frequencies_hz],
            "contrast": self.contrast,
            "refresh_hz": self.refresh_hz,
            "phases_rad": list(self.phases_rad),
            "profile": self.profile.name,
            "refused": refused,
            "unlocked_by": None if used is None else used.operator,
            "unlock_reason": None if used is None else used.reason,
        }
