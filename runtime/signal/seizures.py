"""Research guard for seizure-like activity: on suspicion the loop waits for a person.

Two figures of each channel are held against its own slow baseline, as implanted detectors do: the
line length of the signal from 3 to 45 Hz, which grows with amplitude and with frequency, and its
power from 3 to 30 Hz. Several channels must stand out together for seconds. A rhythm with closed
eyes, a spindle or a muscle may do one of it, rarely all.

The baseline stands still while something is suspected, so that a seizure cannot become the usual.
It is not a diagnosis, and was never measured against the judgement of physicians.

References
----------
Esteller et al. Line length: an efficient feature for seizure onset detection. EMBC, 2001.
Sun and Morrell. The RNS system: responsive cortical stimulation for the treatment of
refractory partial epilepsy. Expert Review of Medical Devices, 2014.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from ..messages import EventKind, Samples, StreamSpec
from .blocks import BlockBank
from .envelopes import (
    Floats,
    LogNormal,
    listing,
    mains_notch,
    muscle_band,
    muscle_share,
    require,
    thinned,
    thinning,
)
from .filters import Sos, band_pass
from .monitors import Finding

_RATE_HZ = 200.0
_LINE_HZ = (3.0, 45.0)
_POWER_HZ = (3.0, 30.0)
_RINGING_S = 1.0  # the filters forget 9 mV in less
_SMALLEST = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class SeizureConfig:
    """When activity is suspected to be a seizure.

    Parameters
    ----------
    line_ratio : float
        How far the line length must stand above its baseline, 1.2 to 20.
    power_ratio : float
        The same for power, 1 to 100.
    deviations : float
        How far both must stand above the baseline of their logarithms, in standard deviations,
        0 to 10.
    channels : int
        How many channels together, at least 1; all of them where a stream has fewer.
    hold_s : float
        For how long, 1 to 10 s.
    average_s : float
        Time constant of the figures, 0.1 to 5 s.
    baseline_s : float
        Time constant of the baseline, 10 to 600 s.
    learn_s : float
        How long a channel must have been usable before it counts, 5 to 600 s.
    frozen_s : float
        After this the baseline learns again even if the suspicion lasts, 30 to 3600 s: otherwise
        a change of state for good would be an alarm for good.
    calm_s : float
        Rest after which a new suspicion is a new one, 1 to 600 s.
    ceiling_uv : float
        A channel that spans more within one step is an artefact, 100 to 1e6 microvolts.
    line_hz : float
        Mains frequency to notch first; 0 for none, else 40 to 70 Hz. Strong mains hide a rise of
        the line length.
    """

    line_ratio: float = 1.9
    power_ratio: float = 3.0
    deviations: float = 2.0
    channels: int = 3
    hold_s: float = 3.0
    average_s: float = 0.7
    baseline_s: float = 45.0
    learn_s: float = 30.0
    frozen_s: float = 180.0
    calm_s: float = 10.0
    ceiling_uv: float = 5000.0
    line_hz: float = 0.0

    def __post_init__(self) -> None:
        require("seizures.line_ratio", self.line_ratio, 1.2, 20)
        require("seizures.power_ratio", self.power_ratio, 1, 100)
        require("seizures.deviations", self.deviations, 0, 10)
        require("seizures.hold_s", self.hold_s, 1, 10)
        require("seizures.average_s", self.average_s, 0.1, 5)
        require("seizures.baseline_s", self.baseline_s, 10, 600)
        require("seizures.learn_s", self.learn_s, 5, 600)
        require("seizures.frozen_s", self.frozen_s, 30, 3600)
        require("seizures.calm_s", self.calm_s, 1, 600)
        require("seizures.ceiling_uv", self.ceiling_uv, 100, 1e6)
        if self.line_hz:
            require("seizures.line_hz", self.line_hz, 40, 70)
        if self.channels < 1:
            raise ConfigError(f"seizures.channels must be at least 1, got {self.channels}.")


class SeizureGuard:
    """Looks for seizure-like activity; a `Monitor`.

    It cannot speak before `SeizureConfig.learn_s` of usable signal, 30 s unless set otherwise: a
    seizure that began before goes unseen. It speaks once an episode, in the very step in which
    the last condition is met.

    Parameters
    ----------
    config : SeizureConfig
        When to speak.
    spec : StreamSpec
        The raw signal; at least 100 Hz.
    step : int
        Samples in every call of `look`.

    Raises
    ------
    ConfigError
        If the rate is too low for the bands.
    """

    def __init__(self, config: SeizureConfig, spec: StreamSpec, step: int) -> None:
        if spec.rate_hz < 100:
            raise ConfigError(
                f"Seizures are looked for at 100 Hz or more, got {spec.rate_hz:g} Hz; leave the "
                f"seizure guard out."
            )
        self._config, self._step = config, step
        self._names = spec.channel_names
        self._step_s = step / spec.rate_hz
        self._every = thinning(spec.rate_hz, step, _RATE_HZ)
        self._rate_hz = spec.rate_hz / self._every
        self._scalp = np.array([channel.kind == "eeg" for channel in spec.channels])
        front = mains_notch(config.line_hz, self._rate_hz)
        self._bank = BlockBank(front, self._bands(), spec.n_channels, step // self._every)
        self._muscle = muscle_share(self._rate_hz)
        self._share = -math.expm1(-self._step_s / config.average_s)
        self._usual = LogNormal(
            self._bank.n_bands * spec.n_channels,
            config.baseline_s / self._step_s,
            config.learn_s / self._step_s,
        )
        self._limits = np.log(np.repeat([config.line_ratio, config.power_ratio], spec.n_channels))
        self._settle = math.ceil((1.0 + 3 * config.average_s) / self._step_s)
        self._after = math.ceil(_RINGING_S / self._step_s)
        self._ringing = np.zeros(spec.n_channels, np.int64)
        self._last = np.zeros((spec.n_channels, 1))
        self._figures = np.zeros(self._bank.n_bands * spec.n_channels)
        self._suspected_s = self._frozen_s = self._calm_s = 0.0
        self._alarmed = False
        self._age = 0
        self.restart()

    def restart(self) -> None:
        """Samples were lost: the filters start anew, baseline and alarm stay."""
        self._bank.restart()
        self._age = 0
        self._suspected_s = 0.0

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
            One, at the moment an episode is suspected; it spans what led to it.
        """
        thin = thinned(samples, self._every)
        usable = usable & self._within(thin)
        self._measure(thin, usable)
        self._age += 1
        if self._age <= self._settle:
            return ()
        logs = np.log(np.maximum(self._figures, _SMALLEST))
        active = self._stands_out(logs) & usable
        together = int(np.count_nonzero(active)) >= min(self._config.channels, len(active))
        self._count(together)
        self._learn(logs, usable, together)
        return self._say(active, first_sample + self._step)

    def _bands(self) -> list[Sos]:
        """For the line length, for the power, and for muscle if the rate allows it."""
        rate_hz = self._rate_hz
        bands = [
            band_pass(low, min(high, 0.45 * rate_hz), 2, rate_hz)
            for low, high in (_LINE_HZ, _POWER_HZ)
        ]
        return [*bands, *muscle_band(rate_hz)]

    def _within(self, thin: Samples) -> NDArray[np.bool_]:
        """Channels that have not left the range of brain signal lately."""
        beyond = np.ptp(thin, axis=1) >= self._config.ceiling_uv
        self._ringing = np.where(beyond, self._after, np.maximum(0, self._ringing - 1))
        return np.asarray(self._ringing == 0)

    def _measure(self, thin: Samples, usable: NDArray[np.bool_]) -> None:
        """Line length a second, power, fast power: averaged over the last second or so."""
        bands = self._bank.process(thin)
        if not self._age:
            self._last[:] = bands[:, 0, :1]
        length = np.abs(np.diff(bands[:, 0], axis=1, prepend=self._last)).mean(axis=1)
        self._last[:] = bands[:, 0, -1:]
        power = np.square(bands[:, 1:]).mean(axis=2).T
        figures = np.concatenate([length * self._rate_hz, power.ravel()])
        # An artefact must not outlast itself in the average.
        taken = np.tile(usable, self._bank.n_bands) * max(self._share, 1 / (self._age + 1))
        self._figures += taken * (figures - self._figures)

    def _stands_out(self, logs: Floats) -> NDArray[np.bool_]:
        """Channels in which line length and power are far above their baselines."""
        n_channels = len(self._names)
        excess = logs - self._usual.mean
        spread = self._config.deviations * self._usual.deviation()
        over = excess[: 2 * n_channels] > np.maximum(self._limits, spread[: 2 * n_channels])
        over &= self._usual.known[: 2 * n_channels]
        out = over[:n_channels] & over[n_channels:]
        if self._bank.n_bands > 2:
            new = np.maximum(0, np.exp(logs) - np.exp(self._usual.mean))
            muscle = new[2 * n_channels :] > self._muscle**2 * new[n_channels : 2 * n_channels]
            out &= ~(muscle & self._scalp)
        return np.asarray(out)

    def _count(self, together: bool) -> None:
        """How long it has lasted; a short lull takes as much away as it lasts."""
        self._suspected_s += self._step_s if together else -self._step_s
        self._suspected_s = min(max(0.0, self._suspected_s), self._config.hold_s)
        self._calm_s = 0.0 if together else self._calm_s + self._step_s
        if self._calm_s >= self._config.calm_s:
            self._alarmed, self._frozen_s = False, 0.0

    def _learn(self, logs: Floats, usable: NDArray[np.bool_], together: bool) -> None:
        """The baseline takes in what is calm, and in the end whatever lasts."""
        frozen = together or self._suspected_s > 0 or self._alarmed
        self._frozen_s = self._frozen_s + self._step_s if frozen else 0.0
        if frozen and self._frozen_s < self._config.frozen_s:
            return
        n_channels = len(usable)
        ceiling = self._usual.mean[: 2 * n_channels] + self._limits
        known = self._usual.known[: 2 * n_channels]
        # A channel that stands out alone is learnt from as if it were just at the limit.
        logs[: 2 * n_channels] = np.minimum(
            logs[: 2 * n_channels], np.where(known, ceiling, np.inf)
        )
        self._usual.learn(logs[:, None], np.tile(usable, self._bank.n_bands))

    def _say(self, active: NDArray[np.bool_], newest: int) -> tuple[Finding, ...]:
        """Once an episode."""
        # Half a step less: a sum of many steps may miss the round figure by its rounding.
        if self._alarmed or self._suspected_s < self._config.hold_s - 0.5 * self._step_s:
            return ()
        self._alarmed = True
        rows = tuple(int(row) for row in np.flatnonzero(active))
        where = listing([self._names[row] for row in rows])
        first = max(0, newest - round(self._config.hold_s / self._step_s) * self._step)
        text = f"Research guard, not a diagnosis: seizure-like activity in {where}."
        return (Finding(kind=EventKind.SEIZURE, first=first, stop=newest, rows=rows, text=text),)
