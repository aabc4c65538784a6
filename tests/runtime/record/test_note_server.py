from __future__ import annotations

import json
import os
import stat
from contextlib import contextmanager

import pytest
import zmq

from diverloop.runtime.errors import RecordingError
from diverloop.runtime.record.contents import Note
from diverloop.runtime.record.note_server import ADDRESS_FILE, NoteServer, send_note


@pytest.fixture
def taken():
    return []


@pytest.fixture
def server(tmp_path, taken):
    with NoteServer(tmp_path, taken.append, pytest.fail):
        yield tmp_path


@contextmanager
def line(folder):
    """A socket to the server, and what a note needs besides its text."""
    card = json.loads((folder / ADDRESS_FILE).read_text())
    context = zmq.Context()
    socket = context.socket(zmq.REQ)
    socket.setsockopt(zmq.RCVTIMEO, 20_000)
    socket.connect(card["address"])
    yield socket, card
    context.destroy(linger=0)


def test_a_note_arrives_with_who_wrote_it_and_when(server, taken):
    send_note(server, "He moved. 動いた 🧠", "nurse-2")
    send_note(server, "x" * 4000)
    assert [type(note) for note in taken] == [Note, Note]
    assert (taken[0].text, taken[0].who) == ("He moved. 動いた 🧠", "nurse-2")
    assert taken[0].at_ns < taken[1].at_ns


@pytest.mark.parametrize("text", ["", "x" * 4001])
def test_a_note_without_text_or_with_too_much_is_refused(server, taken, text):
    with pytest.raises(RecordingError, match=f"1 to 4000 characters, got {len(text)}"):
        send_note(server, text)
    assert not taken


@pytest.mark.parametrize("token", ["", "0" * 32, "ünïcode", 7, None, ["a"], "\ud800"])
def test_whoever_does_not_know_the_token_is_refused(server, taken, token):
    with line(server) as (socket, card):
        socket.send_string(json.dumps({"text": "hello", "who": "", "token": token}))
        assert socket.recv_string() == "refused: the token is not that of this recording."
        socket.send_json({"text": "mine", "who": "", "token": card["token"]})
        assert socket.recv_string() == "noted"
    assert [note.text for note in taken] == ["mine"]


@pytest.mark.parametrize(
    "request_",
    [b"", b"\xff\xfe", b"null", b"[1]", b'"text"', b'{"text": "a"}', b"[" * 50_000],
    ids=["empty", "binary", "null", "list", "string", "half", "deep"],
)
def test_what_is_no_note_is_refused_and_the_next_note_is_taken(server, taken, request_):
    with line(server) as (socket, _):
        socket.send(request_)
        assert socket.recv_string() == "refused: this is no note."
    send_note(server, "a real one")
    assert [note.text for note in taken] == ["a real one"]


def test_a_request_in_several_parts_or_of_great_length_does_no_harm(server, taken):
    with line(server) as (socket, _):
        socket.send_multipart([b"a", b"b"])
        assert socket.recv_string() == "refused: this is no note."
    with line(server) as (socket, _):
        socket.send(b"x" * 1_000_000)
    send_note(server, "a real one")
    assert [note.text for note in taken] == ["a real one"]


def test_a_note_that_cannot_be_written_is_refused_with_the_reason(tmp_path):
    def full(note: Note) -> None:
        raise RecordingError("The disk is full.")

    with (
        NoteServer(tmp_path, full, pytest.fail),
        pytest.raises(RecordingError, match=r"The disk is full\."),
    ):
        send_note(tmp_path, "hello")


def test_the_address_is_for_this_user_alone_and_names_the_process(server):
    file = server / ADDRESS_FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    card = json.loads(file.read_text())
    assert card["pid"] == os.getpid()
    assert card["address"].startswith("tcp://127.0.0.1:")


def test_a_server_replaces_the_address_of_a_dead_one_and_takes_its_own_away(tmp_path):
    (tmp_path / ADDRESS_FILE).write_text('{"address": "tcp://127.0.0.1:1", "token": "", "pid": 1}')
    with NoteServer(tmp_path, lambda note: None, pytest.fail):
        send_note(tmp_path, "hello")
    assert not (tmp_path / ADDRESS_FILE).exists()


def test_a_server_that_cannot_leave_its_address_complains_and_goes_on(tmp_path):
    words = []
    with NoteServer(tmp_path / "nowhere", lambda note: None, words.append):
        pass
    assert len(words) == 1
    assert "Notes cannot be sent" in words[0]


@pytest.mark.parametrize("card", [None, "", "{}", "[]", "no json"])
def test_where_nothing_is_recorded_no_note_can_be_written(tmp_path, card):
    if card is not None:
        (tmp_path / ADDRESS_FILE).write_text(card)
    with pytest.raises(RecordingError, match="Nothing is being recorded in"):
        send_note(tmp_path, "hello")


def test_a_recorder_that_does_not_answer_is_said_to_be_silent(tmp_path):
    card = {"address": "tcp://127.0.0.1:1", "token": "", "pid": 1}
    (tmp_path / ADDRESS_FILE).write_text(json.dumps(card))
    with pytest.raises(RecordingError, match="no answer"):
        send_note(tmp_path, "hello", timeout_s=0.05)
