"""Whose models and settings a session accepts.

A live session runs a model that this user, or somebody this user trusts, has signed; a replay runs
any, and says so. A session file with a signature beside it must be what was signed. Where
``security.signed`` is true, in the file or for the whole machine, nothing else is accepted. See
`diverloop.runtime.record.trusted` for who is trusted.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from .bundle import Bundle
from .errors import BundleError, ConfigError
from .record.seal import Seal, give_seal, read_seal
from .record.signing import PrivateKey, configuration_folder, load_or_create_key
from .record.trusted import Standing, standing_of
from .settings import checked
from .toml_file import read_file, read_toml

HOUSE_NAME = "security.toml"
"""What holds for every session of this user: ``signed = true``; in the configuration folder."""

_OPEN = ("session.participant", "session.operator")  # who is there today is nobody's secret plan


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityConfig:
    """What a session accepts.

    Parameters
    ----------
    signed : bool
        Whether the session file and the model must be signed by this user or a trusted key, in a
        replay too, and values on the command line are refused.
    unknown_models : bool
        Whether a live session may run a model that nobody has signed, or somebody unknown; it goes
        on record.
    """

    signed: bool = False
    unknown_models: bool = False

    def __post_init__(self) -> None:
        if self.signed and self.unknown_models:
            raise ConfigError(
                "security.signed and security.unknown_models exclude each other: leave one out."
            )


def house_signed() -> bool:
    """Whether this user's configuration folder asks for signatures everywhere.

    Raises `ConfigError` if its file cannot be used: a rule that cannot be read is not waived.
    """
    path = configuration_folder() / HOUSE_NAME
    if not path.exists():
        return False
    rules = checked("security", read_toml(path, "security file"), {"signed": bool})
    if "signed" not in rules:
        raise ConfigError(f"{path} says nothing of signed: write signed = true, or remove it.")
    return bool(rules["signed"])


def seal_path(path: Path) -> Path:
    """Where the signature of a file lies."""
    return path.with_name(f"{path.name}.sig")


def sign_settings(path: Path, key: PrivateKey | None = None) -> Seal:
    """Vouch for a session file as it is now.

    Parameters
    ----------
    path : Path
        The file; its signature lies beside it, in ``NAME.toml.sig``.
    key : PrivateKey, optional
        Who vouches; this user if not given.

    Returns
    -------
    seal : Seal
        As it lies there now.

    Raises
    ------
    ConfigError
        If the file cannot be read, or the signature not be written.
    """
    seal = give_seal("session", sha256_of(read_file(path)), key or load_or_create_key())
    target = seal_path(path)
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        draft.write_bytes(seal.to_bytes())
        draft.replace(target)
    except OSError as error:
        raise ConfigError(f"{target} cannot be written ({error.strerror}).") from error
    return seal


def check_settings(
    path: Path, content: bytes, signed: bool, overrides: Collection[str]
) -> Standing:
    """Refuse a session file that is not what was signed, or not signed where it must be.

    Parameters
    ----------
    path : Path
        The session file.
    content : bytes
        What was read from it.
    signed : bool
        Whether it asks for signatures itself.
    overrides : collection of str
        Keys that the command line gives other values.

    Returns
    -------
    standing : Standing
        Who vouches for it.

    Raises
    ------
    ConfigError
        If it is refused.
    """
    seal = read_seal(seal_path(path))
    if seal is not None and not seal.holds("session", sha256_of(content)):
        raise ConfigError(
            f"The file is not the one that was signed ({seal.fingerprint}): take back what was "
            f"changed, or look through it and run diverloop trust sign {path}."
        )
    standing = standing_of(seal)
    if not signed and not house_signed():
        return standing
    if not standing.trusted:
        raise ConfigError(
            f"The session is {standing.words()}, and security.signed asks for this user or a "
            f"trusted key: look through it and run diverloop trust sign {path}."
        )
    if changed := sorted(set(overrides) - set(_OPEN)):
        raise ConfigError(
            f"security.signed lets nothing of the file be changed on the command line, got "
            f"{', '.join(changed)}: change the file and run diverloop trust sign {path}."
        )
    return standing


def sha256_of(content: bytes) -> str:
    """Hash of a file's content, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def vouch(bundle: Bundle, config: SecurityConfig, *, live: bool) -> Standing:
    """Refuse a model that nobody trusted vouches for, if it is to act on somebody.

    Parameters
    ----------
    bundle : Bundle
        The model.
    config : SecurityConfig
        What the session accepts.
    live : bool
        Whether the session is live; a replay takes any model, unless all must be signed.

    Returns
    -------
    standing : Standing
        Who vouches for it.

    Raises
    ------
    BundleError
        If nobody trusted does, and the session neither is a replay nor says that it may.
    """
    standing = bundle.standing()
    strict = config.signed or house_signed()
    if standing.trusted or not (strict or (live and not config.unknown_models)):
        return standing
    raise BundleError(
        f"The model {bundle.folder} is {standing.words()}, and what is live or is signed anew must "
        f"be this user's or a trusted key's: {advice(bundle)}."
    )


def advice(bundle: Bundle) -> str:
    """What to do about a model that a live session refuses, as the end of a sentence."""
    return (
        f"run diverloop trust add {bundle.folder} --name NAME if you know whose key it is, "
        f"diverloop trust sign {bundle.folder} to answer for it, or let this session run any with "
        f"security.unknown_models = true"
    )


def whose(bundle: Bundle) -> tuple[str, ...]:
    """A notice for whoever runs a model that nobody trusted vouches for; empty for any other."""
    standing = bundle.standing()
    return () if standing.trusted else (f"Notice: this model is {standing.words()}.",)
