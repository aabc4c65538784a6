"""What a recording of our own knows of its signal that the stream's header does not.

The signal stream of a session holds what the device sent, under the device's own words. A device
that is no LSL stream says nothing of units there, and a mapping stands behind it. The tape has
both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from ..runtime.errors import RecordingError
from ..runtime.messages import StreamSpec
from ..runtime.record.entries import read_entry
from ..runtime.record.layout import TAPE_NAME

_MOST_LINES = 64  # the stream is described before the first sample


def taped_spec(streams: Iterable[Mapping[str, Any]], name: str, n_sent: int) -> StreamSpec | None:
    """The stream as the session had it, if the tape must be asked.

    Parameters
    ----------
    streams : iterable of mapping
        As pyxdf returns them.
    name : str
        Of the signal stream.
    n_sent : int
        Channels in it.

    Returns
    -------
    spec : StreamSpec or None
        With `StreamSpec.sent`; None where there is no tape, or it is of another stream.
    """
    for stream in streams:
        if str((stream["info"].get("name") or [""])[0]) != TAPE_NAME:
            continue
        for row in list(stream["time_series"])[:_MOST_LINES]:
            with suppress(RecordingError):  # damaged, or not ours for all its name
                entry = read_entry(str(row[0]))
                if isinstance(entry, StreamSpec):
                    sent = entry.sent
                    fits = sent is not None and len(sent.microvolts) == n_sent
                    return entry if fits and entry.name == name else None
    return None
