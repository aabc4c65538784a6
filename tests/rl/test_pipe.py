"""Messages arrive whole and in order; rubbish is named; nobody waits."""

from __future__ import annotations

import socket
import struct
from contextlib import closing

import msgspec
import pytest

from diverloop.rl.learning_words import TYPES, Bye, Saw
from diverloop.rl.pipe import Pipe, Rubbish

from .heads import trial


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    with closing(ours), closing(theirs):
        yield ours, theirs


def pipe(link, **how):
    return Pipe(link, TYPES, **{"longest": 1 << 20, **how})


def test_messages_arrive_whole_and_in_order_however_they_are_cut(ends):
    ours, theirs = ends
    sender = pipe(ours)
    sent = [Saw(n=n, trial=trial(n, 2000)) for n in range(40)]
    assert all(sender.post(one) for one in sent)
    assert sender.waiting > 0  # more than the system keeps
    receiver, got = pipe(theirs), []
    while len(got) < len(sent):
        got += receiver.take()
        sender.push()
    assert [one.n for one in got] == [one.n for one in sent]
    for one, other in zip(got, sent, strict=True):
        assert one.trial.features.tobytes() == other.trial.features.tobytes()
    assert sender.waiting == 0


def test_beyond_the_bound_messages_are_dropped_and_counted(ends):
    sender = pipe(ends[0], most_waiting=1 << 20)
    posted = [sender.post(Saw(n=n, trial=trial(n, 10000))) for n in range(60)]
    assert not all(posted)
    assert sender.dropped == posted.count(False) > 0
    assert sender.waiting <= 1 << 20


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (struct.pack("<I", 2**31) + b"x", "a message of 2147483648 bytes"),
        (struct.pack("<I", 5) + b"hello", "bytes that are no message"),
        (struct.pack("<I", 1) + b"\x90", "bytes that are no message"),
    ],
    ids=["absurdly long", "no message", "empty"],
)
def test_rubbish_is_named(ends, data, what):
    ends[0].send(data)
    with pytest.raises(Rubbish, match=what):
        pipe(ends[1]).take()


def test_an_unknown_topic_and_an_array_that_lies_about_its_shape_are_rubbish(ends):
    ours, theirs = ends
    receiver = pipe(theirs)
    header = msgspec.msgpack.encode((2, 0, {}))
    lying = msgspec.msgpack.encode(
        (2, 0, {"after": 1, "arrays": {"head.centre": ["<f8", [9, 9], 0]}, "rule": ""})
    )
    for frames in ([b"Other", header], [b"Learnt", lying, bytes(8)]):
        body = msgspec.msgpack.encode(frames)
        ours.send(struct.pack("<I", len(body)) + body)
        with pytest.raises(Rubbish):
            receiver.take()


def test_the_end_of_the_other_is_noticed(ends):
    ours, theirs = ends
    receiver, sender = pipe(theirs), pipe(ours)
    sender.post(Bye())
    sender.close()
    assert receiver.take() == [Bye()]
    assert receiver.gone
    assert not receiver.post(Bye())
