"""The stand-in for a recorder, heard by a plain socket."""

from __future__ import annotations

import socket

import numpy as np
import pytest

from diverloop.hardware.rda_server import RdaServer
from diverloop.hardware.rda_wire import (
    DATA16,
    HEADER,
    KEEP_ALIVE,
    START,
    STOP,
    RdaSetup,
    read_block,
    read_header,
    read_setup,
)

SETUP = RdaSetup(rate_hz=1000.0, names=("a", "b"), resolutions_uv=(1.0, 1.0))


def hear(connection: socket.socket) -> tuple[int, bytes]:
    def exactly(count: int) -> bytes:
        data = b""
        while len(data) < count:
            came = connection.recv(count - len(data))
            assert came, "the server hung up"
            data += came
        return data

    kind, size = read_header(exactly(HEADER.size))
    return kind, exactly(size)


@pytest.fixture
def server():
    with RdaServer(SETUP, bits=16) as server:
        yield server


def connected(server: RdaServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), 5.0)


def test_every_client_is_told_the_channels_and_gets_every_block(server):
    with connected(server) as one, connected(server) as two:
        assert server.wait_for_clients(2)
        server.send([[1, 2], [3, 4]])
        server.skip(2)
        server.send([[5, 6]])
        server.keep_alive()
        server.stop()
        for client in (one, two):
            assert read_setup(hear(client)[1]) == SETUP
            blocks = [read_block(DATA16, hear(client)[1], 2) for _ in range(2)]
            assert [block.number for block in blocks] == [0, 3]
            np.testing.assert_array_equal(blocks[0].values, [[1, 2], [3, 4]])
            assert [hear(client)[0] for _ in range(2)] == [KEEP_ALIVE, STOP]


def test_a_recording_is_played_over_and_over_in_real_time(server):
    with connected(server) as client:
        assert hear(client)[0] == START
        server.play(np.arange(30).reshape(15, 2), block_s=0.01)
        values = [read_block(DATA16, hear(client)[1], 2).values for _ in range(3)]
    np.testing.assert_array_equal(np.concatenate(values)[:, 0], 2 * (np.arange(30) % 15))


def test_killed_it_answers_nobody_and_restarted_it_answers_at_the_same_port(server):
    with connected(server) as client:
        assert hear(client)[0] == START
        server.kill()
        assert client.recv(1) == b""
    with pytest.raises(OSError, match="refused"):
        connected(server)
    server.restart()
    with connected(server) as client:
        assert hear(client)[0] == START
        assert server.wait_for_clients(1)


def test_who_connects_while_nothing_is_acquired_hears_of_it_when_it_begins(server):
    server.stop()
    with connected(server) as client:
        assert server.wait_for_clients(1)
        server.start(number=9)
        server.send([[1, 2]])
        assert hear(client)[0] == START
        assert read_block(DATA16, hear(client)[1], 2).number == 9


def test_a_client_that_hung_up_is_forgotten(server):
    with connected(server):
        assert server.wait_for_clients(1)
    while server.n_clients:
        server.send([[1, 2]])
    assert server.n_clients == 0
