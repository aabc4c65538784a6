"""What an eye looks like: in which rows it shows, and which sources are taken for one.

EOG channels show the eyes best. Where there are none, the frontal electrodes stand in: their mean
less that of the others for blinks and vertical gaze, right less left for horizontal gaze.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import signal
from scipy.stats import kurtosis

from ..runtime.errors import ConfigError
from ..runtime.messages import Samples, StreamSpec
from ..runtime.signal.cleaning import Floats
from ..runtime.signal.filters import SosFilter, band_pass

_EYE_HZ, _SLOW_HZ = (1.0, 10.0), 4.0
_MOST_EYES = 3
# In order of preference: the first set of which the montage has anything is used.
_FRONTAL = (("fp1", "fpz", "fp2", "af7", "af8"), ("af3", "afz", "af4", "f7", "f8", "f9", "f10"))
_RIGHT, _LEFT = ("af8", "f8", "f10"), ("af7", "f7", "f9")
# A blink lifts the front by more than the brain ever does; 0.25 s away little is left of it.
_BLINK_DEVIATIONS, _LEAST_BLINK_UV, _AROUND_S = 3.5, 50.0, 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class EyeRule:
    """When an independent component is taken for an eye.

    It must go along with what the eyes are seen in, be strongest in front where the montage has a
    front, and come in bursts (blinks) or be slow (gaze). The defaults separate the one blink source
    of the runs tuned on (0.92, 5.3, 15) from the next (0.22, 2.3, 9) with room on both sides.

    Parameters
    ----------
    least_correlation : float
        With an EOG channel, or with the montage's stand-in for it, at 1-10 Hz; in (0, 1].
    least_frontal : float
        Mean weight at the frontal electrodes over that at the others, at least 1.
    least_kurtosis : float
        Of the source at 1-10 Hz; 3 is a normal distribution's.
    least_slow : float
        Share of its power at 1-10 Hz that lies under 4 Hz, in (0, 1]; enough if it has no bursts.
    most : int
        At most this many sources are taken out, in [1, 3].
    """

    least_correlation: float = 0.6
    least_frontal: float = 2.0
    least_kurtosis: float = 5.0
    least_slow: float = 0.6
    most: int = _MOST_EYES

    def __post_init__(self) -> None:
        if not (0 < self.least_correlation <= 1 and 0 < self.least_slow <= 1):
            raise ConfigError(
                f"least_correlation and least_slow must be in (0, 1], got "
                f"{self.least_correlation:g} and {self.least_slow:g}."
            )
        if not 1 <= self.most <= _MOST_EYES:
            raise ConfigError(f"most must be in [1, {_MOST_EYES}] eye sources, got {self.most}.")
        if not (self.least_frontal >= 1 and self.least_kurtosis >= 1):
            raise ConfigError(
                f"least_frontal and least_kurtosis must be at least 1, got "
                f"{self.least_frontal:g} and {self.least_kurtosis:g}."
            )


def frontal_rows(spec: StreamSpec) -> list[int]:
    """Rows nearest to the eyes, by their 10-10 names.

    Parameters
    ----------
    spec : StreamSpec
        Rows of the signal.

    Returns
    -------
    rows : list of int
        Fp1, Fpz, Fp2, AF7, AF8, as far as there; otherwise AF3 to AF4 and F7 to F10; or none.
    """
    for names in _FRONTAL:
        if rows := _named(spec, names):
            return rows
    return []


def eog_rows_of(spec: StreamSpec) -> list[int]:
    """Rows of kind ``"eog"``, or with EOG in their name.

    Parameters
    ----------
    spec : StreamSpec
        Rows of the signal.

    Returns
    -------
    rows : list of int
        In order; may be empty.
    """
    return [
        row
        for row, channel in enumerate(spec.channels)
        if channel.kind == "eog" or "eog" in channel.name.lower()
    ]


def nothing_shows_the_eyes(spec: StreamSpec) -> str:
    """The sentence for a montage without EOG and without a front (or with nothing else).

    Parameters
    ----------
    spec : StreamSpec
        Rows of the signal.

    Returns
    -------
    text : str
        For a `ConfigError`.
    """
    return (
        f"Eyes are found by EOG rows or by frontal electrodes beside others (Fp1, Fpz, Fp2, AF7, "
        f"AF8, or AF3 to F10), got {', '.join(spec.channel_names)}: name EOG rows, or leave this "
        f"step out."
    )


def eye_signals(samples: Samples, spec: StreamSpec, eog: Samples | None) -> Floats:
    """What shows the eyes: EOG as given, EOG among the rows, or frontal electrodes.

    Parameters
    ----------
    samples : ndarray, shape (n_channels, n_times)
        Raw signal in microvolts.
    spec : StreamSpec
        Its rows.
    eog : ndarray, shape (n_eog, n_times), optional
        EOG that is not among the rows.

    Returns
    -------
    shown : ndarray, shape (n_signals, n_times)
        One signal for each way to see the eyes, at least 1.

    Raises
    ------
    ConfigError
        If `eog` has another length or is not finite, or nothing shows the eyes.
    """
    if eog is not None:
        if eog.ndim != 2 or eog.shape[1] != samples.shape[1] or not np.isfinite(eog).all():
            raise ConfigError(
                f"eog must be finite, with as many samples as the calibration, got shape "
                f"{eog.shape} for {samples.shape}."
            )
        return eog.astype(np.float64)
    if rows := eog_rows_of(spec):
        return samples[rows].astype(np.float64)
    front = frontal_rows(spec)
    others = np.setdiff1d(np.arange(len(samples)), front)
    if not front or not len(others):
        raise ConfigError(nothing_shows_the_eyes(spec))
    shown = [samples[front].mean(axis=0) - samples[others].mean(axis=0)]
    right, left = _named(spec, _RIGHT), _named(spec, _LEFT)
    if right and left:
        shown.append(samples[right].mean(axis=0) - samples[left].mean(axis=0))
    return np.array(shown, dtype=np.float64)


def eye_band(samples: Floats, rate_hz: float) -> Floats:
    """Keep 1-10 Hz, where the eyes are loudest; causal.

    Parameters
    ----------
    samples : ndarray, shape (n_rows, n_times)
        Signal around zero.
    rate_hz : float
        Sampling rate.

    Returns
    -------
    filtered : ndarray, shape (n_rows, n_times)
        New memory.
    """
    return np.asarray(SosFilter(band_pass(*_EYE_HZ, 2, rate_hz)).process(samples))


def blinking(shown: Floats, rate_hz: float) -> tuple[NDArray[np.bool_], int]:
    """Where the eyes are busy.

    Parameters
    ----------
    shown : ndarray, shape (n_times,)
        A signal that shows the eyes, at 1-10 Hz, in microvolts.
    rate_hz : float
        Sampling rate.

    Returns
    -------
    busy : ndarray of bool, shape (n_times,)
        0.25 s about every excursion beyond 3.5 robust deviations and 50 uV.
    n_blinks : int
        Stretches of it.
    """
    deviation = float(np.median(np.abs(shown))) / 0.6745
    loud = np.abs(shown) > max(_BLINK_DEVIATIONS * deviation, _LEAST_BLINK_UV)
    width = 2 * round(_AROUND_S * rate_hz) + 1
    busy = np.convolve(loud, np.ones(width), "same") > 0.5
    return busy, int((np.diff(busy.astype(int), prepend=0) == 1).sum())


def choose_eyes(
    sources: Floats,
    shown: Floats,
    mixing: Floats,
    front: list[int],
    rate_hz: float,
    rule: EyeRule,
) -> dict[int, str]:
    """Which sources are eyes, and why.

    Parameters
    ----------
    sources : ndarray, shape (n_sources, n_times)
        Independent components at 1-10 Hz.
    shown : ndarray, shape (n_signals, n_times)
        What shows the eyes, at 1-10 Hz.
    mixing : ndarray, shape (n_channels, n_sources)
        How much of each source is in each row.
    front : list of int
        Frontal rows; empty if the montage has none.
    rate_hz : float
        Sampling rate.
    rule : EyeRule
        What is asked of an eye.

    Returns
    -------
    chosen : dict of int to str
        Source -> one sentence, the surest first.
    """
    correlation = np.abs(np.corrcoef(sources, shown)[: len(sources), len(sources) :]).max(axis=1)
    frontal = _frontal_share(mixing, front)
    bursts = kurtosis(sources, axis=1, fisher=False)
    slow = _slow_share(sources, rate_hz)
    is_eye = (
        (correlation >= rule.least_correlation)
        & (frontal >= rule.least_frontal)
        & ((bursts >= rule.least_kurtosis) | (slow >= rule.least_slow))
    )
    surest = [int(k) for k in np.argsort(-correlation) if is_eye[k]][: rule.most]
    return {
        k: f"Component {k} of {len(sources)}: eye, correlation {correlation[k]:.2f}, "
        f"{frontal[k]:.1f} times as strong in front, kurtosis {bursts[k]:.1f}, "
        f"{slow[k]:.0%} below {_SLOW_HZ:g} Hz."
        for k in surest
    }


def _frontal_share(mixing: Floats, front: list[int]) -> Floats:
    """Mean weight in front over that elsewhere; infinite where the montage cannot tell."""
    others = np.setdiff1d(np.arange(len(mixing)), front)
    if not front or not len(others):
        return np.full(mixing.shape[1], np.inf)
    weights = np.abs(mixing)
    share: Floats = weights[front].mean(axis=0) / weights[others].mean(axis=0)
    return share


def _slow_share(sources: Floats, rate_hz: float) -> Floats:
    frequencies, power = signal.welch(sources, rate_hz, nperseg=round(2 * rate_hz), axis=1)
    share: Floats = power[:, frequencies < _SLOW_HZ].sum(axis=1) / power.sum(axis=1)
    return share


def _named(spec: StreamSpec, names: tuple[str, ...]) -> list[int]:
    # Some files pad their labels with dots: "Fp1." and "Fpz.".
    plain = [name.strip(" .").lower() for name in spec.channel_names]
    return [plain.index(name) for name in names if name in plain]
