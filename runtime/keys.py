"""CURVE keys: by which a person and a session know each other, and nobody else reads along.

Curve25519 keys as ZeroMQ uses them (Hintjens, 2013: CurveZMQ, after Bernstein's CurveCP), written
in its 40 characters (Z85). A person's key file holds both halves and the public key of the machine
that it was made for; the machine's own key stays in the configuration folder.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import zmq
from zmq.utils import z85

from .errors import ConfigError
from .private_file import read_private, write_private
from .record.signing import configuration_folder

SERVER_KEY = "control-key.json"
"""The machine's own key, in the configuration folder."""

_LENGTH = 40
_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveKey:
    """Both halves of a key; its text never shows the secret.

    Parameters
    ----------
    public, secret : str
        40 characters each.
    """

    public: str
    secret: str = field(repr=False)

    def __post_init__(self) -> None:
        for half, what in ((self.public, "public"), (self.secret, "secret")):
            check_key(half, f"The {what} half of a key")


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonKey:
    """What a person's key file holds.

    Parameters
    ----------
    name : str
        The person's pseudonym.
    key : CurveKey
        Both halves.
    server : str
        Public key of the machine that knows the person.
    """

    name: str
    key: CurveKey
    server: str


class _KeyFile(msgspec.Struct, forbid_unknown_fields=True):
    format: int
    name: str
    public: str
    secret: str
    server: str = ""


def check_curve() -> None:
    """Raise `ConfigError` if ZeroMQ was built without its encryption."""
    if not zmq.has("curve"):
        raise ConfigError(
            "This ZeroMQ was built without CURVE, so nobody could be told from anybody: install "
            "pyzmq from PyPI, or set control.enabled = false."
        )


def new_curve_key() -> CurveKey:
    """Draw a key that is stored nowhere; raises `ConfigError` where `check_curve` does."""
    check_curve()
    public, secret = zmq.curve_keypair()
    return CurveKey(public=public.decode(), secret=secret.decode())


def check_key(text: str, what: str) -> None:
    """Raise `ConfigError` if a text is no half of a key."""
    try:
        good = len(text) == _LENGTH and len(z85.decode(text.encode("ascii"))) == 32
    except (ValueError, LookupError, struct.error):
        good = False
    if not good:
        # Not what was got: it may be a secret that somebody mistyped.
        raise ConfigError(
            f"{what} has 40 characters of Z85, got {len(text)}: copy it again, whole."
        )


def short_key(public: str) -> str:
    """Shorten a public key for people to compare: 16 digits of its SHA-256."""
    digits = hashlib.sha256(public.encode("utf-8", "replace")).hexdigest()[:16]
    return " ".join(digits[at : at + 4] for at in range(0, len(digits), 4))


def write_person_key(path: Path, person: PersonKey) -> None:
    """Put a person's key file in a new place, for this user alone; never over another.

    Raises
    ------
    ConfigError
        If there is a file already, or it cannot be written.
    """
    if path.exists() or not _write(path, person.name, person.key, person.server):
        raise ConfigError(f"{path} exists, and a key is never overwritten: name another file.")


def read_person_key(path: Path) -> PersonKey:
    """Read a person's key file.

    Raises
    ------
    ConfigError
        If there is none, it is damaged, or others have rights to it.
    """
    try:
        held = _read(path)
    except FileNotFoundError as error:
        raise ConfigError(
            f"There is no key file {path}: make one with diverloop keys new, on the machine that "
            f"runs the session."
        ) from error
    return PersonKey(
        name=held.name, key=CurveKey(public=held.public, secret=held.secret), server=held.server
    )


def server_key(folder: Path | None = None) -> CurveKey:
    """Read the machine's own key; draw one the first time.

    Of two processes that draw one at the same moment both get the one that was first in its place.

    Parameters
    ----------
    folder : Path, optional
        Where; the configuration folder by default.

    Returns
    -------
    key : CurveKey
        In a file for this user alone.

    Raises
    ------
    ConfigError
        If the file is damaged, cannot be written, or others have rights to it.
    """
    path = (folder or configuration_folder()) / SERVER_KEY
    try:
        held = _read(path)
    except FileNotFoundError:
        _write(path, "server", new_curve_key(), "")
        held = _read(path)
    return CurveKey(public=held.public, secret=held.secret)


def _read(path: Path) -> _KeyFile:
    data = read_private(path, "key file", 4096)
    try:
        held = msgspec.json.decode(data, type=_KeyFile)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"The key file {path} is damaged ({error}): put it back from a copy, or make another."
        ) from error
    if held.format != _FORMAT:
        raise ConfigError(
            f"The key file {path} has format {held.format}, this version reads {_FORMAT}: use the "
            f"diverloop that made it."
        )
    return held


def _write(path: Path, name: str, key: CurveKey, server: str) -> bool:
    """Put a key in its place; False if there is one already, which stays."""
    held = _KeyFile(format=_FORMAT, name=name, public=key.public, secret=key.secret, server=server)
    data = msgspec.json.format(msgspec.json.encode(held)) + b"\n"
    return write_private(path, data, "key file", first=True)
