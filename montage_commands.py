"""Commands about what is plugged in where: check a mapping file, show it, make one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import AsJson, facts_table, figures_table, out, plain_errors, print_json, progress_bar
from .runtime.errors import ConfigError, SchemaMismatch

if TYPE_CHECKING:
    from .hardware.mapping import MappingConfig
    from .hardware.montage_difference import Difference
    from .runtime.messages import StreamSpec

FromWhere = Annotated[
    str, typer.Option("--source", help="A session file, a recording, or the name of an LSL stream.")
]
Unit = Annotated[str, typer.Option(help="Unit of channels that name none.")]

montage = typer.Typer(
    help="What is plugged in where: check a mapping file, show it, make one.", no_args_is_help=True
)


@montage.command("check")
def check_mapping(
    file: Annotated[Path, typer.Argument(help="The mapping file.")],
    source: FromWhere,
    model: Annotated[
        Path | None, typer.Option(help="A fitted bundle that is to get these channels.")
    ] = None,
    assume_unit: Unit = "",
    json: AsJson = False,
) -> None:
    """Compare a mapping file with a stream; ends with 1 if anything differs."""
    from .hardware.mapping import read_mapping
    from .hardware.montage_difference import differences

    with plain_errors(json):
        mapping = read_mapping(file)
        spec = _spec_of(source, assume_unit)
        found = differences(mapping, spec)
        unfit = _unfit(model, mapping, spec, found)
    same = not (found or unfit)
    if json:
        told = [asdict(one) for one in found]
        print_json({"stream": spec.name, "same": same, "differences": told, "model": unfit})
    else:
        if found:
            out.print(_difference_table(found, f"{file.name} and the stream {spec.name!r}"))
        if unfit:
            out.print(unfit, highlight=False, markup=False)
        if same:
            text = f"The stream {spec.name!r} is as {file.name} says: {len(mapping.channels)} rows."
            out.print(text, highlight=False, markup=False)
    if not same:
        raise typer.Exit(1)


@montage.command("show")
def show_mapping(
    file: Annotated[Path, typer.Argument(help="The mapping file.")], json: AsJson = False
) -> None:
    """Print a mapping file as a table, and its SHA-256 for a signed session."""
    from .hardware.mapping import read_mapping
    from .runtime.security import sha256_of
    from .runtime.toml_file import read_file

    with plain_errors(json):
        mapping = read_mapping(file)
        sha256 = sha256_of(read_file(file, "mapping file"))
    if json:
        print_json({"sha256": sha256, **asdict(mapping)})
        return
    facts = {
        "name": mapping.name,
        "reference": mapping.reference,
        "ground": mapping.ground,
        "positions": mapping.positions,
        "left out": ", ".join(mapping.drop),
        "sha256": sha256,
    }
    out.print(facts_table([(key, value) for key, value in facts.items() if value]))
    out.print(figures_table(("row", "from", "its row", "kind", "place, mm", ""), _rows(mapping)))


@montage.command("make")
def make_mapping(
    to: Annotated[Path, typer.Argument(help="The file to write; must not be there yet.")],
    source: FromWhere,
    positions: Annotated[
        Path | None, typer.Option(help="Write the places of this file into it.")
    ] = None,
    standard_names: Annotated[
        bool, typer.Option("--standard-names", help="Call electrodes as the 10-05 system does.")
    ] = False,
    assume_unit: Unit = "",
    json: AsJson = False,
) -> None:
    """Write a mapping file of a running stream or a recording, to be edited by hand."""
    from .hardware.mapping import mapping_of, place_from, text_of
    from .hardware.ten_five import standard_name

    with plain_errors(json):
        if to.exists():
            raise ConfigError(f"{to} is there already: give another name, or remove it first.")
        spec = _spec_of(source, assume_unit)
        names = {}
        if standard_names:
            names = {name: standard_name(name) or name for name in spec.channel_names}
        mapping = mapping_of(spec, standard_names=names)
        if positions:
            mapping = place_from(mapping, positions)
        to.write_text(text_of(mapping), encoding="utf-8")
    if json:
        print_json({"file": str(to), "channels": len(mapping.channels)})
        return
    out.print(
        f"Wrote {to}: {len(mapping.channels)} channels. Look at names, kinds and the reference, "
        f'then name it in a session: [montage] file = "{to.name}".',
        highlight=False,
        markup=False,
    )


def _spec_of(what: str, assume_unit: str) -> StreamSpec:
    """The stream of a session file's source, of a recording, or of LSL, before any mapping."""
    from .hardware.recordings import READERS, read_recording

    path = Path(what)
    if path.suffix == ".toml":
        return _opened("source", _source_table(path))
    if path.exists():
        return read_recording(path, assume_unit=assume_unit or None).spec
    if path.suffix.lower() in READERS:
        raise ConfigError(f"There is no recording {what}: check the name.")
    table = {"kind": "lsl", "name": what, "markers": "", "assume_unit": assume_unit}
    return _opened(f"the stream {what!r}", table)


def _source_table(path: Path) -> dict[str, Any]:
    from .runtime.toml_file import read_toml

    table = read_toml(path).get("source")
    if not isinstance(table, dict):
        raise ConfigError(f"{path} has no table [source]: name a session file, or a recording.")
    return table


def _opened(what: str, table: dict[str, Any]) -> StreamSpec:
    """Open a source for as long as it takes to say what it sends."""
    from .runtime.catalog import find
    from .runtime.clock import MonotonicClock
    from .runtime.session import part_of
    from .runtime.stages import Source

    part = part_of("source", table, "source")
    source: Source = find("source", part.kind)(part.settings, MonotonicClock())
    with progress_bar(f"looking at {what}"):
        try:
            source.open()
            return source.spec
        finally:
            source.close()


def _unfit(
    model: Path | None, mapping: MappingConfig, spec: StreamSpec, found: Sequence[Difference]
) -> str:
    """Why a model cannot read the mapped stream; empty if it can, or if nobody asked."""
    from .hardware.mapped import mapped_spec
    from .runtime.bundle import load_bundle
    from .runtime.card import pick_rows

    if model is None:
        return ""
    card = load_bundle(model).card
    if any(one.refused for one in found):
        return "Whether the model fits can only be said once the stream does."
    try:
        pick_rows(card, mapped_spec(spec, mapping))
    except SchemaMismatch as error:
        return str(error)
    return ""


def _difference_table(found: Sequence[Difference], title: str) -> Any:
    rows = [
        (one.channel, one.what if one.refused else f"{one.what} (may run)", one.file, one.stream,
         one.to_do)
        for one in found
    ]  # fmt: skip
    table = figures_table(("channel", "what", "the file", "the stream", "what to do"), rows, title)
    for column in table.columns:
        column.justify, column.overflow = "left", "fold"
    return table


def _rows(mapping: MappingConfig) -> list[tuple[str, ...]]:
    return [
        (
            one.label,
            one.device,
            str(one.row or "any"),
            one.kind or "as sent",
            " ".join(f"{x:.1f}" for x in one.position_mm or ()) or "-",
            ", ".join(
                [*(["bad"] if one.bad else []), *([f"x {one.factor:g}"] * (one.factor != 1))]
            ),
        )
        for one in mapping.channels
    ]
