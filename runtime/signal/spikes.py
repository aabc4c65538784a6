"""Research guard for spike-like discharges, so that no window that one touches is decoded.

An interictal spike is a sharp wave of 20 to 200 ms. In the band from 10 to 60 Hz its envelope
stands far above what the channel usually does there, and that usual is close to log-normal. The
model of it forgets within seconds, so a threshold follows the state of the participant. Two more
bands tell what is not a spike: a blink has most of its energy below 7 Hz, a muscle above 65 Hz.

Everything runs forward in time: the envelope is a rectified signal behind a short low-pass, not a
Hilbert transform, and a spike is named when its envelope has come down again, 50 to 150 ms after
its peak. It is not a diagnosis, and was never measured against the judgement of physicians.

References
----------
Janca et al. Detection of interictal epileptiform discharges using signal envelope
distribution modelling. Brain Topography, 2015.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from ..messages import EventKind, Samples, StreamSpec
from .blocks import BlockBank
from .envelopes import (
    Floats,
    LogNormal,
    Runs,
    listing,
    mains_notch,
    muscle_band,
    muscle_share,
    require,
    smoothing,
    thinned,
    thinning,
)
from .filters import Sos, band_pass
from .monitors import Finding

_RATE_HZ = 400.0  # enough for the highest band that is looked at
_SLOW_HZ = (1.0, 7.0)
_SMOOTH_S = 0.008
_LOOK_BACK_S = 1.0
_CONTEXT_S = 0.4
_SMALLEST_UV = 1e-3
_TAIL = 2.5  # deviations beyond which a value counts as if it stood there


@dataclass(frozen=True, slots=True, kw_only=True)
class SpikeConfig:
    """When a sharp wave is called a spike.

    Parameters
    ----------
    ratio : float
        How far the envelope must stand above its median, 2 to 50.
    deviations : float
        How far it must stand above the mean of its logarithm, in standard deviations, 1 to 10;
        whichever of the two is higher decides.
    contrast : float
        How far it must stand above the 0.4 s before it, 1 to 20.
    memory_s : float
        How long the model of the background remembers, 2 to 60 s.
    shortest_s, longest_s : float
        Width of the envelope at half its height, ``0 < shortest < longest <= 0.4``.
    before_s, after_s : float
        What windows avoid beside the spike itself, 0 to 1 s each.
    line_hz : float
        Mains frequency to notch first; 0 for none, else 40 to 70 Hz.
    """

    ratio: float = 4.0
    deviations: float = 3.7
    contrast: float = 3.5
    memory_s: float = 8.0
    shortest_s: float = 0.02
    longest_s: float = 0.15
    before_s: float = 0.05
    after_s: float = 0.15
    line_hz: float = 0.0

    def __post_init__(self) -> None:
        require("spikes.ratio", self.ratio, 2, 50)
        require("spikes.deviations", self.deviations, 1, 10)
        require("spikes.contrast", self.contrast, 1, 20)
        require("spikes.memory_s", self.memory_s, 2, 60)
        require("spikes.before_s", self.before_s, 0, 1)
        require("spikes.after_s", self.after_s, 0, 1)
        if self.line_hz:
            require("spikes.line_hz", self.line_hz, 40, 70)
        if not 0 < self.shortest_s < self.longest_s <= 0.4:
            raise ConfigError(
                f"spikes.shortest_s and longest_s must satisfy 0 < shortest < longest <= 0.4 s, "
                f"got {self.shortest_s:g} and {self.longest_s:g}."
            )


class SpikeGuard:
    """Looks for spike-like discharges; a `Monitor`.

    A channel is silent until it has been usable for `SpikeConfig.memory_s`. A channel that cannot
    be used is neither looked at nor learnt from.

    Parameters
    ----------
    config : SpikeConfig
        When to speak.
    spec : StreamSpec
        The raw signal; at least 100 Hz.
    step : int
        Samples in every call of `look`.

    Raises
    ------
    ConfigError
        If the rate is too low for a spike to be seen.
    """

    def __init__(self, config: SpikeConfig, spec: StreamSpec, step: int) -> None:
        if spec.rate_hz < 100:
            raise ConfigError(
                f"Spikes are looked for at 100 Hz or more, got {spec.rate_hz:g} Hz; leave the "
                f"spike guard out."
            )
        self._config, self._step = config, step
        self._names = spec.channel_names
        self._every = thinning(spec.rate_hz, step, _RATE_HZ)
        self._rate_hz = spec.rate_hz / self._every
        self._scalp = np.array([channel.kind == "eeg" for channel in spec.channels])
        n_rows, n_frames = spec.n_channels, step // self._every
        self._bank = BlockBank(*self._filters(), n_rows, n_frames)
        self._muscle = muscle_share(self._rate_hz)
        n_rows *= self._bank.n_bands
        self._smooth = BlockBank([smoothing(_SMOOTH_S, self._rate_hz)], [], n_rows, n_frames)
        # Neighbouring frames of a smooth envelope say the same: every few milliseconds is enough.
        self._sparse = max(1, round(_SMOOTH_S * self._rate_hz))
        columns = len(range(0, n_frames, self._sparse)) * spec.rate_hz / step
        self._usual = LogNormal(n_rows, config.memory_s * columns)
        self._past: deque[Floats] = deque(maxlen=math.ceil(_LOOK_BACK_S / (step / spec.rate_hz)))
        self._runs = Runs(spec.n_channels, self._every)
        self._settle = math.ceil(0.5 * spec.rate_hz / step)
        self._waiting: list[tuple[int, int, int]] = []
        self._held = self._unsettled = self._told = 0
        self.restart()

    def restart(self) -> None:
        """Samples were lost: the filters start anew, what is usual stays known."""
        self._bank.restart()
        self._smooth.restart()
        self._past.clear()
        self._runs.restart()
        self._waiting, self._held = [], 0
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
            At most one spike, over all channels that show it.
        """
        envelopes = self._envelopes(samples)
        if self._unsettled:
            self._unsettled -= 1
            return ()
        self._past.append(envelopes)
        limit = self._limits()
        heights = envelopes[: len(limit)]
        known = self._usual.known[: len(limit)] & usable
        above = (heights > 0.6 * limit[:, None]) & known[:, None]
        newest = first_sample + self._step
        for row, first, stop in self._runs.ended(above, first_sample):
            # What lies in a stretch that windows avoid already is part of the same event.
            if stop > self._told and self._is_spike(row, stop - first, newest - stop, limit[row]):
                self._waiting.append((row, first, stop))
        self._learn(envelopes, usable)
        return self._say(above[:, -1])

    def _filters(self) -> tuple[list[Sos], list[Sos]]:
        """Mains notch in front; behind it where spikes are, blinks, and muscles if they fit."""
        rate_hz = self._rate_hz
        spikes = band_pass(10, min(60, 0.45 * rate_hz), 2, rate_hz)
        blinks = band_pass(*_SLOW_HZ, 2, rate_hz)
        front = mains_notch(self._config.line_hz, rate_hz)
        return front, [spikes, blinks, *muscle_band(rate_hz)]

    def _envelopes(self, samples: Samples) -> Floats:
        """Root mean square of each band, all channels of the first band first."""
        bands = self._bank.process(thinned(samples, self._every))
        power = np.square(bands.swapaxes(0, 1).reshape(-1, bands.shape[2]))
        # The low-pass has a positive response; rounding can still leave something below zero.
        return np.sqrt(np.maximum(self._smooth.process(power)[:, 0], _SMALLEST_UV**2))

    def _limits(self) -> Floats:
        """Height of a spike in each channel, in microvolts."""
        usual, config = self._usual, self._config
        n_channels = len(self._names)
        above = np.maximum(math.log(config.ratio), config.deviations * usual.deviation())
        return np.asarray(np.exp(usual.mean[:n_channels] + above[:n_channels]))

    def _learn(self, envelopes: Floats, usable: NDArray[np.bool_]) -> None:
        """What is high counts as less so: spikes do not make the next one invisible."""
        logs, usual = np.log(envelopes[:, :: self._sparse]), self._usual
        ceiling = np.where(usual.known, usual.mean + _TAIL * usual.deviation(), np.inf)
        np.minimum(logs, ceiling[:, None], out=logs)
        usual.learn(logs, np.tile(usable, self._bank.n_bands))

    def _is_spike(self, row: int, length: int, ago: int, limit: float) -> bool:
        """Whether what rose and fell in this row, so many samples long and ago, was a spike."""
        n_channels = len(self._names)
        height, *others = (
            np.concatenate([part[band * n_channels + row] for part in self._past])
            for band in range(self._bank.n_bands)
        )
        stop = len(height) - ago // self._every
        first = stop - length // self._every
        if first < 0 or (peak := height[first:stop].max()) < limit:
            return False
        before = height[max(0, first - round(_CONTEXT_S * self._rate_hz)) : first]
        # In a rhythm that waxes, a wave is little higher than the one before it.
        if before.size and peak < self._config.contrast * before.mean():
            return False
        width_s = np.count_nonzero(height[first:stop] > 0.5 * peak) / self._rate_hz
        if not self._config.shortest_s <= width_s <= self._config.longest_s:
            return False
        peaks = [float(peak), *(float(other[first:stop].max()) for other in others)]
        return not self._is_artefact(row, peaks)

    def _is_artefact(self, row: int, peaks: Sequence[float]) -> bool:
        """Whether the slow or the fast band rose more than a spike would make it."""
        if not self._scalp[row]:
            return False
        usual = np.exp(self._usual.mean[row :: len(self._names)])
        spike, slow, *fast = np.sqrt(np.maximum(0, np.square(peaks) - np.square(usual)))
        return bool(slow > 2 * spike or (fast and fast[0] > self._muscle * spike))

    def _say(self, still_above: NDArray[np.bool_]) -> tuple[Finding, ...]:
        """One finding for all channels; waits one step at most for those that are not down yet."""
        if not self._waiting:
            return ()
        if still_above.any() and not self._held:
            self._held = 1
            return ()
        rows = tuple(sorted({row for row, _, _ in self._waiting}))
        config, rate_hz = self._config, self._rate_hz * self._every
        first = min(first for _, first, _ in self._waiting) - round(config.before_s * rate_hz)
        stop = max(stop for _, _, stop in self._waiting) + round(config.after_s * rate_hz)
        self._waiting, self._held, self._told = [], 0, stop
        where = listing([self._names[row] for row in rows])
        text = f"Research guard, not a diagnosis: spike-like activity in {where}."
        return (
            Finding(kind=EventKind.SPIKE, first=max(0, first), stop=stop, rows=rows, text=text),
        )
