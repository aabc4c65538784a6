"""A detector beside the session reads what followed each selection, and only that."""

from __future__ import annotations

import math
import threading
import time
from contextlib import closing
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from diverloop import error_detecting
from diverloop.adapters.error_potential import RIGHT, WRONG
from diverloop.error_detecting import detect, open_error_model
from diverloop.rl import child, error_link
from diverloop.rl.error_link import WORDS, ErrorLink, Judged
from diverloop.rl.learning_words import Opened
from diverloop.rl.pipe import Pipe
from diverloop.runtime.errors import ConfigError, SchemaMismatch
from diverloop.runtime.messages import Channel, Chunk, Decision, Embedding, StreamSpec
from diverloop.runtime.signal.condition_config import ConditionConfig
from diverloop.runtime.signal.conditioning import StreamConditioner
from diverloop.runtime.windows import WindowConfig

from .modelled import fitted
from .rl.test_learning_link import LIMIT_S, LastWords, Thread, answers

RATE_HZ = 100.0
SPEC = StreamSpec(name="made", rate_hz=RATE_HZ, channels=(Channel(name="Cz"),))


class Mean:
    def open(self, spec, n_times):
        pass

    def encode(self, window):
        return Embedding(values=window.samples.mean(axis=1))

    def close(self):
        pass


class Sigmoid:
    classes, epoch = (RIGHT, WRONG), 0

    def decide(self, embedding, window):
        wrong = 1 / (1 + math.exp(-float(embedding.values[0])))
        return Decision(
            classes=self.classes,
            probabilities=np.array([1 - wrong, wrong]),
            label=WRONG,
            first_sample=window.first_sample,
            stop_sample=window.stop_sample,
            marker=window.marker,
        )


def model(accept=lambda spec: None):
    return SimpleNamespace(
        accept=accept,
        conditioner=StreamConditioner(ConditionConfig()),
        encoder=Mean(),
        adapter=Sigmoid(),
        window=WindowConfig(length_s=0.5, lock_to=("feedback",)),
    )


def serves(link) -> None:
    detect(Pipe(link, WORDS, longest=1 << 24))


def chunk(first, value=0.0):
    samples = np.full((1, 10), value, np.float32)
    return Chunk(samples=samples, first_sample=first, arrived_ns=0)


def heard(link, n=1):
    """What it has answered, once there are so many answers, or it is off."""
    found, deadline_s = (), time.monotonic() + LIMIT_S
    while len(found) < n and not link.off:
        found += link.judged()
        assert time.monotonic() < deadline_s
    return found


def linked(does, told=None):
    return ErrorLink(
        "any.bundle",
        tell=lambda event: told.append(event.text) if told is not None else None,
        start=lambda theirs: Thread(theirs, does),
    )


def test_each_selection_is_judged_by_the_signal_that_followed_it(monkeypatch):
    monkeypatch.setattr(error_detecting, "open_error_model", lambda path: model())
    with closing(linked(serves)) as link:
        link.open(SPEC)
        for first in range(0, 400, 10):
            if first in (100, 250):
                link.show(first + 1000, first + 2)
            link.feed(chunk(first, 5.0 if 102 <= first < 152 else 0.0))
        answered = {one.trial: one.error for one in heard(link, 2)}
    assert answered.keys() == {1100, 1250}
    assert answered[1100] > 0.9
    assert answered[1250] == pytest.approx(0.5)


def test_what_followed_is_read_where_the_sessions_device_has_it(monkeypatch):
    monkeypatch.setattr(error_detecting, "open_error_model", lambda path: model())
    start = partial(Thread, does=serves)
    with closing(ErrorLink("any.bundle", device_delay_s=0.5, start=start)) as link:
        link.open(SPEC)
        for first in range(0, 300, 10):
            if first == 50:
                link.show(1, 52)
            link.feed(chunk(first, 5.0 if 102 <= first < 152 else 0.0))
        (answered,) = heard(link)
    assert answered.error > 0.9


def test_what_a_detector_says_with_its_last_breath_is_still_heard():
    told: list[str] = []
    link = ErrorLink(
        "any.bundle",
        tell=lambda event: told.append(event.text),
        start=lambda theirs: LastWords(theirs, WORDS),
    )
    with closing(link):
        link.open(SPEC)
        heard(link)
    assert LastWords.REFUSAL in told[0]


def test_a_model_that_does_not_fit_the_stream_is_told_of(monkeypatch):
    def refuse(spec):
        raise SchemaMismatch("It was fitted on another stream.")

    monkeypatch.setattr(error_detecting, "open_error_model", lambda path: model(refuse))
    told: list[str] = []

    def serves_badly(link):
        with pytest.raises(SchemaMismatch):
            serves(link)

    with closing(linked(serves_badly, told)) as link:
        link.open(SPEC)
        heard(link)
    assert "It was fitted on another stream." in told[0]
    assert told[-1].endswith("nobody tells errors by the signal any more.")


@pytest.mark.parametrize(
    ("said", "what"),
    [
        ((Judged(trial=7, error=0.5),), "out of turn"),
        ((Judged(trial=1, error=7.0),), "a probability of 7.0"),
        ((Judged(trial=1, error=0.1), Judged(trial=1, error=0.9)), "out of turn"),
    ],
    ids=["unasked", "no probability", "twice"],
)
def test_a_detector_that_says_nonsense_is_replaced_and_then_left(said, what):
    told: list[str] = []
    with closing(linked(answers(*said, first=(Opened(),), types=WORDS), told)) as link:
        link.open(SPEC)
        for n in range(4):
            link.show(1, 5)
            deadline_s = time.monotonic() + LIMIT_S
            while len(told) <= n:
                link.judged()
                assert time.monotonic() < deadline_s
        assert link.off
    assert what in told[0]


@pytest.fixture
def later(monkeypatch):
    """Lets time pass for the link and its child alone."""
    passed_s = [0.0]
    clock = SimpleNamespace(
        monotonic=lambda: time.monotonic() + passed_s[0], monotonic_ns=time.monotonic_ns
    )
    for module in (child, error_link):
        monkeypatch.setattr(module, "time", clock)
    return lambda seconds: passed_s.append(passed_s.pop() + seconds)


def until_ready(link):
    deadline_s = time.monotonic() + LIMIT_S
    while not link._child.ready:
        link.judged()
        assert time.monotonic() < deadline_s


def test_what_was_shown_while_a_detector_began_is_new_to_it_when_it_is_there(later):
    may_begin, told = threading.Event(), []

    def begins_late(link):
        may_begin.wait(LIMIT_S)
        answers(first=(Opened(),), types=WORDS)(link)

    with closing(linked(begins_late, told)) as link:
        link.open(SPEC)
        link.show(1, 5)
        link.feed(chunk(0))
        later(40.0)
        link.feed(chunk(10))
        assert link.judged() == ()
        may_begin.set()
        until_ready(link)
        link.judged()
    assert told == []


def test_a_detector_is_not_blamed_for_signal_that_did_not_come_but_for_silence_is(later):
    told = []
    with closing(linked(answers(first=(Opened(),), types=WORDS), told)) as link:
        link.open(SPEC)
        until_ready(link)
        link.show(1, 5)
        link.feed(chunk(0))
        later(100.0)
        link.judged()  # the cable is out
        link.feed(chunk(10))
        link.judged()
        assert told == []
        for n in range(32):
            later(1.0)
            link.feed(chunk(10 * n + 20))
            link.judged()
    assert told == ["The error detector does not answer; another was started."]


def test_a_model_of_another_task_is_refused(monkeypatch):
    monkeypatch.setattr(error_detecting, "load_bundle", lambda path: fitted())
    with pytest.raises(ConfigError, match="is a model of the task motor_imagery: name one of"):
        open_error_model("any.bundle")
