"""Streams beside the signal in a recording: each a stream of the file, with its own stamps."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from ..errors import RecordingError
from ..messages import Aside, Channel, StreamSpec
from ..received import Received
from ..stream_spec import sent_of
from .entries import AsideEntry
from .xdf_chunks import stream_xml
from .xdf_format import NUMBER_FORMATS, tally_of
from .xdf_write import XdfWriter

FIRST_BESIDE = 1_000_000
"""Number in the file of the first stream beside the signal; the others follow in their order."""

_KEPT_BLOCKS = 4096  # rows are asked for as soon as the line that names them comes


class AsideLayout:
    """Writes what came beside the signal.

    Parameters
    ----------
    writer : XdfWriter
        The file.
    insist : callable
        As in `diverloop.runtime.record.layout.Layout`.
    put_offset : callable
        Takes the number of a stream, a stamp and a clock offset.
    announced : set of int
        Numbers of the streams that the file has already.
    """

    def __init__(
        self,
        writer: XdfWriter,
        insist: Callable[[Callable[[], None]], None],
        put_offset: Callable[[int, float, float], None],
        announced: set[int],
    ) -> None:
        self._writer, self._insist, self._put_offset = writer, insist, put_offset
        self._counts = {
            number: tally.count
            for number, tally in writer.tallies.items()
            if number in announced and number >= FIRST_BESIDE
        }

    def put(self, aside: Aside, now_s: float) -> AsideEntry:
        """Write rows into their stream.

        Parameters
        ----------
        aside : Aside
            What came.
        now_s : float
            Loop time.

        Returns
        -------
        entry : AsideEntry
            For the tape.

        Raises
        ------
        RecordingError
            If nothing has said what the stream is.
        """
        number, rows = FIRST_BESIDE + aside.place, aside.rows
        if aside.spec is not None and number not in self._counts:
            xml = description_of(aside.spec, now_s, "beside")
            self._insist(lambda: self._writer.add_stream(number, xml))
            self._counts[number] = 0
        if number not in self._counts:
            raise RecordingError(
                f"Rows of stream {aside.place} beside the signal came before its description, so "
                f"they cannot be recorded."
            )
        start = self._counts[number]
        stop = start + len(rows.stamps_s)
        if stop > start:
            self._insist(
                lambda: self._writer.write_numbers(number, rows.values, rows.stamps_s, now_s=now_s)
            )
            self._counts[number] = stop
            self._put_offset(number, float(rows.stamps_s[-1]), rows.offset_s)
        return AsideEntry(
            place=aside.place,
            arrived_ns=aside.arrived_ns,
            start=start,
            stop=stop,
            first_row=rows.first_row,
            offset_s=rows.offset_s,
            spec=aside.spec,
        )


class AsideRows:
    """Rows of streams beside the signal that have been read, until the tape asks for them."""

    def __init__(self) -> None:
        self._blocks: dict[int, deque[tuple[int, NDArray[np.generic], NDArray[np.float64]]]] = (
            defaultdict(lambda: deque(maxlen=_KEPT_BLOCKS))
        )
        self._stops: dict[int, int] = defaultdict(int)
        self._torn = False

    def add(
        self,
        number: int,
        values: NDArray[np.generic],
        stamps_s: NDArray[np.float64],
        *,
        whole: bool,
    ) -> None:
        """Keep rows.

        Parameters
        ----------
        number : int
            Their stream's, in the file.
        values : ndarray, shape (n_rows, n_channels)
            As sent.
        stamps_s : ndarray of float64, shape (n_rows,)
            The sender's.
        whole : bool
            False once rows may be missing before these: nobody knows their numbers any more.
        """
        self._torn = self._torn or not whole
        self._blocks[number].append((self._stops[number], values, stamps_s))
        self._stops[number] += len(values)

    def take(self, entry: AsideEntry) -> Aside:
        """What an entry of the tape stands for.

        Parameters
        ----------
        entry : AsideEntry
            A line's.

        Returns
        -------
        aside : Aside
            As it came.

        Raises
        ------
        RecordingError
            If its rows are not in the file, or were damaged.
        """
        found = [
            (values[max(entry.start - first, 0) : entry.stop - first],
             stamps_s[max(entry.start - first, 0) : entry.stop - first])
            for first, values, stamps_s in self._blocks[FIRST_BESIDE + entry.place]
            if first < entry.stop and entry.start < first + len(values)
        ]  # fmt: skip
        if self._torn or sum(len(stamps_s) for _, stamps_s in found) != entry.stop - entry.start:
            raise RecordingError(
                f"The tape asks for rows {entry.start} to {entry.stop} of stream {entry.place} "
                f"beside the signal, which are not there: a part of the recording is damaged; "
                f"what comes before it can still be exported."
            )
        rows = Received(
            values=np.concatenate([values for values, _ in found]),
            stamps_s=np.concatenate([stamps_s for _, stamps_s in found]),
            first_row=entry.first_row,
            offset_s=entry.offset_s,
        )
        return Aside(place=entry.place, arrived_ns=entry.arrived_ns, rows=rows, spec=entry.spec)


def description_of(spec: StreamSpec, now_s: float, kind: str = "EEG") -> bytes | str:
    """Describe a stream in a file.

    Parameters
    ----------
    spec : StreamSpec
        What it promises.
    now_s : float
        Loop time.
    kind : str
        What it is called where the sender has no description of its own.

    Returns
    -------
    xml : bytes or str
        The sender's own, to the letter, where rows can be written under it; else one of ours.
    """
    sent = sent_of(spec)
    written = np.dtype(sent.dtype)
    with suppress(RecordingError):
        tally = tally_of(sent.description)
        if (NUMBER_FORMATS.get(tally.channel_format), tally.channel_count) == (
            written,
            len(sent.microvolts),
        ):
            return sent.description
    return stream_xml(
        name=spec.name,
        type=kind,
        channel_format=next(name for name, kind in NUMBER_FORMATS.items() if kind == written),
        nominal_srate=spec.rate_hz,
        source_id=spec.source_id,
        created_at=now_s,
        # Under a mapping the file holds what was sent, whose names only the sender knows.
        channels=tuple(Channel(name=f"sent {n + 1}") for n in range(len(sent.microvolts)))
        if sent.rows
        else spec.channels,
        unit="microvolts" if set(sent.microvolts) == {1.0} else "",
    )
