"""A small recorded session on disk, made of the messages that `told` makes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from diverloop.runtime.messages import Chunk, Event, EventKind, Marker, Turn
from diverloop.runtime.record.contents import Note
from diverloop.runtime.record.entries import End, TurnEntry
from diverloop.runtime.record.layout import Begun, Layout
from diverloop.runtime.record.link import FILE
from diverloop.runtime.record.manifest import Manifest
from diverloop.runtime.record.xdf_write import XdfWriter

from .told import a_session

START_NS = 5_000_000_000


def write_session(folder: Path, seconds: float = 20.0) -> Path:
    """Write it; the guard is armed after 2 s, a marker comes every 5 s, a gap after 10 s."""
    writer = XdfWriter(folder / FILE, created_utc="")
    layout = Layout(writer, lambda act: act(), Begun())
    layout.put(_manifest())
    for message in a_session(seconds):
        if isinstance(message, Chunk):
            at_ns, first = message.arrived_ns + START_NS, message.first_sample
            marker = (Marker(label="cue", sample=first),) if first and first % 1200 == 0 else ()
            layout.put(replace(message, arrived_ns=at_ns, markers=marker))
            for event in _events(first, at_ns):
                layout.put(event)
        elif isinstance(message, Turn):
            times = replace(message.times, acted_ns=message.times.acted_ns + START_NS)
            layout.put(TurnEntry.of(replace(message, times=times)))
        else:
            layout.put(_shifted(message))
    layout.put(Note(text="all well", who="op", at_ns=1))  # from another clock
    layout.put(End(reason="The session ended.", orderly=True))
    writer.finish()
    writer.close()
    return folder


def _shifted(message):
    at_ns = getattr(message, "at_ns", None)
    if at_ns is None:
        return message
    return replace(message, at_ns=START_NS + message.sample * 4_000_000)


def _events(first: int, at_ns: int) -> list[Event]:
    told = {
        0: (EventKind.GUARD, "The guard is disarmed."),
        504: (EventKind.GUARD, "The guard went from disarmed to armed."),
        2496: (EventKind.GAP, "12 samples were lost."),
    }.get(first)
    return [Event(kind=told[0], text=told[1], sample=first, count=12, at_ns=at_ns)] if told else []


def _manifest() -> Manifest:
    return Manifest(
        session="taped", settings={}, model_sha256="0" * 64, live=True,
        started_utc="2026-01-01T00:00:00+00:00", started_ns=START_NS - 3_000_000_000,
    )  # fmt: skip
