from __future__ import annotations

import json

import pytest
import zmq

from diverloop.adapters.speech.second_stage import RemoteSecondStage, Request, read_answer
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.inbox import Kind, Told
from diverloop.runtime.messages import EventKind

from .person import Session, adapter, hops_of, labels

LIMIT_MS = 10_000
SENTENCE = "bad bee key"


def request(version, utterance=1):
    return Request(
        utterance=utterance, version=version, final=False, hypotheses=(("bad bee", -0.5),)
    )


class OverThere:
    """The other process, in this one."""

    def __init__(self, address):
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.ROUTER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.bind(address)
        self.address = address

    def hear(self, here):
        """The next request; `here` is looked at meanwhile, as every hop does."""
        for _ in range(LIMIT_MS // 10):
            here.answers()
            if self.socket.poll(10):
                client, frame = self.socket.recv_multipart()
                return client, json.loads(frame)
        raise AssertionError(f"no request came within {LIMIT_MS} ms")

    def close(self):
        self.context.destroy(linger=0)


@pytest.fixture
def there(tmp_path):
    other = OverThere(f"ipc://{tmp_path}/there")
    yield other
    other.close()


@pytest.fixture
def here(there):
    stage = RemoteSecondStage(there.address)
    yield stage
    stage.close()


def answers(here):
    """What comes, waiting for it here as no hop would."""
    for _ in range(LIMIT_MS // 10):
        if found := here.answers():
            return found
        here._socket.poll(10)
    raise AssertionError(f"no answer came within {LIMIT_MS} ms")


def test_a_question_goes_over_and_its_answer_comes_back(here, there):
    here.ask(request(3, utterance=2))
    client, heard = there.hear(here)
    assert (heard["utterance"], heard["version"], heard["final"]) == (2, 3, False)
    assert heard["hypotheses"] == [["bad bee", -0.5]]
    answer = {"utterance": 2, "version": 3, "text": "bad key"}
    there.socket.send_multipart([client, json.dumps(answer).encode()])
    wanted = Told(kind=Kind.CORRECT, text="bad key", utterance=2, version=3)
    assert answers(here) == (wanted,)


def test_with_nobody_there_only_the_newest_question_is_kept(tmp_path):
    address = f"ipc://{tmp_path}/stage"
    here = RemoteSecondStage(address)
    try:
        for version in range(1, 51):
            here.ask(request(version))
            assert here.answers() == ()
        assert here.replaced == 49
        there = OverThere(address)
        try:
            assert there.hear(here)[1]["version"] == 50
        finally:
            there.close()
    finally:
        here.close()


def test_one_that_never_reads_is_asked_thousands_of_times_without_a_wait(here, there):
    here.ask(request(1))
    there.hear(here)
    for version in range(2, 5000):
        here.ask(request(version))
        assert here.answers() == ()


def test_what_waits_is_dropped_when_it_is_to_be_forgotten(tmp_path):
    here = RemoteSecondStage(f"ipc://{tmp_path}/nobody")
    here.ask(request(1))
    here.forget()
    assert [json.loads(frame) for frame in here._waiting] == [{"forget": True}]
    here.ask(request(2))
    assert json.loads(here._waiting[0]) == {"forget": True}
    assert json.loads(here._waiting[1])["version"] == 2
    here.close()


@pytest.mark.parametrize(
    "frame", [b"", b"[]", b"3", b"{}", b'{"text": 1, "utterance": 1, "version": 1}', b"\xff",
              b'{"text": "a", "utterance": true, "version": 1}']
)  # fmt: skip
def test_what_is_no_answer_is_passed_over(frame, here, there):
    assert read_answer(frame) is None
    here.ask(request(1))
    client, _ = there.hear(here)
    good = b'{"text": "bee", "utterance": 1, "version": 1}'
    there.socket.send_multipart([client, frame])
    there.socket.send_multipart([client, good])
    assert [told.text for told in answers(here)] == ["bee"]
    assert here.not_understood == 1


@pytest.mark.parametrize("address", ["tcp://10.0.0.1:5000", "tcp://*:5000"])
def test_speech_does_not_travel_to_other_machines_without_a_key(address):
    with pytest.raises(ConfigError, match=r"on this machine,.* model\.second_stage_key"):
        RemoteSecondStage(address)


def test_what_is_no_address_is_refused():
    with pytest.raises(ConfigError, match="must look like"):
        RemoteSecondStage("nowhere")


def heard(stage, events, n):
    """Look as every hop does, until so many events were told."""
    for _ in range(LIMIT_MS // 10):
        stage.answers()
        if len(events) >= n:
            return [event.text.removesuffix(".") for event in events]
        stage._monitor.poll(10)
    raise AssertionError(f"told was {events}")


def test_that_it_is_not_there_comes_and_goes_is_told_once_each(tmp_path):
    address, events = f"ipc://{tmp_path}/stage", []
    here = RemoteSecondStage(address, tell=events.append)
    try:
        for version in range(3):
            here.ask(request(version))
        assert len(events) == 1
        there = OverThere(address)
        there.hear(here)
        assert heard(here, events, 2)[1] == f"The language model at {address} is there again"
        there.close()
        texts = heard(here, events, 3)
        assert "is not there: what the first stage reads stands" in texts[0]
        assert "is gone" in texts[2]
        assert {event.kind for event in events} == {EventKind.SECOND_STAGE}
    finally:
        here.close()


def test_a_port_that_is_none_is_refused():
    with pytest.raises(ConfigError, match="can be reached"):
        RemoteSecondStage("tcp://127.0.0.1:port")


def test_the_first_stage_says_the_same_whether_the_second_is_there_or_not(here, tmp_path):
    alone, absent, stuck = (Session(adapter()) for _ in range(3))
    absent.speech.second_stage = RemoteSecondStage(f"ipc://{tmp_path}/nobody")
    stuck.speech.second_stage = here
    wanted = alone.hear(hops_of(SENTENCE))
    assert labels(wanted) == SENTENCE.split()
    for session in (absent, stuck):
        said = session.hear(hops_of(SENTENCE))
        assert [(one.label, one.reason) for one in said] == [
            (one.label, one.reason) for one in wanted
        ]
    absent.speech.second_stage.close()
