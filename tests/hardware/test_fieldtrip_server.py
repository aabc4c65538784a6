"""A buffer on a socket: many clients, and none of them harms the others."""

from __future__ import annotations

import socket
import threading

import numpy as np
import pytest

from diverloop.hardware import fieldtrip_server as subject
from diverloop.hardware.fieldtrip_buffer import FieldTripBuffer
from diverloop.hardware.fieldtrip_server import FieldTripServer
from diverloop.hardware.fieldtrip_wire import (
    Code,
    Header,
    pack,
    pack_range,
    pack_wait,
    unpack_counts,
    unpack_frame,
    unpack_rows,
)
from diverloop.hardware.tcp_link import TcpLink
from diverloop.runtime.errors import ConfigError, LinkLost

HEADER = Header(n_channels=2, rate_hz=100.0, dtype="<i2")
WITHIN_S = 10.0


@pytest.fixture
def server():
    made = FieldTripServer(port=0)
    made.buffer.put_header(HEADER)
    yield made
    made.close()


@pytest.fixture
def client(server):
    links = []

    def connect() -> TcpLink:
        links.append(TcpLink("127.0.0.1", server.port, WITHIN_S))
        return links[-1]

    yield connect
    for link in links:
        link.close()


def ask(link: TcpLink, code: int, payload: bytes = b"") -> tuple[int, bytes]:
    link.write(pack(code, payload), WITHIN_S)
    return heard(link)


def heard(link: TcpLink) -> tuple[int, bytes]:
    code, size = unpack_frame(link.read(8, WITHIN_S))
    return code, link.read(size, WITHIN_S)


def test_samples_reach_every_client(server, client):
    values = np.arange(20, dtype="<i2").reshape(10, 2)
    server.buffer.put_rows(values)
    for link in [client() for _ in range(5)]:
        code, payload = ask(link, Code.GET_DAT, pack_range(0, 9))
        assert code == Code.GET_OK
        np.testing.assert_array_equal(unpack_rows(payload), values)
    assert server.n_clients == 5


def test_one_that_waits_does_not_hold_up_another(server, client):
    waiting, other = client(), client()
    waiting.write(pack(Code.WAIT_DAT, pack_wait(0, 0, 60_000)), WITHIN_S)
    assert ask(other, Code.GET_HDR)[0] == Code.GET_OK
    server.buffer.put_rows(np.zeros((1, 2), "<i2"))
    code, payload = heard(waiting)
    assert (code, unpack_counts(payload)) == (Code.WAIT_OK, (1, 0))


def test_one_that_speaks_another_language_is_shown_out_and_the_rest_is_served(server, client):
    wrong, right = client(), client()
    wrong.write(b"GET / HTTP/1.1\r\n\r\n", WITHIN_S)
    with pytest.raises(LinkLost):
        wrong.read(1, WITHIN_S)
    odd = client()
    odd.write(pack(0x999), WITHIN_S)
    with pytest.raises(LinkLost):
        odd.read(1, WITHIN_S)
    assert ask(right, Code.GET_HDR)[0] == Code.GET_OK


def test_half_a_question_is_waited_for_a_while_and_no_longer(server, client, monkeypatch):
    monkeypatch.setattr(subject, "_PATIENCE_S", 0.05)
    patient, stalled = client(), client()
    whole = pack(Code.GET_DAT, pack_range(0, 9))
    stalled.write(whole[:10], WITHIN_S)
    with pytest.raises(LinkLost):
        stalled.read(1, WITHIN_S)
    patient.write(whole[:4], WITHIN_S)
    patient.write(whole[4:], WITHIN_S)
    assert heard(patient) == (Code.GET_ERR, b"")


def test_one_that_went_away_while_it_waited_is_forgotten(server, client):
    link = client()
    link.write(pack(Code.WAIT_DAT, pack_wait(0, 0, 0xFFFFFFFF)), WITHIN_S)
    link.close()
    left = threading.Event()
    deadline = 100
    while server.n_clients and deadline:
        left.wait(0.05)
        deadline -= 1
    assert server.n_clients == 0


def test_more_clients_than_there_is_room_for_are_turned_away(server, client, monkeypatch):
    monkeypatch.setattr(subject, "_MOST_CLIENTS", 1)
    first = client()
    assert ask(first, Code.GET_HDR)[0] == Code.GET_OK
    with pytest.raises(LinkLost):
        ask(client(), Code.GET_HDR)


def test_who_may_only_read_is_not_given_room_for_much():
    server = FieldTripServer(FieldTripBuffer(read_only=True), port=0)
    link = TcpLink("127.0.0.1", server.port, WITHIN_S)
    link.write(pack(Code.PUT_DAT, b"x" * 100_000)[:8], WITHIN_S)
    with pytest.raises(LinkLost):
        link.read(1, WITHIN_S)
    link.close()
    server.close()


def test_closing_shows_everybody_out_and_gives_the_port_back(server, client):
    idle, waiting, port = client(), client(), server.port
    waiting.write(pack(Code.WAIT_DAT, pack_wait(0, 0, 60_000)), WITHIN_S)
    server.close()
    server.close()
    with pytest.raises(LinkLost):
        idle.read(1, WITHIN_S)
    with pytest.raises(LinkLost):  # more than the answer that it may get while the server closes
        waiting.read(100, WITHIN_S)
    again = FieldTripServer(port=port)
    assert again.port == port
    again.close()


def test_a_port_that_is_taken_is_said(server):
    with pytest.raises(ConfigError, match=f"127.0.0.1:{server.port} .*choose another"):
        FieldTripServer(port=server.port)


def test_nobody_else_in_the_network_is_served_unless_it_was_asked_for(server):
    assert server._listener.getsockname()[0] == "127.0.0.1"
    assert isinstance(server._listener, socket.socket)
