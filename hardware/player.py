"""A recording as a real LSL stream: signal on one outlet, markers on another.

What a consumer sees is a device: a full description of its channels in microvolts, chunks that
leave at absolute deadlines, time stamps on an exact grid, and nothing at all where the
recording has a gap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType

import numpy as np
import pylsl

from ..runtime.errors import ConfigError, SourceUnavailable
from ..runtime.stages import Clock
from .player_streams import event_info, event_labels, marker_info, signal_info
from .recordings import Recording, read_recording
from .replay import check_chunk_s, check_stretch_s

_LOOK_NS = 20_000_000  # how often to ask whether a consumer has come or gone
_MARKER_GRACE_NS = 1_000_000_000  # a consumer opens its two inlets one after the other
_DRAIN_NS = 1_000_000_000  # what a consumer gets to fetch the last chunk
_BUFFERED_S = 10  # a consumer further behind than this loses samples; liblsl's own is 360


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayerConfig:
    """What to play, and how.

    Parameters
    ----------
    path : str
        The recording, in any format of `recordings.READERS`.
    name : str
        Name of the signal stream; the markers' is this with ``-markers`` behind it.
    chunk_s : float
        Length of the pieces that are sent, in seconds of signal, above 0 and at most 10.
    wait_for_consumer_s : float
        How long to wait for somebody to connect, in seconds.
    events : bool
        Send the markers as numbers, too, on a stream called `name` with ``-annotations`` behind
        it, as MNE-LSL's ``EpochsStream`` wants them.
    loop : bool
        Start again at the end, with time stamps that go on, until stopped.
    speed : float
        How much faster than it was recorded, above 0 and at most 1000. The time stamps stay
        one nominal period apart, so at any other speed than 1 they run away from the LSL clock.
    assume_unit : str, optional
        Unit of channels whose own unit is missing or unknown.
    stream : str, optional
        Name or type of the stream, for files that hold several.
    start_s, stop_s : float
        Stretch to play, in seconds after the first sample; None is the end.
    """

    path: str
    name: str = "diverloop-player"
    chunk_s: float = 0.02
    wait_for_consumer_s: float = 60.0
    events: bool = False
    loop: bool = False
    speed: float = 1.0
    assume_unit: str | None = None
    stream: str | None = None
    start_s: float = 0.0
    stop_s: float | None = None

    def __post_init__(self) -> None:
        if not self.path or not self.name:
            raise ConfigError(
                f"path and name must not be empty, got {self.path!r} and {self.name!r}; "
                f"give the file of the recording and a name for the stream."
            )
        check_chunk_s(self.chunk_s)
        check_stretch_s(self.start_s, self.stop_s)
        if not 0 <= self.wait_for_consumer_s <= 86_400:
            raise ConfigError(
                f"wait_for_consumer_s must be between 0 and 86400 s, got "
                f"{self.wait_for_consumer_s}; 60 leaves time to start the other program."
            )
        if not 0 < self.speed <= 1000:
            raise ConfigError(
                f"speed must be above 0 and at most 1000, got {self.speed}; 1 is as recorded."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayReport:
    """What was really sent.

    Parameters
    ----------
    name : str
        Name of the signal stream.
    samples_sent, markers_sent : int
        How many left.
    samples_withheld : int
        Samples inside gaps that the playing passed, and that therefore did not leave.
    passes : int
        How often the recording was played to its end.
    stopped : bool
        True if it was told to stop before the end.
    worst_late_s : float
        How far the latest chunk left behind its deadline, in seconds.
    """

    name: str
    samples_sent: int
    markers_sent: int
    samples_withheld: int
    passes: int
    stopped: bool
    worst_late_s: float


def play(
    config: PlayerConfig,
    clock: Clock,
    *,
    on_progress: Callable[[float], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> PlayReport:
    """Serve a recording over LSL until its end, or until told to stop.

    Blocks the calling thread; `on_progress` and `stop` are called from it, once for every chunk.

    Parameters
    ----------
    config : PlayerConfig
        What to play.
    clock : Clock
        Decides when a chunk leaves.
    on_progress : callable, optional
        Gets the seconds of signal played so far, all passes together.
    stop : callable
        Asked before every wait; True ends the playing.

    Returns
    -------
    report : PlayReport
        What was sent.

    Raises
    ------
    RecordingError, UnitError
        If the recording cannot be opened.
    SourceUnavailable
        If nobody connects in time.
    """
    whole = read_recording(config.path, stream=config.stream, assume_unit=config.assume_unit)
    recording = whole.excerpt(config.start_s, config.stop_s)
    with _Outlets(recording, config.name, events=config.events) as outlets:
        found = outlets.found_consumer(clock, config.wait_for_consumer_s, stop)
        run = _Run(config, recording, outlets, clock)
        stopped = not found or run.send(on_progress or (lambda played_s: None), stop)
        outlets.drain(clock)
    return run.report(stopped=stopped)


class _Outlets:
    """The LSL outlets of a player, closed on leaving the block."""

    def __init__(self, recording: Recording, name: str, *, events: bool) -> None:
        self.name = name
        self._recording = recording
        # The markers' first: who finds the signal then finds its markers too.
        self._words = pylsl.StreamOutlet(marker_info(recording, name))
        self._labels = event_labels(recording) if events else []
        self._numbers: pylsl.StreamOutlet | None = None
        if self._labels:
            self._numbers = pylsl.StreamOutlet(event_info(recording, name))
        self._signal = pylsl.StreamOutlet(signal_info(recording, name), max_buffered=_BUFFERED_S)

    def __enter__(self) -> _Outlets:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # pylsl has no close: an outlet goes when its last reference does.
        del self._signal, self._words, self._numbers

    def found_consumer(self, clock: Clock, wait_s: float, stop: Callable[[], bool]) -> bool:
        """Wait until the signal has a consumer; False if told to stop meanwhile."""
        if not _await(lambda: self._consumed(self._signal) or stop(), clock, round(wait_s * 1e9)):
            raise SourceUnavailable(
                f"Nobody connected to the stream {self.name!r} within {wait_s:g} s; start the "
                f"program that reads it, or raise wait_for_consumer_s."
            )
        if self._recording.markers:
            _await(lambda: self._heard() or stop(), clock, _MARKER_GRACE_NS)
        return not stop()

    def drain(self, clock: Clock) -> None:
        """Stay a moment, so that what was sent last is fetched before the outlets go."""
        _await(
            lambda: not (self._consumed(self._signal) or self._heard()),
            clock,
            _DRAIN_NS,
        )

    def push(self, first: int, stop: int, last_s: float) -> None:
        """Send samples [first, stop) of the recording; `last_s` is the LSL time of the last."""
        block = np.ascontiguousarray(self._recording.samples[:, first:stop].T)
        self._signal.push_chunk(block, last_s)

    def say(self, label: str, at_s: float) -> None:
        """Send one marker with its LSL time."""
        self._words.push_sample([label], at_s)
        if self._numbers is not None:
            self._numbers.push_sample([float(label == one) for one in self._labels], at_s)

    def _heard(self) -> bool:
        """Whether anybody reads the markers, as words or as numbers."""
        numbers = self._numbers is not None and self._consumed(self._numbers)
        return numbers or self._consumed(self._words)

    @staticmethod
    def _consumed(outlet: pylsl.StreamOutlet) -> bool:
        return bool(outlet.have_consumers())


class _Run:
    """One playing: where it stands and what it has sent."""

    def __init__(
        self, config: PlayerConfig, recording: Recording, outlets: _Outlets, clock: Clock
    ) -> None:
        self._config = config
        self._recording = recording
        self._outlets = outlets
        self._clock = clock
        self._rate_hz = recording.spec.rate_hz
        self._start_ns = clock.now_ns()
        self._start_lsl_s = float(pylsl.local_clock())
        self._sent = self._said = self._withheld = self._passes = self._late_ns = 0

    def send(self, on_progress: Callable[[float], None], stop: Callable[[], bool]) -> bool:
        """Send everything at its time; True if told to stop before the end."""
        while True:
            for first, end in self._blocks():
                if stop():
                    return True
                self._send_block(first, end)
                on_progress((self._passes * self._recording.n_times + end) / self._rate_hz)
            self._finish_pass()
            if not self._config.loop:
                return False

    def _blocks(self) -> Iterator[tuple[int, int]]:
        return iter(self._recording.blocks(max(1, round(self._config.chunk_s * self._rate_hz))))

    def _send_block(self, first: int, end: int) -> None:
        base = self._passes * self._recording.n_times
        due_s = (base + end) / self._rate_hz / self._config.speed
        deadline_ns = self._start_ns + round(due_s * 1e9)
        self._clock.wait_until(deadline_ns)
        self._late_ns = max(self._late_ns, self._clock.now_ns() - deadline_ns)
        self._say_before(base, end)
        self._outlets.push(first, end, self._lsl_s(base + end - 1))
        self._sent += end - first
        self._withheld = base + end - self._sent

    def _finish_pass(self) -> None:
        """Account for a gap at the very end, and start to count the next pass."""
        base, n_times = self._passes * self._recording.n_times, self._recording.n_times
        self._say_before(base, n_times)
        self._withheld = base + n_times - self._sent
        self._passes += 1

    def _say_before(self, base: int, end: int) -> None:
        """Send the markers up to the end of a block, just ahead of their samples."""
        markers = self._recording.markers
        next_one = self._said - self._passes * len(markers)
        for marker in markers[next_one:]:
            if marker.sample >= end:
                return
            self._outlets.say(marker.label, self._lsl_s(base + marker.sample))
            self._said += 1

    def _lsl_s(self, sample: int) -> float:
        return self._start_lsl_s + sample / self._rate_hz

    def report(self, *, stopped: bool) -> PlayReport:
        """What has been sent so far."""
        return PlayReport(
            name=self._outlets.name,
            samples_sent=self._sent,
            markers_sent=self._said,
            samples_withheld=self._withheld,
            passes=self._passes,
            stopped=stopped,
            worst_late_s=self._late_ns / 1e9,
        )


def _await(happened: Callable[[], bool], clock: Clock, within_ns: int) -> bool:
    """Look again and again until something has happened; False if it has not in time."""
    deadline_ns = clock.now_ns() + within_ns
    while not happened():
        now_ns = clock.now_ns()
        if now_ns >= deadline_ns:
            return False
        clock.wait_until(min(now_ns + _LOOK_NS, deadline_ns))
    return True
