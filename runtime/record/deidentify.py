"""Take from a recording what names the person in it, before it leaves the house.

It finds what has a shape (addresses, numbers, dates, titles) and the words that it was told. It
cannot know a name that nobody told it, so a person still has to read what leaves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..card import Card
from ..errors import ConfigError
from ..messages import Channel, Chunk, Command, Decision, Event, Marker, StreamSpec, Turn
from .contents import Note, Record
from .manifest import Manifest
from .pseudonym import pseudonym, shift_for, shifted
from .scanner import Removal, Scanner

LIMITS = (
    "Names, places and nicknames are found only after a title, or where they were given as words "
    "to redact.",
    "The time of day, the intervals between events and the signal itself are not altered.",
    "Somebody has to read the free text once before the data set leaves.",
)
"""What the scan cannot promise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeidentifyOptions:
    """How much of a person leaves with the data.

    Parameters
    ----------
    enabled : bool
        False leaves dates, texts and the participant's label as they were recorded. The sender's
        host, paths and settings stay behind even so.
    participant : str
        Pseudonym to use, letters and digits; empty derives one from the recorded participant.
    key : str
        Secret for what is derived. Without it, whoever guesses the participant's recorded name
        can confirm the guess.
    shift_days : int, optional
        Days by which dates move into the past; None derives them, the same for every session of
        a participant.
    redact : tuple of str
        Words to take out of every text, in any case: names, places.
    """

    enabled: bool = True
    participant: str = ""
    key: str = field(default="", repr=False)
    shift_days: int | None = None
    redact: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.participant and not re.fullmatch(r"[A-Za-z0-9]+", self.participant):
            raise ConfigError(
                f"export.participant must be letters and digits, got {self.participant!r}; leave "
                f"out the prefix sub- and everything else."
            )
        if self.shift_days is not None and not 0 <= self.shift_days <= 100_000:
            raise ConfigError(
                f"export.shift_days must be in [0, 100000], got {self.shift_days}; leave it out "
                f"to have it derived."
            )
        if any(not word.strip() for word in self.redact):
            raise ConfigError(
                "export.redact holds an empty word; give words of one letter or more."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeidentifyReport:
    """What stays behind and what leaves. Keep it: the shift undoes the dates.

    Parameters
    ----------
    applied : bool
        Whether texts were scanned and dates shifted.
    participant : str
        The label that leaves, without ``sub-``.
    shift_days : int
        By how many days dates moved into the past.
    removals : tuple of Removal
        What was taken out of texts, in the order of their places.
    stays : tuple of str
        What is never exported.
    leaves : tuple of str
        What is exported, besides the signal.
    limits : tuple of str
        What this cannot promise.
    remarks : tuple of str
        What a person should know or decide.
    """

    applied: bool
    participant: str
    shift_days: int
    removals: tuple[Removal, ...]
    stays: tuple[str, ...]
    leaves: tuple[str, ...]
    limits: tuple[str, ...] = LIMITS
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportReport:
    """What an export wrote, and what it kept back.

    Parameters
    ----------
    path : Path
        The data set's root, or the file.
    files : tuple of Path
        What was written.
    privacy : DeidentifyReport
        What stays behind and what leaves.
    remarks : tuple of str
        What a reader of the export should know. One sentence each.
    """

    path: Path
    files: tuple[Path, ...]
    privacy: DeidentifyReport
    remarks: tuple[str, ...] = ()


def deidentify(
    record: Record, options: DeidentifyOptions | None = None
) -> tuple[Record, DeidentifyReport]:
    """Take what names a person out of a recording; its samples stay as they are.

    Parameters
    ----------
    record : Record
        As read. It is not altered.
    options : DeidentifyOptions, optional
        How much leaves.

    Returns
    -------
    record : Record
        The same recording under a pseudonym, with shifted dates and scanned texts. Its path,
        settings, source id and the sender's description are gone, whatever the options.
    report : DeidentifyReport
        What was taken out and what leaves.
    """
    options = options or DeidentifyOptions()
    manifest = record.manifest
    name = (manifest.participant if manifest else "") or options.participant or _own_name(record)
    label = options.participant or _label(name, options)
    days = _days(name, options)
    scanner = Scanner((*options.redact, *_own_words(record)), enabled=options.enabled)
    cleaned = replace(
        record,
        path=Path("recording"),
        spec=_cleaned_spec(record.spec, scanner),
        chunks=lambda: _samples_only(record),
        manifest=None if manifest is None else _cleaned_manifest(manifest, label, days, scanner),
        card=None if record.card is None else _cleaned_card(record.card, scanner),
        markers=tuple(
            _cleaned_marker(marker, f"marker {number}", scanner)
            for number, marker in enumerate(record.markers, 1)
        ),
        turns=tuple(
            _cleaned_turn(turn, f"decision {number}", scanner)
            for number, turn in enumerate(record.turns, 1)
        ),
        events=tuple(
            _cleaned_event(event, number, scanner) for number, event in enumerate(record.events, 1)
        ),
        notes=tuple(
            _cleaned_note(note, number, scanner) for number, note in enumerate(record.notes, 1)
        ),
        remarks=tuple(scanner.clean(text, "remark of the reader") for text in record.remarks),
    )
    report = DeidentifyReport(
        applied=options.enabled,
        participant=label,
        shift_days=days,
        removals=tuple(scanner.removals),
        stays=_STAYS,
        leaves=_leaving(cleaned),
        remarks=_remarks(record, cleaned, options),
    )
    return cleaned, report


_STAYS = (
    "name and path of the recording",
    "source id and description of the sender's stream, which name its host",
    "settings of the session and the machine that it ran on",
    "operator, and who wrote a note",
    "names of the recordings that the model was fitted on",
)


def _own_name(record: Record) -> str:
    """What stands for a participant whom nothing names: every session's file has the same name."""
    manifest = record.manifest
    return f"{manifest.session} {manifest.started_utc}" if manifest else record.path.stem


def _label(name: str, options: DeidentifyOptions) -> str:
    """The participant's label when none was given."""
    if options.enabled:
        return pseudonym(name, options.key)
    return re.sub(r"[^A-Za-z0-9]", "", name) or "unknown"


def _days(name: str, options: DeidentifyOptions) -> int:
    """By how much dates move."""
    if not options.enabled:
        return 0
    return shift_for(name, options.key) if options.shift_days is None else options.shift_days


def _own_words(record: Record) -> list[str]:
    """What the recording calls its people and its machines.

    Names of people count in parts, too, from three letters on. What is also a class or a channel
    stays, or a participant called P3 would cost the channel of that name.
    """
    meant = {name for turn in record.turns for name in turn.decision.classes}
    meant |= set(record.spec.channel_names)
    manifest = record.manifest
    people = [manifest.participant, manifest.operator] if manifest else []
    people += sorted({note.who for note in record.notes})
    parts = [part for name in people for part in re.split(r"[\W_]+", name) if len(part) > 2]
    sent = record.spec.sent.description if record.spec.sent else ""
    hosts = re.findall(r"<hostname>\s*([^<\s]+)", sent)
    machines = [record.spec.source_id, *hosts, *(host.partition(".")[0] for host in hosts)]
    words = [word.strip() for word in (*people, *parts, *machines)]
    return [word for word in dict.fromkeys(words) if len(word) > 1 and word not in meant]


def _samples_only(record: Record) -> Iterator[Chunk]:
    """The signal, without what came with it."""
    for chunk in record.chunks():
        yield replace(chunk, markers=(), events=(), received=(), rows=())


def _cleaned_spec(spec: StreamSpec, scanner: Scanner) -> StreamSpec:
    """Rate and rows, without the sender."""
    rows = tuple(
        Channel(
            name=scanner.clean(row.name, f"name of channel {number}"),
            kind=row.kind,
            position_m=row.position_m,
        )
        for number, row in enumerate(spec.channels, 1)
    )
    name = scanner.clean(spec.name, "name of the stream")
    return StreamSpec(name=name, rate_hz=spec.rate_hz, channels=rows)


def _cleaned_manifest(manifest: Manifest, label: str, days: int, scanner: Scanner) -> Manifest:
    """The manifest, without settings, machine and people."""
    return Manifest(
        session=scanner.clean(manifest.session, "name of the session"),
        settings={},
        model_sha256=manifest.model_sha256,
        live=manifest.live,
        started_utc=shifted(manifest.started_utc, days),
        started_ns=manifest.started_ns,
        participant=label,
        versions=manifest.versions,
        format_version=manifest.format_version,
    )


def _cleaned_card(card: Card, scanner: Scanner) -> Card:
    """The model's card, without what names classes or recordings beside them."""
    classes = tuple(scanner.clean(name, "class of the model") for name in card.classes)
    return replace(card, classes=classes, trained_on=(), conditioning={}, feedback={})


def _cleaned_marker(marker: Marker, place: str, scanner: Scanner) -> Marker:
    """A marker with its label, and the name of the stream that it came by, scanned."""
    label = scanner.clean(marker.label, place)
    return replace(marker, label=label, stream=scanner.clean(marker.stream, place))


def _cleaned_turn(turn: Turn, place: str, scanner: Scanner) -> Turn:
    """A decision and its commands with their words scanned."""
    said = turn.decision
    decision: Decision = replace(
        said,
        classes=tuple(scanner.clean(name, place) for name in said.classes),
        label=said.label and scanner.clean(said.label, place),
        reason=scanner.clean(said.reason, place),
        marker=said.marker and _cleaned_marker(said.marker, place, scanner),
    )
    command = _cleaned_command(turn.command, place, scanner)
    asked = turn.asked and _cleaned_command(turn.asked, place, scanner)
    return replace(turn, decision=decision, command=command, asked=asked)


def _cleaned_command(command: Command, place: str, scanner: Scanner) -> Command:
    """A command with its words scanned."""
    label = command.label and scanner.clean(command.label, place)
    return replace(command, label=label, reason=scanner.clean(command.reason, place))


def _cleaned_event(event: Event, number: int, scanner: Scanner) -> Event:
    """An event with its sentence scanned."""
    return replace(event, text=scanner.clean(event.text, f"event {number}"))


def _cleaned_note(note: Note, number: int, scanner: Scanner) -> Note:
    """A note with its text scanned and its writer left out."""
    return Note(text=scanner.clean(note.text, f"note {number}"), who="", at_ns=note.at_ns)


def _leaving(record: Record) -> tuple[str, ...]:
    """What a cleaned recording holds besides its samples, in words."""
    places = sum(row.position_m is not None for row in record.spec.channels)
    counts = {
        "channel names": record.spec.n_channels,
        "electrode positions": places,
        "markers": len(record.markers),
        "decisions with their commands": len(record.turns),
        "events of stream and loop": len(record.events),
        "notes": len(record.notes),
    }
    leaving = [f"{what}: {count}" for what, count in counts.items() if count]
    if record.manifest is not None:
        leaving.append(f"start of the session: {record.manifest.started_utc or 'removed'}")
        leaving.append("versions of the software, hash of the model")
    return tuple(leaving)


def _remarks(record: Record, cleaned: Record, options: DeidentifyOptions) -> tuple[str, ...]:
    """What a person should decide before the data leave."""
    if not options.enabled:
        return ("De-identification was switched off: dates and texts leave as they were written.",)
    remarks = []
    if not options.key and (not options.participant or options.shift_days is None):
        remarks.append(
            "Pseudonym or shift were derived without a secret key: whoever knows or guesses the "
            "name in the recording can confirm the one and undo the other."
        )
    if not options.participant and not (record.manifest and record.manifest.participant):
        which = "the session's name and start" if record.manifest else "its file name"
        remarks.append(
            f"The recording names no participant: pseudonym and shift follow from {which}; give a "
            f"participant to keep several sessions together."
        )
    if record.manifest and not (cleaned.manifest and cleaned.manifest.started_utc):
        remarks.append("The start of the session was left out: its date is not one of 2020 on.")
    return tuple(remarks)
