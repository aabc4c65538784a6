"""A label and a shift of dates that follow from a participant's name, but not back to it."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime, timedelta

# Whatever the participant's shift, a session of 2020 to 2037 then falls between 1902 and 1924:
# before 1925 a date is known to be shifted, and MNE stores none before 14 December 1901.
_SHIFT_DAYS = range(41_300, 43_100)
_OLDEST = datetime(1901, 12, 14, tzinfo=UTC)
_WITHOUT_KEY = b"diverloop: no key was given"


def pseudonym(name: str, key: str = "") -> str:
    """Six letters that stand for a participant: equal for an equal name and key.

    Parameters
    ----------
    name : str
        How the participant was called in the recording.
    key : str
        Secret of the laboratory.

    Returns
    -------
    label : str
        Six lower-case letters, from an HMAC-SHA256 of the name.
    """
    number = _keyed_number("participant", name, key)
    letters = ""
    for _ in range(6):
        number, letter = divmod(number, 26)
        letters += chr(ord("a") + letter)
    return letters


def shift_for(name: str, key: str = "") -> int:
    """Days by which a participant's dates move into the past.

    Parameters
    ----------
    name, key : str
        As for `pseudonym`.

    Returns
    -------
    days : int
        41300 to 43099, equal for an equal name and key; sessions of 2020 to 2037 then fall
        before 1925.
    """
    return _SHIFT_DAYS[_keyed_number("days", name, key) % len(_SHIFT_DAYS)]


def _keyed_number(purpose: str, name: str, key: str) -> int:
    """A number that follows from a name, but from which no name follows."""
    said = f"{purpose}:{name.strip().casefold()}".encode()
    digest = hmac.new(key.encode() or _WITHOUT_KEY, said, hashlib.sha256).digest()
    return int.from_bytes(digest)


def shifted(utc: str, days: int) -> str:
    """Move a moment into the past.

    Parameters
    ----------
    utc : str
        ISO 8601; UTC where it names no zone.
    days : int
        By how much.

    Returns
    -------
    utc : str
        ISO 8601 to the microsecond, or empty where there was no date, or where a clock that was
        wrong by decades would lead out of the range that readers can store.
    """
    try:
        moment = datetime.fromisoformat(utc)
    except ValueError:
        return ""
    moment = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    if days and moment < _OLDEST + timedelta(days=days):
        return ""
    return (moment - timedelta(days=days)).isoformat(timespec="microseconds")
