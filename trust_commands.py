"""Commands that say whose models and settings are trusted, and that vouch for them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import facts_table, out, plain_errors, print_json
from .runtime.errors import ConfigError

if TYPE_CHECKING:
    from .runtime.record.seal import Seal

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object, nothing else.")]

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
    what: Annotated[Path, typer.Argument(help="A bundle from before, or from somebody else.")],
    json: AsJson = False,
) -> None:
    """Vouch for a model with this user's key: a live session runs it from then on."""
    from .runtime.bundle import sign_bundle

    with plain_errors(json):
        seal = sign_bundle(what)
    if json:
        print_json({"signed": str(what), "signed_by": seal.fingerprint})
        return
    out.print(f"Signed {what} with {seal.fingerprint}.", highlight=False, markup=False)


def _seal_of(path: Path) -> Seal:
    """Who signed a bundle; raises what loading it raises, and `ConfigError` if nobody did."""
    from .runtime.bundle import load_bundle

    origin = load_bundle(path).origin
    if origin is None or origin.seal is None:
        raise ConfigError(f"{path} is signed by nobody: name the fingerprint of a key, or sign it.")
    return origin.seal
