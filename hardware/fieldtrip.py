"""A FieldTrip buffer as a source: an acquisition program puts samples into it, this one reads.

The buffer's own count of its samples is the stream's: what was overwritten before it could be
fetched is a gap, and so is what was put while the connection was broken.

References
----------
Oostenveld, Fries, Maris, Schoffelen. FieldTrip: open source software for advanced analysis of
MEG, EEG, and invasive electrophysiological data. Computational Intelligence and Neuroscience,
2011.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..runtime.device_record import DeviceRecord
from ..runtime.errors import (
    ConfigError,
    LinkLost,
    SchemaMismatch,
    SourceUnavailable,
    UnitError,
)
from ..runtime.messages import Channel, StreamSpec
from ..runtime.received import Sent
from ..runtime.stages import Clock
from ..runtime.units import microvolts_per
from .fieldtrip_events import MOST_EVENTS, BufferEvent, unpack_events
from .fieldtrip_wire import (
    ALL,
    FRAME_BYTES,
    PORT,
    Code,
    Header,
    demand,
    pack,
    pack_range,
    pack_wait,
    unpack_counts,
    unpack_frame,
    unpack_header,
    unpack_rows,
)
from .linked import Block, LinkedSource, NetworkConfig
from .tcp_link import TcpLink

_ANSWER_S = 5.0  # for an answer, beyond the time that the server was asked to wait
_MOST_PIECE_BYTES = 4 * 1024 * 1024  # fetched at once, so that one answer holds nobody up for long
_LONGEST_LABEL = 1000  # characters of a marker
# What a recording can hold, and what the protocol's other numbers fit into.
_WIDENED = {"|u1": "<i2", "<u2": "<i4", "<u4": "<i8"}

_Piece = TypeVar("_Piece")


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldTripConfig(NetworkConfig):
    """Which buffer to read, and what its numbers mean.

    Parameters
    ----------
    unit : str
        ``"V"``, ``"mV"``, ``"uV"`` or ``"nV"``: the protocol has no units, so it has to be said.
    host : str
        Name or address of the computer that serves it.
    port : int
        TCP port, 1 to 65535.
    resolutions : bool
        Whether numbers are multiplied by the resolutions in the header, if it has any, to get
        the unit; False where the acquisition program has done so already.
    channels : tuple of str
        Names, if the header has none or others are wanted; empty takes the header's.
    misc : tuple of str
        Channels out of those that are no voltages, such as a trigger line.
    channel_kind : str
        Kind of all others, see `Channel`.
    events : str
        Type of the events that become markers, labelled by their value; ``"*"`` takes all and
        labels them ``type:value``, empty takes none.
    wait_s, buffer_s : float
        As in `NetworkConfig`.
    """

    unit: str
    port: int = PORT
    resolutions: bool = True
    channels: tuple[str, ...] = ()
    misc: tuple[str, ...] = ()
    channel_kind: str = "eeg"
    events: str = "*"

    def __post_init__(self) -> None:
        NetworkConfig.__post_init__(self)
        try:
            microvolts_per(self.unit)
        except UnitError:
            raise ConfigError(
                f"source.unit must be V, mV, uV or nV, got {self.unit!r}: a FieldTrip buffer does "
                f"not say what its numbers are, so say what the acquisition program puts into it."
            ) from None
        repeats = [name for name, count in Counter(self.channels).items() if count > 1]
        if repeats:
            raise ConfigError(f"source.channels names {repeats[0]!r} more than once: rename it.")


class FieldTripClient:
    """One connection to a FieldTrip buffer; see `linked.Client`.

    Parameters
    ----------
    config : FieldTripConfig
        Which buffer.
    """

    def __init__(self, config: FieldTripConfig) -> None:
        self._config = config
        self._link: TcpLink | None = None
        self._header = Header(n_channels=1, rate_hz=0.0)
        self._next_sample = self._next_event = self._first_sample = 0
        self._markers: list[tuple[int, str]] = []

    def connect(self, wait_s: float) -> StreamSpec:
        """Connect, read the header, begin at the newest sample."""
        config = self._config
        self.close()
        self._link = TcpLink(config.host, config.port, wait_s)
        code, payload = self._ask(Code.GET_HDR, wait_s=max(wait_s, 1.0))
        if code != Code.GET_OK:
            raise SourceUnavailable(
                f"The FieldTrip buffer at {config.host}:{config.port} is empty: start the "
                f"acquisition program that puts a header and samples into it."
            )
        header = unpack_header(payload)
        spec = describe_buffer(header, config)
        self._header = header
        self._next_sample = self._first_sample = header.n_samples
        self._next_event = header.n_events
        self._markers = []
        return spec

    def receive(self, timeout_s: float) -> Sequence[Block]:
        """Wait for a sample that was not fetched yet, and fetch all there is, piece by piece."""
        n_events = self._next_event if self._config.events else ALL
        wait = pack_wait(self._next_sample, n_events, round(timeout_s * 1e3))
        code, payload = self._ask(Code.WAIT_DAT, wait, wait_s=timeout_s + _ANSWER_S)
        if code != Code.WAIT_OK:
            raise LinkLost("The FieldTrip buffer was emptied.")
        n_samples, n_events = unpack_counts(payload)
        if n_samples < self._next_sample:
            raise LinkLost("The FieldTrip buffer began to count anew.")
        self._fetch_markers(n_events)
        row_bytes = self._header.n_channels * np.dtype(self._header.dtype).itemsize
        most = max(1, _MOST_PIECE_BYTES // row_bytes)
        first, values = self._fetch(self._next_sample, n_samples, most, self._rows)
        if values is None:
            self._next_sample = n_samples
            return ()
        self._next_sample = first + len(values)
        markers, self._markers = self._markers, []
        return (Block(values=values, number=first, markers=markers),)

    def close(self) -> None:
        """Disconnect; may be called by another thread, at any time and twice."""
        if self._link is not None:
            self._link.close()

    def _ask(self, code: Code, payload: bytes = b"", *, wait_s: float) -> tuple[int, bytes]:
        assert self._link is not None
        deadline_s = time.monotonic() + wait_s
        self._link.write(pack(code, payload), wait_s)
        answer, size = unpack_frame(self._await(FRAME_BYTES, deadline_s))
        return answer, self._await(size, deadline_s)

    def _await(self, size: int, deadline_s: float) -> bytes:
        assert self._link is not None
        data = self._link.read(size, deadline_s - time.monotonic())
        if data is None:
            config = self._config
            raise LinkLost(f"The server at {config.host}:{config.port} does not answer.")
        return data

    def _fetch(
        self, first: int, stop: int, most: int, get: Callable[[int, int], _Piece | None]
    ) -> tuple[int, _Piece | None]:
        """The oldest piece that is still there, and where it begins.

        What a buffer has forgotten it refuses, without a word about what it has; so less is asked
        for, half of it each time.
        """
        while first < stop:
            piece = get(first, min(stop, first + most) - 1)
            if piece is not None:
                return first, piece
            first = stop - (stop - first) // 2
        return stop, None

    def _rows(self, first: int, last: int) -> NDArray[np.generic] | None:
        code, payload = self._ask(Code.GET_DAT, pack_range(first, last), wait_s=_ANSWER_S)
        if code != Code.GET_OK:
            return None
        values = unpack_rows(payload)
        wanted = (last - first + 1, self._header.n_channels), self._header.dtype
        came = values.shape, values.dtype.str
        demand(came == wanted, f"rows of {came} came where {wanted} was asked for")
        widened = _WIDENED.get(self._header.dtype)
        return values.astype(widened) if widened else values

    def _events(self, first: int, last: int) -> list[BufferEvent] | None:
        code, payload = self._ask(Code.GET_EVT, pack_range(first, last), wait_s=_ANSWER_S)
        return unpack_events(payload) if code == Code.GET_OK else None

    def _fetch_markers(self, n_events: int) -> None:
        """Labels of new events; they wait for the samples that come next."""
        wanted = self._config.events
        if n_events < self._next_event:  # somebody flushed the events, and they are counted anew
            self._next_event = 0
        while wanted and self._next_event < n_events:
            first, events = self._fetch(self._next_event, n_events, MOST_EVENTS, self._events)
            self._next_event = first + len(events or ())
            for event in events or ():
                if wanted in ("*", event.type_text) and event.sample >= self._first_sample:
                    demand(len(self._markers) < MOST_EVENTS, f"{MOST_EVENTS} events, no sample")
                    label = _label(event, with_type=wanted == "*")
                    self._markers.append((event.sample, label[:_LONGEST_LABEL]))
        self._next_event = n_events


class FieldTripSource(LinkedSource):
    """Reads a FieldTrip buffer, from the newest sample on.

    Parameters
    ----------
    config : FieldTripConfig
        Which buffer.
    clock : Clock
        The machine's monotonic clock.
    """

    Config = FieldTripConfig
    tested = DeviceRecord(
        what="a FieldTrip buffer, as FieldTrip's acquisition programs and BCI2000 fill one",
        against="a buffer server of this project that speaks protocol version 1, with kills, "
        "restarts, half packets, garbage, overruns and floods; MNE-Realtime's client beside it",
        never="FieldTrip's server in C; its acquisition programs; BCI2000",
        connect='`kind = "fieldtrip"`, `host`, `port` and `unit`, for the protocol names no unit; '
        "see [](fieldtrip.md).",
    )

    def __init__(self, config: FieldTripConfig, clock: Clock) -> None:
        super().__init__(FieldTripClient(config), config, clock)


def describe_buffer(header: Header, config: FieldTripConfig) -> StreamSpec:
    """What a buffer's header and the settings say of the stream.

    Parameters
    ----------
    header : Header
        As it came.
    config : FieldTripConfig
        What its numbers mean.

    Returns
    -------
    spec : StreamSpec
        Rows in microvolts, and how they are sent.

    Raises
    ------
    SchemaMismatch
        If the header has no rate, numbers that cannot be recorded, or channels that do not fit
        the settings.
    """
    if not header.rate_hz > 0:
        raise SchemaMismatch(
            f"The FieldTrip buffer names a sampling rate of {header.rate_hz:g} Hz: correct the "
            f"acquisition program's settings."
        )
    sent = _WIDENED.get(header.dtype, header.dtype)
    if sent == "<u8":
        raise SchemaMismatch(
            "The FieldTrip buffer holds uint64 numbers, which cannot be recorded: let the "
            "acquisition program put float32, float64 or whole numbers of 32 bits or fewer."
        )
    names = _names(header, config)
    scale = header.resolutions if config.resolutions else ()
    exact = [
        1.0 if name in config.misc else factor * microvolts_per(config.unit)
        for name, factor in zip(names, scale or (1.0,) * len(names), strict=True)
    ]
    with np.errstate(over="ignore"):  # what float32 cannot hold is refused
        microvolts = np.array(exact).astype(np.float32)
    if not (np.isfinite(microvolts).all() and microvolts.all()):
        raise SchemaMismatch(
            "The FieldTrip buffer names a resolution that is 0 or no number: correct the "
            "acquisition program, or set resolutions = false in the source."
        )
    return StreamSpec(
        name="fieldtrip",
        rate_hz=header.rate_hz,
        channels=tuple(
            Channel(name=name, kind="misc" if name in config.misc else config.channel_kind)
            for name in names
        ),
        source_id=f"fieldtrip-{config.host}-{config.port}",
        sent=Sent(dtype=sent, microvolts=tuple(microvolts.tolist())),
    )


def _names(header: Header, config: FieldTripConfig) -> tuple[str, ...]:
    names = config.channels or header.names
    names = names or tuple(f"ch{row + 1}" for row in range(header.n_channels))
    if len(names) != header.n_channels:
        raise SchemaMismatch(
            f"The FieldTrip buffer has {header.n_channels} channels, but source.channels names "
            f"{len(names)}: name them all, in order."
        )
    repeats = [name for name, count in Counter(names).items() if count > 1]
    if repeats:
        raise SchemaMismatch(
            f"The FieldTrip buffer names the channel {repeats[0]!r} more than once: rename it in "
            f"the acquisition program, or name all channels in source.channels."
        )
    unknown = [name for name in config.misc if name not in names]
    if unknown:
        raise SchemaMismatch(
            f"source.misc names the channel {unknown[0]!r}, which the FieldTrip buffer does not "
            f"have; it has {', '.join(names[:8])}{', ...' if len(names) > 8 else ''}."
        )
    return names


def _label(event: BufferEvent, *, with_type: bool) -> str:
    kind, value = event.type_text, event.value_text
    if with_type:
        return f"{kind}:{value}" if value else kind
    return value or kind
