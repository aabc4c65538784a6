"""Devices that speak a protocol of their own, as sources: what all of them have in common.

A device's file holds a `Client`, which connects, understands packets and nothing else. Around it
`LinkedSource` does what every device needs: a thread that reads, a bounded queue, indices from the
device's own count, gaps, connecting again after a loss, and a refusal of whatever comes back with
other rows.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import (
    ConfigError,
    DiverloopError,
    LinkLost,
    SchemaMismatch,
    SourceUnavailable,
)
from ..runtime.messages import Chunk, Event, EventKind, Marker, StreamSpec
from ..runtime.received import Received
from ..runtime.shield import Kept
from ..runtime.stages import Clock
from .device_count import DeviceCount

_PATIENCE_S = 0.2  # a client that waits for longer notices too late that it is to stop
_AGAIN_S = 0.25  # between two tries to connect


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Consecutive rows as the device sent them.

    Parameters
    ----------
    values : ndarray, shape (n_times, n_channels)
        In the device's own numbers, of the type that `StreamSpec.sent` names. Given away.
    number : int
        The device's own count of the first row.
    markers : sequence of (int, str)
        Labels that came with it, and the device's number of the sample that each belongs to.
    """

    values: NDArray[np.generic]
    number: int
    markers: Sequence[tuple[int, str]] = ()


class Client(Protocol):
    """One connection to one device. Called from one thread at a time, but for `close`."""

    def connect(self, wait_s: float) -> StreamSpec:
        """Connect and say what the device sends, `StreamSpec.sent` included.

        Raises `SourceUnavailable` if nobody answers in time, `SchemaMismatch` or `UnitError` if
        what answers cannot be used. Called again after a loss.
        """

    def receive(self, timeout_s: float) -> Sequence[Block]:
        """What has come, in order; wait no longer than this, and return nothing if nothing has.

        Raises `LinkLost` if the connection ended, or if what comes is not of the protocol.
        """

    def close(self) -> None:
        """Disconnect; may be called by another thread, at any time and twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkConfig:
    """What every device's settings hold.

    Parameters
    ----------
    wait_s : float
        How long to look for the device, 0.1 to 3600 s.
    buffer_s : float
        Signal kept while the loop is busy, 1 to 360 s.
    """

    wait_s: float = 10.0
    buffer_s: float = 10.0

    def __post_init__(self) -> None:
        if not 0.1 <= self.wait_s <= 3600:
            raise ConfigError(f"source.wait_s must be in [0.1, 3600] s, got {self.wait_s} s.")
        if not 1 <= self.buffer_s <= 360:
            raise ConfigError(f"source.buffer_s must be in [1, 360] s, got {self.buffer_s} s.")


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig(LinkConfig):
    """A device behind an address.

    Parameters
    ----------
    host : str
        Name or address of the computer that serves it.
    port : int
        TCP or UDP port, 1 to 65535.
    wait_s, buffer_s : float
        As in `LinkConfig`.
    """

    host: str = "127.0.0.1"
    port: int

    def __post_init__(self) -> None:
        LinkConfig.__post_init__(self)
        if not self.host:
            raise ConfigError('source.host must not be empty: use "127.0.0.1" for this machine.')
        if not 1 <= self.port <= 65_535:
            raise ConfigError(f"source.port must be in [1, 65535], got {self.port}.")


@dataclass(frozen=True, slots=True)
class _Arrival:
    """A block and when it came; without a block, a moment at which the connection broke."""

    block: Block | None
    at_ns: int


class LinkedSource:
    """A source around a client.

    One thread reads the device, so that no packet waits for the loop; `read` sleeps on a
    condition until what it wants is there. What the loop does not fetch within `buffer_s` is
    dropped, the oldest first, and shows as a gap.

    Parameters
    ----------
    client : Client
        How to speak to the device.
    config : LinkConfig
        How long to wait and how much to keep.
    clock : Clock
        The machine's monotonic clock.
    """

    def __init__(self, client: Client, config: LinkConfig, clock: Clock) -> None:
        self._client = client
        self._link = config
        self._clock = clock
        self._spec: StreamSpec | None = None
        self._came = threading.Condition()
        self._queue: deque[_Arrival] = deque()
        self._n_queued = 0
        self._behind_hole = False  # what is queued was left by the last chunk, and need not wait
        self._told: list[Event] = []  # by the reading thread
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._n_rows = 0

    @property
    def spec(self) -> StreamSpec:
        """Rate and channels, in microvolts; known after `open`."""
        if self._spec is None:
            raise SourceUnavailable("The device is not connected yet: call open() first.")
        return self._spec

    @property
    def ended(self) -> bool:
        """A device does not end by itself."""
        return False

    def open(self) -> None:
        """Connect and start to read.

        Raises
        ------
        SourceUnavailable
            If nobody answers in time, or the device's driver breaks down.
        SchemaMismatch, UnitError
            If what answers cannot be used.
        """
        spec = self._first_connection()
        if spec.sent is None:
            raise SchemaMismatch(f"{type(self).__name__} does not say how its rows are sent.")
        self._spec, self._sent = spec, spec.sent
        self._most_rows = max(64, round(self._link.buffer_s * spec.rate_hz))
        self._count = DeviceCount(spec.rate_hz)
        self._thread = threading.Thread(target=self._listen, name="device", daemon=True)
        self._thread.start()

    def read(self, wanted: int, until_ns: int) -> Chunk | None:
        """Wait for samples until the deadline; see `Source.read`."""
        self._await(wanted, until_ns)
        with self._came:
            told, self._told = self._told, []
            arrivals = self._take()
        return self._chunk(arrivals, told)

    def close(self) -> None:
        """Disconnect. Calling it twice is harmless."""
        self._stopped.set()
        self._client.close()
        if self._thread is not None:
            self._thread.join(timeout=5.0)

    # ------------------------------------------------------------------ in the loop's thread

    def _await(self, wanted: int, until_ns: int) -> None:
        with self._came:
            while self._n_queued < wanted and not (self._told or self._behind_hole):
                left_s = (until_ns - self._clock.now_ns()) / 1e9
                if left_s <= 0:
                    return
                self._came.wait(left_s)

    def _take(self) -> list[_Arrival]:
        """All that is queued up to the next hole, which begins the next chunk."""
        taken: list[_Arrival] = []
        follows: int | None = None
        while self._queue:
            block = self._queue[0].block
            if block is None:
                if taken:
                    break
            elif follows not in (None, block.number):
                break
            else:
                follows = block.number + len(block.values)
                self._n_queued -= len(block.values)
            taken.append(self._queue.popleft())
        self._behind_hole = self._n_queued > 0
        return taken

    def _chunk(self, arrivals: list[_Arrival], told: list[Event]) -> Chunk | None:
        blocks: list[NDArray[np.float32]] = []
        received: list[Received] = []
        rows: list[tuple[int, int]] = []
        numbered: list[tuple[int, str]] = []
        first, arrived_ns = -1, self._clock.now_ns()
        for arrival in arrivals:
            if arrival.block is None:
                self._count.interrupt()
                continue
            block, n_times = arrival.block, len(arrival.block.values)
            start, n_known = self._count.place(block.number, n_times, arrival.at_ns / 1e9)
            numbered += block.markers
            received.append(self._received(block, start - n_known))
            if n_known < n_times:
                first = start if first < 0 else first
                arrived_ns = arrival.at_ns
                rows.append((self._n_rows + n_known, self._n_rows + n_times))
                # The rows as they came are kept; what is handed over is memory of its own.
                samples = self._sent.to_microvolts(block.values[n_known:])
                blocks.append(samples)
            self._n_rows += n_times
        events = (*told, *self._count.take_events())
        markers = tuple(self._marker(number, label) for number, label in numbered)
        if not (blocks or markers or events or received):
            return None
        return self._message(blocks, first, arrived_ns, markers, events, received, rows)

    def _message(
        self,
        blocks: list[NDArray[np.float32]],
        first: int,
        arrived_ns: int,
        markers: tuple[Marker, ...],
        events: tuple[Event, ...],
        received: list[Received],
        rows: list[tuple[int, int]],
    ) -> Chunk:
        if not blocks:
            samples = np.zeros((self.spec.n_channels, 0), np.float32)
            return Chunk(
                samples=samples, first_sample=-1, arrived_ns=arrived_ns, markers=markers,
                events=events, received=tuple(received),
            )  # fmt: skip
        samples = blocks[0] if len(blocks) == 1 else np.concatenate(blocks, axis=1)
        last_s = (first + samples.shape[1] - 1) / self.spec.rate_hz
        return Chunk(
            samples=samples,
            first_sample=first,
            arrived_ns=arrived_ns,
            lsl_raw_s=last_s,
            lsl_corrected_s=last_s + self._count.offset_s,
            markers=markers,
            events=events,
            received=tuple(received),
            rows=tuple(rows),
        )

    def _received(self, block: Block, first_sample: int) -> Received:
        indices = first_sample + np.arange(len(block.values), dtype=np.float64)
        return Received(
            values=block.values,
            stamps_s=indices / self.spec.rate_hz,
            first_row=self._n_rows,
            offset_s=self._count.offset_s,
        )

    def _marker(self, number: int, label: str) -> Marker:
        sample = self._count.index_of(number)
        stamp_s = sample / self.spec.rate_hz
        return Marker(
            label=label, sample=sample, lsl_raw_s=stamp_s,
            lsl_corrected_s=stamp_s + self._count.offset_s, stream=f"{self.spec.name}-markers",
        )  # fmt: skip

    # ----------------------------------------------------------------- in the reading thread

    def _first_connection(self) -> StreamSpec:
        deadline_ns = self._clock.now_ns() + round(self._link.wait_s * 1e9)
        while True:
            left_s = (deadline_ns - self._clock.now_ns()) / 1e9
            with Kept() as kept:
                return self._client.connect(max(0.1, left_s))
            again = isinstance(kept.error, SourceUnavailable | LinkLost)
            if not again and isinstance(kept.error, DiverloopError):
                raise kept.error
            if not again or left_s <= _AGAIN_S or self._stopped.wait(_AGAIN_S):
                raise SourceUnavailable(_said(kept.error)) from kept.error

    def _listen(self) -> None:
        while not self._stopped.is_set():
            # A driver's fault must not end the stream for ever, whatever it raises.
            with Kept() as kept:
                for block in self._client.receive(_PATIENCE_S):
                    self._put(_Arrival(block, self._clock.now_ns()))
            if kept.error is not None and not self._stopped.is_set():
                self._reconnect(_said(kept.error))
        # `close` may have come while the client was connecting, and have found nothing to close.
        self._client.close()

    def _put(self, arrival: _Arrival) -> None:
        with self._came:
            self._queue.append(arrival)
            if arrival.block is not None:
                self._n_queued += len(arrival.block.values)
            if self._n_queued > self._most_rows:
                self._drop_oldest()
            self._came.notify()

    def _drop_oldest(self) -> None:
        """Make room; that the connection broke meanwhile is not forgotten."""
        broke: _Arrival | None = None
        while self._n_queued > self._most_rows and len(self._queue) > 1:
            oldest = self._queue.popleft()
            if oldest.block is None:
                broke = oldest
            else:
                self._n_queued -= len(oldest.block.values)
        if broke is not None:
            self._queue.appendleft(broke)

    def _reconnect(self, why: str) -> None:
        self._tell(EventKind.SOURCE_LOST, f"{why} Connecting again.")
        self._put(_Arrival(None, self._clock.now_ns()))
        refused = ""
        while not self._stopped.wait(_AGAIN_S):
            with Kept() as kept:
                self._client.close()
                self._accept(self._client.connect(_AGAIN_S))
                self._tell(EventKind.SOURCE_BACK, f"The device {self.spec.name!r} is back.")
                return
            silent = isinstance(kept.error, SourceUnavailable | LinkLost)
            if not silent and (said := _said(kept.error)) != refused:
                refused = said
                self._tell(EventKind.SOURCE_LOST, refused)

    def _accept(self, spec: StreamSpec) -> None:
        """Raise unless the rows are those of the session, in number, order, unit and format."""
        assert spec.sent is not None
        if spec.schema != self.spec.schema:
            raise SchemaMismatch(
                f"The device {spec.name!r} came back with {spec.n_channels} channels at "
                f"{spec.rate_hz:g} Hz ({', '.join(spec.channel_names[:4])}, ...), not the "
                f"{self.spec.n_channels} at {self.spec.rate_hz:g} Hz in their order that were "
                f"lost; it is refused: restore its settings, or start a new session."
            )
        if (spec.sent.dtype, spec.sent.microvolts) != (self._sent.dtype, self._sent.microvolts):
            raise SchemaMismatch(
                f"The device {spec.name!r} came back with other units or another number format; "
                f"it is refused: restore its settings, or start a new session."
            )

    def _tell(self, kind: EventKind, text: str) -> None:
        with self._came:
            self._told.append(Event(kind=kind, text=text))
            self._came.notify()


def _said(error: Exception | None) -> str:
    """What to tell people of an error, whoever raised it."""
    if isinstance(error, DiverloopError):
        return str(error)
    what = " ".join(str(error).split())[:200].rstrip(".") or "no reason given"
    return f"The device's driver raised {type(error).__name__} ({what})."
