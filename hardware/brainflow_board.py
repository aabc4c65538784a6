"""Any board that BrainFlow knows, as a source: OpenBCI, Muse, Unicorn, ANT Neuro and others.

The library hands over all that a board sends as one table, a row for each kind of value, and has
no call that waits: it is asked every few milliseconds. That adds `POLL_S` at most, half of it on
average, to the time that a sample takes.

References
----------
Parfenov, A. BrainFlow: a library to obtain, parse and analyse EEG, EMG, ECG and other kinds of
data from biosensors. brainflow.org, 2018.
"""

from __future__ import annotations

import json
import threading
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..runtime.catalog import nearest
from ..runtime.device_record import DeviceRecord
from ..runtime.errors import (
    ConfigError,
    LinkLost,
    SchemaMismatch,
    SourceUnavailable,
    UnknownName,
)
from ..runtime.messages import StreamSpec
from ..runtime.received import Sent
from ..runtime.stages import Clock
from .brainflow_channels import KINDS, board_channels
from .linked import Block, LinkConfig, LinkedSource
from .package_count import Counter, PackageCount

POLL_S = 0.004
"""How often the library is asked, in seconds; asking takes it about 0.1 ms."""

COUNTERS: Mapping[str, Counter] = MappingProxyType(
    {
        "SYNTHETIC_BOARD": Counter(turn=256),
        "CYTON_BOARD": Counter(turn=256),
        "CYTON_DAISY_BOARD": Counter(turn=256, step=2),
        "FREEEEG32_BOARD": Counter(turn=256),
        "MUSE_2_BOARD": Counter(turn=65_536, per_number=12),
        "MUSE_S_BOARD": Counter(turn=65_536, per_number=12),
        "MUSE_2016_BOARD": Counter(turn=65_536, per_number=12),
        # A 32-bit count that comes as float32: from 2**24 on, after 18 h, it cannot be followed.
        "UNICORN_BOARD": Counter(turn=2**32),
    }
)
"""Boards whose package counter is understood; losses of the others are seen by time alone."""

_SETTLE_S = 0.1  # what was held up on its way comes within this
_KEPT_S = 60  # in the library's own ring, while this process does not get to run
_RELAYS = ("PLAYBACK_FILE_BOARD", "STREAMING_BOARD")
_HINTS = {
    "PORT_ALREADY_OPEN_ERROR": "close the other program that uses the port",
    "UNABLE_TO_OPEN_PORT_ERROR": (
        "check that it is plugged in or paired, that source.serial_port or source.mac_address "
        "names it, and that you may use the port"
    ),
    "BOARD_NOT_READY_ERROR": "switch it on and bring it near",
    "ANOTHER_BOARD_IS_CREATED_ERROR": "close the other session that holds it",
    "GENERAL_ERROR": "check that it is switched on, and that its maker's driver is installed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BrainFlowConfig(LinkConfig):
    """Which board, and what BrainFlow needs to find it.

    BrainFlow's page "Supported Boards" says which of the settings a board needs; those that it
    does not need stay empty.

    Parameters
    ----------
    board : str
        Its name in BrainFlow's ``BoardIds``, in capitals or not: ``"CYTON_BOARD"``.
    serial_port, mac_address, ip_address, serial_number, other_info : str
        Where the board is, and which one it is.
    ip_port, ip_protocol : int
        Its port; 1 for UDP or 2 for TCP.
    file : str
        Recording to play, for ``"PLAYBACK_FILE_BOARD"``.
    master_board : str
        Name of the board that made the file or sends the stream, for ``"PLAYBACK_FILE_BOARD"``
        and ``"STREAMING_BOARD"``.
    timeout_s : int
        How long BrainFlow looks for the board itself, in whole seconds, 0 for its own choice.
    command : str
        Sent to the board before it starts, as BrainFlow's ``config_board``; empty for none.
    electrodes : str
        What they record: ``"eeg"``, ``"eog"``, ``"emg"`` or ``"ecg"``. Empty takes all,
        each as the first of these for which BrainFlow lists it.
    names : tuple of str
        Where the electrodes are, in the board's order; empty takes the names that BrainFlow
        gives, and ``EEG1``, ``EEG2``, ... where it has none.
    others : bool
        Whether accelerometer, light and whatever else the board sends come along, as channels of
        kind ``"misc"`` in the board's own units.
    silence_s : float
        After so long without a sample the board counts as lost, 0.5 to 600 s.
    wait_s, buffer_s : float
        As in `LinkConfig`.
    """

    board: str
    serial_port: str = ""
    mac_address: str = ""
    ip_address: str = ""
    ip_port: int = 0
    ip_protocol: int = 0
    serial_number: str = ""
    other_info: str = ""
    file: str = ""
    master_board: str = ""
    timeout_s: int = 0
    command: str = ""
    electrodes: str = ""
    names: tuple[str, ...] = ()
    others: bool = False
    silence_s: float = 5.0

    def __post_init__(self) -> None:
        LinkConfig.__post_init__(self)
        if not self.board:
            raise ConfigError(
                'source.board is empty: give the name that BrainFlow has for it, "CYTON_BOARD".'
            )
        if self.electrodes not in ("", *KINDS):
            raise ConfigError(
                f"source.electrodes is {self.electrodes!r}, allowed are {', '.join(KINDS)}, "
                f"or nothing for all that the board has."
            )
        if self.board.upper() in _RELAYS and not self.master_board:
            raise ConfigError(
                f"source.master_board is empty, but {self.board.upper()} only passes on what "
                f"another board sent: give that board's name."
            )
        if not 0.5 <= self.silence_s <= 600:
            raise ConfigError(f"source.silence_s must be in [0.5, 600] s, got {self.silence_s} s.")
        if not (0 <= self.ip_port <= 65_535 and self.timeout_s >= 0):
            raise ConfigError(
                f"source.ip_port must be in [0, 65535] and source.timeout_s not negative, got "
                f"{self.ip_port} and {self.timeout_s}; 0 leaves them to the board."
            )


class BrainFlowClient:
    """One board, asked again and again for what has come.

    Parameters
    ----------
    config : BrainFlowConfig
        Which board.
    clock : Clock
        The machine's monotonic clock.

    Notes
    -----
    The stamps that BrainFlow gives are those of this machine's wall clock when a package came,
    and that clock may step. So the board's counter says what was lost, and where a board has none
    that is understood (`COUNTERS`), a monotonic clock does: of those boards a pause of less than
    0.25 s is never taken for a loss.
    """

    def __init__(self, config: BrainFlowConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._session: Any = None
        self._closed = threading.Event()

    def connect(self, wait_s: float) -> StreamSpec:
        """Start the board; see `Client.connect`."""
        library = _library()
        board = _board_id(library, self._config.board)
        master = _board_id(library, self._config.master_board or self._config.board)
        self._closed.clear()
        self._ends = board.name == "PLAYBACK_FILE_BOARD"
        try:
            self._session = library.BoardShim(board, self._parameters(library, master))
            self._session.prepare_session()
            rate_hz = float(self._session.get_board_sampling_rate())
            if self._config.command:
                self._session.config_board(self._config.command)
            self._session.start_stream(max(1000, round(_KEPT_S * rate_hz)))
            self._described = library.BoardShim.get_board_descr(master)
        except library.BrainFlowError as error:
            self.close()
            raise self._refusal(library, board, error) from error
        self._count = PackageCount(COUNTERS.get(master.name, Counter()), rate_hz)
        self._heard_s = self._now_s()
        return self._spec(board, rate_hz)

    def receive(self, timeout_s: float) -> Sequence[Block]:
        """What has come; see `Client.receive`."""
        deadline_s = self._now_s() + timeout_s
        while not (table := self._fetch()).shape[1]:
            now_s = self._now_s()
            if now_s - self._heard_s > self._config.silence_s and not self._ends:
                raise LinkLost(
                    f"The board {self._config.board!r} has sent nothing for "
                    f"{self._config.silence_s:g} s."
                )
            if now_s >= deadline_s or self._closed.wait(POLL_S):
                return ()
        self._heard_s = self._now_s()
        if self._count.asks(self._heard_s):
            self._closed.wait(_SETTLE_S)
            table = np.concatenate((table, self._fetch()), axis=1)
            self._heard_s = self._now_s()
        return self._blocks(table, self._heard_s)

    def close(self) -> None:
        """Stop the board and let it go; see `Client.close`."""
        self._closed.set()
        session, self._session = self._session, None
        if session is not None:
            library = _library()
            for step in (session.stop_stream, session.release_session):
                try:
                    step()
                except library.BrainFlowError:
                    continue  # it was not streaming, or is gone

    def _now_s(self) -> float:
        return self._clock.now_ns() / 1e9

    def _fetch(self) -> NDArray[np.float64]:
        """All that the library holds, shape (n_rows, n_times)."""
        session = self._session
        if session is None:
            raise LinkLost("The board was closed.")
        try:
            table: NDArray[np.float64] = session.get_board_data()
        except _library().BrainFlowError as error:
            raise LinkLost(f"The board {self._config.board!r} broke off ({error}).") from error
        return table

    def _blocks(self, table: NDArray[np.float64], now_s: float) -> list[Block]:
        """Cut what came wherever samples were lost."""
        counted = self._described.get("package_num_channel")
        packages = np.full(table.shape[1], np.nan) if counted is None else table[counted]
        numbers = self._count.place(packages, now_s)
        signal = np.ascontiguousarray(table[self._rows].T)
        edges = [0, *(np.flatnonzero(np.diff(numbers) != 1) + 1).tolist(), len(numbers)]
        marked = self._markers(table, numbers)
        return [
            Block(
                values=signal[start:stop],
                number=int(numbers[start]),
                markers=[one for one in marked if numbers[start] <= one[0] <= numbers[stop - 1]],
            )
            for start, stop in pairwise(edges)
        ]

    def _markers(
        self, table: NDArray[np.float64], numbers: NDArray[np.int64]
    ) -> list[tuple[int, str]]:
        row = self._described.get("marker_channel")
        if row is None:
            return []
        return [
            (int(numbers[at]), f"{table[row, at]:g}") for at in np.flatnonzero(table[row]).tolist()
        ]

    def _spec(self, board: Any, rate_hz: float) -> StreamSpec:
        config = self._config
        self._rows, channels = board_channels(
            self._described, config.electrodes, config.names, others=config.others
        )
        if not 0 < rate_hz < 1e7:
            raise SchemaMismatch(f"The board {board.name} says it samples at {rate_hz:g} Hz.")
        which = config.serial_number or config.mac_address or config.serial_port
        which = which or config.ip_address or config.file
        return StreamSpec(
            name=f"brainflow-{board.name.removesuffix('_BOARD').lower().replace('_', '-')}",
            rate_hz=rate_hz,
            channels=channels,
            source_id=f"{board.name}:{which}" if which else board.name,
            sent=Sent(
                dtype="<f8",
                microvolts=(1.0,) * len(channels),
                description=json.dumps(self._described),
            ),
        )

    def _parameters(self, library: Any, master: Any) -> Any:
        config, parameters = self._config, library.BrainFlowInputParams()
        for key in (
            "serial_port", "mac_address", "ip_address", "ip_port", "ip_protocol",
            "serial_number", "other_info", "file",
        ):  # fmt: skip
            setattr(parameters, key, getattr(config, key))
        parameters.timeout = config.timeout_s
        if config.master_board:
            parameters.master_board = master
        return parameters

    def _refusal(self, library: Any, board: Any, error: Any) -> ConfigError | SourceUnavailable:
        code = library.BrainFlowExitCodes(error.exit_code).name
        if code in ("INVALID_ARGUMENTS_ERROR", "UNSUPPORTED_BOARD_ERROR"):
            return ConfigError(
                f"BrainFlow cannot use {board.name} with these settings ({code}): see its page "
                f"of supported boards for what this one needs, and on which systems it runs."
            )
        hint = _HINTS.get(code, "see BrainFlow's page of supported boards")
        return SourceUnavailable(f"The board {board.name} does not start ({code}): {hint}.")


class BrainFlowSource(LinkedSource):
    """A board, read through BrainFlow.

    Parameters
    ----------
    config : BrainFlowConfig
        Which board.
    clock : Clock
        The machine's monotonic clock.
    """

    Config = BrainFlowConfig
    tested = DeviceRecord(
        what="any board that BrainFlow knows: OpenBCI, g.tec Unicorn, Muse, ANT Neuro and others",
        against="BrainFlow's synthetic and playback boards, and its Cyton driver against a "
        "simulated Cyton on a pseudo-terminal that loses packages and is unplugged",
        never="any real board",
        connect='`kind = "brainflow"`, `board` by its name and what it needs, for example '
        "`serial_port`; see [](brainflow.md).",
        extra="brainflow",
    )

    def __init__(self, config: BrainFlowConfig, clock: Clock) -> None:
        super().__init__(BrainFlowClient(config, clock), config, clock)


@cache
def _library() -> Any:
    """BrainFlow's module of boards, with its own log off."""
    try:
        with warnings.catch_warnings():
            # It asks setuptools where its own file is, which warns of that being out of date.
            warnings.simplefilter("ignore")
            from brainflow import board_shim

            board_shim.BoardShim.disable_board_logger()
    except ImportError as error:
        raise ConfigError(
            f"The source 'brainflow' needs the library brainflow ({error}): "
            f'pip install "diverloop[brainflow]".'
        ) from error
    return board_shim


def _board_id(library: Any, name: str) -> Any:
    """The board of a name; `UnknownName` suggests another one."""
    known = {one.name: one for one in library.BoardIds if one.value != -100}
    if name.upper() not in known:
        raise UnknownName(f"BrainFlow knows no board {name!r}. {nearest(name.upper(), known)}")
    return known[name.upper()]
