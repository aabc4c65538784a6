"""The tape as text: one line of JSON for everything that determines a run or came out of it.

A recording holds these lines as an XDF stream of strings, so that any XDF reader shows them. The
samples themselves are not in them; a `ChunkEntry` says which rows of the signal stream it is made
of. Numbers keep every bit; ``NaN`` and ``Infinity`` stand as Python's ``json`` writes them.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from dataclasses import dataclass
from typing import Any, get_origin

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..errors import RecordingError
from ..json_text import parsed_json
from ..messages import (
    Aside,
    Chunk,
    Command,
    Decision,
    Event,
    Marker,
    Promotion,
    StageTimes,
    StreamSpec,
    Turn,
)
from ..quality import Quality
from ..wire import number_type, shaped
from .contents import Note
from .manifest import Manifest
from .tape import Pass

_SHORT = 64  # numbers of an array that are still written out, for people


@dataclass(frozen=True, slots=True, kw_only=True)
class AsideEntry:
    """An `Aside` without its rows.

    Parameters
    ----------
    start, stop : int
        Rows of the recorded stream that they are, stop exclusive.
    first_row, offset_s : int, float
        As in `Received`.
    place, arrived_ns, spec
        As in `Aside`.
    """

    place: int
    arrived_ns: int
    start: int
    stop: int
    first_row: int
    offset_s: float
    spec: StreamSpec | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkEntry:
    """A `Chunk` without its samples.

    Parameters
    ----------
    rows : tuple of (int, int)
        Rows of the recorded signal stream that make up its samples, in order, stop exclusive.
    beside : tuple of AsideEntry
        What came on other streams.
    first_sample, arrived_ns, lsl_raw_s, lsl_corrected_s, markers, events
        As in `Chunk`.
    """

    rows: tuple[tuple[int, int], ...]
    first_sample: int
    arrived_ns: int
    lsl_raw_s: float = math.nan
    lsl_corrected_s: float = math.nan
    markers: tuple[Marker, ...] = ()
    events: tuple[Event, ...] = ()
    beside: tuple[AsideEntry, ...] = ()

    @classmethod
    def of(
        cls,
        chunk: Chunk,
        rows: tuple[tuple[int, int], ...],
        beside: tuple[AsideEntry, ...] = (),
    ) -> ChunkEntry:
        """The entry of a chunk that is made of these rows, and of what came beside it."""
        return cls(
            rows=rows,
            beside=beside,
            first_sample=chunk.first_sample,
            arrived_ns=chunk.arrived_ns,
            lsl_raw_s=chunk.lsl_raw_s,
            lsl_corrected_s=chunk.lsl_corrected_s,
            markers=chunk.markers,
            events=chunk.events,
        )

    def chunk(self, samples: NDArray[np.float32], beside: tuple[Aside, ...] = ()) -> Chunk:
        """The chunk, given its samples again, and what came beside it."""
        return Chunk(
            samples=samples,
            beside=beside,
            first_sample=self.first_sample,
            arrived_ns=self.arrived_ns,
            lsl_raw_s=self.lsl_raw_s,
            lsl_corrected_s=self.lsl_corrected_s,
            markers=self.markers,
            events=self.events,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnEntry:
    """A `Turn` with the fingerprint of its embedding in place of the embedding.

    Parameters
    ----------
    decision, command, times, asked
        As in `Turn`.
    embedding : str
        Equal for embeddings that are equal to the last bit; empty when nothing was encoded.
    """

    decision: Decision
    command: Command
    times: StageTimes
    asked: Command | None = None
    embedding: str = ""

    @classmethod
    def of(cls, turn: Turn) -> TurnEntry:
        """The entry of a turn."""
        values = None if turn.embedding is None else np.ascontiguousarray(turn.embedding.values)
        return cls(
            decision=turn.decision,
            command=turn.command,
            times=turn.times,
            asked=turn.asked,
            embedding="" if values is None else _fingerprint(values),
        )

    def turn(self) -> Turn:
        """The turn, without its embedding."""
        return Turn(
            decision=self.decision, command=self.command, times=self.times, asked=self.asked
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How the recording ended.

    Parameters
    ----------
    reason : str
        One sentence.
    orderly : bool
        False if the loop went away without a word.
    """

    reason: str
    orderly: bool


Entry = (
    Manifest | StreamSpec | ChunkEntry | TurnEntry | Event | Quality | Pass | Promotion | Note | End
)  # fmt: skip
"""What a line of the tape can be."""

TYPES: dict[str, type] = {
    "manifest": Manifest,
    "spec": StreamSpec,
    "chunk": ChunkEntry,
    "turn": TurnEntry,
    "event": Event,
    "pass": Pass,
    "promotion": Promotion,
    "quality": Quality,
    "note": Note,
    "end": End,
}
"""Name of each kind of line."""

_NAMES = {kind: name for name, kind in TYPES.items()}


def write_entry(entry: Entry) -> str:
    """One line of the tape.

    Parameters
    ----------
    entry : Entry
        What to write.

    Returns
    -------
    line : str
        JSON without a line break.
    """
    plain = msgspec.to_builtins(entry, enc_hook=_plain)
    return json.dumps({_NAMES[type(entry)]: plain}, ensure_ascii=False, separators=(",", ":"))


def read_entry(line: str) -> Entry:
    """Rebuild what `write_entry` wrote.

    Parameters
    ----------
    line : str
        One line of the tape.

    Returns
    -------
    entry : Entry
        Equal to what was written, bit for bit.

    Raises
    ------
    RecordingError
        If the line is damaged, or of a newer version.
    """
    try:
        ((name, plain),) = parsed_json(line).items()
        entry: Entry = msgspec.convert(plain, TYPES[name], dec_hook=_rebuilt)
    except (
        ValueError, OverflowError, LookupError, AttributeError, msgspec.MsgspecError,
    ) as error:  # fmt: skip
        raise RecordingError(
            f"A line of the tape cannot be read ({error}), it begins {line[:60]!r}: the recording "
            f"is damaged, or of a newer diverloop; read it with the version that wrote it."
        ) from error
    return entry


def _fingerprint(values: NDArray[np.floating]) -> str:
    return hashlib.blake2b(values.tobytes(), digest_size=8).hexdigest()


def _plain(value: object) -> object:
    if isinstance(value, np.ndarray):
        if value.dtype == np.float64 and value.ndim == 1 and value.size <= _SHORT:
            return value.tolist()
        little = np.ascontiguousarray(value, value.dtype.newbyteorder("<"))
        text = base64.b64encode(little.tobytes()).decode()
        return {"dtype": little.dtype.str, "shape": value.shape, "base64": text}
    if isinstance(value, np.generic):
        return value.item()
    raise NotImplementedError(f"{type(value).__name__} has no place on the tape.")


def _rebuilt(kind: type, value: Any) -> object:
    if (get_origin(kind) or kind) is not np.ndarray:
        raise NotImplementedError(f"{kind} has no place on the tape.")
    if isinstance(value, list):
        return np.array(value, np.float64)
    data = base64.b64decode(value["base64"], validate=True)
    return shaped(np.frombuffer(data, number_type(value["dtype"])), value["shape"])
