"""How commands talk: sentences and tables for people, one JSON object for programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from json import dumps
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from .runtime.doctor import Finding
from .runtime.errors import ConfigError, DiverloopError
from .runtime.json_text import json_text
from .runtime.latency import LatencyReport
from .runtime.signal_check import ChannelCheck, SignalCheck

NOTICE = "diverloop is investigational, not a medical device."

out = Console()
err = Console(stderr=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object, nothing else.")]
"""The option of every command that ends by itself."""

_GOOD = 0.5  # score of an electrode


@contextmanager
def plain_errors(json_wanted: bool) -> Iterator[None]:
    """Turn an error of ours or of the file system into one sentence and exit status 2."""
    try:
        yield
    except DiverloopError as error:
        _tell_error(type(error).__name__, str(error), json_wanted)
        raise typer.Exit(2) from error
    except OSError as error:
        where = "" if error.filename is None else f": {error.filename}"
        text = f"{error.strerror or error}{where}: check the path, the disk, the rights."
        _tell_error(type(error).__name__, text, json_wanted)
        raise typer.Exit(2) from error


def overrides_of(settings: Sequence[str] | None) -> dict[str, str]:
    """What ``--set`` was given, by key.

    Parameters
    ----------
    settings : sequence of str, optional
        As ``"source.name=amp-2"``.

    Returns
    -------
    overrides : dict of str to str
        For the file that is read.

    Raises
    ------
    ConfigError
        If one has no key or no equals sign.
    """
    pairs = [text.partition("=") for text in settings or ()]
    for key, equals, _ in pairs:
        if not equals or not key:
            raise ConfigError(f"--set takes table.key=value, got {key!r}.")
    return {key: value for key, _, value in pairs}


def pseudonyms(participant: str, operator: str) -> dict[str, str]:
    """Who is there, as overrides of a file's table ``[session]``.

    Parameters
    ----------
    participant, operator : str
        As they were typed; empty leaves what the file says.

    Returns
    -------
    overrides : dict of str to str
        Quoted as TOML wants it: a pseudonym of digits is no number.
    """
    who = (("participant", participant), ("operator", operator))
    return {f"session.{key}": dumps(name, ensure_ascii=False) for key, name in who if name}


def restore_terminal() -> None:
    """Bring back the screen and the cursor after a live view that could not do so itself."""
    out.set_alt_screen(False)
    out.show_cursor(True)


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
    times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    columns = (TextColumn("{task.description}"), BarColumn(), *times)
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task(what, total=None)

        def step(text: str, done: float, of: float) -> None:
            progress.update(task, description=text, completed=done, total=of)

        yield step


def facts_table(rows: Iterable[tuple[str, str]]) -> Table:
    """What, and what is to be said of it; no frame."""
    table = Table.grid(padding=(0, 2))
    for what, words in rows:
        table.add_row(what, Text(words))
    return table


def figures_table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str = "") -> Table:
    """Names on the left, figures right-justified behind them."""
    table = Table(*columns, title=title or None, box=SIMPLE_HEAD)
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows:
        table.add_row(*map(_escaped, row))
    return table


def compared_table(compared: Iterable[dict[str, Any]], chosen: str) -> Table:
    """Ways to decode, side by side, on trials that they had not seen."""
    table = Table(
        "way",
        "accuracy",
        "95 % interval",
        "loss",
        "",
        title="Ways to decode",
    )
    for column in table.columns[1:4]:
        column.justify = "right"
    compared = list(compared)
    table.caption = (
        f"Of left-out trials. Always saying the commonest class: accuracy "
        f"{compared[0]['accuracy']['chance']:.2f}. Loss: how far the probabilities were from the "
        f"truth, less is better; by it they are chosen."
    )
    for one in compared:
        low, high = one["accuracy"]["interval"]
        table.add_row(
            one["name"],
            f"{one['accuracy']['accuracy']:.2f}",
            f"{low:.2f} to {high:.2f}",
            f"{one['loss']:.2f}",
            "chosen" if one["name"] == chosen else "",
            style="bold" if one["name"] == chosen else "",
        )
    return table


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


_MARKS = {True: "[green]good[/]", False: "[red]bad[/]", None: "[yellow]note[/]"}


def findings_table(findings: Iterable[Finding], title: str) -> Table:
    """What was looked at, one row each, with what to do about it."""
    table = Table("", "what", "found", "advice", title=title)
    for finding in findings:
        words = (finding.name, finding.got, finding.advice)
        table.add_row(_MARKS[finding.ok], *map(_escaped, words))
    return table


def tell_findings(findings: Sequence[Finding], title: str) -> None:
    """Print what was looked at, and last, where it is seen, what there is to do."""
    table = Table("", "what", "found", title=title)
    for finding in findings:
        if finding.ok:
            table.add_row(_MARKS[True], _escaped(finding.name), _escaped(finding.got))
    out.print(table)
    _tell_advice("What you can do without", [one for one in findings if one.ok is None])
    bad = [finding for finding in findings if finding.ok is False]
    _tell_advice("To do before a session", bad)
    if not bad:
        out.print("\nNothing has to be done before a session.", highlight=False)


def _tell_advice(heading: str, findings: Sequence[Finding]) -> None:
    if not findings:
        return
    table = Table.grid(padding=(0, 2))
    for finding in findings:
        words = f"{finding.got.rstrip('.')}. {finding.advice}"
        table.add_row(f"  {_MARKS[finding.ok]}", _escaped(finding.name), _escaped(words))
    out.print(f"\n[bold]{heading}[/]", highlight=False)
    out.print(table)


def channels_table(check: SignalCheck, most: int = 40) -> Table:
    """Score and cause of every electrode; of more than `most`, of those that are not good."""
    shown, title = check.channels, "Electrodes"
    if len(shown) > most:
        shown = tuple(one for one in shown if one.cause or one.score < _GOOD)
        title += f" ({len(check.channels) - len(shown)} good ones are left out)"
    table = Table("electrode", "score", "", "what is wrong", title=title)
    table.columns[1].justify = "right"
    for one in shown:
        table.add_row(_escaped(one.name), f"{one.score:.2f}", _state(one), _escaped(one.cause))
    return table


def _state(one: ChannelCheck) -> str:
    if one.masked:
        always = "" if one.masked > 0.99 else f" {one.masked:.0%} of the time"
        return f"[red]masked[/]{always}"
    return "[green]used[/]" if one.score >= _GOOD else "[yellow]used, doubtful[/]"


def pace_sentence(report: LatencyReport, signal_s: float, wall_s: float) -> str:
    """What a replay decoded and how fast, in words; its latencies would mean nothing.

    Parameters
    ----------
    report : LatencyReport
        Of a run on a virtual clock.
    signal_s, wall_s : float
        Length of the signal, and time it took.
    """
    refused = sum(report.refused.values())
    return (
        f"{report.windows_due} windows due: {report.decoded} decoded, {report.skipped_late} "
        f"skipped as too late, {refused} refused. {signal_s:.1f} s of signal passed in "
        f"{wall_s:.1f} s, {signal_s / wall_s:.0f} times faster than real time."
    )


def course_sentence(course: Mapping[str, Any]) -> str:
    """How often each block was rewarded, in words; never the arm, which stands in the record."""
    rates = [part["reward_rate"] for part in course["parts"] if part["reward_rate"] is not None]
    if not rates:
        return "No block was finished."
    return f"Rewarded, block by block: {', '.join(f'{rate:.0%}' for rate in rates)} of the time."


def score_text(score: dict[str, Any]) -> str:
    """A cross-validated score of a card, in words."""
    low, high = score["interval"]
    return (
        f"accuracy {score['accuracy']:.2f} (95 % interval {low:.2f} to {high:.2f}; chance "
        f"{score['chance']:.2f}), {score['n']} trials."
    )


def tell_scores(scores: dict[str, Any]) -> None:
    """How good a fit is, and why it was made in this way."""
    if "compared" in scores:
        out.print(compared_table(scores["compared"], scores["chosen"]))
        out.print(scores["chosen_because"], highlight=False, markup=False)
    for key, words in (
        ("nested_choice", "Choosing and decoding, left-out trials"),
        ("cross_validation", "The model, left-out trials"),
        ("leave_one_recording_out", "Left-out recordings"),
    ):
        if key in scores:
            out.print(f"{words}: {score_text(scores[key])}", highlight=False)
    for key in ("rhythm", "alignment", "verdict", "served", "promise"):
        if key in scores:
            out.print(scores[key], highlight=False, markup=False)
    for key in ("confounded", "working_point"):
        if key in scores:
            out.print(scores[key]["sentence"], highlight=False, markup=False)
    if scores.get("adaptive"):
        out.print("Adaptive: its prototypes can be moved while it serves.")
    if left_out := scores.get("electrodes_left_out"):
        out.print(f"Left out, bad too often: {', '.join(left_out)}.", markup=False)


def _tell_error(kind: str, text: str, json_wanted: bool) -> None:
    if json_wanted:
        print_json({"error": kind, "message": text})
    else:
        err.print(f"[bold red]Cannot go on.[/] {_escaped(text)}", highlight=False)


def _escaped(text: str) -> str:
    return text.replace("[", r"\[")
