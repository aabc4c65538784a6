"""What the one big light says of a session."""

from __future__ import annotations

from enum import StrEnum

from .session import Checked, Order, Output, Session, Step


class Light(StrEnum):
    """What the one big light says."""

    READY = "ready"
    WAITING = "waiting"  # for a signal that is good enough
    WORKING = "working"
    FEEDBACK = "feedback"
    PAUSED = "paused"
    STOPPED = "stopped"
    FAULT = "fault"


def light_of(session: Session, *, alarmed: bool = False) -> Light:
    """Say what the big light shows.

    Parameters
    ----------
    session : Session
        As it is.
    alarmed : bool
        Whether something of the highest priority is wrong now.

    Returns
    -------
    light : Light
        A stop goes before a fault, a fault before everything else.
    """
    if session.output is Output.STOPPED:
        return Light.STOPPED
    if alarmed or session.checked is Checked.BAD:
        return Light.FAULT
    if session.output is Output.ON:
        return Light.FEEDBACK
    if session.output is Output.HOLDING or session.step is Step.BREAK:
        return Light.PAUSED
    if session.task not in (None, Order.WATCH):
        return Light.WORKING
    seen = session.electrodes or not session.watchable
    if session.too_many_bad or (session.step is Step.SIGNAL and not seen):
        return Light.WAITING
    return Light.READY
