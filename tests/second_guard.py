"""A second guard, written from ``docs/safety.md`` alone, to check the product's guard with.

It is unlike the product on purpose: one object that changes, a table of states, a table of faults,
and exact fractions for every time, velocity and place. It imports nothing of the product but the
message that both speak. Whoever mends it reads the page, not `diverloop.runtime.limits`.

A number of the configuration is the decimal that was written, so 0.1 is a tenth. Where the page
left something open (a stop and an arming between two looks, a neutral command that selects, time
that runs back), the page was mended when the two guards had been found to differ.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from diverloop.runtime.messages import Command

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
AXES = 3
NONE = Fraction(0)
LONGEST_STEP = Fraction(1, 4)

# (state, what happens): the state after it. What is not here changes nothing.
TABLE = {
    ("disarmed", "arm"): "armed",
    ("armed", "fault"): "holding",
    ("holding", "sound"): "armed",
    ("stopped", "reset"): "disarmed",
    **{(state, how): "disarmed" for state in ("armed", "holding")
       for how in ("disarm", "watchdog", "exposure")},
    **{(state, how): "stopped" for state in ("disarmed", "armed", "holding", "stopped")
       for how in ("stop", "seizure")},
}  # fmt: skip
SIGNALS = ("arm", "disarm", "watchdog", "stop", "seizure", "reset")


def written(number: float) -> Fraction:
    """A number of the configuration as the decimal that stands in the file."""
    return Fraction(repr(float(number)))


def sign(number: Fraction | float) -> int:
    """1, 0 or -1."""
    return (number > 0) - (number < 0)


class SecondGuard:
    """One session's guard, in other words.

    Parameters
    ----------
    config : GuardConfig
        The limits.
    """

    def __init__(self, config: Any) -> None:
        self.config = config
        self.max_speed = written(config.max_speed)
        self.slew_per_s = written(config.slew_per_s)
        self.reach_s = written(config.reach_s)
        self.dwell = round(written(config.min_dwell_s) * SECOND)
        self.break_every = round(written(config.break_every_s) * SECOND)
        self.armed_at_most = round(written(config.armed_at_most_s) * SECOND)
        self.state = "disarmed"
        self.looked: int | None = None
        self.time_armed = 0
        self.since_break = 0
        self.breaks_told = 0
        self.late_in_row = 0
        self.place = [NONE] * AXES
        self.velocity = [NONE] * AXES
        self.leader: str | None = None
        self.leads_since = 0
        self.selections: deque[int] = deque()

    def happens(self, what: str) -> str:
        """What a person, the watchdog or a look did to the state.

        Parameters
        ----------
        what : str
            One of `SIGNALS`, or, from a look, ``"fault"``, ``"sound"`` or ``"exposure"``.

        Returns
        -------
        state : str
            The state after it.
        """
        self.state = TABLE.get((self.state, what), self.state)
        if not self.is_on():
            self.place = [NONE] * AXES
            self.velocity = [NONE] * AXES
            self.leader = None
            self.since_break = self.breaks_told = 0
        return self.state

    def is_on(self) -> bool:
        """Whether it is armed or holding."""
        return self.state in ("armed", "holding")

    def look(self, command: Command, now_ns: int, quality: float, late: bool) -> Command:
        """Judge one command.

        Parameters
        ----------
        command : Command
            What is asked for.
        now_ns : int
            Time of the look.
        quality : float
            Of the signal.
        late : bool
            Whether the decision was late.

        Returns
        -------
        command : Command
            What passes.
        """
        since = self.pass_time(now_ns, late)
        fault = self.first_fault(command, quality)
        reason = fault
        if self.is_on() and self.time_armed > self.armed_at_most:
            self.happens("exposure")
            if fault is None:
                reason = "commands have passed for as long as one session may; end it"
        self.happens("sound" if fault is None else "fault")
        if self.state != "armed":
            return self.neutral(command, reason)
        return self.limited(command, now_ns, since)

    def pass_time(self, now_ns: int, late: bool) -> int:
        """Rule 1; gives the nanoseconds since the last look."""
        since = 0 if self.looked is None else max(0, now_ns - self.looked)
        self.looked = now_ns
        if self.is_on():
            self.time_armed += since
            self.since_break += since
            for axis in range(AXES):
                if self.velocity[axis]:
                    self.place[axis] += self.velocity[axis] * Fraction(since, SECOND)
        self.late_in_row = self.late_in_row + 1 if late else 0
        self.selections = deque(at for at in self.selections if now_ns - at < MINUTE)
        return since

    def first_fault(self, command: Command, quality: float) -> str | None:
        """Rule 2; None without a fault, and an empty reason is a fault too."""
        for holds, reason in FAULTS:
            if holds(self, command, quality):
                return reason(self, command, quality)
        return None

    def neutral(self, command: Command, reason: str | None) -> Command:
        """Rule 5."""
        self.velocity = [NONE] * AXES
        self.leader = None
        rest = (0.0,) * min(len(command.velocity), AXES)
        if command.label is None and not has_bad_numbers(self, command, 1.0):
            return Command(
                label=None, strength=command.strength, reason=command.reason, velocity=rest
            )
        if reason is None:
            reason = f"guard is {self.state}"
        return Command(label=None, strength=0.0, reason=reason, velocity=rest)

    def limited(self, command: Command, now_ns: int, since: int) -> Command:
        """Rule 6."""
        if command.label != self.leader:
            self.leader, self.leads_since = command.label, now_ns
        selected = command.selected and now_ns - self.leads_since >= self.dwell
        if selected:
            self.selections.append(now_ns)
        may_grow = self.slew_per_s * min(Fraction(since, SECOND), LONGEST_STEP)
        passed = [self.axis(i, asked, may_grow) for i, asked in enumerate(command.velocity)]
        self.velocity = passed + [NONE] * (AXES - len(passed))
        return Command(
            label=command.label,
            strength=command.strength,
            selected=selected,
            reason=command.reason,
            velocity=tuple(float(one) for one in passed),
        )

    def axis(self, axis: int, asked: float, may_grow: Fraction) -> Fraction:
        """The velocity that passes along one axis."""
        way, before, place = sign(asked), self.velocity[axis], self.place[axis]
        if way == 0:
            return NONE
        if self.reach_s and abs(place) >= self.reach_s and sign(place) == way:
            return NONE
        start = abs(before) if sign(before) == way else NONE
        return way * min(abs(Fraction(asked)), self.max_speed, start + may_grow)

    def tell_break(self) -> bool:
        """Whether people are to be told now that a break is due; a second question is answered no.

        Returns
        -------
        due : bool
            True once for every whole period since the last break.
        """
        periods = int(self.since_break // self.break_every)
        due = periods > self.breaks_told
        self.breaks_told = periods
        return due


def has_bad_numbers(guard: SecondGuard, command: Command, quality: float) -> bool:
    """Rule 2a."""
    full_scale = all(-1 <= one <= 1 for one in command.velocity)
    return not (0 <= command.strength <= 1 and full_scale and len(command.velocity) <= AXES)


def selects_too_often(guard: SecondGuard, command: Command, quality: float) -> bool:
    """Rule 2e."""
    return command.selected and len(guard.selections) >= guard.config.selections_per_min


Holds = Callable[[SecondGuard, Command, float], bool]
Says = Callable[[SecondGuard, Command, float], str]
FAULTS: tuple[tuple[Holds, Says], ...] = (
    (
        has_bad_numbers,
        lambda guard, command, quality: (
            "the command holds a number that is none, or beyond full scale"
        ),
    ),
    (
        lambda guard, command, quality: command.label is None,
        lambda guard, command, quality: command.reason,
    ),
    (
        lambda guard, command, quality: not quality >= guard.config.min_quality,
        lambda guard, command, quality: (
            f"signal quality is {quality:.2f}, at least {guard.config.min_quality:g} is needed"
        ),
    ),
    (
        lambda guard, command, quality: guard.late_in_row >= guard.config.late_in_row,
        lambda guard, command, quality: "decisions come too late, one after the other",
    ),
    (
        selects_too_often,
        lambda guard, command, quality: "more was selected in a minute than is allowed",
    ),
)
