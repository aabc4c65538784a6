"""The guard in words and signs; none of them needs a colour to be understood."""

from __future__ import annotations

from ..runtime.limits import State

SIGNS = {State.DISARMED: "○", State.ARMED: "▶", State.HOLDING: "‖", State.STOPPED: "■"}
"""One sign a state, each of another shape."""

WORDS = {
    State.DISARMED: "nothing passes",
    State.ARMED: "commands pass",
    State.HOLDING: "until the fault is over",
    State.STOPPED: "until a person resets",
}
"""What a state means."""


def state_in(text: str) -> State | None:
    """The state that an event of the guard speaks of last: where it is from then on.

    Parameters
    ----------
    text : str
        ``"The guard went from disarmed to armed."``

    Returns
    -------
    state : State or None
        None if it names none.
    """
    words = text.lower().replace(".", " ").replace(",", " ").split()
    named = [word for word in words if word in set(State)]
    return State(named[-1]) if named else None
