"""What a FieldTrip buffer remembers, and how it answers: no socket, any number of threads."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import LinkLost
from .fieldtrip_events import AUTO_SAMPLE, BufferEvent, pack_events, unpack_events
from .fieldtrip_wire import (
    ALL,
    Code,
    Header,
    demand,
    pack,
    pack_counts,
    pack_header,
    pack_rows,
    unpack_header,
    unpack_range,
    unpack_rows,
    unpack_wait,
)

_MOST_RING_BYTES = 256 * 1024 * 1024  # whatever number of channels a client announces
_MOST_HEADER_BYTES = 64 * 1024 * 1024
_MOST_EVENT_BYTES = 64 * 1024  # kept of one event
_LOOK_S = 0.5  # how soon a client that went away while it waited is noticed


class FieldTripBuffer:
    """One header, the newest samples and the newest events.

    Parameters
    ----------
    most_samples : int
        Samples that are kept, 1 or more; fewer where they would take more than 256 MiB.
    most_events : int
        Events that are kept, 1 or more.
    read_only : bool
        Whether what a client puts or flushes is refused; the methods below still put.
    """

    def __init__(
        self, *, most_samples: int = 60_000, most_events: int = 1000, read_only: bool = False
    ) -> None:
        self._most_samples = most_samples
        self.read_only = read_only
        self._changed = threading.Condition()
        self._closed = False
        self._header: Header | None = None
        self._ring: NDArray[np.generic] = np.zeros((0, 0), np.float32)
        self._events: deque[BufferEvent] = deque(maxlen=most_events)
        self._put_s = time.monotonic()
        self._answers: dict[int, Callable[[bytes], bytes]] = {
            Code.GET_HDR: self._get_header,
            Code.GET_DAT: self._get_rows,
            Code.GET_EVT: self._get_events,
        }
        self._changes: dict[int, Callable[[bytes], None]] = {
            Code.PUT_HDR: lambda payload: self.put_header(unpack_header(payload)),
            Code.PUT_DAT: lambda payload: self.put_rows(unpack_rows(payload)),
            Code.PUT_EVT: lambda payload: self.put_events(unpack_events(payload)),
            Code.FLUSH_HDR: lambda _: self.flush(),
            Code.FLUSH_DAT: lambda _: self.flush_rows(),
            Code.FLUSH_EVT: lambda _: self.flush_events(),
        }

    @property
    def header(self) -> Header | None:
        """The header with its counts; None until one is put."""
        with self._changed:
            return self._header

    def put_header(self, header: Header) -> None:
        """Begin anew: no sample, no event.

        Parameters
        ----------
        header : Header
            Whose counts are ignored.

        Raises
        ------
        LinkLost
            If it is larger than can be kept.
        """
        row_bytes = header.n_channels * np.dtype(header.dtype).itemsize
        size = sum(len(data) for _, data in header.chunks)
        demand(size <= _MOST_HEADER_BYTES, f"a header of {size} bytes, {_MOST_HEADER_BYTES} fit")
        n_kept = max(1, min(self._most_samples, _MOST_RING_BYTES // row_bytes))
        with self._changed:
            self._ring = np.zeros((n_kept, header.n_channels), header.dtype)
            self._events.clear()
            self._count(header, 0, 0)

    def put_rows(self, values: NDArray[np.generic]) -> None:
        """Add samples; the oldest make room.

        Parameters
        ----------
        values : ndarray, shape (n_times, n_channels)
            In the header's number format.

        Raises
        ------
        LinkLost
            If there is no header, or if they are not what it announces.
        """
        with self._changed:
            header = self._known()
            came = (values.shape[-1], values.dtype.str)
            demand(came == (header.n_channels, header.dtype), f"rows of {came} under {header}")
            kept = values[-len(self._ring) :]
            first = header.n_samples + len(values) - len(kept)
            self._ring[(first + np.arange(len(kept))) % len(self._ring)] = kept
            self._put_s = time.monotonic()
            self._count(header, header.n_samples + len(values), header.n_events)

    def put_events(self, events: Sequence[BufferEvent]) -> None:
        """Add events; the oldest make room.

        Parameters
        ----------
        events : sequence of BufferEvent
            Those without a sample are given the number of the one that is due now.

        Raises
        ------
        LinkLost
            If there is no header, or one of them is too large to be kept.
        """
        with self._changed:
            header = self._known()
            for event in events:
                size = len(pack_events([event]))
                demand(size <= _MOST_EVENT_BYTES, f"an event of {size} bytes")
            since_s = time.monotonic() - self._put_s
            now = (header.n_samples + int(header.rate_hz * since_s)) % ALL
            self._events += [
                replace(event, sample=now) if event.sample == AUTO_SAMPLE else event
                for event in events
            ]
            self._count(header, header.n_samples, header.n_events + len(events))

    def flush(self) -> None:
        """Forget everything; raises `LinkLost` if there is no header."""
        with self._changed:
            self._known()
            self._header = None
            self._events.clear()
            self._changed.notify_all()

    def flush_rows(self) -> None:
        """Forget the samples, so that they are counted from 0; raises `LinkLost` as `flush`."""
        with self._changed:
            header = self._known()
            self._count(header, 0, header.n_events)

    def flush_events(self) -> None:
        """Forget the events, so that they are counted from 0; raises `LinkLost` as `flush`."""
        with self._changed:
            header = self._known()
            self._events.clear()
            self._count(header, header.n_samples, 0)

    def answer(self, code: int, payload: bytes, gone: Callable[[], bool]) -> bytes:
        """Do what a client asks for.

        Parameters
        ----------
        code : int
            What it asks, see `Code`.
        payload : bytes
            What came with it.
        gone : callable
            Whether the client went away, asked while it waits.

        Returns
        -------
        message : bytes
            To be sent; empty where the client wants no answer.

        Raises
        ------
        LinkLost
            If there is no such question.
        """
        if code == Code.WAIT_DAT:
            return self._wait(payload, gone)
        if code in self._answers:
            try:
                return pack(Code.GET_OK, self._answers[code](payload))
            except LinkLost:
                return pack(Code.GET_ERR)
        silent = code & 0xFF00 == Code.PUT_HDR_SILENT & 0xFF00
        change = self._changes.get(code - 0x400 if silent else code)
        demand(change is not None, f"a question of the unknown kind {code:#x}")
        assert change is not None
        done = self._change(change, payload)
        good, bad = (
            (Code.PUT_OK, Code.PUT_ERR)
            if code < Code.GET_HDR or silent
            else (Code.FLUSH_OK, Code.FLUSH_ERR)
        )
        return b"" if silent else pack(good if done else bad)

    def close(self) -> None:
        """Answer all who wait. Calling it twice is harmless."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    # ------------------------------------------------------------------- what the answers hold

    def _change(self, change: Callable[[bytes], None], payload: bytes) -> bool:
        if self.read_only:
            return False
        try:
            change(payload)
        except LinkLost:
            return False
        return True

    def _get_header(self, payload: bytes) -> bytes:
        with self._changed:
            return pack_header(self._known())

    def _get_rows(self, payload: bytes) -> bytes:
        with self._changed:
            header = self._known()
            oldest = max(0, header.n_samples - len(self._ring))
            first, last = _chosen(payload, oldest, header.n_samples)
            return pack_rows(self._ring[np.arange(first, last + 1) % len(self._ring)])

    def _get_events(self, payload: bytes) -> bytes:
        with self._changed:
            header = self._known()
            oldest = header.n_events - len(self._events)
            first, last = _chosen(payload, oldest, header.n_events)
            return pack_events(list(self._events)[first - oldest : last + 1 - oldest])

    def _wait(self, payload: bytes, gone: Callable[[], bool]) -> bytes:
        try:
            n_samples, n_events, timeout_ms = unpack_wait(payload)
        except LinkLost:
            return pack(Code.WAIT_ERR)
        deadline_s = time.monotonic() + timeout_ms / 1e3
        with self._changed:
            while (header := self._header) and not (
                header.n_samples > n_samples or header.n_events > n_events or self._closed
            ):
                left_s = deadline_s - time.monotonic()
                if left_s <= 0 or gone():
                    break
                self._changed.wait(min(left_s, _LOOK_S))
        if header is None:
            return pack(Code.WAIT_ERR)
        return pack(Code.WAIT_OK, pack_counts(header.n_samples, header.n_events))

    def _known(self) -> Header:
        demand(self._header is not None, "a buffer without a header was asked for what it holds")
        assert self._header is not None
        return self._header

    def _count(self, header: Header, n_samples: int, n_events: int) -> None:
        self._header = replace(header, n_samples=n_samples, n_events=n_events)
        self._changed.notify_all()


def _chosen(payload: bytes, oldest: int, count: int) -> tuple[int, int]:
    """First and last of what a client asks for; all there is, if it does not say."""
    first, last = unpack_range(payload) if payload else (oldest, count - 1)
    last = count - 1 if last == ALL else last
    demand(oldest <= first <= last < count, f"{first} to {last} of {oldest} to {count - 1}")
    return first, last
