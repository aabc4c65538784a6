"""A linear decoder of velocity, told by what features do for an intention.

It keeps the encoding (tuning, baseline, noise) and reads intentions back by the linear estimate of
least variance that does not shrink them [1]_; a first-order smoothing makes a velocity of it, which
is the steady state of the velocity Kalman filter used with people [2]_. Adaptation moves the
encoding, whose parts average well, rather than the weights [3]_.

References
----------
.. [1] Salinas, Abbott. Vector reconstruction from firing rates. J. Computational Neuroscience,
   1994.
.. [2] Kim et al. Neural control of computer cursor velocity by decoding motor cortical spiking
   activity in humans with tetraplegia. J. Neural Engineering, 2008. Malik, Truccolo, Brown,
   Hochberg. Efficient decoding with steady-state Kalman filter in neural interface systems. IEEE
   Trans. Neural Systems and Rehabilitation Engineering, 2011.
.. [3] Orsborn, Dangi, Moorman, Carmena. Closed-loop decoder adaptation on intermediate time-scales
   facilitates rapid BMI performance improvements independent of decoder initialization conditions.
   IEEE Trans. Neural Systems and Rehabilitation Engineering, 2012.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import BundleError

Floats = NDArray[np.float64]

SHRINKAGE = 0.1
"""Share by which covariances between features are pulled to zero: blocks are short."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VelocityHead:
    """What decodes.

    Parameters
    ----------
    tuning : ndarray, shape (n_features, 2)
        Change of each feature for a full intention along each axis.
    baseline : ndarray, shape (n_features,)
        Without intention.
    noise : ndarray, shape (n_features, n_features)
        Covariance of what the intention does not explain, positive definite.
    correction : ndarray, shape (2, 2)
        What the intention read is multiplied with.
    offset : ndarray, shape (2,)
        What is added to that.
    gain : float
        Velocity of a full intention, in half widths of the workspace a second.
    smoothing : float
        Share of the last velocity that is kept in a step, 0 to below 1.
    """

    tuning: Floats
    baseline: Floats
    noise: Floats
    correction: Floats = field(default_factory=lambda: np.eye(2))
    offset: Floats = field(default_factory=lambda: np.zeros(2))
    gain: float = 0.8
    smoothing: float = 0.8
    weights: Floats = field(init=False)
    """From features without their baseline to an intention, shape (2, n_features)."""

    def __post_init__(self) -> None:
        n = len(self.baseline)
        shapes = {"tuning": (n, 2), "noise": (n, n), "correction": (2, 2), "offset": (2,)}
        for name, shape in shapes.items():
            if (got := getattr(self, name).shape) != shape:
                raise BundleError(
                    f"A velocity decoder of {n} features needs {name} of shape {shape}, got {got}: "
                    f"calibrate again."
                )
        arrays = (self.tuning, self.baseline, self.noise, self.correction, self.offset)
        if not all(np.isfinite(array).all() for array in arrays):
            raise BundleError("A velocity decoder holds NaN or infinity: calibrate again.")
        if not (0 < self.gain < math.inf and 0 <= self.smoothing < 1):
            raise BundleError(
                f"A velocity decoder needs a positive gain and a smoothing from 0 to below 1, got "
                f"{self.gain} and {self.smoothing}: correct them."
            )
        object.__setattr__(self, "weights", self._weights())

    def _weights(self) -> Floats:
        try:
            whitened = np.linalg.solve(self.noise, self.tuning)
        except np.linalg.LinAlgError:
            raise BundleError(
                "The noise of a velocity decoder has no inverse: calibrate with more steps than "
                "features."
            ) from None
        # Little enough to change nothing but a decoder without any tuning.
        weights: Floats = np.linalg.solve(self.tuning.T @ whitened + 1e-3 * np.eye(2), whitened.T)
        return weights

    @classmethod
    def fit(
        cls, features: Floats, intentions: Floats, *, gain: float = 0.8, smoothing: float = 0.8
    ) -> Self:
        """Learn the encoding from steps whose intention is known or assumed.

        Parameters
        ----------
        features : ndarray, shape (n_steps, n_features)
            Finite.
        intentions : ndarray, shape (n_steps, 2)
            Of length 1 at most.
        gain, smoothing : float
            As above.

        Returns
        -------
        head : VelocityHead
            Without correction.

        Raises
        ------
        BundleError
            If there are fewer steps than features, or the intentions do not cover the plane.
        """
        n, n_features = features.shape
        if n < max(2 * n_features, 10):
            raise BundleError(
                f"A velocity decoder of {n_features} features needs {max(2 * n_features, 10)} "
                f"steps to learn from, got {n}: record a longer block."
            )
        regressors = np.column_stack([intentions, np.ones(n)])
        if np.linalg.matrix_rank(regressors) < 3:
            raise BundleError(
                "The intentions of a block do not cover the plane: use targets all around."
            )
        solution = np.linalg.lstsq(regressors, features, rcond=None)[0]
        residuals = features - regressors @ solution
        covariance = residuals.T @ residuals / n
        own = np.maximum(np.diag(covariance), 1e-6)
        return cls(
            tuning=np.array(solution[:2].T, dtype=np.float64),
            baseline=np.array(solution[2], dtype=np.float64),
            noise=(1 - SHRINKAGE) * covariance
            + np.diag(own - (1 - SHRINKAGE) * np.diag(covariance)),
            gain=gain,
            smoothing=smoothing,
        )

    def intention(self, features: Floats) -> Floats:
        """As read from features, shape (..., 2)."""
        read: Floats = (features - self.baseline) @ self.weights.T
        corrected: Floats = read @ self.correction.T + self.offset
        return corrected

    def velocity(self, features: Floats, before: Floats) -> Floats:
        """Velocity of this step in half widths a second, from the one of the step before."""
        smoothed: Floats = self.smoothing * before + (
            1 - self.smoothing
        ) * self.gain * self.intention(features)
        return smoothed

    @property
    def sha256(self) -> str:
        """Hash of all that decodes, in hexadecimal."""
        digest = hashlib.sha256()
        numbers = np.array([self.gain, self.smoothing])
        for array in (
            self.tuning,
            self.baseline,
            self.noise,
            self.correction,
            self.offset,
            numbers,
        ):
            digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
        return digest.hexdigest()
