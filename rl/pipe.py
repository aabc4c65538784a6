"""Messages through a stream socket between a session and a process beside it.

Plain bytes: a length, then the frames of `runtime.wire` as msgpack. Nothing that comes is trusted
to be short, whole or a message. The session's end never waits: what has no room waits here, up to
a bound, and beyond it is dropped and counted.
"""

from __future__ import annotations

import select
import socket
import struct
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import msgspec

from ..runtime.errors import DiverloopError
from ..runtime.wire import decode, encode

_LENGTH = struct.Struct("<I")
_PIECE = 1 << 18
_MOST_PER_LOOK = 1 << 23


class Rubbish(DiverloopError):
    """The other end said something that is no message."""


class Pipe:
    """One end.

    Parameters
    ----------
    link : socket
        A stream; it is made not to block.
    types : mapping of bytes to type
        What each topic holds.
    longest : int
        Bytes of the longest message that is taken.
    most_waiting : int
        Bytes that may wait to be sent.
    """

    def __init__(
        self,
        link: socket.socket,
        types: Mapping[bytes, type],
        *,
        longest: int,
        most_waiting: int = 1 << 24,
    ) -> None:
        link.setblocking(False)
        self.dropped = 0
        """Messages for which there was no room."""
        self.gone = False
        """Whether the other end is closed."""
        self._link, self._types = link, types
        self._topics = {kind: topic for topic, kind in types.items()}
        self._longest, self._most = longest, most_waiting
        self._out: deque[memoryview] = deque()
        self._waiting = 0
        self._in = bytearray()

    @property
    def waiting(self) -> int:
        """Bytes that are not sent yet."""
        return self._waiting

    def post(self, message: Any) -> bool:
        """Send a message, now or when there is room; False if it was dropped."""
        frames = encode(self._topics[type(message)], message)
        body = msgspec.msgpack.encode(frames)
        if self.gone or self._waiting + len(body) > self._most:
            self.dropped += 1
            return False
        self._out.append(memoryview(_LENGTH.pack(len(body)) + body))
        self._waiting += len(body) + _LENGTH.size
        self.push()
        return True

    def push(self) -> None:
        """Send what there is room for."""
        try:
            while self._out:
                sent = self._link.send(self._out[0])
                self._waiting -= sent
                rest = self._out[0][sent:]
                if rest:
                    self._out[0] = rest
                else:
                    self._out.popleft()
        except BlockingIOError:
            return
        except OSError:
            self.gone = True
            self._out.clear()
            self._waiting = 0

    def take(self) -> list[Any]:
        """All whole messages that are there, of a few megabytes at a look.

        Raises
        ------
        Rubbish
            If what is there is no message, or longer than any may be.
        """
        self._fill()
        found: list[Any] = []
        while len(self._in) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._in)
            if length > self._longest:
                raise Rubbish(f"a message of {length} bytes, where {self._longest} are the most")
            if len(self._in) < _LENGTH.size + length:
                break
            body = bytes(self._in[_LENGTH.size : _LENGTH.size + length])
            del self._in[: _LENGTH.size + length]
            found.append(self._read(body))
        return found

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until something has come, sending meanwhile; for an end that has the time."""
        writing = [self._link] if self._out else []
        there, room, _ = select.select([self._link], writing, [], timeout_s)
        if room:
            self.push()
        return bool(there)

    def close(self) -> None:
        """Release the socket. Twice is harmless."""
        self.gone = True
        with suppress(OSError):
            self._link.close()

    def _fill(self) -> None:
        taken = 0
        try:
            while taken < _MOST_PER_LOOK:
                piece = self._link.recv(_PIECE)
                if not piece:
                    self.gone = True
                    return
                self._in += piece
                taken += len(piece)
        except BlockingIOError:
            return
        except OSError:
            self.gone = True

    def _read(self, body: bytes) -> Any:
        try:
            frames = msgspec.msgpack.decode(body, type=list[bytes])
            return decode(frames, self._types)[1]
        except (msgspec.MsgspecError, DiverloopError) as error:
            raise Rubbish(f"{len(body)} bytes that are no message") from error
