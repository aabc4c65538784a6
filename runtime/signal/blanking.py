"""Blanking: around a stimulation pulse the signal is held where it last was good.

The artefact of a pulse is thousands of times larger than the signal, and every filter would ring
with it. So it is taken out in front of the filters, from shortly before the marker that announces
it until some milliseconds after, and for as long as an amplifier stays saturated. What stands in
the gap is the last good sample of each channel, because the next one is not known yet.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from ..messages import Samples, StreamSpec

Span = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class BlankingConfig:
    """What announces a pulse, and how long it is felt.

    Parameters
    ----------
    labels : tuple of str
        Labels of the markers that announce one; none at all blanks nothing.
    before_s : float
        Blanked before the marker's sample, 0 to 0.1 s.
    after_s : float
        Blanked from the marker's sample on, 0 to 0.5 s.
    saturation_uv : float
        Magnitude at which the amplifier is at its end, in microvolts; 0 if it is not known.
    saturated_s : float
        A channel that has been saturated for longer keeps the blank open, 0 to 0.1 s.
    longest_s : float
        However saturated, a blank ends so long after its last pulse, `after_s` to 10 s.
    """

    labels: tuple[str, ...] = ()
    before_s: float = 0.001
    after_s: float = 0.015
    saturation_uv: float = 0.0
    saturated_s: float = 0.005
    longest_s: float = 0.5

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("before_s", self.before_s, 0.0, 0.1),
            ("after_s", self.after_s, 0.0, 0.5),
            ("saturated_s", self.saturated_s, 0.0, 0.1),
            ("longest_s", self.longest_s, self.after_s, 10.0),
        ):
            if not low <= value <= high:
                raise ConfigError(
                    f"blanking.{name} must be in {low:g} to {high:g} s, got {value:g} s."
                )
        if not self.saturation_uv >= 0:
            raise ConfigError(
                f"blanking.saturation_uv must be at least 0 uV (0: not known), got "
                f"{self.saturation_uv:g} uV."
            )


class Blanker:
    """Takes the artefact of pulses out of a stream.

    Any cut of the stream gives the same, as long as each pulse is announced before the first
    sample that it blanks has gone by.

    Parameters
    ----------
    config : BlankingConfig
        What announces a pulse, and how long it is felt.
    spec : StreamSpec
        The raw signal.
    """

    def __init__(self, config: BlankingConfig, spec: StreamSpec) -> None:
        rate_hz = spec.rate_hz
        self._labels = frozenset(config.labels)
        self._level = config.saturation_uv
        self._before = round(config.before_s * rate_hz)
        self._after = max(1 - self._before, round(config.after_s * rate_hz))
        self._patience = round(config.saturated_s * rate_hz)
        self._longest = max(self._after, round(config.longest_s * rate_hz))
        self._pulses: list[Span] = []
        self._saturated = np.zeros(spec.n_channels, np.int64)
        self._before_it = np.zeros(spec.n_channels, bool)
        self._held: Samples | None = None
        self._open = False
        self._next = 0

    def announce(self, sample: int, label: str) -> Span | None:
        """A marker has come.

        Parameters
        ----------
        sample : int
            Stream index of the marker.
        label : str
            What it says; other labels than those of the settings are ignored.

        Returns
        -------
        late : tuple of (int, int) or None
            First and stop sample of the stretch that should have been blanked, had it not gone by
            already: windows must leave it out. None if nothing is lost.
        """
        if label not in self._labels:
            return None
        first, stop = sample - self._before, sample + self._after
        if stop > self._next:
            # `longest` counts from the pulse, so the pulse is kept with its own end.
            self._pulses = sorted([*self._pulses, (first, sample)])
        return (max(0, first), min(stop, self._next)) if first < self._next else None

    def apply(self, samples: Samples, first_sample: int) -> tuple[Samples, tuple[Span, ...]]:
        """Blank what pulses touch in the next samples.

        Parameters
        ----------
        samples : ndarray, shape (n_channels, n_times)
            Raw signal in microvolts; not changed.
        first_sample : int
            Stream index of the first column.

        Returns
        -------
        blanked : ndarray, shape (n_channels, n_times)
            `samples` itself if nothing is blanked, else new memory of the same type.
        spans : tuple of (int, int)
            First and stop sample of every stretch that was.
        """
        if not samples.shape[1]:
            return samples, ()
        self._next = first_sample + samples.shape[1]
        bad = self._planned(first_sample, samples.shape[1])
        if self._level:
            self._extend(bad, samples, first_sample)
        self._pulses = [p for p in self._pulses if p[1] + self._longest > self._next]
        blanked = self._hold(samples, bad) if bad.any() else samples
        self._held = blanked[:, -1].copy()
        return blanked, _spans(bad, first_sample)

    def restart(self) -> None:
        """Samples were lost. Pulses stay announced, and the last good sample stays the last."""
        self._open = False
        self._saturated[:] = 0

    def _planned(self, first_sample: int, n_times: int) -> NDArray[np.bool_]:
        """Samples that lie in the fixed surroundings of a pulse."""
        bad = np.zeros(n_times, bool)
        for first, pulse in self._pulses:
            bad[max(0, first - first_sample) : max(0, pulse + self._after - first_sample)] = True
        return bad

    def _extend(self, bad: NDArray[np.bool_], samples: Samples, first_sample: int) -> None:
        """Keep a blank open while a channel that was well before it is saturated."""
        runs = _run_lengths(np.abs(samples) >= self._level, self._saturated)
        self._saturated = runs[:, -1].copy()
        if not (self._open or bad.any()):
            return
        for column in range(len(bad)):
            sample = first_sample + column
            if bad[column]:
                if not self._open:
                    # A late marker says nothing of what was before its pulse.
                    late = not column and self._has_begun_before(sample)
                    self._before_it = (runs[:, column] > 1) & (not late)
                    self._open = True
            elif self._open:
                stuck = (runs[:, column] > self._patience) & ~self._before_it
                bad[column] = self._open = bool(stuck.any()) and sample < self._last_stop(sample)

    def _has_begun_before(self, sample: int) -> bool:
        """Whether the fixed surroundings of a pulse hold this sample and the one before it."""
        return any(first < sample < pulse + self._after for first, pulse in self._pulses)

    def _last_stop(self, sample: int) -> int:
        """Where the blank around a sample must end at the latest."""
        return max((p + self._longest for first, p in self._pulses if first <= sample), default=0)

    def _hold(self, samples: Samples, bad: NDArray[np.bool_]) -> Samples:
        """The last good sample, again and again."""
        source = np.where(bad, -1, np.arange(len(bad)))
        np.maximum.accumulate(source, out=source)
        blanked = samples[:, source]
        if source[0] < 0:
            # At the very start there is nothing good: the first sample precedes the pulse itself.
            held = samples[:, 0] if self._held is None else self._held
            blanked[:, source < 0] = held[:, None]
        return blanked


def _run_lengths(true: NDArray[np.bool_], before: NDArray[np.int64]) -> NDArray[np.int64]:
    """How long each row has been true without a break, shape of `true`."""
    columns = np.arange(1, true.shape[1] + 1)
    broken = np.maximum.accumulate(np.where(true, 0, columns), axis=1)
    return np.where(broken == 0, before[:, None] + columns, columns - broken)


def _spans(bad: NDArray[np.bool_], first_sample: int) -> tuple[Span, ...]:
    """Stretches of true."""
    edges = np.flatnonzero(np.diff(bad, prepend=False, append=False)) + first_sample
    return tuple((int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True))
