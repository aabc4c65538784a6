"""The control link over real sockets: who gets through, who does not, and what is noted of it."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest
import zmq

from diverloop.runtime.access import Action, Role, Why
from diverloop.runtime.clock import MonotonicClock
from diverloop.runtime.control import BURST
from diverloop.runtime.control_client import ControlClient
from diverloop.runtime.control_wire import Request, read_reply, write
from diverloop.runtime.errors import AccessError, ConfigError
from diverloop.runtime.keys import new_curve_key
from diverloop.runtime.people import People

from .link_rooms import LIMIT_S, Room, Wire

MINUTE_NS = 60_000_000_000


@pytest.fixture
def room(tmp_path):
    with Room(tmp_path) as made:
        yield made


def test_an_act_is_done_in_its_persons_name_and_noted(room):
    with room.client() as client:
        reply = client.must(Action.ARM)
    assert reply.text == "arm was done."
    assert room.acts == [(Action.ARM, "operator", "")]
    (note,) = room.notes
    assert (note.who, note.role, note.action, note.done) == ("operator", "operator", "arm", True)


def test_everybody_known_can_stop(room):
    for role in Role:
        with room.client(role) as client:
            client.must(Action.STOP)
    assert room.did(Action.STOP) == [str(role) for role in Role]


def test_a_viewer_who_asks_an_operators_action_is_refused_and_noted(room):
    with room.client(Role.VIEWER) as client:
        for action in (Action.ARM, Action.LISTEN, Action.RESET, Action.ENABLE_STIMULATION):
            reply = client.ask(action, code=room.code("viewer"))
            assert (reply.done, reply.why) == (False, Why.NOT_ALLOWED)
        assert client.ask(Action.STATUS).facts["guard"] == "x"
    assert room.acts == []
    assert room.why() == {Why.NOT_ALLOWED: 4}
    assert {note.who for note in room.notes} == {"viewer"}


def test_a_key_that_nobody_has_is_refused_and_noted(room):
    with pytest.raises(AccessError, match="did not accept this key"):
        ControlClient(room.server.address, room.server.public_key, new_curve_key(), LIMIT_S)
    assert room.wait_refusal(Why.UNKNOWN_KEY)
    assert room.notes[0].who.startswith("key ")


def test_a_revoked_key_is_refused_at_the_door_and_on_an_open_connection(room):
    with room.client() as inside:
        inside.must(Action.ARM)
        People(room.folder).revoke("operator")
        for action in (Action.ARM, Action.STOP):
            reply = inside.ask(action)
            assert (reply.done, reply.why) == (False, Why.REVOKED)
    with pytest.raises(AccessError, match="did not accept this key"):
        room.client()
    assert room.wait_refusal(Why.REVOKED, 3)
    assert len(room.acts) == 1


@pytest.mark.parametrize("kind", ["none", "plain", "wrong server"])
def test_without_a_key_or_with_a_wrong_one_for_the_server_nothing_gets_in(room, kind):
    context = zmq.Context()
    socket = context.socket(zmq.DEALER)
    socket.linger = 0
    if kind == "plain":
        socket.plain_username, socket.plain_password = b"operator", b"operator"
    elif kind == "wrong server":
        key = room.keys[Role.OPERATOR]
        socket.curve_publickey, socket.curve_secretkey = key.public.encode(), key.secret.encode()
        socket.curve_serverkey = new_curve_key().public.encode()
    socket.connect(room.server.address)
    socket.send(write(Request(b"", 1, Action.STOP)))
    assert room.wait_refusal(Why.NO_KEY)
    assert not socket.poll(0)
    context.destroy(linger=0)
    assert room.acts == []


def test_bytes_that_were_listened_to_and_played_again_are_refused(room):
    wire = Wire(room.server.address)
    with room.client(Role.CLINICIAN, wire.address) as client:
        client.must(Action.ARM)
        client.must(Action.RESET)
    wire.play_again()
    assert room.wait_refusal(Why.NO_KEY)
    wire.close()
    assert [action for action, *_ in room.acts] == [Action.ARM, Action.RESET]


def test_a_request_counts_once_on_its_connection_and_never_on_another(room):
    with room.client() as client, room.client() as other:
        client.must(Action.ARM)
        again = write(Request(client._nonce, client._n, Action.ARM))
        for socket, why in ((client._socket, Why.REPLAYED), (other._socket, Why.REPLAYED)):
            socket.send(again)
            assert socket.poll(LIMIT_S * 1e3)
            assert read_reply(socket.recv()).why == why
        client.must(Action.DISARM)
    assert room.why() == {Why.REPLAYED: 2}
    assert len(room.did(Action.ARM)) == 1


@pytest.mark.parametrize("frames", [[b""], [b"\xff" * 100], [b"x", b"y"], [b"{}"]])
def test_what_is_no_request_is_refused_and_noted(room, frames):
    with room.client() as client:
        client._socket.send_multipart(frames)
        assert client._socket.poll(LIMIT_S * 1e3)
        assert read_reply(client._socket.recv()).why == Why.UNREADABLE
        client.must(Action.STOP)
    assert room.why() == {Why.UNREADABLE: 1}


def test_a_frame_beyond_all_measure_never_arrives_and_costs_its_sender_the_connection(room):
    with room.client(timeout_s=1.0) as client:
        before = client._nonce
        client._socket.send(b"x" * 1_000_000)
        until(lambda: reached(client))  # what is sent as the connection ends goes down with it
        assert client._nonce != before
        assert client.must(Action.ARM).done
    assert room.acts == [(Action.ARM, "operator", "")]
    assert Why.UNREADABLE not in room.why()


def test_a_link_that_broke_is_held_again_by_the_next_signs_of_life(tmp_path):
    # Time goes on here: who sends more than a burst is only heard again after a while.
    with Room(tmp_path, MonotonicClock()) as room, room.client() as client:
        client._socket.send(b"x" * 1_000_000)
        until(lambda: held_by(client, room))
        assert room.server.held()


def until(true):
    """Ask again and again, for as long as a busy machine may need."""
    end_s = time.monotonic() + LIMIT_S
    while not true() and time.monotonic() < end_s:
        pass


def held_by(client, room):
    """Whether the server has heard a sign of life."""
    client.sign_of_life()
    return room.server.held() or threading.Event().wait(0.1)


def reached(client):
    """Whether a question was answered."""
    try:
        return client.ask(Action.STATUS).done
    except AccessError:
        return False


def test_stimulation_is_enabled_by_a_clinicians_good_code_and_ends_by_itself(room):
    what = Action.ENABLE_STIMULATION
    held = room.server.permissions
    with room.client(Role.CLINICIAN) as client:
        assert client.ask(what).why == Why.CODE_MISSING
        assert client.ask(what, code="000000").why == Why.CODE_WRONG
        old = room.code("clinician")
        room.s += 120
        assert client.ask(what, code=old).why == Why.CODE_WRONG
        assert not held.holds(what, 0)
        good = room.code("clinician")
        client.must(what, code=good)
        assert client.ask(what, code=good).why == Why.CODE_USED
        assert client.ask(Action.STATUS).facts["stimulation_enabled_s"] == 900.0
    assert held.current(what, 0).who == "clinician"
    assert not held.holds(what, 15 * MINUTE_NS)
    assert room.why() == {Why.CODE_MISSING: 1, Why.CODE_WRONG: 2, Why.CODE_USED: 1}


@pytest.mark.parametrize("end", [Action.STOP, Action.DISABLE_ADAPTATION])
def test_what_was_enabled_ends_with_a_stop_or_when_anybody_disables_it(room, end):
    with room.client(Role.CLINICIAN) as client:
        client.must(Action.ENABLE_ADAPTATION, code=room.code("clinician"))
    assert room.server.permissions.holds(Action.ENABLE_ADAPTATION, 0)
    with room.client(Role.VIEWER) as viewer:
        viewer.must(end)
    assert not room.server.permissions.holds(Action.ENABLE_ADAPTATION, 0)


def test_five_wrong_codes_lock_out_all_but_a_stop(room):
    with room.client(Role.CLINICIAN) as client:
        for _ in range(5):
            assert client.ask(Action.ENABLE_ADAPTATION, code="1").why == Why.CODE_WRONG
        code = room.code("clinician")
        assert client.ask(Action.ENABLE_ADAPTATION, code=code).why == Why.LOCKED_OUT
        assert client.ask(Action.ARM).why == Why.LOCKED_OUT
        client.must(Action.STOP)


def test_after_a_time_without_an_act_a_code_is_asked_for(room):
    room.clock.ns = 16 * MINUTE_NS
    with room.client() as client:
        assert client.ask(Action.ARM).why == Why.LOCKED
        client.must(Action.STOP)
        client.must(Action.ARM, code=room.code("operator"))


def test_a_stop_is_answered_while_another_person_floods(tmp_path):
    with Room(tmp_path, MonotonicClock()) as room, room.client(Role.ENGINEER) as flooder:
        ended = threading.Event()

        def flood():
            while not ended.is_set():
                if flooder._socket.poll(10, zmq.POLLOUT):
                    flooder.send(Action.STATUS)
                while flooder._socket.poll(0):
                    flooder._socket.recv()

        thread = threading.Thread(target=flood)
        thread.start()
        try:
            assert room.wait_refusal(Why.TOO_MANY, 100)
            with room.client(Role.VIEWER) as viewer:
                for _ in range(5):
                    began_ns = room.clock.now_ns()
                    viewer.must(Action.STOP)
                    assert room.clock.now_ns() - began_ns < 2e9
        finally:
            ended.set()
            thread.join()
    assert room.did(Action.STOP) == ["viewer"] * 5


def test_somebody_who_asks_too_often_is_turned_down_but_can_always_stop(room):
    with room.client() as client:  # the clock stands still: nothing fills up again
        replies = [client.ask(Action.ARM) for _ in range(int(BURST))]
        assert [reply.why for reply in replies] == [""] * (int(BURST) - 1) + [Why.TOO_MANY]
        client.must(Action.STOP)


def test_a_held_link_that_falls_silent_is_a_stop(tmp_path):
    with Room(tmp_path) as room, room.client() as client:
        client.must(Action.HOLD)
        assert room.server.held()
        room.clock.ns = 499_000_000
        client.must(Action.STATUS)
        assert room.acts == []
        room.clock.ns = 501_000_000
        assert room.wait_for(lambda: room.acts)
        assert room.acts[0][0] is Action.STOP
        assert "no sign of life for 500 ms" in room.acts[0][2]
        assert room.wait_for(lambda: room.notes)
        assert (room.notes[0].who, room.notes[0].done) == ("control link", True)
        assert not room.server.held()
        room.clock.ns = 5_000_000_000
        client.must(Action.STATUS)
    assert len(room.acts) == 1, "it stops once, not again and again"


def test_a_link_that_is_let_go_disarms_and_is_no_loss(room):
    with room.client() as client:
        client.must(Action.HOLD)
        client.must(Action.LET_GO)
        room.clock.ns = 10**10
        client.must(Action.STATUS)
    assert [action for action, *_ in room.acts] == [Action.DISARM]


def test_a_required_link_lets_nobody_arm_before_it_is_held(tmp_path):
    with Room(tmp_path, required=True) as room, room.client() as client:
        assert client.ask(Action.ARM).why == Why.NO_LINK
        client.must(Action.HOLD)
        client.must(Action.ARM)
        assert client.ask(Action.STATUS).facts["link_held"] is True


CHILD = """
import json, sys
from diverloop.runtime.access import Action
from diverloop.runtime.control_client import ControlClient
from diverloop.runtime.keys import CurveKey
address, server, public, secret = json.load(sys.stdin)
client = ControlClient(address, server, CurveKey(public=public, secret=secret), 20)
client.sign_of_life()
print(client.must(Action.STATUS).facts["guard"], flush=True)
sys.stdin.close()
import os; os.kill(os.getpid(), 9)
"""


def test_the_death_of_the_process_that_holds_the_link_is_a_stop(tmp_path):
    import json

    with Room(tmp_path, MonotonicClock()) as room:
        key = room.keys[Role.OPERATOR]
        told = json.dumps([room.server.address, room.server.public_key, key.public, key.secret])
        done = subprocess.run(
            [sys.executable, "-c", CHILD], input=told, capture_output=True, text=True, check=False
        )
        assert (done.stdout, done.returncode) == ("x\n", -9)
        assert room.wait_for(lambda: room.acts)
    assert room.acts[0][0] is Action.STOP


def test_an_error_that_nobody_thought_of_stops_the_session(tmp_path, monkeypatch):
    room = Room(tmp_path)
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    with room, room.client(timeout_s=0.2) as client:
        monkeypatch.setattr(room.server, "_judge", None)
        with pytest.raises(AccessError):
            client.ask(Action.ARM)
        assert room.wait_for(lambda: room.acts)
    assert room.did(Action.STOP) == ["diverloop"]


def test_a_port_in_use_is_refused_in_words(room, tmp_path):
    other = Room(tmp_path / "other", address=room.server.address)
    with pytest.raises(ConfigError, match=r"control.address .* cannot be bound"):
        other.__enter__()
