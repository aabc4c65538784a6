"""What the console knows of a session, what a person can do, and what it can be told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

_MOST_NAMED = 4


class Step(StrEnum):
    """Where a session is, in order; feedback and break may come again."""

    IDENTIFY = "identify"
    PREFLIGHT = "preflight"
    SIGNAL = "signal"
    CALIBRATION = "calibration"
    DECISION = "decision"  # go or no-go
    FEEDBACK = "feedback"
    BREAK = "break"
    CLOSE = "close"
    REPORT = "report"


class Act(StrEnum):
    """What a person can do at the console."""

    IDENTIFY = "identify"  # with a pseudonym
    CHECK_AGAIN = "check_again"
    TO_SIGNAL = "to_signal"
    TO_CALIBRATION = "to_calibration"
    USE_MODEL = "use_model"  # of today, instead of a calibration
    CALIBRATE = "calibrate"
    END_CALIBRATION = "end_calibration"
    APPROVE = "approve"
    START = "start"  # lets feedback through: the only act that arms
    RESTART = "restart"  # the loop, after it went
    BREAK = "break"
    END = "end"
    BACK = "back"
    FINISH = "finish"
    REPORT = "report"
    OPEN = "open"
    NEXT_PERSON = "next_person"
    STOP = "stop"
    RESET = "reset"


class Order(StrEnum):
    """What the console has done for it."""

    PREFLIGHT = "preflight"
    WATCH = "watch"
    CALIBRATE = "calibrate"
    END_CALIBRATION = "end_calibration"
    FIT = "fit"
    RUN = "run"
    ARM = "arm"
    DISARM = "disarm"
    STOP = "stop"
    RESET = "reset"
    END = "end"
    REPORT = "report"
    OPEN = "open"


class Output(StrEnum):
    """What reaches the participant."""

    OFF = "off"
    ASKED = "asked"  # a person asked for it, the session has not answered yet
    ON = "on"
    HOLDING = "holding"  # on, but nothing passes until a fault is over
    STOPPED = "stopped"  # until a person resets it


class Checked(StrEnum):
    """How the pre-flight check came out."""

    NOT_YET = "not_yet"
    GOOD = "good"
    DOUBTFUL = "doubtful"
    BAD = "bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One thing that the pre-flight check looked at.

    Parameters
    ----------
    name : str
        What, as ``diverloop doctor`` calls it.
    ok : bool, optional
        None if a session can do without.
    detail : str
        What was found and what to do, for a technician.
    """

    name: str
    ok: bool | None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """How good a fitted model is.

    Parameters
    ----------
    accuracy, low, high, chance : float
        Share of left-out trials that were right, its interval, and what guessing gives; 0 to 1.
    trials : int
        How many left-out trials.
    today : bool
        Fitted on this person's signal of today.
    fits_signal : bool, optional
        Whether today's signal looks as the one it was fitted on; None if nobody has compared.
    """

    accuracy: float
    low: float
    high: float
    chance: float
    trials: int
    today: bool = True
    fits_signal: bool | None = None

    @property
    def beats_chance(self) -> bool:
        """Whether even the low end of the interval is better than guessing."""
        return self.low > self.chance


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """From when on the console refuses.

    Parameters
    ----------
    bad_electrodes : int
        So many bad electrodes are always accepted.
    bad_share : float
        Or this share of all, where that is more.
    """

    bad_electrodes: int = 2
    bad_share: float = 0.1

    def allowed(self, n_electrodes: int) -> int:
        """How many of so many electrodes may be bad."""
        return max(self.bad_electrodes, int(n_electrodes * self.bad_share))


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Where a session is and what is known of it. Changed by `act` and `learn` only.

    Parameters
    ----------
    step, person, output
        Where it is; the pseudonym; what reaches the participant.
    task : Order, optional
        What is being done at the moment, if a person has to wait for it.
    checked, findings
        Of the pre-flight check.
    electrodes : int
        How many are looked at; 0 before anything was seen.
    bad : tuple of str
        Names of the bad ones.
    watchable : bool
        Whether the signal can be looked at before the loop runs.
    done, of : int
        Trials of the calibration.
    model : Model, optional
        What would decode.
    running : bool
        Whether the loop runs.
    begun : bool
        Whether it ever ran, so that there is a recording to finish.
    trouble : str
        What failed last, as a word of `words`; empty if nothing did.
    trouble_detail : str
        The same as a program said it, for a technician.
    blocks, hits, trials
        Of the feedback.
    recorded, verified, report
        What is left of it: folder, whether it was proven whole, file of the report.
    actions : int
        What the person has done so far; typing the pseudonym counts as one.
    to_feedback : int, optional
        Actions up to the first feedback.
    paused_at : int, optional
        Actions when feedback ended last.
    to_resume : int, optional
        Actions from there to the next feedback.
    """

    step: Step = Step.IDENTIFY
    person: str = ""
    output: Output = Output.OFF
    task: Order | None = None
    checked: Checked = Checked.NOT_YET
    findings: tuple[Found, ...] = ()
    electrodes: int = 0
    bad: tuple[str, ...] = ()
    watchable: bool = True
    done: int = 0
    of: int = 0
    model: Model | None = None
    running: bool = False
    begun: bool = False
    trouble: str = ""
    trouble_detail: str = ""
    blocks: int = 0
    hits: int = 0
    trials: int = 0
    recorded: str = ""
    verified: bool | None = None
    report: str = ""
    actions: int = 0
    to_feedback: int | None = None
    paused_at: int | None = None
    to_resume: int | None = None
    limits: Limits = field(default_factory=Limits)

    @property
    def too_many_bad(self) -> bool:
        """Whether too few electrodes are good."""
        return len(self.bad) > self.limits.allowed(self.electrodes)

    @property
    def named_bad(self) -> str:
        """The first of the bad electrodes by name, and whether there are more."""
        return ", ".join(self.bad[:_MOST_NAMED]) + (" …" if len(self.bad) > _MOST_NAMED else "")

    def free(self, order: Order) -> Session:
        """The same, not waiting for this any more."""
        return replace(self, task=None) if self.task is order else self

    def paused(self) -> Session:
        """The same, feedback ending here if it was on; what is counted from a pause begins."""
        on = self.output in (Output.ON, Output.HOLDING)
        return replace(self, paused_at=self.actions) if on else self

    def off(self) -> Session:
        """The same with nothing that passes any more; a stop stays one."""
        free = self.free(Order.ARM)
        return free if self.output is Output.STOPPED else replace(free, output=Output.OFF)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why something is refused, as a sentence of `words` and what to put into it."""

    key: str
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What comes of an act or of news.

    Parameters
    ----------
    session : Session
        As it is now; as it was, if the act was refused.
    orders : tuple of Order
        What has to be done, in this order.
    refused : Reason, optional
        Why not.
    """

    session: Session
    orders: tuple[Order, ...] = ()
    refused: Reason | None = None
