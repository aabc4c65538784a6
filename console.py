"""How commands talk: sentences and tables for people, one JSON object for programs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from .adapters.scores import AccuracyReport
from .runtime.errors import DiverloopError
from .runtime.json_text import json_text
from .runtime.latency import LatencyReport

NOTICE = "diverloop is investigational, not a medical device."

out = Console()
err = Console(stderr=True)


@contextmanager
def plain_errors(json_wanted: bool) -> Iterator[None]:
    """Turn an error of ours into one sentence and exit status 2."""
    try:
        yield
    except DiverloopError as error:
        if json_wanted:
            print_json({"error": type(error).__name__, "message": str(error)})
        else:
            err.print(f"[bold red]Cannot go on.[/] {_escaped(str(error))}", highlight=False)
        raise typer.Exit(2) from error


def print_json(value: dict[str, Any]) -> None:
    """Write one JSON object to standard output; NaN becomes null."""
    out.file.write(json_text(value) + "\n")


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[str, float, float], None]]:
    """A progress bar on standard error.

    Parameters
    ----------
    what : str
        Shown before the first step.

    Yields
    ------
    step : callable
        Takes what is being done, how many steps are done, and of how many.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task(what, total=None)

        def step(text: str, done: float, of: float) -> None:
            progress.update(task, description=text, completed=done, total=of)

        yield step


def latency_table(report: LatencyReport) -> Table:
    """The latency report as a table, with what went wrong below it."""
    table = Table("stage", "n", "p50 ms", "p95 ms", "p99 ms", "max ms", title="Latency")
    for column in table.columns[1:]:
        column.justify = "right"
    for row in report.table():
        table.add_row(*row, style="bold" if row[0] in ("total", "effective") else "")
    refused = sum(report.refused.values())
    table.caption = (
        f"{report.windows_due} windows due: {report.decoded} decoded, {report.skipped_late} "
        f"skipped as too late, {refused} refused. Deadlines missed: {report.missed_deadlines}. "
        f"Samples lost: {report.samples_lost}."
    )
    return table


def accuracy_sentence(report: AccuracyReport | None) -> str:
    """Accuracy with its interval, in words."""
    if report is None:
        return "No trial was judged: the stream carried no cue of the model's classes."
    low, high = report.interval
    return (
        f"{report.n_correct} of {report.n} trials right: accuracy {report.accuracy:.2f} "
        f"(95 % interval {low:.2f} to {high:.2f}; chance {report.chance:.2f}, "
        f"p = {report.p_value:.2g})."
    )


def _escaped(text: str) -> str:
    return text.replace("[", r"\[")
