"""A recording of a stream and its markers, without a model and without a session.

It is an XDF file, written chunk by chunk as the stream comes: a gap stays a gap, and what a killed
process or a power cut leaves can be read like any other recording. Stamps follow the stream index,
so that every sample and every marker is read back at its own place.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..messages import Chunk, StreamSpec
from .xdf_chunks import stream_xml
from .xdf_write import XdfWriter

_SIGNAL, _MARKERS = 1, 2
_START_S = 1000.0  # a recorder's clock is not at zero


class PlainRecording:
    """Writes what a source delivers; to be used from one thread.

    Parameters
    ----------
    path : Path
        Must not exist yet; its folder is made.
    spec : StreamSpec
        The stream.
    created_utc : str
        ISO 8601.
    told : mapping
        What else is to be said of the recording, as plain values; written as JSON beside the
        markers' description.

    Attributes
    ----------
    n_samples, n_markers : int
        Written so far.

    Raises
    ------
    RecordingError
        If the file exists or cannot be written.
    """

    def __init__(
        self,
        path: Path,
        spec: StreamSpec,
        *,
        created_utc: str = "",
        told: Mapping[str, object] | None = None,
    ) -> None:
        self._rate_hz = spec.rate_hz
        self.n_samples = self.n_markers = 0
        kinds = [channel.kind for channel in spec.channels]
        path.parent.mkdir(parents=True, exist_ok=True)
        signal = stream_xml(
            name=spec.name,
            type="EEG" if "eeg" in kinds else kinds[0].upper(),
            channel_format="float32",
            nominal_srate=spec.rate_hz,
            source_id=spec.source_id,
            channels=spec.channels,
        )
        markers = stream_xml(
            name=f"{spec.name}-markers",
            type="Markers",
            channel_format="string",
            description={"recorded": json.dumps(dict(told or {}))},
        )
        self._file = XdfWriter(path, created_utc=created_utc)
        self._open = True
        self._file.add_stream(_SIGNAL, signal)
        self._file.add_stream(_MARKERS, markers)

    def take(self, chunk: Chunk) -> None:
        """Append what came; raises `RecordingError` if the disk refuses."""
        n_times = chunk.samples.shape[1]
        rows = np.ascontiguousarray(chunk.samples.T, dtype="<f4")
        at_s = self._stamps_s(chunk.first_sample + np.arange(n_times))
        self._file.write_numbers(_SIGNAL, rows, at_s, now_s=chunk.first_sample / self._rate_hz)
        labels = [marker.label for marker in chunk.markers]
        places = np.array([marker.sample for marker in chunk.markers], dtype=np.int64)
        self._file.write_texts(_MARKERS, labels, self._stamps_s(places))
        self.n_samples += n_times
        self.n_markers += len(labels)

    def close(self) -> None:
        """Write the end and let go of the file; calling it twice is harmless."""
        if self._open:
            self._open = False
            try:
                self._file.finish()
            finally:
                self._file.close()

    def _stamps_s(self, samples: NDArray[np.integer]) -> NDArray[np.float64]:
        return np.asarray(_START_S + samples / self._rate_hz, dtype=np.float64)
