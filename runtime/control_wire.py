"""What a person's program and a session say to each other: one small request, one small reply."""

from __future__ import annotations

from typing import Annotated

import msgspec

from .access import Action
from .errors import DiverloopError

MOST_BYTES = 1 << 14
"""A longer frame is nobody's request: the socket drops it, with its sender."""

NONCE_BYTES = 16
LONGEST_TEXT = 2000

_Nonce = Annotated[bytes, msgspec.Meta(max_length=NONCE_BYTES)]
_Number = Annotated[int, msgspec.Meta(ge=0, lt=1 << 62)]
_Code = Annotated[str, msgspec.Meta(max_length=16)]
_Text = Annotated[str, msgspec.Meta(max_length=LONGEST_TEXT)]
Fact = str | float | bool | None
"""What a status is made of."""


class Request(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What is asked.

    Parameters
    ----------
    nonce : bytes
        As the session gave it to this connection; empty to ask for one, which does nothing else.
    n : int
        Higher with every request of a nonce, so that none counts twice.
    action : Action
        What to do.
    code : str
        One-time code, where one is needed.
    text : str
        Of a note.
    """

    nonce: _Nonce
    n: _Number
    action: Action
    code: _Code = ""
    text: _Text = ""


class Reply(msgspec.Struct, frozen=True, array_like=True):
    """What came of it.

    Parameters
    ----------
    n : int
        Of the request.
    done : bool
        Whether it was done.
    text : str
        One sentence for a person.
    why : str
        Why it was refused, empty if it was not.
    nonce : bytes
        For the requests to come, if one was asked for.
    facts : dict
        Of a status.
    """

    n: int
    done: bool
    text: str
    why: str = ""
    nonce: bytes = b""
    facts: dict[str, Fact] = {}


_requests = msgspec.msgpack.Decoder(Request)
_replies = msgspec.msgpack.Decoder(Reply)


def read_request(frame: bytes | memoryview) -> Request:
    """Read a request; raises `DiverloopError` for anything else."""
    try:
        return _requests.decode(frame)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise DiverloopError(f"This is no request of this version ({error}).") from error


def read_reply(frame: bytes | memoryview) -> Reply:
    """Read a reply; raises `DiverloopError` for anything else."""
    try:
        return _replies.decode(frame)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise DiverloopError(f"This is no reply of this version ({error}).") from error


write = msgspec.msgpack.encode
"""A request or a reply as bytes."""
