"""Four real LSL streams of separate processes at once, every sample counted at the end.

    python -m diverloop.tests.bench.many_streams [--minutes 5] [--away 5]

EEG of 64 channels at 1 kHz drives a loop; beside it are EOG (4 channels, 250 Hz), gaze (60 Hz, each
sample up to 20 ms on its way) and audio (16 kHz). A recorder writes all of them. In the middle the
gaze is taken away, and returns. Every row carries its own number, so that the recording shows which
are missing. Rows that are sent while nobody is subscribed are not sent: LSL has no memory.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diverloop.adapters.linear import LinearAdapter, LinearConfig
from diverloop.hardware.lsl_inlet import LslConfig, LslSource
from diverloop.hardware.side_streams import Side, SideStreams, beside_settings
from diverloop.runtime.beside import Company
from diverloop.runtime.beside_config import BesideConfig
from diverloop.runtime.clock import MonotonicClock
from diverloop.runtime.fanout import FanOut
from diverloop.runtime.feedback import EvidenceFeedback, FeedbackConfig
from diverloop.runtime.loop import Loop
from diverloop.runtime.loop_config import Stages
from diverloop.runtime.messages import Chunk, Embedding, Event, EventKind, StreamSpec, Window
from diverloop.runtime.record.asides import FIRST_BESIDE
from diverloop.runtime.record.layout import SIGNAL
from diverloop.runtime.record.link import FILE, RecorderLink
from diverloop.runtime.record.manifest import Manifest, utc_now
from diverloop.runtime.record.xdf_read import NumericSamples, XdfReader
from diverloop.runtime.signal.conditioning import StreamConditioner
from diverloop.runtime.windows import WindowConfig
from diverloop.tests.bench.counting_sender import speak_here_only

CLASSES = ("left", "right")
FLUSH_S = 1.0
CONSUMER_LIMIT_S = 120.0


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What one process sends."""

    kind: str
    n_channels: int
    rate_hz: float
    piece: int
    jitter_s: float = 0.0
    unit: str = "microvolts"


STREAMS = {
    "eeg": Sent(kind="EEG", n_channels=64, rate_hz=1000, piece=10),
    "eog": Sent(kind="EOG", n_channels=4, rate_hz=250, piece=5),
    "gaze": Sent(kind="Gaze", n_channels=2, rate_hz=60, piece=1, jitter_s=0.02, unit="px"),
    "audio": Sent(kind="Audio", n_channels=1, rate_hz=16000, piece=160, unit="normalized"),
}
BESIDE = (
    BesideConfig(role="eog"), BesideConfig(role="gaze", append=("gaze1", "gaze2")),
    BesideConfig(role="audio"),
)  # fmt: skip


def send(role: str, tag: str, first: int) -> None:
    """The sending process: rows from `first` on until the standard input ends."""
    import pylsl

    stream = STREAMS[role]
    info = pylsl.StreamInfo(
        f"{tag}-{role}", stream.kind, stream.n_channels, stream.rate_hz, "float32", f"{tag}-{role}"
    )
    rows = info.desc().append_child("channels")
    for number in range(stream.n_channels):
        row = rows.append_child("channel")
        row.append_child_value("label", f"{role}{number + 1}")
        row.append_child_value("type", stream.kind)
        row.append_child_value("unit", stream.unit)
    outlet = pylsl.StreamOutlet(info, 0, 360)
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    print("ready", flush=True)
    if not outlet.wait_for_consumers(CONSUMER_LIMIT_S):
        print(json.dumps({"first": first, "stop": first}), flush=True)
        return
    stop = _push(outlet, stream, first, ended)
    print(json.dumps({"first": first, "stop": stop}), flush=True)
    time.sleep(FLUSH_S)


def _push(outlet: Any, stream: Sent, first: int, ended: threading.Event) -> int:
    import pylsl

    rng = np.random.default_rng(first)
    values = rng.normal(0, 20, (stream.piece, stream.n_channels)).astype(np.float32)
    number, began_s, due_s = first, pylsl.local_clock(), 0.0
    while not ended.is_set():
        taken_s = began_s + (number - first + stream.piece) / stream.rate_hz
        # What is on its way is not overtaken: a delay below one period, or in order behind it.
        due_s = max(due_s, taken_s + rng.uniform(0, stream.jitter_s))
        time.sleep(max(0.0, due_s - pylsl.local_clock()))
        values[:, 0] = (number + np.arange(stream.piece)) % 2**24
        outlet.push_chunk(values, taken_s - 1 / stream.rate_hz)
        number += stream.piece
    return number


class Sender:
    """A sending process, from here."""

    def __init__(self, role: str, tag: str, first: int = 0) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--send", role, tag, str(first)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def wait(self) -> None:
        """Return when its stream can be found."""
        assert self._process.stdout is not None
        assert self._process.stdout.readline().strip() == "ready"

    def stop(self) -> dict[str, int]:
        """Let it end; what it sent."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        said: dict[str, int] = json.loads(self._process.stdout.readline())
        self._process.wait()
        self._process.stdout.close()
        return said


class Looks:
    """An encoder that counts how often each stream was there."""

    beside = True

    def __init__(self) -> None:
        self.presence: dict[str, dict[str, int]] = {config.role: {} for config in BESIDE}
        self.n_masked = self.n_windows = 0

    def open(self, spec: StreamSpec, n_times: int) -> None:
        """Nothing to prepare."""

    def encode(self, window: Window) -> Embedding:
        """Look at what is there."""
        self.n_windows += 1
        self.n_masked += window.usable is not None and not window.usable[-1]
        for stretch in window.beside:
            counts = self.presence[stretch.role]
            counts[stretch.presence] = counts.get(stretch.presence, 0) + 1
        return Embedding(values=window.samples[:2, -50:].mean(axis=1))

    def close(self) -> None:
        """Nothing to release."""


class Tells:
    """A watcher that keeps what happened to the streams."""

    lossless = True

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.opened = threading.Event()
        self._places: set[int] = set()

    def watch(self, message: object) -> None:
        """Keep an event; note when every stream has come."""
        if isinstance(message, Chunk) and not self.opened.is_set():
            self._places.update(aside.place for aside in message.beside)
            if len(self._places) == len(BESIDE):
                self.opened.set()
        if isinstance(message, Event):
            self.events.append(message)

    def close(self) -> None:
        """Nothing to release."""


def run(minutes: float, away_s: float, folder: Path) -> dict[str, Any]:
    """Run it, and count."""
    tag, clock = f"many-{uuid.uuid4().hex[:8]}", MonotonicClock()
    senders = {role: Sender(role, tag) for role in STREAMS}
    for sender in senders.values():
        sender.wait()
    encoder, tells = Looks(), Tells()
    manifest = Manifest(
        session="many streams", settings={}, model_sha256="0" * 64, live=True,
        started_utc=utc_now(), started_ns=clock.now_ns(),
    )  # fmt: skip
    link = RecorderLink(folder, manifest)
    loop = Loop(
        _stages(tag, clock, encoder), clock=clock,
        window=WindowConfig(length_s=1.0, step_s=0.05), fanout=FanOut((link, tells)),
    )  # fmt: skip
    sent: dict[str, list[dict[str, int]]] = {}
    course = threading.Thread(
        target=_course, args=(senders, tag, minutes, away_s, sent, loop, tells.opened)
    )
    course.daemon = True
    course.start()
    report = loop.run()
    course.join()
    link.done.wait(60)
    latency = report.to_json()
    return {
        "minutes": minutes,
        "away_s": away_s,
        "streams": {role: _counted(folder / FILE, role, sent[role]) for role in STREAMS},
        "windows": encoder.n_windows,
        "windows_with_gaze_masked": encoder.n_masked,
        "presence": encoder.presence,
        "events": _kinds(tells.events),
        "skipped": latency["skipped_late"],
        "missed": latency["missed_deadlines"],
        "samples_lost": latency["samples_lost"],
    }


def _stages(tag: str, clock: MonotonicClock, encoder: Looks) -> Stages:
    def settings(role: str) -> LslConfig:
        return LslConfig(name=f"{tag}-{role}", wait_s=20.0, buffer_s=20.0, markers="")

    def side(role: str) -> Side:
        return Side(role=role, make=lambda: LslSource(beside_settings(settings(role)), clock))

    sides = [side(config.role) for config in BESIDE]
    adapter = LinearAdapter(
        LinearConfig(classes=CLASSES), mean=np.zeros(2), scale=np.ones(2),
        weights=np.eye(2), bias=np.zeros(2), temperature=1.0,
    )  # fmt: skip
    stages = Stages(
        source=SideStreams(LslSource(settings("eeg"), clock), sides, clock),
        conditioner=StreamConditioner(),
        encoder=encoder,
        adapter=adapter,
        feedback=EvidenceFeedback(FeedbackConfig()),
    )
    return Company(BESIDE).attend(stages)


def _course(
    senders: dict[str, Sender],
    tag: str,
    minutes: float,
    away_s: float,
    sent: dict[str, list[dict[str, int]]],
    loop: Loop,
    opened: threading.Event,
) -> None:
    """Take the gaze away in the middle, let it return, and end."""
    try:
        opened.wait(CONSUMER_LIMIT_S)
        time.sleep(30 * minutes)
        gaze = senders["gaze"].stop()
        time.sleep(away_s)
        senders["gaze"] = Sender("gaze", tag, gaze["stop"])
        senders["gaze"].wait()
        time.sleep(30 * minutes)
        for role in ("gaze", "audio", "eog", "eeg"):  # the signal drives the loop to the end
            sent[role] = [senders[role].stop()]
        sent["gaze"].insert(0, gaze)
        time.sleep(0.5)
    finally:
        loop.stop()


def _counted(file: Path, role: str, sent: list[dict[str, int]]) -> dict[str, Any]:
    roles = [config.role for config in BESIDE]
    number = SIGNAL if role == "eeg" else FIRST_BESIDE + roles.index(role)
    parts = [p for p in XdfReader(file) if isinstance(p, NumericSamples) and p.stream_id == number]
    numbers: NDArray[np.generic] = np.concatenate([part.values[:, 0] for part in parts])
    n_sent = sum(said["stop"] - said["first"] for said in sent)
    expected = np.arange(n_sent) % 2**24
    return {
        "sent": n_sent,
        "recorded": len(numbers),
        "lost": n_sent - len(numbers),
        "in_order": len(numbers) == n_sent and bool(np.array_equal(numbers, expected)),
    }


def _kinds(events: list[Event]) -> dict[str, int]:
    kinds: dict[str, int] = {}
    for event in events:
        if event.kind is not EventKind.GUARD:
            kinds[event.kind] = kinds.get(event.kind, 0) + 1
    return kinds


def main(arguments: list[str]) -> None:
    """Print the figures as JSON."""
    if arguments[:1] == ["--send"]:
        send(arguments[1], arguments[2], int(arguments[3]))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--away", type=float, default=5.0)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "LSLAPICFG" not in os.environ:
            speak_here_only(folder)
        print(json.dumps(run(options.minutes, options.away, folder), indent=2))


if __name__ == "__main__":
    main(sys.argv[1:])
