"""One-time codes: something a person has, besides a key in a file.

Time-based codes of six digits (RFC 6238, over HOTP of RFC 4226), as any authenticator app shows
them. A code counts once, at its own time or one step of 30 s beside it; five wrong ones lock the
person out for five minutes. What was used is kept in a file, so that another session of this
machine does not take the same code again.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import msgspec

from .access import Why
from .errors import ConfigError
from .private_file import read_private, write_private

STEP_S = 30
DIGITS = 6
SLACK_STEPS = 1  # a person's clock may be off, and typing takes time
MOST_WRONG = 5
LOCKOUT_S = 300.0
_SECRET_BYTES = 20  # what RFC 4226 recommends
_WHAT = "file of used codes"


def utc_s() -> float:
    """Seconds of UTC since 1970, which is what the codes go by."""
    return datetime.now(UTC).timestamp()


def new_secret() -> str:
    """Draw a secret, as authenticator apps take it: 32 letters and digits."""
    return base64.b32encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def totp(secret: str, step: int, digits: int = DIGITS) -> str:
    """The code of a time step.

    Parameters
    ----------
    secret : str
        In base32.
    step : int
        Number of the step: UTC seconds divided by 30.
    digits : int
        How long the code is.

    Returns
    -------
    code : str
        That many digits.

    Raises
    ------
    ConfigError
        If the secret is no base32.

    References
    ----------
    M'Raihi et al. (2005), RFC 4226; M'Raihi et al. (2011), RFC 6238.
    """
    try:
        key = base64.b32decode(secret)
    except ValueError as error:
        raise ConfigError(
            "A secret of a second factor must be base32, and is not: renew it with "
            "diverloop keys renew."
        ) from error
    digest = hmac.digest(key, struct.pack(">Q", step), hashlib.sha1)
    at = digest[-1] & 0x0F
    number = struct.unpack(">I", digest[at : at + 4])[0] & 0x7FFFFFFF
    return str(number % 10**digits).zfill(digits)


def otpauth_uri(name: str, secret: str) -> str:
    """The text that an authenticator app reads, usually as a square of dots.

    Parameters
    ----------
    name : str
        The person's pseudonym.
    secret : str
        In base32.

    Returns
    -------
    uri : str
        An ``otpauth://`` address.
    """
    label = quote(f"diverloop:{name}", safe=":")
    return f"otpauth://totp/{label}?secret={secret}&issuer=diverloop&digits={DIGITS}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Used:
    """What is remembered of a person: newest step used, wrong codes in a row, end of a lock-out."""

    step: int = -1
    wrong: int = 0
    until_s: float = 0.0


class SecondFactors:
    """Checks codes and remembers which were used; safe from any thread.

    Parameters
    ----------
    path : Path
        Where to remember it. Made when the first code is checked.
    now_s : callable
        Gives UTC seconds.
    """

    def __init__(self, path: Path, now_s: Callable[[], float] = utc_s) -> None:
        self._path = path
        self._now_s = now_s
        self._lock = threading.Lock()

    def locked_out(self, name: str) -> Why | None:
        """Say whether somebody has to wait: `Why.LOCKED_OUT`, None, or that nobody can tell."""
        with self._lock:
            try:
                return self._barred(self._read().get(name, _Used()))
            except ConfigError:
                return Why.UNCHECKED

    def ever_used(self, name: str) -> bool:
        """Whether somebody has given a good code at all; also True where nobody can tell."""
        with self._lock:
            try:
                return self._read().get(name, _Used()).step >= 0
            except ConfigError:
                return True

    def check(self, name: str, secret: str, code: str) -> Why | None:
        """Take a code, or say why not.

        Parameters
        ----------
        name : str
            The person's pseudonym.
        secret : str
            The person's secret, in base32.
        code : str
            As it was typed.

        Returns
        -------
        why : Why, optional
            None if the code is good; it is used up then.
        """
        with self._lock:
            try:
                used = self._read()
                before = used.get(name, _Used())
                if barred := self._barred(before):
                    return barred
                why, after = self._judged(before, secret, code)
                if after != before:
                    # Not waiting for the disk: that would hold up everybody else at the door.
                    data = msgspec.json.encode({**used, name: after})
                    write_private(self._path, data, _WHAT, durable=False)
            except ConfigError:
                return Why.UNCHECKED
        return why

    def _barred(self, used: _Used) -> Why | None:
        return Why.LOCKED_OUT if self._now_s() < used.until_s else None

    def _judged(self, used: _Used, secret: str, code: str) -> tuple[Why | None, _Used]:
        now = int(self._now_s() // STEP_S)
        steps = range(max(now - SLACK_STEPS, 0), now + SLACK_STEPS + 1)
        given = code.encode("utf-8", "replace")
        fitting = [s for s in steps if hmac.compare_digest(totp(secret, s).encode(), given)]
        if not fitting:
            wrong = used.wrong + 1
            if wrong < MOST_WRONG:
                return Why.CODE_WRONG, replace(used, wrong=wrong)
            until_s = self._now_s() + LOCKOUT_S
            return Why.CODE_WRONG, replace(used, wrong=0, until_s=until_s)
        if fitting[-1] <= used.step:
            return Why.CODE_USED, used
        return None, _Used(step=fitting[-1])

    def _read(self) -> dict[str, _Used]:
        try:
            data = read_private(self._path, _WHAT)
        except FileNotFoundError:
            return {}
        try:
            return msgspec.json.decode(data, type=dict[str, _Used])
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"The {_WHAT} {self._path} is damaged ({error}): remove it once the codes of the "
                f"last two minutes are over."
            ) from error
