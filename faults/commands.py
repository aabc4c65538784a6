"""The command that provokes faults on purpose."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..console import AsJson, figures_table, out, plain_errors, print_json, progress_bar


def faults(
    only: Annotated[
        str, typer.Option(help="Names or groups of faults, with commas between; all if empty.")
    ] = "",
    short: Annotated[
        bool, typer.Option("--short", help="Leave out what takes long, and do not replay.")
    ] = False,
    folder: Annotated[
        Path | None, typer.Option("--out", help="Folder for faults.json and faults.md.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Let everything go wrong that the fault matrix names, and see that it ends well.

    Works in a temporary folder, needs no device and no network. Ends with 1 if a fault had
    another end than it must have.
    """
    from .report import sentence, table_rows, to_json, write_report
    from .trials import campaign, chosen

    with plain_errors(json):
        rows = chosen([name.strip() for name in only.split(",") if name.strip()], short=short)
        with progress_bar("provoking faults") as step:
            results = campaign(rows, short=short, on_progress=step)
        written = write_report(results, folder) if folder else ()
    if json:
        print_json(to_json(results))
    else:
        columns = ("fault", "", "went on", "safe", "none lost", "told", "record", "proof", "more")
        out.print(figures_table(columns, table_rows(results), "Faults"))
        for result in results:
            for text in result.wrong():
                out.print(f"{result.row.name}: {text}", markup=False, highlight=False)
        out.print(sentence(results), highlight=False)
        for path in written:
            out.print(f"Written: {path}", highlight=False)
    if any(not result.ok for result in results if not result.pending):
        raise typer.Exit(1)
