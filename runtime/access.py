"""Who may do what: roles, rights and permissions with an end, as data.

A role may do what its table names and nothing else. What only makes things safer is open to every
role. What lets the machine do more by itself (adaptation, stimulation) needs a clinician and a
second factor, and gives a permission that ends by itself.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Role(StrEnum):
    """What a person is to a session."""

    VIEWER = "viewer"  # looks, and may stop
    OPERATOR = "operator"  # runs the session: arms, lets a speech decoder listen, takes notes
    CLINICIAN = "clinician"  # answers for the participant: resets after a stop, enables
    ENGINEER = "engineer"  # looks after the machine; never arms it


class Action(StrEnum):
    """What a person can ask of a running session."""

    WATCH = "watch"  # see the telemetry
    STATUS = "status"
    STOP = "stop"  # emergency stop
    DISARM = "disarm"
    ARM = "arm"
    RESET = "reset"  # leave the stop behind: to disarmed, never to armed
    LISTEN = "listen"
    IGNORE = "ignore"  # listen no more, and forget
    NOTE = "note"
    ENABLE_ADAPTATION = "enable_adaptation"
    DISABLE_ADAPTATION = "disable_adaptation"
    ROLL_BACK = "roll_back"  # go back to the weights before
    ENABLE_STIMULATION = "enable_stimulation"
    DISABLE_STIMULATION = "disable_stimulation"
    HOLD = "hold"  # a sign of life over the link that a session may require
    LET_GO = "let_go"  # give that link up: disarms


SAFER = frozenset(
    {
        Action.STOP, Action.DISARM, Action.IGNORE, Action.DISABLE_ADAPTATION,
        Action.DISABLE_STIMULATION, Action.LET_GO,
    }
)  # fmt: skip
"""What only makes things safer: open to everybody who is known, locked or not, however often."""

LOOKING = frozenset({Action.WATCH, Action.STATUS})
"""What changes nothing."""

_EVERYBODY = SAFER | LOOKING
_OPERATOR = _EVERYBODY | {
    Action.ARM, Action.LISTEN, Action.NOTE, Action.ROLL_BACK, Action.HOLD,
}  # fmt: skip

RIGHTS: Mapping[Role, frozenset[Action]] = MappingProxyType(
    {
        Role.VIEWER: frozenset(_EVERYBODY),
        Role.OPERATOR: frozenset(_OPERATOR),
        Role.CLINICIAN: frozenset(
            _OPERATOR | {Action.RESET, Action.ENABLE_ADAPTATION, Action.ENABLE_STIMULATION}
        ),
        Role.ENGINEER: frozenset(_EVERYBODY | {Action.NOTE, Action.ROLL_BACK}),
    }
)
"""What each role may do; what is not here is refused."""

SECOND_FACTOR = frozenset({Action.ENABLE_ADAPTATION, Action.ENABLE_STIMULATION})
"""What needs a one-time code each time, and grants a permission with an end."""

WITHDRAWN_BY: Mapping[Action, Action] = MappingProxyType(
    {
        Action.DISABLE_ADAPTATION: Action.ENABLE_ADAPTATION,
        Action.DISABLE_STIMULATION: Action.ENABLE_STIMULATION,
    }
)
"""Which permission an action takes away."""


def may(role: Role, action: Action) -> bool:
    """Say whether a role has the right to an action, apart from codes and locks."""
    return action in RIGHTS[role]


class Why(StrEnum):
    """Why somebody was refused."""

    NO_KEY = "no key"  # it could not prove any, or took another key for the session's
    UNKNOWN_KEY = "unknown key"
    REVOKED = "revoked key"
    UNREADABLE = "unreadable request"
    REPLAYED = "replayed request"
    TOO_MANY = "too many requests"
    NOT_ALLOWED = "role does not allow it"
    CODE_MISSING = "second factor missing"
    CODE_WRONG = "second factor wrong or expired"
    CODE_USED = "second factor used before"
    LOCKED = "locked after a time without an act"
    LOCKED_OUT = "locked out after wrong codes"
    UNCHECKED = "people or codes cannot be checked"
    NO_LINK = "required link is not held"
    NOT_NOW = "not possible now"


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """What a person has allowed the machine, until when.

    Parameters
    ----------
    action : Action
        One of `SECOND_FACTOR`.
    who : str
        Pseudonym of who allowed it.
    until_ns : int
        Loop time at which it ends.
    """

    action: Action
    who: str
    until_ns: int


class Permissions:
    """What is allowed at the moment; safe from any thread. Empty at the start of a session."""

    def __init__(self) -> None:
        self._held: dict[Action, Permission] = {}
        self._lock = threading.Lock()

    def grant(self, permission: Permission) -> None:
        """Allow something until a time; a later grant takes the place of an earlier one."""
        with self._lock:
            self._held[permission.action] = permission

    def withdraw(self, action: Action) -> bool:
        """Allow it no more; True if it was allowed."""
        with self._lock:
            return self._held.pop(action, None) is not None

    def withdraw_all(self) -> None:
        """Allow nothing any more, as after an emergency stop."""
        with self._lock:
            self._held.clear()

    def holds(self, action: Action, now_ns: int) -> bool:
        """Say whether something is allowed now.

        Parameters
        ----------
        action : Action
            One of `SECOND_FACTOR`.
        now_ns : int
            Loop time.

        Returns
        -------
        allowed : bool
            False from the permission's end on.
        """
        return self.current(action, now_ns) is not None

    def current(self, action: Action, now_ns: int) -> Permission | None:
        """The permission itself, with who gave it; None if there is none now."""
        with self._lock:
            held = self._held.get(action)
        return held if held is not None and now_ns < held.until_ns else None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessNote:
    """Something that was done or refused at a door, for the record.

    Parameters
    ----------
    at_ns : int
        Loop time.
    who : str
        Pseudonym, or the first characters of a key that nobody knows.
    role : str
        Role of the person; empty for somebody unknown.
    action : str
        What was asked; empty if that cannot be said.
    done : bool
        Whether it was.
    why : Why, optional
        Why not.
    text : str
        One sentence for a person.
    peer : str
        Address of the other end, as far as it is known.
    """

    at_ns: int
    who: str
    role: str = ""
    action: str = ""
    done: bool = False
    why: Why | None = None
    text: str = ""
    peer: str = ""
