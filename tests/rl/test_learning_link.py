"""Whatever a learner does, the session gets heads that fit or nothing, and hears of it once."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from diverloop.rl import learning_process
from diverloop.rl.learners.rewarded import Rewarded
from diverloop.rl.learning_link import LearningLink, LinkConfig
from diverloop.rl.learning_process import Learning
from diverloop.rl.learning_words import TYPES, Learnt, Opened
from diverloop.rl.pipe import Pipe
from diverloop.rl.trial import Reward
from diverloop.runtime.errors import ConfigError

from .heads import Nudge, head, trial

LIMIT_S = 60.0


class Thread:
    """A learner at the other end of the socket, in a thread of the test."""

    def __init__(self, link: socket.socket, does) -> None:
        self._link = socket.socket(fileno=link.detach())
        self._thread = threading.Thread(target=self._run, args=(does,), daemon=True)
        self._thread.start()

    def _run(self, does) -> None:
        with self._link, contextlib.suppress(OSError):
            does(self._link)

    def poll(self):
        return None if self._thread.is_alive() else 0

    def kill(self) -> None:
        with contextlib.suppress(OSError):
            self._link.shutdown(socket.SHUT_RDWR)

    def wait(self, timeout=None) -> int:
        self._thread.join(LIMIT_S)
        return 0


class LastWords:
    """A child that says why it cannot begin at the very moment at which it is found to be gone."""

    REFUSAL = "It has other classes."

    def __init__(self, link: socket.socket, types=TYPES) -> None:
        self._link, self._types = socket.socket(fileno=link.detach()), types

    def poll(self) -> int:
        if self._link.fileno() >= 0:
            Pipe(self._link, self._types, longest=1 << 24).post(Opened(refusal=self.REFUSAL))
            self._link.close()
        return 1

    def kill(self) -> None:
        self._link.close()

    def wait(self, timeout=None) -> int:
        return 1


def learns(link) -> None:
    Learning(Pipe(link, TYPES, longest=1 << 24)).run()


BEGUN = (Opened(),)


def answers(*said, first=BEGUN, types=TYPES):
    """A child that says such things as soon as it hears anything."""

    def does(link) -> None:
        pipe = Pipe(link, types, longest=1 << 24)
        pipe.wait()
        for one in (*first, *said):
            link.setblocking(True)
            link.sendall(one) if isinstance(one, bytes) else pipe.post(one)
        while not pipe.gone:
            pipe.wait()
            pipe.take()
            pipe.push()

    return does


@pytest.fixture(autouse=True)
def known(monkeypatch):
    monkeypatch.setattr(learning_process, "find", lambda kind, name: Nudge)


@contextlib.contextmanager
def linked(does, told=None, **config):
    link = LearningLink(
        "nudge",
        {"step": 0.5},
        head(),
        config=LinkConfig(**config),
        tell=lambda event: told.append(event.text) if told is not None else None,
        start=lambda theirs: Thread(theirs, does),
    )
    with contextlib.closing(link):
        yield link


def until(link, so):
    """Look, as a session does, until something is so; the last proposal on the way."""
    found, deadline_s = None, time.monotonic() + LIMIT_S
    while not so():
        assert time.monotonic() < deadline_s
        found = link.proposal() or found
    return link.proposal() or found


def test_what_a_learner_says_with_its_last_breath_is_still_heard():
    told: list[str] = []
    start = LastWords
    link = LearningLink(
        "nudge", {"step": 0.5}, head(), tell=lambda event: told.append(event.text), start=start
    )
    with contextlib.closing(link):
        until(link, lambda: link.off)
    assert LastWords.REFUSAL in told[0]


def test_a_learner_beside_proposes_what_it_would_propose_here():
    alone = Nudge(head(), Nudge.Config(step=0.5))
    with linked(learns) as link:
        for number in (10, 20, 30):
            link.see(trial(number))
            alone.see(trial(number))
        link.hear(Reward(trial=20, log_odds=1.0))
        alone.hear(Reward(trial=20))
        got = until(link, lambda: link.ready and not link.behind)
        assert got.head.sha256 == alone.head.sha256
        assert got.rule == "heard of 20"
        assert got.trials == (10, 20, 30)
        link.serve(got.head, adopt=False)
        link.see(trial(40))
        assert until(link, lambda: not link.behind).trials == (40,)


def test_after_a_roll_back_it_goes_on_from_the_head_that_serves():
    with linked(learns) as link:
        link.see(trial(10))
        until(link, lambda: link.ready and not link.behind)
        link.serve(head(), adopt=True)
        assert until(link, lambda: not link.behind) is None
        link.see(trial(20))
        moved = until(link, lambda: not link.behind)
        np.testing.assert_array_equal(moved.head.centre, head().centre + 0.5)
        assert moved.trials == (20,)


WRONG_SHAPE = {name: array[..., :1] for name, array in head().to_arrays().items()}
NAN = head().to_arrays() | {"head.centre": np.full_like(head().centre, np.nan)}
HUGE = struct.pack("<I", 2**30) + b"x" * 100


@pytest.mark.parametrize(
    ("said", "what"),
    [
        ((Learnt(after=0, arrays=WRONG_SHAPE),), "no mean like that"),
        ((Learnt(after=0, arrays={"head.mean": np.zeros(4)}),), "like that of the head"),
        ((Learnt(after=0, arrays=NAN),), "NaN or infinity"),
        ((Learnt(after=99, arrays={}),), "out of turn"),
        ((Opened(),), "out of turn"),
        ((HUGE,), "a message of 1073741824 bytes"),
        ((b"\x04\x00\x00\x00junk",), "no message"),
        ((Learnt(after=0, arrays={}),) * 200, "a flood"),
    ],
    ids=["shape", "few arrays", "NaN", "number", "opened twice", "huge", "junk", "flood"],
)
def test_one_that_says_nonsense_is_replaced_a_few_times_and_then_left(said, what):
    told: list[str] = []
    with linked(answers(*said), told, restarts=2) as link:
        assert until(link, lambda: link.off) is None
        link.see(trial(10))  # nobody is there, and nobody minds
        assert link.proposal() is None
        assert link.restarts == 2
    assert len(told) == 3
    assert what in told[0]
    assert "another was started" in told[0]
    assert told[2].endswith("nothing is learnt any more, the weights stay.")


def test_one_that_hangs_dies_or_refuses_to_begin_is_told_of_by_what_it_did():
    def dies(link) -> None:
        link.recv(1)

    for does, what in (
        (answers(), "has not answered for 0.1 s"),
        (dies, "ended"),
        (answers(first=(Opened(refusal="No learner is called so."),)), "No learner is called so."),
    ):
        told: list[str] = []
        with linked(does, told, restarts=0, silence_s=0.1) as link:
            link.see(trial(10))
            until(link, lambda link=link: link.off)
        assert len(told) == 1
        assert what in told[0]


def test_what_it_cannot_take_in_is_dropped_and_counted_and_costs_no_time():
    with linked(answers(first=()), most_waiting=8) as link:
        began_s = time.monotonic()
        for number in range(1, 1000):
            link.see(trial(number))
        assert time.monotonic() - began_s < 1.0
        assert (link.behind, link.dropped) == (8, 991)
        assert not link.ready


def test_one_that_cannot_be_started_leaves_the_session_alone():
    def fails(theirs):
        raise OSError("no more processes")

    told = []
    link = LearningLink("nudge", {}, head(), tell=told.append, start=fails)
    link.see(trial(1))
    assert link.proposal() is None
    assert "cannot be started: no more processes" in link.off
    link.close()


def test_a_patience_out_of_range_is_refused():
    with pytest.raises(ConfigError, match="silence_s must be in"):
        replace(LinkConfig(), silence_s=0.0)


def test_a_process_of_its_own_learns_what_it_would_learn_here():
    link = LearningLink("reward", {}, head(), tell=lambda event: pytest.fail(event.text))
    alone = Rewarded(head())
    with contextlib.closing(link):
        assert link.pid > 0
        for number in range(1, 13):
            link.see(trial(number))
            alone.see(trial(number))
            reward = Reward(trial=number, log_odds=-1.0, value=0.0)
            link.hear(reward)
            alone.hear(reward)
        got = until(link, lambda: link.ready and not link.behind)
    assert got.head.sha256 == alone.head.sha256
    assert got.rule == alone.rule
