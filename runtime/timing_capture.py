"""Collects what a measurement of timing needs: one channel's onsets, markers, and their clock.

Signal is looked at a minute at a time and then forgotten, so that hours fit into little memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fnmatch import fnmatchcase

import numpy as np
from numpy.typing import NDArray

from .errors import RecordingError
from .messages import Chunk, Marker, StreamSpec
from .stages import Clock, Source
from .timing import Times, TimingReport, Tolerances, analyse
from .timing_matching import MatchConfig
from .timing_onsets import OnsetConfig, find_onsets

_LOOK_S = 60.0
_BEFORE_S = 10.0  # looked at once more, so that levels are known from the first sample on
_MARGIN_S = 1.0  # what begins in the last second is left for the next look
_ANCHOR_S = 1.0
_READ_S = 0.05
_PATIENCE_NS = 200_000_000


class Moments:
    """Which sample belongs to which moment of the sender's clock, to fractions of a sample.

    Stamps scatter, because many devices stamp whole packets. The median over a second follows
    the clock and not the scatter.

    Parameters
    ----------
    rate_hz : float
        Nominal rate.
    """

    def __init__(self, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        self._origin_s = math.nan
        self._waiting: list[tuple[float, float]] = []
        self._at_s: list[float] = []
        self._ahead: list[float] = []

    def add(self, sample: int, stamp_s: float) -> None:
        """Learn the stamp of a sample; later ones come later.

        Parameters
        ----------
        sample : int
            Stream index.
        stamp_s : float
            Its time; NaN is passed over.
        """
        if not math.isfinite(stamp_s):
            return
        if math.isnan(self._origin_s):
            self._origin_s = stamp_s
        since_s = stamp_s - self._origin_s
        if self._waiting and since_s - self._waiting[0][0] >= _ANCHOR_S:
            self._settle()
        self._waiting.append((since_s, sample - since_s * self._rate_hz))

    @property
    def known(self) -> bool:
        """Whether anything was stamped."""
        return not math.isnan(self._origin_s)

    def samples(self, stamps_s: Times) -> Times:
        """Stream indices of moments, in fractions of a sample.

        Parameters
        ----------
        stamps_s : ndarray, shape (n,)
            In the same clock.

        Returns
        -------
        samples : ndarray, shape (n,)
            Before the first stamp and after the last at the nominal rate.
        """
        if self._waiting:
            self._settle()
        since_s = np.asarray(stamps_s, np.float64) - self._origin_s
        return np.asarray(since_s * self._rate_hz + np.interp(since_s, self._at_s, self._ahead))

    def _settle(self) -> None:
        at_s, ahead = np.median(np.array(self._waiting), axis=0)
        self._at_s.append(float(at_s))
        self._ahead.append(float(ahead))
        self._waiting.clear()


class TimingCapture:
    """Takes chunks and says what they show.

    Parameters
    ----------
    spec : StreamSpec
        The stream.
    channel : str
        Name of the channel with the sensor.
    labels : str
        Which markers count: patterns with ``*``, commas between.
    config : OnsetConfig, optional
        How onsets are found.

    Raises
    ------
    RecordingError
        If there is no such channel.
    """

    def __init__(
        self, spec: StreamSpec, channel: str, labels: str = "*", config: OnsetConfig | None = None
    ) -> None:
        if channel not in spec.channel_names:
            names = ", ".join(spec.channel_names[:40])
            raise RecordingError(f"There is no channel {channel!r}; the stream has: {names}.")
        self.spec = spec
        self._row = spec.channel_names.index(channel)
        self._channel = channel
        self._patterns = tuple(one.strip() for one in labels.split(",") if one.strip())
        self._labels = labels
        self._config = config or OnsetConfig()
        self._moments = Moments(spec.rate_hz)
        self._parts: list[tuple[int, NDArray[np.floating]]] = []
        self._done = self._stop = 0
        self._onsets: list[NDArray[np.float64]] = []
        self._markers: list[Marker] = []
        self._others: set[str] = set()
        self._refusal = ""

    @property
    def n_markers(self) -> int:
        """Markers that count, so far."""
        return len(self._markers)

    @property
    def seconds(self) -> float:
        """How much signal has come."""
        return self._stop / self.spec.rate_hz

    def add(self, chunk: Chunk) -> None:
        """Take what a source has read.

        Parameters
        ----------
        chunk : Chunk
            In order.
        """
        for marker in chunk.markers:
            self._hear(marker)
        if not chunk.samples.shape[1]:
            return
        self._moments.add(chunk.stop_sample - 1, chunk.lsl_corrected_s)
        self.add_signal(chunk.samples[self._row].copy(), chunk.first_sample)

    def add_signal(self, values: NDArray[np.floating], first_sample: int) -> None:
        """Take samples of the channel alone; what is between two calls counts as lost.

        Parameters
        ----------
        values : ndarray, shape (n_times,)
            Kept: hand over memory of your own.
        first_sample : int
            Stream index of the first.
        """
        self._parts.append((first_sample, values))
        self._stop = first_sample + len(values)
        if self._stop - self._done >= (_LOOK_S + _MARGIN_S) * self.spec.rate_hz:
            self._look(self._stop - round(_MARGIN_S * self.spec.rate_hz))

    def add_markers(self, markers: tuple[Marker, ...]) -> None:
        """Take markers by themselves."""
        for marker in markers:
            self._hear(marker)

    def add_moment(self, sample: int, stamp_s: float) -> None:
        """Take the stamp of a sample by itself."""
        self._moments.add(sample, stamp_s)

    def report(
        self, matching: MatchConfig | None = None, tolerances: Tolerances | None = None
    ) -> TimingReport:
        """What has been seen so far; more may follow.

        Parameters
        ----------
        matching, tolerances : optional
            See `analyse`.

        Returns
        -------
        report : TimingReport
            Of all that came.

        Raises
        ------
        RecordingError
            If there are no markers, no onsets, or too few that belong together.
        """
        self._look(self._stop)
        markers, fine = self._places()
        if not len(markers):
            heard = ", ".join(sorted(self._others)[:20]) or "none at all"
            raise RecordingError(
                f"No marker fits {self._labels!r}; there were: {heard}. Check --markers, and that "
                f"the task's marker stream is read with the signal."
            )
        onsets = np.concatenate(self._onsets) if self._onsets else np.empty(0)
        if not len(onsets) and self._refusal:
            raise RecordingError(f"Channel {self._channel!r}: {self._refusal}")
        return analyse(
            markers, onsets, self.spec.rate_hz, matching=matching, tolerances=tolerances, fine=fine
        )

    def _hear(self, marker: Marker) -> None:
        if any(fnmatchcase(marker.label, pattern) for pattern in self._patterns):
            self._markers.append(marker)
        elif len(self._others) < 100:
            self._others.add(marker.label)

    def _places(self) -> tuple[Times, bool]:
        """Stream indices of the markers, and whether they have fractions."""
        whole = np.array([marker.sample for marker in self._markers], np.float64)
        stamps_s = np.array([marker.lsl_corrected_s for marker in self._markers])
        if not (self._moments.known and len(whole) and np.isfinite(stamps_s).all()):
            return whole, False
        return self._moments.samples(stamps_s), True

    def _look(self, stop: int) -> None:
        """Find the onsets up to a stream index, and forget the signal before it."""
        if stop <= self._done or not self._parts:
            return
        first = self._parts[0][0]
        signal = np.full(self._stop - first, np.nan, np.float32)
        for at, values in self._parts:
            signal[at - first : at - first + len(values)] = values
        try:
            found = find_onsets(signal, self.spec.rate_hz, self._config, first).samples
        except RecordingError as error:
            # A minute without a flash is no fault; if there never is one, the report says so.
            self._refusal = str(error)
            found = np.empty(0)
        self._onsets.append(found[(found >= self._done) & (found < stop)])
        self._done = stop
        keep = stop - round(_BEFORE_S * self.spec.rate_hz)
        self._parts = [(at, values) for at, values in self._parts if at + len(values) > keep]


def capture_live(
    source: Source,
    clock: Clock,
    open_capture: Callable[[StreamSpec], TimingCapture],
    *,
    seconds: float,
    on_progress: Callable[[TimingCapture], None] = lambda capture: None,
    stop: Callable[[], bool] = lambda: False,
) -> TimingCapture:
    """Read a source for a while; open it before, close it after.

    Parameters
    ----------
    source : Source
        Not yet open.
    clock : Clock
        The source's.
    open_capture : callable
        From the stream's description to what takes its chunks; may refuse it.
    seconds : float
        For how long, or until the source ends.
    on_progress : callable
        Told after each piece of signal.
    stop : callable
        Says whether a person wants an end.

    Returns
    -------
    capture : TimingCapture
        With all that came.
    """
    source.open()
    try:
        capture = open_capture(source.spec)
        wanted = max(1, round(_READ_S * source.spec.rate_hz))
        until_ns = clock.now_ns() + round(seconds * 1e9)
        while not (source.ended or stop()) and (now_ns := clock.now_ns()) < until_ns:
            chunk = source.read(wanted, min(until_ns, now_ns + _PATIENCE_NS))
            if chunk is not None:
                capture.add(chunk)
            on_progress(capture)
        return capture
    finally:
        source.close()
