"""Calibration data, cut by the live loop itself: the same stages, on a clock that jumps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .clock import VirtualClock
from .errors import RecordingError
from .feedback import EvidenceFeedback
from .loop import Loop
from .loop_config import LoopConfig, Stages
from .messages import Chunk, Decision, Embedding, Marker, Samples, StreamSpec, Window
from .paradigms.guided_plan import REJECT
from .stages import Conditioner, Encoder, Source
from .windows import WindowConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialSpan:
    """Which part of a trial counts.

    Parameters
    ----------
    classes : tuple of str
        Marker labels that begin a trial; other markers are passed over.
    start_s, stop_s : float
        From the marker to the first and to one past the last sample that counts.
    """

    classes: tuple[str, ...]
    start_s: float = 0.5
    stop_s: float = 4.0

    def label(self, cues: Sequence[Marker], place: int) -> str | None:
        """What a marker asks for.

        Parameters
        ----------
        cues : sequence of Marker
            Markers so far, in order.
        place : int
            Of the marker.

        Returns
        -------
        label : str or None
            A class; None if it begins no trial.
        """
        said = cues[place].label
        return said if said in self.classes else None

    def rejected(self, cues: Sequence[Marker], place: int) -> bool:
        """Whether a trial was found to be bad when it was recorded.

        Parameters
        ----------
        cues : sequence of Marker
            All markers, in order.
        place : int
            Of the trial's marker.

        Returns
        -------
        rejected : bool
            True if ``"reject"`` comes before the next trial begins.
        """
        for later in range(place + 1, len(cues)):
            if cues[later].label == REJECT:
                return True
            if self.label(cues, later) is not None:
                return False
        return False

    def trial_of(self, window: Window | Decision, cues: Sequence[Marker], rate_hz: float) -> int:
        """Which trial a window lies in.

        Parameters
        ----------
        window : Window or Decision
            The samples in question; one that is locked to a marker lies in that marker's trial.
        cues : sequence of Marker
            Markers so far, in order.
        rate_hz : float
            Rate of the stream.

        Returns
        -------
        trial : int
            Place of the trial's marker in `cues`, or -1 if the window lies in none, or reaches
            into the next.
        """
        for place in range(len(cues) - 1, -1, -1):
            if window.marker is not None:
                marker, cue = window.marker, cues[place]
                if (cue.sample, cue.label) == (marker.sample, marker.label):
                    return place if self.label(cues, place) is not None else -1
                continue
            since = window.first_sample - cues[place].sample
            label = self.label(cues, place)
            if since < 0:
                if label is not None and cues[place].sample < window.stop_sample:
                    return -1
                continue
            inside = (
                label is not None
                and since >= round(self.start_s * rate_hz)
                and window.stop_sample - cues[place].sample <= round(self.stop_s * rate_hz)
            )
            return place if inside else -1
        return -1


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeRecording(TrialSpan):
    """One trial that lasts as long as the recording, whatever markers it has."""

    classes: tuple[str, ...] = ("recording",)

    def label(self, cues: Sequence[Marker], place: int) -> str | None:
        """The only class."""
        return self.classes[0]

    def rejected(self, cues: Sequence[Marker], place: int) -> bool:
        """Never: what was bad in a trial says nothing of the whole."""
        return False

    def trial_of(self, window: Window | Decision, cues: Sequence[Marker], rate_hz: float) -> int:
        """The beginning."""
        return 0


START = Marker(label="", sample=0)
"""The beginning of every recording that is learnt from, as if there had been a marker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """Labelled windows of one recording.

    Parameters
    ----------
    windows : ndarray of float64, shape (n_windows, n_rows, n_times)
        Conditioned signal.
    labels : ndarray of str, shape (n_windows,)
        Class of each window.
    trials : ndarray of int, shape (n_windows,)
        Trial of each window, counted from 0.
    cues : ndarray of int, shape (n_windows,)
        Stream index of the marker that began it.
    stops : ndarray of int, shape (n_windows,)
        Stream index one past the last sample of each window.
    spec, conditioned : StreamSpec
        The stream before and after conditioning.
    n_samples : int
        Length of the recording.
    markers : tuple of Marker
        All of the recording, in order.
    usable : ndarray of bool, shape (n_windows, n_rows)
        False where a row was masked somewhere in a window.
    features : ndarray of float64, shape (n_windows, n_features), optional
        What an encoder that streams made of each window.
    """

    windows: Samples
    labels: NDArray[np.str_]
    trials: NDArray[np.int64]
    cues: NDArray[np.int64]
    stops: NDArray[np.int64]
    spec: StreamSpec
    conditioned: StreamSpec
    n_samples: int
    markers: tuple[Marker, ...]
    usable: NDArray[np.bool_]
    features: NDArray[np.float64] | None = None

    def whole(self) -> Collected:
        """The windows in which every row is good."""
        return self.only(np.logical_and.reduce(self.usable, axis=1))

    def only(self, keep: NDArray[np.bool_]) -> Collected:
        """Some of the windows.

        Parameters
        ----------
        keep : ndarray of bool, shape (n_windows,)
            Which.

        Returns
        -------
        collected : Collected
            Trials keep their numbers.
        """
        return replace(
            self,
            windows=self.windows[keep],
            labels=self.labels[keep],
            trials=self.trials[keep],
            cues=self.cues[keep],
            stops=self.stops[keep],
            usable=self.usable[keep],
            features=None if self.features is None else self.features[keep],
        )


def collect(
    source: Source,
    conditioner: Conditioner,
    clock: VirtualClock,
    *,
    window: WindowConfig,
    span: TrialSpan,
    every_s: float = 0.0,
    make_encoder: Callable[[StreamSpec], Encoder] | None = None,
) -> Collected:
    """Run the loop over a source and keep the windows that lie in trials.

    Parameters
    ----------
    source : Source
        A recording or a simulated participant, on `clock`.
    conditioner : Conditioner
        The one that will serve.
    clock : VirtualClock
        The source's clock.
    window : WindowConfig
        Length, and the step at which the loop cuts.
    span : TrialSpan
        Which windows count.
    every_s : float
        From one window that is kept to the next; 0 keeps each.
    make_encoder : callable, optional
        From the conditioned stream to an encoder that hears every window, as it will when it
        serves; its features are kept too.

    Returns
    -------
    collected : Collected
        In the order of the recording, without trials that were rejected.

    Raises
    ------
    RecordingError
        If no window lies in a trial, or all of them were rejected.
    """
    keeper = _Keeper(span, every_s, make_encoder)
    stages = Stages(
        source=_Overheard(source, keeper),
        conditioner=conditioner,
        encoder=keeper,
        adapter=keeper,
        feedback=EvidenceFeedback(),
    )
    # Nothing may be late here, nor overwritten, however long the recording's packets are (10 s
    # at most).
    config = LoopConfig(deadline_s=60.0, history_s=12.0)
    Loop(stages, clock=clock, window=window, config=config).run()
    if not keeper.windows:
        seen = sorted({cue.label for cue in keeper.markers[1:]})
        raise RecordingError(
            f"No window of {window.length_s:g} s lies between {span.start_s:g} and "
            f"{span.stop_s:g} s after a marker {' or '.join(span.classes)}; the markers are "
            f"{', '.join(seen) or 'none'}: choose classes from them, or a shorter window."
        )
    places = np.array(keeper.trials)
    bad = []
    if any(marker.label == REJECT for marker in keeper.markers):
        bad = [place for place in set(keeper.trials) if span.rejected(keeper.markers, place)]
    if len(bad) == len(set(keeper.trials)):
        raise RecordingError(
            f"All of the {len(bad)} trials were rejected when they were recorded (marker "
            f"{REJECT}): record again."
        )
    found = Collected(
        windows=np.stack(keeper.windows),
        labels=np.array([span.label(keeper.markers, place) for place in places]),
        cues=np.array([keeper.markers[place].sample for place in places]),
        stops=np.array(keeper.stops),
        trials=np.unique(places, return_inverse=True)[1].astype(np.int64),
        spec=source.spec,
        conditioned=keeper.conditioned,
        n_samples=keeper.n_samples,
        markers=tuple(keeper.markers[1:]),
        usable=np.stack(keeper.usable),
        features=np.stack(keeper.features) if keeper.features else None,
    )
    if not bad:
        return found
    kept = found.only(~np.isin(places, bad))
    return replace(kept, trials=np.unique(kept.trials, return_inverse=True)[1].astype(np.int64))


class _Keeper:
    """Encoder and adapter that keep windows instead of decoding them."""

    classes = ("none",)
    epoch = 0

    def __init__(
        self,
        span: TrialSpan,
        every_s: float,
        make_encoder: Callable[[StreamSpec], Encoder] | None,
    ) -> None:
        self._span, self._every_s = span, every_s
        self._make_encoder = make_encoder
        self._encoder: Encoder | None = None
        self._kept_at = -np.inf
        self.features: list[NDArray[np.floating]] = []
        self.markers: list[Marker] = [START]
        self.windows: list[Samples] = []
        self.trials: list[int] = []
        self.stops: list[int] = []
        self.usable: list[NDArray[np.bool_]] = []
        self.n_samples = 0
        self.rate_hz = 0.0

    def open(self, spec: StreamSpec, n_times: int) -> None:
        self.conditioned = spec
        if self._make_encoder is not None:
            self._encoder = self._make_encoder(spec)
            self._encoder.open(spec, n_times)

    def encode(self, window: Window) -> Embedding:
        said = self._encoder.encode(window) if self._encoder is not None else None
        trial = self._span.trial_of(window, self.markers, self.rate_hz)
        since = window.first_sample - self._kept_at
        if trial >= 0 and since >= round(self._every_s * self.rate_hz):
            self._kept_at = window.first_sample
            self.windows.append(window.samples.copy())
            if said is not None:
                self.features.append(said.values)
            self.trials.append(trial)
            self.stops.append(window.stop_sample)
            good = np.ones(len(window.samples), bool)
            self.usable.append(good if window.usable is None else window.usable.copy())
        return Embedding(values=np.zeros(1))

    def decide(self, embedding: Embedding, window: Window) -> Decision:
        nothing = np.full(1, np.nan)
        return Decision(classes=self.classes, probabilities=nothing, label=None, reason="kept")

    def close(self) -> None:
        if self._encoder is not None:
            self._encoder.close()


class _Overheard:
    """A source that tells the keeper of markers before the loop cuts windows."""

    def __init__(self, source: Source, keeper: _Keeper) -> None:
        self._source = source
        self._keeper = keeper

    @property
    def spec(self) -> StreamSpec:
        return self._source.spec

    @property
    def ended(self) -> bool:
        return self._source.ended

    def open(self) -> None:
        self._source.open()
        self._keeper.rate_hz = self._source.spec.rate_hz

    def read(self, wanted: int, until_ns: int) -> Chunk | None:
        chunk = self._source.read(wanted, until_ns)
        if chunk is not None:
            self._keeper.markers += chunk.markers
            self._keeper.n_samples += chunk.samples.shape[1]
        return chunk

    def close(self) -> None:
        self._source.close()
