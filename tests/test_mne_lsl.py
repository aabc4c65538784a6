"""MNE-LSL both ways: its player feeds our source; its streams read our player and our sink."""

from __future__ import annotations

import importlib.util
import json
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from diverloop.hardware.lsl_inlet import LslConfig, LslSource
from diverloop.hardware.lsl_outlet import FIXED, VELOCITY, LslSink, LslSinkConfig
from diverloop.hardware.player import PlayerConfig, play
from diverloop.hardware.recordings import read_recording
from diverloop.runtime.clock import MonotonicClock
from diverloop.runtime.messages import Channel, Command, Decision, StreamSpec

from .hardware.test_recordings import write_npz

pytestmark = pytest.mark.live
if importlib.util.find_spec("mne_lsl") is None:  # importing it would load a second liblsl
    pytest.skip("needs mne-lsl", allow_module_level=True)

CLOCK = MonotonicClock()
ANSWER_S = 90.0  # MNE takes seconds to load, and more on a busy machine


class Peer:
    """A process that speaks MNE-LSL."""

    def __init__(self, folder: Path) -> None:
        script = Path(__file__).with_name("mne_lsl_peer.py")
        self.folder, self.name = folder, folder.name
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(script), str(folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._answers: queue.Queue = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self._process.stdout:
            if line.startswith("{"):
                self._answers.put(json.loads(line))
        self._answers.put(None)

    def ask(self, what: str) -> dict:
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        answer = self._answers.get(timeout=ANSWER_S)
        assert answer is not None, "the other process has ended"
        return answer

    def until(self, what: str, wanted) -> dict:
        """Ask again until the answer is as wanted."""
        deadline_s = time.monotonic() + ANSWER_S
        while not wanted(answer := self.ask(what)):
            assert time.monotonic() < deadline_s, answer
        return answer

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(30)
        self._reader.join()
        self._process.stdout.close()


@pytest.fixture(scope="module")
def peer(tmp_path_factory):
    made = Peer(tmp_path_factory.mktemp("mne-lsl"))
    yield made
    made.close()


def test_their_player_feeds_our_source_with_names_units_types_and_annotations(peer):
    told = peer.ask("play")
    name = f"{peer.name}-theirs"
    config = LslConfig(name=name, markers=f"{name}-annotations", wait_s=ANSWER_S)
    source = LslSource(config, CLOCK)
    source.open()
    spec = source.spec
    assert [(row.name, row.kind) for row in spec.channels] == [
        ("C3", "eeg"), ("EOG", "eog"), ("STI", "stim"), ("Cz", "eeg")
    ]  # fmt: skip
    assert (spec.rate_hz, spec.sent.dtype) == (200.0, "<f8")
    np.testing.assert_array_equal(spec.sent.microvolts, [1e6, 1e6, 1.0, 1e6])
    chunks, n_times = [], 0
    while n_times < 400 or sum(len(chunk.markers) for chunk in chunks) < 2:
        chunks.append(source.read(50, CLOCK.now_ns() + 5_000_000_000))
        n_times += chunks[-1].samples.shape[1]
    source.close()
    peer.ask("stop")
    samples = np.concatenate([chunk.samples for chunk in chunks], axis=1)
    first = round(float(samples[0, 0]))
    count = first + np.arange(n_times)
    # Volts in float64 on the wire, microvolts in float32 here: three roundings.
    np.testing.assert_allclose(samples[[0, 1, 3]], [count, 2 * count, 4 * count], rtol=3e-7)
    np.testing.assert_array_equal(samples[2], count % 7)
    assert [event for chunk in chunks for event in chunk.events] == []
    words = dict(zip(told["onsets"], told["words"], strict=True))
    for marker in (marker for chunk in chunks for marker in chunk.markers):
        # Their stamps of annotations lie up to one sample from those of the signal.
        near = [words.get(first + marker.sample + off) for off in (-1, 0, 1)]
        assert marker.label in near


def counting_npz(path) -> Path:
    """Four seconds of three kinds of electrodes, with three cues."""
    data = np.random.default_rng(0).integers(-30_000, 30_000, (3, 400), dtype=np.int16)
    return write_npz(
        path, data=data, scale=np.full(3, 0.1), offset=np.zeros(3), units=np.array("uV"),
        ch_names=np.array(["C3", "EOG", "G1"]), ch_types=np.array(["eeg", "eog", "ecog"]),
        ch_pos=np.full((3, 3), np.nan), ev_sample=np.array([150, 220, 300]),
        ev_code=np.array([1, 2, 1]), ev_label=np.array(["left", "right", "left"]),
    )  # fmt: skip


def test_their_streams_read_our_player_to_the_last_bit_and_cut_its_epochs(peer, tmp_path):
    recording = read_recording(counting_npz(tmp_path / "run.npz"))
    config = PlayerConfig(
        path=recording.path, name=f"{peer.name}-ours", events=True, speed=4.0,
        wait_for_consumer_s=ANSWER_S,
    )  # fmt: skip
    playing = threading.Thread(target=play, args=(config, CLOCK))
    playing.start()
    told = peer.ask("listen")
    assert told == {
        "names": ["C3", "EOG", "G1"], "types": ["eeg", "eog", "ecog"], "units": [-6] * 3,
        "rate_hz": 100.0, "labels": ["left", "right"],
    }  # fmt: skip
    peer.until("counted", lambda now: now["n_samples"] >= 400 and now["n_epochs"] >= 3)
    peer.ask("heard")
    peer.ask("close")
    playing.join(30)
    with np.load(peer.folder / "heard.npz") as heard:
        np.testing.assert_array_equal(heard["samples"], recording.samples)
        np.testing.assert_allclose(np.diff(heard["stamps_s"]), 0.01, rtol=0, atol=1e-6)
        epochs, codes = heard["epochs"][-3:], heard["events"][-3:].tolist()
    assert codes == [0, 1, 0]  # which of the labels
    for epoch, marker in zip(epochs, recording.markers, strict=True):
        expected = recording.samples[:, marker.sample : marker.sample + 50]
        np.testing.assert_array_equal(epoch, expected)


def test_their_streams_read_what_our_sink_says(peer):
    sink = LslSink(LslSinkConfig(name=f"{peer.name}-decisions"))
    spec = StreamSpec(name="made", rate_hz=100.0, channels=(Channel(name="C3"),))
    sink.open(spec, ("left", "right"))
    told = peer.ask("obey")
    assert tuple(told["names"]) == (*FIXED, "p:left", "p:right", *VELOCITY)
    for place in range(5):
        decision = Decision(
            classes=("left", "right"), probabilities=np.array([0.25, 0.75]), label="right",
            first_sample=place * 10, stop_sample=place * 10 + 100,
        )  # fmt: skip
        sink.act(decision, Command(label="right", strength=place / 4, selected=place == 4))
        if not place:
            peer.until("counted", lambda now: now["n_epochs"] == 1)
    words: list[str] = []

    def complete(now: dict) -> bool:
        words.extend(now["words"])
        return len(now["rows"]) == 5 and len(words) == 2

    told = peer.until("obeyed", complete)
    sink.close()
    rows = told["rows"]
    assert told["events"] == [1]  # the place of p:right
    assert [row[0] for row in rows] == [100, 110, 120, 130, 140]
    assert [row[5] for row in rows] == [0, 0.25, 0.5, 0.75, 1]
    assert [row[6:9] for row in rows][-1] == [1, 0.25, 0.75]
    assert words == ["right", "selected:right"]
