"""The other end of the commands over ZeroMQ: for programs in Python, and to try them out."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import zmq

from ..runtime.doorkeeper import use_curve
from ..runtime.errors import ConfigError, DiverloopError
from ..runtime.json_text import parsed_json
from ..runtime.keys import CurveKey
from .zmq_sink import TOPIC


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardCommand:
    """A command as it came.

    Parameters
    ----------
    record : dict
        See `hardware.command_form.command_record`.
    came_ns : int
        Monotonic clock of this machine when it was read.
    """

    record: dict[str, Any]
    came_ns: int


class CommandListener:
    """Listens to a `ZmqSink`. For one thread; it may start before the session, and outlive it.

    Parameters
    ----------
    address : str
        Where the sink is bound, such as ``"tcp://127.0.0.1:5512"``.
    key : CurveKey, optional
        Of a person whom the machine of the session knows; none for a sink that is open to all.
    server : str
        Public key of that machine; needed with `key`.

    Raises
    ------
    ConfigError
        If the address or a key cannot be used.
    """

    def __init__(self, address: str, *, key: CurveKey | None = None, server: str = "") -> None:
        self.lost = 0
        """Commands that were sent and did not come, as their numbers tell."""
        self._next: int | None = None
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.SUBSCRIBE, TOPIC)
        try:
            if key is not None:
                use_curve(self._socket, key, server)
            self._socket.connect(address)
        except zmq.ZMQError as error:
            self.close()
            raise ConfigError(
                f"Commands at {address!r} cannot be listened to ({error}): give the address of "
                f"the session's zmq sink, such as 'tcp://127.0.0.1:5512'."
            ) from error

    def poll(self, timeout_ms: int) -> HeardCommand | None:
        """Take the next command.

        Parameters
        ----------
        timeout_ms : int
            How long to wait for one; 0 does not wait.

        Returns
        -------
        heard : HeardCommand or None
            None if none came. Silence is no command: come to rest after some time without one.

        Raises
        ------
        DiverloopError
            If something else came.
        """
        if not self._socket.poll(timeout_ms):
            return None
        frames = self._socket.recv_multipart()
        came_ns = time.monotonic_ns()
        try:
            record = parsed_json(frames[1].decode())
            number = record["sequence"] + 0
        except (LookupError, TypeError, ValueError) as error:
            raise DiverloopError(
                f"Got {len(frames)} frames that are no command ({error}): is {TOPIC.decode()!r} "
                f"sent by something else?"
            ) from error
        if self._next is not None:
            # A lower number than expected is a session that began anew, not a loss.
            self.lost += max(number - self._next, 0)
        self._next = number + 1
        return HeardCommand(record=record, came_ns=came_ns)

    def close(self) -> None:
        """Disconnect. Calling it twice is harmless."""
        self._context.destroy(linger=0)
