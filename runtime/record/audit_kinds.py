"""What entries of the audit log are about."""

from __future__ import annotations

from enum import StrEnum

from ..events import EventKind


class AuditKind(StrEnum):
    """What an entry is about."""

    LOG_OPENED = "log_opened"
    SESSION_STARTED = "session_started"
    SESSION_ENDED = "session_ended"
    CONFIGURATION = "configuration"
    MODEL = "model"
    ARMED = "armed"
    DISARMED = "disarmed"
    EMERGENCY_STOP = "emergency_stop"
    GUARD = "guard"  # it changed its state by itself
    WATCHDOG = "watchdog"  # it made the outputs safe, was lost, or is back
    FAULT = "fault"  # of stream, loop, disk or machine; also its end
    LISTENING = "listening"  # a speech decoder began to listen, or stopped
    STIMULATION = "stimulation"  # a train was asked for, denied, delivered, or went wrong
    ACCESS = "access"  # a person did something over the control link, or was refused
    OVERRIDE = "override"
    PROMOTION = "promotion"
    ROLLBACK = "rollback"
    LEARNER = "learner"  # it died, hung or said nonsense; or whether the decoder may change
    NOTE = "note"
    EXPORT = "export"


OF_EVENT = {
    EventKind.GUARD: AuditKind.GUARD,
    EventKind.STOPPED: AuditKind.EMERGENCY_STOP,
    EventKind.WATCHDOG: AuditKind.WATCHDOG,
    EventKind.SENT: AuditKind.WATCHDOG,
    EventKind.PROMOTED: AuditKind.PROMOTION,
    EventKind.LISTENING: AuditKind.LISTENING,
    EventKind.STIMULATION: AuditKind.STIMULATION,
    EventKind.LEARNER: AuditKind.LEARNER,
}
"""What an event of the loop is about; whatever is not here is a fault."""
