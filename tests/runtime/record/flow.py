"""The messages of a session, by number, and what a recording holds of them in the end."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyxdf

from diverloop.runtime.messages import (
    Channel,
    Chunk,
    Command,
    Decision,
    Embedding,
    Event,
    EventKind,
    Marker,
    Message,
    Promotion,
    StageTimes,
    StreamSpec,
    Turn,
)
from diverloop.runtime.received import Received, Sent
from diverloop.runtime.record.entries import End, Entry, TurnEntry
from diverloop.runtime.record.frames import TOPICS, Kept, pack
from diverloop.runtime.record.link import FILE, RecorderLink
from diverloop.runtime.record.manifest import Manifest
from diverloop.runtime.record.reading import TapeReader
from diverloop.runtime.record.recorder import Recorder
from diverloop.runtime.record.tape import CHUNK, Pass
from diverloop.runtime.record.xdf_chunks import stream_xml
from diverloop.runtime.record.xdf_read import Boundary, FileHeader, XdfReader
from diverloop.runtime.wire import encode

LIMIT_S = 60.0
N_CHANNELS, N_ROWS, RATE_HZ = 4, 10, 250.0
CHANNELS = tuple(Channel(name=f"C{n}") for n in range(1, N_CHANNELS + 1))
VOLTS = (0.25, 0.25, 0.5, 1.0)
MANIFEST = Manifest(
    session="flow", settings={"loop": {"stale_s": 0.25}}, model_sha256="0" * 64, live=True,
    started_utc="2026-01-01T00:00:00+00:00", started_ns=5_000_000_000,
)  # fmt: skip
INT16 = Sent(
    dtype="<i2",
    microvolts=VOLTS,
    description=stream_xml(
        name="amp", type="EEG", channel_format="int16", nominal_srate=RATE_HZ, channels=CHANNELS
    ).decode(),
)
FROM_LSL = StreamSpec(name="amp", rate_hz=RATE_HZ, channels=CHANNELS, source_id="a", sent=INT16)
GOODBYE = End(reason="The session ended.", orderly=True)
SIMULATED = StreamSpec(name="amp", rate_hz=RATE_HZ, channels=CHANNELS)


@dataclass(frozen=True, kw_only=True)
class Flow:
    """A session of so many steps; each is a pass, a chunk and a turn, some are more."""

    n_steps: int = 40
    spec: StreamSpec = FROM_LSL

    def __iter__(self) -> Iterator[Message | Pass]:
        yield self.spec
        for n in range(self.n_steps):
            yield Pass(number=n, outcome=CHUNK, readings_ns=(at_ns(n), at_ns(n) + 7))
            yield self.chunk(n)
            yield turn(n)
            if n % 7 == 3:
                yield Event(kind=EventKind.GAP, text=f"gap {n}", sample=n, count=n, at_ns=at_ns(n))
            if n % 11 == 5:
                yield promotion(n)

    def chunk(self, n: int) -> Chunk:
        return lsl_chunk(n) if self.spec.sent else plain_chunk(n)

    def send(self, link: RecorderLink, between: Callable[[int], None] = lambda n: None) -> None:
        """Do what a loop and its mailbox do; `between` is called before each message."""
        for n, message in enumerate(self):
            between(n)
            link.post(message) if isinstance(message, Pass) else link.watch(message)

    @property
    def counts(self) -> Counter[str]:
        """How many lines of each kind the tape has to have, for a session that ended well."""
        sent = (type(message).__name__.replace("Turn", "TurnEntry") for message in self)
        return Counter(["Manifest", *sent, "End"])


def at_ns(n: int) -> int:
    return 5_000_000_000 + n * 40_000_000


def rows(n: int, n_rows: int = N_ROWS) -> np.ndarray:
    """Rows whose values tell which they are."""
    count = np.arange(n * n_rows, (n + 1) * n_rows)[:, None]
    return (count * 3 + np.arange(N_CHANNELS) - 50).astype("<i2")


def stamps_s(n: int, n_rows: int = N_ROWS) -> np.ndarray:
    """On a sender's clock that is 1000 s ahead."""
    return 1005 + np.arange(n * n_rows, (n + 1) * n_rows) / RATE_HZ


def lsl_chunk(n: int, first_row: int | None = None) -> Chunk:
    """A chunk in the sender's own numbers, now and then with markers of two streams."""
    first = n * N_ROWS if first_row is None else first_row
    values, stamps = rows(n), stamps_s(n)
    offset_s = -1000.0 - n // 20 * 1e-4
    return Chunk(
        samples=INT16.to_microvolts(values),
        first_sample=n * N_ROWS,
        arrived_ns=at_ns(n),
        lsl_raw_s=float(stamps[-1]),
        lsl_corrected_s=float(stamps[-1]) + offset_s,
        markers=markers(n, offset_s),
        received=(
            Received(values=values[:4], stamps_s=stamps[:4], first_row=first, offset_s=offset_s),
            Received(
                values=values[4:], stamps_s=stamps[4:], first_row=first + 4, offset_s=offset_s
            ),
        ),
        rows=((first, first + N_ROWS),),
    )


def plain_chunk(n: int) -> Chunk:
    """A chunk of a source that knows no stamps, as the simulator is one."""
    return Chunk(
        samples=rows(n).T.astype(np.float32) / 3,
        first_sample=n * N_ROWS,
        arrived_ns=at_ns(n),
        markers=(Marker(label=f"cue {n}", sample=n * N_ROWS),) if n % 5 == 2 else (),
    )


def markers(n: int, offset_s: float) -> tuple[Marker, ...]:
    raw_s = float(stamps_s(n)[0])
    named = [("cues", 5, 2), ("keys", 9, 4), ("amp", 13, 6)]  # one is called as the signal is
    return tuple(
        Marker(
            label=f"{name} {n}", sample=n * N_ROWS, lsl_raw_s=raw_s,
            lsl_corrected_s=raw_s + offset_s, stream=name,
        )
        for name, every, place in named
        if n % every == place
    )  # fmt: skip


def turn(n: int) -> Turn:
    decided = at_ns(n) + 1_000_000
    names = ("due", "arrived", "conditioned", "cut", "encoded", "decided", "fed_back", "acted")
    return Turn(
        decision=Decision(
            classes=("left", "right"),
            probabilities=np.array([0.25, 0.75]) if n % 4 else np.full(2, np.nan),
            label="right" if n % 4 else None,
            reason="" if n % 4 else "unsure",
            first_sample=n * N_ROWS,
            stop_sample=(n + 1) * N_ROWS,
        ),
        command=Command(label="right", strength=n / 1000, selected=n % 8 == 1),
        times=StageTimes(**{f"{name}_ns": decided + k for k, name in enumerate(names)}),
        embedding=Embedding(values=np.arange(12.0) + n),
    )


def promotion(n: int) -> Promotion:
    arrays = {"coef": np.arange(6.0).reshape(2, 3) + n}
    return Promotion(epoch=n, kind="linear", settings={"a": 1}, arrays=arrays, reason="better")


# --- a recorder without a process of its own -------------------------------------------------


def as_sent(*messages: Any) -> list[list[bytes]]:
    """Messages in parts, as the link sends them."""
    kept = [TurnEntry.of(one) if isinstance(one, Turn) else one for one in messages]
    return [encode(TOPICS[type(one)], one, number) for number, one in enumerate(kept)]


def packed(*messages: Any) -> bytes:
    """What a pipe then holds."""
    return b"".join(pack(parts) for parts in as_sent(*messages))


def record(folder: Path, data: bytes, kept: Kept | None = None, first: int = 0) -> list[dict]:
    """Run a recorder on what a pipe held when its other end died; give what it said."""
    said: list[dict[str, Any]] = []
    recorder = Recorder(folder / FILE, kept or Kept(), first, said.append)
    recorder.run(BytesIO(data), folder)
    return said


# --- what became of it -----------------------------------------------------------------------


def until(so: Callable[[], Any], what: str = "it") -> None:
    """Return when something is so; fail if it is not in time."""
    deadline_s = time.monotonic() + LIMIT_S
    while not so():
        assert time.monotonic() < deadline_s, f"{what} did not happen within {LIMIT_S:g} s"
        threading.Event().wait(0.005)


def pyxdf_streams(path: Path) -> dict[str, list[dict[str, Any]]]:
    """What the field's reader finds, by name: two streams may have the same one."""
    streams, _ = pyxdf.load_xdf(
        str(path), synchronize_clocks=False, dejitter_timestamps=False, verbose=False
    )
    named: dict[str, list[dict[str, Any]]] = {}
    for stream in streams:
        named.setdefault(stream["info"]["name"][0], []).append(stream)
    return named


def entries(path: Path) -> list[Entry | Chunk]:
    return list(TapeReader(path))


def kinds(path: Path) -> Counter[str]:
    return Counter(type(entry).__name__ for entry in entries(path))


def content(path: Path) -> list[str]:
    """Everything in a file but boundaries and the wall clock, in its order."""
    return [
        repr({name: plain(getattr(chunk, name)) for name in chunk.__dataclass_fields__})
        for chunk in XdfReader(path)
        if not isinstance(chunk, Boundary | FileHeader)
    ]


def plain(value: Any) -> Any:
    return (value.dtype.str, value.tolist()) if isinstance(value, np.ndarray) else value


@cache
def undisturbed(flow: Flow) -> list[str]:
    """The content of a recording of the same session with which nothing happened."""
    with TemporaryDirectory() as folder:
        link = RecorderLink(Path(folder), MANIFEST)
        flow.send(link)
        link.close()
        return content(Path(folder) / FILE)
