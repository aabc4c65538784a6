"""What sends over LSL to a session that `sessions` records: the player, or a faulty sender."""

from __future__ import annotations

import threading
import time
from collections import Counter
from random import Random

import numpy as np
import pylsl

from diverloop.hardware.player import PlayerConfig, play
from diverloop.hardware.recordings import Recording
from diverloop.runtime.clock import MonotonicClock


class FaultySender(threading.Thread):
    """Sends a recording over LSL, and does to it what a seed draws.

    Parameters
    ----------
    recording : Recording
        What to send, over and over.
    name : str
        Of the stream; the markers' has ``-markers`` behind it.
    random : Random
        Draws what goes wrong, and when.
    """

    FORMATS = (("float32", "microvolts", 1.0), ("double64", "V", 1e6), ("int16", "uV", 1.0))
    FAULTS = (
        "lose", "lose", "twice", "swap", "jitter", "step", "hold", "restart", "nan",
    )  # fmt: skip

    def __init__(self, recording: Recording, name: str, random: Random) -> None:
        super().__init__(name="sender", daemon=True)
        self.done: Counter[str] = Counter()
        self.ready = threading.Event()
        self._recording, self._stream, self._random = recording, name, random
        self._rate_hz = recording.spec.rate_hz
        self._format, self._unit, self._factor = random.choice(self.FORMATS)
        self._rows = max(1, round(random.uniform(0.005, 0.08) * self._rate_hz))
        every_s = random.uniform(0.6, 3.0)
        self._fault_share = self._rows / self._rate_hz / every_s
        self._told_to_stop = threading.Event()
        self._step_s = 0.0
        self._jitter = 0

    def finish(self) -> None:
        """Stop sending and take the streams down."""
        self._told_to_stop.set()
        self.join()

    def run(self) -> None:
        self._announce()
        self.ready.set()
        began_s, to_lsl_s = time.monotonic(), pylsl.local_clock() - time.monotonic()
        self._origin_s = began_s + to_lsl_s
        at, kept = 0, None
        while not self._told_to_stop.is_set():
            first, at = at, at + self._rows
            fault = ""
            if at > 2 * self._rate_hz and self._random.random() < self._fault_share:
                fault = self._random.choice(self.FAULTS)
                self.done[fault] += 1
            pause_s = began_s + at / self._rate_hz - time.monotonic()
            if fault == "hold":
                pause_s += self._random.uniform(0.05, 0.6)
            self._told_to_stop.wait(max(pause_s, 0.0))
            if fault == "restart":
                self._signal = None
                self._told_to_stop.wait(self._random.uniform(0.1, 0.8))
                self._announce_signal()
                at = round((time.monotonic() - began_s) * self._rate_hz) + self._rows
                continue
            if fault == "step":
                self._step_s += self._random.choice((-5.0, -0.3, 0.3, 20.0))
            if fault == "jitter":
                self._jitter = self._random.randrange(5, 30)
            if fault == "lose":
                continue
            if fault == "swap":
                kept = first
                continue
            self._send(first, broken=fault == "nan")
            if fault == "twice":
                self._send(first)
            if kept is not None:
                self._send(kept)
                kept = None
            self._say(first, at)
        self._signal = self._words = None

    def _announce(self) -> None:
        words = pylsl.StreamInfo(f"{self._stream}-markers", "Markers", 1, 0, "string", "words")
        self._words: pylsl.StreamOutlet | None = pylsl.StreamOutlet(words)
        self._announce_signal()

    def _announce_signal(self) -> None:
        spec = self._recording.spec
        info = pylsl.StreamInfo(
            self._stream, "EEG", spec.n_channels, spec.rate_hz, self._format, "serial-1"
        )
        rows = info.desc().append_child("channels")
        for channel in spec.channels:
            row = rows.append_child("channel")
            row.append_child_value("label", channel.name)
            row.append_child_value("type", channel.kind.upper())
            row.append_child_value("unit", self._unit)
        self._signal: pylsl.StreamOutlet | None = pylsl.StreamOutlet(info)

    def _send(self, first: int, broken: bool = False) -> None:
        assert self._signal is not None
        place = np.arange(first, first + self._rows) % self._recording.n_times
        values = self._recording.samples[:, place].T / self._factor
        if broken and self._format != "int16":
            values[len(values) // 2 :, 0] = np.nan
        stamps_s = self._origin_s + self._step_s + (first + np.arange(self._rows)) / self._rate_hz
        if self._jitter:
            self._jitter -= 1
            stamps_s = stamps_s + self._random.uniform(-0.8, 0.8) / self._rate_hz
        as_sent = {"float32": np.float32, "double64": np.float64, "int16": np.int16}[self._format]
        if self._format == "int16":
            values = np.clip(np.round(values), -32768, 32767)
        self._signal.push_chunk(np.ascontiguousarray(values, as_sent), list(stamps_s))

    def _say(self, first: int, stop: int) -> None:
        assert self._words is not None
        n_times = self._recording.n_times
        for marker in self._recording.markers:
            if first <= marker.sample + (first // n_times) * n_times < stop:
                stamp_s = self._origin_s + self._step_s + marker.sample / self._rate_hz
                self._words.push_sample([marker.label], stamp_s)


class Player(threading.Thread):
    """The product's player, until told to stop."""

    def __init__(self, path: str, name: str, random: Random, length_s: float) -> None:
        super().__init__(name="player", daemon=True)
        self._told_to_stop = threading.Event()
        start_s = random.uniform(0, length_s / 2)
        self._config = PlayerConfig(
            path=path,
            name=name,
            chunk_s=random.choice((0.005, 0.02, 0.06)),
            loop=True,
            start_s=start_s,
            assume_unit="uV",
        )
        self.done: Counter[str] = Counter()

    def finish(self) -> None:
        """Stop playing."""
        self._told_to_stop.set()
        self.join()

    def run(self) -> None:
        play(self._config, MonotonicClock(), stop=self._told_to_stop.is_set)
