"""The report of a fault campaign: a table for the screen, JSON and Markdown for a folder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ..runtime.json_text import json_text
from .checks import QUESTIONS, Result
from .matrix import ROWS, Row

NOTICE = "Investigational, not a medical device."


def state_of(result: Result) -> str:
    """In a word: held, broken or not tried."""
    if result.pending:
        return "not tried"
    return "held" if result.ok else "BROKEN"


def table_rows(results: Iterable[Result]) -> list[tuple[str, ...]]:
    """Fault, state, each question, and how much else was as it must be: a row each."""
    rows = []
    for result in results:
        marks = {one.question: "yes" if one.ok else "NO" for one in result.findings}
        asked = tuple(marks.get(question, "") for question in QUESTIONS)
        more = [one.ok for one in result.findings if one.question not in QUESTIONS]
        count = f"{sum(more)} of {len(more)}" if more else ""
        rows.append((result.row.name, state_of(result), *asked, count))
    return rows


def sentence(results: Sequence[Result]) -> str:
    """How many faults were tried, and survived."""
    tried = [result for result in results if not result.pending]
    held = sum(result.ok for result in tried)
    said = f"{len(tried)} faults tried, {held} as they must be, {len(tried) - held} not"
    waiting = len(results) - len(tried)
    return f"{said}; {waiting} could not be tried." if waiting else f"{said}."


def to_json(results: Sequence[Result]) -> dict[str, Any]:
    """Everything, ready for JSON.

    Parameters
    ----------
    results : sequence of Result
        Of a campaign.

    Returns
    -------
    found : dict
        Plain values.
    """
    tried = [result for result in results if not result.pending]
    return {
        "notice": NOTICE,
        "rows": len(results),
        "tried": len(tried),
        "held": sum(result.ok for result in tried),
        "broken": [result.row.name for result in tried if not result.ok],
        "not_tried": {result.row.name: result.pending for result in results if result.pending},
        "took_s": round(sum(result.took_s for result in results), 1),
        "results": [_result(result) for result in results],
    }


def _result(result: Result) -> dict[str, Any]:
    row = result.row
    return {
        "name": row.name,
        "group": row.group,
        "done": row.done,
        "must": row.must,
        "state": state_of(result),
        "findings": {one.question: one.wrong or "as it must be" for one in result.findings},
        "told": list(result.said),
        "took_s": round(result.took_s, 2),
    }


def to_markdown(results: Sequence[Result]) -> str:
    """The same as a page.

    Parameters
    ----------
    results : sequence of Result
        Of a campaign.

    Returns
    -------
    text : str
        Markdown.
    """
    lines = ["# Fault campaign", "", f"{sentence(results)} {NOTICE}", ""]
    lines += ["| fault | what is done | what must happen | found |", "| --- | --- | --- | --- |"]
    for result in results:
        row = result.row
        wrong = result.pending or " ".join(result.wrong())
        found = f"{state_of(result)}{f': {wrong}' if wrong else ''}"
        lines.append(f"| {row.name} | {_cell(row.done)} | {_cell(row.must)} | {_cell(found)} |")
    return "\n".join(lines) + "\n"


def matrix_markdown(rows: Sequence[Row] = ROWS) -> str:
    """The matrix as the table of ``docs/faults.md``."""
    lines = ["| fault | what is done | what must happen |", "| --- | --- | --- |"]
    for row in rows:
        must = f"{row.must} *{row.pending}*" if row.pending else row.must
        lines.append(f"| `{row.name}` | {_cell(row.done)} | {_cell(must)} |")
    return "\n".join(lines) + "\n"


def write_report(results: Sequence[Result], folder: Path) -> tuple[Path, Path]:
    """Write ``faults.json`` and ``faults.md``.

    Parameters
    ----------
    results : sequence of Result
        Of a campaign.
    folder : Path
        Made if it is not there.

    Returns
    -------
    paths : tuple of Path
        Both files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / "faults.json", folder / "faults.md"
    paths[0].write_text(json_text(to_json(results)) + "\n", encoding="utf-8")
    paths[1].write_text(to_markdown(results), encoding="utf-8")
    return paths


def _cell(text: str) -> str:
    return text.replace("|", "/").replace("\n", " ")
