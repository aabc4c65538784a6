"""What the console can be told about a session."""

from __future__ import annotations

from dataclasses import dataclass

from ...runtime.limits import State
from .session import Found, Model, Order


@dataclass(frozen=True, slots=True, kw_only=True)
class PreflightDone:
    """The pre-flight check is over; `model` is one of today for this person, if there is any."""

    findings: tuple[Found, ...]
    model: Model | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalSeen:
    """How the electrodes are."""

    electrodes: int
    bad: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalUnseen:
    """Nothing can look at the signal before the loop runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationWent:
    """So many trials of so many; 0 of 0 where nobody counts."""

    done: int
    of: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """The calibration is recorded; `usable` if a model can be fitted on it."""

    usable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """There is a model."""

    model: Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """Something that was ordered could not be done; `detail` is for a technician."""

    order: Order
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenGone:
    """The participant's screen closed, or did not open, and nobody here had asked for it."""

    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopRuns:
    """The session's loop runs, disarmed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopGone:
    """The session's loop ended, and nobody had asked for it."""

    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardIs:
    """The guard's state, as the session tells it."""

    state: State


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetDone:
    """The stop was left behind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """How often the decisions were right so far."""

    hits: int
    trials: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The session ended as it was asked to; `verified` is None if nobody looked."""

    folder: str
    verified: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """There is a report."""

    path: str


News = (
    PreflightDone | SignalSeen | SignalUnseen | CalibrationWent | Calibrated | Fitted | Failed
    | ScreenGone | LoopRuns | LoopGone | GuardIs | ResetDone | Judged | Ended | Reported
)  # fmt: skip
