"""Whether somebody who is known may do something now: right, second factor, locks, pace.

State machines without sockets, for the thread of the link; time is passed in.
"""

from __future__ import annotations

from .access import LOOKING, SAFER, SECOND_FACTOR, Action, Why, may
from .people import People, Person
from .second_factor import SecondFactors

# What no lock holds up: a locked screen goes on showing, and a held link goes on being held.
_NEVER_LOCKED = SAFER | LOOKING | {Action.HOLD}


class Judge:
    """Says whether a person may do something now.

    Parameters
    ----------
    people : People
        Whom this machine knows.
    codes : SecondFactors
        Who checks one-time codes.
    lock_ns : int
        After so long without an act, a person gives a code again.
    began_ns : int
        When the session began: from then on everybody's time counts.
    """

    def __init__(
        self, people: People, codes: SecondFactors, *, lock_ns: int, began_ns: int
    ) -> None:
        self._people = people
        self._codes = codes
        self._lock_ns = lock_ns
        self._began_ns = began_ns
        self._last_ns: dict[str, int] = {}

    def known(self, key: str) -> Person | Why:
        """Who has a key, or why nobody who counts does."""
        person = self._people.by_key(key)
        if person is None:
            return Why.UNKNOWN_KEY
        return Why.REVOKED if person.revoked else person

    def verdict(self, person: Person, action: Action, code: str, now_ns: int) -> Why | None:
        """Judge an action; a code that is taken here is used up.

        Parameters
        ----------
        person : Person
            Who asks, on the list and not revoked.
        action : Action
            What for.
        code : str
            One-time code, or empty.
        now_ns : int
            Loop time.

        Returns
        -------
        why : Why, optional
            None if the action may be done.
        """
        if not may(person.role, action):
            return Why.NOT_ALLOWED
        if action in _NEVER_LOCKED:
            if action is not Action.HOLD and not self.locked(person.name, now_ns):
                self._acted(person.name, action, now_ns)
            return None
        if self._people.fault:
            return Why.UNCHECKED
        if barred := self._codes.locked_out(person.name):
            return barred
        locked = self.locked(person.name, now_ns)
        if locked or action in SECOND_FACTOR:
            if not code:
                return Why.LOCKED if locked else Why.CODE_MISSING
            if why := self._codes.check(person.name, person.secret, code):
                return why
        self._acted(person.name, action, now_ns)
        return None

    def locked(self, name: str, now_ns: int) -> bool:
        """Say whether a person has to give a code again."""
        return now_ns - self._last_ns.get(name, self._began_ns) > self._lock_ns

    def _acted(self, name: str, action: Action, now_ns: int) -> None:
        if action not in LOOKING:
            self._last_ns[name] = now_ns


class Pace:
    """How many requests somebody may send: a bucket that fills by itself.

    Parameters
    ----------
    rate_hz : float
        How fast it fills.
    most : float
        How much it holds.
    """

    def __init__(self, rate_hz: float, most: float) -> None:
        self._rate_hz = rate_hz
        self._most = most
        self._left = most
        self._at_ns: int | None = None

    def take(self, now_ns: int) -> bool:
        """Take one request out; False if there is none left."""
        if self._at_ns is not None:
            filled = (now_ns - self._at_ns) / 1e9 * self._rate_hz
            self._left = min(self._most, self._left + filled)
        self._at_ns = now_ns
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Count:
    """Numbers of requests of one connection: each must be higher than all before."""

    def __init__(self) -> None:
        self._last = 0

    def take(self, n: int) -> bool:
        """Count a request; False if it, or a later one, was counted before."""
        if n <= self._last:
            return False
        self._last = n
        return True
