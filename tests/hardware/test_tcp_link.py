"""Whole packets or none, half ones waited for, and an end that is told."""

from __future__ import annotations

import socket
import threading

import pytest

from diverloop.hardware.tcp_link import TcpLink
from diverloop.runtime.errors import LinkLost, SourceUnavailable


@pytest.fixture
def pair():
    server = socket.create_server(("127.0.0.1", 0))
    link = TcpLink("127.0.0.1", server.getsockname()[1], 5.0)
    other, _ = server.accept()
    yield link, other
    link.close()
    other.close()
    server.close()


def test_half_a_packet_waits_for_its_other_half(pair):
    link, other = pair
    other.sendall(b"abc")
    assert link.read(6, 0.05) is None
    other.sendall(b"defgh")
    assert link.read(6, 5.0) == b"abcdef"
    assert link.read(2, 5.0) == b"gh"


def test_what_is_written_arrives(pair):
    link, other = pair
    link.write(b"hello", 5.0)
    assert other.recv(5) == b"hello"


def test_an_end_of_the_connection_is_told(pair):
    link, other = pair
    other.sendall(b"ab")
    other.close()
    with pytest.raises(LinkLost, match="closed the connection"):
        link.read(3, 5.0)


def test_closing_from_another_thread_ends_a_read_that_waits(pair):
    link, _ = pair
    timer = threading.Timer(0.05, link.close)
    timer.start()
    with pytest.raises(LinkLost):
        link.read(1, 60.0)
    timer.join()
    link.close()


def test_where_nobody_listens_the_message_says_what_to_do():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(SourceUnavailable, match=f"127.0.0.1:{port}.*source.port"):
        TcpLink("127.0.0.1", port, 1.0)
    with pytest.raises(SourceUnavailable, match=r"amp\.\.room3:1972.*source.host"):
        TcpLink("amp..room3", 1972, 1.0)


def test_a_link_that_was_closed_is_told_like_one_that_broke(pair):
    link, _ = pair
    link.close()
    with pytest.raises(LinkLost, match="broke"):
        link.read(1, 5.0)
    with pytest.raises(LinkLost, match="broke"):
        link.write(b"x", 5.0)
