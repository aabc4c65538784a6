"""The stand-in for a signal processor, heard by a plain socket."""

from __future__ import annotations

import socket
import struct

import numpy as np
import pytest

from diverloop.hardware.blackrock_server import (
    HEADER,
    REQUEST_ALL,
    SET_RUN_LEVEL,
    SETTINGS,
    BlackrockServer,
    BlackrockSetup,
)

SETUP = BlackrockSetup(labels=("e1", "e2", "e3"), group=2)


@pytest.fixture
def pair():
    with (
        BlackrockServer(SETUP, port=0) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        client.settimeout(5.0)
        client.connect(("127.0.0.1", server.port))
        yield server, client


def ask(client: socket.socket, kind: int, body: bytes = b"") -> None:
    client.send(HEADER.pack(1, SETTINGS, kind, len(body) // 4, 0, 0) + body)


def hear(client: socket.socket) -> list[tuple[int, int, int, bytes]]:
    """Time, channel, type and body of the packets in the next datagram."""
    data, packets = client.recv(65_536), []
    while data:
        when, channel, kind, length, _, _ = HEADER.unpack_from(data)
        packets.append((when, channel, kind, data[16 : 16 + 4 * length]))
        data = data[16 + 4 * length :]
    return packets


def settings(client: socket.socket) -> list[tuple[int, int, int, bytes]]:
    ask(client, REQUEST_ALL)
    packets = hear(client)
    while packets[-1][2] != 0x10:
        packets += hear(client)
    return packets


def test_it_tells_its_channels_groups_and_run_level(pair):
    server, client = pair
    packets = settings(client)
    assert server.wait_for_client()
    assert {channel for _, channel, _, _ in packets} == {SETTINGS}
    told = [body for _, _, kind, body in packets if kind == 0x40]
    assert [struct.unpack_from("<I", body)[0] for body in told] == [1, 2, 3, 279]
    assert b"e2\0" in told[1]
    listed = [body for _, _, kind, body in packets if kind == 0x30]
    assert [struct.unpack_from("<I", body, 28)[0] for body in listed] == [0, 3, 0, 0, 0, 0]
    ask(client, SET_RUN_LEVEL, bytes(24))
    (reply,) = hear(client)
    assert reply[2] == 0x12
    assert struct.unpack("<6I", reply[3])[4] == 50


def test_samples_are_stamped_in_ticks_and_padded_to_whole_words(pair):
    server, client = pair
    settings(client)
    server.send([[1, 2, 3], [4, 5, 6]])
    server.skip(10)
    server.mark(77)
    first, second = hear(client)
    assert first == (0, 0, 2, np.array([1, 2, 3, 0], "<i2").tobytes())
    assert second == (30, 0, 2, np.array([4, 5, 6, 0], "<i2").tobytes())
    (event,) = hear(client)
    assert event[:2] == (360, 279)
    assert struct.unpack_from("<I", event[3])[0] == 77


def test_a_signal_is_played_over_and_over_in_real_time(pair):
    server, client = pair
    settings(client)
    server.play(np.arange(24).reshape(8, 3))
    packets = []
    while len(packets) < 12:
        packets += hear(client)
    values = [np.frombuffer(body, "<i2")[0] for _, _, _, body in packets[:12]]
    first = values[0] // 3
    assert values == [3 * ((first + step) % 8) for step in range(12)]
    assert [when for when, _, _, _ in packets[:12]] == [
        packets[0][0] + 30 * step for step in range(12)
    ]


def test_silenced_it_says_nothing_and_older_dialects_are_not_answered(pair):
    server, client = pair
    client.send(b"short")
    client.send(struct.pack("<IHBB", 1, SETTINGS, SET_RUN_LEVEL, 6) + bytes(24))
    server.silence(True)
    ask(client, SET_RUN_LEVEL, bytes(24))
    client.settimeout(0.05)
    with pytest.raises(TimeoutError):
        client.recv(2048)


def test_what_is_set_is_confirmed_as_it_came(pair):
    _, client = pair
    ask(client, 0xDC, b"12345678")
    assert [packet[2:] for packet in hear(client)] == [(0x5C, b"12345678")]


def test_gemini_hubs_tell_nanoseconds():
    setup = BlackrockSetup(labels=("a", "b"), group=5, gemini=True)
    with (
        BlackrockServer(setup, port=0) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        client.settimeout(5.0)
        client.connect(("127.0.0.1", server.port))
        settings(client)
        server.send(np.zeros((3, 2)))
        assert [when for when, _, _, _ in hear(client)] == [0, 33_333, 66_667]
