"""The same recording through every door: windows, decisions, and how long a sample takes.

Run ``python tests/bench/doors.py [--seconds S] [door ...]``; it prints JSON. DIVERLOOP_DATA names
the folder with the recordings; the doors of BrainFlow need ``diverloop[brainflow]``. Every door
plays the beginning of one recording in real time, in another process where it has a sender, while
one model, fitted on another part of it, decides four times a second. What the file gives on a
virtual clock is the reference.

A latency is from the moment at which the last sample of a chunk was sent to that at which
``Source.read`` returned it to the loop, which also decodes meanwhile; senders and reader share
the machine's monotonic clock. The file replay's moment of sending is the nominal one.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import socket
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from counting_sender import speak_here_only
from doors_heard import STEP_S, Heard, compared, hear, latency_ms

from diverloop.calibration import fit_model
from diverloop.fit_plan import FitPlan
from diverloop.hardware.recordings import Recording, read_recording
from diverloop.hardware.replay import ReplayConfig, ReplaySource
from diverloop.runtime.bundle import Bundle
from diverloop.runtime.clock import MonotonicClock, VirtualClock
from diverloop.runtime.collection import TrialSpan
from diverloop.runtime.messages import Marker
from diverloop.runtime.stages import Source
from diverloop.training_sources import TrainingSource

RECORDING = "p300/gtec_S1.npz"  # 8 channels at 250 Hz: what OpenBCI's Cyton sends, too
CHUNK_S = 0.02
PATIENCE_S = 20.0

Sent = Callable[[], list[tuple[int, int]]]
"""How many samples had left by when, in nanoseconds of the machine's clock; asked at the end."""


@dataclass(frozen=True, kw_only=True)
class Given:
    """What a door has to bring in."""

    path: Path
    recording: Recording
    seconds: float
    folder: Path
    clock: Any

    @property
    def names(self) -> tuple[str, ...]:
        return self.recording.spec.channel_names


@dataclass(frozen=True, kw_only=True)
class Door:
    """A way in, and by how much its samples may differ from the file's."""

    open: Callable[[Given], Any]
    off_uv: float = 0.0


# ------------------------------------------------------------------------------------- the doors


@contextmanager
def replay_door(given: Given) -> Iterator[tuple[Source, Sent]]:
    """The file itself, at the pace at which it was recorded."""
    config = ReplayConfig(path=str(given.path), chunk_s=CHUNK_S)
    source = ReplaySource(config, given.clock, given.recording)
    rate_hz = given.recording.spec.rate_hz

    def sent() -> list[tuple[int, int]]:
        stops = range(1, given.recording.n_times + 1)
        return [(stop, source._open_ns + round(stop * 1e9 / rate_hz)) for stop in stops]

    yield source, sent


@contextmanager
def lsl_door(given: Given) -> Iterator[tuple[Source, Sent]]:
    """``diverloop play`` in another process."""
    from diverloop.hardware.lsl_inlet import LslConfig, LslSource

    name = f"doors-{uuid.uuid4().hex}"
    with sender(_play_lsl, given.path, name, given.seconds) as sent:
        yield LslSource(LslConfig(name=name, markers="", wait_s=PATIENCE_S), given.clock), sent


@contextmanager
def brainflow_door(given: Given) -> Iterator[tuple[Source, Sent]]:
    """BrainFlow plays a file of a Cyton; it stamps each row when it lets it go."""
    from diverloop.hardware.brainflow_board import BrainFlowConfig, BrainFlowSource

    signal = given.recording.samples
    table = np.zeros((24, signal.shape[1]))
    table[0] = np.arange(signal.shape[1]) % 256
    table[1:9] = signal
    table[22] = 1e9 + np.arange(signal.shape[1]) / given.recording.spec.rate_hz
    path = given.folder / "cyton.csv"
    np.savetxt(path, table.T, fmt="%.17g", delimiter="\t")  # the library itself rounds to 1e-6
    config = BrainFlowConfig(
        board="PLAYBACK_FILE_BOARD", master_board="CYTON_BOARD", file=str(path), names=given.names
    )
    source = BrainFlowSource(config, given.clock)
    log: list[tuple[int, int]] = []
    fetch = source._client._fetch

    def stamped() -> np.ndarray:
        rows = fetch()
        ahead_ns = time.time_ns() - given.clock.now_ns()
        for stamp_s in rows[22]:
            log.append((len(log) + 1, round(stamp_s * 1e9) - ahead_ns))
        return rows

    source._client._fetch = stamped
    yield source, lambda: log


@contextmanager
def cyton_door(given: Given) -> Iterator[tuple[Source, Sent]]:
    """A simulated Cyton on a serial port, read by BrainFlow: 24 bits."""
    from diverloop.hardware.brainflow_board import BrainFlowConfig, BrainFlowSource

    port = given.folder / "ttyUSB0"
    with sender(_serve_cyton, port, given.recording.samples) as sent:
        config = BrainFlowConfig(board="CYTON_BOARD", serial_port=str(port), names=given.names)
        yield BrainFlowSource(config, given.clock), sent


@contextmanager
def fieldtrip_door(given: Given) -> Iterator[tuple[Source, Sent]]:
    """A FieldTrip buffer in another process, into which float32 is put."""
    from diverloop.hardware.fieldtrip import FieldTripConfig, FieldTripSource

    port = free_port()
    with sender(_serve_fieldtrip, port, given.recording) as sent:
        config = FieldTripConfig(port=port, unit="uV")
        yield FieldTripSource(config, given.clock), sent


@contextmanager
def rda_door(given: Given) -> Iterator[tuple[Source, Sent]]:
    """A recorder's Remote Data Access in another process, float32."""
    from diverloop.hardware.rda import RdaConfig, RdaSource

    port = free_port()
    with sender(_serve_rda, port, given.recording) as sent:
        yield RdaSource(RdaConfig(port=port), given.clock), sent


DOORS: dict[str, Door] = {
    "replay": Door(open=replay_door),
    "lsl": Door(open=lsl_door),
    "fieldtrip": Door(open=fieldtrip_door),
    "rda": Door(open=rda_door),
    "brainflow_playback": Door(open=brainflow_door),
    # Half a count of 24 bits at a gain of 24, and the rounding to float32.
    "cyton_serial": Door(open=cyton_door, off_uv=0.0112),
}
"""A door more is a function like those above, and a line here."""


# ----------------------------------------------------------------------- senders, in a process each


@contextmanager
def sender(target: Callable[..., None], *arguments: Any) -> Iterator[Sent]:
    """Run a sender; it says when it is ready, and at the end what it sent when."""
    here, there = multiprocessing.Pipe()
    spawn = multiprocessing.get_context("spawn")
    process = spawn.Process(target=target, args=(there, *arguments), daemon=True)
    process.start()
    there.close()
    assert here.poll(4 * PATIENCE_S), "the sender does not begin"
    here.recv()
    log: list[tuple[int, int]] = []

    def sent() -> list[tuple[int, int]]:
        if not log:
            here.send("enough")
            assert here.poll(PATIENCE_S), "the sender does not end"
            log.extend(here.recv())
        return log

    try:
        yield sent
    finally:
        process.terminate()
        process.join(PATIENCE_S)


def _play_lsl(pipe: Connection, path: Path, name: str, seconds: float) -> None:
    from diverloop.hardware.player import PlayerConfig, play

    clock, log = MonotonicClock(), []
    rate_hz = read_recording(path).spec.rate_hz
    pipe.send("ready")
    with suppress(BrokenPipeError):
        play(
            PlayerConfig(
                path=str(path), name=name, chunk_s=CHUNK_S, stop_s=seconds, wait_for_consumer_s=60
            ),
            clock,
            on_progress=lambda s: log.append((round(s * rate_hz), clock.now_ns())),
        )
        pipe.recv()
        pipe.send(log)


def _serve_cyton(pipe: Connection, port: Path, signal: np.ndarray) -> None:
    from diverloop.hardware.simulated_cyton import SimulatedCyton

    clock, log = MonotonicClock(), []

    class Logging(SimulatedCyton):
        def _package(self, place: int) -> bytes:
            log.append((place + 1, clock.now_ns()))
            return super()._package(place)

    with Logging(port, clock, signal):
        pipe.send("ready")
        pipe.recv()
        pipe.send(log)


def _serve_fieldtrip(pipe: Connection, port: int, recording: Recording) -> None:
    from diverloop.hardware.fieldtrip_buffer import FieldTripBuffer
    from diverloop.hardware.fieldtrip_server import FieldTripServer
    from diverloop.hardware.fieldtrip_wire import Header, names_chunk

    spec, buffer = recording.spec, FieldTripBuffer()
    names = names_chunk(spec.channel_names)
    buffer.put_header(Header(n_channels=spec.n_channels, rate_hz=spec.rate_hz, chunks=(names,)))
    with closing(FieldTripServer(buffer, port=port)) as server:
        _serve_blocks(pipe, recording, lambda: server.n_clients, buffer.put_rows)


def _serve_rda(pipe: Connection, port: int, recording: Recording) -> None:
    from diverloop.hardware.rda_server import RdaServer
    from diverloop.hardware.rda_wire import RdaSetup

    spec = recording.spec
    setup = RdaSetup(
        rate_hz=spec.rate_hz, names=spec.channel_names, resolutions_uv=(1.0,) * spec.n_channels
    )
    with RdaServer(setup, port=port) as server:
        _serve_blocks(pipe, recording, lambda: server.n_clients, server.send)


def _serve_blocks(
    pipe: Connection,
    recording: Recording,
    n_clients: Callable[[], int],
    put: Callable[[np.ndarray], None],
) -> None:
    """Wait for the reader, then send each block when its last sample would have been taken."""
    clock, log = MonotonicClock(), []
    pipe.send("ready")
    while not n_clients():
        clock.wait_until(clock.now_ns() + 10_000_000)
    clock.wait_until(clock.now_ns() + 1_000_000_000)  # it has read the header by then
    rows, rate_hz, began_ns = recording.samples.T, recording.spec.rate_hz, clock.now_ns()
    size = round(CHUNK_S * rate_hz)
    for first in range(0, len(rows), size):
        block = np.ascontiguousarray(rows[first : first + size], "<f4")
        stop = first + len(block)
        clock.wait_until(began_ns + round(stop * 1e9 / rate_hz))
        log.append((stop, clock.now_ns()))
        put(block)
    pipe.recv()
    pipe.send(log)


def free_port() -> int:
    """A port of this machine that nobody uses yet."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def fitted(path: Path, from_s: float) -> Bundle:
    """A model of a minute that is not played.

    Its two classes are made up, every four seconds the other one: what it decides means nothing,
    and all that counts is whether it decides the same.
    """
    rest = read_recording(path).excerpt(from_s, from_s + 60)
    every = round(4 * rest.spec.rate_hz)
    cues = tuple(
        Marker(label="ab"[at // every % 2], sample=at) for at in range(0, rest.n_times, every)
    )
    rest = replace(rest, markers=cues)
    source = TrainingSource(
        name="rest",
        data_id=rest.data_id,
        make=lambda clock: ReplaySource(ReplayConfig(path="rest", chunk_s=0.05), clock, rest),
    )
    span = TrialSpan(classes=("a", "b"), start_s=0.5, stop_s=3.9)
    return fit_model([source], FitPlan(span=span))


def through(door: Door, given: Given, bundle: Bundle, reference: Heard) -> dict[str, Any]:
    """One door, compared with the file."""
    with door.open(given) as (source, sent):
        heard = hear(source, given.clock, bundle, max(reference.decisions))
        latency = latency_ms(heard.reads, sent())
    return compared(heard, reference, door.off_uv) | {"sent_to_read_ms": latency}


def main() -> None:
    """Every door that was named, one after another."""
    parser = argparse.ArgumentParser()
    parser.add_argument("doors", nargs="*", default=list(DOORS))
    parser.add_argument("--seconds", type=float, default=60.0)
    asked = parser.parse_args()
    path = Path(os.environ["DIVERLOOP_DATA"]) / RECORDING
    with tempfile.TemporaryDirectory() as folder:
        speak_here_only(Path(folder))
        given = Given(
            path=path, recording=read_recording(path).excerpt(0.0, asked.seconds),
            seconds=asked.seconds, folder=Path(folder), clock=MonotonicClock(),
        )  # fmt: skip
        bundle = fitted(path, asked.seconds)
        virtual = VirtualClock()
        file = ReplaySource(ReplayConfig(path="played", chunk_s=CHUNK_S), virtual, given.recording)
        reference = hear(file, virtual, bundle, given.recording.n_times)
        found = {name: through(DOORS[name], given, bundle, reference) for name in asked.doors}
    said = {"recording": RECORDING, "seconds": asked.seconds, "step_s": STEP_S, "doors": found}
    print(json.dumps(said, indent=2))


if __name__ == "__main__":
    main()
