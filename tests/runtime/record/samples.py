"""Random messages of every kind that a recording holds, for property tests."""

from __future__ import annotations

import dataclasses
import struct
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from diverloop.runtime.inbox import Kind, Told
from diverloop.runtime.messages import (
    Channel,
    Chunk,
    Command,
    Decision,
    Embedding,
    Event,
    EventKind,
    Marker,
    Promotion,
    StageTimes,
    StreamSpec,
    Turn,
)
from diverloop.runtime.quality import Quality
from diverloop.runtime.received import Received, Sent
from diverloop.runtime.record.contents import Note
from diverloop.runtime.record.entries import ChunkEntry, End, TurnEntry
from diverloop.runtime.record.manifest import Manifest
from diverloop.runtime.record.tape import CHUNK, NOTHING, OPENING, Pass

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
FLOATS = st.floats()
INTS = st.integers(-(2**62), 2**62)
COUNTS = st.integers(0, 2**40)
ARRAYS = npst.arrays(
    st.sampled_from(["<f4", "<f8", "<f2"]),
    npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=9),
    elements={"allow_nan": True},
)
ROWS = npst.arrays(st.sampled_from(["<f4", "<f8", "<i1", "<i2", "<i4"]), (4, 3))
RANGES = st.lists(st.tuples(COUNTS, COUNTS), max_size=3).map(tuple)

MARKERS = st.builds(
    Marker, label=TEXTS, sample=INTS, lsl_raw_s=FLOATS, lsl_corrected_s=FLOATS, stream=TEXTS
)
EVENTS = st.builds(
    Event, kind=st.sampled_from(EventKind), text=TEXTS, sample=INTS, count=COUNTS, at_ns=INTS,
    lasting=st.booleans(),
)  # fmt: skip
CHANNELS = st.builds(
    Channel, name=TEXTS, kind=st.sampled_from(["eeg", "misc"]),
    position_m=st.none() | st.tuples(FLOATS, FLOATS, FLOATS),
)  # fmt: skip
SENT = st.builds(
    Sent, dtype=st.just("<i2"), microvolts=st.lists(FLOATS, max_size=3).map(tuple),
    description=TEXTS,
)  # fmt: skip
SPECS = st.builds(
    StreamSpec, name=TEXTS, rate_hz=FLOATS, channels=st.lists(CHANNELS, max_size=3).map(tuple),
    source_id=TEXTS, sent=st.none() | SENT,
)  # fmt: skip
RECEIVED = st.builds(
    Received, values=ROWS, stamps_s=npst.arrays("<f8", 4), first_row=COUNTS, offset_s=FLOATS
)
_CHUNK = {
    "first_sample": INTS, "arrived_ns": INTS, "lsl_raw_s": FLOATS, "lsl_corrected_s": FLOATS,
    "markers": st.lists(MARKERS, max_size=2).map(tuple),
    "events": st.lists(EVENTS, max_size=2).map(tuple),
    "rows": RANGES,
}  # fmt: skip
CHUNKS = st.builds(
    Chunk, samples=npst.arrays("<f4", (3, 4)), received=st.lists(RECEIVED, max_size=2).map(tuple),
    **_CHUNK,
)  # fmt: skip
DECISIONS = st.builds(
    Decision, classes=st.lists(TEXTS, max_size=3).map(tuple),
    probabilities=npst.arrays("<f8", st.integers(0, 70)), label=st.none() | TEXTS, reason=TEXTS,
    first_sample=INTS, stop_sample=INTS, epoch=COUNTS, marker=st.none() | MARKERS,
    lsl_raw_s=FLOATS, lsl_corrected_s=FLOATS,
)  # fmt: skip
COMMANDS = st.builds(
    Command, label=st.none() | TEXTS, strength=FLOATS, selected=st.booleans(), reason=TEXTS
)
TIMES = st.builds(StageTimes, **dict.fromkeys(StageTimes.__slots__, INTS))
TURNS = st.builds(
    Turn, decision=DECISIONS, command=COMMANDS, times=TIMES, asked=st.none() | COMMANDS,
    embedding=st.none() | st.builds(Embedding, values=ARRAYS, quality=FLOATS),
)  # fmt: skip
PASSES = st.builds(
    Pass, number=COUNTS, outcome=st.sampled_from([OPENING, NOTHING, CHUNK]),
    readings_ns=st.lists(INTS, max_size=5).map(tuple),
    heard=st.lists(st.tuples(COUNTS, TEXTS), max_size=3).map(tuple), promotions=COUNTS,
    told=st.lists(
        st.tuples(COUNTS, st.builds(Told, kind=st.sampled_from(Kind), text=TEXTS)), max_size=3
    ).map(tuple),
)  # fmt: skip
PLAIN = st.recursive(
    st.none() | st.booleans() | INTS | FLOATS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
SETTINGS = st.dictionaries(TEXTS, PLAIN, max_size=4)
PROMOTIONS = st.builds(
    Promotion, epoch=COUNTS, kind=TEXTS, settings=SETTINGS, reason=TEXTS, who=TEXTS,
    arrays=st.dictionaries(TEXTS, ARRAYS, max_size=3),
)  # fmt: skip
_PAIRS = st.dictionaries(TEXTS, TEXTS, max_size=3)
MANIFESTS = st.builds(
    Manifest, session=TEXTS, settings=SETTINGS, model_sha256=TEXTS, live=st.booleans(),
    started_utc=TEXTS, started_ns=INTS, participant=TEXTS, operator=TEXTS, versions=_PAIRS,
    machine=_PAIRS, format_version=COUNTS,
)  # fmt: skip
NOTES = st.builds(Note, text=TEXTS, who=TEXTS, at_ns=INTS)
ENDS = st.builds(End, reason=TEXTS, orderly=st.booleans())

QUALITIES = st.builds(
    Quality, channels=st.lists(TEXTS, max_size=3).map(tuple),
    scores=npst.arrays("<f4", st.integers(0, 70), elements={"allow_nan": True}),
    causes=st.lists(TEXTS, max_size=3).map(tuple), usable=npst.arrays("?", st.integers(0, 70)),
    changed=FLOATS, sample=INTS, at_ns=INTS,
)  # fmt: skip

ENTRIES: dict[type, Any] = {
    Manifest: MANIFESTS,
    StreamSpec: SPECS,
    ChunkEntry: st.builds(ChunkEntry, **_CHUNK),
    TurnEntry: TURNS.map(TurnEntry.of),
    Event: EVENTS,
    Pass: PASSES,
    Promotion: PROMOTIONS,
    Quality: QUALITIES,
    Note: NOTES,
    End: ENDS,
}
"""What makes each kind of line on the tape."""

MESSAGES: dict[type, Any] = {**ENTRIES, Chunk: CHUNKS}
del MESSAGES[ChunkEntry]


def bits(value: Any) -> Any:
    """Equal for values that are equal to the last bit, in type and in every NaN's place."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "f":
            value = np.where(np.isnan(value), value.dtype.type(np.nan), value).astype(value.dtype)
        return value.dtype.str, value.shape, value.tobytes()
    if dataclasses.is_dataclass(value):
        names = [one.name for one in dataclasses.fields(value)]
        return (type(value), *(bits(getattr(value, name)) for name in names))
    if isinstance(value, list | tuple):
        return type(value), *(bits(one) for one in value)
    if isinstance(value, dict):
        return {key: bits(one) for key, one in value.items()}
    if isinstance(value, float):
        return "nan" if value != value else struct.pack("<d", value)
    return type(value), value
