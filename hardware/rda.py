"""Brain Products amplifiers, through BrainVision Recorder's Remote Data Access (RDA)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from ..runtime.device_record import DeviceRecord
from ..runtime.errors import LinkLost, SchemaMismatch, SourceUnavailable
from ..runtime.messages import Channel, StreamSpec
from ..runtime.received import Sent
from ..runtime.stages import Clock
from .linked import Block, LinkedSource, NetworkConfig
from .rda_wire import (
    HEADER,
    NUMBERS,
    PORT32,
    START,
    STOP,
    RdaBlock,
    RdaSetup,
    read_block,
    read_header,
    read_setup,
    resolutions,
)
from .tcp_link import TcpLink

_SILENCE_S = 3.0  # a recorder that runs sends dozens of blocks a second


@dataclass(frozen=True, slots=True, kw_only=True)
class RdaConfig(NetworkConfig):
    """Which recorder to listen to.

    Parameters
    ----------
    host : str
        Computer that BrainVision Recorder runs on.
    port : int
        51244 for 32-bit floats, 51234 for 16-bit whole numbers.
    wait_s, buffer_s : float
        As in `NetworkConfig`.
    not_eeg : tuple of str
        Channels that are no brain signal (ECG, respiration, acceleration): the recorder does not
        say which. They are given the kind ``"misc"``.
    """

    port: int = PORT32
    not_eeg: tuple[str, ...] = ()


class BlockCount:
    """From the recorder's count of its blocks to a count of samples.

    A recorder counts blocks, not samples. While no block is missing, samples are counted as they
    come; where some are missing, each counts as many samples as the blocks before it had on
    average. This is exact where all blocks are of one size, as recorders send them.
    """

    def __init__(self) -> None:
        self.begin_anew()

    def begin_anew(self) -> None:
        """Another acquisition has begun, and its count with it."""
        self._last: int | None = None
        self._next = 0
        self._n_blocks = self._n_samples = 0

    def place(self, number: int, n_times: int) -> int:
        """Number of the first sample of a block.

        Parameters
        ----------
        number : int
            The recorder's number of the block.
        n_times : int
            Samples in it.

        Returns
        -------
        first : int
            Samples of this acquisition before it, from the first block that was seen on.
        """
        first = self._next
        if self._last is not None:
            missing = number - self._last - 1
            first += round(missing * self._n_samples / max(1, self._n_blocks))
        self._last, self._next = number, first + n_times
        if n_times:  # a block may bring a marker and nothing else
            self._n_blocks += 1
            self._n_samples += n_times
        return first


class RdaClient:
    """One connection to one recorder; see `Client`.

    Parameters
    ----------
    config : RdaConfig
        Where it is.
    """

    def __init__(self, config: RdaConfig) -> None:
        self._config = config
        self._link: TcpLink | None = None
        self._count = BlockCount()
        self._last_number: int | None = None  # None if what comes next is another acquisition
        self._header: tuple[int, int] | None = None  # of a message whose body has not come yet
        self._silent_s = 0.0

    def connect(self, wait_s: float) -> StreamSpec:
        """Connect, and wait for the channels and for a first block; see `Client.connect`.

        Only a block tells in which numbers the samples are written.
        """
        self.close()
        until_s = time.monotonic() + wait_s
        self._link = TcpLink(self._config.host, self._config.port, wait_s)
        self._header, self._silent_s = None, 0.0
        self._setup = read_setup(self._await((START,), until_s)[1])
        self._kind, body = self._await(tuple(NUMBERS), until_s)
        block = read_block(self._kind, body, len(self._setup.names))
        if self._last_number is None or block.number <= self._last_number:
            self._count.begin_anew()
        self._pending: RdaBlock | None = block
        return self._spec(self._setup)

    def receive(self, timeout_s: float) -> Sequence[Block]:
        """The next block, if it has come; see `Client.receive`."""
        if self._pending is not None:
            block, self._pending = self._pending, None
            return (self._counted(block),)
        said = self._message(timeout_s)
        if said is None:
            self._hear_nothing(timeout_s)
            return ()
        self._silent_s = 0.0
        kind, body = said
        if kind == self._kind:
            return (self._counted(read_block(kind, body, len(self._setup.names))),)
        self._notice(kind)
        return ()

    def close(self) -> None:
        """Disconnect. Calling it twice is harmless."""
        if self._link is not None:
            self._link.close()

    def _spec(self, setup: RdaSetup) -> StreamSpec:
        missing = [name for name in self._config.not_eeg if name not in setup.names]
        if missing:
            raise SchemaMismatch(
                f"source.not_eeg names {missing[0]!r}, which the recorder does not send; it sends "
                f"{', '.join(setup.names)}."
            )
        kinds = ["misc" if name in self._config.not_eeg else "eeg" for name in setup.names]
        return StreamSpec(
            name="rda",
            rate_hz=setup.rate_hz,
            channels=tuple(
                Channel(name=name, kind=kind) for name, kind in zip(setup.names, kinds, strict=True)
            ),
            source_id=f"rda:{self._config.host}:{self._config.port}",
            sent=Sent(dtype=NUMBERS[self._kind], microvolts=resolutions(setup.resolutions_uv)),
        )

    def _counted(self, block: RdaBlock) -> Block:
        first = self._count.place(block.number, len(block.values))
        self._last_number = block.number
        markers = tuple((first + mark.position, mark.label) for mark in block.markers)
        return Block(values=block.values, number=first, markers=markers)

    def _notice(self, kind: int) -> None:
        """Messages that are no samples of the kind that was agreed on."""
        if kind == STOP:
            self._last_number = None
            raise LinkLost("The recorder stopped its acquisition.")
        if kind == START or kind in NUMBERS:
            self._last_number = None
            raise LinkLost("The recorder began anew.")

    def _hear_nothing(self, waited_s: float) -> None:
        """A cable that was pulled ends no connection: only silence tells of it."""
        self._silent_s += waited_s
        if self._silent_s >= _SILENCE_S:
            raise LinkLost(f"The recorder has sent nothing for {_SILENCE_S:g} s.")

    def _await(self, kinds: tuple[int, ...], until_s: float) -> tuple[int, bytes]:
        """The next message of one of these types; what comes before it is read over."""
        while True:
            left_s = until_s - time.monotonic()
            said = self._message(left_s) if left_s > 0 else None
            if said is None:
                raise SourceUnavailable(
                    f"The server at {self._config.host}:{self._config.port} answers but sends no "
                    f"signal: start monitoring or recording in BrainVision Recorder."
                )
            if said[0] in kinds:
                return said

    def _message(self, timeout_s: float) -> tuple[int, bytes] | None:
        """The next message, if all of it has come."""
        assert self._link is not None
        if self._header is None:
            data = self._link.read(HEADER.size, timeout_s)
            if data is None:
                return None
            self._header = read_header(data)
        kind, size = self._header
        body = self._link.read(size, timeout_s)
        if body is None:
            return None
        self._header = None
        return kind, body


class RdaSource(LinkedSource):
    """A Brain Products amplifier behind BrainVision Recorder.

    Parameters
    ----------
    config : RdaConfig
        Where the recorder is.
    clock : Clock
        The machine's monotonic clock.
    """

    Config = RdaConfig
    tested = DeviceRecord(
        what="Brain Products amplifiers through Remote Data Access of their recorders",
        against="a stand-in of this project that speaks the published protocol, with kills, "
        "restarts, half packets, garbage, missing blocks and floods",
        never="BrainVision Recorder; an amplifier",
        connect='switch Remote Data Access on in the recorder, then `kind = "rda"` and `host`; '
        "see [](rda.md).",
    )

    def __init__(self, config: RdaConfig, clock: Clock) -> None:
        super().__init__(RdaClient(config), config, clock)
