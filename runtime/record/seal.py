"""A signature beside what it speaks of: who vouches for a model, a session file, an engine.

A seal is a small JSON file with a public key and an Ed25519 signature. What is signed is the
SHA-256 of the content together with what it is: a seal of a session is none of a model. That a seal
holds says only that the holder of that key has seen exactly this content; whether the key is one
to be trusted is for `diverloop.runtime.record.trusted` to say.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from .signing import PrivateKey, PublicKey, canonical, fingerprint, public_text, sign, verify

FORMAT_VERSION = 1
_MOST_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Seal:
    """A public key and what its other half has signed.

    Parameters
    ----------
    public : PublicKey
        Who.
    signature : bytes
        64 of them.
    """

    public: PublicKey
    signature: bytes

    @property
    def fingerprint(self) -> str:
        """Of the key, for people to compare."""
        return fingerprint(self.public)

    def holds(self, what: str, sha256: str) -> bool:
        """Whether it was given for exactly this content.

        Parameters
        ----------
        what : str
            ``"bundle"``, ``"session"`` or ``"engines"``.
        sha256 : str
            Of the content, in hexadecimal.

        Returns
        -------
        holds : bool
            True if so.
        """
        return verify(self.public, _signed_bytes(what, sha256), self.signature)

    def to_bytes(self) -> bytes:
        """What `parse_seal` reads."""
        content = {
            "format": FORMAT_VERSION,
            "public_key": public_text(self.public),
            "signature": self.signature.hex(),
        }
        return (json.dumps(content, indent=2, sort_keys=True) + "\n").encode()


def give_seal(what: str, sha256: str, key: PrivateKey) -> Seal:
    """Vouch for content.

    Parameters
    ----------
    what : str
        What it is, see `Seal.holds`.
    sha256 : str
        Of the content, in hexadecimal.
    key : PrivateKey
        Who vouches.

    Returns
    -------
    seal : Seal
        The same every time.
    """
    return Seal(key.public, sign(key, _signed_bytes(what, sha256)))


def parse_seal(content: bytes, where: str) -> Seal:
    """Read what `Seal.to_bytes` wrote.

    Parameters
    ----------
    content : bytes
        The file.
    where : str
        Its name, for the error.

    Returns
    -------
    seal : Seal
        Not checked against anything yet.

    Raises
    ------
    ConfigError
        If it is none.
    """
    try:
        told: Any = json.loads(content) if len(content) <= _MOST_BYTES else None
        version, key, text = (told[name] for name in ("format", "public_key", "signature"))
        signature = bytes.fromhex(text)
        public = PublicKey.from_text(key)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ConfigError(
            f"{where} is no signature of diverloop: it is damaged, so copy it again from where it "
            f"came, or have it signed again."
        ) from error
    if version != FORMAT_VERSION or len(signature) != 64:
        raise ConfigError(
            f"{where} is a signature of format {version!r} with {len(signature)} bytes, this "
            f"diverloop reads format {FORMAT_VERSION} with 64: update diverloop, or sign again."
        )
    return Seal(public, signature)


def read_seal(path: Path) -> Seal | None:
    """Read a seal from a file.

    Parameters
    ----------
    path : Path
        Where it should be.

    Returns
    -------
    seal : Seal or None
        None if there is no such file.

    Raises
    ------
    ConfigError
        If it cannot be read, or is none.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(
            f"The signature {path} cannot be read ({error.strerror}): check its rights."
        ) from error
    return parse_seal(content, str(path))


def _signed_bytes(what: str, sha256: str) -> bytes:
    return canonical({"diverloop": what, "format": FORMAT_VERSION, "sha256": sha256})
