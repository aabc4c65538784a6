"""The one stream that a session may read, written down so that no other is taken for it.

LSL has no authentication: whoever sends under the right name is believed. A pin names the sender's
identity and host, and the SHA-256 of what it says of its rows; whoever answers to the name and
differs is refused. That keeps out the amplifier of the room next door, a test sender that somebody
forgot, and a changed montage. It does not keep out somebody who copies all of it and takes the
true sender off the network: only a network of its own does.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

import pylsl

from ..runtime.errors import ConfigError, SchemaMismatch
from ..runtime.messages import StreamSpec
from ..runtime.record.signing import canonical


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPin:
    """What a stream must be.

    Parameters
    ----------
    source_id, hostname : str
        As the sender gives them; a sender without a source id is pinned to having none.
    schema : str
        `schema_sha256` of its description.
    about : str
        The description in words, for people; not compared.
    """

    source_id: str
    hostname: str
    schema: str
    about: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[0-9a-f]{64}", self.schema):
            raise ConfigError(
                f"source.pin.schema must be 64 of the digits 0-9 and a-f, got {self.schema!r}: "
                f"write the pin with diverloop doctor --session FILE --pin."
            )

    @classmethod
    def of(cls, info: pylsl.StreamInfo, spec: StreamSpec) -> StreamPin:
        """Pin the stream that is there now.

        Parameters
        ----------
        info : pylsl.StreamInfo
            Of the stream.
        spec : StreamSpec
            From ``describe_stream``.
        """
        return cls(
            source_id=info.source_id(),
            hostname=info.hostname(),
            schema=schema_sha256(spec),
            about=_words(spec),
        )

    def check_identity(self, info: pylsl.StreamInfo) -> None:
        """Raise `SchemaMismatch`, saying in what, if a stream is of another sender."""
        pairs = (
            ("source_id", info.source_id(), self.source_id),
            ("hostname", info.hostname(), self.hostname),
        )
        differs = [
            f"{key} is {got!r}, pinned is {ours!r}" for key, got, ours in pairs if got != ours
        ]
        if differs:
            raise SchemaMismatch(
                f"A stream answers to the name {info.name()!r} and is not the pinned one: "
                f"{'; '.join(differs)}. It is refused; stop it, or pin it with diverloop doctor."
            )

    def check_schema(self, spec: StreamSpec) -> None:
        """Raise `SchemaMismatch`, saying in what, if a stream's rows are others."""
        got = schema_sha256(spec)
        if got != self.schema:
            raise SchemaMismatch(
                f"The stream {spec.name!r} does not describe its rows as the pinned one: it sends "
                f"{_words(spec)} (SHA-256 {got[:12]}), pinned is {self.about or 'other'} "
                f"({self.schema[:12]}). It is refused; restore the sender's settings, or pin again."
            )


def schema_sha256(spec: StreamSpec) -> str:
    """Hash of what a sender says of its rows.

    Parameters
    ----------
    spec : StreamSpec
        From ``describe_stream``: with how it is sent.

    Returns
    -------
    sha256 : str
        Over rate, number format, and name, kind and unit of every row in order; the unit as
        microvolts, so that ``uV`` and ``microvolts`` are the same.
    """
    assert spec.sent is not None
    rows = [
        [row.name, row.kind, float(microvolts)]
        for row, microvolts in zip(spec.channels, spec.sent.microvolts, strict=True)
    ]
    told = {
        "channels": rows,
        "count": spec.n_channels,
        "format": spec.sent.dtype,
        "rate_hz": float(spec.rate_hz),
    }
    return hashlib.sha256(canonical(told)).hexdigest()


def _words(spec: StreamSpec) -> str:
    """The same for people; two streams that differ in a row or a unit differ here, mostly."""
    assert spec.sent is not None
    kinds = "/".join(dict.fromkeys(row.kind for row in spec.channels))
    units = "/".join(f"{one:g} uV" for one in dict.fromkeys(spec.sent.microvolts))
    names = ", ".join(spec.channel_names[:4]) + (", ..." if spec.n_channels > 4 else "")
    return (
        f"{spec.n_channels} {kinds} channels at {spec.rate_hz:g} Hz as {spec.sent.dtype} in "
        f"{units} ({names})"
    )
