"""Blackrock signal processors (Cerebus, Gemini, nPlay), through the open client library pycbsdk."""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Protocol

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
from .linked import Block, LinkConfig, LinkedSource

DEVICES: Final = ("LEGACY_NSP", "NSP", "HUB1", "HUB2", "HUB3", "NPLAY")
GROUPS: Final = {"500": 1, "1000": 2, "2000": 3, "10000": 4, "30000": 5, "raw": 6}
"""What a session file calls a sample group -> the processor's number of it."""
_RATES_HZ = {1: 500.0, 2: 1000.0, 3: 2000.0, 4: 10_000.0, 5: 30_000.0, 6: 30_000.0}
_KINDS = ("lfp", "ecog", "seeg", "eeg")
_FRONT_END = 0  # pycbsdk.ChannelType.FRONTEND
_SILENCE_S = 2.0  # a group is sampled 500 times a second at the least
_NS = 1e9
# Digital ranges are not quite symmetrical, so that zero may be off by one unit or two.
_MOST_OFFSET = 2.0

Samples = NDArray[np.int16]
Stamps = NDArray[np.uint64]


class CerebusSession(Protocol):
    """As much of ``pycbsdk.Session`` as is used here; see the library for what it does."""

    def get_group_channels(self, group_id: int) -> list[int]:
        """Channels of a sample group, counted from 1."""

    def get_channel_label(self, chan_id: int) -> str | None:
        """Name of a channel."""

    def get_channel_type(self, chan_id: int) -> int | None:
        """0 for the front end."""

    def get_channel_conversion(self, chan_id: int) -> dict[str, Any] | None:
        """``scale``, ``offset`` and ``unit`` of a channel."""

    def on_group_batch(self, rate: int) -> Callable[..., Any]:
        """Decorate what is to be called with samples and their time stamps in nanoseconds."""

    def on_event(self, channel_type: str) -> Callable[..., Any]:
        """Decorate what is to be called with an event's header and bytes."""

    def close(self) -> None:
        """End it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlackrockConfig(LinkConfig):
    """Which processor, and which of its sample groups.

    Parameters
    ----------
    device : str
        ``"LEGACY_NSP"``, ``"NSP"``, ``"HUB1"``, ``"HUB2"``, ``"HUB3"`` or ``"NPLAY"``: each has
        an address of its own, which the library knows.
    group : str
        Rate of the group in hertz, ``"500"``, ``"1000"``, ``"2000"``, ``"10000"`` or
        ``"30000"``; ``"raw"`` for 30 kHz unfiltered.
    electrodes : str
        What the front end's channels are: ``"lfp"``, ``"ecog"``, ``"seeg"`` or ``"eeg"``.
        Other inputs are ``"misc"``.
    wait_s, buffer_s : float
        As in `LinkConfig`.
    """

    device: str = "NSP"
    group: str = "1000"
    electrodes: str = "lfp"
    wait_s: float = 20.0

    def __post_init__(self) -> None:
        LinkConfig.__post_init__(self)
        choices = {"device": DEVICES, "group": tuple(GROUPS), "electrodes": _KINDS}
        for key, allowed in choices.items():
            if getattr(self, key) not in allowed:
                raise ConfigError(
                    f"source.{key} must be one of {', '.join(allowed)}, got {getattr(self, key)!r}."
                )


def open_session(device: str) -> CerebusSession:
    """Connect with the library.

    Parameters
    ----------
    device : str
        One of `DEVICES`.

    Returns
    -------
    session : CerebusSession
        Connected, its settings read.

    Raises
    ------
    ConfigError
        If the library is not installed, or cannot run here.
    SourceUnavailable
        If no device answers; the library looks for some five seconds.
    """
    try:
        from pycbsdk import Session
    except ImportError as error:
        raise ConfigError(
            "The source 'blackrock' needs the library 'pycbsdk', which is not installed: "
            'pip install "diverloop[blackrock]".'
        ) from error
    try:
        session: CerebusSession = Session(device)
    except OSError as error:
        raise ConfigError(
            "pycbsdk is installed without its compiled part, as pip does on systems for which "
            "there is none (Linux needs glibc 2.39, as in Ubuntu 24.04): build it, and say where "
            "it is in the environment variable CBSDK_LIB_PATH."
        ) from error
    except RuntimeError as error:
        hint = ""
        if "buffer size" in str(error):
            hint = " Allow larger buffers first: sudo sysctl -w net.core.rmem_max=8388608."
        raise SourceUnavailable(
            f"No Blackrock device of the type {device} can be reached ({error}).{hint}"
        ) from error
    return session


class StampCount:
    """From the processor's time stamps to a count of samples.

    The distance from one stamp to the next, in samples and rounded, says how many samples lie
    between them. A clock that is a little off its nominal rate thus loses and doubles nothing.

    Parameters
    ----------
    rate_hz : float
        Nominal rate of the group.
    """

    def __init__(self, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        self._last_ns: int | None = None
        self._last = -1

    def number(self, stamps_ns: Stamps) -> NDArray[np.int64]:
        """Numbers of samples that have just come.

        Parameters
        ----------
        stamps_ns : ndarray of uint64, shape (n_times,)
            When the processor took them, in nanoseconds of its clock.

        Returns
        -------
        numbers : ndarray of int64, shape (n_times,)
            The first of all is 0.
        """
        stamps = stamps_ns.astype(np.int64)
        before = int(stamps[0]) if self._last_ns is None else self._last_ns
        steps = np.rint(np.diff(stamps, prepend=before) * (self._rate_hz / _NS)).astype(np.int64)
        if self._last_ns is None:
            steps[0] = 1
        numbers: NDArray[np.int64] = self._last + np.cumsum(steps)
        self._last_ns, self._last = int(stamps[-1]), int(numbers[-1])
        return numbers

    def nearest(self, stamp_ns: int) -> int:
        """Number of the sample nearest to a moment; before the first sample, 0."""
        if self._last_ns is None:
            return 0
        return self._last + round((stamp_ns - self._last_ns) * self._rate_hz / _NS)


class BlackrockClient:
    """One session with one processor; see `Client`.

    Parameters
    ----------
    config : BlackrockConfig
        Which one.
    open_with : callable
        How to connect; given in place of `open_session` where there is no device.
    """

    def __init__(
        self,
        config: BlackrockConfig,
        open_with: Callable[[str], CerebusSession] = open_session,
    ) -> None:
        self._config = config
        self._open_with = open_with
        self._group = GROUPS[config.group]
        self._rate_hz = _RATES_HZ[self._group]
        self._session: CerebusSession | None = None
        self._using = threading.Lock()  # the library must not be asked while it is closed
        self._count = StampCount(self._rate_hz)
        self._silent_s = 0.0

    def connect(self, wait_s: float) -> StreamSpec:
        """Connect and read the group's channels; see `Client.connect`.

        The library takes its own time, whatever `wait_s` says.
        """
        self.close()
        session = self._open_with(self._config.device)
        with self._using:
            self._session = session
            self._chosen = session.get_group_channels(self._group)
            if not self._chosen:
                raise SchemaMismatch(
                    f"No channel of the {self._config.device} is sampled in the group "
                    f"{self._config.group!r}: choose another source.group, or set the channels' "
                    f"continuous sampling in Central."
                )
            spec = self._spec(session, self._chosen)
            self._listen(session)
        return spec

    def receive(self, timeout_s: float) -> Sequence[Block]:
        """All samples that have come; see `Client.receive`."""
        try:
            batches = [self._batches.get(timeout=timeout_s)]
        except queue.Empty:
            self._silent_s += timeout_s
            if self._silent_s >= _SILENCE_S:
                raise LinkLost(f"The processor has sent nothing for {_SILENCE_S:g} s.") from None
            return ()
        self._silent_s = 0.0
        while not self._batches.empty():
            batches.append(self._batches.get_nowait())
        self._check_channels({samples.shape[1] for samples, _ in batches})
        return self._blocks(batches)

    def close(self) -> None:
        """Disconnect. Calling it twice is harmless."""
        with self._using:
            session, self._session = self._session, None
            if session is not None:
                session.close()

    def _listen(self, session: CerebusSession) -> None:
        """Have the library's thread put what comes into queues."""
        batches: queue.SimpleQueue[tuple[Samples, Stamps]] = queue.SimpleQueue()
        values: queue.SimpleQueue[tuple[int, int]] = queue.SimpleQueue()
        self._batches, self._values, self._silent_s = batches, values, 0.0

        def samples_came(samples: Samples, stamps_ns: Stamps) -> None:
            batches.put((samples, stamps_ns))

        def value_changed(header: Any, data: Any) -> None:
            # The library takes both back when this returns; the value is its first word.
            word = bytes(bytearray(data[0:4]))
            values.put((int(header.time), int.from_bytes(word, sys.byteorder)))

        session.on_group_batch(self._group)(samples_came)
        session.on_event("DIGITAL_IN")(value_changed)

    def _check_channels(self, wide: set[int]) -> None:
        """What a packet holds depends on settings that somebody may change meanwhile."""
        n_channels = len(self._chosen)
        with self._using:
            if self._session is None:
                raise LinkLost("The session with the processor was closed.")
            same = self._session.get_group_channels(self._group) == self._chosen
        # Packets are whole words long, so that an odd row has one sample too many.
        if not same or wide != {n_channels + n_channels % 2}:
            raise LinkLost(f"The channels of the group {self._config.group!r} were changed.")

    def _blocks(self, batches: list[tuple[Samples, Stamps]]) -> list[Block]:
        """Cut where samples are missing, so that a block holds consecutive ones."""
        rows = np.concatenate([samples[:, : len(self._chosen)] for samples, _ in batches])
        numbers = self._count.number(np.concatenate([stamps for _, stamps in batches]))
        cuts = np.flatnonzero(np.diff(numbers) != 1) + 1
        starts = [0, *cuts.tolist(), len(rows)]
        blocks = [
            Block(values=rows[start:stop], number=int(numbers[start]))
            for start, stop in pairwise(starts)
        ]
        return self._marked(blocks)

    def _marked(self, blocks: list[Block]) -> list[Block]:
        """Give the newest block the values that came at the digital input."""
        markers: list[tuple[int, str]] = []
        while not self._values.empty():
            stamp_ns, value = self._values.get_nowait()
            markers.append((self._count.nearest(stamp_ns), str(value)))
        if markers:
            last = blocks[-1]
            blocks[-1] = Block(values=last.values, number=last.number, markers=tuple(markers))
        return blocks

    def _spec(self, session: CerebusSession, chosen: list[int]) -> StreamSpec:
        channels = tuple(
            Channel(
                name=session.get_channel_label(number) or f"chan{number}",
                kind=self._config.electrodes
                if session.get_channel_type(number) == _FRONT_END
                else "misc",
            )
            for number in chosen
        )
        names = [channel.name for channel in channels]
        if len(set(names)) < len(names):
            raise SchemaMismatch(
                f"The processor's channels need names that differ, got {', '.join(names[:8])}: "
                f"label them in Central."
            )
        return StreamSpec(
            name="blackrock",
            rate_hz=self._rate_hz,
            channels=channels,
            source_id=f"blackrock:{self._config.device}:{self._config.group}",
            sent=Sent(
                dtype="<i2",
                microvolts=tuple(_microvolts(session, number) for number in chosen),
            ),
        )


def _microvolts(session: CerebusSession, number: int) -> float:
    """What one unit of a channel is, exact in float32."""
    conversion = session.get_channel_conversion(number)
    name = session.get_channel_label(number)
    if conversion is None:
        raise UnitError(
            f"Channel {name!r} of the processor has no scaling: configure it in Central."
        )
    scale, offset = float(conversion["scale"]), float(conversion["offset"])
    if not scale > 0 or abs(offset) > _MOST_OFFSET * scale:
        raise UnitError(
            f"Channel {name!r} of the processor counts {scale:g} {conversion['unit']} a unit from "
            f"{offset:g} on; the unit must be positive, and zero must be zero."
        )
    return float(np.float32(scale * microvolts_per(str(conversion["unit"]))))


class BlackrockSource(LinkedSource):
    """A Blackrock signal processor.

    Parameters
    ----------
    config : BlackrockConfig
        Which one, and which of its sample groups.
    clock : Clock
        The machine's monotonic clock.
    """

    Config = BlackrockConfig
    tested = DeviceRecord(
        what="Blackrock neural signal processors through the open library pycbsdk",
        against="a stand-in of this project for nPlay on loopback, read by pycbsdk 10.3 by hand "
        "with a patched C library; in the suite only where pycbsdk can be loaded",
        never="a processor; Central; nPlay",
        connect='a system with glibc 2.39 or newer, then `kind = "blackrock"`; '
        "see [](blackrock.md).",
        extra="blackrock",
    )

    def __init__(self, config: BlackrockConfig, clock: Clock) -> None:
        super().__init__(BlackrockClient(config), config, clock)
