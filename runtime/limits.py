"""What the guard allows: a pure function of what it remembers and of one look.

What can be limited follows what is limited of machines beside a person: speed, reach, and that
somebody has to want it [1]_. `judge` has no clock, no lock and no side effect.
``tests/second_guard.py`` says the same in other words, written from ``docs/safety.md`` alone; both
are run over the same random sessions, and have to agree on every command.

References
----------
.. [1] ISO 10218-1:2025, speed, reach and hold-to-run of a machine beside a person; taken as a
   guide to what can be limited, not claimed as met.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

from .errors import ConfigError
from .messages import Command

Vector = tuple[float, ...]

BAD_NUMBERS = "the command holds a number that is none, or beyond full scale"
TOO_LATE = "decisions come too late, one after the other"
TOO_MANY = "more was selected in a minute than is allowed"
EXPOSED = "commands have passed for as long as one session may; end it"
BREAK_DUE = "A break is due: commands have been passing for {minutes:.0f} minutes."

_STILL = (0.0, 0.0, 0.0)
_MINUTE_NS = 60_000_000_000
_LONGEST_LOOK_S = 0.25  # a longer silence earns no more slew than this


class State(StrEnum):
    """What the guard lets through."""

    DISARMED = "disarmed"  # nothing; decisions are shown, not acted on
    ARMED = "armed"  # commands
    HOLDING = "holding"  # nothing, until the fault is over
    STOPPED = "stopped"  # nothing, until a person resets it


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardConfig:
    """Limits that hold whatever the decoder says. A session may tighten them.

    Parameters
    ----------
    min_quality : float
        Signal quality below which commands are neutral, 0 to 1.
    late_in_row : int
        So many decisions after their deadline, one after the other, make commands neutral until
        one is in time; 1 to 100.
    max_speed : float
        Largest velocity along an axis, as a share of full speed, above 0 to 1.
    slew_per_s : float
        By how much of full speed a velocity may grow in a second, 0.1 to 1000. Braking is free.
    reach_s : float
        How far from where it was armed a velocity may lead along an axis, in seconds at full
        speed, 0 to 3600; 0 sets no bound.
    selections_per_min : int
        Selections that pass in any minute, 1 to 600.
    min_dwell_s : float
        How long a label has to be commanded without a break before it may be selected, 0 to 60 s.
    break_every_s : float
        After so long of commands that pass people are asked for a break, 60 to 900 s.
    armed_at_most_s : float
        After so long of commands that pass the guard disarms, and stays so, 60 to 14400 s.
    stop_marker : str
        A marker of this name in the stream is an emergency stop: a hardware button; empty for
        none.

    Raises
    ------
    ConfigError
        If a value is out of range.
    """

    min_quality: float = 0.1
    late_in_row: int = 3
    max_speed: float = 1.0
    slew_per_s: float = 10.0
    reach_s: float = 0.0
    selections_per_min: int = 60
    min_dwell_s: float = 0.0
    break_every_s: float = 900.0
    armed_at_most_s: float = 3600.0
    stop_marker: str = ""

    def __post_init__(self) -> None:
        for name, low, high, unit in (
            ("min_quality", 0.0, 1.0, ""),
            ("late_in_row", 1, 100, ""),
            ("slew_per_s", 0.1, 1000.0, " per second"),
            ("reach_s", 0.0, 3600.0, " s"),
            ("selections_per_min", 1, 600, ""),
            ("min_dwell_s", 0.0, 60.0, " s"),
            ("break_every_s", 60.0, 900.0, " s"),
            ("armed_at_most_s", 60.0, 14400.0, " s"),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(
                    f"guard.{name} must be in [{low:g}, {high:g}]{unit}, got {value}{unit}."
                )
        if not 0 < self.max_speed <= 1:
            raise ConfigError(f"guard.max_speed must be in (0, 1], got {self.max_speed}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What the guard sees when a command is to pass.

    Parameters
    ----------
    command : Command
        What the feedback asks for.
    now_ns : int
        Loop time.
    quality : float
        Of the signal behind it, 0 to 1.
    late : bool
        Whether the decision behind it came after its deadline.
    """

    command: Command
    now_ns: int
    quality: float = 1.0
    late: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """All that the guard remembers between two looks.

    Parameters
    ----------
    state : State
        What it lets through.
    looked_ns : int, optional
        When it looked last; None before the first look.
    velocity : tuple of 3 float
        What it let through then.
    place : tuple of 3 float
        Where velocities have led since it was armed, in seconds at full speed.
    late : int
        Decisions after their deadline, one after the other.
    armed_ns : int
        For how long commands may have passed, in this session.
    since_break_ns : int
        The same since it was armed last.
    led : str, optional
        The label that passes.
    led_since_ns : int
        Since when.
    selections_ns : tuple of int
        When something was selected, within the last minute.
    """

    state: State = State.DISARMED
    looked_ns: int | None = None
    velocity: Vector = _STILL
    place: Vector = _STILL
    late: int = 0
    armed_ns: int = 0
    since_break_ns: int = 0
    led: str | None = None
    led_since_ns: int = 0
    selections_ns: tuple[int, ...] = ()

    @property
    def on(self) -> bool:
        """Whether commands pass, or would if there were no fault."""
        return self.state in (State.ARMED, State.HOLDING)


def entered(memory: Memory, state: State) -> Memory:
    """The memory in another state: what belongs to one arming ends with it.

    Parameters
    ----------
    memory : Memory
        Before.
    state : State
        Where the guard goes, by a signal or by a look.

    Returns
    -------
    memory : Memory
        In that state. Disarmed or stopped it is at rest: whoever arms again, even before the next
        look, starts from there.
    """
    if state is not memory.state:
        memory = replace(memory, state=state)
    if memory.on:
        return memory
    memory = _at_rest(memory)
    if memory.place == _STILL and not memory.since_break_ns:
        return memory
    return replace(memory, place=_STILL, since_break_ns=0)


def judge(memory: Memory, look: Look, config: GuardConfig) -> tuple[Memory, Command]:
    """Let a command through, limit it, or make it neutral.

    Parameters
    ----------
    memory : Memory
        As the look before left it.
    look : Look
        What is asked for, and when.
    config : GuardConfig
        The limits.

    Returns
    -------
    memory : Memory
        For the next look.
    command : Command
        The same command if nothing speaks against it. Otherwise limited in its velocity or its
        selection; or neutral, at rest, with the reason.
    """
    since_ns = 0 if memory.looked_ns is None else max(0, look.now_ns - memory.looked_ns)
    memory = _later(memory, look, since_ns)
    fault = _fault(memory, look, config)
    if memory.on and memory.armed_ns > _whole_ns(config.armed_at_most_s):
        memory, fault = entered(memory, State.DISARMED), fault or EXPOSED
    if memory.on:
        memory = entered(memory, State.ARMED if fault is None else State.HOLDING)
    if fault is None and memory.state is not State.ARMED:
        fault = f"guard is {memory.state}"
    if fault is None:
        return _limited(memory, look, config, min(since_ns / 1e9, _LONGEST_LOOK_S))
    return _at_rest(memory), _neutral(look.command, fault)


def _whole_ns(seconds: float) -> int:
    return round(seconds * 1e9)  # 1.07 * 1e9 is a little more than it says


def _later(memory: Memory, look: Look, since_ns: int) -> Memory:
    """What time has changed since the last look."""
    place, selections_ns = memory.place, memory.selections_ns
    # Most looks find nothing that moves and nothing selected: they come after a sleep, in which
    # the processor's caches were emptied, and whatever is not run need not be fetched.
    if memory.velocity != _STILL:
        passed = zip(place, memory.velocity, strict=True)
        place = tuple(at + v * since_ns / 1e9 for at, v in passed)
    if selections_ns:
        selections_ns = tuple(at for at in selections_ns if look.now_ns - at < _MINUTE_NS)
    passing_ns = since_ns if memory.on else 0
    return Memory(
        state=memory.state,
        looked_ns=look.now_ns,
        velocity=memory.velocity,
        place=place,
        late=memory.late + 1 if look.late else 0,
        armed_ns=memory.armed_ns + passing_ns,
        since_break_ns=memory.since_break_ns + passing_ns,
        led=memory.led,
        led_since_ns=memory.led_since_ns,
        selections_ns=selections_ns,
    )


def _at_rest(memory: Memory) -> Memory:
    """The memory of a guard that lets nothing pass; itself, if it is at rest already."""
    if memory.velocity == _STILL and memory.led is None:
        return memory
    return replace(memory, velocity=_STILL, led=None)


def _fault(memory: Memory, look: Look, config: GuardConfig) -> str | None:
    """Why a command must not pass, whatever the state; None if nothing speaks against it."""
    command = look.command
    if not _sound(command):
        return BAD_NUMBERS
    if command.label is None:
        return command.reason
    if not look.quality >= config.min_quality:  # NaN is not
        return f"signal quality is {look.quality:.2f}, at least {config.min_quality:g} is needed"
    if memory.late >= config.late_in_row:
        return TOO_LATE
    if command.selected and len(memory.selections_ns) >= config.selections_per_min:
        return TOO_MANY
    return None


def _sound(command: Command) -> bool:
    """Whether its numbers are some, and within full scale."""
    velocity = command.velocity
    return 0 <= command.strength <= 1 and len(velocity) <= 3 and all(-1 <= v <= 1 for v in velocity)


def _neutral(command: Command, reason: str) -> Command:
    """The command at rest; one that is neutral already keeps what it says."""
    if command.label is None and _sound(command):
        if not command.selected and not any(command.velocity):
            return command
        return replace(command, velocity=_still(command), selected=False)
    return Command(label=None, reason=reason, velocity=_still(command))


def _still(command: Command) -> Vector:
    return (0.0,) * min(len(command.velocity), 3)


def _limited(
    memory: Memory, look: Look, config: GuardConfig, since_s: float
) -> tuple[Memory, Command]:
    """A command that passes, within the limits of speed, reach and dwell."""
    command, now_ns, dwell_ns = look.command, look.now_ns, _whole_ns(config.min_dwell_s)
    if command.label != memory.led:
        memory = replace(memory, led=command.label, led_since_ns=now_ns)
    velocity = command.velocity
    if velocity:
        grown = config.slew_per_s * since_s
        asked = zip(velocity, memory.velocity, memory.place, strict=False)
        velocity = tuple(_speed(*each, grown, config) for each in asked)
    selected = command.selected and now_ns - memory.led_since_ns >= dwell_ns
    if selected:
        memory = replace(memory, selections_ns=(*memory.selections_ns, now_ns))
    moving = (*velocity, *_STILL)[:3]
    if moving != memory.velocity:
        memory = replace(memory, velocity=moving)
    if velocity == command.velocity and selected == command.selected:
        return memory, command
    return memory, replace(command, velocity=velocity, selected=selected)


def _speed(wanted: float, before: float, at: float, grown: float, config: GuardConfig) -> float:
    """A velocity along one axis that has grown no faster, and leads no further, than allowed."""
    begun = abs(before) if before * wanted > 0 else 0.0
    speed = math.copysign(min(abs(wanted), config.max_speed, begun + grown), wanted)
    return 0.0 if config.reach_s and abs(at) >= config.reach_s and at * speed > 0 else speed
