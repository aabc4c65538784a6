"""The guard in words and signs; none of them needs a colour to be understood."""

from __future__ import annotations

import re

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


_AT_ITS_END = re.compile(rf"\b({'|'.join(State)})\.?$")


def guard_state(text: str) -> State | None:
    """The guard's state, from what the loop says of it.

    Parameters
    ----------
    text : str
        Of a guard event, ``"The guard went from armed to stopped."``, or a command's reason,
        ``"guard is disarmed"``.

    Returns
    -------
    state : State or None
        None if it speaks of something else.
    """
    found = _AT_ITS_END.search(text) if "guard" in text.lower() else None
    return None if found is None else State(found.group(1))
