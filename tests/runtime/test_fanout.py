from __future__ import annotations

import threading

import numpy as np
import pytest

from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.fanout import DirectFanOut, FanOut, FanOutConfig
from diverloop.runtime.messages import Chunk, Event, EventKind, StreamSpec

LIMIT_S = 20.0
SECOND_NS = 1_000_000_000


def event(number):
    return Event(kind=EventKind.JITTER, text=f"event {number}", count=number)


def chunk(number):
    return Chunk(samples=np.zeros((1, 1)), first_sample=number, arrived_ns=0)


class Collector:
    """Keeps what it gets; can be held up at its first message, or told to fail at one."""

    def __init__(self, lossless=True, held=False, fails_at=None):
        self.lossless = lossless
        self.seen = []
        self.closed_in = None
        self.entered = threading.Event()
        self.release = threading.Event()
        self._fails_at = fails_at
        if not held:
            self.release.set()

    def watch(self, message):
        self.entered.set()
        assert self.release.wait(LIMIT_S)
        if message == self._fails_at:
            raise LookupError("the disk is gone")
        self.seen.append(message)

    def close(self):
        self.closed_in = threading.current_thread()


class Unclosable(Collector):
    def close(self):
        raise OSError("will not close")


def test_a_lossless_watcher_gets_everything_in_order():
    watcher = Collector()
    fanout = FanOut([watcher])
    sent = [event(number) if number % 3 else chunk(number) for number in range(500)]
    for message in sent:
        fanout.publish(message)
    fanout.close()
    assert all(a is b for a, b in zip(watcher.seen, sent, strict=True))
    assert fanout.counts()[0].delivered == 500
    assert fanout.take_events() == ()


def test_publish_returns_while_a_watcher_is_stuck_and_the_others_go_on():
    stuck, other = Collector(held=True), Collector()
    fanout = FanOut([stuck, other])
    fanout.publish(event(0))
    assert stuck.entered.wait(LIMIT_S)
    for number in range(1, 100):
        fanout.publish(event(number))
    assert stuck.seen == []
    stuck.release.set()
    fanout.close()
    assert [message.count for message in stuck.seen] == list(range(100))
    assert [message.count for message in other.seen] == list(range(100))


def test_a_newest_only_watcher_gets_the_newest_of_each_type_in_order_of_arrival():
    watcher = Collector(lossless=False, held=True)
    fanout = FanOut([watcher])
    fanout.publish(StreamSpec(name="first", rate_hz=1.0, channels=()))
    assert watcher.entered.wait(LIMIT_S)
    for number in range(10):
        fanout.publish(chunk(number))
    for number in range(5):
        fanout.publish(event(number))
    fanout.publish(chunk(99))
    watcher.release.set()
    fanout.close()
    spec, *rest = watcher.seen
    assert spec.name == "first"
    assert [type(message) for message in rest] == [Event, Chunk]
    assert (rest[0].count, rest[1].first_sample) == (4, 99)
    (count,) = fanout.counts()
    assert (count.delivered, count.dropped) == (3, 14)
    assert fanout.take_events() == ()  # by its own wish, so nothing to report


def test_overflow_is_counted_and_reported_once_a_second():
    clock = VirtualClock()
    watcher = Collector(held=True)
    fanout = FanOut([watcher], config=FanOutConfig(lossless_bound=2), clock=clock)
    fanout.publish(event(0))
    assert watcher.entered.wait(LIMIT_S)
    for number in range(1, 6):
        fanout.publish(event(number))
    (first,) = fanout.take_events()
    assert (first.kind, first.count, first.at_ns) == (EventKind.OVERFLOW, 3, 0)
    assert "watcher 1 (Collector)" in first.text
    fanout.publish(event(6))
    clock.advance(SECOND_NS - 1)
    assert fanout.take_events() == ()
    fanout.publish(event(7))
    clock.advance(1)
    (second,) = fanout.take_events()
    assert (second.count, second.at_ns) == (2, SECOND_NS)
    watcher.release.set()
    fanout.close()
    assert [message.count for message in watcher.seen] == [0, 1, 2]
    assert fanout.counts()[0].dropped == 5


def test_overflow_that_was_not_yet_reported_is_reported_after_the_end():
    watcher = Collector(held=True)
    fanout = FanOut([watcher], config=FanOutConfig(lossless_bound=1), clock=VirtualClock())
    fanout.publish(event(0))
    assert watcher.entered.wait(LIMIT_S)
    for number in range(1, 4):
        fanout.publish(event(number))
    assert [said.count for said in fanout.take_events()] == [2]
    fanout.publish(event(4))
    watcher.release.set()
    fanout.close()
    assert [said.count for said in fanout.take_events()] == [1]


def test_a_watcher_that_raises_is_named_and_the_others_go_on():
    bad, good = Collector(fails_at=event(2)), Collector()
    fanout = FanOut([good, bad])
    for number in range(5):
        fanout.publish(event(number))
    fanout.close()
    assert [message.count for message in good.seen] == [0, 1, 2, 3, 4]
    assert [message.count for message in bad.seen] == [0, 1]
    (said,) = fanout.take_events()
    assert said.kind is EventKind.OVERFLOW
    assert "watcher 2 (Collector) failed with LookupError: the disk is gone" in said.text
    assert "test_fanout.py, line" in said.text
    assert (fanout.counts()[1].delivered, fanout.counts()[1].dropped) == (2, 3)
    assert bad.closed_in is not None


def test_a_watcher_that_cannot_close_is_named():
    fanout = FanOut([Unclosable()])
    fanout.close()
    (said,) = fanout.take_events()
    assert "failed with OSError: will not close" in said.text


def test_a_watcher_is_closed_on_the_thread_that_watched():
    watcher = Collector()
    fanout = FanOut([watcher])
    fanout.close()
    fanout.close()
    assert watcher.closed_in not in (None, threading.current_thread())


def test_a_watcher_that_does_not_finish_is_left_behind_with_a_word():
    watcher = Collector(held=True)
    fanout = FanOut([watcher], config=FanOutConfig(close_limit_s=0.0))
    for number in range(3):
        fanout.publish(event(number))
    assert watcher.entered.wait(LIMIT_S)
    fanout.close()
    (said,) = fanout.take_events()
    assert said.text.endswith("was left behind with 2 messages.")
    watcher.release.set()


def test_nobody_watching_starts_no_thread():
    before = threading.active_count()
    fanout = FanOut([])
    fanout.publish(event(0))
    assert threading.active_count() == before
    fanout.close()
    assert fanout.take_events() == ()


def test_a_message_after_the_end_is_counted_and_harmless():
    watcher = Collector()
    fanout = FanOut([watcher])
    fanout.close()
    fanout.publish(event(0))
    (count,) = fanout.counts()
    assert (watcher.seen, count.dropped, count.alive) == ([], 1, False)
    assert fanout.take_events() == ()


@pytest.mark.parametrize("wrong", [{"lossless_bound": 0}, {"close_limit_s": -1.0}])
def test_a_bound_out_of_range_is_refused(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ConfigError, match=rf"{name} must be .* got {value}"):
        FanOutConfig(**wrong)


# ------------------------------------------------------------------------- what others have to say


def test_what_is_said_waits_for_the_loop_in_order_and_is_told_once():
    fanout = FanOut([])
    said = [event(number) for number in range(3)]
    for one in said:
        fanout.say(one)
    assert fanout.take_events() == tuple(said)
    assert fanout.take_events() == ()


def test_nothing_that_several_threads_say_at_once_is_lost():
    fanout = FanOut([])
    threads = [
        threading.Thread(target=lambda k=k: [fanout.say(event(50 * k + n)) for n in range(50)])
        for k in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_S)
    told = [one.count for one in fanout.take_events()]
    assert sorted(told) == list(range(200))
    for k in range(4):
        own = [count for count in told if count // 50 == k]
        assert own == sorted(own)


def test_what_nobody_takes_does_not_fill_the_memory():
    fanout = FanOut([])
    for number in range(1000):
        fanout.say(event(number))
    assert [one.count for one in fanout.take_events()] == list(range(744, 1000))


# -------------------------------------------------------------------------------- without a mailbox


class Here(Collector):
    """Notes on which thread it is called."""

    def watch(self, message):
        assert threading.current_thread() is threading.main_thread()
        super().watch(message)


def test_a_direct_fan_out_has_handed_a_message_on_when_it_returns():
    one, other = Here(), Here(lossless=False)
    before = threading.active_count()
    fanout = DirectFanOut([one, other])
    for number in range(5):
        message = chunk(number)
        (fanout.put if number % 2 else fanout.publish)(message)
        assert one.seen[-1] is other.seen[-1] is message
        fanout.wake()
        assert len(one.seen) == len(other.seen) == number + 1
    assert threading.active_count() == before
    assert one.closed_in is None
    fanout.close()
    assert one.closed_in is other.closed_in is threading.main_thread()


def test_what_a_watcher_of_a_direct_fan_out_raises_is_raised():
    good, bad, later = Collector(), Collector(fails_at=event(2)), Collector()
    fanout = DirectFanOut([good, bad, later])
    fanout.put(event(1))
    with pytest.raises(LookupError, match="the disk is gone"):
        fanout.put(event(2))
    assert (len(good.seen), len(bad.seen), len(later.seen)) == (2, 1, 1)
    assert fanout.take_events() == ()


def test_a_direct_fan_out_passes_on_what_is_said():
    fanout = DirectFanOut([Collector()])
    fanout.say(event(1))
    assert fanout.take_events() == (event(1),)
    assert fanout.counts() == ()


def test_what_is_said_when_the_loop_asks_no_more_reaches_the_watchers_at_the_end():
    watcher = Collector()
    fanout = FanOut([watcher])
    fanout.publish(event(0))
    fanout.say(event(1))
    fanout.close()
    fanout.close()
    assert watcher.seen == [event(0), event(1)]
    assert fanout.take_events() == ()
