"""A recording as a source: the same samples, in the same pieces, at the same distances in time.

Pacing is the clock's business. On a monotonic clock a replay takes as long as the recording
did; on a virtual one it is over as soon as the loop has computed it. The source cannot tell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ..runtime.device_record import DeviceRecord
from ..runtime.errors import ConfigError, SourceError
from ..runtime.messages import Chunk, Event, EventKind, Marker, StreamSpec
from ..runtime.stages import Clock
from .bids_events import with_events
from .recordings import Recording, read_recording


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayConfig:
    """What to replay.

    Parameters
    ----------
    path : str
        The recording, in any format of `recordings.READERS`.
    chunk_s : float
        Length of the pieces in which samples arrive, in seconds, above 0 and at most 10.
    assume_unit : str, optional
        Unit of channels whose own unit is missing or unknown.
    stream : str, optional
        Name or type of the stream, for files that hold several.
    start_s, stop_s : float
        Stretch to replay, in seconds after the first sample; None is the end.
    events : str
        Table of events (BIDS ``_events.tsv``) whose rows take the place of the file's own markers;
        empty leaves those.
    """

    path: str
    chunk_s: float = 0.02
    assume_unit: str | None = None
    stream: str | None = None
    start_s: float = 0.0
    stop_s: float | None = None
    events: str = ""

    def __post_init__(self) -> None:
        if not self.path:
            raise ConfigError("path is empty; give the file of the recording to replay.")
        check_chunk_s(self.chunk_s)
        check_stretch_s(self.start_s, self.stop_s)


class ReplaySource:
    """A recording, read by the loop as if it were an amplifier.

    Parameters
    ----------
    config : ReplayConfig
        What to replay.
    clock : Clock
        Decides how fast it goes.
    recording : Recording, optional
        What to replay if it is in memory already; `ReplayConfig.path` is then only a name.

    Notes
    -----
    Sample ``i`` arrives ``(b / rate)`` seconds after `open`, where ``b`` is the end of its
    piece; pieces are cut at gaps. A chunk never reaches across a gap: the chunk behind it jumps
    in `Chunk.first_sample` and carries an event of kind `EventKind.GAP`. Markers inside a gap
    come with that chunk; those behind the last sample never come, because nothing carries them.
    """

    Config = ReplayConfig
    tested = DeviceRecord(
        what="a recording: XDF, EDF, BDF, BrainVision, FIF, EEGLAB or .npz",
        against="files of every format, whole and damaged, some of them from public data sets",
        never="other formats that MNE reads",
        connect='`kind = "replay"` and `path = "FILE"`; all but XDF and .npz need the extra.',
        extra="mne",
    )

    def __init__(
        self, config: ReplayConfig, clock: Clock, recording: Recording | None = None
    ) -> None:
        self._config = config
        self._clock = clock
        self._whole = recording
        self._excerpt: Recording | None = None
        self._blocks: tuple[tuple[int, int], ...] = ()
        self._next_block = 0
        self._next_marker = 0
        self._stopped_at = 0
        self._is_open = False
        self._open_ns = 0

    @property
    def recording(self) -> Recording:
        """The stretch that is replayed; read from its file when first asked for."""
        if self._excerpt is None:
            config = self._config
            whole = self._whole or read_recording(
                config.path, stream=config.stream, assume_unit=config.assume_unit
            )
            if config.events:
                whole = with_events(whole, config.events)
            self._excerpt = whole.excerpt(config.start_s, config.stop_s)
        return self._excerpt

    @property
    def spec(self) -> StreamSpec:
        """Rate and rows of the recording."""
        return self.recording.spec

    @property
    def ended(self) -> bool:
        """True once every recorded sample has been returned."""
        return bool(self._blocks) and self._next_block == len(self._blocks)

    def open(self) -> None:
        """Start from the beginning; the first piece arrives one `ReplayConfig.chunk_s` from now.

        Raises
        ------
        RecordingError
            If the file is missing, unreadable, or empty between the two limits.
        UnitError
            If a unit is unknown and none is assumed.
        """
        self._blocks = self.recording.blocks(
            max(1, round(self._config.chunk_s * self.spec.rate_hz))
        )
        self._next_block = self._next_marker = self._stopped_at = 0
        self._open_ns = self._clock.now_ns()
        self._is_open = True

    def read(self, wanted: int, until_ns: int) -> Chunk | None:
        """Wait for samples as `Source.read` says.

        Parameters
        ----------
        wanted : int
            How many samples to wait for. Fewer come at a gap, at the deadline and at the end;
            more if a piece is longer, or if the caller is late.
        until_ns : int
            Deadline, in nanoseconds of the clock.

        Returns
        -------
        chunk : Chunk or None
            What is there, or None at the deadline or after the end.
        """
        if not self._is_open:
            raise SourceError("read was called on a replay that is not open; call open() first.")
        first = self._next_block
        while self._joins(first) and self._wait(first, wanted, until_ns):
            self._next_block += 1
        return self._chunk(first) if self._next_block > first else None

    def close(self) -> None:
        """Stop; `open` would start from the beginning again."""
        self._is_open = False

    def _joins(self, first: int) -> bool:
        """Whether there is a next piece, and no gap between it and those already taken."""
        if self._next_block == len(self._blocks):
            return False
        if self._next_block == first:
            return True
        return self._blocks[self._next_block][0] == self._blocks[self._next_block - 1][1]

    def _wait(self, first: int, wanted: int, until_ns: int) -> bool:
        """Whether the next piece has arrived, after waiting for it if more is wanted."""
        arrival_ns = self._arrival_ns(self._next_block)
        if arrival_ns <= self._clock.now_ns():
            return True
        if self._next_block > first and self._taken(first) >= wanted:
            return False
        self._clock.wait_until(min(arrival_ns, until_ns))
        return arrival_ns <= max(until_ns, self._clock.now_ns())

    def _taken(self, first: int) -> int:
        """How many samples the pieces taken so far hold."""
        return self._blocks[self._next_block - 1][1] - self._blocks[first][0]

    def _arrival_ns(self, block: int) -> int:
        return self._open_ns + round(self._blocks[block][1] * 1e9 / self.spec.rate_hz)

    def _chunk(self, first: int) -> Chunk:
        start, stop = self._blocks[first][0], self._blocks[self._next_block - 1][1]
        now_ns = self._clock.now_ns()
        last_lsl_s = self.recording.lsl_s(stop - 1)
        events = self._gap(start, now_ns)
        self._stopped_at = stop
        return Chunk(
            samples=self.recording.samples[:, start:stop].copy(),
            first_sample=start,
            arrived_ns=now_ns,
            lsl_raw_s=last_lsl_s,
            lsl_corrected_s=last_lsl_s,
            markers=self._markers_before(stop),
            events=events,
        )

    def _gap(self, start: int, now_ns: int) -> tuple[Event, ...]:
        lost = start - self._stopped_at
        if not lost:
            return ()
        text = (
            f"{lost} samples ({lost / self.spec.rate_hz:.3f} s) were never recorded; "
            f"the stream continues behind them."
        )
        gap = Event(
            kind=EventKind.GAP, text=text, sample=self._stopped_at, count=lost, at_ns=now_ns
        )
        return (gap,)

    def _markers_before(self, stop: int) -> tuple[Marker, ...]:
        """Markers not returned yet, those inside the gap in front of a chunk included."""
        first, markers = self._next_marker, self.recording.markers
        while self._next_marker < len(markers) and markers[self._next_marker].sample < stop:
            self._next_marker += 1
        return tuple(self._on_grid(marker) for marker in markers[first : self._next_marker])

    def _on_grid(self, marker: Marker) -> Marker:
        """The marker with the time its sample has here, so that chunks and markers agree."""
        at_s = self.recording.lsl_s(marker.sample)
        return replace(marker, lsl_raw_s=at_s, lsl_corrected_s=at_s)


def check_chunk_s(chunk_s: float) -> None:
    """Refuse a length of pieces that cannot be replayed.

    Parameters
    ----------
    chunk_s : float
        Seconds.

    Raises
    ------
    ConfigError
        If it is not above 0 and at most 10.
    """
    if not 0 < chunk_s <= 10:
        raise ConfigError(
            f"chunk_s must be above 0 and at most 10 s, got {chunk_s}; amplifiers send about 0.02."
        )


def check_stretch_s(start_s: float, stop_s: float | None) -> None:
    """Refuse a stretch that holds nothing.

    Parameters
    ----------
    start_s, stop_s : float
        Seconds after the first sample; `stop_s` None is the end.

    Raises
    ------
    ConfigError
        If they are not finite, negative, or in the wrong order.
    """
    if not (math.isfinite(start_s) and start_s >= 0):
        raise ConfigError(f"start_s must be finite and at least 0 s, got {start_s}; use 0.")
    if stop_s is not None and not stop_s > start_s:
        raise ConfigError(
            f"stop_s must be above start_s = {start_s} s, got {stop_s}; leave it out for the end."
        )
