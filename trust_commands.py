"""Commands that say whose models and settings are trusted, and that vouch for them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import AsJson, facts_table, out, plain_errors, print_json
from .runtime.errors import ConfigError

if TYPE_CHECKING:
    from .runtime.record.seal import Seal


trust = typer.Typer(help="Whose signatures count: list, add, remove, sign.", no_args_is_help=True)


@trust.command("list")
def list_keys(json: AsJson = False) -> None:
    """Show this user's own fingerprint and the keys that are trusted."""
    from .runtime.record.trusted import own_standing, read_trusted

    with plain_errors(json):
        own, keys = own_standing().signed_by, read_trusted()
    if json:
        print_json({"own": own, "trusted": [asdict(key) for key in keys]})
        return
    rows = [("this user", own), *((key.name, key.fingerprint) for key in keys)]
    out.print(facts_table(rows))


@trust.command("add")
def add_key(
    what: Annotated[str, typer.Argument(help="A fingerprint, or a bundle or file it signed.")],
    name: Annotated[str, typer.Option(help="Whose key it is; a pseudonym will do.")],
    json: AsJson = False,
) -> None:
    """Trust a key. Compare its fingerprint with its owner first, by voice or on paper."""
    from .runtime.record.trusted import add_trusted

    with plain_errors(json):
        path = Path(what)
        key = add_trusted(_seal_of(path).fingerprint if path.exists() else what, name)
    if json:
        print_json(asdict(key))
        return
    out.print(f"Trusted: {key.name} ({key.fingerprint}).", highlight=False, markup=False)
    out.print("Compare the fingerprint with its owner; if it differs: diverloop trust remove.")


@trust.command("remove")
def remove_key(
    what: Annotated[str, typer.Argument(help="Its name or its fingerprint.")], json: AsJson = False
) -> None:
    """Trust a key no more."""
    from .runtime.record.trusted import remove_trusted

    with plain_errors(json):
        key = remove_trusted(what)
    if json:
        print_json(asdict(key))
        return
    out.print(f"No longer trusted: {key.name} ({key.fingerprint}).", highlight=False, markup=False)


@trust.command("sign")
def sign_file(
    what: Annotated[Path, typer.Argument(help="A bundle or a session file.")], json: AsJson = False
) -> None:
    """Vouch for a model or a session file, as it is now, with this user's key."""
    from .runtime.bundle import sign_bundle
    from .runtime.security import sign_settings

    with plain_errors(json):
        if what.suffix == ".toml":
            _check_session(what)
            seal = sign_settings(what)
        else:
            seal = sign_bundle(what)
    if json:
        print_json({"signed": str(what), "signed_by": seal.fingerprint})
        return
    out.print(f"Signed {what} with {seal.fingerprint}.", highlight=False, markup=False)


def _check_session(path: Path) -> None:
    """Raise `ConfigError` for what is no session: nobody vouches for what cannot be read."""
    from .runtime.session import parse_session
    from .runtime.toml_file import read_toml

    parse_session(read_toml(path), path.parent)


def _seal_of(path: Path) -> Seal:
    """Who signed a bundle or a session file; raises what reading it raises."""
    from .runtime.bundle import load_bundle
    from .runtime.record.seal import read_seal
    from .runtime.security import seal_path, sha256_of
    from .runtime.toml_file import read_file

    if path.suffix == ".toml":
        seal = read_seal(seal_path(path))
        if seal is not None and not seal.holds("session", sha256_of(read_file(path))):
            raise ConfigError(f"{path} is not the file that was signed: get both again.")
    else:
        origin = load_bundle(path).origin
        seal = origin.seal if origin else None
    if seal is None:
        raise ConfigError(f"{path} is signed by nobody: name the fingerprint of a key, or sign it.")
    return seal
