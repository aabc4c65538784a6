"""A stand-in for a Blackrock signal processor: answers as nPlay does, over UDP on this machine.

It speaks as much of the Cerebus protocol, version 4.2, as Blackrock's open client library asks
for before it hands over samples. Every packet begins with 16 bytes, little-endian: u64 time, u16
channel (0 for samples, 0x8000 for settings), u16 type, u16 length of the rest in words of four
bytes, u8 instrument and a byte of zero.

References
----------
CerebusOSS (2025). CereLink, cbproto: the Cerebus protocol, version 4.2.
https://github.com/CerebusOSS/CereLink.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

HEADER: Final = struct.Struct("<QHHHBB")
SETTINGS: Final = 0x8000
REQUEST_ALL, SET_RUN_LEVEL = 0x88, 0x92
_ALL, _SYSTEM, _RUN_LEVEL, _PROCESSOR, _GROUP, _CHANNEL = 0x08, 0x10, 0x12, 0x21, 0x30, 0x40
_RUNNING = 50
_TICKS_HZ = 30_000
_DIGITAL_IN = 279
_LARGEST = 1400  # bytes of a datagram, as on a network
GROUPS: Final = {1: 500.0, 2: 1000.0, 3: 2000.0, 4: 10_000.0, 5: 30_000.0, 6: 30_000.0}
"""Sample group -> rate in hertz; group 6 is unfiltered."""

_SCALING = "hhiii8s"
_FILTER = "16s6I"
_CHANNEL_INFO = struct.Struct(
    f"<10I{_SCALING}{_FILTER}{_SCALING}{_FILTER}16sI4i{_SCALING}{_SCALING}4I8sB2sBHH"
    "4I2iIiiIiiIhhI160s160s"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlackrockSetup:
    """What the stand-in says of itself.

    Parameters
    ----------
    labels : tuple of str
        Names of the channels, 16 bytes each at the most; channel 1 first.
    group : int
        Which sample group they are in, 1 to 6.
    range_uv : int
        What the digital value 32764 is, in microvolts.
    gemini : bool
        Whether time is told in nanoseconds, as by Gemini hubs, or in ticks of 30 kHz.
    """

    labels: tuple[str, ...] = ("elec1", "elec2", "elec3", "elec4")
    group: int = 2
    range_uv: int = 8191
    gemini: bool = False

    @property
    def rate_hz(self) -> float:
        """Of the group."""
        return GROUPS[self.group]


class BlackrockServer:
    """Serves samples to one client, as nPlay; a context manager.

    Parameters
    ----------
    setup : BlackrockSetup
        Channels and rate.
    port : int
        UDP port; clients expect nPlay at 51001. 0 takes a free one.

    Raises
    ------
    OSError
        If the port is taken.
    """

    def __init__(self, setup: BlackrockSetup, *, port: int = 51_001) -> None:
        self._setup = setup
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", port))
        self._socket.settimeout(0.1)
        self._client: tuple[str, int] | None = None
        self._sample = 0
        self._over = threading.Event()
        self._asked = threading.Event()
        self._silent = False
        self._threads: list[threading.Thread] = []
        self._start(self._answer)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._socket.getsockname()[1])

    def __enter__(self) -> BlackrockServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()

    def close(self) -> None:
        """Answer nobody any more."""
        self._over.set()
        for thread in self._threads:
            thread.join()
        self._socket.close()

    def wait_for_client(self, wait_s: float = 10.0) -> bool:
        """Wait until somebody has asked for the settings, and say whether."""
        return self._asked.wait(wait_s)

    # --------------------------------------------------------------------- what it serves

    def send(self, values: ArrayLike) -> None:
        """Serve consecutive samples, one packet each, many in a datagram.

        Parameters
        ----------
        values : array of int16, shape (n_times, n_channels)
            Digital values.
        """
        rows = np.asarray(values, "<i2")
        # Packets are whole words long: an odd row is followed by a sample of nothing.
        rows = np.pad(rows, ((0, 0), (0, rows.shape[1] % 2)))
        packets = b""
        for row in rows:
            packets += self._packet(0, self._setup.group, row.tobytes(), self._now())
            self._sample += 1
            if len(packets) > _LARGEST - HEADER.size - 2 * rows.shape[1]:
                self._say(packets)
                packets = b""
        self._say(packets)

    def mark(self, value: int) -> None:
        """Tell of a value at the digital input, at the time of the next sample."""
        self._say(self._packet(_DIGITAL_IN, 0, struct.pack("<II", value, 0xFFFF), self._now()))

    def play(self, values: ArrayLike, *, datagram_s: float = 0.005) -> None:
        """Serve samples over and over in real time, in a thread of its own, until `close`."""
        rows = np.asarray(values, "<i2")
        size = max(1, round(datagram_s * self._setup.rate_hz))
        self._start(self._play, rows, size)

    def skip(self, n_samples: int) -> None:
        """Let time pass for which nobody gets samples, or go back if it is negative."""
        self._sample += n_samples

    def regroup(self, setup: BlackrockSetup) -> None:
        """Take other channels or another group, and tell of it, as when somebody uses Central."""
        self._setup = setup
        self._settings()

    def silence(self, silent: bool) -> None:
        """Neither answer nor send, as behind a cable that was pulled."""
        self._silent = silent

    # --------------------------------------------------------------------------- packets

    def _now(self) -> int:
        ticks = round(self._sample * _TICKS_HZ / self._setup.rate_hz)
        return round(ticks * 1e9 / _TICKS_HZ) if self._setup.gemini else ticks

    def _packet(self, channel: int, kind: int, body: bytes, time_: int) -> bytes:
        return HEADER.pack(time_, channel, kind, len(body) // 4, 0, 0) + body

    def _say(self, data: bytes) -> None:
        if data and self._client is not None and not self._silent:
            self._socket.sendto(data, self._client)

    def _reply(self, kind: int, body: bytes) -> None:
        self._say(self._packet(SETTINGS, kind, body, self._now()))

    def _settings(self) -> None:
        setup = self._setup
        self._reply(_ALL, b"")
        ident = b"Gemini Hub stand-in" if setup.gemini else b"nPlay stand-in"
        counts = (1, 284, 15, 8, 32, 0, 0, 0, 0, 4 << 16 | 2)
        self._reply(_PROCESSOR, struct.pack("<II64s10I", 1, 0, ident, *counts))
        for number, label in enumerate(setup.labels, 1):
            self._reply(_CHANNEL, self._channel(number, label, 0x107, setup.group))
        self._reply(_CHANNEL, self._channel(_DIGITAL_IN, "digin1", 0x403, 0))
        for group, rate_hz in GROUPS.items():
            listed = range(1, len(setup.labels) + 1) if group == setup.group else range(0)
            listing = np.zeros(272, "<u2")
            listing[: len(listed)] = listed
            period = round(_TICKS_HZ / rate_hz)
            head = struct.pack(
                "<II16sII", 1, group, f"{rate_hz:g} S/s".encode(), period, len(listed)
            )
            self._reply(_GROUP, head + listing.tobytes())
        self._reply(_SYSTEM, self._system())
        self._asked.set()

    def _system(self) -> bytes:
        return struct.pack("<6I", _TICKS_HZ, 48, 10, 0, _RUNNING, 0)

    def _channel(self, number: int, label: str, abilities: int, group: int) -> bytes:
        scale = (-32764, 32764, -self._setup.range_uv, self._setup.range_uv, 1, b"uV")
        none = (b"", 0, 0, 0, 0, 0, 0)
        bank, terminal = divmod(number - 1, 32)
        return _CHANNEL_INFO.pack(
            number, 1, bank + 1, terminal + 1, abilities, 0, 0x200, 0, 0x171, 0,
            *scale, *none, *scale, *none, label.encode(), 0, 0, 0, 0, 0, *scale, *scale,
            0, 0, 0, 0, b"", 0, b"", 0, 0, 0,
            0, 0, 0, group, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, b"", b"",
        )  # fmt: skip

    # -------------------------------------------------------------------- threads of its own

    def _start(self, work: object, *given: object) -> None:
        thread = threading.Thread(target=work, args=given, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _answer(self) -> None:
        while not self._over.is_set():
            try:
                data, client = self._socket.recvfrom(2048)
            except OSError:  # nothing came, or what was sent last found nobody
                continue
            if len(data) < HEADER.size:
                continue
            _, channel, kind, length, _, _ = HEADER.unpack_from(data)
            if channel != SETTINGS or len(data) != HEADER.size + 4 * length:
                continue  # a probe in an older dialect
            self._client = client
            if kind == REQUEST_ALL:
                self._settings()
            elif kind == SET_RUN_LEVEL:
                self._reply(_RUN_LEVEL, self._system())
            elif kind & 0x80:  # whatever else is set is confirmed as it came
                self._reply(kind & 0x7F, data[HEADER.size :])

    def _play(self, rows: np.ndarray, size: int) -> None:
        began_s, sent = time.monotonic(), 0
        while not self._over.wait(
            max(0.0, began_s + (sent + size) / self._setup.rate_hz - time.monotonic())
        ):
            self.send(rows[np.arange(sent, sent + size) % len(rows)])
            sent += size
