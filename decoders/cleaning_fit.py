"""Fit eye removal on a calibration: which directions are eyes, and how they are read.

All of it looks at a copy of the calibration, filtered causally; what comes out is a fixed matrix,
a `Projection`, that the loop applies. What an eye looks like stands in `eye_sources`. Mains and
sudden loudness have files of their own, `line_projection` and `asr_fit`.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from scipy import signal

from ..runtime.errors import ConfigError
from ..runtime.messages import Samples, StreamSpec
from ..runtime.signal.cleaning import Floats, Projection
from ..runtime.signal.filters import SosFilter, high_pass
from .eye_sources import (
    EyeRule,
    blinking,
    choose_eyes,
    eog_rows_of,
    eye_band,
    eye_signals,
    frontal_rows,
    nothing_shows_the_eyes,
)

_HIGH_PASS_HZ, _LOW_PASS_HZ = 1.0, 40.0
_SETTLE_S = 3.0  # many time constants of the slowest filter here
_SLOWEST_FIT_HZ = 125.0
_SAMPLES_A_WEIGHT = 20  # samples for each of the k x k weights that ICA estimates
_ROUNDS = 200
_RIDGE = 0.01  # of the mean channel's power: best of 1e-4, 1e-3 and 1e-2 on the runs tuned on
_FEWEST_BLINKS = 5


def fit_eye_ica(
    samples: Samples,
    spec: StreamSpec,
    *,
    eog: Samples | None = None,
    rule: EyeRule | None = None,
    explained: float = 0.985,
    seed: int = 0,
) -> Projection:
    """Independent components of a calibration, those of the eyes taken out.

    Picard with orthogonality and both kinds of density [1]_, on a copy at 1-40 Hz and 125-250 Hz.
    Principal components come first: as many as hold `explained` of the power, as the rank allows
    and as the data can determine (20 samples a weight).

    Parameters
    ----------
    samples : ndarray, shape (n_channels, n_times)
        Raw calibration in microvolts, blinks included, 30 s or more.
    spec : StreamSpec
        Its rows and rate.
    eog : ndarray, shape (n_eog, n_times), optional
        Signals of the eyes that are not among the rows. Rows of kind ``"eog"`` or with EOG in
        their name are found; without any, frontal electrodes stand in.
    rule : EyeRule, optional
        When a component is taken for an eye.
    explained : float
        Share of the power that the principal components must hold, in (0, 1]. Too many split a
        blink into several sources: on the runs tuned on, 0.98 and 0.985 left 15 % of it, 0.99 left
        17 %, and as many as the data determine 25 %.
    seed : int
        Of the random start.

    Returns
    -------
    projection : Projection
        At most ``rule.most`` sources; none where nothing looks like an eye. ``Projection.notes``
        says why each was taken.

    Raises
    ------
    ConfigError
        If there is too little signal, fewer than 4 rows, NaN, or nothing that shows the eyes.

    References
    ----------
    .. [1] Ablin, Cardoso, Gramfort. Faster independent component analysis by preconditioning with
       Hessian approximations. IEEE Trans. Signal Process., 2018.
    """
    rule = rule or EyeRule()
    check_calibration(samples, spec, least_s=30.0, least_rows=4)
    if not 0 < explained <= 1:
        raise ConfigError(f"explained must be in (0, 1], got {explained:g}.")
    references = eye_signals(samples, spec, eog)
    quick, rate_hz = _thinned(settled(samples, spec.rate_hz, _HIGH_PASS_HZ), spec.rate_hz)
    shown, _ = _thinned(settled(references, spec.rate_hz, _HIGH_PASS_HZ), spec.rate_hz)
    mixing, unmixing, remark = _independent(quick, explained, seed)
    sources, shown = eye_band(unmixing @ quick, rate_hz), eye_band(shown, rate_hz)
    chosen = choose_eyes(sources, shown, mixing, frontal_rows(spec), rate_hz, rule)
    notes = tuple(chosen.values()) or ("No independent component looks like an eye.",)
    rows = list(chosen)
    return cleaned(mixing[:, rows], unmixing[rows], np.cov(quick), (*notes, *remark))


def fit_eog_regression(
    samples: Samples, spec: StreamSpec, *, eog_rows: Sequence[int] = ()
) -> Projection:
    """How much of the eyes is in each row, by regression; no ICA.

    With EOG rows it is the classical regression [1]_: these rows themselves are the sources, and
    come out empty. Without, the front stands in: mean of the frontal electrodes less mean of the
    others. Its weights are slopes on the power that blinks *add* to the quiet signal, so that what
    brain and front share does not count as eye; the source is then estimated from all rows by
    generalised least squares against the quiet signal, as a surrogate model of the brain [2]_.

    Parameters
    ----------
    samples : ndarray, shape (n_channels, n_times)
        Raw calibration in microvolts, blinks included, 20 s or more.
    spec : StreamSpec
        Its rows and rate.
    eog_rows : sequence of int
        Rows that show the eyes; empty looks for kind ``"eog"`` or EOG in the name.

    Returns
    -------
    projection : Projection
        As many sources as EOG rows, or one.

    Raises
    ------
    ConfigError
        If there is too little signal, fewer than 3 rows, NaN, neither EOG nor frontal electrodes,
        or fewer than 5 blinks where the front must stand in.

    References
    ----------
    .. [1] Gratton, Coles, Donchin. A new method for off-line removal of ocular artifact.
       Electroencephalography and Clinical Neurophysiology, 1983.
    .. [2] Berg, Scherg. A multiple source approach to the correction of eye artifacts.
       Electroencephalography and Clinical Neurophysiology, 1994.
    """
    check_calibration(samples, spec, least_s=20.0, least_rows=3)
    still = settled(samples, spec.rate_hz, _HIGH_PASS_HZ)
    eyes = eye_band(still, spec.rate_hz)
    rows = list(eog_rows) or eog_rows_of(spec)
    if rows:
        joint = eyes @ eyes[rows].T
        mixing = np.asarray(np.linalg.solve(joint[rows].T, joint.T).T, dtype=np.float64)
        notes = tuple(f"EOG {spec.channels[row].name}: regressed on every row." for row in rows)
        return cleaned(mixing, np.eye(len(samples))[rows], np.cov(still), notes)
    return _from_the_front(eyes, still, spec)


# --- what all fits share -----------------------------------------------------------------------


def check_calibration(
    samples: Samples, spec: StreamSpec, *, least_s: float, least_rows: int
) -> None:
    """Refuse a calibration that nothing can be learnt from.

    Parameters
    ----------
    samples : ndarray, shape (n_channels, n_times)
        Calibration in microvolts.
    spec : StreamSpec
        Its rows and rate.
    least_s : float
        Shortest allowed length.
    least_rows : int
        Fewest rows allowed.

    Raises
    ------
    ConfigError
        If it is too short, has too few rows or other rows than `spec`, or is not finite.
    """
    if samples.ndim != 2 or len(samples) != spec.n_channels:
        raise ConfigError(
            f"A calibration of {spec.name!r} has {spec.n_channels} rows, got shape "
            f"{samples.shape}: pick the same channels."
        )
    if len(samples) < least_rows:
        raise ConfigError(
            f"This cleaning step needs at least {least_rows} channels, got {len(samples)}: leave "
            f"it out."
        )
    length_s = samples.shape[1] / spec.rate_hz
    if length_s < least_s:
        raise ConfigError(
            f"This cleaning step needs at least {least_s:g} s of calibration, got {length_s:.1f} "
            f"s: record more."
        )
    if not np.isfinite(samples).all():
        raise ConfigError(
            "A calibration must be finite, got NaN or infinity: leave the gaps and the bad "
            "channels out."
        )


def settled(samples: Samples, rate_hz: float, low_hz: float) -> Floats:
    """High-pass a calibration and drop what the start of the filter disturbs.

    Parameters
    ----------
    samples : ndarray, shape (n_channels, n_times)
        Raw signal in microvolts.
    rate_hz : float
        Sampling rate.
    low_hz : float
        Edge of the second-order high-pass.

    Returns
    -------
    still : ndarray, shape (n_channels, n_times - 3 s)
        Signal around zero.
    """
    filtered = SosFilter(high_pass(low_hz, 2, rate_hz)).process(samples.astype(np.float64))
    return np.asarray(filtered[:, round(_SETTLE_S * rate_hz) :], dtype=np.float64)


def cleaned(
    mixing: Floats, unmixing: Floats, covariance: Floats, notes: tuple[str, ...]
) -> Projection:
    """A projection, with the covariance that it leaves.

    Parameters
    ----------
    mixing : ndarray, shape (n_channels, n_sources)
        How much of each source is in each row.
    unmixing : ndarray, shape (n_sources, n_channels)
        How each source is read from the rows.
    covariance : ndarray, shape (n_channels, n_channels)
        Of the calibration before cleaning.
    notes : tuple of str
        What each source is taken for.

    Returns
    -------
    projection : Projection
        Ready to use.
    """
    matrix = np.eye(len(mixing)) - mixing @ unmixing
    return Projection(mixing, unmixing, matrix @ covariance @ matrix.T, notes)


def _thinned(samples: Floats, rate_hz: float) -> tuple[Floats, float]:
    """Below 40 Hz and at 125-250 Hz: eyes need no more, and ICA is the quicker for it."""
    if rate_hz > 2 * _LOW_PASS_HZ:
        sos = signal.butter(4, _LOW_PASS_HZ, "lowpass", output="sos", fs=rate_hz)
        samples = np.asarray(SosFilter(sos).process(samples), dtype=np.float64)
    every = max(1, int(rate_hz // _SLOWEST_FIT_HZ))
    return np.ascontiguousarray(samples[:, ::every]), rate_hz / every


def _independent(
    samples: Floats, explained: float, seed: int
) -> tuple[Floats, Floats, tuple[str, ...]]:
    """Mixing, unmixing of sources with unit variance, and what is to be said about it."""
    from picard import picard

    powers, axes = np.linalg.eigh(np.cov(samples))
    powers, axes = powers[::-1], axes[:, ::-1]
    if not powers[0] > 0:
        raise ConfigError("ICA needs signal, got a silent calibration: check the electrodes.")
    enough = int(np.searchsorted(np.cumsum(powers) / powers.sum(), explained - 1e-12)) + 1
    rank = int((powers > 1e-9 * powers[0]).sum())
    known = int(np.sqrt(samples.shape[1] / _SAMPLES_A_WEIGHT))
    size = max(2, min(enough, rank, known))
    roots = np.sqrt(powers[:size])
    white = (axes[:, :size] / roots).T
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        _, rotation, _ = picard(
            white @ samples, ortho=True, extended=True, whiten=False, centering=False,
            random_state=seed, max_iter=_ROUNDS, tol=1e-4,
        )  # fmt: skip
    remark = (f"ICA of {size} components stopped after {_ROUNDS} rounds.",) if told else ()
    # The rotation is orthogonal, so its transpose undoes it.
    return (axes[:, :size] * roots) @ rotation.T, rotation @ white, remark


def _from_the_front(eyes: Floats, still: Floats, spec: StreamSpec) -> Projection:
    """One source: the front against the rest, its weights from what blinks add."""
    front = frontal_rows(spec)
    if not front or len(front) == len(eyes):
        raise ConfigError(nothing_shows_the_eyes(spec))
    stand_in = np.full(len(eyes), -1.0 / (len(eyes) - len(front)))
    stand_in[front] = 1.0 / len(front)
    busy, n_blinks = blinking(stand_in @ eyes, spec.rate_hz)
    if n_blinks < _FEWEST_BLINKS:
        raise ConfigError(
            f"Without EOG the regression needs {_FEWEST_BLINKS} blinks, got {n_blinks}: record a "
            f"calibration in which the participant blinks now and then."
        )
    added = _power(eyes[:, busy]) - _power(eyes[:, ~busy])
    mixing = (added @ stand_in / (stand_in @ added @ stand_in))[:, None]
    quiet = np.cov(still[:, ~busy])
    quiet += _RIDGE * np.trace(quiet) / len(quiet) * np.eye(len(quiet))
    weighted = np.linalg.solve(quiet, mixing)
    names = ", ".join(spec.channels[row].name for row in front)
    notes = (f"Eye: front ({names}) less the rest, regressed over {n_blinks} blinks.",)
    return cleaned(mixing, weighted.T / (mixing.T @ weighted), np.cov(still), notes)


def _power(samples: Floats) -> Floats:
    power: Floats = samples @ samples.T / samples.shape[1]
    return power
