"""What the signal does around a cue: band power for lasting tasks, averages for brief events."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ...messages import Chunk
from ..contents import Record

Floats = NDArray[np.floating]

# Cues that follow each other faster are events to average, not periods to measure power in.
_BRIEF_S = 1.5
_MOST_LABELS = 6
_MOST_CLASSES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Cues:
    """Which markers asked something of the participant.

    Parameters
    ----------
    labels : tuple of str
        The classes, in the model's order where there is a model.
    label_of : tuple of str
        Class of each cue, in order.
    samples : tuple of int
        Stream index of each cue.
    brief : bool
        True for events that are averaged (flashes), False for tasks that last seconds.
    rate_hz : float
        Of the stream.
    """

    labels: tuple[str, ...]
    label_of: tuple[str, ...]
    samples: tuple[int, ...]
    brief: bool
    rate_hz: float

    @property
    def before_s(self) -> float:
        """How long before a cue is looked at."""
        return 0.2 if self.brief else 2.0

    @property
    def after_s(self) -> float:
        """How long after a cue is looked at: not into the next one, if tasks last."""
        if self.brief:
            return 0.8
        apart_s = np.median(np.diff(self.samples)) / self.rate_hz if len(self.samples) > 1 else 5
        return float(np.clip(apart_s, 2.5, 5.0))


def find_cues(record: Record) -> Cues | None:
    """Pick the markers that are cues.

    Parameters
    ----------
    record : Record
        With a model, or with decisions, their classes are the cues; without either, labels that
        come at least three times.

    Returns
    -------
    cues : Cues or None
        None if there is none.
    """
    labels = classes_of(record)
    counts = Counter(marker.label for marker in record.markers)
    if not any(label in counts for label in labels):
        labels = tuple(sorted(label for label, n in counts.most_common(_MOST_LABELS) if n >= 3))
    found = [marker for marker in record.markers if marker.label in labels]
    if not found:
        return None
    samples = tuple(marker.sample for marker in found)
    rate_hz = record.spec.rate_hz
    known_brief = record.card is not None and record.card.task == "p300"
    apart_s = np.median(np.diff(samples)) / rate_hz if len(samples) > 1 else np.inf
    return Cues(
        labels=labels,
        label_of=tuple(marker.label for marker in found),
        samples=samples,
        brief=known_brief or bool(apart_s < _BRIEF_S),
        rate_hz=rate_hz,
    )


def classes_of(record: Record) -> tuple[str, ...]:
    """What the decoder could choose from; empty where nothing tells."""
    if record.card is not None:
        return record.card.classes
    return record.turns[0].decision.classes if record.turns else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """What was found around the cues of every class.

    Parameters
    ----------
    cues : Cues
        What was asked.
    used : tuple of int
        Trials of each class that were whole and are counted here.
    times_s : ndarray, shape (n_times,)
        Time from the cue; for power the middle of a window.
    freqs_hz : ndarray, shape (n_freqs,)
        Empty for averages.
    mean : ndarray
        Power: mean natural logarithm, (n_classes, n_channels, n_times, n_freqs).
        Averages: microvolts, (n_classes, n_channels, n_times).
    error : ndarray
        Averages: standard error, the shape of `mean`. Power: empty.
    effect : ndarray, shape (n_trials, n_channels)
        One number for each trial: change of log band power against the time before the cue, or
        the mean voltage from 250 to 450 ms.
    effect_label : tuple of str
        Class of each row of `effect`.
    band_hz : tuple of 2 float
        Band of `effect`.
    """

    cues: Cues
    used: tuple[int, ...]
    times_s: Floats
    freqs_hz: Floats
    mean: Floats
    error: Floats
    effect: Floats
    effect_label: tuple[str, ...]
    band_hz: tuple[float, float]

    @property
    def labels(self) -> tuple[str, ...]:
        """Classes with at least one trial, no more than a page can show."""
        pairs = zip(self.cues.labels, self.used, strict=True)
        return tuple(label for label, n in pairs if n)[:_MOST_CLASSES]

    @property
    def baseline(self) -> NDArray[np.bool_]:
        """Which times lie wholly before the cue."""
        return self.times_s <= -0.45 if self.freqs_hz.size else self.times_s < 0

    def log_change(self) -> Floats:
        """Change of power against the time before the cue.

        Returns
        -------
        change : ndarray, shape (n_classes, n_channels, n_times, n_freqs)
            Natural logarithm of the ratio: average it first, then ``expm1`` gives a share. -0.3
            as a share is 30 % less, the event-related desynchronisation of [1]_.

        References
        ----------
        .. [1] Pfurtscheller, Lopes da Silva. Event-related EEG/MEG synchronization and
           desynchronization: basic principles. Clinical Neurophysiology, 1999.
        """
        before = self.mean[:, :, self.baseline].mean(axis=2, keepdims=True)
        found: Floats = self.mean - before
        return found

    def of_class(self, label: str) -> Floats:
        """Mean effect of a class, shape (n_channels,); NaN without trials."""
        rows = [place for place, name in enumerate(self.effect_label) if name == label]
        return self.effect[rows].mean(axis=0) if rows else np.full(self.effect.shape[1], np.nan)

    def separation(self) -> Floats:
        """How far the first two classes lie apart in each channel, in pooled deviations."""
        pair = [label for label in self.cues.labels if label in self.effect_label][:2]
        spread = self.effect.std(axis=0) + 1e-12
        if len(pair) < 2:
            single: Floats = np.abs(self.effect.mean(axis=0)) / spread
            return single
        apart: Floats = np.abs(self.of_class(pair[0]) - self.of_class(pair[1])) / spread
        return apart


class Epochs:
    """Collects stretches around cues while the signal passes by; adds each up and forgets it.

    Parameters
    ----------
    cues : Cues
        Where to look.
    rows : ndarray of int
        Which channels.
    fast : bool
        Intracranial signal: look up to 120 Hz instead of 40.
    median_reference : bool
        Subtract the median over channels from every sample.
    """

    # A window of a second resolves 1 Hz; a fifth of a second between windows draws smoothly.
    _WINDOW_S, _STEP_S = 1.0, 0.2

    def __init__(
        self, cues: Cues, rows: NDArray[np.intp], *, fast: bool, median_reference: bool
    ) -> None:
        self._cues, self._rows = cues, rows
        self._top_hz, self._band_hz = (120.0, (70.0, 120.0)) if fast else (40.0, (8.0, 13.0))
        self._median_reference = median_reference
        self._before = round(cues.before_s * cues.rate_hz)
        self._length = self._before + round(cues.after_s * cues.rate_hz)
        self._pending: list[tuple[int, NDArray[np.float32]]] = []
        self._next_cue = 0
        # Six times the top keeps what boxcar averaging folds back below a few per cent.
        self._thin = max(1, int(cues.rate_hz // (6 * self._top_hz)))
        shape = (len(cues.labels),)
        self._count = np.zeros(shape, np.int64)
        self._sum: Floats = np.zeros(0)
        self._squares: Floats = np.zeros(0)
        self._effects: list[Floats] = []
        self._effect_labels: list[str] = []

    def take(self, chunk: Chunk) -> None:
        """Look at a chunk; they come in order."""
        cues = self._cues.samples
        while (
            self._next_cue < len(cues) and cues[self._next_cue] - self._before < chunk.stop_sample
        ):
            hole = np.full((len(self._rows), self._length), np.nan, np.float32)
            self._pending.append((self._next_cue, hole))
            self._next_cue += 1
        for number, epoch in self._pending:
            start = cues[number] - self._before
            first = max(start, chunk.first_sample)
            stop = min(start + self._length, chunk.stop_sample)
            if first < stop:
                there = slice(first - chunk.first_sample, stop - chunk.first_sample)
                epoch[:, first - start : stop - start] = chunk.samples[self._rows, there]
        done = [
            number
            for number, _ in self._pending
            if cues[number] - self._before + self._length <= chunk.stop_sample
        ]
        for number, epoch in self._pending[: len(done)]:
            self._add(number, epoch)
        del self._pending[: len(done)]

    def _add(self, number: int, epoch: NDArray[np.float32]) -> None:
        if not np.isfinite(epoch).all():
            return
        n_times = epoch.shape[1] // self._thin * self._thin
        thin = epoch[:, :n_times].reshape(len(epoch), -1, self._thin).mean(axis=2)
        if self._median_reference:
            thin -= np.median(thin, axis=0)
        found = self._average(thin) if self._cues.brief else self._power(thin)
        if not self._sum.size:
            self._sum = np.zeros((len(self._count), *found.shape))
            self._squares = np.zeros_like(self._sum)
        label = self._cues.label_of[number]
        place = self._cues.labels.index(label)
        self._count[place] += 1
        self._sum[place] += found
        self._squares[place] += found**2
        self._effects.append(self._effect(found))
        self._effect_labels.append(label)

    def _average(self, thin: Floats) -> Floats:
        before = self._times_s(thin.shape[1]) < 0
        settled: Floats = thin - thin[:, before].mean(axis=1, keepdims=True)
        return settled

    def _power(self, thin: Floats) -> Floats:
        """Natural logarithm of power, (n_channels, n_windows, n_freqs)."""
        rate_hz = self._cues.rate_hz / self._thin
        length, step = round(self._WINDOW_S * rate_hz), max(1, round(self._STEP_S * rate_hz))
        windows = sliding_window_view(thin, length, axis=1)[:, ::step]
        taper = np.hanning(length).astype(np.float32)
        level = windows.mean(axis=2, keepdims=True)
        power = np.abs(np.fft.rfft((windows - level) * taper, axis=2)) ** 2
        power *= 2 / (rate_hz * float((taper**2).sum()))
        # The floor, far below any amplifier's noise, is what a flat channel has instead of zero.
        logs: Floats = np.log(power[:, :, self._kept(length, rate_hz)] + 1e-8)
        return logs

    def _kept(self, length: int, rate_hz: float) -> NDArray[np.intp]:
        freqs_hz = np.fft.rfftfreq(length, 1 / rate_hz)
        return np.flatnonzero((freqs_hz >= 4) & (freqs_hz <= min(self._top_hz, 0.45 * rate_hz)))

    def _axes(self) -> tuple[Floats, Floats]:
        """Times and frequencies of what was added up."""
        if self._cues.brief:
            return self._times_s(self._sum.shape[-1]), np.zeros(0)
        rate_hz = self._cues.rate_hz / self._thin
        length, step = round(self._WINDOW_S * rate_hz), max(1, round(self._STEP_S * rate_hz))
        middles = (np.arange(self._sum.shape[2]) * step + length / 2) / rate_hz
        freqs_hz = np.fft.rfftfreq(length, 1 / rate_hz)[self._kept(length, rate_hz)]
        return middles - self._cues.before_s, freqs_hz

    def _times_s(self, n_times: int) -> Floats:
        return np.arange(n_times) * self._thin / self._cues.rate_hz - self._cues.before_s

    def _effect(self, found: Floats) -> Floats:
        times_s, freqs_hz = self._axes()
        if self._cues.brief:
            late = (times_s >= 0.25) & (times_s <= 0.45)
            voltage: Floats = found[:, late].mean(axis=1)
            return voltage
        inside = (freqs_hz >= self._band_hz[0]) & (freqs_hz <= self._band_hz[1])
        if not inside.any():
            return np.full(len(found), np.nan)
        band = found[:, :, inside].mean(axis=2)
        # People follow a cue after about half a second, and the window is a second long.
        during = band[:, times_s >= 1.0].mean(axis=1)
        change: Floats = during - band[:, times_s <= -0.45].mean(axis=1)
        return change

    def finish(self) -> Locked | None:
        """What was found, or None if no trial was whole."""
        if not self._count.sum():
            return None
        times_s, freqs_hz = self._axes()
        shape = (-1,) + (1,) * (self._sum.ndim - 1)
        n = np.where(self._count, self._count, np.nan).reshape(shape)
        mean = self._sum / n
        spread = np.sqrt(np.maximum(self._squares / n - mean**2, 0) / n)
        return Locked(
            cues=self._cues,
            used=tuple(self._count.tolist()),
            times_s=times_s,
            freqs_hz=freqs_hz,
            mean=mean,
            error=spread if self._cues.brief else np.zeros(0),
            effect=np.array(self._effects),
            effect_label=tuple(self._effect_labels),
            band_hz=self._band_hz,
        )
