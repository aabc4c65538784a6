"""A sending process for the benchmarks over LSL: rows and markers that tell their own number."""

from __future__ import annotations

import multiprocessing
import os
import time
import uuid
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

CHUNK = 10  # rows a piece: 5 ms at 2 kHz
MARKERS = ("a", "b", "c")
MARKER_EVERY_S = (0.3, 0.7)
LSL_CONFIG = """\
[multicast]
ResolveScope = machine
ListenAddress = 127.0.0.1
[ports]
IPv6 = disable
[lab]
KnownPeers = {{127.0.0.1}}
SessionID = bench-{run}
[log]
level = -2
"""


def speak_here_only(folder: Path) -> None:
    """Keep LSL, which multicasts by default, to this machine and run; before its first call."""
    path = folder / "lsl_api.cfg"
    path.write_text(LSL_CONFIG.format(run=uuid.uuid4().hex), encoding="utf-8")
    os.environ["LSLAPICFG"] = str(path)


@dataclass(frozen=True, kw_only=True)
class Stream:
    """What is sent."""

    name: str
    n_channels: int
    rate_hz: float

    def table(self) -> NDArray[np.float32]:
        """Signal that comes over and over; rows by channels."""
        rng = np.random.default_rng(0)
        n_rows = 65537  # prime, so that pieces and table never fall into step
        return rng.normal(0, 20, (n_rows, self.n_channels)).astype(np.float32)

    @staticmethod
    def count_into(values: NDArray[np.float32], first: int) -> None:
        """Write the number of every row into its first two channels: float32 holds 24 bits."""
        number = first + np.arange(len(values))
        values[:, 0], values[:, 1] = number & 0xFFFFF, number >> 20

    @staticmethod
    def numbers_in(values: NDArray[np.float32]) -> NDArray[np.int64]:
        """Read the number of every row back."""
        return values[:, 0].astype(np.int64) + (values[:, 1].astype(np.int64) << 20)


def send(stream: Stream, seconds: float, pipe: Connection) -> None:
    """Send until told to stop, or for so long, and say at the end how much left."""
    import pylsl

    names = load_names(stream.n_channels)
    info = pylsl.StreamInfo(stream.name, "EEG", stream.n_channels, stream.rate_hz, "float32", "b")
    rows = info.desc().append_child("channels")
    for name in names:
        row = rows.append_child("channel")
        row.append_child_value("label", name)
        row.append_child_value("type", "EEG")
        row.append_child_value("unit", "microvolts")
    words = [
        pylsl.StreamOutlet(pylsl.StreamInfo(f"{stream.name}-{m}", "Markers", 1, 0, "string", m))
        for m in MARKERS
    ]
    signal = pylsl.StreamOutlet(info, CHUNK, 60)
    pipe.send("ready")
    while seconds and not all(outlet.have_consumers() for outlet in (signal, *words)):
        time.sleep(0.02)
    table, values = stream.table(), np.empty((CHUNK, stream.n_channels), np.float32)
    rng = np.random.default_rng(1)
    due, said = rng.uniform(*MARKER_EVERY_S, len(words)), [0] * len(words)
    began_s, sent, late_s = time.monotonic() + 0.1, 0, 0.0
    to_lsl_s = pylsl.local_clock() - time.monotonic()
    most = round(seconds * stream.rate_hz / CHUNK) * CHUNK
    while not pipe.poll() and (not most or sent < most):
        stamp_s = began_s + (sent + CHUNK) / stream.rate_hz
        np.take(table, np.arange(sent, sent + CHUNK) % len(table), axis=0, out=values)
        stream.count_into(values, sent)
        left_s = stamp_s - time.monotonic()
        time.sleep(max(left_s, 0.0))
        late_s = max(late_s, -left_s)
        signal.push_chunk(values, stamp_s - 1 / stream.rate_hz + to_lsl_s)
        sent += CHUNK
        for place, outlet in enumerate(words):
            if due[place] <= sent / stream.rate_hz:
                outlet.push_sample([f"{MARKERS[place]}{said[place]}"], stamp_s + to_lsl_s)
                said[place] += 1
                due[place] += rng.uniform(*MARKER_EVERY_S)
    pipe.send({"rows": sent, "markers": said, "worst_late_ms": 1e3 * late_s})
    pipe.recv()


class Sender:
    """The sender's process, from here."""

    def __init__(self, stream: Stream, seconds: float = 0.0) -> None:
        here, there = multiprocessing.Pipe()
        self._pipe = here
        spawn = multiprocessing.get_context("spawn")
        self._process = spawn.Process(target=send, args=(stream, seconds, there), daemon=True)
        self._process.start()
        there.close()
        assert here.recv() == "ready"
        self.pid = self._process.pid or 0

    def wait(self) -> dict[str, Any]:
        """What was sent, once everything was."""
        self.sent: dict[str, Any] = self._pipe.recv()
        return self.sent

    def stop(self) -> None:
        """Take the streams down."""
        self._pipe.send("stop")
        self._pipe.send("go")
        self._process.join(10)


def load_names(n_channels: int) -> list[str]:
    """A cap's sixteen electrodes, then contacts that nobody decodes."""
    from diverloop.hardware.montage import montage

    cap = [channel.name for channel in montage("eeg16")]
    return [*cap, *(f"X{number}" for number in range(len(cap), n_channels))]
