"""A FieldTrip buffer on a socket: what a session's decisions are served from, and a stand-in.

It speaks the real protocol to any number of clients, so that an acquisition program can put
samples into it, and whoever reads FieldTrip buffers can read them.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from functools import partial

from ..runtime.errors import ConfigError, LinkLost
from .fieldtrip_buffer import FieldTripBuffer
from .fieldtrip_wire import FRAME_BYTES, MOST_BYTES, PORT, unpack_frame

_MOST_CLIENTS = 64
_AGAIN_S = 0.1
_MOST_BYTES_READ_ONLY = 65_536  # of a message of somebody who may only ask
_PATIENCE_S = 5.0  # for a client that has begun a message, or does not take its answer


class FieldTripServer:
    """Serves a buffer until it is closed; one thread for each client.

    Nobody who puts samples waits for a client: a slow one is behind, and in the end loses samples.

    Parameters
    ----------
    buffer : FieldTripBuffer, optional
        What to serve; an empty one by default.
    host : str
        Address to listen on. The protocol has neither passwords nor encryption: any address but
        this machine's own lets everybody in that network read, and write unless it is read-only.
    port : int
        TCP port; 0 lets the system choose.

    Raises
    ------
    ConfigError
        If the address cannot be had.
    """

    def __init__(
        self, buffer: FieldTripBuffer | None = None, host: str = "127.0.0.1", port: int = PORT
    ) -> None:
        self.buffer = buffer or FieldTripBuffer()
        try:
            self._listener = socket.create_server((host, port))
        except (OSError, OverflowError) as error:
            raise ConfigError(
                f"No FieldTrip buffer can be served at {host}:{port} ({error}): another program "
                f"may use the port; choose another one."
            ) from error
        self._most_bytes = _MOST_BYTES_READ_ONLY if self.buffer.read_only else MOST_BYTES
        self._clients: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="fieldtrip", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    @property
    def n_clients(self) -> int:
        """How many are connected."""
        with self._lock:
            return len(self._clients)

    def close(self) -> None:
        """Take no client any more and show those out who are there. Twice is harmless."""
        with self._lock:
            if self._over.is_set():
                return
            self._over.set()
            clients = list(self._clients)
        self.buffer.close()
        # To close a socket does not end an accept that waits for it; to shut it down does.
        for one in (self._listener, *clients):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(timeout=5.0)

    def _listen(self) -> None:
        while not self._over.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed, or the system has no socket left for now
                self._over.wait(_AGAIN_S)
                continue
            with self._lock:
                welcome = not self._over.is_set() and len(self._clients) < _MOST_CLIENTS
                if welcome:
                    self._clients.add(client)
            if welcome:
                threading.Thread(
                    target=self._serve, args=(client,), name="fieldtrip client", daemon=True
                ).start()
            else:
                client.close()

    def _serve(self, client: socket.socket) -> None:
        try:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while not self._over.is_set():
                client.settimeout(None)
                code, size = unpack_frame(self._read(client, FRAME_BYTES))
                if size > self._most_bytes:
                    return
                payload = self._read(client, size)
                gone = partial(_has_gone, client)
                self._reply(client, self.buffer.answer(code, payload, gone))
        except (OSError, LinkLost):
            pass  # it went, or speaks another language: the others are served on
        finally:
            with self._lock:
                self._clients.discard(client)
            client.close()

    def _read(self, client: socket.socket, size: int) -> bytes:
        """So many bytes; once they have begun to come, the rest must not take long."""
        got = bytearray()
        while len(got) < size:
            came = client.recv(min(size - len(got), 1 << 20))
            if not came:
                raise LinkLost("The client has gone.")
            client.settimeout(_PATIENCE_S)
            got += came
        return bytes(got)

    def _reply(self, client: socket.socket, message: bytes) -> None:
        """Send an answer; a test may send something else."""
        client.settimeout(_PATIENCE_S)
        client.sendall(message)


def _has_gone(client: socket.socket) -> bool:
    """Whether a client has closed its side, without taking what it may have sent."""
    client.settimeout(0.0)
    try:
        return not client.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True
