"""A stand-in for BrainVision Recorder: speaks Remote Data Access, and misbehaves on demand."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .rda_wire import (
    DATA16,
    DATA32,
    KEEP_ALIVE,
    NUMBERS,
    START,
    STOP,
    RdaBlock,
    RdaMarker,
    RdaSetup,
    message,
    pack_block,
    pack_setup,
)

_PATIENCE_S = 2.0  # a client that takes nothing for so long is hung up on


class RdaServer:
    """Serves blocks to any number of clients, as a recorder that acquires.

    Use it as a context manager. Whoever connects is told the channels; from then on it gets
    every block. All methods may be called from any thread.

    Parameters
    ----------
    setup : RdaSetup
        Rate, names and units.
    bits : int
        16 for whole numbers, 32 for floats.
    port : int
        TCP port; 0 takes a free one.
    host : str
        Address to listen at.

    Raises
    ------
    OSError
        If the port is taken.
    """

    def __init__(
        self, setup: RdaSetup, *, bits: int = 32, port: int = 0, host: str = "127.0.0.1"
    ) -> None:
        self._kind = DATA16 if bits == 16 else DATA32
        self._setup, self._host, self._port = setup, host, port
        self._clients: list[socket.socket] = []
        self._came = threading.Condition()
        self._over = threading.Event()
        self._number = 0
        self._acquiring = True
        self._players: list[threading.Thread] = []
        self._listener: socket.socket | None = None
        self.restart()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._port

    @property
    def n_clients(self) -> int:
        """How many are connected."""
        return len(self._clients)

    def __enter__(self) -> RdaServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()

    def close(self) -> None:
        """Stop playing and hang up."""
        self._over.set()
        for player in self._players:
            player.join()
        self.kill()

    # ----------------------------------------------------------------------- what it serves

    def send(self, values: ArrayLike, markers: Sequence[RdaMarker] = ()) -> None:
        """Serve one block to all who are connected, and count it.

        Parameters
        ----------
        values : array, shape (n_times, n_channels)
            In units of the channels' resolutions.
        markers : sequence of RdaMarker
            Placed in this block.
        """
        with self._came:  # blocks leave in the order they are counted in
            self.say(message(self._kind, self.block(values, markers)))

    def block(self, values: ArrayLike, markers: Sequence[RdaMarker] = ()) -> bytes:
        """Body of the next data message, which is counted, but not sent."""
        rows: NDArray[np.generic] = np.ascontiguousarray(values, NUMBERS[self._kind])
        block = RdaBlock(number=self._number, values=rows, markers=tuple(markers))
        self._number += 1
        return pack_block(block)

    def play(self, values: ArrayLike, *, block_s: float = 0.02) -> None:
        """Serve a signal over and over in real time, in a thread of its own, until `close`.

        Parameters
        ----------
        values : array, shape (n_times, n_channels)
            In units of the channels' resolutions.
        block_s : float
            Length of a block.
        """
        rows = np.asarray(values)
        size = max(1, round(block_s * self._setup.rate_hz))
        player = threading.Thread(target=self._play, args=(rows, size), daemon=True)
        self._players.append(player)
        player.start()

    def say(self, data: bytes) -> None:
        """Send bytes as they are to all who are connected."""
        with self._came:
            for client in tuple(self._clients):
                try:
                    client.sendall(data)
                except OSError:  # it hung up, or takes nothing any more
                    self._clients.remove(client)
                    client.close()

    # ------------------------------------------------------------------- what can go wrong

    def skip(self, n_blocks: int) -> None:
        """Count blocks that nobody gets."""
        self._number += n_blocks

    def keep_alive(self) -> None:
        """Send what is neither samples nor news."""
        self.say(message(KEEP_ALIVE))

    def stop(self) -> None:
        """End the acquisition; who connects now is told nothing."""
        self._acquiring = False
        self.say(message(STOP))

    def start(self, setup: RdaSetup | None = None, *, number: int = 0) -> None:
        """Begin another acquisition, with other channels if they are given."""
        self._setup = setup or self._setup
        self._number, self._acquiring = number, True
        self.say(message(START, pack_setup(self._setup)))

    def drop(self) -> None:
        """Hang up on all clients; they may connect again."""
        with self._came:
            for client in self._clients:
                with suppress(OSError):  # the client was faster
                    client.shutdown(socket.SHUT_RDWR)
                client.close()
            self._clients.clear()

    def kill(self) -> None:
        """Hang up on all clients, and answer nobody any more."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with suppress(OSError):  # not every system can shut down what only listens
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            self._doorman.join()
        self.drop()

    def restart(self) -> None:
        """Answer again, at the same port."""
        self._listener = socket.create_server((self._host, self._port))
        self._port = self._listener.getsockname()[1]
        self._doorman = threading.Thread(target=self._admit, args=(self._listener,), daemon=True)
        self._doorman.start()

    def wait_for_clients(self, count: int, wait_s: float = 10.0) -> bool:
        """Wait until so many are connected, and say whether they are."""
        with self._came:
            return self._came.wait_for(lambda: len(self._clients) >= count, wait_s)

    # ------------------------------------------------------------------ threads of its own

    def _admit(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            client.settimeout(_PATIENCE_S)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._came:
                if self._acquiring:
                    with suppress(OSError):
                        client.sendall(message(START, pack_setup(self._setup)))
                self._clients.append(client)
                self._came.notify_all()

    def _play(self, rows: NDArray[np.generic], size: int) -> None:
        began_s, sent = time.monotonic(), 0
        while not self._over.wait(
            max(0.0, began_s + (sent + size) / self._setup.rate_hz - time.monotonic())
        ):
            self.send(rows[np.arange(sent, sent + size) % len(rows)])
            sent += size
