"""A filter for the eye: causal, and of no consequence for what the decoder sees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import ConfigError
from ..runtime.signal.filters import Sos, SosFilter, band_pass, high_pass, notch, settle_samples
from .trace_store import TraceStore

PASSES = ("all", "from 1 Hz", "1 to 40 Hz")
"""Which frequencies may be shown."""
MAINS = (0, 50, 60)
"""Which mains frequency may be taken out; 0 takes out none."""

_ORDER = 2
_NOTCH_HZ = 2.0
_HARMONICS = 2.5  # of the mains frequency, up to where notches are set
_RUN_IN_S = 3.0  # beyond it a 1 Hz high-pass of order 2 is felt no more
_TAIL = 1024  # filtered samples kept, so that the next piece can begin a little earlier


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterChoice:
    """What a person wants to see.

    Parameters
    ----------
    passes : str
        One of `PASSES`.
    mains_hz : int
        One of `MAINS`.
    """

    passes: str = "all"
    mains_hz: int = 0

    def __post_init__(self) -> None:
        if self.passes not in PASSES or self.mains_hz not in MAINS:
            raise ConfigError(
                f"A view filter passes one of {PASSES} with mains of {MAINS} Hz taken out, got "
                f"{self.passes!r} and {self.mains_hz}: choose out of these."
            )

    @property
    def active(self) -> bool:
        """Whether anything is filtered at all."""
        return self != FilterChoice()

    @property
    def text(self) -> str:
        """What the panel says of it; empty without a filter."""
        parts = [self.passes] if self.passes != "all" else []
        parts += [f"without {self.mains_hz} Hz"] if self.mains_hz else []
        return f"view filter ({', '.join(parts)}): not what the decoder sees" if parts else ""

    def design(self, rate_hz: float) -> Sos:
        """The filter, as far as the rate allows one.

        Parameters
        ----------
        rate_hz : float
            Sampling rate.

        Returns
        -------
        sos : ndarray, shape (n_sections, 6)
            No section where nothing is to be filtered, or the stream is too slow for it.
        """
        parts: list[Sos] = [np.zeros((0, 6))]
        if self.passes == "1 to 40 Hz" and rate_hz > 80:
            parts.append(band_pass(1.0, 40.0, _ORDER, rate_hz))
        elif self.passes != "all" and rate_hz > 2:
            parts.append(high_pass(1.0, _ORDER, rate_hz))
        if self.mains_hz:
            parts.append(notch(self.mains_hz, _NOTCH_HZ, rate_hz, _HARMONICS * self.mains_hz))
        return np.concatenate(parts)


class TraceFilter:
    """Reads a store through a filter: goes on where it stopped, or runs in where it jumps.

    Parameters
    ----------
    store : TraceStore
        Where the signal is.
    choice : FilterChoice
        What to filter.
    channels : ndarray of int, shape (n_shown,)
        Which channels.
    """

    def __init__(self, store: TraceStore, choice: FilterChoice, channels: NDArray[np.intp]) -> None:
        self.choice = choice
        self._store, self._channels = store, channels
        sos = choice.design(store.rate_hz)
        self._idle = not len(sos)
        self._filter = SosFilter(sos)
        run_in_s = min(_RUN_IN_S, settle_samples(sos) / store.rate_hz)
        self._run_in = round(run_in_s * store.rate_hz)
        self._next = self._tail_first = 0
        self._tail: NDArray[np.floating] = np.zeros((0, len(channels)), np.float32)
        self._held: NDArray[np.floating] | None = None

    def read(self, first: int, stop: int) -> NDArray[np.floating]:
        """Samples of a stretch, filtered.

        Parameters
        ----------
        first, stop : int
            Stream indices, stop exclusive.

        Returns
        -------
        samples : ndarray, shape (n_times, n_shown)
            Microvolts; NaN where the store knows none. The filter holds the last value meanwhile.
        """
        if self._idle:
            return self._store.read(first, stop)[:, self._channels]
        if not self._tail_first <= first <= self._next or not len(self._tail):
            self._restart(max(first - self._run_in, min(self._store.first, first)))
        if stop > self._next:
            self._go_on(stop)
        wanted = self._tail[first - self._tail_first : stop - self._tail_first]
        self._tail = self._tail[-_TAIL:].copy() if len(self._tail) > 2 * _TAIL else self._tail
        self._tail_first = self._next - len(self._tail)
        return wanted

    def _restart(self, first: int) -> None:
        self._filter.restart()
        self._next = self._tail_first = first
        self._tail = self._tail[:0]
        self._held = None

    def _go_on(self, stop: int) -> None:
        rows = self._store.read(self._next, stop)[:, self._channels]
        missing = ~np.isfinite(rows)
        if missing.any():
            rows = _hold(rows, missing, self._held)
        self._held = rows[-1]
        filtered = self._filter.process(np.ascontiguousarray(rows.T)).T.astype(np.float32)
        filtered[missing] = np.nan
        self._tail = np.concatenate([self._tail, filtered])
        self._next = stop


def _hold(
    rows: NDArray[np.floating], missing: NDArray[np.bool_], before: NDArray[np.floating] | None
) -> NDArray[np.floating]:
    """The last value that was known, in place of each that is not.

    Before the first one of all, `before`; at a start the first one itself, so that it is no step.
    """
    if before is None:
        firsts = np.take_along_axis(rows, (~missing).argmax(axis=0)[None], axis=0)
        before = np.nan_to_num(firsts[0], posinf=0.0, neginf=0.0)
    places = np.where(missing, 0, np.arange(1, len(rows) + 1)[:, None])
    latest = np.maximum.accumulate(places, axis=0)
    return np.take_along_axis(np.concatenate([before[None], rows]), latest, axis=0)
