"""Familiarity: whether a window is like those that the model was calibrated on.

A decoder answers whatever it is shown: noise, a wrong cap, another kind of signal. Here nothing is
decoded. A window is measured in several ways, each way says how far off it is, and each distance
is turned into the share of calibration windows that were at least as far off. Those windows were
held out when the yardsticks were made: they came from another recording, or another block of time
[1]_. What counts are the three most surprising ways together, ranked among the calibration windows
in turn, so that many ways do not make many false alarms.

The ways are: size, spectrum and shape of every channel against the same channel's calibration;
how the channels hang together; the Riemannian distance of the covariance to its mean, whatever
its size, which notices channels in a wrong order [2]_; and the distance of the embedding, inside
the space that calibration spans [3]_ and away from it.

References
----------
.. [1] Vovk. Cross-conformal predictors. Ann. Math. Artif. Intell., 2015.
.. [2] Barachant, Andreev, Congedo. The Riemannian Potato: an automatic and adaptive artifact
   detection method for online experiments using Riemannian geometry. TOBI Workshop IV, 2013.
.. [3] Lee, Lee, Lee, Shin. A simple unified framework for detecting out-of-distribution samples
   and adversarial attacks. NeurIPS, 2018.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..runtime.bundle import take
from ..runtime.errors import BundleError, ConfigError, SchemaMismatch
from ..runtime.messages import Samples
from .bands import Floats
from .missing import FEWEST, LEAST_SHARE, Usable, shared_references, what_is_left
from .tails import largest_with, log_tails, own_surprises, surprise
from .window_statistics import Measured, WindowStatistics
from .yardsticks import Yardsticks, ways

_LEAST = 1e-3  # a distance of nothing still has a logarithm, and rounding has no say
_FEWEST_WINDOWS = 12
_REMEMBERED = 8
_KEPT = 0.8  # of calibration, at least
_LEAST_SPREAD = 0.05  # of a log distance


@dataclass(frozen=True, slots=True, kw_only=True)
class FamiliarityConfig:
    """What can be chosen about `Familiarity`.

    Parameters
    ----------
    rate_hz : float
        Sampling rate of the windows, at least 100 Hz.
    alpha : float
        A window is familiar if at least this share of calibration windows is as odd, in (0, 0.5].
    shrinkage : float
        Weight of the identity in each covariance of unit trace, in (0, 1].
    trim : float
        Calibration windows that are odd by more than so many robust standard deviations, at
        least 2, are taken for artefacts and left out, at most a fifth of them.
    n_components : int
        At most so many principal components of the embedding are told apart, at least 1.
    n_folds : int
        Blocks of time for calibration from a single recording, at least 2.
    """

    rate_hz: float
    alpha: float = 0.02
    shrinkage: float = 0.1
    trim: float = 5.0
    n_components: int = 16
    n_folds: int = 4

    def __post_init__(self) -> None:
        for name, got, fits, allowed in (
            ("rate_hz", self.rate_hz, self.rate_hz >= 100, "at least 100 Hz"),
            ("alpha", self.alpha, 0 < self.alpha <= 0.5, "in (0, 0.5]"),
            ("shrinkage", self.shrinkage, 0 < self.shrinkage <= 1, "in (0, 1]"),
            ("trim", self.trim, self.trim >= 2, "at least 2"),
            ("n_components", self.n_components, self.n_components >= 1, "at least 1"),
            ("n_folds", self.n_folds, self.n_folds >= 2, "at least 2"),
        ):
            if not fits:
                raise ConfigError(f"{name} must be {allowed}, got {got:g}: change it.")


@dataclass(frozen=True, slots=True, kw_only=True)
class FamiliarityScore:
    """How familiar one window is.

    Parameters
    ----------
    p : float
        Share of calibration windows at least as odd, 0 to 1; small is strange. Below one over
        their number it is extrapolated, to tell strange from stranger.
    familiar : bool
        Whether `p` is at least the chosen alpha.
    surprise : float
        The three smallest tails together, as a negative natural logarithm; see
        `Familiarity.threshold`. Infinite if the window cannot be judged.
    quality : float
        Factor for `Embedding.quality`: 1 from twice alpha on, 0.5 at alpha, 0 at nothing.
    distances : mapping of str to float
        What each way measured; empty if the window cannot be judged.
    tails : mapping of str to float
        Share of calibration windows at least as far off, for each way.
    """

    p: float
    familiar: bool
    surprise: float
    quality: float
    distances: Mapping[str, float]
    tails: Mapping[str, float]

    @property
    def reason(self) -> str:
        """What is least familiar, in a few words; empty if the window is familiar."""
        if self.familiar:
            return ""
        if not self.tails:
            return "too few usable channels, or samples that are no numbers"
        return f"unlike calibration: {min(self.tails, key=lambda way: self.tails[way])}"


class Familiarity:
    """Says of a window how many calibration windows were at least as odd.

    Parameters
    ----------
    config : FamiliarityConfig
        What was chosen.
    arrays : mapping of str to ndarray
        What was learnt, as from `to_arrays`.

    Raises
    ------
    BundleError
        If an array is missing or they do not fit each other.

    Notes
    -----
    Calibrate on windows as they will be served: same conditioning, same length. That a share
    `alpha` of good windows is refused holds on average over calibrations, and as far as good
    windows keep looking like calibration. Signal drifts: expect two or three times as many in
    later runs, and nearly all of them on another day with few electrodes. Below some hundred
    windows the threshold is a guess beyond what was seen.
    """

    Config = FamiliarityConfig

    def __init__(self, config: FamiliarityConfig, arrays: Mapping[str, NDArray[Any]]) -> None:
        self.config = config
        self._yards = Yardsticks.from_arrays(arrays)
        self._ranks = np.sort(take(arrays, "ranks", 2), axis=1)
        self._surprises = np.sort(take(arrays, "surprises", 1))
        self._measure = WindowStatistics(config.rate_hz, int(take(arrays, "n_times", 1)[0]))
        self._ways = ways(self._measure, len(self._yards.mean) > 0)
        shape = (len(self._ways), len(self._surprises))
        n_statistics = self._yards.middle.shape[1]
        if self._ranks.shape != shape or n_statistics != len(self._measure.names):
            raise BundleError(
                f"What was learnt of familiar windows has {n_statistics} statistics and ranks of "
                f"shape {self._ranks.shape}, needed are {len(self._measure.names)} and {shape}: "
                f"fit the model again."
            )
        self._groups = shared_references(self._yards.patterns.sum(axis=0))
        self._made: OrderedDict[bytes, tuple[Yardsticks, Floats]] = OrderedDict()

    @classmethod
    def fit(
        cls,
        embeddings: ArrayLike | None,
        windows: Samples,
        config: FamiliarityConfig,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Learn what is familiar.

        Parameters
        ----------
        embeddings : array-like, shape (n_windows, n_features), optional
            What the encoder made of each window; None to look at the signal alone.
        windows : ndarray, shape (n_windows, n_channels, n_times)
            Conditioned windows in microvolts, in the order of time, without masked channels.
        config : FamiliarityConfig
            What was chosen.
        groups : array-like, shape (n_windows,), optional
            Recording of each window. With two or more, each is ranked by yardsticks from the
            others; with one or none, blocks of time are.

        Returns
        -------
        familiarity : Familiarity
            Ready to `score`.

        Raises
        ------
        ConfigError
            If there are fewer than 12 windows, lengths differ, or something is not finite.
        """
        values = np.empty((len(windows), 0))
        if embeddings is not None:
            values = np.asarray(embeddings, dtype=np.float64)
        _check_calibration(values, windows)
        measure = WindowStatistics(config.rate_hz, windows.shape[2])
        measured = [measure.measure(samples) for samples in windows]
        folds = _folds(len(windows), groups, config.n_folds)
        kept = _plausible(_ranks(measured, values, config, folds), config.trim)
        measured, values = [measured[row] for row in kept], values[kept]
        folds = [np.flatnonzero(np.isin(kept, held)) for held in folds if np.isin(held, kept).any()]
        if len(folds) < 2:  # all but one recording were artefacts
            folds = _folds(len(kept), None, config.n_folds)
        ranks = _ranks(measured, values, config, folds)
        yards = Yardsticks.fit(measured, values, config.n_components)
        learnt = {"ranks": ranks, "surprises": own_surprises(ranks)}
        n_times = np.array([windows.shape[2]], dtype=np.float64)
        return cls(config, yards.to_arrays() | learnt | {"n_times": n_times})

    @classmethod
    def from_arrays(cls, config: FamiliarityConfig, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild from a bundle's arrays; raises `BundleError` if they do not fit."""
        return cls(config, arrays)

    def to_arrays(self) -> dict[str, Floats]:
        """What was learnt, for a bundle."""
        n_times = np.array([self._measure.n_times], dtype=np.float64)
        learnt = {"ranks": self._ranks, "surprises": self._surprises, "n_times": n_times}
        return self._yards.to_arrays() | learnt

    @property
    def ways(self) -> tuple[str, ...]:
        """Names of what is measured, in the order of `FamiliarityScore.distances`."""
        return self._ways

    def threshold(self, alpha: float) -> float:
        """Largest surprise of a familiar window.

        Parameters
        ----------
        alpha : float
            Share of good windows that may be refused, in (0, 1).

        Returns
        -------
        surprise : float
            ``score.p >= alpha`` and ``score.surprise <= threshold(alpha)`` say the same. Below one
            over the number of calibration windows it is extrapolated.
        """
        return largest_with(self._surprises, alpha)

    def quality(
        self, values: ArrayLike | None, samples: Samples, usable: Usable | None = None
    ) -> float:
        """Factor for `Embedding.quality` from 0, strange, to 1, familiar; see `score`."""
        return self.score(values, samples, usable).quality

    def score(
        self, values: ArrayLike | None, samples: Samples, usable: Usable | None = None
    ) -> FamiliarityScore:
        """Judge one window.

        Parameters
        ----------
        values : array-like, shape (n_features,), optional
            Its embedding; None to judge the signal alone.
        samples : ndarray, shape (n_channels, n_times)
            The window, in microvolts.
        usable : ndarray of bool, shape (n_channels,), optional
            False in masked rows, which are not looked at; None if every row is good.

        Returns
        -------
        score : FamiliarityScore
            With ``p = 0`` if the window cannot be judged: a sample or value is not finite, or of
            several channels fewer than a third, or fewer than 3, are left.

        Raises
        ------
        SchemaMismatch
            If the window, the mask or the embedding has another shape than in calibration.
        """
        n, vector = len(self._yards.middle), self._vector(values)
        rows = np.ones(n, dtype=bool) if usable is None else np.asarray(usable, dtype=bool)
        if samples.shape != (n, self._measure.n_times) or rows.shape != (n,):
            raise SchemaMismatch(
                f"A window has shape {samples.shape} and a mask {rows.shape}, calibrated were "
                f"{(n, self._measure.n_times)}: use the model's own conditioning and window."
            )
        picked = samples if rows.all() else samples[rows]
        enough = rows.all() or rows.sum() >= max(FEWEST, LEAST_SHARE * n)
        finite = np.isfinite(picked).all() and (vector is None or np.isfinite(vector).all())
        if not (enough and finite):
            return FamiliarityScore(
                p=0.0, familiar=False, surprise=np.inf, quality=0.0, distances={}, tails={}
            )
        return self._judged(self._measure.measure(picked), vector, rows)

    def _vector(self, values: ArrayLike | None) -> Floats | None:
        n_features = len(self._yards.mean)
        vector = None if values is None else np.asarray(values, dtype=np.float64)
        if vector is not None and vector.shape != (n_features,):
            raise SchemaMismatch(
                f"An embedding has shape {vector.shape}, calibrated were {n_features} features: "
                f"use the encoder of the calibration."
            )
        return vector if n_features else None

    def _judged(self, measured: Measured, vector: Floats | None, rows: Usable) -> FamiliarityScore:
        yards, whiteners = self._left(rows)
        distances = yards.distances(measured, vector, whiteners, self.config.shrinkage)
        n_ways = len(distances)
        tails = log_tails(self._ranks[:n_ways], np.log(distances + _LEAST))
        in_all = surprise(tails)
        p = float(np.exp(log_tails(self._surprises[None], np.array([in_all]))[0]))
        return FamiliarityScore(
            p=p,
            familiar=in_all <= self.threshold(self.config.alpha),
            surprise=in_all,
            quality=min(1.0, p / (2 * self.config.alpha)),
            distances=dict(zip(self._ways, distances.tolist(), strict=False)),
            tails=dict(zip(self._ways, np.exp(tails).tolist(), strict=False)),
        )

    def _left(self, rows: Usable) -> tuple[Yardsticks, Floats]:
        """For these channels; made when the mask changes, and kept for the last few."""
        key = rows.tobytes()
        if key not in self._made:
            yards = (
                self._yards
                if rows.all()
                else self._yards.left(what_is_left(rows, self._groups), rows)
            )
            self._made[key] = yards, yards.whiteners(self.config.shrinkage)
            if len(self._made) > _REMEMBERED:
                self._made.popitem(last=False)
        self._made.move_to_end(key)
        return self._made[key]


def _ranks(
    measured: Sequence[Measured],
    values: Floats,
    config: FamiliarityConfig,
    folds: Sequence[NDArray[np.intp]],
) -> Floats:
    """Log distances of every window by yardsticks that have not seen it, (n_ways, n_windows)."""
    n = len(measured)
    found: list[Floats] = [np.empty(0)] * n
    for held in folds:
        rest = np.setdiff1d(np.arange(n), held)
        yards = Yardsticks.fit([measured[row] for row in rest], values[rest], config.n_components)
        whiteners = yards.whiteners(config.shrinkage)
        for row in held:
            vector = values[row] if values.shape[1] else None
            found[row] = yards.distances(measured[row], vector, whiteners, config.shrinkage)
    return np.log(np.stack(found, axis=1) + _LEAST)


def _plausible(ranks: Floats, trim: float) -> NDArray[np.intp]:
    """Windows that are no artefacts among the rest; four fifths of them, whatever they are."""
    middle = np.median(ranks, axis=1, keepdims=True)
    spread = 1.4826 * np.median(np.abs(ranks - middle), axis=1, keepdims=True)
    odd = ((ranks - middle) / np.maximum(spread, _LEAST_SPREAD)).max(axis=0)
    return np.flatnonzero(odd <= max(trim, float(np.quantile(odd, _KEPT))))


def _check_calibration(values: Floats, windows: Samples) -> None:
    if len(windows) < _FEWEST_WINDOWS or values.ndim != 2 or len(values) != len(windows):
        raise ConfigError(
            f"Got {len(windows)} windows and embeddings of shape {values.shape}, needed are at "
            f"least {_FEWEST_WINDOWS} and as many rows: calibrate longer."
        )
    if not (np.isfinite(windows).all() and np.isfinite(values).all()):
        raise ConfigError(
            "A window or an embedding is NaN or infinite, allowed is finite: leave it out."
        )


def _folds(n: int, groups: ArrayLike | None, n_folds: int) -> list[NDArray[np.intp]]:
    """Rows held out together: recordings, or blocks of time."""
    if groups is not None:
        names, where = np.unique(np.asarray(groups), return_inverse=True)
        if where.shape != (n,):
            raise ConfigError(f"Got groups of shape {where.shape}, needed is one for each of {n}.")
        if len(names) > 1:
            return [np.flatnonzero(where == one) for one in range(len(names))]
    return np.array_split(np.arange(n), n_folds)
