"""A TCP connection to a device that sends packets: whole ones or none, at the caller's patience."""

from __future__ import annotations

import socket
from contextlib import suppress

from ..runtime.errors import LinkLost, SourceUnavailable


class TcpLink:
    """Reads and writes bytes of one connection.

    A read that runs out of time keeps what has come, so that half a packet waits for its other
    half. `close` may be called from another thread: it ends a read that waits.

    Parameters
    ----------
    host : str
        Name or address.
    port : int
        TCP port.
    wait_s : float
        How long to try to connect.

    Raises
    ------
    SourceUnavailable
        If nobody answers there.
    """

    def __init__(self, host: str, port: int, wait_s: float) -> None:
        self._where = f"{host}:{port}"
        try:
            self._socket = socket.create_connection((host, port), wait_s)
        except (OSError, UnicodeError) as error:  # the latter for what can be no name of a host
            raise SourceUnavailable(
                f"Nothing answers at {self._where} ({error}): start the device's server, or "
                f"correct source.host and source.port."
            ) from error
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._got = bytearray()

    def read(self, count: int, timeout_s: float) -> bytes | None:
        """The next `count` bytes, or None if they have not all come in time.

        Parameters
        ----------
        count : int
            How many.
        timeout_s : float
            How long each wait for more of them may take.

        Returns
        -------
        data : bytes or None
            All of them.

        Raises
        ------
        LinkLost
            If the other side closed the connection, or it broke.
        """
        while len(self._got) < count:
            try:
                # Within: `close` may have come between two reads.
                self._socket.settimeout(max(timeout_s, 1e-4))
                came = self._socket.recv(max(65_536, count - len(self._got)))
            except TimeoutError:
                return None
            except OSError as error:
                raise LinkLost(f"The connection to {self._where} broke ({error}).") from error
            if not came:
                raise LinkLost(f"The server at {self._where} closed the connection.")
            self._got += came
        data = bytes(self._got[:count])
        del self._got[:count]
        return data

    def write(self, data: bytes, timeout_s: float) -> None:
        """Send all of it; raises `LinkLost` if that cannot be done in time."""
        try:
            self._socket.settimeout(max(timeout_s, 1e-4))
            self._socket.sendall(data)
        except OSError as error:
            raise LinkLost(f"The connection to {self._where} broke ({error}).") from error

    def close(self) -> None:
        """End it. Calling it twice is harmless."""
        with suppress(OSError):  # the other side was faster
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
