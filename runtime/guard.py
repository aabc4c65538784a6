"""The last word before a sink: disarmed, armed, holding, stopped.

Two promises: nothing but a person arms it, and while data is missing, stale or refused the
output is neutral.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from enum import StrEnum
from functools import reduce

from .messages import Command

NO_VELOCITY = "the velocity that was asked for is beyond full speed, or no number"


class State(StrEnum):
    """What the guard lets through."""

    DISARMED = "disarmed"  # nothing; decisions are shown, not acted on
    ARMED = "armed"  # commands
    HOLDING = "holding"  # nothing, until the fault is over
    STOPPED = "stopped"  # nothing, until a person resets it


class Signal(StrEnum):
    """What can happen to the guard."""

    PERSON_ARMS = "person arms"
    PERSON_DISARMS = "person disarms"
    EMERGENCY_STOP = "emergency stop"
    SEIZURE_SUSPECTED = "seizure suspected"
    PERSON_RESETS = "person resets"
    FAULT = "fault"
    ALL_CLEAR = "all clear"


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
        case _, Signal.PERSON_DISARMS:
            return State.DISARMED
        case State.DISARMED, Signal.PERSON_ARMS:
            return State.ARMED
        case State.ARMED, Signal.FAULT:
            return State.HOLDING
        case State.HOLDING, Signal.ALL_CLEAR:
            return State.ARMED
        case _:
            return state


class Guard:
    """The state machine with a memory, as the loop uses it.

    What persons do comes from other threads at any moment. It waits in a queue until the loop
    looks, so that everything between two looks rests on one state, and a replay can look at the
    same places.
    """

    def __init__(self) -> None:
        self._state = State.DISARMED
        self._told: deque[Signal] = deque()

    @property
    def state(self) -> State:
        """Where it is, counting what the loop has not looked at yet."""
        return reduce(next_state, tuple(self._told), self._state)

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
            self._state = next_state(self._state, self._told[0])
            signals.append(self._told.popleft())
        return tuple(signals)

    def permit(self, command: Command) -> Command:
        """Let a command through, or make it neutral.

        Parameters
        ----------
        command : Command
            What the feedback asks for. A neutral command is a fault, and so is a velocity beyond
            -1 to 1; any other is an all-clear.

        Returns
        -------
        command : Command
            The same, or neutral and at rest with the reason.
        """
        self.take_in()
        sound = all(-1 <= part <= 1 for part in command.velocity)  # NaN is not
        neutral = command.label is None or not sound
        self._state = next_state(self._state, Signal.FAULT if neutral else Signal.ALL_CLEAR)
        rest = (0.0,) * len(command.velocity)
        if not sound:
            return Command(label=None, reason=NO_VELOCITY, velocity=rest)
        if command.label is None:
            return replace(command, velocity=rest) if any(command.velocity) else command
        if self._state is State.ARMED:
            return command
        return Command(label=None, reason=f"guard is {self._state}", velocity=rest)

    def suspect(self) -> None:
        """The research guard suspects a seizure: stop until a person resets. For the loop's thread.

        It comes from the signal, so a replay finds it again by itself.
        """
        self._state = next_state(self._state, Signal.SEIZURE_SUSPECTED)

    def settled(self) -> State:
        """The state after a look: what the loop reports. For the loop's thread."""
        self.take_in()
        return self._state
