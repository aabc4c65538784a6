"""Where a person's own rhythm lies: the alpha or SMR peak of a recording at rest.

The spectrum falls like a power of frequency, and a fixed band is cut across it wherever the
rhythm of this person may be. So the fall is fitted beside the searched range and taken off, and
what stands out is the rhythm [1]_. Its centre of gravity is steadier than its highest bin [2]_,
because a broad or double peak has no clear highest bin. Where nothing stands out, that is said,
and the standard band is used.

Done once, between baseline and training: it looks at a whole recording and is not causal.

References
----------
.. [1] Corcoran, Alday, Schlesewsky, Bornkessel-Schlesewsky. Toward a reliable, automated method
   of individual alpha frequency quantification. Psychophysiology, 2018.
.. [2] Klimesch. EEG alpha and theta oscillations reflect cognitive and memory performance: a
   review and analysis. Brain Research Reviews, 1999.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import signal
from scipy.special import ndtr

from ..runtime.errors import ConfigError
from ..runtime.messages import Samples

Floats = NDArray[np.float64]

_SMOOTHING = np.array([0.25, 0.5, 0.25])
_TRIMS = 5
_FEWEST_SEGMENTS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class PeakConfig:
    """Where to look, and what counts as a peak. `ALPHA` and `SMR` are ready made.

    Parameters
    ----------
    name : str
        What a person calls the rhythm.
    search_hz : tuple of 2 float
        Range in which the peak is looked for.
    standard_hz : tuple of 2 float
        Band to train if there is no peak.
    half_width_hz : float
        The band reaches this far to both sides of the rhythm's centre, 0.5 to 5 Hz.
    fall_hz : tuple of 2 float
        Range over which the fall of the spectrum is fitted; contains the searched one.
    segment_s : float
        Length of the segments of which spectra are averaged, 1 to 10 s.
    least_height_db : float
        How far a peak must stand out of the fall, at least 0.
    least_confidence : float
        How sure it must be that noise alone does not do that, in (0, 1).
    """

    name: str = "alpha"
    search_hz: tuple[float, float] = (7.0, 13.0)
    standard_hz: tuple[float, float] = (8.0, 12.0)
    half_width_hz: float = 2.0
    fall_hz: tuple[float, float] = (3.0, 30.0)
    segment_s: float = 4.0
    least_height_db: float = 1.5
    least_confidence: float = 0.95

    def __post_init__(self) -> None:
        for name in ("search_hz", "standard_hz", "fall_hz"):
            low, high = getattr(self, name)
            if not 0 < low < high:
                raise ConfigError(f"{name} must satisfy 0 < low < high, got {low:g} to {high:g}.")
        if not (self.fall_hz[0] < self.search_hz[0] and self.search_hz[1] < self.fall_hz[1]):
            raise ConfigError(
                f"fall_hz must reach beyond search_hz {self.search_hz} on both sides, got "
                f"{self.fall_hz}: the fall is fitted beside the peak."
            )
        for name, low, high in (
            ("half_width_hz", 0.5, 5.0),
            ("segment_s", 1.0, 10.0),
            ("least_height_db", 0.0, 60.0),
        ):
            if not low <= getattr(self, name) <= high:
                raise ConfigError(
                    f"{name} must be in [{low:g}, {high:g}], got {getattr(self, name):g}."
                )
        if not 0 < self.least_confidence < 1:
            raise ConfigError(f"least_confidence must be in (0, 1), got {self.least_confidence:g}.")


ALPHA = PeakConfig()
"""Individual alpha, 7 to 13 Hz; best from electrodes over the back of the head, eyes closed."""

SMR = PeakConfig(
    name="SMR", search_hz=(12.0, 15.0), standard_hz=(12.0, 15.0), half_width_hz=1.5
)  # fmt: skip
"""Sensorimotor rhythm, 12 to 15 Hz; best from C3, Cz or C4, eyes open and the body at rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndividualPeak:
    """What was found.

    Parameters
    ----------
    found : bool
        Whether there is a peak.
    band_hz : tuple of 2 float
        Band to train: around the rhythm, or the standard band if there is none.
    peak_hz, gravity_hz : float
        Highest point and centre of gravity of the rhythm; NaN without a peak.
    height_db : float
        How far the highest candidate stands out of the fall; NaN if there is no candidate.
    confidence : float
        Probability that noise of the same scatter would not reach that height, 0 to 1.
    exponent : float
        Steepness of the fall: power goes with ``1 / f ** exponent``.
    text : str
        All of it in a sentence.
    """

    found: bool
    band_hz: tuple[float, float]
    peak_hz: float
    gravity_hz: float
    height_db: float
    confidence: float
    exponent: float
    text: str


def individual_peak(samples: Samples, rate_hz: float, config: PeakConfig = ALPHA) -> IndividualPeak:
    """Look for a person's own rhythm in a recording at rest.

    Parameters
    ----------
    samples : ndarray, shape (n_channels, n_times)
        Resting signal of the electrodes of interest in microvolts, broadband, finite.
    rate_hz : float
        Sampling rate.
    config : PeakConfig
        Where to look.

    Returns
    -------
    peak : IndividualPeak
        What to train.

    Raises
    ------
    ConfigError
        If the signal is too short, silent or not finite, or its rate too low.
    """
    _check(samples, rate_hz, config)
    frequencies, level_db, n_segments = _spectrum(samples, rate_hz, config)
    above_db, scatter_db, exponent = _without_fall(frequencies, level_db, config)
    # Few bins beside the range may scatter little by luck: never less than theory has it for one
    # channel (Hann segments that overlap by half are nearly independent).
    scatter_db = max(scatter_db, 10 / math.log(10) / math.sqrt(n_segments))
    at = _candidate(frequencies, above_db, config)
    if at is None:
        return _no_peak(config, exponent, "the spectrum has no maximum there")
    height_db = float(above_db[at])
    confidence = _confidence(height_db / scatter_db, config)
    if height_db < config.least_height_db or confidence < config.least_confidence:
        why = (
            f"the highest point, at {frequencies[at]:.1f} Hz, stands out by {height_db:.1f} dB "
            f"only (confidence {confidence:.2f})"
        )
        return _no_peak(config, exponent, why, height_db, confidence)
    return _peak(frequencies, above_db, at, confidence, exponent, config)


def _check(samples: Samples, rate_hz: float, config: PeakConfig) -> None:
    if samples.ndim != 2 or not samples.size or not np.isfinite(samples).all():
        raise ConfigError(
            f"A resting recording must be finite and have a row for each channel, got shape "
            f"{samples.shape}: leave out what was lost."
        )
    if (samples.std(axis=1) == 0).any():
        raise ConfigError("A channel of the resting recording is silent: leave it out.")
    needed_s = config.segment_s * (_FEWEST_SEGMENTS + 1) / 2
    if samples.shape[1] < needed_s * rate_hz:
        raise ConfigError(
            f"A resting recording must last {needed_s:g} s at least, got "
            f"{samples.shape[1] / rate_hz:.1f} s: record a longer one."
        )
    if not rate_hz > 2 * config.fall_hz[1]:
        raise ConfigError(
            f"The rate must be above {2 * config.fall_hz[1]:g} Hz, got {rate_hz:g} Hz: lower "
            f"fall_hz."
        )


def _spectrum(samples: Samples, rate_hz: float, config: PeakConfig) -> tuple[Floats, Floats, int]:
    """Frequencies, mean level over channels in dB, and of how many segments."""
    length = round(config.segment_s * rate_hz)
    frequencies, density = signal.welch(samples, rate_hz, nperseg=length, axis=1)
    # The mean of levels, not of powers: one loud electrode must not speak for all.
    level_db = (10 * np.log10(np.maximum(density, 1e-30))).mean(axis=0)
    level_db = np.convolve(np.pad(level_db, 1, mode="edge"), _SMOOTHING, "valid")
    low, high = config.fall_hz
    kept = (frequencies >= low) & (frequencies <= high)
    return frequencies[kept], level_db[kept], 2 * samples.shape[1] // length - 1


def _without_fall(
    frequencies: Floats, level_db: Floats, config: PeakConfig
) -> tuple[Floats, float, float]:
    """Level above the fall in dB, scatter beside the range in dB, and the fall's exponent."""
    low, high = config.search_hz
    beside = (frequencies < low) | (frequencies > high)
    axis = np.log10(frequencies)
    kept = beside.copy()
    for _ in range(_TRIMS):
        slope, offset = np.polyfit(axis[kept], level_db[kept], 1)
        above_db = level_db - (slope * axis + offset)
        scatter_db = 1.4826 * float(np.median(np.abs(above_db[kept])))
        # Other rhythms only ever stick out upwards, so only that side is trimmed.
        again = beside & (above_db < 2 * scatter_db)
        if (again == kept).all() or again.sum() < 8:
            break
        kept = again
    return above_db, scatter_db, float(-slope / 10)


def _candidate(frequencies: Floats, above_db: Floats, config: PeakConfig) -> int | None:
    """The most prominent maximum inside the range, not the flank of one beside it."""
    places, found = signal.find_peaks(above_db, prominence=config.least_height_db / 2)
    low, high = config.search_hz
    inside = (frequencies[places] >= low) & (frequencies[places] <= high)
    if not inside.any():
        return None
    return int(places[inside][found["prominences"][inside].argmax()])


def _confidence(z: float, config: PeakConfig) -> float:
    """Chance that the highest of as many independent bins as were searched stays below z."""
    bins = (config.search_hz[1] - config.search_hz[0]) * config.segment_s / 1.5
    return float(ndtr(z) ** max(1.0, bins))


def _peak(
    frequencies: Floats,
    above_db: Floats,
    at: int,
    confidence: float,
    exponent: float,
    config: PeakConfig,
) -> IndividualPeak:
    left, top, right = above_db[at - 1 : at + 2]
    bend = left - 2 * top + right
    step_hz = frequencies[1] - frequencies[0]
    peak_hz = float(frequencies[at] + step_hz * (0.5 * (left - right) / bend if bend else 0.0))
    # Symmetric around the peak: a range that ends on one flank would pull the centre away.
    reach_hz = config.half_width_hz
    near = np.abs(frequencies - peak_hz) <= reach_hz
    weight = np.maximum(10 ** (above_db[near] / 10) - 1, 0.0)
    gravity_hz = float(weight @ frequencies[near] / weight.sum())
    band_hz = (round(gravity_hz - reach_hz, 2), round(gravity_hz + reach_hz, 2))
    text = (
        f"The {config.name} peak lies at {peak_hz:.1f} Hz, its centre of gravity at "
        f"{gravity_hz:.1f} Hz; it stands out by {top:.1f} dB (confidence {confidence:.2f}): train "
        f"{band_hz[0]:g} to {band_hz[1]:g} Hz."
    )
    return IndividualPeak(
        found=True,
        band_hz=band_hz,
        peak_hz=peak_hz,
        gravity_hz=gravity_hz,
        height_db=float(top),
        confidence=confidence,
        exponent=exponent,
        text=text,
    )


def _no_peak(
    config: PeakConfig,
    exponent: float,
    why: str,
    height_db: float = math.nan,
    confidence: float = 0.0,
) -> IndividualPeak:
    low, high = config.standard_hz
    text = (
        f"There is no {config.name} peak between {config.search_hz[0]:g} and "
        f"{config.search_hz[1]:g} Hz: {why}. The standard band of {low:g} to {high:g} Hz is used."
    )
    return IndividualPeak(
        found=False,
        band_hz=config.standard_hz,
        peak_hz=math.nan,
        gravity_hz=math.nan,
        height_db=height_db,
        confidence=confidence,
        exponent=exponent,
        text=text,
    )
