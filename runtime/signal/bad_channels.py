"""Electrodes that have gone bad, found while the signal streams, and given back when they heal.

Each step of the stream is boiled down to a few sums per channel. About four times a second the
sums of the last second become statistics, each statistic is divided by the value at which it is
a fault, and a channel whose largest quotient stays above one for a while is masked.

Some criteria are absolute: no signal at all, samples at a rail. The others compare a channel with
those of its own kind by median and median absolute deviation, so that what happens to all of
them, a movement or a seizure, moves the yardstick too. Apart from the absolute ones, a criterion
that more than half of the channels fail at once is not believed. The features follow the offline
methods of [1]_ and [2]_: spectra and time course for intracranial channels, deviation, high
frequencies, mains and correlation with the neighbours for scalp ones.

References
----------
.. [1] Hattab et al. ABCD: automated bad channel detection. J. Neural Eng. 21(4), 2024.
.. [2] Bigdely-Shamlo et al. The PREP pipeline. Front. Neuroinform. 9:16, 2015.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from ..messages import BRAIN, Samples, StreamSpec
from .channel_statistics import LEAST_STEPS, WINDOW_S, ChannelStatistics, StepSums

Floats = NDArray[np.float64]

_REFRESH_S = 0.25
_LEAST_TO_COMPARE = 6
_DENSE = 32  # scalp electrodes; 16 lie 6 cm apart and share too little
# With too few channels to compare: so faint and without low frequencies is an open input, so much
# hum is 70 % of the power, so little low frequency is noise.
_FAINT_UV, _HUM_ALONE, _WHITE_ALONE = 1.2, 1.2, 2.1
# High frequencies over standard deviation: white noise has 2.45, brain 0.2 to 1.2, muscle between.
_WHITE, _WHITISH = 1.9, 1.6
_RAMP = 7.0  # of the trend, together with an outlying amplitude; a single jump makes 6
_FORGIVING = 4  # evidence for a fault fades so much slower than it grows: faults come and go
_MOST = 10.0
_ABSURD = 5.0  # times an extreme amplitude: no movement and no seizure, but a wrong unit
# least and greatest robust spread of the logarithms that is believed: amplitude (three times),
# high frequencies, hum
_SPREADS = (
    np.array([[0.3], [0.3], [0.3], [0.25], [0.3]]),
    np.array([[0.4], [0.4], [0.45], [0.5], [0.45]]),
)
CAUSES = (
    "flat",
    "clipped",
    "disconnected",
    "noisy",
    "mains hum",
    "extreme amplitude",
    "drifting",
    "unlike its neighbours",
    "spiky",
    "steps",
    "not a number",
)
"""What can be wrong with an electrode, in plain words."""
# how much a criterion says about the cause when several are failed
_TELLING = np.array([[9.0], [4.0], [2.0], [0.7], [2.0], [1.0], [2.0], [0.5], [0.5], [6.0], [99.0]])
# what a common event can make of good channels: all but the first two and the last
_SHARED = np.array([cause not in ("flat", "clipped", "not a number") for cause in CAUSES])


@dataclass(frozen=True, slots=True, kw_only=True)
class BadChannelConfig:
    """When a channel is bad.

    Parameters
    ----------
    flat_eeg_uv, flat_ieeg_uv : float
        A standard deviation below this is no signal, on the scalp and inside.
    clipped_share : float
        Share of samples that may lie at a rail.
    outlier_z : float
        Distance from the median channel in robust standard deviations, for the logarithms of
        amplitude, high frequencies and mains hum.
    line_ratio : float
        Mains amplitude over that of the frequencies beside it, above which hum can be a fault.
    least_correlation : float
        Scalp channels only, and only in a cap of 32 or more, where every electrode has near
        neighbours: least correlation with the channels most like it.
    trend : float
        Length of a straight line through the last second, over the deviation about it.
    kurtosis : float
        Of the differences over 4 ms or one sample; 3 is normal.
    steps_per_s : float
        Jumps to another level that may come in a second.
    extreme_eeg_uv, extreme_ieeg_uv : float
        A standard deviation above this is no brain.
    on_s : float
        How long a fault must last.
    off_s : float
        How long ago the last sign of a fault must be before a channel is used again.

    Raises
    ------
    ConfigError
        If a value is outside its range.
    """

    flat_eeg_uv: float = 0.1
    flat_ieeg_uv: float = 0.5
    clipped_share: float = 0.01
    outlier_z: float = 5.0
    line_ratio: float = 5.0
    least_correlation: float = 0.4
    trend: float = 8.0
    kurtosis: float = 30.0
    steps_per_s: float = 2.0
    extreme_eeg_uv: float = 1000.0
    extreme_ieeg_uv: float = 5000.0
    on_s: float = 1.0
    off_s: float = 5.0

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if not 0 < value < np.inf:
                raise ConfigError(
                    f"bad_channels.{one.name} must be positive and finite, got {value!r}."
                )
        for name in ("clipped_share", "least_correlation"):
            if getattr(self, name) >= 1:
                raise ConfigError(
                    f"bad_channels.{name} is a share, less than 1, got {getattr(self, name)!r}."
                )
        if self.on_s > 10 or not WINDOW_S <= self.off_s <= 120:
            raise ConfigError(
                f"bad_channels.on_s may be at most 10 s, and off_s must be in {WINDOW_S:g} to "
                f"120 s, got {self.on_s:g} and {self.off_s:g}."
            )


class BadChannels:
    """Says which channels can be used, from the raw signal, step by step.

    Parameters
    ----------
    config : BadChannelConfig
        When a channel is bad.
    spec : StreamSpec
        The rows that will be shown, raw and in microvolts. Channels are compared with those of
        the same kind, if there are at least six.
    step : int
        Samples in a step, about 64 ms.
    line_hz : float
        Mains frequency; 0 looks at 50 and 60 Hz both.

    Raises
    ------
    ConfigError
        If a step is empty or longer than a quarter of a second.
    """

    def __init__(
        self, config: BadChannelConfig, spec: StreamSpec, step: int, line_hz: float = 0.0
    ) -> None:
        if not 1 <= step <= _REFRESH_S * spec.rate_hz:
            raise ConfigError(
                f"A step must have 1 to {_REFRESH_S * spec.rate_hz:g} samples ({_REFRESH_S:g} s), "
                f"got {step}: take about 64 ms, or leave bad_channels out of a stream so slow."
            )
        n, kinds = spec.n_channels, np.array([channel.kind for channel in spec.channels])
        self._config, self._step_s = config, step / spec.rate_hz
        self._scalp, self._brain = kinds == "eeg", np.isin(kinds, BRAIN)
        self._groups = [np.flatnonzero(kinds == kind) for kind in BRAIN]
        self._groups = [rows for rows in self._groups if len(rows) >= _LEAST_TO_COMPARE]
        self._compared = np.isin(np.arange(n), np.concatenate([*self._groups, []]))
        mains_hz = tuple(
            f for f in ((line_hz,) if line_hz else (50.0, 60.0)) if f < 0.45 * spec.rate_hz
        )
        dense = self._scalp.sum() >= _DENSE
        self._sums = StepSums(n, spec.rate_hz, step, mains_hz, self._scalp & self._compared & dense)
        self._refresh = max(1, round(_REFRESH_S / self._step_s))
        self._usable = np.ones(n, bool)
        self._scores = np.ones(n)
        self._causes = ("",) * n
        self._seen_s = np.zeros(n)
        self._gone_s = np.zeros(n)

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Which channels can be used, shape (n_channels,); never changed in place."""
        return self._usable

    @property
    def scores(self) -> Floats:
        """Quality of the signal now, 0 (unusable) to 1 (clean), shape (n_channels,)."""
        return self._scores

    @property
    def causes(self) -> tuple[str, ...]:
        """What is wrong with each channel, in plain words; empty where nothing is."""
        return self._causes

    def restart(self) -> None:
        """Samples were lost: forget the last second, keep the verdicts."""
        self._sums.restart()

    def look(self, samples: Samples, first_sample: int) -> bool:
        """Take the next step.

        Parameters
        ----------
        samples : ndarray, shape (n_channels, step)
            Raw signal in microvolts.
        first_sample : int
            Stream index of its first sample.

        Returns
        -------
        changed : bool
            True if `usable` is another array than before.
        """
        sums, turn = self._sums, self._refresh
        with np.errstate(all="ignore"):  # an electrode may give anything, NaN included
            sums.add(samples)
            phase = sums.n_seen % turn
            # the work of a refresh is spread over its steps
            if phase == turn // 2:
                sums.correlate()
            if phase == 3 * turn // 4:
                sums.measure_mains()
            if phase or sums.n_seen < max(LEAST_STEPS, sums.n_steps // 2):
                return False
            return self._judge(self._excess(sums.statistics()))

    def _excess(self, of: ChannelStatistics) -> Floats:
        """Each statistic over the value at which it is a fault, (n_criteria, n_channels)."""
        config, scalp, alone = self._config, self._scalp, ~self._compared
        strong, strong_whole, faint, high, hum = self._outlying(of)
        own = of.high_uv / of.recent_sd_uv
        extreme = of.sd_uv / np.where(scalp, config.extreme_eeg_uv, config.extreme_ieeg_uv)
        faint = np.where(alone, _FAINT_UV / of.recent_sd_uv, faint)
        high = np.where(alone, own / _WHITE_ALONE, high)
        hum = np.where(alone, of.hum_uv / of.sd_uv / _HUM_ALONE, hum)
        excess = np.array(
            [
                np.where(scalp, config.flat_eeg_uv, config.flat_ieeg_uv) / of.recent_sd_uv,
                of.clipped / config.clipped_share,
                np.maximum(np.where(alone, 0, faint), np.minimum(own / _WHITE, 2.5 * faint)),
                np.maximum(high, np.where(scalp, 0, np.minimum(own / _WHITISH, 2 * high))),
                np.minimum(of.hum_ratio / config.line_ratio, hum),
                np.maximum(strong, extreme),
                np.maximum(of.trend / config.trend, np.minimum(of.trend / _RAMP, strong_whole)),
                np.where(scalp, (1 - of.correlation) / (1 - config.least_correlation), 0),
                of.kurtosis / config.kurtosis,
                of.steps / config.steps_per_s,
                np.where(np.isfinite(of.sd_uv), 0, np.inf),
            ]
        )
        excess[2:-1, ~self._brain] = 0  # what is no brain may look like anything
        excess = np.clip(np.nan_to_num(excess), 0, _MOST)
        absurd = np.where(extreme >= _ABSURD, excess[5], 0)
        believed = self._believed(excess)
        believed[5] = np.maximum(believed[5], absurd)  # a wrong unit befalls all channels alike
        return believed

    def _outlying(self, of: ChannelStatistics) -> Floats:
        """How far amplitude, faintness, high frequencies and hum lie above those of the others.

        In units of `outlier_z`; 0 where there are too few to compare with. Masked channels are
        no yardstick, and the spread has a ceiling, because faults that have not been found yet
        are in it.
        """
        values = np.array([of.sd_uv, of.whole_sd_uv, 1 / of.recent_sd_uv, of.high_uv, of.hum_uv])
        logs, z = np.log(np.clip(values, 1e-6, 1e9)), np.zeros_like(values)
        for rows in self._groups:
            good = rows[self._usable[rows]]
            them = good if len(good) >= max(_LEAST_TO_COMPARE, len(rows) // 2) else rows
            ordered, half = logs[:, them], len(them) // 2
            middle = np.partition(ordered, half, axis=1)[:, half, None]
            spread = np.partition(np.abs(ordered - middle), half, axis=1)[:, half, None]
            z[:, rows] = (logs[:, rows] - middle) / np.clip(1.4826 * spread, *_SPREADS)
        return z / self._config.outlier_z

    def _believed(self, excess: Floats) -> Floats:
        """Without the criteria that most channels of a kind fail at once, where that can be."""
        for rows in self._groups:
            most = (excess[:, rows] >= 1).mean(axis=1) > 0.5
            shared = np.flatnonzero(most & _SHARED)
            excess[shared[:, None], rows] = 0
        return excess

    def _judge(self, excess: Floats) -> bool:
        """Hysteresis: a fault must last, and must be gone for long."""
        worst, value = np.where(excess >= 1, excess * _TELLING, 0).argmax(0), excess.max(0)
        bad, passed_s = value >= 1, self._refresh * self._step_s
        self._scores = self._scores + 0.3 * (np.clip(2 - 1.5 * value, 0, 1) - self._scores)
        self._seen_s = np.clip(
            self._seen_s + np.where(bad, passed_s, -passed_s / _FORGIVING), 0, self._config.on_s
        )
        self._gone_s = np.where(bad, 0, self._gone_s + passed_s)
        # With the shortest on_s and off_s these limits are 0 or less, which a channel without any
        # fault would reach, and one that still has it.
        off = ~self._usable & ~bad & (self._gone_s >= self._config.off_s - WINDOW_S)
        on = self._usable & (self._seen_s > 0) & (self._seen_s >= self._config.on_s - passed_s / 2)
        self._seen_s[off] = 0
        usable = (self._usable & ~on) | off
        if not (usable.all() and self._usable.all()):
            self._causes = tuple(
                "" if good else (CAUSES[cause] if sick else before or CAUSES[cause])
                for good, sick, cause, before in zip(usable, bad, worst, self._causes, strict=True)
            )
        changed = bool((usable != self._usable).any())
        if changed:
            self._usable = usable
        return changed
