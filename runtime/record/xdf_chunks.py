"""XDF as bytes: every function gives one whole chunk."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..messages import Channel
from .xdf_format import (
    BOUNDARY_UUID,
    MAGIC,
    NUMBER_FORMATS,
    STAMPED,
    TEXT_FORMAT,
    Tag,
    row_dtype,
)

_XML = b'<?xml version="1.0"?>'
_TAG_NAME = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)
# What XML 1.0 cannot hold, escaped or not; one such byte makes a whole header unreadable.
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def file_header(created_utc: str = "") -> bytes:
    """The first bytes of a file.

    Parameters
    ----------
    created_utc : str
        ISO 8601; empty leaves it out.

    Returns
    -------
    start : bytes
        `MAGIC` and the file header.
    """
    fields = {"version": "1.0"} | ({"datetime": created_utc} if created_utc else {})
    return MAGIC + _chunk(Tag.FILE_HEADER, _document(_info(fields)))


def stream_header(stream_id: int, xml: bytes | str) -> bytes:
    """What a stream is.

    Parameters
    ----------
    stream_id : int
        Its number in this file, 0 to 2**32 - 1.
    xml : bytes or str
        An LSL ``<info>``: the sender's own, written as it is, or one of `stream_xml`.
    """
    return _chunk(Tag.STREAM_HEADER, struct.pack("<I", stream_id) + _encoded(xml))


def numeric_samples(
    stream_id: int, values: NDArray[np.generic], stamps_s: ArrayLike
) -> bytes | bytearray:
    """Rows of numbers, not a bit changed.

    Parameters
    ----------
    stream_id : int
        Number of the stream.
    values : ndarray, shape (n_rows, n_channels)
        In one of `NUMBER_FORMATS`; any strides.
    stamps_s : array_like, shape (n_rows,)
        The sender's time stamp of each row.

    Raises
    ------
    ValueError
        If the format is none of those, or the shapes do not belong together.
    """
    stamps = _stamps(stamps_s, len(values))
    if values.ndim != 2 or values.dtype not in NUMBER_FORMATS.values():
        raise ValueError(
            f"values must be (n_rows, n_channels) in one of {', '.join(NUMBER_FORMATS)}, "
            f"little-endian; got shape {values.shape} of {values.dtype.str}."
        )
    row = row_dtype(values.dtype, values.shape[1])
    head = _samples_head(stream_id, len(values), len(values) * row.itemsize)
    chunk = bytearray(len(head) + len(values) * row.itemsize)
    chunk[: len(head)] = head
    rows = np.frombuffer(chunk, row, len(values), len(head))
    rows["stamped"], rows["stamp_s"], rows["values"] = STAMPED, stamps, values
    return chunk


def text_samples(stream_id: int, texts: Sequence[str], stamps_s: ArrayLike) -> bytes:
    """Rows of one text each: markers, or whatever a program says in words.

    Parameters
    ----------
    stream_id : int
        Number of the stream; its ``channel_format`` is ``string``, its ``channel_count`` 1.
    texts : sequence of str
        Anything, line breaks and NUL included; a lone surrogate is written as its escape.
    stamps_s : array_like, shape (n_rows,)
        Time stamp of each.

    Raises
    ------
    ValueError
        If there are not as many stamps as texts.
    """
    rows = bytearray()
    for text, stamp_s in zip(texts, _stamps(stamps_s, len(texts)).tolist(), strict=True):
        encoded = text.encode("utf-8", "backslashreplace")
        rows += struct.pack("<Bd", STAMPED, stamp_s) + _varlen(len(encoded)) + encoded
    return _samples_head(stream_id, len(texts), len(rows)) + rows


def clock_offset(stream_id: int, collected_s: float, offset_s: float) -> bytes:
    """How far a sender's clock was behind this machine's.

    Parameters
    ----------
    stream_id : int
        Number of the stream.
    collected_s : float
        When it was measured, on the sender's clock.
    offset_s : float
        Added to the sender's stamps, it gives this machine's LSL time.
    """
    return _chunk(Tag.CLOCK_OFFSET, struct.pack("<Idd", stream_id, collected_s, offset_s))


def boundary() -> bytes:
    """A place at which a reader can find its feet again, after a damaged stretch."""
    return _chunk(Tag.BOUNDARY, BOUNDARY_UUID)


def stream_footer(
    stream_id: int,
    *,
    first_s: float,
    last_s: float,
    count: int,
    offsets: Sequence[tuple[float, float]] = (),
) -> bytes:
    """What came of a stream, written at the end of a file.

    Parameters
    ----------
    stream_id : int
        Number of the stream.
    first_s, last_s : float
        Stamps of its first and last row.
    count : int
        Number of rows.
    offsets : sequence of (float, float)
        All `clock_offset`, as (collected_s, offset_s).
    """
    length_s = last_s - first_s
    measured_hz = (count - 1) / length_s if count > 1 and length_s > 0 else 0.0
    info = _info({
        "first_timestamp": repr(float(first_s)),
        "last_timestamp": repr(float(last_s)),
        "sample_count": str(count),
        "measured_srate": repr(measured_hz),
    })  # fmt: skip
    listed = ElementTree.SubElement(info, "clock_offsets")
    for collected_s, offset_s in offsets:
        offset = ElementTree.SubElement(listed, "offset")
        ElementTree.SubElement(offset, "time").text = repr(float(collected_s))
        ElementTree.SubElement(offset, "value").text = repr(float(offset_s))
    return _chunk(Tag.STREAM_FOOTER, struct.pack("<I", stream_id) + _document(info))


def stream_xml(
    *,
    name: str,
    type: str,
    channel_format: str,
    nominal_srate: float = 0.0,
    source_id: str = "",
    created_at: float = 0.0,
    uid: str = "",
    channels: Sequence[Channel] = (),
    unit: str = "microvolts",
    description: Mapping[str, str] | None = None,
) -> bytes:
    """Describe a stream of our own in the words of LSL.

    Parameters
    ----------
    name, type : str
        As LSL means them, for example ``"decisions"`` and ``"Markers"``.
    channel_format : str
        ``"string"`` or one of `NUMBER_FORMATS`.
    nominal_srate : float
        Rate in Hz; 0 for what comes when it comes.
    source_id, uid : str
        Identity of the sender, and of this run of it.
    created_at : float
        LSL seconds at which the stream began.
    channels : sequence of Channel
        Label, kind and place of each row; none means one row without a label.
    unit : str
        Of every channel.
    description : mapping of str to str
        More elements of ``<desc>``. What XML cannot hold becomes U+FFFD.

    Returns
    -------
    xml : bytes
        A document for `stream_header`.

    Raises
    ------
    ValueError
        If `channel_format`, or the name of an element, is not allowed.
    """
    if channel_format != TEXT_FORMAT and channel_format not in NUMBER_FORMATS:
        allowed = ", ".join((*NUMBER_FORMATS, TEXT_FORMAT))
        raise ValueError(f"channel_format must be one of {allowed}; got {channel_format!r}.")
    info = _info({
        "name": name,
        "type": type,
        "channel_count": str(len(channels) or 1),
        "nominal_srate": repr(float(nominal_srate)),
        "channel_format": channel_format,
        "source_id": source_id,
        "version": "1.1",
        "created_at": repr(float(created_at)),
        "uid": uid,
        "session_id": "default",
        "hostname": "",  # it could tell whose machine this is
    })  # fmt: skip
    desc = _grow(ElementTree.SubElement(info, "desc"), description or {})
    if channels:
        listed = ElementTree.SubElement(desc, "channels")
        for channel in channels:
            _describe(ElementTree.SubElement(listed, "channel"), channel, unit)
    return _document(info)


def _describe(element: ElementTree.Element, channel: Channel, unit: str) -> None:
    _grow(element, {"label": channel.name, "type": channel.kind.upper(), "unit": unit})
    if channel.position_m is not None:
        # XDF gives places in millimetres; nine decimals are a picometre, below any electrode.
        places = (f"{metres * 1e3:.9f}" for metres in channel.position_m)
        location = ElementTree.SubElement(element, "location")
        _grow(location, dict(zip("XYZ", places, strict=True)))


def _info(fields: Mapping[str, str]) -> ElementTree.Element:
    return _grow(ElementTree.Element("info"), fields)


def _grow(element: ElementTree.Element, fields: Mapping[str, str]) -> ElementTree.Element:
    for tag, text in fields.items():
        if not _TAG_NAME.fullmatch(tag):
            raise ValueError(
                f"{tag!r} cannot name an XML element; allowed are letters, digits, '_', '-' and "
                f"'.', not beginning with a digit."
            )
        ElementTree.SubElement(element, tag).text = _NOT_IN_XML.sub("\ufffd", text)
    return element


def _document(root: ElementTree.Element) -> bytes:
    # A parser turns a bare carriage return into a line feed; written as a reference, it stays.
    body: bytes = ElementTree.tostring(root, encoding="utf-8")
    return _XML + body.replace(b"\r", b"&#13;")


def _encoded(xml: bytes | str) -> bytes:
    return xml.encode("utf-8", "replace") if isinstance(xml, str) else xml


def _varlen(number: int) -> bytes:
    if number < 1 << 8:
        return struct.pack("<BB", 1, number)
    if number < 1 << 32:
        return struct.pack("<BI", 4, number)
    return struct.pack("<BQ", 8, number)


def _chunk(tag: Tag, content: bytes) -> bytes:
    return _varlen(2 + len(content)) + struct.pack("<H", tag) + content


def _samples_head(stream_id: int, n_rows: int, n_bytes: int) -> bytes:
    count = _varlen(n_rows)
    length = _varlen(2 + 4 + len(count) + n_bytes)
    return length + struct.pack("<HI", Tag.SAMPLES, stream_id) + count


def _stamps(stamps_s: ArrayLike, n_rows: int) -> NDArray[np.float64]:
    stamps = np.asarray(stamps_s, np.float64)
    if stamps.shape != (n_rows,):
        raise ValueError(f"stamps_s must have shape ({n_rows},), one a row; got {stamps.shape}.")
    return stamps
