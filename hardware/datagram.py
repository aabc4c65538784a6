"""One UDP socket to one receiver: sends at once or says why not, and never waits."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any

from ..runtime.address import stays_here
from ..runtime.claim import Claim
from ..runtime.errors import ConfigError, SinkError
from ..runtime.record.signing import configuration_folder


def check_receiver(host: str, port: int, *, remote: bool) -> None:
    """Refuse a receiver that cannot be meant.

    Parameters
    ----------
    host : str
        Name or address.
    port : int
        UDP port.
    remote : bool
        Whether it may be on another machine.

    Raises
    ------
    ConfigError
        If the port is none, the host is empty, or it is elsewhere without `remote`.
    """
    if not 1 <= port <= 65_535:
        raise ConfigError(f"sinks.port must be 1 to 65535, got {port}.")
    if not host or any(one.isspace() for one in host):
        raise ConfigError(f'sinks.host must be a name or an address, got {host!r}: "127.0.0.1".')
    if not remote and not stays_here(f"tcp://{host}:{port}", "sinks.host"):
        raise ConfigError(
            f"sinks.host is another machine, got {host!r}: say sinks.remote = true if commands are "
            f'meant to leave this one, where anybody on the way can read them, or use "127.0.0.1".'
        )


class DatagramLine:
    """Sends datagrams. Whether anybody takes them cannot be known: UDP does not answer.

    Parameters
    ----------
    host : str
        Name or address, looked up once.
    port : int
        UDP port.

    Raises
    ------
    ConfigError
        If the host has no address, or another session of this user sends there.
    """

    def __init__(self, host: str, port: int) -> None:
        self._where = f"{host}:{port}"
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        except (OSError, UnicodeError) as error:
            raise ConfigError(
                f"sinks.host {host!r} has no address ({error}): correct the name, or give the "
                f"address itself."
            ) from error
        family, _, _, _, to = found[0]
        self._to: Any = to  # of as many parts as the family of addresses wants
        address: Any = to[0]
        self._claim = Claim(f"udp {address} {port}", configuration_folder() / "outputs")
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def send(self, datagram: bytes) -> None:
        """Send one datagram.

        Parameters
        ----------
        datagram : bytes
            All of it.

        Raises
        ------
        SinkError
            If this machine cannot send it now: no way to there, or no room in the socket.
        """
        try:
            # Not connected: an answer that nobody listens there would be raised by a later send.
            self._socket.sendto(datagram, self._to)
        except OSError as error:
            raise SinkError(
                f"Nothing can be sent to {self._where} ({error.strerror or error}): look after "
                f"the network."
            ) from error

    def close(self, last: bytes = b"") -> None:
        """Send a last datagram, if it can be sent, and end. Calling it twice is harmless.

        Parameters
        ----------
        last : bytes
            What; nothing if empty.
        """
        if last and self._socket.fileno() >= 0:
            with suppress(SinkError):
                self.send(last)
        self._socket.close()
        self._claim.release()
