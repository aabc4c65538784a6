"""What happened during a session, as the event tables of BIDS, with HED tags.

Trial types: the label of a marker as it is; ``feedback/X`` and ``selection/X`` for what the
participant was shown; ``guard``, ``promotion``, ``control/X``, ``fault/X`` and ``recovery/X`` for
the loop; ``finding/X`` for what its research guards saw in the signal; ``note`` for a person's;
``BAD_gap`` for lost samples, which MNE leaves out of epochs by its name.

References
----------
Robbins, K. et al. (2022), Building FAIR functionality: annotating events in time series data
using Hierarchical Event Descriptors (HED), Neuroinformatics 20, 463-481.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

from ..messages import Event, EventKind, Turn
from .bids_tables import Row, one_line
from .contents import Record

HED_VERSION = "8.4.0"
"""The schema that the tags are from."""

EVENT_COLUMNS = ("onset", "duration", "sample", "trial_type", "value", "text", "HED")
"""Columns of ``_events.tsv``."""

_RECOVERIES = (EventKind.FRESH, EventKind.SOURCE_BACK)
# What people, learner and outputs did while the session ran; some of it goes wrong, none is signal.
_CONTROL = (
    EventKind.STOPPED, EventKind.LISTENING, EventKind.STIMULATION, EventKind.SENT,
    EventKind.LEARNER, EventKind.ENGINE, EventKind.BREAK, EventKind.CORRECTED,
)  # fmt: skip
_FINDINGS = (EventKind.SPIKE, EventKind.SEIZURE, EventKind.RIPPLE)
# Faults of the loop and of what it works with: the signal is as good as before.
_NOT_OF_THE_SIGNAL = (
    EventKind.IMPOSTOR, EventKind.RECORDER, EventKind.LATE, EventKind.MISSED, EventKind.OVERFLOW,
    EventKind.WATCHDOG, EventKind.SECOND_STAGE, EventKind.FAILED,
)  # fmt: skip


def hed_label(text: str) -> str:
    """A word as HED allows it in ``Label/``: letters, digits, ``_`` and ``-``."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-") or "unnamed"


def event_rows(record: Record, lost: Sequence[tuple[int, int]]) -> list[Row]:
    """The rows of ``_events.tsv``.

    Parameters
    ----------
    record : Record
        The recording, as it may leave.
    lost : sequence of (int, int)
        From `lost_ranges`.

    Returns
    -------
    rows : list of dict
        In order of their sample; ``value`` numbers the trial types of this file.
    """
    rows = [*_marker_rows(record), *_gap_rows(lost), *_shown_rows(record)]
    rows += [_loop_row(event, record) for event in record.events]
    rows += [_note_row(note.text, record.sample_at(note.at_ns)) for note in record.notes]
    rows.sort(key=lambda row: row["sample"])
    kinds = sorted({row["trial_type"] for row in rows})
    codes = {kind: code for code, kind in enumerate(kinds, 1)}
    for row in rows:
        row["onset"] = row["sample"] / record.spec.rate_hz
        row["duration"] = row["duration"] / record.spec.rate_hz
        row["value"] = codes[row["trial_type"]]
    return _tagged_once(rows)


def _tagged_once(rows: list[Row]) -> list[Row]:
    """Leave a tag out where it stands already at the same moment: HED wants every tag once."""
    said = set()
    for row in rows:
        if (row["onset"], row["HED"]) in said:
            row["HED"] = None
        said.add((row["onset"], row["HED"]))
    return rows


def _row(sample: int, kind: str, hed: str, text: str = "", samples: int = 0) -> Row:
    """A row before its times are computed; its duration is in samples."""
    return {
        "sample": sample,
        "duration": samples,
        "trial_type": kind,
        "text": text,
        "HED": f"({hed})",
    }


def _marker_rows(record: Record) -> Iterator[Row]:
    """What the task sent: a cue, if it names a class."""
    classes = record.classes
    for marker in record.markers:
        label = one_line(marker.label) or "unnamed"
        what = "Sensory-event, Cue" if label in classes else "Event"
        text = f"came on the marker stream {marker.stream}" if marker.stream else ""
        yield _row(marker.sample, label, f"{what}, Label/{hed_label(label)}", text)


def _gap_rows(lost: Sequence[tuple[int, int]]) -> Iterator[Row]:
    """Samples that never came."""
    for first, stop in lost:
        text = f"{stop - first} samples were lost; the data file holds zeros here"
        hed = "Data-feature, Data-artifact, Label/lost-samples"
        yield _row(first, "BAD_gap", hed, text, stop - first)


def _shown_rows(record: Record) -> Iterator[Row]:
    """What the sinks did: one row for each change, and one for each selection."""
    changes = [*_changes(record), (record.n_times, "the end")]
    for (sample, label), (end, _) in pairwise(changes):
        hed = f"Sensory-event, Feedback, Label/{hed_label(label)}"
        yield _row(sample, f"feedback/{label}", hed, samples=max(end - sample, 0))
    for turn in record.turns:
        if turn.command.selected:
            label = turn.command.label or "neutral"
            hed = f"Sensory-event, Feedback, Label/selection, Label/{hed_label(label)}"
            yield _row(record.sample_at(turn.times.acted_ns), f"selection/{label}", hed)


def _changes(record: Record) -> Iterator[tuple[int, str]]:
    """When the command became another: the sample, and the label or ``neutral``."""
    last = "neutral"
    for turn in record.turns:
        label = turn.command.label or "neutral"
        if label != last:
            yield record.sample_at(turn.times.acted_ns), label
            last = label


def _loop_row(event: Event, record: Record) -> Row:
    """Something that happened to the stream or to the loop."""
    sample = event.sample if event.sample >= 0 else record.sample_at(event.at_ns)
    if event.kind in (EventKind.GUARD, EventKind.PROMOTED):
        kind = "guard" if event.kind is EventKind.GUARD else "promotion"
        return _row(sample, kind, f"Experiment-control, Label/{kind}", event.text)
    stem, tags = _sort_of(event.kind)
    return _row(sample, f"{stem}/{event.kind}", f"{tags}, Label/{event.kind}", event.text)


def _sort_of(kind: EventKind) -> tuple[str, str]:
    """First half of a trial type, and its tags."""
    if kind in _CONTROL:
        return "control", "Experiment-control"
    if kind in _RECOVERIES:
        return "recovery", "Data-feature"
    if kind in _FINDINGS:
        return "finding", "Data-feature"
    if kind is EventKind.BLANKED:
        return "finding", "Data-feature, Data-artifact"
    if kind in _NOT_OF_THE_SIGNAL:
        return "fault", "Experiment-control"
    return "fault", "Data-feature, Data-artifact"


def _note_row(text: str, sample: int) -> Row:
    """What a person wrote down."""
    return _row(sample, "note", "Event, Label/note", text)


def events_sidecar(rows: Iterable[Row], version: str = "") -> dict[str, Any]:
    """The content of ``_events.json``: what the columns and the trial types mean.

    Parameters
    ----------
    rows : iterable of dict
        From `event_rows`.
    version : str
        Of the diverloop that showed the feedback; empty where another program did.

    Returns
    -------
    content : dict
        With ``Levels`` for each trial type that occurs.
    """
    levels = {kind: _meaning(kind) for kind in sorted({row["trial_type"] for row in rows})}
    shown_by = {"SoftwareName": "diverloop", "SoftwareVersion": version} if version else {}
    return {
        "StimulusPresentation": shown_by or {"SoftwareName": "n/a"},
        "onset": {"Description": "Start, from the first sample of the recording", "Units": "s"},
        "duration": {"Description": "Length; 0 for a moment", "Units": "s"},
        "sample": {"Description": "Index of the sample at the start, counted from 0"},
        "trial_type": {"Description": "What happened", "Levels": levels},
        "value": {"Description": "Number of the trial type within this file"},
        "text": {"Description": "What loop or operator wrote about it, without what identifies"},
    }


def _meaning(kind: str) -> str:
    """What a trial type says, in a sentence."""
    stem, _, of = kind.partition("/")
    sentences = {
        "BAD_gap": "Samples were lost; the data file holds zeros here, which are not signal",
        "feedback": f"From here on the participant was shown {of}",
        "selection": f"The loop selected {of}",
        "guard": "The guard of the output changed its state",
        "promotion": "From here on another set of weights decided",
        "control": f"What people, learner or outputs did while the session ran: {of}",
        "finding": f"A check of the signal saw this, which is no diagnosis: {of}",
        "fault": f"The loop noticed a fault of the stream or of itself: {of}",
        "recovery": f"A fault was over: {of}",
        "note": "A person wrote a note",
    }
    return sentences.get(stem, f"The task sent the marker {kind}")


def decision_columns(record: Record) -> list[str]:
    """Columns of the table of decisions; one for the probability of each class."""
    classes = dict.fromkeys(_probability(c) for turn in record.turns for c in turn.decision.classes)
    return [
        "onset", "duration", "trial_type", "first_sample", "stop_sample", "label", "reason",
        *classes, "commanded", "strength", "selected", *_velocity_columns(record), "epoch",
        "latency_ms", "HED",
    ]  # fmt: skip


def _velocity_columns(record: Record) -> list[str]:
    """A column for each axis along which the output moves; none for feedback that selects."""
    n_axes = max((len(turn.command.velocity) for turn in record.turns), default=0)
    return [f"velocity_{axis}" for axis in range(1, n_axes + 1)]


def _probability(name: str) -> str:
    """Column of a class's probability."""
    return "probability_" + hed_label(name).replace("-", "_")


def decision_rows(record: Record) -> list[Row]:
    """The rows of the table of decisions, one for each turn of the loop.

    Parameters
    ----------
    record : Record
        The recording, as it may leave.

    Returns
    -------
    rows : list of dict
        In order of their onset. Onset and duration are those of the window that was judged; the
        decision came at its end, and acted `latency_ms` later. A turn without a window starts
        when it was due.
    """
    rows = [_decision_row(turn, record) for turn in record.turns]
    return _tagged_once(sorted(rows, key=lambda row: row["onset"]))


def _decision_row(turn: Turn, record: Record) -> Row:
    """One turn."""
    said, done = turn.decision, turn.command
    first, stop = said.first_sample, said.stop_sample
    has_window = 0 <= first < stop
    start = first if has_window else record.sample_at(turn.times.due_ns)
    word = "abstention" if said.label is None else said.label
    return {
        "onset": start / record.spec.rate_hz,
        "duration": (stop - first) / record.spec.rate_hz if has_window else 0.0,
        "trial_type": "abstention" if said.label is None else "decision",
        "first_sample": first if has_window else None,
        "stop_sample": stop if has_window else None,
        "label": said.label,
        "reason": said.reason,
        **{
            _probability(name): None if math.isnan(p) else float(p)
            for name, p in zip(said.classes, said.probabilities, strict=True)
        },
        "commanded": done.label,
        "strength": float(done.strength),
        "selected": done.selected,
        **{f"velocity_{axis}": float(v) for axis, v in enumerate(done.velocity, start=1)},
        "epoch": said.epoch,
        "latency_ms": (turn.times.acted_ns - turn.times.due_ns) / 1e6,
        "HED": f"(Data-feature, Computed-feature, Label/{hed_label(word)})",
    }


def decisions_sidecar(record: Record) -> dict[str, Any]:
    """The content of the sidecar of the table of decisions.

    Parameters
    ----------
    record : Record
        The recording, as it may leave.

    Returns
    -------
    content : dict
        What every column means.
    """
    classes = dict.fromkeys(name for turn in record.turns for name in turn.decision.classes)
    return {
        "Description": "Decisions of the closed loop, one row for each of its turns",
        "onset": {"Description": "First sample of the window that was judged", "Units": "s"},
        "duration": {"Description": "Length of the window that was judged", "Units": "s"},
        "trial_type": {
            "Description": "Whether the decoder decided",
            "Levels": {
                "decision": "A class was decided",
                "abstention": "The decoder abstained, or nothing could be decoded",
            },
        },
        "first_sample": {"Description": "First sample of the window, counted from 0"},
        "stop_sample": {"Description": "One past the last sample of the window"},
        "label": {
            "Description": "The decided class",
            "Levels": {name: f"The decoder decided {name}" for name in classes},
        },
        "reason": {"Description": "Why the decoder abstained"},
        **{_probability(c): {"Description": f"Probability of {c}, 0 to 1"} for c in classes},
        "commanded": {"Description": "What the output really did; n/a is neutral"},
        "strength": {"Description": "Accumulated evidence for it, 0 to 1"},
        "selected": {
            "Description": "Whether evidence and dwell sufficed for a selection at this moment",
            "Levels": {"true": "A selection was made", "false": "No selection was made"},
        },
        **{
            name: {"Description": f"Share of full speed along axis {axis}, -1 to 1"}
            for axis, name in enumerate(_velocity_columns(record), start=1)
        },
        "epoch": {"Description": "Which set of weights decided; grows with every promotion"},
        "latency_ms": {
            "Description": "From the end of the window to the output's action",
            "Units": "ms",
        },
    }
