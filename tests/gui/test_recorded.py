"""A recording is told as it was, at any speed and from any moment."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from diverloop.gui.recorded import LEAD_S, Recorded, SessionTape, SignalTape
from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.messages import Chunk, Event, EventKind, Marker, StreamSpec, Turn
from diverloop.runtime.quality import Quality
from diverloop.runtime.record.link import FILE

from .taped_session import write_session
from .told import a_stream


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_session(tmp_path_factory.mktemp("session"))


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(7)


@pytest.fixture
def recorded(folder, clock):
    made = Recorded(SessionTape(folder), clock)
    yield made
    made.close()


def all_due(recorded: Recorded) -> list:
    """What is told now."""
    found = []
    while (message := recorded.poll(0)) is not None:
        found.append(message)
    return found


def test_everything_is_told_once_in_order_and_when_it_happened(recorded, clock, folder):
    recorded.play()
    told = []
    while recorded.playing:
        told += all_due(recorded)
        newest = max((m.arrived_ns for m in told if isinstance(m, Chunk)), default=0)
        assert newest <= 5e9 + 0.05e9 + recorded.position_s * 1e9
        clock.advance(500_000_000)
    kinds = {Chunk: "chunk", Turn: "turn", Event: "event", Quality: "quality", StreamSpec: "spec"}
    entries = [json.loads(line) for line in _lines(folder)]
    wanted = [name for entry in entries for name in entry if name in kinds.values()]
    assert [kinds[type(message)] for message in told] == wanted


def test_what_was_decided_is_read_and_not_computed_again(recorded, folder):
    recorded.seek(recorded.length_s)
    told = [m.decision.probabilities for m in all_due(recorded) if isinstance(m, Turn)]
    entries = [json.loads(line) for line in _lines(folder)]
    kept = [e["turn"]["decision"]["probabilities"] for e in entries if "turn" in e]
    assert np.array_equal(told, kept[-len(told) :])
    assert len(told) > 100


def test_speed_is_kept_to_and_a_pause_stands_still(recorded, clock):
    recorded.play(4.0)
    clock.advance(1_000_000_000)
    assert recorded.position_s == pytest.approx(4.0)
    recorded.pause()
    clock.advance(9_000_000_000)
    assert recorded.position_s == pytest.approx(4.0)
    recorded.play(0.5)
    clock.advance(2_000_000_000)
    assert recorded.position_s == pytest.approx(5.0)


@pytest.mark.parametrize("speed", [0.0, -1.0, 101.0, float("nan")])
def test_a_speed_that_is_none_is_refused(recorded, speed):
    with pytest.raises(ConfigError, match="above 0 and at most 100"):
        recorded.play(speed)


def test_a_jump_tells_the_stream_first_then_what_still_holds_then_the_last_seconds(recorded):
    recorded.seek(18.0)
    assert recorded.behind
    told = all_due(recorded)
    assert isinstance(told[0], StreamSpec)
    guard = [m.text for m in told if isinstance(m, Event) and m.kind is EventKind.GUARD]
    assert guard == ["The guard is disarmed.", "The guard went from disarmed to armed."]
    chunks = [m for m in told if isinstance(m, Chunk)]
    first_s = chunks[0].first_sample / 250
    assert first_s == pytest.approx(18.0 - LEAD_S, abs=0.2)
    assert chunks[-1].stop_sample / 250 == pytest.approx(18.0, abs=0.2)
    early = [m for m in told if isinstance(m, Quality) and m.sample < chunks[0].first_sample]
    assert len(early) == 1
    assert not recorded.behind


def test_going_back_tells_the_past_again_and_goes_on_from_there(recorded, clock):
    recorded.seek(15.0)
    all_due(recorded)
    recorded.seek(3.0)
    told = all_due(recorded)
    assert max(m.stop_sample for m in told if isinstance(m, Chunk)) <= 3.1 * 250
    recorded.play()
    clock.advance(1_000_000_000)
    chunks = [m for m in all_due(recorded) if isinstance(m, Chunk)]
    assert chunks[0].first_sample >= 2.9 * 250
    assert chunks[-1].stop_sample == pytest.approx(4.0 * 250, abs=26)


def test_a_window_that_is_too_slow_makes_it_slower_and_misses_nothing(recorded, clock):
    recorded.play()
    told = []
    for _ in range(600):
        clock.advance(200_000_000)
        told += filter(None, (recorded.poll(0) for _ in range(4)))
    first = [m.first_sample for m in told if isinstance(m, Chunk)]
    assert first == list(range(0, 12 * len(first), 12))
    assert recorded.position_s < recorded.length_s or not recorded.playing
    assert len(first) > 300


def test_at_its_end_it_stands_and_plays_from_the_beginning(recorded, clock):
    recorded.play(100.0)
    clock.advance(10_000_000_000)
    all_due(recorded)
    assert not recorded.playing
    assert recorded.position_s == recorded.length_s
    recorded.play(1.0)
    assert recorded.position_s == 0


def test_windows_that_were_encoded_say_so_without_values(recorded):
    recorded.seek(10.0)
    turns = [m for m in all_due(recorded) if isinstance(m, Turn)]
    assert all(turn.embedding is not None and not turn.embedding.values.size for turn in turns)
    assert turns


def test_a_damaged_line_is_counted_and_the_rest_is_told(folder, tmp_path, clock):
    whole = (folder / FILE).read_bytes()
    place = whole.index(b'{"event":', len(whole) // 3)
    (tmp_path / FILE).write_bytes(whole[:place] + b'{"event"!' + whole[place + 9 :])
    recorded = Recorded(SessionTape(tmp_path), clock)
    recorded.seek(recorded.length_s)
    told = [recorded.poll(0) for _ in range(2000)]
    recorded.close()
    assert recorded.unreadable == 1
    assert sum(isinstance(message, Turn) for message in told) > 100


@dataclass
class Signal:
    """A recording of signal and markers, with a hole."""

    spec: StreamSpec = field(default_factory=a_stream)
    samples: np.ndarray = field(default_factory=lambda: np.ones((4, 1000), np.float32))
    markers: tuple = (Marker(label="left", sample=300), Marker(label="right", sample=450))
    notes: tuple = ()

    def blocks(self, n_times: int):
        for start, stop in ((0, 400), (500, 1000)):
            yield from ((a, min(a + n_times, stop)) for a in range(start, stop, n_times))


class Blocks(Signal):
    """With blocks as a tuple, as readers give them."""

    def blocks(self, n_times: int):
        return tuple(super().blocks(n_times))


def test_a_recording_without_a_session_is_told_too_with_its_gap_and_its_markers(clock):
    recorded = Recorded(SignalTape(Blocks(), "plain.xdf"), clock)
    recorded.play(100.0)
    clock.advance(1_000_000_000)
    told = all_due(recorded)
    chunks = [m for m in told if isinstance(m, Chunk)]
    assert sum(chunk.samples.shape[1] for chunk in chunks) == 900
    assert [m.label for chunk in chunks for m in chunk.markers] == ["left", "right"]
    gaps = [m for m in told if isinstance(m, Event)]
    assert [(gap.kind, gap.sample, gap.count) for gap in gaps] == [(EventKind.GAP, 500, 100)]
    assert [mark.kind for mark in recorded.tape.marks] == ["marker", "marker", "gap"]
    recorded.close()


def _lines(folder: Path) -> list[str]:
    from diverloop.runtime.record.layout import TAPE
    from diverloop.runtime.record.xdf_read import TextSamples, XdfReader

    parts = XdfReader(folder / FILE)
    return [
        text
        for part in parts
        if isinstance(part, TextSamples) and part.stream_id == TAPE
        for text in part.texts
    ]
