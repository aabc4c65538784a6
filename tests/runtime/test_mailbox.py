"""Mailboxes: one keeps everything up to a bound, the other the newest of each kind."""

from __future__ import annotations

from diverloop.runtime.mailbox import Newest, Queue
from diverloop.runtime.messages import Event, EventKind, StreamSpec


def event(count: int) -> Event:
    return Event(kind=EventKind.LATE, text="late", count=count)


def emptied(box: Queue | Newest) -> list[object]:
    taken = []
    while (message := box.take()) is not None:
        taken.append(message)
    return taken


def test_a_queue_keeps_the_order_and_drops_what_finds_it_full():
    box = Queue(2)
    for count in range(3):
        box.put(event(count))
    assert (box.pending, box.dropped) == (2, 1)
    assert [message.count for message in emptied(box)] == [0, 1]
    box.put(event(9))
    assert (box.pending, box.dropped) == (1, 1)


def test_the_newest_of_each_type_is_kept_and_the_longest_waiting_type_goes_first():
    box, spec = Newest(), StreamSpec(name="a", rate_hz=1.0, channels=())
    box.put(event(0))
    box.put(spec)
    box.put(event(1))
    assert (box.pending, box.dropped) == (2, 1)
    assert emptied(box) == [spec, event(1)]
    assert (box.pending, box.dropped) == (0, 1)
