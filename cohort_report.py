"""What came of a cohort, in figures and in words: how many, how good by subject, what failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .adapters.scores import bootstrap_ci
from .cohort.engine import Ran
from .cohort.outputs import write_whole
from .runtime.json_text import json_text
from .runtime.proportions import wilson_interval
from .runtime.record.report.markup import element, page, table
from .runtime.record.report.style import CSS

NOTICE = "Investigational, not a medical device."
_COLUMNS = ("subject", "recordings", "judged", "score", "95 %")

Rows = Sequence[Mapping[str, Any]]


def summary_of(ran: Ran, rows: Rows, kind: str) -> dict[str, Any]:
    """A cohort in figures.

    Parameters
    ----------
    ran : Ran
        What was run.
    rows : sequence of mapping
        From `diverloop.cohort.table.rows_of`.
    kind : str
        What was done.

    Returns
    -------
    summary : dict
        Ready for JSON: counts, scores by subject and over subjects for each measure, failures.
    """
    done = [row for row in rows if row["state"] == "done"]
    # A model is not judged by what it was fitted on.
    unseen = [row for row in done if not row.get("fitted_on")]
    computed = set(ran.computed)
    return {
        "notice": NOTICE,
        "kind": kind,
        "items": len(rows),
        "done": len(done),
        "failed": len(rows) - len(done),
        "computed": len(computed),
        "reused": len(ran.reused),
        "seconds": sum(row.get("duration_s") or 0.0 for row in done),
        "fitted_on": sum(bool(row.get("fitted_on")) for row in done),
        "measures": {
            measure: _scores([row for row in unseen if row["measure"] == measure])
            for measure in sorted({row["measure"] for row in unseen if row.get("measure")})
        },
        "unscored": dict(Counter(row["unscored"] for row in done if row.get("unscored"))),
        "failures": {row["name"]: row["reason"] for row in rows if row["state"] == "failed"},
    }


def _scores(rows: Rows) -> dict[str, Any]:
    """Share that is right, of each subject and over subjects."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["n"]:
            # Whose a recording is may be unknown: then it stands for itself.
            groups.setdefault(row["subject"] or row["name"], []).append(row)
    subjects = [_subject(name, group) for name, group in sorted(groups.items())]
    return {
        "subjects": subjects,
        "subjects_known": all(row["subject"] for row in rows),
        "overall": _overall(subjects) if subjects else None,
    }


def _subject(name: str, rows: Rows) -> dict[str, Any]:
    n, n_correct = sum(row["n"] for row in rows), sum(row["n_correct"] for row in rows)
    low, high = wilson_interval(n_correct, n)
    return {
        "subject": name,
        "recordings": len(rows),
        "n": n,
        "n_correct": n_correct,
        "score": n_correct / n,
        "interval": [low, high],
    }


def _overall(subjects: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Mean over subjects; its interval says what other subjects might have given."""
    scores = [one["score"] for one in subjects]
    if len(subjects) > 1:
        interval = bootstrap_ci(scores, [one["subject"] for one in subjects])
    else:
        interval = wilson_interval(subjects[0]["n_correct"], subjects[0]["n"])
    return {
        "score": sum(scores) / len(scores),
        "interval": list(interval),
        "subjects": len(subjects),
        "n": sum(one["n"] for one in subjects),
    }


def counts_sentence(summary: Mapping[str, Any]) -> str:
    """How many, in words."""
    seen = summary["fitted_on"]
    left_out = f" {seen} that the model was fitted on are not among the scores." if seen else ""
    return (
        f"{summary['items']} in the cohort: {summary['done']} done, {summary['failed']} failed; "
        f"{summary['computed']} computed now, {summary['reused']} reused.{left_out}"
    )


def score_sentence(measure: str, scores: Mapping[str, Any]) -> str:
    """How good, over subjects, in words."""
    overall = scores["overall"]
    if overall is None:
        return f"{measure}: nothing was judged."
    low, high = overall["interval"]
    who = "subjects" if scores["subjects_known"] else "subjects, or recordings without one"
    how = (
        f"bootstrap over {overall['subjects']} {who}"
        if overall["subjects"] > 1
        else "Wilson, one subject"
    )
    return (
        f"{measure}: {overall['score']:.3f} ({low:.3f} to {high:.3f}, 95 %, {how}), "
        f"{overall['n']} judged."
    )


def subject_rows(scores: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """One row a subject, for a table: who, recordings, judged, score, interval."""
    return [
        (
            one["subject"],
            str(one["recordings"]),
            str(one["n"]),
            f"{one['score']:.3f}",
            f"{one['interval'][0]:.3f} to {one['interval'][1]:.3f}",
        )
        for one in scores["subjects"]
    ]


def failure_groups(summary: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """Each reason with the items that failed for it, the most frequent first."""
    reasons: Mapping[str, str] = summary["failures"]
    groups: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        path = Path(name)
        named = path.name if path.suffix else "\0"  # a short name stands in other words, too
        same = reason.replace(named, "FILE").replace(f"'{path.stem}'", "FILE")
        groups.setdefault(same, []).append(name)
    told = [
        (same if len(names) > 1 else reasons[names[0]], names) for same, names in groups.items()
    ]
    return sorted(told, key=lambda group: (-len(group[1]), group[0]))


def markdown_of(summary: Mapping[str, Any]) -> str:
    """A cohort as a page to read.

    Parameters
    ----------
    summary : mapping
        From `summary_of`.

    Returns
    -------
    text : str
        Markdown.
    """
    lines = [f"# Cohort: {summary['kind']}", "", NOTICE, "", counts_sentence(summary), ""]
    for measure, scores in summary["measures"].items():
        lines += [f"## {measure.capitalize()}", "", score_sentence(measure, scores), ""]
        lines += [f"| {' | '.join(_COLUMNS)} |", "| --- " * len(_COLUMNS) + "|"]
        lines += [f"| {' | '.join(row)} |" for row in subject_rows(scores)] + [""]
    if summary["unscored"]:
        lines += ["## Not judged", ""]
        lines += [f"- {n}: {why}" for why, n in summary["unscored"].items()] + [""]
    if summary["failures"]:
        lines += ["## Failed", ""]
        for reason, names in failure_groups(summary):
            lines += [f"- {reason}", *(f"  - `{name}`" for name in names)]
        lines.append("")
    return "\n".join(lines)


def html_of(summary: Mapping[str, Any]) -> str:
    """The same page for a browser.

    Parameters
    ----------
    summary : mapping
        From `summary_of`.

    Returns
    -------
    text : str
        HTML that needs nothing but itself.
    """
    title = f"Cohort: {summary['kind']}"
    parts = [element("h1", title), element("p", NOTICE, class_="notice")]
    parts.append(element("p", counts_sentence(summary)))
    for measure, scores in summary["measures"].items():
        parts += [
            element("h2", measure.capitalize()),
            element("p", score_sentence(measure, scores)),
        ]
        parts.append(table(_COLUMNS, subject_rows(scores), numbers_from=1))
    if summary["unscored"]:
        parts.append(element("h2", "Not judged"))
        rows = [(why, str(n)) for why, n in summary["unscored"].items()]
        parts.append(table(("why", "recordings"), rows, numbers_from=1))
    if summary["failures"]:
        parts.append(element("h2", "Failed"))
    for reason, names in failure_groups(summary):
        parts.append(element("p", reason))
        parts.append(element("ul", *(element("li", element("code", name)) for name in names)))
    return page(title, CSS, *parts)


def write_summary(summary: Mapping[str, Any], folder: Path) -> None:
    """Write ``summary.json``, ``summary.md`` and ``summary.html`` into the folder of results."""
    write_whole(folder / "summary.json", json_text(dict(summary)).encode() + b"\n")
    write_whole(folder / "summary.md", markdown_of(summary).encode())
    write_whole(folder / "summary.html", html_of(summary).encode())
