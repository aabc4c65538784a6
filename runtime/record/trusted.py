"""Whose signatures count: this user's own, and those that this user has said so of.

The list is one small file in the configuration folder, beside the key that signs. Nothing gets
into it by itself: a key is trusted because a person compared its fingerprint and added it.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import stat
import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from ..errors import ConfigError
from .manifest import utc_now
from .seal import Seal
from .signing import KEY_NAME, configuration_folder, fingerprint, load_or_create_key, sync_folder

TRUSTED_NAME = "trusted.json"
"""The list's file in the configuration folder."""

FORMAT_VERSION = 1
"""Of the list; one without a format is of before there were any, and reads the same."""

_MOST_BYTES = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedKey:
    """A key whose signatures count.

    Parameters
    ----------
    name : str
        Whose it is, as this user calls it; a pseudonym will do.
    fingerprint : str
        Of the public key, in groups of four digits.
    added_utc : str
        When it was added, ISO 8601.
    """

    name: str
    fingerprint: str
    added_utc: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a signature is worth to this user.

    Parameters
    ----------
    signed_by : str
        Fingerprint of the key; empty if nobody signed.
    name : str
        Whose key it is: ``"this user"``, or as the list calls it; empty if nobody knows.
    """

    signed_by: str = ""
    name: str = ""

    @property
    def trusted(self) -> bool:
        """Whether it counts."""
        return bool(self.name)

    def words(self) -> str:
        """Who signed, as part of a sentence."""
        if not self.signed_by:
            return "signed by nobody"
        if not self.name:
            return f"signed by a key that this user does not trust ({self.signed_by})"
        return f"signed by {self.name} ({self.signed_by})"


def standing_of(seal: Seal | None, folder: Path | None = None) -> Standing:
    """Say what a seal that holds is worth to this user.

    Parameters
    ----------
    seal : Seal or None
        Checked; None for what is not signed.
    folder : Path, optional
        The configuration folder.

    Returns
    -------
    standing : Standing
        Of its key.

    Raises
    ------
    ConfigError
        If this user's key or list cannot be used.
    """
    if seal is None:
        return Standing()
    folder = folder or configuration_folder()
    mark = seal.fingerprint
    if (folder / KEY_NAME).exists() and load_or_create_key(folder).public == seal.public:
        return Standing(signed_by=mark, name="this user")
    named = {key.fingerprint: key.name for key in read_trusted(folder)}
    return Standing(signed_by=mark, name=named.get(mark, ""))


def own_standing(folder: Path | None = None) -> Standing:
    """What this user's own signature is worth; the key is made if there is none yet."""
    return Standing(signed_by=fingerprint(load_or_create_key(folder).public), name="this user")


def read_trusted(folder: Path | None = None) -> tuple[TrustedKey, ...]:
    """Read the list.

    Parameters
    ----------
    folder : Path, optional
        The configuration folder.

    Returns
    -------
    keys : tuple of TrustedKey
        In the order in which they were added; empty if there is no list.

    Raises
    ------
    ConfigError
        If it cannot be read, is damaged, or others may write to it.
    """
    path = (folder or configuration_folder()) / TRUSTED_NAME
    try:
        with path.open("rb") as file:
            _check_rights(path, os.fstat(file.fileno()).st_mode)
            content = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise ConfigError(
            f"The list of trusted keys {path} cannot be read ({error.strerror}): check its rights."
        ) from error
    try:
        if len(content) > _MOST_BYTES:
            raise ValueError(f"it is longer than {_MOST_BYTES} bytes")
        told = json.loads(content)
        if (version := told.get("format", FORMAT_VERSION)) != FORMAT_VERSION:
            raise ValueError(f"it has format {version!r}, this diverloop reads {FORMAT_VERSION}")
        keys = msgspec.convert(told["keys"], tuple[TrustedKey, ...])
        return tuple(replace(key, fingerprint=_as_fingerprint(key.fingerprint)) for key in keys)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ConfigError(
            f"{path} is no list of trusted keys ({error}): put it back from a copy, or move it "
            f"away and add the keys again."
        ) from error


def add_trusted(mark: str, name: str, folder: Path | None = None) -> TrustedKey:
    """Let a key's signatures count from now on.

    Parameters
    ----------
    mark : str
        Its fingerprint, spaces or not.
    name : str
        Whose it is.
    folder : Path, optional
        The configuration folder.

    Returns
    -------
    key : TrustedKey
        As it stands in the list now.

    Raises
    ------
    ConfigError
        If it is no fingerprint, the name is empty or taken, the key is there already, or the list
        cannot be written.
    """
    folder = folder or configuration_folder()
    key = TrustedKey(name=_as_name(name), fingerprint=_as_fingerprint(mark), added_utc=utc_now())
    keys = read_trusted(folder)
    for one in keys:
        if one.fingerprint == key.fingerprint or one.name == key.name:
            raise ConfigError(
                f"{one.name!r} ({one.fingerprint}) is trusted already: remove it first with "
                f"diverloop trust remove, or take another name."
            )
    _write(folder, (*keys, key))
    return key


def remove_trusted(mark: str, folder: Path | None = None) -> TrustedKey:
    """Let a key's signatures count no more.

    Parameters
    ----------
    mark : str
        Its name or its fingerprint.
    folder : Path, optional
        The configuration folder.

    Returns
    -------
    key : TrustedKey
        As it stood in the list.

    Raises
    ------
    ConfigError
        If it is not in the list, or that cannot be written.
    """
    folder = folder or configuration_folder()
    keys = read_trusted(folder)
    bare = "".join(mark.split()).lower()
    for one in keys:
        if mark == one.name or bare == "".join(one.fingerprint.split()):
            _write(folder, tuple(key for key in keys if key is not one))
            return one
    known = ", ".join(key.name for key in keys) or "nobody"
    raise ConfigError(f"{mark!r} is not trusted, so it cannot be removed; trusted are: {known}.")


def _as_fingerprint(mark: str) -> str:
    digits = "".join(mark.split()).lower()
    if not re.fullmatch(r"[0-9a-f]{32}", digits):
        raise ConfigError(
            f"{mark!r} is no fingerprint, which is 32 of the digits 0-9 and a-f: copy it whole, or "
            f"name a file that the key has signed."
        )
    return " ".join(digits[at : at + 4] for at in range(0, 32, 4))


def _as_name(name: str) -> str:
    text = " ".join(name.split())
    if not text or len(text) > 80 or not text.isprintable() or text == "this user":
        raise ConfigError(
            f"--name must be 1 to 80 letters that say whose key it is, got {name!r}: take a "
            f"pseudonym, for example lab-a."
        )
    return text


def _check_rights(path: Path, mode: int) -> None:
    if sys.platform != "win32" and mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ConfigError(
            f"The list of trusted keys {path} has rights {stat.S_IMODE(mode):04o}, so that others "
            f"could add to it, allowed is 0600: look through it, then run chmod 600 on it."
        )


def _write(folder: Path, keys: tuple[TrustedKey, ...]) -> None:
    """Replace the list, whole or not at all."""
    path = folder / TRUSTED_NAME
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    text = (
        json.dumps({"format": FORMAT_VERSION, "keys": msgspec.to_builtins(keys)}, indent=2) + "\n"
    )
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        sync_folder(folder)
    except OSError as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise ConfigError(
            f"The list of trusted keys {path} cannot be written ({error.strerror}): check disk and "
            f"rights."
        ) from error
