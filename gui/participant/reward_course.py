"""What a neurofeedback session tells its participant: part, instruction, time left, how high."""

from __future__ import annotations

import math

from ...runtime.messages import StreamSpec, Turn
from ...runtime.paradigms.neurofeedback import (
    KINDS,
    NeurofeedbackPlan,
    Phase,
    Timeline,
    parse_marker,
    phases_of,
)
from ...runtime.telemetry import Telegram
from .following import CALM_S, Following, FollowingConfig, Mood

_SLOW_S = 0.5  # with which the sign of reward appears and goes: never a flash
_NO_FEEDBACK = ": no feedback"


class RewardCourse:
    """Follows a neurofeedback session; the arm it is in makes no difference to anything here.

    It looks at the command, at the part of the session, and at nothing else: beside the feedback,
    a decision also carries the measure outside of blocks and news of the threshold, and neither is
    for the participant.

    Parameters
    ----------
    plan : NeurofeedbackPlan, optional
        The session's, for the time left; without it parts are read from what the session says.
    starts_at_sample : int
        Stream index at which the plan begins.
    smooth_s : float
        Time constant of the gauge.

    Attributes
    ----------
    marker : str
        Of the part, as `diverloop.runtime.paradigms.neurofeedback` names it.
    left_s : float
        Of the part; NaN where it is not known.
    height : float
        Of the gauge, 0 to 1; 0.5 is where reward begins.
    mood : Mood
        How the gauge is to look.
    reward : float
        How far the sign of reward has come up, 0 to 1.
    """

    def __init__(
        self,
        plan: NeurofeedbackPlan | None = None,
        starts_at_sample: int = 0,
        smooth_s: float = 0.25,
    ) -> None:
        self._following = Following(
            FollowingConfig(
                smooth_s=smooth_s, directions={"reward": (0.0, 1.0), "no reward": (0.0, -1.0)}
            )
        )
        self._timeline = Timeline(phases_of(plan)) if plan is not None else None
        self._starts_at, self._stream_hz = starts_at_sample, 0.0
        self.marker, self.left_s = "wait", math.nan
        self.height, self.reward = 0.0, 0.0
        self.mood, self._calm_until = Mood.WAITING, -1
        self._rate_hz, self._frame = 60.0, 0

    @property
    def kind(self) -> str:
        """Of the part: one of `KINDS`."""
        return parse_marker(self.marker)[0]

    def begin(self, rate_hz: float) -> None:
        """Learn how many frames a second there are."""
        self._rate_hz = rate_hz
        self._following.begin(rate_hz)

    def take(self, message: Telegram) -> None:
        """Learn from a message of the session."""
        self._following.take(message)
        if isinstance(message, StreamSpec):
            self._stream_hz = message.rate_hz
        elif isinstance(message, Turn):
            self._place(message)

    def advance(self, frame: int) -> None:
        """Go on to a frame."""
        passed, self._frame = max(0, frame - self._frame), frame
        self._following.advance(frame)
        self._settle(frame)
        moves = self.kind == "block" and self.mood is Mood.MOVING
        self.height = 0.5 + 0.5 * self._following.y if moves else 0.0
        keep = math.exp(-passed / (self._rate_hz * _SLOW_S))
        # By the height that is seen, so that sign and gauge never say two things.
        self.reward = keep * self.reward + (1 - keep) * float(self.height > 0.5)
        self.left_s = max(self.left_s - passed / self._rate_hz, 0.0)  # NaN stays NaN

    def _settle(self, frame: int) -> None:
        """Whatever is not feedback stays for a while: a poor signal must not make it flash."""
        now = self._following.mood
        if now is not Mood.MOVING and self.mood is Mood.MOVING:
            self._calm_until = frame + round(CALM_S * self._rate_hz)
        if now is not Mood.MOVING or frame >= self._calm_until:
            self.mood = now

    def _place(self, turn: Turn) -> None:
        found = self._planned(turn)
        if found is not None:
            self.marker = found.marker
            stop_s = (turn.decision.stop_sample - self._starts_at) / self._stream_hz
            self.left_s = found.stop_s - stop_s if math.isfinite(found.stop_s) else math.nan
        elif self._timeline is None:
            self.marker = _part_of(turn, self.marker)

    def _planned(self, turn: Turn) -> Phase | None:
        if self._timeline is None or not self._stream_hz:
            return None
        first_s, stop_s = (
            (sample - self._starts_at) / self._stream_hz
            for sample in (turn.decision.first_sample, turn.decision.stop_sample)
        )
        return self._timeline.phase_of(first_s, stop_s)


def _part_of(turn: Turn, before: str) -> str:
    """The marker of the part that a decision's words tell of; the one before if they tell none."""
    decision = turn.decision
    if decision.label is not None:
        return before if before.startswith("block") else "block"
    words, said, _ = decision.reason.partition(_NO_FEEDBACK)
    kind = words.split(",")[0].split(" ")[0]
    if not said or kind not in KINDS:
        return before
    return words.replace(", ", ":").replace(" ", ":" if kind == "transfer" else "_")
