"""XDF, the field's file format: what its parts are called, and what a stream looks like in it.

A file is ``XDF:`` and chunks; a chunk is its length, a tag and its content, all little-endian.

References
----------
Kothe, Shirazi, Stenner, Medine, Boulay, Grivich, Artoni, Mullen, Delorme, Makeig. The Lab
Streaming Layer for synchronized multimodal recording. Imaging Neuroscience, 2025.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from ..errors import RecordingError

MAGIC = b"XDF:"
BOUNDARY_UUID = bytes.fromhex("43A546DCCBF5410FB30ED5467383CBE4")
STAMPED = 8
"""The byte before a row that says that eight bytes of time stamp follow; 0 says that none do."""

TEXT_FORMAT = "string"
NUMBER_FORMATS: Mapping[str, np.dtype[np.generic]] = {
    "float32": np.dtype("<f4"),
    "double64": np.dtype("<f8"),
    "int8": np.dtype("<i1"),
    "int16": np.dtype("<i2"),
    "int32": np.dtype("<i4"),
    "int64": np.dtype("<i8"),
}
"""The ``channel_format`` of a stream of numbers, and how numpy writes it."""


class Tag(IntEnum):
    """What a chunk holds."""

    FILE_HEADER = 1
    STREAM_HEADER = 2
    SAMPLES = 3
    CLOCK_OFFSET = 4
    BOUNDARY = 5
    STREAM_FOOTER = 6


@lru_cache(maxsize=64)
def row_dtype(values: np.dtype[np.generic], n_channels: int) -> np.dtype[np.void]:
    """One stamped row as it lies in the file: a byte, a stamp in seconds, the values.

    Parameters
    ----------
    values : dtype
        One of `NUMBER_FORMATS`.
    n_channels : int
        Values in a row.

    Returns
    -------
    row : dtype
        With fields ``stamped``, ``stamp_s`` and ``values``, without padding.
    """
    return np.dtype([("stamped", "u1"), ("stamp_s", "<f8"), ("values", values, (n_channels,))])


@dataclass(slots=True, kw_only=True)
class Tally:
    """What a file holds of one stream so far: enough for its footer, and to go on with it.

    Parameters
    ----------
    channel_format : str
        ``"string"`` or one of `NUMBER_FORMATS`.
    channel_count : int
        Values in a row.
    count : int
        Rows in the file.
    first_s, last_s : float
        Stamps of the first and the last of them; 0 while there is none.
    offsets : tuple of (float, float)
        Clock offsets in the file, as (collected_s, offset_s).
    """

    channel_format: str
    channel_count: int
    count: int = 0
    first_s: float = 0.0
    last_s: float = 0.0
    offsets: tuple[tuple[float, float], ...] = ()

    def add(self, stamps_s: NDArray[np.float64]) -> None:
        """Count rows by their stamps."""
        if len(stamps_s):
            self.first_s = self.first_s if self.count else float(stamps_s[0])
            self.last_s = float(stamps_s[-1])
            self.count += len(stamps_s)


def tally_of(xml: bytes | str) -> Tally:
    """Read from a stream's description how its rows look.

    Parameters
    ----------
    xml : bytes or str
        An LSL ``<info>``.

    Returns
    -------
    tally : Tally
        With no row yet.

    Raises
    ------
    RecordingError
        If it is no XML, or tells no usable ``channel_format`` and ``channel_count``.
    """
    text = xml.decode("utf-8", "replace") if isinstance(xml, bytes) else xml
    try:
        root = ElementTree.fromstring(text)
        number_format = (root.findtext("channel_format") or "").strip()
        n_channels = int(root.findtext("channel_count") or "")
    except (ElementTree.ParseError, ValueError) as error:
        raise RecordingError(
            f"A stream is described by {text[:60]!r} and more, which cannot be read ({error}); it "
            f"has to be an LSL <info> with channel_format and channel_count."
        ) from error
    # A million channels is far above any device, and keeps a row below the limit of numpy.
    known = number_format == TEXT_FORMAT or number_format in NUMBER_FORMATS
    if not known or not 0 <= n_channels <= 1_000_000:
        raise RecordingError(
            f"A stream of {n_channels} channels in {number_format!r} cannot be recorded; allowed "
            f"are 0 to 1000000 channels in {', '.join((*NUMBER_FORMATS, TEXT_FORMAT))}."
        )
    return Tally(channel_format=number_format, channel_count=n_channels)
