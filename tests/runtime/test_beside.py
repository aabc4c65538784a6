"""Streams beside the signal: in their place in time, masked where missing, never waited for."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import numpy as np
import pytest

from diverloop.runtime.beside import AppendingConditioner, Company, JoinedMasks
from diverloop.runtime.beside_config import BesideConfig
from diverloop.runtime.messages import Aside, Channel, Chunk, EventKind, StreamSpec, Window
from diverloop.runtime.received import Received
from diverloop.runtime.signal.conditioning import StreamConditioner
from diverloop.runtime.stretch import Presence
from diverloop.runtime.trust import Masks
from diverloop.runtime.windows import Slot

RATE_HZ, STEP = 250.0, 5
EEG = StreamSpec(name="amp", rate_hz=RATE_HZ, channels=(Channel(name="C3"), Channel(name="C4")))
GAZE = StreamSpec(
    name="eye", rate_hz=50.0, channels=(Channel(name="x", kind="gaze"), Channel(name="y"))
)


class Room:
    """A signal and a gaze whose x is the true time; the gaze has another clock, 100 ppm off."""

    def __init__(self, jitter_s: float = 0.0, **config) -> None:
        config = {"append": ("x",), **config}
        self.company = Company([BesideConfig(role="gaze", **config)])
        self.conditioner = AppendingConditioner(StreamConditioner(), self.company)
        self.company.open(EEG)
        self.spec = self.conditioner.open(EEG)
        self.rng, self.jitter_s = np.random.default_rng(1), jitter_s
        self.n = self.n_gaze = 0
        self.waiting: deque[tuple[float, Aside]] = deque()
        self.given, self.events = [], []

    def stamp_s(self, true_s: float) -> float:
        return (true_s - 10.0) * (1 + 1e-4) + 5000.0

    def run(self, seconds: float, *, gaze: bool = True) -> None:
        for _ in range(round(seconds * RATE_HZ / STEP)):
            self.n += STEP
            now_s = 10.0 + self.n / RATE_HZ
            self._look(now_s, gaze)
            came = []
            while self.waiting and self.waiting[0][0] <= now_s:
                came.append(self.waiting.popleft()[1])
            chunk = Chunk(
                samples=np.ones((2, STEP), np.float32), first_sample=self.n - STEP,
                arrived_ns=round(now_s * 1e9), beside=tuple(came),
            )  # fmt: skip
            self.company.take(chunk)
            self.given.append(self.conditioner.process(chunk))
            self.events += self.given[-1].events

    def _look(self, now_s: float, gaze: bool) -> None:
        """One gaze sample for each step; it arrives when it has been on its way."""
        if not gaze:
            return
        rows = Received(
            values=np.array([[now_s, 0.0]], "<f4"), stamps_s=np.array([self.stamp_s(now_s)]),
            first_row=self.n_gaze,
        )  # fmt: skip
        at_s = now_s + self.rng.uniform(0, self.jitter_s) if self.jitter_s else now_s
        at_s = max(at_s, self.waiting[-1][0] if self.waiting else 0.0)
        aside = Aside(
            place=0, arrived_ns=round(at_s * 1e9), rows=rows, spec=None if self.n_gaze else GAZE
        )
        self.n_gaze += 1
        self.waiting.append((at_s, aside))

    def row(self) -> np.ndarray:
        return np.concatenate([given.samples for given in self.given], axis=1)[2]

    def usable(self, first: int, stop: int) -> list[bool]:
        masks = Masks(10**6)
        for given in self.given:
            for at, usable in given.masks:
                masks.change(at, usable)
        found = masks.over(Slot(first=first, stop=stop))
        return [True] * 3 if found is None else found.tolist()

    def window(self, length: int = 250) -> Window:
        return Window(
            samples=np.zeros((3, length)),
            first_sample=self.n - length,
            stop_sample=self.n,
            due_ns=0,
        )


def test_an_appended_row_holds_what_the_stream_said_at_that_time():
    room = Room(jitter_s=0.02)
    room.run(30.0)
    assert room.spec.channel_names == ("C3", "C4", "gaze/x")
    true_s = 10.0 + (1 + np.arange(room.n)) / RATE_HZ
    behind_s = (true_s - room.row())[-2500:]
    # A sample stands for what comes after it: up to a period, and as long as the next is under way.
    assert behind_s.min() > -0.006
    assert behind_s.max() < 0.02 + 0.02 + 0.006
    assert room.usable(room.n - 2500, room.n) == [True, True, True]
    assert not room.events


def test_a_stream_that_is_missing_is_masked_and_nothing_waits():
    room = Room(stale_s=0.1)
    room.run(2.0)
    room.run(1.0, gaze=False)
    assert sum(given.samples.shape[1] for given in room.given) == room.n
    assert room.usable(room.n - 100, room.n) == [True, True, False]
    assert room.usable(300, 400) == [True, True, True]
    (gone,) = room.events
    assert gone.kind is EventKind.MASKED
    assert "'gaze' beside the signal has brought nothing for 0.1 s" in gone.text
    room.run(2.0)
    assert room.usable(room.n - 250, room.n) == [True, True, True]
    assert room.events[-1].text == "The stream 'gaze' beside the signal is there again."


def test_a_stream_that_never_comes_is_masked_from_the_first_sample():
    room = Room()
    room.run(2.0, gaze=False)
    assert room.usable(0, 10) == room.usable(200, 400) == [True, True, False]
    assert not room.row().any()
    (stretch,) = room.company.over(room.window())
    assert stretch.presence is Presence.MISSING
    assert not stretch.usable
    assert stretch.samples.shape[1] == 0


def test_a_channel_that_the_stream_lacks_is_told_and_masked():
    room = Room(append=("pupil",))
    room.run(1.0)
    assert "has no channel pupil" in room.events[0].text
    assert room.usable(100, 200) == [True, True, False]


def test_a_window_gets_the_same_time_of_a_stream_at_its_own_rate():
    room = Room(append=())
    room.run(20.0)
    (stretch,) = room.company.over(room.window())
    assert room.spec.n_channels == 2
    assert stretch.presence is Presence.PRESENT
    assert stretch.samples.shape == (2, 50)
    first_true_s = 10.0 + (room.n - 249) / RATE_HZ
    np.testing.assert_allclose(stretch.samples[0] - first_true_s, stretch.at_s, atol=1e-3)


def test_a_window_says_that_a_stream_is_late_or_stale():
    room = Room(append=(), stale_s=0.5)
    room.run(5.0)
    room.run(0.2, gaze=False)
    (late,) = room.company.over(room.window())
    assert late.presence is Presence.LATE
    assert late.known_s == pytest.approx(0.8, abs=0.01)
    room.run(0.6, gaze=False)
    (stale,) = room.company.over(room.window())
    assert stale.presence is Presence.STALE


def test_a_known_delay_of_the_device_is_taken_out():
    room = Room(append=(), delay_s=0.1)
    room.run(5.0)
    (stretch,) = room.company.over(room.window())
    np.testing.assert_allclose(
        stretch.samples[0] - stretch.at_s, 10.0 + (room.n - 249) / RATE_HZ + 0.1, atol=1e-3
    )


def test_a_line_is_drawn_to_the_next_sample_where_it_has_come():
    room = Room(fill="linear")
    room.run(5.0)
    row = room.row()
    assert np.ptp(np.diff(row[1000:1200])) < 0.05
    held = Room()
    held.run(5.0)
    assert (np.diff(held.row()[1000:1200]) == 0).sum() > 100


def test_a_value_that_is_no_number_is_masked():
    room = Room()
    room.run(1.0)
    rows = Received(
        values=np.array([[np.nan, 0.0]], "<f4"),
        stamps_s=np.array([room.stamp_s(10.0 + room.n / RATE_HZ)]), first_row=room.n_gaze,
    )  # fmt: skip
    room.company.take(replace(_nothing(room), beside=(Aside(place=0, arrived_ns=0, rows=rows),)))
    room.run(0.04, gaze=False)
    assert np.isfinite(room.row()).all()
    assert room.usable(room.n - 4, room.n) == [True, True, False]


def test_a_step_of_the_streams_clock_is_told_and_followed():
    room = Room(append=())
    room.run(20.0)
    honest = room.stamp_s
    room.stamp_s = lambda true_s: honest(true_s) + 0.5
    room.run(5.0)
    assert [event.kind for event in room.events] == [EventKind.CLOCK_STEP]
    (stretch,) = room.company.over(room.window())
    first_true_s = 10.0 + (room.n - 249) / RATE_HZ
    np.testing.assert_allclose(stretch.samples[0] - first_true_s, stretch.at_s, atol=2e-3)


def _nothing(room: Room) -> Chunk:
    nothing = np.zeros((2, 0), np.float32)
    return Chunk(samples=nothing, first_sample=-1, arrived_ns=round((10 + room.n / RATE_HZ) * 1e9))


def test_masks_of_both_kinds_of_rows_are_right_whatever_the_conditioner_says_afterwards():
    rng = np.random.default_rng(0)
    joined, said = JoinedMasks(2, 1, 10**6), Masks(10**6)
    own, appended = np.ones((2, 2000), bool), np.ones((1, 2000), bool)
    for first in range(0, 2000, 50):
        changes = []
        if rng.random() < 0.3:
            at, usable = max(0, first - int(rng.integers(0, 120))), rng.random(2) < 0.5
            own[:, at:] = usable[:, None]
            changes.append((at, usable))
        good = np.repeat(rng.random(5) < 0.6, 10)
        appended[0, first : first + 50] = good
        for at, usable in joined.join(changes, first, [good]):
            said.change(at, usable)
    truth = np.concatenate([own, appended])
    for first in range(0, 1950, 7):
        found = said.over(Slot(first=first, stop=first + 13))
        expected = truth[:, first : first + 13].all(axis=1)
        assert (found is None and expected.all()) or np.array_equal(found, expected)
