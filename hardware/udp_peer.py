"""The other end of commands over UDP and OSC: a receiver to try without a device."""

from __future__ import annotations

import socket
import threading

from .arrivals import Arrivals


class UdpPeer:
    """Receives datagrams on this machine, until it is closed.

    Parameters
    ----------
    port : int
        UDP port; 0 lets the system choose one.

    Attributes
    ----------
    port : int
        Where it listens.
    arrivals : Arrivals
        What has come.
    """

    def __init__(self, port: int = 0) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", port))
        self.port: int = self._socket.getsockname()[1]
        self.arrivals = Arrivals()
        self._over = False
        self._thread = threading.Thread(target=self._receive, name="udp peer", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Be gone, as a receiver that was switched off. Calling it twice is harmless."""
        if not self._over:
            self._over = True
            # A thread that waits for a datagram is woken by one.
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
                last.sendto(b"", ("127.0.0.1", self.port))
            self._thread.join()
            self._socket.close()

    def _receive(self) -> None:
        while True:
            data = self._socket.recv(65_536)
            if self._over:
                return
            self.arrivals.add(data)
