"""The page: from a record to one HTML file that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ...errors import RecordingError
from ..contents import Record
from ..manifest import utc_now
from . import decoder_sections, session_sections, signal_sections
from .course import Course
from .inputs import Performance
from .locked import find_cues
from .markup import Html, Missing, Part, element, joined, page, pairs
from .session_sections import date_words
from .style import CSS
from .summary import Facts, Tile, sentences, tiles
from .survey import look_through
from .wording import duration, spoken

NOTICE = "Investigational, not a medical device. Not a diagnosis."
_STATE_WORDS = {"fine": "✓ fine", "look": "▲ have a look", "none": "not known"}


def write_report(
    record: Record,
    path: str | Path,
    *,
    performance: Performance | None = None,
    judged: str = "",
    audit: Mapping[str, str] | None = None,
    alarm: str = "",
    written_utc: str = "",
) -> Path:
    """Write what a session leaves: plain words first, then pictures, then provenance.

    Parameters
    ----------
    record : Record
        The session; its signal is read once, and never held as a whole.
    path : str or Path
        The HTML file; overwritten.
    performance : Performance, optional
        How the decoder did, as its scorer computed it; without it the report says why nothing
        is said of it.
    judged : str
        How it did in words, for a task that is not judged trial by trial.
    audit : mapping of str to str, optional
        What checking the audit log gave, in words: shown as it is.
    alarm : str
        What has to be known before anything else is believed, above all figures; empty for nothing.
    written_utc : str
        When the report is written, ISO 8601; now if empty.

    Returns
    -------
    path : Path
        The file.

    Raises
    ------
    ConfigError
        If matplotlib is not installed.
    RecordingError
        If the file cannot be written.
    """
    path = Path(path)
    cues = find_cues(record)
    survey = look_through(record, cues)
    facts = Facts(
        record=record,
        cues=cues,
        survey=survey,
        course=Course(record, survey.lost),
        performance=performance,
        judged=judged,
    )
    page = _page(facts, audit, alarm, written_utc or utc_now())
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise RecordingError(
            f"The report {path} cannot be written ({error.strerror}): choose another place."
        ) from error
    return path


def _page(facts: Facts, audit: Mapping[str, str] | None, alarm: str, written_utc: str) -> str:
    title = _title(facts.record)
    return page(
        f"{title} · session report",
        CSS,
        _header(facts.record, title),
        _first_screen(facts, alarm),
        *(_section(name, parts) for name, parts in _told(_sections(facts, audit))),
        element("footer", f"Written {date_words(written_utc) or written_utc}. {NOTICE}"),
        # A page about a participant must not be able to call home, whatever ends up in it.
        policy=element(
            "meta",
            http_equiv="Content-Security-Policy",
            content="default-src 'none'; style-src 'unsafe-inline'; img-src data:",
        ),
    )


def _sections(facts: Facts, audit: Mapping[str, str] | None) -> list[tuple[str, list[Part]]]:
    return [
        ("Signal quality", signal_sections.quality(facts)),
        ("Calibration", decoder_sections.calibration(facts)),
        ("Accuracy", decoder_sections.accuracy(facts)),
        ("Confidence", decoder_sections.confidence(facts)),
        ("Rhythms", signal_sections.frequencies(facts)),
        ("Around the cues", signal_sections.around_cues(facts)),
        ("Delay", decoder_sections.delays(facts)),
        ("Course of the session", session_sections.course(facts)),
        ("Notes and events", session_sections.log(facts)),
        ("Provenance", session_sections.provenance(facts, audit)),
    ]


def _told(sections: list[tuple[str, list[Part]]]) -> list[tuple[str, list[Part]]]:
    """Sections with something to show; the reasons of all others stand together, before the last.

    A short session, or one of another program, would else be pages of headings.
    """
    shown = [(name, parts) for name, parts in sections if not _is_missing(parts)]
    rows = [(name, joined(parts)) for name, parts in sections if _is_missing(parts)]
    told: list[tuple[str, list[Part]]] = [("Not in this report", [pairs(rows)])] if rows else []
    return [*shown[:-1], *told, *shown[-1:]]


def _is_missing(parts: list[Part]) -> bool:
    return all(isinstance(part, Missing) for part in parts)


def _title(record: Record) -> str:
    if record.manifest is not None and record.manifest.session:
        name = spoken(record.manifest.session)
        return name[:1].upper() + name[1:]
    return record.path.stem


def _header(record: Record, title: str) -> Html:
    manifest = record.manifest
    who = []
    if manifest is not None:
        when = date_words(manifest.started_utc)
        who = [
            f"Participant {manifest.participant or 'not named'}",
            f"operator {manifest.operator or 'not named'}",
            *([when] if when else []),
        ]
    system = "System unknown: recorded by another program"
    if manifest is not None:
        system = f"System: diverloop {manifest.versions.get('diverloop', 'of unknown version')}"
        system += f", model {manifest.model_sha256[:12]}" if manifest.model_sha256 else ", no model"
    return element(
        "header",
        element("h1", title),
        element("p", " · ".join([*who, duration(record.duration_s)]), class_="who"),
        element("p", system, class_="who"),
        element("p", NOTICE, class_="notice"),
    )


def _first_screen(facts: Facts, alarm: str) -> Html:
    first = [element("p", alarm, class_="alarm", role="alert")] if alarm else []
    told = element("ul", *(element("li", text) for text in sentences(facts)), class_="summary")
    shown = element("div", *(_tile(tile) for tile in tiles(facts)), class_="tiles")
    return joined([*first, shown, told])


def _tile(tile: Tile) -> Html:
    return element(
        "div",
        element("span", tile.name),
        element("b", tile.figure),
        element("span", tile.detail, class_="detail"),
        element("span", _STATE_WORDS[tile.state], class_="word"),
        class_=f"tile {tile.state}",
    )


def _section(name: str, parts: list[Part]) -> Html:
    return element("section", element("h2", name), *parts)
