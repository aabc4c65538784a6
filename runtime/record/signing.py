"""Ed25519 signatures, and the key with which this user's diverloop signs.

A signature says that whoever holds the private key has seen exactly these bytes (Bernstein et
al., 2012; RFC 8032). The private key stays in the user's own configuration folder; its public
half travels with everything that it signs, and people compare its fingerprint.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import secrets
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigError

KEY_NAME = "signing-key.pem"
"""The private key's file in the configuration folder."""

_BINARY = getattr(os, "O_BINARY", 0)  # Windows would write a carriage return into the file
_BEGIN_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The half that checks signatures.

    Parameters
    ----------
    raw : bytes
        32 bytes, as RFC 8032 writes them.

    Raises
    ------
    ConfigError
        If there are more or fewer.
    """

    raw: bytes

    def __post_init__(self) -> None:
        if len(self.raw) != 32:
            raise ConfigError(
                f"A public key has 32 bytes, got {len(self.raw)}: copy it again, whole."
            )

    @classmethod
    def from_text(cls, text: str) -> PublicKey:
        """Read what `public_text` wrote; raise `ConfigError` for anything else."""
        try:
            raw = bytes.fromhex(text)
        except ValueError:
            raw = b""
        if len(raw) != 32 or raw.hex() != text:
            raise ConfigError(
                f"{text!r} is no public key, which is 64 of the digits 0-9 and a-f: copy it again."
            )
        return cls(raw)


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """The half that signs; its text never shows the secret.

    Parameters
    ----------
    seed : bytes
        32 bytes, as RFC 8032 writes them.
    public : PublicKey
        The other half.
    """

    seed: bytes = field(repr=False)
    public: PublicKey


def new_key() -> PrivateKey:
    """Draw a key that is stored nowhere."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return _wrap(Ed25519PrivateKey.generate())


def sign(key: PrivateKey, data: bytes) -> bytes:
    """Sign bytes; the same bytes always give the same 64 bytes.

    Parameters
    ----------
    key : PrivateKey
        Who signs.
    data : bytes
        What is signed.

    Returns
    -------
    signature : bytes
        64 of them.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(key.seed).sign(data)


def verify(public: PublicKey, data: bytes, signature: bytes) -> bool:
    """Say whether the holder of a key has signed exactly these bytes.

    Parameters
    ----------
    public : PublicKey
        Whose signature it should be.
    data : bytes
        What should have been signed.
    signature : bytes
        Of any length; only the right 64 bytes will do.

    Returns
    -------
    genuine : bool
        True if so.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public.raw).verify(signature, data)
    except (InvalidSignature, ValueError):  # ValueError: no point on the curve
        return False
    return True


def public_text(key: PrivateKey | PublicKey) -> str:
    """Write a public key, or that of a private one, as 64 hexadecimal digits."""
    return (key.public if isinstance(key, PrivateKey) else key).raw.hex()


def fingerprint(public: PublicKey) -> str:
    """Shorten a public key for people to compare: half its SHA-256, in groups of four digits."""
    digits = hashlib.sha256(public.raw).hexdigest()[:32]
    return " ".join(digits[at : at + 4] for at in range(0, len(digits), 4))


def canonical(value: Any) -> bytes:
    """Write plain values as the one line of JSON that is hashed and signed.

    Keys are sorted, there is no space, letters are UTF-8 as they are, and a number looks as
    Python writes it, which is also what it becomes again when it is read.

    Parameters
    ----------
    value : dict, list, str, number, bool or None
        May be nested.

    Returns
    -------
    line : bytes
        Without a newline, at its end or inside.

    Raises
    ------
    ValueError
        For NaN, infinity, and text with half a surrogate pair.
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def plain(value: Any) -> Any:
    """Make of a value what `canonical` can write: a fault must not go unsigned over its form.

    NaN and infinity become None, as JSON has no word for them; tuples become lists, numpy's
    numbers Python's, keys text; half a surrogate pair is spelled out.

    Parameters
    ----------
    value : mapping, list, tuple, str, number, bool or None
        May be nested.

    Returns
    -------
    value : dict, list, str, int, float, bool or None
        In memory of its own.

    Raises
    ------
    ConfigError
        For anything else.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {plain(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    raise ConfigError(
        f"{value!r} is {type(value).__name__}, allowed are text, numbers, true, false, null, and "
        f"lists and mappings of them: convert it first."
    )


def configuration_folder() -> Path:
    """Where this user's settings live: ``DIVERLOOP_HOME``, else the platform's own place.

    Raises
    ------
    ConfigError
        If the user has no home folder.
    """
    if chosen := os.environ.get("DIVERLOOP_HOME"):
        return Path(chosen)
    try:
        home = Path.home()
    except RuntimeError as error:
        raise ConfigError(
            "This user has no home folder to keep a key in: set DIVERLOOP_HOME to a private one."
        ) from error
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA") or home / "AppData" / "Roaming") / "diverloop"
    if sys.platform == "darwin":
        return home / "Library" / "Application Support" / "diverloop"
    return Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") / "diverloop"


def load_or_create_key(folder: str | Path | None = None) -> PrivateKey:
    """Read this user's key; draw one the first time.

    Two processes that start at the same moment end with the same key: each writes a draft of its
    own, and the one that first gives it the name wins.

    Parameters
    ----------
    folder : str or Path, optional
        Where; `configuration_folder` by default. Made if missing, for this user only.

    Returns
    -------
    key : PrivateKey
        PKCS #8 in PEM on disk, readable and writable by this user alone.

    Raises
    ------
    ConfigError
        If the file cannot be read or written, is no Ed25519 key, or others have rights to it.
    """
    path = Path(folder or configuration_folder()) / KEY_NAME
    try:
        if not path.exists():
            _create(path)
        return _load(path)
    except OSError as error:
        raise ConfigError(
            f"The signing key {path} cannot be read or made ({error.strerror}): correct the "
            f"folder's rights, or set DIVERLOOP_HOME to another private folder."
        ) from error


def write_through(handle: int, data: bytes) -> None:
    """Write bytes in one call and bring them to the disk.

    Parameters
    ----------
    handle : int
        An open file.
    data : bytes
        All or an error; after an error a part of them may have been written.

    Raises
    ------
    OSError
        As the system gives it, or ENOSPC if it took only a part.
    """
    taken = os.write(handle, data)
    if taken < len(data):
        why = f"{os.strerror(errno.ENOSPC)}, {taken} of {len(data)} bytes fitted"
        raise OSError(errno.ENOSPC, why)
    os.fsync(handle)


def sync_folder(folder: Path) -> None:
    """Bring a folder's list of files to the disk; Windows has no such call and needs none."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _create(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        handle = os.open(draft, _BEGIN_FILE, 0o600)
        try:
            write_through(handle, _pem(new_key()))
        finally:
            os.close(handle)
        _name_first(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)


def _name_first(draft: Path, path: Path) -> None:
    """Give the draft its name, unless another process was faster."""
    try:
        if sys.platform == "win32":
            draft.rename(path)  # never replaces a file there, as it would on POSIX
        else:
            os.link(draft, path)
    except FileExistsError:
        return


def _load(path: Path) -> PrivateKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    with path.open("rb") as file:
        _check_private(path, os.fstat(file.fileno()).st_mode)
        pem = file.read()
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: it wants a password
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(
            f"{path} is not an Ed25519 private key without a password: put it back from a copy, "
            f"or move it away so that a new one is made."
        )
    return _wrap(key)


def _check_private(path: Path, mode: int) -> None:
    if sys.platform != "win32" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(
            f"The signing key {path} has rights {stat.S_IMODE(mode):04o}, so that others could "
            f"sign with it, allowed is 0600: if nobody did, run chmod 600 on it, else move it "
            f"away so that a new one is made."
        )


def _wrap(key: Any) -> PrivateKey:
    return PrivateKey(key.private_bytes_raw(), PublicKey(key.public_key().public_bytes_raw()))


def _pem(key: PrivateKey) -> bytes:
    from cryptography.hazmat.primitives import serialization as forms
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(key.seed).private_bytes(
        forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.NoEncryption()
    )
