"""Research guard for high-frequency oscillations: it counts them, and shuts nothing.

A ripple (80 to 250 Hz) or a fast ripple (250 to 500 Hz) is a handful of cycles that stand out of
the band. What rises above the usual envelope is looked at again before it is believed, because a
sharp wave or a pop makes every band-pass ring: there must be enough cycles of nearly equal
height, they must be a peak of the spectrum and not a slope of it, and few channels may show them
at once.

Ripples need 1 kHz, fast ripples 2 kHz, and an amplifier that passes them.

References
----------
Staba et al. Quantitative analysis of high-frequency oscillations (80-500 Hz) recorded in
human epileptic hippocampus and entorhinal cortex. Journal of Neurophysiology, 2002.
Benar et al. Pitfalls of high-pass filtering for detecting epileptic oscillations: a
technical note on "false" ripples. Clinical Neurophysiology, 2010.
Burnos et al. Human intracranial high frequency oscillations (HFOs) detected by automatic
time-frequency analysis. PLoS ONE, 2014.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from ..messages import EventKind, Samples, StreamSpec
from .blocks import BlockBank, block_length
from .envelopes import (
    Floats,
    LogNormal,
    Runs,
    listing,
    mains_notch,
    require,
    smoothing,
    thinned,
    thinning,
)
from .filters import band_pass
from .monitors import Finding

RIPPLE_HZ = (80.0, 250.0)
FAST_RIPPLE_HZ = (250.0, 500.0)

_KINDS = ("ripple-like", "fast-ripple-like")
_NEEDED_HZ = (1000.0, 2000.0)
_FRAME_S = 0.002
_SMOOTH_S = 0.004  # shorter ones follow the waves of 80 Hz
_LONGEST_S = 0.15
_LOOK_BACK_S = 0.3
_SNIPPET_S = 0.1
_MEMORY_S = 10.0
_SPARSE = 4  # neighbouring frames of a smooth envelope say the same
_SMALLEST_UV = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class RippleConfig:
    """When an oscillation is called a ripple.

    Parameters
    ----------
    ratio : float
        How far the envelope must stand above its median, 1.5 to 20.
    deviations : float
        How far it must stand above the mean of its logarithm, in standard deviations, 1 to 10;
        whichever of the two is higher decides.
    cycles : float
        Fewest cycles above that height, 2 to 12.
    island : float
        How far the spectrum at the ripple must stand above the rest of it, 1 to 20.
    share : float
        Largest share of channels that may show it at once, in (0, 1]; two may always.
    line_hz : float
        Mains frequency to notch first; 0 for none, else 40 to 70 Hz.
    """

    ratio: float = 3.0
    deviations: float = 4.0
    cycles: float = 4.0
    island: float = 4.0
    share: float = 0.3
    line_hz: float = 0.0

    def __post_init__(self) -> None:
        require("ripples.ratio", self.ratio, 1.5, 20)
        require("ripples.deviations", self.deviations, 1, 10)
        require("ripples.cycles", self.cycles, 2, 12)
        require("ripples.island", self.island, 1, 20)
        if self.line_hz:
            require("ripples.line_hz", self.line_hz, 40, 70)
        if not 0 < self.share <= 1:
            raise ConfigError(f"ripples.share must be in (0, 1], got {self.share:g}.")


class RippleGuard:
    """Looks for high-frequency oscillations; a `Monitor`.

    A channel is silent until it has been usable for ten seconds.

    Parameters
    ----------
    config : RippleConfig
        When to speak.
    spec : StreamSpec
        The raw signal; below 2 kHz only ripples are looked for.
    step : int
        Samples in every call of `look`.

    Raises
    ------
    ConfigError
        If the rate is below 1 kHz.
    """

    def __init__(self, config: RippleConfig, spec: StreamSpec, step: int) -> None:
        if spec.rate_hz < _NEEDED_HZ[0]:
            raise ConfigError(
                f"Ripples need a rate of {_NEEDED_HZ[0]:g} Hz or more, got {spec.rate_hz:g} Hz; "
                f"leave the ripple guard out."
            )
        self._config, self._step = config, step
        self._names = spec.channel_names
        self._every = thinning(spec.rate_hz, step, _NEEDED_HZ[1])
        self._rate_hz = spec.rate_hz / self._every
        self._bands_hz = [
            band
            for band, needed_hz in zip((RIPPLE_HZ, FAST_RIPPLE_HZ), _NEEDED_HZ, strict=True)
            if spec.rate_hz >= needed_hz
        ]
        n_times = step // self._every
        block = math.gcd(n_times, block_length(self._rate_hz))
        front = mains_notch(config.line_hz, self._rate_hz)
        bands = [band_pass(*edges, 3, self._rate_hz) for edges in self._bands_hz]
        self._bank = BlockBank(front, bands, spec.n_channels, block)
        self._frame = thinning(self._rate_hz, block, 1 / _FRAME_S)
        n_rows = len(bands) * spec.n_channels
        frame_hz = self._rate_hz / self._frame
        self._filtered = np.empty((spec.n_channels, len(bands), n_times))
        sos = smoothing(_SMOOTH_S, frame_hz)
        self._smooth = BlockBank([sos], [], n_rows, n_times // self._frame)
        columns = len(range(0, n_times // self._frame, _SPARSE)) * spec.rate_hz / step
        self._usual = LogNormal(n_rows, _MEMORY_S * columns)
        n_parts = math.ceil(_LOOK_BACK_S * spec.rate_hz / step) + 1
        self._past: deque[tuple[Samples, Floats]] = deque(maxlen=n_parts)
        self._runs = Runs(n_rows, self._frame * self._every)
        self._settle = math.ceil(0.2 * spec.rate_hz / step)
        self._shown: NDArray[np.bool_] = np.zeros(n_rows, bool)
        self._unsettled = 0
        self.restart()

    def restart(self) -> None:
        """Samples were lost: the filters start anew, what is usual stays known."""
        self._bank.restart()
        self._smooth.restart()
        self._past.clear()
        self._runs.restart()
        self._shown[:] = False
        self._unsettled = self._settle

    def look(
        self, samples: Samples, first_sample: int, usable: NDArray[np.bool_]
    ) -> tuple[Finding, ...]:
        """Take the next step.

        Parameters
        ----------
        samples : ndarray, shape (n_channels, step)
            Raw signal in microvolts.
        first_sample : int
            Stream index of the first column.
        usable : ndarray of bool, shape (n_channels,)
            False where the electrode is bad.

        Returns
        -------
        findings : tuple of Finding
            At most one of each band, over the channels that show it.
        """
        thin = thinned(samples, self._every)
        envelopes = self._envelopes(thin)
        if self._unsettled:
            self._unsettled -= 1
            return ()
        self._past.append((thin.copy(), self._filtered.copy()))
        rows = np.tile(usable, len(self._bands_hz))
        limit = self._limits()
        # A sine whose peaks reach the limit has 0.7 of it as its root mean square.
        above = (envelopes > 0.7 * limit[:, None]) & (self._usual.known & rows)[:, None]
        runs = self._runs.ended(above, first_sample)
        shown = np.asarray(above.any(axis=1))
        few = self._few(shown | self._shown, usable)
        self._shown = shown
        found = [
            (row, first, stop)
            for row, first, stop in runs
            if few[row // len(self._names)]
            and self._is_ripple(row, first, stop, first_sample + self._step, limit[row])
        ]
        self._learn(envelopes, limit, rows)
        return self._say(found) if found else ()

    def _envelopes(self, thin: Samples) -> Floats:
        """Root mean square of each band in short frames, all channels of the first band first."""
        n_times = self._bank.n_times
        for start in range(0, thin.shape[1], n_times):
            block = thin[:, start : start + n_times]
            self._filtered[:, :, start : start + n_times] = self._bank.process(block)
        power = np.square(self._filtered.swapaxes(0, 1).reshape(self._usual.mean.size, -1))
        power = self._smooth.process(thinned(power, self._frame))[:, 0]
        return np.sqrt(np.maximum(power, _SMALLEST_UV**2))

    def _limits(self) -> Floats:
        usual, config = self._usual, self._config
        above = np.maximum(math.log(config.ratio), config.deviations * usual.deviation())
        return np.asarray(np.exp(usual.mean + above))

    def _learn(self, envelopes: Floats, limit: Floats, rows: NDArray[np.bool_]) -> None:
        logs = np.log(envelopes[:, ::_SPARSE])
        ceiling = np.where(self._usual.known, np.log(limit), np.inf)
        self._usual.learn(np.minimum(logs, ceiling[:, None], out=logs), rows)

    def _few(self, shown: NDArray[np.bool_], usable: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """For each band: whether what rose lately did so in few channels."""
        most = max(2, math.floor(self._config.share * np.count_nonzero(usable)))
        counts = np.count_nonzero(shown.reshape(-1, len(self._names)), axis=1)
        return np.asarray(counts <= most)

    def _is_ripple(self, row: int, first: int, stop: int, newest: int, limit: float) -> bool:
        """Look again at what rose: its length, its cycles, its spectrum."""
        band, channel = divmod(row, len(self._names))
        length_s = (stop - first) / (self._rate_hz * self._every)
        if not self._config.cycles / self._bands_hz[band][1] <= length_s <= _LONGEST_S:
            return False
        raw = np.concatenate([thin[channel] for thin, _ in self._past])
        filtered = np.concatenate([bands[channel, band] for _, bands in self._past])
        end = len(raw) - (newest - stop) // self._every
        begin = end - (stop - first) // self._every
        if begin < 0 or self._cycles(filtered[begin:end], limit) < self._config.cycles:
            return False
        return self._island(raw, (begin + end) // 2, band)

    def _cycles(self, part: Floats, limit: float) -> float:
        """Half-waves that reach the limit, by two."""
        size = np.abs(part)
        tops = (size[1:-1] > size[:-2]) & (size[1:-1] >= size[2:]) & (size[1:-1] > limit)
        return np.count_nonzero(tops) / 2

    def _island(self, raw: Floats, middle: int, band: int) -> bool:
        """Whether the spectrum has a peak in the band: the slope of a sharp wave has none."""
        half = round(_SNIPPET_S / 2 * self._rate_hz)
        # The derivative makes the spectrum of a step flat, and of the background nearly so.
        slope = np.diff(raw[max(0, middle - half) : middle + half])
        slope = (slope - slope.mean()) * np.hanning(len(slope))
        power = np.square(np.abs(np.fft.rfft(slope)))
        at_hz = np.fft.rfftfreq(len(slope), 1 / self._rate_hz)
        low, high = self._bands_hz[band]
        inside = np.flatnonzero((at_hz >= low) & (at_hz <= high))
        if not len(inside):
            return False
        peak_hz = at_hz[inside[np.argmax(power[inside])]]
        near = np.abs(at_hz - peak_hz) <= 20
        below = (at_hz >= 0.4 * peak_hz) & (at_hz < 0.75 * peak_hz)
        beyond = (at_hz > 1.25 * peak_hz) & (at_hz < min(2.5 * peak_hz, 0.45 * self._rate_hz))
        rest = max(power[below].mean(), power[beyond].mean() if beyond.any() else 0.0)
        return bool(power[near].mean() > self._config.island * rest)

    def _say(self, found: list[tuple[int, int, int]]) -> tuple[Finding, ...]:
        findings = []
        n_channels = len(self._names)
        for band in range(len(self._bands_hz)):
            here = [event for event in found if event[0] // n_channels == band]
            if not here:
                continue
            rows = tuple(sorted({row % n_channels for row, _, _ in here}))
            where = listing([self._names[row] for row in rows])
            findings.append(
                Finding(
                    kind=EventKind.RIPPLE,
                    first=min(first for _, first, _ in here),
                    stop=max(stop for _, _, stop in here),
                    rows=rows,
                    text=f"Research guard, not a diagnosis: {_KINDS[band]} activity in {where}.",
                )
            )
        return tuple(findings)
