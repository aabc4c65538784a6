"""A source seen through a mapping file: the rows that a decoder knows, whatever sends them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..runtime.errors import SchemaMismatch
from ..runtime.messages import Channel, Chunk, StreamSpec
from ..runtime.montage_config import MontageConfig
from ..runtime.received import Sent
from ..runtime.record.xdf_chunks import stream_xml
from ..runtime.record.xdf_format import NUMBER_FORMATS
from ..runtime.stages import Source
from .mapping import MappingConfig, placed, read_mapping
from .montage_difference import differences


class MappedSource:
    """Stands in front of a source and turns its channels into mapped ones.

    What was received is passed on as it came, so that a recording holds what the device sent.
    `StreamSpec.sent` says what was made of it, and a replay does the same, to the bit.

    Parameters
    ----------
    source : Source
        Not yet open.
    mapping : MappingConfig
        From `read_mapping`.
    """

    def __init__(self, source: Source, mapping: MappingConfig) -> None:
        self._source = source
        self._mapping = mapping
        self._spec: StreamSpec | None = None
        self._arrange = Sent(dtype="<f4", microvolts=())

    @property
    def spec(self) -> StreamSpec:
        """Rate and mapped rows; raises `SchemaMismatch` if the mapping is of another stream."""
        if self._spec is None:
            self._settle(self._source.spec)
            assert self._spec is not None
        return self._spec

    @property
    def ended(self) -> bool:
        """Of the source."""
        return self._source.ended

    def open(self) -> None:
        """Open the source.

        Raises
        ------
        SchemaMismatch
            If channels are missing, unknown, in other places or in other units than the mapping
            says.
        """
        self._source.open()
        self._settle(self._source.spec)

    def read(self, wanted: int, until_ns: int) -> Chunk | None:
        """What the source gives, in mapped rows; see `Source.read`."""
        chunk = self._source.read(wanted, until_ns)
        if chunk is None:
            return None
        samples = np.asarray(chunk.samples, np.float32)
        return replace(chunk, samples=self._arrange.arranged(samples))

    def close(self) -> None:
        """Close the source."""
        self._source.close()

    def _settle(self, spec: StreamSpec) -> None:
        self._spec = mapped_spec(spec, self._mapping)
        row_of = {name: row for row, name in enumerate(spec.channel_names)}
        rows = tuple(row_of[one.device] for one in self._mapping.channels)
        factors = tuple(one.factor for one in self._mapping.channels)
        self._arrange = Sent(
            dtype="<f4",
            microvolts=(1.0,) * spec.n_channels,
            rows=() if rows == tuple(range(spec.n_channels)) else rows,
            factors=() if set(factors) == {1.0} else factors,
        )
        if spec.sent is not None:
            sent = replace(
                spec.sent,
                description=spec.sent.description or _own_words(spec, spec.sent),
                rows=self._arrange.rows,
                factors=self._arrange.factors,
            )
            self._spec = replace(self._spec, sent=sent)


def mapped_as(config: MontageConfig, source: Source) -> Source:
    """A source behind the mapping file of a session; itself, if there is none.

    Parameters
    ----------
    config : MontageConfig
        The session's table.
    source : Source
        Not yet open.

    Returns
    -------
    source : Source
        What the session reads.

    Raises
    ------
    ConfigError
        If the file cannot be read, or is not the one that was named.
    """
    if not config.file:
        return source
    return MappedSource(source, read_mapping(config.file, config.content()))


def mapped_spec(spec: StreamSpec, mapping: MappingConfig) -> StreamSpec:
    """What a stream looks like through a mapping; how it was sent is left as it is.

    Parameters
    ----------
    spec : StreamSpec
        The device's stream.
    mapping : MappingConfig
        From `read_mapping`.

    Returns
    -------
    spec : StreamSpec
        With the mapping's rows.

    Raises
    ------
    SchemaMismatch
        If the mapping is of another stream, with the first differences.
    """
    wrong = [one for one in differences(mapping, spec) if one.refused]
    if wrong:
        told = "; ".join(one.sentence() for one in wrong[:3])
        more = f"; and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise SchemaMismatch(
            f"The stream {spec.name!r} is not the one of the mapping file: {told}{more}. "
            f"diverloop montage check shows all of it."
        )
    by_name = {channel.name: channel for channel in spec.channels}
    channels = []
    for one in mapping.channels:
        of_device = by_name[one.device]
        channels.append(
            Channel(
                name=one.label,
                kind=one.kind or of_device.kind,
                position_m=placed(one, of_device, mapping.positions),
                bad=one.bad or of_device.bad,
            )
        )
    return replace(spec, channels=tuple(channels))


def _own_words(spec: StreamSpec, sent: Sent) -> str:
    """The device's stream in the words of LSL, for a recording: it knows the device's labels."""
    written = np.dtype(sent.dtype)
    xml = stream_xml(
        name=spec.name,
        type="EEG",
        channel_format=next(name for name, kind in NUMBER_FORMATS.items() if kind == written),
        nominal_srate=spec.rate_hz,
        source_id=spec.source_id,
        channels=spec.channels,
        unit="microvolts" if set(sent.microvolts) == {1.0} else "",
    )
    return xml.decode()
