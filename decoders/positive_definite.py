"""Means and roots of positive definite matrices."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .bands import Floats

# It is where features are seen from: further steps change them by less than a millionth.
_NEAR = 1e-5
_MOST_STEPS = 50


def riemannian_mean(covariances: Floats) -> Floats:
    """Mean under the affine-invariant metric.

    From the arithmetic mean downhill: the mean of all directions to the matrices, seen from where
    one is, says where to go. A step that did not bring one nearer is followed by one of half the
    length.

    Parameters
    ----------
    covariances : ndarray, shape (n, n_components, n_components)
        Positive definite.

    Returns
    -------
    mean : ndarray, shape (n_components, n_components)
        Their centre.

    References
    ----------
    Fletcher, Lu, Pizer, Joshi. Principal geodesic analysis for the study of nonlinear statistics
    of shape. IEEE Transactions on Medical Imaging, 2004.
    Congedo, Afsari, Barachant, Moakher. Approximate joint diagonalization and geometric mean of
    symmetric positive definite matrices. PLOS ONE, 2015 (the length of the steps).
    """
    mean: Floats = covariances.mean(axis=0)
    length, least = 1.0, np.inf
    for _ in range(_MOST_STEPS):
        root, whitening = _through(np.sqrt, mean), inverse_root(mean)
        direction = _through(np.log, whitening @ covariances @ whitening).mean(axis=0)
        mean = root @ _through(np.exp, length * direction) @ root
        away = float(np.linalg.norm(direction))
        if away <= _NEAR or length <= _NEAR:
            break
        nearer = length * away < least
        least = min(least, length * away)
        length *= 0.95 if nearer else 0.5
    return mean


def _through(function: Callable[[Floats], Floats], matrices: Floats) -> Floats:
    """A function of symmetric matrices: of their eigenvalues, in their axes."""
    powers, axes = np.linalg.eigh(matrices)
    made: Floats = (axes * function(powers)[..., None, :]) @ axes.swapaxes(-1, -2)
    return made


def inverse_root(matrix: Floats) -> Floats:
    """Inverse of the symmetric square root.

    Parameters
    ----------
    matrix : ndarray, shape (n, n)
        Positive definite.

    Returns
    -------
    root : ndarray, shape (n, n)
        Symmetric.
    """
    powers, axes = np.linalg.eigh(matrix)
    root: Floats = (axes / np.sqrt(powers)) @ axes.T
    return root
