"""The tables of an NWB file: markers and trials, events, notes, decisions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..messages import Turn
from .contents import Record

if TYPE_CHECKING:
    from pynwb import NWBFile


def add_markers(file: NWBFile, record: Record) -> None:
    """Add every marker as an event, and each that names a class as the start of a trial.

    Parameters
    ----------
    file : pynwb.NWBFile
        Where to.
    record : Record
        The recording, as it may leave.
    """
    markers = sorted(record.markers, key=lambda marker: marker.sample)
    said = [(marker.sample, marker.label or "unnamed") for marker in markers]
    _add_events(file, "markers", "Labels that the task sent", said, record.spec.rate_hz)
    ends = [marker.sample for marker in markers[1:]] + [record.n_times]
    # Any marker is one where no class is known.
    known = record.classes or {marker.label for marker in markers}
    cues = [pair for pair in zip(markers, ends, strict=True) if pair[0].label in known]
    if cues:
        file.add_trial_column("label", "What the marker at its start said")
        file.add_trial_column("sample", "Index of its first sample")
    for marker, end in cues:
        file.add_trial(
            start_time=marker.sample / record.spec.rate_hz,
            stop_time=max(end, marker.sample + 1) / record.spec.rate_hz,
            label=marker.label or "unnamed",
            sample=marker.sample,
        )


def add_happenings(file: NWBFile, record: Record) -> None:
    """Add what loop and operator had to say, as events.

    Parameters
    ----------
    file : pynwb.NWBFile
        Where to.
    record : Record
        The recording, as it may leave.
    """
    loop = [
        (
            event.sample if event.sample >= 0 else record.sample_at(event.at_ns),
            f"{event.kind}: {event.text}",
        )
        for event in record.events
    ]
    notes = [(record.sample_at(note.at_ns), note.text) for note in record.notes]
    rate_hz = record.spec.rate_hz
    _add_events(file, "loop", "What happened to stream and loop: kind, colon, text", loop, rate_hz)
    _add_events(file, "notes", "What a person wrote down, scanned", notes, rate_hz)


def _add_events(
    file: NWBFile, name: str, description: str, said: Sequence[tuple[int, str]], rate_hz: float
) -> None:
    """A table of texts with their samples; none if there are none."""
    if not said:
        return
    table = file.create_events_table(
        name=name, description=f"{description}. A time stamp is sample / rate."
    )
    table.add_column("sample", "Index of the sample, counted from 0")
    for sample, text in sorted(said, key=lambda pair: pair[0]):
        table.add_event(timestamp=sample / rate_hz, annotation=text or "empty", sample=sample)


def add_decisions(file: NWBFile, record: Record) -> None:
    """Add an interval for each turn of the loop: the window that it judged.

    Parameters
    ----------
    file : pynwb.NWBFile
        Where to.
    record : Record
        The recording, as it may leave.
    """
    from pynwb.epoch import TimeIntervals

    classes = record.turns[0].decision.classes
    table = TimeIntervals(
        name="decisions", description="One row for each turn of the loop; its window in time"
    )
    for name, description in _DECISION_COLUMNS.items():
        table.add_column(name, description)
    table.add_column("probabilities", f"Of {', '.join(classes)}, in this order; NaN if not decoded")
    n_axes = max(len(turn.command.velocity) for turn in record.turns)
    if n_axes:
        table.add_column("velocity", "Share of full speed along each axis, -1 to 1")
    # A turn without a window starts when it was due, later than the next turn's window.
    rows = [_decision(turn, record, n_axes) for turn in record.turns]
    for row in sorted(rows, key=lambda row: row["start_time"]):
        table.add_row(**row)
    module = file.create_processing_module("decoding", "What the closed loop decoded and did")
    module.add(table)


_DECISION_COLUMNS = {
    "first_sample": "First sample of the window; -1 without one, the interval is then a moment",
    "stop_sample": "One past its last sample; -1 without one",
    "label": "The decided class; none for an abstention",
    "reason": "Why the decoder abstained; none if it did not",
    "commanded": "What the output really did; none is neutral",
    "strength": "Accumulated evidence for it, 0 to 1",
    "selected": "Whether it was selected at this moment",
    "epoch": "Which set of weights decided",
    "latency_ms": "From the end of the window to the output's action, in ms",
}


def _decision(turn: Turn, record: Record, n_axes: int) -> dict[str, Any]:
    """One turn as a row."""
    said, done, rate_hz = turn.decision, turn.command, record.spec.rate_hz
    has_window = 0 <= said.first_sample < said.stop_sample
    due = record.sample_at(turn.times.due_ns)
    first, stop = (said.first_sample, said.stop_sample) if has_window else (due, due + 1)
    velocity = (*done.velocity, *(0.0,) * n_axes)[:n_axes]
    return {
        "start_time": first / rate_hz,
        "stop_time": stop / rate_hz,
        "first_sample": said.first_sample,
        "stop_sample": said.stop_sample,
        "label": said.label or "none",
        "reason": said.reason or "none",
        "commanded": done.label or "none",
        "strength": float(done.strength),
        "selected": bool(done.selected),
        "epoch": said.epoch,
        "latency_ms": (turn.times.acted_ns - turn.times.due_ns) / 1e6,
        "probabilities": np.asarray(said.probabilities, np.float64),
        **({"velocity": np.array(velocity)} if n_axes else {}),
    }
