"""A source into whose stream this program puts markers of its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from .messages import Chunk, Marker, StreamSpec
from .stages import Source

FOREIGN = "other:"


class MarkedSource:
    """Adds markers to the chunks of another source, so that whoever reads it sees one stream.

    A marker stands at the first sample that comes after `mark` was called.

    Parameters
    ----------
    source : Source
        Where the samples come from.
    own : iterable of str
        Labels that only this program may use: others that come with the stream are renamed, with
        `FOREIGN` in front, so that nobody takes them for ours.

    Attributes
    ----------
    came : int
        Stream index one past the newest sample.
    """

    def __init__(self, source: Source, own: Iterable[str] = ()) -> None:
        self._source, self._own = source, frozenset(own)
        self._waiting: list[Marker] = []
        self.came = 0

    @property
    def spec(self) -> StreamSpec:
        """Of the source."""
        return self._source.spec

    @property
    def ended(self) -> bool:
        """Whether the source has ended."""
        return self._source.ended

    @property
    def waiting(self) -> bool:
        """Whether a marker waits for the sample that it stands at."""
        return bool(self._waiting)

    def open(self) -> None:
        """Open the source."""
        self._waiting, self.came = [], 0
        self._source.open()

    def close(self) -> None:
        """Close the source."""
        self._source.close()

    def mark(self, label: str) -> None:
        """Put a marker behind the newest sample.

        Parameters
        ----------
        label : str
            What it says.
        """
        self._waiting.append(Marker(label=label, sample=self.came))

    def read(self, wanted: int, until_ns: int) -> Chunk | None:
        """As the source does; markers that wait come with the next samples."""
        chunk = self._source.read(wanted, until_ns)
        if chunk is None:
            return None
        markers = [self._foreign(marker) for marker in chunk.markers]
        if chunk.samples.shape[1]:
            self.came = chunk.stop_sample
            ours = [self._timed(marker, chunk) for marker in self._waiting]
            self._waiting = []
            markers = sorted(ours + markers, key=lambda marker: marker.sample)
        return replace(chunk, markers=tuple(markers))

    def flush(self) -> Chunk:
        """Markers that wait although no sample will come, at the last one that came."""
        last = max(0, self.came - 1)
        markers = tuple(replace(marker, sample=last) for marker in self._waiting)
        self._waiting = []
        nothing = np.empty((self.spec.n_channels, 0), np.float32)
        return Chunk(samples=nothing, first_sample=self.came, arrived_ns=0, markers=markers)

    def _foreign(self, marker: Marker) -> Marker:
        ours = marker.label in self._own
        return replace(marker, label=FOREIGN + marker.label) if ours else marker

    def _timed(self, marker: Marker, chunk: Chunk) -> Marker:
        back_s = (chunk.stop_sample - 1 - marker.sample) / self.spec.rate_hz
        return replace(
            marker,
            lsl_raw_s=chunk.lsl_raw_s - back_s,
            lsl_corrected_s=chunk.lsl_corrected_s - back_s,
        )
