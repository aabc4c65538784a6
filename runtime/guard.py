"""The last word before a sink: disarmed, armed, holding, stopped.

Two promises: nothing but a person arms it, and while data is missing, stale or refused the
output is neutral.
"""

from __future__ import annotations

from enum import StrEnum

from .messages import Command


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
        case _, Signal.EMERGENCY_STOP:
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
    """The state machine with a memory, as the loop uses it."""

    def __init__(self) -> None:
        self._state = State.DISARMED
        # A latch of its own: a stop that comes from another thread is one assignment, which no
        # transition of the loop's can undo.
        self._stopped = False

    @property
    def state(self) -> State:
        """Where it is."""
        return State.STOPPED if self._stopped else self._state

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
        if signal is Signal.EMERGENCY_STOP:
            self._stopped = True
        elif before is not State.STOPPED:
            self._state = next_state(before, signal)
        elif signal is Signal.PERSON_RESETS:
            self._state = next_state(before, signal)
            self._stopped = False
        return self.state is not before

    def permit(self, command: Command) -> Command:
        """Let a command through, or make it neutral.

        Parameters
        ----------
        command : Command
            What the feedback asks for. A neutral command is a fault, any other an all-clear.

        Returns
        -------
        command : Command
            The same, or neutral with the reason.
        """
        self.tell(Signal.FAULT if command.label is None else Signal.ALL_CLEAR)
        if self.state is State.ARMED or command.label is None:
            return command
        return Command(label=None, reason=f"guard is {self.state}")
