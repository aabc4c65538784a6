"""What a consumer of the player receives over LSL is the recording."""

from __future__ import annotations

import math
import threading
import uuid
from dataclasses import dataclass

import numpy as np
import pylsl
import pytest

from diverloop.hardware.player import PlayerConfig, PlayReport, play
from diverloop.hardware.recordings import Recording, read_recording
from diverloop.runtime.clock import MonotonicClock, VirtualClock
from diverloop.runtime.errors import ConfigError, DiverloopError, SourceUnavailable

from ..data import recording_path
from .test_recordings import write_npz, write_xdf

pytestmark = pytest.mark.live

PULL_S = 10.0  # an upper limit; the samples come within milliseconds


class Consumer:
    """Two inlets on a player that runs in a thread, as a session would open them."""

    def __init__(self, config: PlayerConfig, stop_after_s: float = math.inf) -> None:
        self.config = config
        self.played_s = 0.0
        self.report: PlayReport | None = None
        self._stop_after_s = stop_after_s
        self._thread = threading.Thread(target=self._play, daemon=True)

    def _play(self) -> None:
        self.report = play(
            self.config,
            MonotonicClock(),
            on_progress=self._note,
            stop=lambda: self.played_s >= self._stop_after_s,
        )

    def _note(self, played_s: float) -> None:
        self.played_s = played_s

    def __enter__(self) -> Consumer:
        self._thread.start()
        self.words = self._inlet(f"{self.config.name}-markers")
        self.signal = self._inlet(self.config.name)
        return self

    def _inlet(self, name: str) -> pylsl.StreamInlet:
        (found,) = pylsl.resolve_byprop("name", name, timeout=PULL_S)
        inlet = pylsl.StreamInlet(found, recover=False)
        inlet.open_stream(timeout=PULL_S)
        return inlet

    def take(self, n_samples: int) -> tuple[np.ndarray, np.ndarray]:
        """Exactly so many samples, (n_channels, n_times), and their stamps in seconds."""
        values, stamps_s = self.signal.pull_chunk(timeout=PULL_S, max_samples=n_samples)
        return np.asarray(values, dtype=np.float32).T, np.asarray(stamps_s)

    def take_markers(self, n_markers: int) -> list[tuple[str, float]]:
        pulled = [self.words.pull_sample(timeout=PULL_S) for _ in range(n_markers)]
        return [(sample[0], stamp_s) for sample, stamp_s in pulled]

    def __exit__(self, *_: object) -> None:
        for inlet in (self.signal, self.words):
            inlet.close_stream()
        self._thread.join(timeout=30)
        assert not self._thread.is_alive()


def unique(**changes) -> PlayerConfig:
    return PlayerConfig(name=f"test-{uuid.uuid4().hex}", **changes)


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What a consumer saw of one playing."""

    recording: Recording
    samples: np.ndarray
    stamps_s: np.ndarray
    markers: list[tuple[str, float]]
    signal: pylsl.StreamInfo
    words: pylsl.StreamInfo
    report: PlayReport
    played_s: float


@pytest.fixture(scope="module")
def taken() -> Taken:
    """Two seconds of motor imagery with a cue inside, taken over LSL once for several tests."""
    path = recording_path("mi/eegmmidb_S001_R06.npz")
    recording = read_recording(path).excerpt(7.0, 9.0)
    assert recording.markers
    with Consumer(unique(path=str(path), start_s=7.0, stop_s=9.0, speed=8.0)) as consumer:
        samples, stamps_s = consumer.take(recording.n_times)
        markers = consumer.take_markers(len(recording.markers))
        signal = consumer.signal.info(timeout=PULL_S)
        words = consumer.words.info(timeout=PULL_S)
    return Taken(
        recording=recording,
        samples=samples,
        stamps_s=stamps_s,
        markers=markers,
        signal=signal,
        words=words,
        report=consumer.report,
        played_s=consumer.played_s,
    )


@pytest.mark.data
def test_the_samples_are_those_of_the_recording(taken):
    np.testing.assert_array_equal(taken.samples, taken.recording.samples)
    assert taken.report.samples_sent == taken.recording.n_times
    assert (taken.report.passes, taken.report.stopped) == (1, False)
    assert taken.played_s == pytest.approx(2.0)


@pytest.mark.data
def test_the_stamps_lie_on_an_exact_grid(taken):
    grid_s = taken.stamps_s[0] + np.arange(320) / 160
    np.testing.assert_allclose(taken.stamps_s, grid_s, rtol=0, atol=1e-8)


@pytest.mark.data
def test_a_marker_has_the_stamp_of_its_sample(taken):
    for marker, (label, stamp_s) in zip(taken.recording.markers, taken.markers, strict=True):
        assert label == marker.label
        assert stamp_s == pytest.approx(taken.stamps_s[marker.sample], abs=1e-8)
    assert taken.report.markers_sent == len(taken.recording.markers)


@pytest.mark.data
def test_the_stream_describes_itself(taken):
    info, spec = taken.signal, taken.recording.spec
    assert (info.type(), info.nominal_srate(), info.channel_count()) == ("EEG", 160.0, 64)
    assert info.get_channel_labels() == list(spec.channel_names)
    assert set(info.get_channel_units()) == {"microvolts"}
    assert set(info.get_channel_types()) == {"EEG"}
    assert info.desc().child_value("manufacturer") == "diverloop player"
    where = info.desc().child("channels").child("channel").child("location")
    millimetres = [float(where.child_value(axis)) for axis in "XYZ"]
    np.testing.assert_allclose(millimetres, np.array(spec.channels[0].position_m) * 1e3, atol=1e-3)


@pytest.mark.data
def test_a_session_can_bind_to_the_data_by_the_source_id(taken):
    assert taken.signal.source_id() == f"diverloop-player-{taken.recording.data_id[:16]}"
    assert taken.words.source_id() == f"{taken.signal.source_id()}-markers"
    assert (taken.words.type(), taken.words.nominal_srate()) == ("Markers", 0.0)


def test_a_gap_is_not_sent_and_leaves_its_time_in_the_stamps(tmp_path):
    path = write_xdf(tmp_path / "run.xdf")  # 1000 samples at 100 Hz without 400 to 600
    with Consumer(unique(path=str(path), speed=40.0)) as consumer:
        samples, stamps_s = consumer.take(800)
        markers = dict(consumer.take_markers(3))
    held = np.r_[0:400, 600:1000]
    np.testing.assert_array_equal(samples[1], -held)
    np.testing.assert_allclose(stamps_s - stamps_s[0], held / 100, atol=1e-8)
    assert markers["lost"] - stamps_s[0] == pytest.approx(5.0, abs=1e-8)
    assert (consumer.report.samples_sent, consumer.report.samples_withheld) == (800, 200)


def test_a_gap_at_the_end_is_accounted_for_and_its_markers_are_sent(tmp_path):
    path = write_xdf(tmp_path / "run.xdf")  # the gap starts at 4 s, a marker lies at 5 s
    with Consumer(unique(path=str(path), stop_s=5.5, speed=40.0)) as consumer:
        samples, stamps_s = consumer.take(400)
        markers = dict(consumer.take_markers(2))
    assert samples.shape == (2, 400)
    assert markers["lost"] - stamps_s[0] == pytest.approx(5.0, abs=1e-8)
    assert (consumer.report.samples_withheld, consumer.report.markers_sent) == (150, 2)


def test_a_loop_goes_on_in_time_until_it_is_told_to_stop(tmp_path):
    path = write_npz(tmp_path / "run.npz")  # 300 samples at 100 Hz, markers at 50 and 200
    config = unique(path=str(path), loop=True, speed=50.0)
    with Consumer(config, stop_after_s=7.0) as consumer:
        samples, stamps_s = consumer.take(700)
        markers = consumer.take_markers(5)
    once = read_recording(path).samples
    np.testing.assert_array_equal(samples, np.hstack([once, once, once])[:, :700])
    np.testing.assert_allclose(np.diff(stamps_s), 0.01, atol=1e-8)
    places = [round((stamp_s - stamps_s[0]) * 100) for _, stamp_s in markers]
    assert places == [50, 200, 350, 500, 650]
    assert (consumer.report.passes, consumer.report.stopped) == (2, True)


def test_nobody_to_play_for_is_an_error_that_names_the_stream(tmp_path):
    path = write_npz(tmp_path / "run.npz")
    config = unique(path=str(path), wait_for_consumer_s=30.0)
    clock = VirtualClock()
    with pytest.raises(SourceUnavailable, match=f"'{config.name}' within 30 s"):
        play(config, clock)
    assert clock.now_ns() == 30_000_000_000


def test_it_can_be_stopped_while_it_waits(tmp_path):
    config = unique(path=str(write_npz(tmp_path / "run.npz")))
    report = play(config, VirtualClock(), stop=lambda: True)
    assert (report.stopped, report.samples_sent, report.passes) == (True, 0, 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"chunk_s": 0.0},
        {"speed": 0.0},
        {"speed": math.nan},
        {"wait_for_consumer_s": -1.0},
        {"start_s": -0.1},
        {"stop_s": 0.0},
    ],
)
def test_a_setting_that_cannot_be_used_is_refused(changes):
    with pytest.raises(ConfigError, match=next(iter(changes))):
        PlayerConfig(**({"path": "run.npz"} | changes))


def test_a_missing_recording_is_an_error_before_any_stream_opens(tmp_path):
    with pytest.raises(DiverloopError, match=r"gone\.npz"):
        play(unique(path=str(tmp_path / "gone.npz")), VirtualClock())


class CountingConsumer(Consumer):
    """One that reads the markers as numbers, too."""

    def __enter__(self) -> Consumer:
        self._thread.start()
        self.numbers = self._inlet(f"{self.config.name}-annotations")
        self.words = self._inlet(f"{self.config.name}-markers")
        self.signal = self._inlet(self.config.name)
        return self

    def __exit__(self, *_: object) -> None:
        self.numbers.close_stream()
        super().__exit__()


def test_markers_are_sent_as_numbers_too_if_they_are_wanted(tmp_path):
    config = unique(path=str(write_npz(tmp_path / "run.npz")), speed=40.0, events=True)
    with CountingConsumer(config) as consumer:
        words = consumer.take_markers(2)
        got = [consumer.numbers.pull_sample(timeout=PULL_S) for _ in range(2)]
    assert [values for values, _ in got] == [[1.0, 0.0], [0.0, 1.0]]  # of left and right
    assert [at_s for _, at_s in got] == [at_s for _, at_s in words]
