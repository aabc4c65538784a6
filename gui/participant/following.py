"""What feedback shows of the session's commands: a place, reached smoothly, or clearly none."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from ...runtime.errors import ConfigError
from ...runtime.feedback import IDLE
from ...runtime.limits import State
from ...runtime.messages import Event, EventKind, Turn
from ...runtime.telemetry import Telegram
from ...runtime.velocity import NOT_FINITE, STANDING
from ..guard_words import guard_state

DIRECTIONS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "left": (-1.0, 0.0),
        "right": (1.0, 0.0),
        "up": (0.0, 1.0),
        "down": (0.0, -1.0),
        "tongue": (0.0, 1.0),
        "both_fists": (0.0, 1.0),
        "feet": (0.0, -1.0),
        "both_feet": (0.0, -1.0),
    }
)
"""Class -> where it leads, right and up positive; others are given one in the order of classes."""

CALM_S = 1.0
"""A pause lasts so long at least, on the screen: a guard that lets go and holds again must not
flash."""

_IN_ORDER = ((-1.0, 0.0), (1.0, 0.0), (0.0, 1.0), (0.0, -1.0))
_AT_REST = (IDLE, STANDING, NOT_FINITE)
_RESTING = ("rest", "idle", "relax")


class Mood(StrEnum):
    """How feedback is to look."""

    WAITING = "waiting"  # nothing has come from a session yet
    PAUSED = "paused"  # held back, or the session has fallen silent
    RESTING = "resting"  # nothing is decoded, or nothing intended
    MOVING = "moving"  # a command passes


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowingConfig:
    """How feedback follows.

    Parameters
    ----------
    smooth_s : float
        Time constant with which it follows, 0 to 2 s; what is shown is older by as much.
    stale_s : float
        After so long without a word from the session it pauses, 0.2 to 10 s.
    directions : mapping of str to (float, float)
        Class -> where it leads, right and up positive, length 1 at most; before `DIRECTIONS`.

    Raises
    ------
    ConfigError
        If a value cannot be used.
    """

    smooth_s: float = 0.15
    stale_s: float = 1.0
    directions: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, low, high in (("smooth_s", 0.0, 2.0), ("stale_s", 0.2, 10.0)):
            if not low <= getattr(self, name) <= high:
                raise ConfigError(
                    f"{name} must be in [{low:g}, {high:g}] s, got {getattr(self, name)} s."
                )
        for label, place in self.directions.items():
            if len(place) != 2 or not math.hypot(*place) <= 1.001:
                raise ConfigError(
                    f"The direction of {label!r} must be two numbers, right and up, of length 1 "
                    f"at most, got {place}: [-1, 0] is left."
                )


class Following:
    """Follows commands, frame by frame; it looks at no clock and at nothing to come.

    What it shows is what the sinks really did (`Turn.command`). A command that the guard holds
    back is shown nowhere: feedback goes to the middle at once, and says that it pauses.

    Parameters
    ----------
    config : FollowingConfig, optional
        How.

    Attributes
    ----------
    mood : Mood
        How it is to look.
    x, y : float
        Where it is, -1 to 1, right and up positive.
    label : str
        Class that is commanded; empty if none is.
    """

    def __init__(self, config: FollowingConfig | None = None) -> None:
        self.config = config or FollowingConfig()
        self.mood, self.label = Mood.WAITING, ""
        self.x = self.y = 0.0
        self._to = (0.0, 0.0)
        self._classes: tuple[str, ...] = ()
        self._keep, self._stale_frames = 0.0, 60
        self._fresh = self._held = False
        self._told = Mood.WAITING
        self._heard_frame = self._frame = 0
        self._calm_frames, self._calm_until = 60, -1

    def begin(self, rate_hz: float) -> None:
        """Learn how many frames a second there are."""
        smooth_s = self.config.smooth_s
        self._keep = math.exp(-1 / (rate_hz * smooth_s)) if smooth_s else 0.0
        self._stale_frames = round(self.config.stale_s * rate_hz)
        self._calm_frames = round(CALM_S * rate_hz)

    def take(self, message: Telegram) -> None:
        """Learn from a message of the session."""
        if isinstance(message, Event) and message.kind is EventKind.GUARD:
            if state := guard_state(message.text):
                self._held = state is not State.ARMED
        elif isinstance(message, Turn):
            self._fresh = True
            self._follow(message)

    def advance(self, frame: int) -> None:
        """Go on to a frame.

        Parameters
        ----------
        frame : int
            Its number; it may have grown by more than one.
        """
        passed, self._frame = max(0, frame - self._frame), frame
        if self._fresh:
            self._fresh, self._heard_frame = False, frame
        elif self._told is not Mood.WAITING and frame - self._heard_frame > self._stale_frames:
            self._told, self.label = Mood.PAUSED, ""
        self._settle(frame)
        if self.mood in (Mood.PAUSED, Mood.WAITING):
            self.x = self.y = 0.0
            return
        keep = self._keep**passed
        self.x = keep * self.x + (1 - keep) * self._to[0]
        self.y = keep * self.y + (1 - keep) * self._to[1]

    def _settle(self, frame: int) -> None:
        if self._told is Mood.PAUSED and self.mood is not Mood.PAUSED:
            self._calm_until = frame + self._calm_frames
        if self._told is Mood.PAUSED or frame >= self._calm_until:
            self.mood = self._told

    def direction(self, label: str) -> tuple[float, float] | None:
        """Where a class leads; None for rest, and for a class without a direction."""
        for known in (self.config.directions, DIRECTIONS):
            if label in known:
                return known[label]
        others = [name for name in self._classes if name not in _RESTING]
        if label in others and not any(name in DIRECTIONS for name in others):
            place = others.index(label)
            return _IN_ORDER[place] if place < len(_IN_ORDER) else None
        return None

    def _follow(self, turn: Turn) -> None:
        command, self._classes = turn.command, turn.decision.classes
        self.label, self._to = "", (0.0, 0.0)
        if command.label is not None:
            self._told, self._held, self.label = Mood.MOVING, False, command.label
            self._to = self._aim(turn)
            return
        stopped = command.reason not in _AT_REST and turn.decision.label is not None
        held = self._held or stopped or command.reason.startswith("guard is")
        self._told = Mood.PAUSED if held else Mood.RESTING

    def _aim(self, turn: Turn) -> tuple[float, float]:
        velocity = turn.command.velocity
        if any(velocity):
            along = (*(_within(part) for part in velocity), 0.0)
            return along[0], along[1]
        toward = self.direction(turn.command.label or "")
        if toward is None:
            return 0.0, 0.0
        chance = 1 / max(2, len(self._classes))  # evidence of a guess moves nothing
        share = max(0.0, _within((turn.command.strength - chance) / (1 - chance)))
        return share * toward[0], share * toward[1]


def _within(value: float) -> float:
    return max(-1.0, min(1.0, value)) if math.isfinite(value) else 0.0
