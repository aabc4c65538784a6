"""From the wire into a window: nothing waits, nothing freezes."""

from __future__ import annotations

import time

from diverloop.gui.feed import Feed

from .told import Told, a_session


def test_everything_is_taken_in_order_and_then_a_frame_is_drawn(qapp):
    messages = list(a_session(0.2))
    teller, seen = Told(messages), []
    feed = Feed(teller, seen.append, lambda: seen.append("frame"))
    feed.turn()
    assert [*messages, "frame"] == seen
    assert (feed.taken, feed.frames) == (len(messages), 1)


def test_a_flood_does_not_keep_a_window_from_drawing(qapp):
    class Flood(Told):
        def poll(self, timeout_ms):
            return next(a_session(1.0))

    frames, feed = [], None
    feed = Feed(Flood(), lambda message: None, lambda: frames.append(time.perf_counter()))
    for _ in range(3):
        feed.turn()
    assert len(frames) == 3
    assert feed.taken > 3


def test_what_cannot_be_read_hides_nothing_behind_it(qapp):
    (last,) = list(a_session(0.0))

    class Garbled(Told):
        def poll(self, timeout_ms):
            if self.unreadable < 2:
                self.unreadable += 1
                return None
            return super().poll(timeout_ms)

    seen = []
    Feed(Garbled([last]), seen.append, lambda: None).turn()
    assert seen == [last]


def test_a_feed_runs_by_itself_until_it_is_stopped(qtbot):
    teller, frames = Told(), []
    feed = Feed(teller, lambda message: None, lambda: frames.append(1))
    feed.start()
    qtbot.waitUntil(lambda: len(frames) >= 3, timeout=20_000)
    feed.stop()
    assert teller.closed
