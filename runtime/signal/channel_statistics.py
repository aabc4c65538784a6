"""A stream in steps, boiled down to a few sums per channel, and what they say of the last second.

The sums of a step cost a handful of passes over its samples. A statistic of a second is made of
the sums of its steps, so that looking often costs little. Mains hum is a windowed Fourier
coefficient at the mains frequency, put together from the coefficients of the steps; all
differences are taken over a lag of 4 ms (or one sample), whose gain is greatest near 125 Hz, so
that they mean the same at every sampling rate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..messages import Samples

Floats = NDArray[np.float64]

WINDOW_S = 1.0
"""How far back the statistics go."""

LEAST_STEPS = 3
"""Fewest steps that statistics can be made of: jumps show between the neighbours of a step."""

_LOW_HZ = 48.0
_FAR = 5.0
# what is kept of a step; behind each rail how many samples are at it, and how many near it
_MEAN, _WITHIN, _HIGH, _SECOND, _FOURTH, _JUMP, _TOP, _BOTTOM, _N_SUMS = 0, 1, 2, 3, 4, 5, 6, 9, 12


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelStatistics:
    """What the last second looked like: one value per channel in each, shape (n_channels,).

    What can be too large is the smaller value of the two halves of the second, so that a blink
    or a single jump is not taken for a fault.
    """

    sd_uv: Floats  # standard deviation, smaller half
    whole_sd_uv: Floats  # of the whole second
    recent_sd_uv: Floats  # of the second half
    high_uv: Floats  # root mean square about 125 Hz without the mains, smaller half
    hum_uv: Floats  # amplitude
    hum_ratio: Floats  # over the amplitude of the frequencies beside it
    kurtosis: Floats  # of differences, smaller half
    steps: Floats  # jumps to another level
    trend: Floats  # straight line over the second, over the standard deviation about it
    clipped: Floats  # share of samples at a rail
    correlation: Floats  # with the channels most like it; 1 where nobody asked


class StepSums:
    """The last second as sums per step, and the statistics made of them.

    Parameters
    ----------
    n_channels : int
        Rows.
    rate_hz : float
        Sampling rate.
    step : int
        Samples in a step.
    mains_hz : tuple of float
        Where hum is looked for.
    alike : ndarray of bool, shape (n_channels,)
        Which channels are correlated with each other.
    """

    def __init__(
        self,
        n_channels: int,
        rate_hz: float,
        step: int,
        mains_hz: tuple[float, ...],
        alike: NDArray[np.bool_],
    ) -> None:
        self._rate_hz, self._step, self._alike = rate_hz, step, np.flatnonzero(alike)
        self.n_steps = max(4, round(WINDOW_S * rate_hz / step))
        self._lag = max(1, min(round(rate_hz / 250), step // 2))
        self._held = np.zeros((n_channels, 2 * self._lag + step), np.float32)
        self._level = np.empty_like(self._held)
        self._change = np.empty((n_channels, self._lag + step), np.float32)
        self._bend = np.empty((n_channels, step), np.float32)
        self._ones = np.ones(step, np.float32)
        # 1 in 100 of a second's samples must stay countable, no more than that
        self._thin = max(1, round(rate_hz / 500))
        self._beyond = np.empty((n_channels, len(range(0, step, self._thin))), np.float32)
        self._average = _averages(step, max(1, min(step, round(_LOW_HZ * step / rate_hz))))
        self._lay_out_mains(mains_hz)
        self._sums = np.zeros((_N_SUMS, self.n_steps, n_channels))
        self._low = np.zeros((self.n_steps, n_channels, self._average.shape[1]))
        self._waves = np.zeros((self.n_steps, n_channels * self._basis.shape[1]), np.float32)
        self._range = np.zeros(n_channels, np.float32)
        self.restart()

    def _lay_out_mains(self, mains_hz: tuple[float, ...]) -> None:
        """Waves over one step: each mains frequency, two harmonics, four frequencies beside it."""
        freqs = np.array([(f, 2 * f, 3 * f, f - 6, f - 4, f + 4, f + 6) for f in mains_hz])
        freqs = freqs.reshape(-1, 7)
        self._inside = freqs < 0.48 * self._rate_hz
        self._turns = np.where(self._inside, freqs, 0).ravel() / self._rate_hz
        phase = 2 * np.pi * np.outer(np.arange(self._step), self._turns)
        self._basis = np.hstack([np.cos(phase), -np.sin(phase)]).astype(np.float32)
        # a difference over the lag has this gain, a difference of two such ones its square
        gain = 2 * np.abs(np.sin(np.pi * self._lag * self._turns))
        self._gain = np.maximum(gain, 1e-3).reshape(freqs.shape)

    def restart(self) -> None:
        """Forget everything: the next step follows nothing."""
        n_channels = len(self._held)
        self.n_seen = 0
        self._correlation = np.ones(n_channels)
        self._hum = np.zeros((3, n_channels))
        self._range[:] = 0

    def add(self, samples: Samples) -> None:
        """Take a step."""
        held = 2 * self._lag
        self._held[:, :held] = self._held[:, -held:]
        self._held[:, held:] = samples
        if self.n_seen == 0:
            self._held[:, :held] = self._held[:, held : held + 1]
        at = self.n_seen % self.n_steps
        self._add_moments(at)
        self._add_rails(at)
        self.n_seen += 1

    def _add_moments(self, at: int) -> None:
        """Levels, differences, mains; all relative to one sample, because float32 is short."""
        lag, level, change, bend = self._lag, self._level, self._change, self._bend
        anchor, sums, step = self._held[:, :1], self._sums, self._step
        np.subtract(self._held, anchor, out=level)
        np.subtract(level[:, lag:], level[:, :-lag], out=change)
        np.subtract(change[:, lag:], change[:, :-lag], out=bend)
        sums[_HIGH, at] = np.einsum("ij,ij->i", bend, bend)
        level, change = level[:, 2 * lag :], change[:, lag:]
        mean = level @ self._ones / step
        sums[_MEAN, at] = anchor[:, 0] + mean.astype(np.float64)
        sums[_WITHIN, at] = np.einsum("ij,ij->i", level, level) - step * mean * mean
        self._low[at] = anchor + (level @ self._average).astype(np.float64)
        self._add_waves(at, change @ self._basis)
        np.multiply(change, change, out=bend)
        sums[_JUMP, at] = np.sqrt(bend.max(axis=1))
        sums[_SECOND, at] = bend @ self._ones
        sums[_FOURTH, at] = np.einsum("ij,ij->i", bend, bend)

    def _add_waves(self, at: int, parts: NDArray[np.float32]) -> None:
        """Turn a step's waves back to the phase they had at the first step."""
        n = len(self._turns)
        phase = -2 * np.pi * ((self.n_seen * self._step * self._turns) % 1)
        cos, sin = np.cos(phase).astype(np.float32), np.sin(phase).astype(np.float32)
        waves = self._waves[at].reshape(len(parts), 2 * n)  # at 100 Hz no mains fits, and n is 0
        waves[:, :n] = parts[:, :n] * cos - parts[:, n:] * sin
        waves[:, n:] = parts[:, :n] * sin + parts[:, n:] * cos

    def _add_rails(self, at: int) -> None:
        """How many samples are at the extremes of a step, and how many are near them."""
        raw = self._held[:, 2 * self._lag :]
        few, beyond = raw[:, :: self._thin], self._beyond
        ones = self._ones[: few.shape[1]]
        for row, end, sign, compare in (
            (_TOP, raw.max(axis=1), 1, np.greater_equal),
            (_BOTTOM, raw.min(axis=1), -1, np.less_equal),
        ):
            self._sums[row, at] = end
            for offset, share in ((1, 0.002), (2, 0.05)):
                bound = (end - sign * share * self._range)[:, None]
                compare(few, bound, out=beyond, casting="unsafe")
                self._sums[row + offset, at] = beyond @ ones

    def _order(self) -> NDArray[np.int64]:
        """Where the steps of the window are, oldest first."""
        return np.arange(max(0, self.n_seen - self.n_steps), self.n_seen) % self.n_steps

    def statistics(self) -> ChannelStatistics:
        """Sum up the last second, or what there is of it: at least `LEAST_STEPS` steps."""
        sums = self._sums[:, self._order()]
        half, count = sums.shape[1] // 2, sums.shape[1] * self._step
        halves = sums[:, :half], sums[:, half:]
        hum, ratio, mains_power = self._hum
        earlier, recent = (_deviation(part, self._step) for part in halves)
        high = np.minimum(*(part[_HIGH].sum(0) / part.shape[1] for part in halves)) / self._step
        return ChannelStatistics(
            sd_uv=np.minimum(earlier, recent),
            whole_sd_uv=_deviation(sums, self._step),
            recent_sd_uv=recent,
            high_uv=np.sqrt(np.maximum(high - mains_power, 0)),
            hum_uv=hum,
            hum_ratio=ratio,
            kurtosis=np.minimum(*(_kurtosis(part, self._step) for part in halves)),
            steps=_steps(sums),
            trend=_trend(sums, self._step),
            clipped=self._clipped(sums, count / self._thin),
            correlation=self._correlation,
        )

    def measure_mains(self) -> None:
        """Amplitude of the hum, over its surroundings, and what it adds to high frequencies."""
        n = len(self._turns)
        if not n:
            return
        order = self._order()
        taper = np.zeros(self.n_steps, np.float32)
        taper[order] = np.sin(np.pi * (np.arange(len(order)) + 0.5) / len(order)) ** 2
        parts = (taper @ self._waves).reshape(-1, 2, n).astype(np.float64)
        amplitude = np.hypot(parts[:, 0], parts[:, 1]) * (2 / (taper.sum() * self._step))
        amplitude = amplitude.reshape(-1, *self._inside.shape) * self._inside
        beside = np.sqrt((amplitude[..., 3:] ** 2).sum(-1) / self._inside[:, 3:].sum(-1))
        ratio = amplitude[..., 0] / np.maximum(beside, 1e-9)
        power = ((amplitude * self._gain)[..., :3] ** 2).sum(-1) / 2
        rows, best = np.arange(len(ratio)), ratio.argmax(-1)
        hum = amplitude[..., 0] / self._gain[:, 0]
        self._hum = np.stack([values[rows, best] for values in (hum, ratio, power)])

    def correlate(self) -> None:
        """Mean of the three largest correlations with other channels, low frequencies only."""
        if not len(self._alike):
            return
        low = self._low[self._order()][:, self._alike].transpose(1, 0, 2)
        changes = np.diff(low.reshape(len(self._alike), -1), axis=1).astype(np.float32)
        changes -= changes.mean(axis=1, keepdims=True)
        # One jump must not outweigh a second of signal.
        limit = 4 * np.abs(changes).mean(axis=1, keepdims=True)
        np.clip(changes, -limit, limit, out=changes)
        changes /= np.maximum(np.linalg.norm(changes, axis=1, keepdims=True), 1e-9)
        np.nan_to_num(changes, copy=False)
        alike = np.abs(changes @ changes.T)
        np.fill_diagonal(alike, 0)
        alike.partition(-3, axis=1)
        self._correlation[self._alike] = alike[:, -3:].mean(axis=1)

    def _clipped(self, sums: Floats, count: float) -> Floats:
        """Share of samples at a rail: the extreme itself is hit more often than what is near it."""
        share = np.zeros(sums.shape[2])
        ends = sums[_TOP].max(axis=0), sums[_BOTTOM].min(axis=0)
        self._range = (ends[0] - ends[1]).astype(np.float32)
        for row, end in zip((_TOP, _BOTTOM), ends, strict=True):
            here = np.abs(sums[row] - end) <= 0.002 * self._range
            exact, near = ((here * sums[row + offset]).sum(0) for offset in (1, 2))
            rail = (exact >= 4) & (exact > 0.6 * near)
            share = np.maximum(share, np.where(rail, exact / count, 0))
        return share


def _averages(step: int, n_parts: int) -> NDArray[np.float32]:
    """Matrix that averages a step in equal parts: a cheap low-pass that also decimates."""
    chosen = np.eye(n_parts)[np.arange(step) * n_parts // step]
    return np.asarray(chosen / chosen.sum(axis=0), np.float32)


def _deviation(sums: Floats, step: int) -> Floats:
    """Standard deviation over steps, from their means and their own sums of squares."""
    within = np.maximum(sums[_WITHIN].sum(0), 0) / (sums.shape[1] * step)
    return np.asarray(np.sqrt(within + sums[_MEAN].var(axis=0)))


def _kurtosis(sums: Floats, step: int) -> Floats:
    """Fourth moment of the differences over the square of the second."""
    power = np.maximum(sums[_SECOND].sum(0), 1e-12)
    return np.asarray(sums[_FOURTH].sum(0) * (sums.shape[1] * step) / power**2)


def _steps(sums: Floats) -> Floats:
    """Count fast changes, far above the usual one, after which the level stays."""
    mean, jump = sums[_MEAN], sums[_JUMP]
    moved = np.abs(mean[2:] - mean[:-2])
    usual, usually_moved = (
        np.partition(a, len(a) // 2, axis=0)[len(a) // 2] for a in (jump, moved)
    )
    # the last one keeps out the slow waves that spikes ride on
    real = (jump[1:-1] > _FAR * usual) & (moved > 0.5 * jump[1:-1]) & (moved > 2.5 * usually_moved)
    return np.asarray(real.sum(0), np.float64)


def _trend(sums: Floats, step: int) -> Floats:
    """How far a straight line goes in the window, over the standard deviation about it."""
    mean, n = sums[_MEAN], sums.shape[1]
    at = np.arange(n) - (n - 1) / 2
    slope = at @ mean / (at @ at)
    about = (mean - np.outer(at, slope)).var(axis=0)
    within = sums[_WITHIN].sum(0) / (n * step) - slope**2 / 12
    return np.asarray(np.abs(slope) * n / np.sqrt(about + np.maximum(within, 0) + 1e-12))
