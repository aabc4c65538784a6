"""Commands for models that come from elsewhere: pull, push, list, verify, remove."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import AsJson, facts_table, out, plain_errors, print_json, progress_bar
from .runtime.errors import BundleError, ConfigError

if TYPE_CHECKING:
    from .runtime.bundle import Bundle

At = Annotated[str, typer.Argument(help="folder:/path or hf://owner/name@revision.")]
Wanted = Annotated[
    str, typer.Option("--sha256", help="The model's whole hash; any other model is refused.")
]
Named = Annotated[str, typer.Argument(help="A bundle, or the beginning of a kept model's hash.")]

models = typer.Typer(
    help="Models from elsewhere, kept by their hash: pull, push, list, verify, remove.",
    no_args_is_help=True,
)


@models.command()
def pull(place: At, sha256: Wanted = "", json: AsJson = False) -> None:
    """Get a model and keep it. With --sha256, what is kept already asks nobody.

    What is not signed by this user or by a trusted key is refused; see diverloop trust.
    """
    from .runtime.store.kept_models import KeptModels, checked_hash
    from .runtime.store.places import place_of

    with plain_errors(json):
        wanted = checked_hash(sha256) if sha256 else None
        source, kept = place_of(place), KeptModels()
        if wanted and (bundle := _sound(kept, wanted)):
            new = False
        else:
            with progress_bar(f"pulling {place}"):
                bundle, new = kept.keep(lambda draft: source.fetch(draft, wanted), wanted)
    if json:
        print_json({**_row(bundle), "new": new})
        return
    said = "Kept" if new else "Was here already"
    out.print(f"{said}: {_words(bundle)}", highlight=False, markup=False)
    out.print(
        f'In a session file: [model] bundle = "sha256:{bundle.card.sha256}"',
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


@models.command()
def push(
    what: Named,
    place: At,
    licence: Annotated[
        str, typer.Option(help="For the model card: apache-2.0, cc-by-4.0, ... or other.")
    ] = "other",
    public: Annotated[
        bool, typer.Option("--public", help="Everybody may read a repository that is made now.")
    ] = False,
    names_read: Annotated[
        bool, typer.Option("--names-read", help="No name of its recordings points at a person.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Put a model somewhere, with a model card for people.

    Its card names the recordings it was fitted on. With --public somebody has to have read them.
    """
    from .runtime.store.places import place_of
    from .runtime.store.readme import readme_of

    with plain_errors(json):
        target, bundle = place_of(place), _named(what)
        standing = bundle.standing()
        if not standing.trusted:
            raise BundleError(
                f"{what} is {standing.words()}, so nobody could pull it: run diverloop trust sign "
                f"on it first, if you answer for it."
            )
        names = [row.name for row in bundle.card.trained_on]
        if public and names and not names_read:
            raise ConfigError(
                f"{what} names what it was fitted on, for everybody to read: {', '.join(names)}. "
                f"If none of it points at a person, push again with --names-read; else fit it anew "
                f"on recordings whose files bear pseudonyms."
            )
        text = readme_of(bundle.card, place=place, signed_by=standing.signed_by, licence=licence)
        with progress_bar(f"pushing to {place}"):
            where = target.publish(bundle, text, public=public)
    if json:
        print_json({**_row(bundle), "place": where, "names": names})
        return
    out.print(f"Pushed: {_words(bundle)}", highlight=False, markup=False)
    if names:
        out.print(f"It names its recordings: {', '.join(names)}.", highlight=False, markup=False)
    command = f"diverloop models pull {where} --sha256 {bundle.card.sha256}"
    out.print(command, highlight=False, markup=False, soft_wrap=True)


@models.command("list")
def list_models(json: AsJson = False) -> None:
    """Show the models that are kept on this machine."""
    from .runtime.store.kept_models import KeptModels

    with plain_errors(json):
        kept = KeptModels()
        rows = [_look(kept, sha256) for sha256 in kept.hashes()]
    if json:
        print_json({"folder": str(kept.root), "models": rows})
        return
    if not rows:
        out.print(f"No model is kept in {kept.root}.", highlight=False, markup=False)
        return
    out.print(facts_table((row["sha256"][:12], row["words"]) for row in rows))


@models.command()
def verify(what: Named, json: AsJson = False) -> None:
    """Prove that a model is whole, is what its hash says, and who answers for it."""
    with plain_errors(json):
        bundle = _named(what)
        standing = bundle.standing()
    if json:
        print_json({**_row(bundle), "whole": True})
    else:
        out.print(f"Whole: {_words(bundle)}", highlight=False, markup=False)
    if not standing.trusted:
        raise typer.Exit(1)


@models.command()
def remove(
    what: Annotated[str, typer.Argument(help="The beginning of a kept model's hash.")],
    json: AsJson = False,
) -> None:
    """Forget a model that is kept; where it came from is not touched."""
    from .runtime.store.kept_models import KeptModels

    with plain_errors(json):
        kept = KeptModels()
        sha256 = kept.find(what)
        kept.forget(sha256)
    if json:
        print_json({"removed": sha256})
        return
    out.print(f"Removed: {sha256}.", highlight=False, markup=False)


def _sound(kept: Any, sha256: str) -> Bundle | None:
    """A kept model that is whole and trusted; None if it has to be pulled."""
    try:
        bundle: Bundle = kept.load(sha256)
    except BundleError:
        return None
    return bundle if bundle.standing().trusted else None


def _named(what: str) -> Bundle:
    """A bundle by its path, or by what its hash begins with."""
    from .runtime.bundle import load_bundle
    from .runtime.store.kept_models import KeptModels

    if Path(what).exists():
        return load_bundle(what)
    if Path(what).suffix == ".bundle":
        raise BundleError(f"{what} is not there: check the path.")
    kept = KeptModels()
    return kept.load(kept.find(what))


def _look(kept: Any, sha256: str) -> dict[str, Any]:
    """One row of the list; a damaged model says so and does not hide the others."""
    try:
        bundle = kept.load(sha256)
    except BundleError as error:
        return {"sha256": sha256, "whole": False, "words": f"damaged: {error}"}
    return {**_row(bundle), "whole": True, "words": _words(bundle)}


def _row(bundle: Bundle) -> dict[str, Any]:
    standing = bundle.standing()
    return {
        "sha256": bundle.card.sha256,
        "path": str(bundle.folder),
        "task": bundle.card.task,
        "encoder": bundle.card.encoder,
        "classes": list(bundle.card.classes),
        "signed_by": standing.signed_by,
        "trusted": standing.trusted,
    }


def _words(bundle: Bundle) -> str:
    card = bundle.card
    return (
        f"{card.task}, {card.encoder}: {', '.join(card.classes)} ({card.sha256[:12]}), "
        f"{bundle.standing().words()}."
    )
