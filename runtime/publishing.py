"""A socket that publishes to whoever may listen, and never waits for one of them.

Without an admission everybody on this machine may listen. With one, only people on its list who
prove their CURVE key; somebody who leaves the list while listening is shown out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import zmq

from .access import Action
from .doorkeeper import Admission, Doorkeeper, serve_curve

_MOST_SUBSCRIPTION_BYTES = 4096  # the handshake with keys needs some hundred
_MOST_NOTICES = 1000  # looked at between two messages
_LOOK_AT_LIST_NS = 1_000_000_000


class Publisher:
    """Sends multiparts to all who have subscribed to what they begin with. For one thread.

    Parameters
    ----------
    address : str
        A ZeroMQ endpoint; ``*`` as the port lets the system choose one.
    admission : Admission or None
        Whom to let in by their keys.
    domain : str
        What the doorkeeper calls this door.
    high_water : int
        Messages a listener may be behind; then it loses them.
    linger_ms : int
        How long closing may wait for a listener to take the last messages.

    Raises
    ------
    zmq.ZMQError
        If the address cannot be bound.
    """

    def __init__(
        self,
        address: str,
        admission: Admission | None,
        *,
        domain: str,
        high_water: int,
        linger_ms: int,
    ) -> None:
        self._admission, self._domain = admission, domain
        self._high_water, self._linger_ms = high_water, linger_ms
        self._looked_ns = 0
        self.wanted: set[bytes] = set()
        """What somebody listens to, as far as `notices` has heard."""
        self._open(address)
        self.address: str = self.socket.getsockopt_string(zmq.LAST_ENDPOINT)
        """Where it is bound."""

    @property
    def closed(self) -> bool:
        """Whether nothing can be sent any more."""
        return bool(self.socket.closed)

    def send(self, frames: Sequence[bytes]) -> None:
        """Send to whoever has subscribed and keeps up; nobody may be there.

        Parameters
        ----------
        frames : sequence of bytes
            One multipart.
        """
        self.socket.send_multipart(frames, zmq.NOBLOCK)

    def notices(self) -> set[bytes]:
        """Subscriptions that have come since the last call: 1 or 0, then the topic."""
        found: set[bytes] = set()
        for _ in range(_MOST_NOTICES):
            if not self.socket.poll(0):
                break
            notice = self.socket.recv()
            # ZeroMQ tells of every subscription, and of the last one of a kind that ends.
            (self.wanted.add if notice[:1] == b"\x01" else self.wanted.discard)(notice[1:])
            found.add(notice)
        return found

    def show_out(self) -> None:
        """Open the door anew if somebody inside was revoked: ZeroMQ cannot end one connection.

        Looks once a second. Raises ``zmq.ZMQError`` if the address cannot be bound again.
        """
        if not (self._admission and self._door):
            return
        now_ns = self._admission.clock.now_ns()
        if now_ns - self._looked_ns < _LOOK_AT_LIST_NS:
            return
        self._looked_ns = now_ns
        if self._door.somebody_left_the_list():
            self.close()
            self._open(self.address)

    def close(self) -> None:
        """Wait for the last messages, within limits; release the address. May be called twice."""
        if self.closed:
            return
        if self._door:
            self._door.close()
        self.socket.close()
        self._context.term()

    def _open(self, address: str) -> None:
        self.wanted.clear()
        self._context: zmq.Context[Any] = zmq.Context()
        self._door = self._admission and Doorkeeper(self._context, self._admission, Action.WATCH)
        # XPUB is PUB that also tells who subscribes.
        self.socket = self._context.socket(zmq.XPUB)
        self.socket.setsockopt(zmq.SNDHWM, self._high_water)
        self.socket.setsockopt(zmq.LINGER, self._linger_ms)
        self.socket.setsockopt(zmq.XPUB_VERBOSE, 1)
        self.socket.setsockopt(zmq.MAXMSGSIZE, _MOST_SUBSCRIPTION_BYTES)
        if self._admission and self._door:
            serve_curve(self.socket, self._admission.key, self._domain)
            self._door.watch(self.socket)
        try:
            self.socket.bind(address)
        except zmq.ZMQError:
            self.close()
            raise
