"""What a command looks like when it leaves this program: as JSON, or as 56 bytes for small devices.

Both say the same, apart from texts: what is commanded, how strongly, what was decided and on which
samples, when it was sent, and a number by which a receiver sees that something was lost.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import msgspec

from ..runtime.errors import DiverloopError
from ..runtime.messages import Command, Decision

SCHEMA = "diverloop-command-1"
"""Name of the JSON form; another number means other keys."""

MAGIC = b"DLC1"
"""The first four bytes of the binary form."""

FIELDS = (
    "sequence", "stop_sample", "sent_ns", "lsl_time", "strength", "v1", "v2", "v3", "label",
    "selected", "axes", "epoch",
)  # fmt: skip
"""Fields of the binary form after `MAGIC`, in order.

uint32 ``sequence``; int64 ``stop_sample`` and ``sent_ns``; float64 ``lsl_time``; float32
``strength`` and three velocities; int16 ``label``, the index of the class or -1 for neutral; uint8
``selected`` and ``axes``, how many of the velocities count; uint32 ``epoch``. Little-endian, each
at a multiple of its own size, so that a plain C struct has the same layout.
"""

_FORM = struct.Struct("<4sIqqdffffhBBI")
SIZE = _FORM.size
"""Bytes of the binary form."""

_LONGEST_REASON = 200  # a datagram must fit into one packet of a network
_NOTICE = "Investigational, not a medical device."


def command_record(
    decision: Decision, command: Command, sequence: int, sent_ns: int
) -> dict[str, Any]:
    """What is told of a command, by name.

    Parameters
    ----------
    decision : Decision
        What it rests on.
    command : Command
        What is to be done.
    sequence : int
        How many went before it.
    sent_ns : int
        Monotonic clock of this machine at the moment of sending.

    Returns
    -------
    record : dict
        Plain values; ``label`` is None for neutral.
    """
    return {
        "schema": SCHEMA,
        "sequence": sequence,
        "label": command.label,
        "strength": command.strength,
        "selected": command.selected,
        "velocity": command.velocity,
        "reason": command.reason[:_LONGEST_REASON],
        "decided": decision.label,
        "stop_sample": decision.stop_sample,
        "epoch": decision.epoch,
        "lsl_time": decision.lsl_corrected_s,
        "sent_ns": sent_ns,
        "notice": _NOTICE,
    }


def json_form(decision: Decision, command: Command, sequence: int, sent_ns: int) -> bytes:
    """A command as one line of JSON in UTF-8; a number that is none becomes null.

    Parameters
    ----------
    decision, command, sequence, sent_ns : object
        As for `command_record`.

    Returns
    -------
    text : bytes
        Without a line break.
    """
    return msgspec.json.encode(command_record(decision, command, sequence, sent_ns))


def binary_form(
    decision: Decision,
    command: Command,
    sequence: int,
    sent_ns: int,
    index: Mapping[str | None, int],
) -> bytes:
    """A command as `SIZE` bytes; see `FIELDS`.

    Parameters
    ----------
    decision, command, sequence, sent_ns : object
        As for `command_record`.
    index : mapping of str to int
        Place of each class in the model, and -1 for None.

    Returns
    -------
    packed : bytes
        Of the length `SIZE`.
    """
    speeds = (*command.velocity, 0.0, 0.0, 0.0)[:3]
    return _FORM.pack(
        MAGIC,
        sequence & 0xFFFFFFFF,
        decision.stop_sample,
        sent_ns,
        decision.lsl_corrected_s,
        command.strength,
        *speeds,
        index[command.label],
        command.selected,
        min(len(command.velocity), 3),
        decision.epoch & 0xFFFFFFFF,
    )


def read_binary_form(packed: bytes) -> dict[str, Any]:
    """Read what `binary_form` wrote.

    Parameters
    ----------
    packed : bytes
        One datagram.

    Returns
    -------
    record : dict
        The values of `FIELDS`.

    Raises
    ------
    DiverloopError
        If it is something else.
    """
    if len(packed) != SIZE or packed[:4] != MAGIC:
        raise DiverloopError(
            f"A command has {SIZE} bytes and begins with {MAGIC.decode()}, got {len(packed)} bytes "
            f'that begin with {packed[:4]!r}: is the sender another version, or form = "json"?'
        )
    return dict(zip(FIELDS, _FORM.unpack(packed)[1:], strict=True))


def class_index(classes: tuple[str, ...]) -> dict[str | None, int]:
    """Place of each class in the model, and -1 for neutral.

    Parameters
    ----------
    classes : tuple of str
        As the model has them.
    """
    return {None: -1, **{label: place for place, label in enumerate(classes)}}
