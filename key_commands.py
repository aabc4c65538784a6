"""Commands for the people of this machine: enrol, list, revoke."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .console import AsJson, err, out, plain_errors, print_json
from .runtime.access import RIGHTS, Role
from .runtime.errors import ConfigError

keys = typer.Typer(help="People, their roles, keys and one-time codes.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Pseudonym, never a name.")]


@keys.command()
def new(
    name: Name,
    role: Annotated[Role, typer.Option(help="What the person may do.")],
    out_file: Annotated[
        Path | None, typer.Option("--out", help="Where to put the secret key.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Enrol a person: write a secret key file, and show the second factor once."""
    from .runtime.keys import PersonKey, new_curve_key, server_key, write_person_key
    from .runtime.people import KEY_FOLDER, People

    with plain_errors(json):
        people = People()
        path = out_file or people.folder / KEY_FOLDER / f"{name}.key"
        held = PersonKey(name=name, key=new_curve_key(), server=server_key().public)
        person = people.enrol(name, role, held.key.public)
        try:
            write_person_key(path, held)
        except (ConfigError, OSError):
            people.revoke(name)  # nobody has the key, so nobody is to count
            raise
    facts = {"name": name, "role": str(role), "key_file": str(path)}
    if json:
        print_json({**facts, **_second_factor(name, person.secret)})
        return
    out.print(f"{name} is enrolled as {role}; the secret key is in {path}.", highlight=False)
    out.print("Hand it over on a private way, and keep no copy.", highlight=False)
    _show(name, person.secret)


@keys.command("list")
def list_people(json: AsJson = False) -> None:
    """Show who is known here, and what each role may do."""
    from .runtime.keys import short_key
    from .runtime.people import People

    with plain_errors(json):
        everybody = People().all()
    if json:
        shown = [
            {
                "name": person.name,
                "role": str(person.role),
                "key": person.public_key,
                "made": person.made,
                "revoked": person.revoked or None,
            }
            for person in everybody
        ]
        rights = {str(role): sorted(map(str, actions)) for role, actions in RIGHTS.items()}
        print_json({"people": shown, "rights": rights})
        return
    if not everybody:
        out.print("Nobody is enrolled yet: diverloop keys new NAME --role ROLE.", highlight=False)
    for person in everybody:
        state = f"revoked {person.revoked}" if person.revoked else f"since {person.made}"
        out.print(
            f"{person.name}: {person.role}, key {short_key(person.public_key)}, {state}",
            highlight=False,
            markup=False,
        )


@keys.command()
def revoke(name: Name, json: AsJson = False) -> None:
    """Take a person's rights away for ever; running sessions hear of it at once."""
    from .runtime.people import People

    with plain_errors(json):
        person = People().revoke(name)
    if json:
        print_json({"name": name, "revoked": person.revoked})
    else:
        out.print(f"{name} is revoked. The name is never given again.", highlight=False)


@keys.command()
def renew(name: Name, json: AsJson = False) -> None:
    """Give a person another second factor, and show it once; the old one counts no more."""
    from .runtime.people import People

    with plain_errors(json):
        person = People().renew(name)
    if json:
        print_json({"name": name, **_second_factor(name, person.secret)})
    else:
        _show(name, person.secret)


@keys.command()
def server(json: AsJson = False) -> None:
    """Show this machine's own public key; it is made on first use."""
    from .runtime.keys import server_key, short_key

    with plain_errors(json):
        public = server_key().public
    if json:
        print_json({"server": public, "fingerprint": short_key(public)})
    else:
        out.print(public, highlight=False, markup=False, soft_wrap=True)
        err.print(f"To compare: {short_key(public)}", highlight=False)


def _second_factor(name: str, secret: str) -> dict[str, str]:
    from .runtime.second_factor import otpauth_uri

    return {"secret": secret, "otpauth": otpauth_uri(name, secret)}


def _show(name: str, secret: str) -> None:
    shown = _second_factor(name, secret)
    out.print("For an authenticator app; this is shown once:", highlight=False)
    for text in (shown["otpauth"], shown["secret"]):
        out.print(text, highlight=False, markup=False, soft_wrap=True)
