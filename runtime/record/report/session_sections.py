"""Sections on the session: timeline, log, provenance."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime

from ...limits import State
from ...messages import Event, EventKind
from ..contents import Record
from .course import Course, last_state
from .course_pictures import timeline
from .markup import Html, Part, element, joined, missing, pairs, table
from .summary import Facts
from .wording import count, duration, listed, moment

KIND_WORDS = {
    EventKind.GAP: "Signal lost",
    EventKind.DUPLICATE: "Samples came twice",
    EventKind.REORDERED: "Samples out of order",
    EventKind.CLOCK_STEP: "Amplifier clock jumped",
    EventKind.JITTER: "Uneven time stamps",
    EventKind.RATE: "Sampling rate differs",
    EventKind.NOT_A_NUMBER: "Invalid samples",
    EventKind.SOURCE_LOST: "Connection lost",
    EventKind.IMPOSTOR: "A wrong stream was refused",
    EventKind.SOURCE_BACK: "Connection back",
    EventKind.STALE: "No new signal",
    EventKind.FRESH: "Signal flows again",
    EventKind.MASKED: "Another stream missing or back",
    EventKind.PROMOTED: "Weights changed",
    EventKind.RECORDER: "Recorder",
    EventKind.LATE: "Windows skipped",
    EventKind.MISSED: "Late decision",
    EventKind.OVERFLOW: "A watcher was too slow",
    EventKind.GUARD: "Guard",
    EventKind.STOPPED: "Emergency stop",
    EventKind.BREAK: "A break was due",
    EventKind.WATCHDOG: "Watchdog",
    EventKind.SENT: "Commands sent",
    EventKind.BAD_CHANNEL: "Electrodes masked or back",
    EventKind.SPIKE: "Spike-like activity",
    EventKind.SEIZURE: "Suspected seizure",
    EventKind.RIPPLE: "Ripple-like activity",
    EventKind.BLANKED: "Stimulation left out",
    EventKind.CLEANED: "Too much cleaned",
    EventKind.LISTENING: "Listening to speech",
    EventKind.CORRECTED: "Text corrected",
    EventKind.SECOND_STAGE: "Language model gone or back",
    EventKind.STIMULATION: "Stimulation",
    EventKind.ENGINE: "What runs the model",
    EventKind.FAILED: "Decoder or output failed",
    EventKind.LEARNER: "Learner and adaptation",
}
"""What a clinician reads instead of an event's name."""

# Never summed up: each of them may be what somebody looks for.
_ONE_BY_ONE = (
    EventKind.GUARD, EventKind.PROMOTED, EventKind.RECORDER, EventKind.SEIZURE,
    EventKind.STOPPED, EventKind.LISTENING, EventKind.WATCHDOG, EventKind.STIMULATION,
)  # fmt: skip
_MOST_ALIKE, _MOST_ROWS = 5, 120


def course(facts: Facts) -> list[Part]:
    """Timeline of the session."""
    record, found = facts.record, facts.course
    trials = facts.performance.trials if facts.performance is not None else ()
    said = []
    if record.turns:
        neutral = sum(turn.command.label is None for turn in record.turns) / len(record.turns)
        said.append(f"output was neutral for {round(100 * neutral)} % of the decisions")
        if len(found.speeds):
            fast, top = found.speeds[found.speeds > 0], found.speeds.max()
            moved = f"it moved at {fast.mean():.0%} of full speed, at most {top:.0%}"
            said.append(moved if len(fast) else "it never moved")
        versions = len({turn.decision.epoch for turn in record.turns})
        said.append(
            "the weights never changed" if versions == 1 else f"{versions} versions of weights"
        )
    if facts.survey.lost:
        said.append(f"{count(len(facts.survey.lost), 'gap')} (black bars)")
    if trials:
        right = sum(trial.predicted == trial.cue for trial in trials)
        said.append(
            f"{right} of {count(len(trials), 'trial')} right (dots; crosses wrong, dashes silent)"
        )
    if record.notes:
        said.append(f"{count(len(record.notes), 'note')}, numbered as below")
    text = "; ".join(said) or "Only the signal was recorded"
    caption = f"From left to right the whole session of {duration(record.duration_s)}: {text}."
    return [timeline(record, found, facts.cues, trials, caption=caption)]


def log(facts: Facts) -> list[Part]:
    """Notes and events in words."""
    rows = [
        *_note_rows(facts.record, facts.course),
        *_event_rows(facts.record.events, facts.course),
    ]
    if not rows:
        return [missing("Nobody wrote a note, and nothing out of the ordinary was recorded.")]
    rows.sort(key=lambda row: row[0])
    shown = [(moment(at_s), what, text) for at_s, what, text in rows[:_MOST_ROWS]]
    parts: list[Part] = [table(("Time", "What", "In words"), shown, kind="log")]
    if len(rows) > _MOST_ROWS:
        parts.append(element("p", f"{len(rows) - _MOST_ROWS} later entries are in the recording."))
    return parts


def _note_rows(record: Record, found: Course) -> Iterable[tuple[float, Part, Part]]:
    for number, note in enumerate(record.notes, start=1):
        who = f" ({note.who})" if note.who else ""
        text = joined([element("strong", note.text), who])
        yield found.second_of(note.at_ns), element("strong", f"Note {number}"), text


def _event_rows(events: tuple[Event, ...], found: Course) -> Iterable[tuple[float, Part, Part]]:
    """One row each, but for kinds that come often: those share one row."""
    counts = Counter(event.kind for event in events)
    told: set[EventKind] = set()
    for event in events:
        often = counts[event.kind] > _MOST_ALIKE and event.kind not in _ONE_BY_ONE
        if event.kind in told:
            continue
        what = KIND_WORDS.get(event.kind, event.kind.value.replace("_", " ").capitalize())
        at_s = found.when(event)
        if not often:
            yield at_s, what, _in_words(event)
            continue
        told.add(event.kind)
        last_s = max(found.when(e) for e in events if e.kind is event.kind)
        n = counts[event.kind]
        yield at_s, f"{what}, {n:,} times", f"Until {moment(last_s)}. The first: {event.text}"


_GUARD_WORDS = {
    State.ARMED: "Output allowed.",
    State.DISARMED: "Output off.",
    State.HOLDING: "Output on hold until the fault is over.",
    State.STOPPED: "Stopped: output off until a person resets it.",
}


def _in_words(event: Event) -> str:
    state = last_state(event.text) if event.kind is EventKind.GUARD else ""
    return f"{_GUARD_WORDS[State(state)]} {event.text}" if state else event.text


def provenance(facts: Facts, audit: Mapping[str, str] | None) -> list[Part]:
    """Where everything comes from, with hashes; for engineers."""
    record = facts.record
    rows: list[tuple[str, Part]] = [
        ("Recording", record.path.name),
        ("SHA-256 of the recording", _hash_of(record)),
        ("Stream", _stream(record)),
    ]
    manifest, card = record.manifest, record.card
    if manifest is not None:
        rows += [
            ("Model, SHA-256", element("code", manifest.model_sha256 or "none")),
            ("Configuration, SHA-256", element("code", manifest.settings_sha256)),
            ("Versions", _plain(manifest.versions)),
            ("Machine", _plain(manifest.machine)),
            ("Format of the recording", str(manifest.format_version)),
        ]
    else:
        rows.append(("Origin", "Recorded by another program: no settings and no versions."))
    if card is not None:
        rows += [
            ("Model", f"{card.encoder} with {card.adapter}, fitted {_date(card.created_utc)}"),
            ("Weights, SHA-256", element("code", card.weights_sha256 or "unknown")),
        ]
    if manifest is not None and manifest.engine:
        rows.append(("The model ran on", manifest.engine.replace(":", ", ")))
    if audit:
        rows += audit.items()
    else:
        rows.append(("Audit log", "The audit log was not checked for this report."))
    remarks = [element("li", remark) for remark in record.remarks]
    parts: list[Part] = [pairs(rows)]
    if remarks:
        parts += [element("h3", "Remarks of the reader"), element("ul", *remarks)]
    if manifest is not None and manifest.settings:
        parts += [element("h3", "Settings"), _settings(manifest.settings)]
    return parts


def _stream(record: Record) -> str:
    kinds = Counter(channel.kind for channel in record.spec.channels)
    rows = listed([f"{n} {kind}" for kind, n in kinds.most_common()])
    return f"{record.spec.name}: {rows} at {record.spec.rate_hz:g} Hz, {record.n_times:,} samples"


def _hash_of(record: Record) -> Html:
    try:
        with record.path.open("rb") as file:
            return element("code", hashlib.file_digest(file, "sha256").hexdigest())
    except OSError as error:
        return joined([f"The file could not be read again ({error.strerror})."])


def _settings(settings: Mapping[str, object]) -> Html:
    """A row for each table of the session file: a line for each value would take pages."""
    rows: list[tuple[str, Part]] = []
    for name, content in settings.items():
        entries = _flat(content) if isinstance(content, Mapping) else [(name, str(content))]
        values = (element("span", f"{key} = {value}") for key, value in entries)
        rows.append((name, joined(part for one in values for part in (one, " "))))
    return table(("Table", "Values"), rows, kind="settings")


def _flat(settings: Mapping[str, object], prefix: str = "") -> list[tuple[str, str]]:
    """Tables in tables as dotted keys, in order."""
    rows: list[tuple[str, str]] = []
    for key, value in settings.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{prefix}{key}.")
        else:
            rows.append((f"{prefix}{key}", str(value)))
    return rows


def _plain(entries: Mapping[str, str]) -> str:
    return ", ".join(f"{key} {value}" for key, value in entries.items()) or "unknown"


def _date(utc: str) -> str:
    return date_words(utc) or "at an unknown time"


def date_words(utc: str) -> str:
    """An ISO date as people write it: ``"22 November 2026, 10:12 UTC"``; empty if it is none."""
    try:
        when = datetime.fromisoformat(utc)
    except ValueError:
        return ""
    months = ("January", "February", "March", "April", "May", "June", "July", "August",
              "September", "October", "November", "December")  # fmt: skip
    return f"{when.day} {months[when.month - 1]} {when.year}, {when:%H:%M} UTC"
