"""The last word before a sink: disarmed, armed, holding, stopped.

Two promises: nothing but a person arms it, and while data is missing, stale or refused the
output is neutral.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import StrEnum
from functools import reduce

from .limits import BREAK_DUE, GuardConfig, Look, Memory, State, entered, judge
from .messages import Command


class Signal(StrEnum):
    """What can happen to the guard."""

    PERSON_ARMS = "person arms"
    PERSON_DISARMS = "person disarms"
    EMERGENCY_STOP = "emergency stop"
    SEIZURE_SUSPECTED = "seizure suspected"
    PERSON_RESETS = "person resets"
    WATCHDOG = "watchdog"


def next_state(state: State, signal: Signal) -> State:
    """Where a signal takes the guard.

    Parameters
    ----------
    state : State
        Where it is.
    signal : Signal
        What happened.

    Returns
    -------
    state : State
        Where it goes. Stopped is left by a reset alone, and a reset leads to disarmed, so that
        two separate acts of a person stand between a stop and the next command.
    """
    match state, signal:
        case _, Signal.EMERGENCY_STOP | Signal.SEIZURE_SUSPECTED:
            return State.STOPPED
        case State.STOPPED, Signal.PERSON_RESETS:
            return State.DISARMED
        case State.STOPPED, _:
            return State.STOPPED
        case _, Signal.PERSON_DISARMS | Signal.WATCHDOG:
            return State.DISARMED
        case State.DISARMED, Signal.PERSON_ARMS:
            return State.ARMED
        case _:
            return state


class Guard:
    """The state machine with a memory, as the loop uses it.

    What persons do comes from other threads at any moment. It waits in a queue until the loop
    looks, so that everything between two looks rests on one state, and a replay can look at the
    same places.

    Parameters
    ----------
    config : GuardConfig, optional
        The limits.

    Attributes
    ----------
    alarms : list of callable
        Called at once, on the thread that tells of it, when an emergency stop is told.
    """

    def __init__(self, config: GuardConfig | None = None) -> None:
        self.config = config or GuardConfig()
        self.alarms: list[Callable[[], None]] = []
        self._memory = Memory()
        self._breaks = 0
        self._told: deque[Signal] = deque()

    @property
    def state(self) -> State:
        """Where it is, counting what the loop has not looked at yet."""
        return reduce(next_state, tuple(self._told), self._memory.state)

    def tell(self, signal: Signal) -> bool:
        """Let something happen to it. May be called from any thread.

        Parameters
        ----------
        signal : Signal
            What happened.

        Returns
        -------
        changed : bool
            Whether the state is another one now.
        """
        before = self.state
        self._told.append(signal)
        if signal is Signal.EMERGENCY_STOP:
            for alarm in self.alarms:
                alarm()
        return self.state is not before

    def take_in(self) -> tuple[Signal, ...]:
        """Look at what was told since the last look. For the loop's thread.

        Returns
        -------
        signals : tuple of Signal
            What it heard, in order.
        """
        signals = []
        while self._told:
            # Applied before it leaves the queue: whoever asks meanwhile sees it at least once,
            # and twice is harmless for everything that a person can do.
            self._go(self._told[0])
            signals.append(self._told.popleft())
        return tuple(signals)

    def permit(
        self, command: Command, *, now_ns: int, quality: float = 1.0, late: bool = False
    ) -> Command:
        """Let a command through, limit it, or make it neutral. For the loop's thread.

        Parameters
        ----------
        command : Command
            What the feedback asks for.
        now_ns : int
            Loop time.
        quality : float
            Of the signal behind it.
        late : bool
            Whether its decision came after its deadline.

        Returns
        -------
        command : Command
            As `judge` says.
        """
        self.take_in()
        look = Look(command=command, now_ns=now_ns, quality=quality, late=late)
        self._memory, permitted = judge(self._memory, look, self.config)
        return permitted

    def suspect(self) -> None:
        """The research guard suspects a seizure: stop until a person resets. For the loop's thread.

        It comes from the signal, so a replay finds it again by itself.
        """
        self._stop(Signal.SEIZURE_SUSPECTED)

    def press(self) -> None:
        """The stop button in the stream was pressed. For the loop's thread, as `suspect` is."""
        self._stop(Signal.EMERGENCY_STOP)

    def settled(self) -> State:
        """The state after a look: what the loop reports. For the loop's thread."""
        self.take_in()
        return self._memory.state

    def break_due(self) -> str:
        """What to tell people, once, when they ought to have a break; empty otherwise."""
        since_ns = self._memory.since_break_ns
        due, before = since_ns // round(self.config.break_every_s * 1e9), self._breaks
        self._breaks = due
        return BREAK_DUE.format(minutes=since_ns / 60e9) if due > before else ""

    def _stop(self, signal: Signal) -> None:
        self.take_in()  # a reset that still waits was meant for an earlier stop, not for this one
        self._go(signal)

    def _go(self, signal: Signal) -> None:
        if not self._memory.on:
            self._breaks = 0  # counted anew from every arming
        self._memory = entered(self._memory, next_state(self._memory.state, signal))
