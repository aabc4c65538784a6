"""The command that makes a corpus, from a recipe, a BIDS folder or a zarr store."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import AsJson, out, plain_errors, print_json, progress_bar
from .runtime.errors import ConfigError

if TYPE_CHECKING:
    from .decoders.corpus import Corpus

Data = Annotated[
    Path | None,
    typer.Option(help="Folder that a recipe's paths lie below; DIVERLOOP_DATA if not given."),
]


def corpus(
    source: Annotated[
        Path, typer.Argument(help="Recipe (TOML), BIDS folder, or zarr store with recordings.")
    ],
    folder: Annotated[Path, typer.Option("--out", help="Folder to write; goes on with its own.")],
    data: Data = None,
    modality: Annotated[str, typer.Option(help="EEG or iEEG alone; both if not given.")] = "",
    licence: Annotated[
        str, typer.Option(help="Terms of a folder or store that names none itself.")
    ] = "",
    line_hz: Annotated[
        float | None, typer.Option(help="Mains of a folder or store that does not say it.", min=0)
    ] = None,
    json: AsJson = False,
) -> None:
    """Condition recordings into a corpus to pretrain and distil on."""
    skipped: dict[str, str] = {}
    with plain_errors(json):
        if source.is_dir():
            built = _build_folder(source, folder, modality, licence, line_hz, skipped)
        else:
            built = build_from_recipe(source, folder, data, modality)
    if json:
        rows = [{"name": entry.name, "seconds": entry.seconds} for entry in built.entries]
        told = {"corpus": str(folder), "sha256": built.sha256, "entries": rows}
        print_json({**told, "skipped": skipped})
        return
    for name, why in skipped.items():
        out.print(f"Left out {name}: {why}", highlight=False, markup=False)
    out.print(
        f"{len(built.entries)} recordings, {built.seconds / 60:.0f} minutes: {folder} "
        f"({built.sha256[:12]}).",
        highlight=False,
    )


def build_from_recipe(recipe: Path, folder: Path, data: Path | None, modality: str) -> Corpus:
    """Build a corpus from the recordings that a recipe names.

    Parameters
    ----------
    recipe : Path
        TOML file.
    folder : Path
        Where to.
    data : Path, optional
        What its paths lie below; the environment's ``DIVERLOOP_DATA`` if it is not given.
    modality : str
        One alone, or empty.

    Returns
    -------
    corpus : Corpus
        Open.

    Raises
    ------
    ConfigError
        If nobody says where the recordings are, or the recipe cannot be used.
    """
    from .corpus_building import build_corpus, read_recipe

    root = data or os.environ.get("DIVERLOOP_DATA")
    if not root:
        raise ConfigError(
            "A recipe's recordings lie below a folder that nobody named: give --data, or set "
            "DIVERLOOP_DATA."
        )
    with progress_bar("reading the recipe") as step:
        return build_corpus(read_recipe(recipe, root, modality=modality), folder, step)


def _build_folder(
    source: Path,
    folder: Path,
    modality: str,
    licence: str,
    line_hz: float | None,
    skipped: dict[str, str],
) -> Corpus:
    """From a BIDS folder or a zarr store; what cannot be used is noted and left out."""
    from .corpus_building import build_corpus
    from .corpus_folder import FolderTerms, bids_sources, is_bids
    from .corpus_zarr import is_zarr, zarr_sources

    terms = FolderTerms(licence=licence, line_hz=line_hz, modality=modality)
    if is_bids(source):
        sources = bids_sources(source, terms)
    elif is_zarr(source):
        sources = zarr_sources(source, terms)
    else:
        raise ConfigError(
            f"{source} is neither a BIDS folder (it has no dataset_description.json) nor a zarr "
            f"store: name one, or a recipe (TOML)."
        )
    with progress_bar("conditioning") as step:
        return build_corpus(sources, folder, step, skipped=skipped.__setitem__)
