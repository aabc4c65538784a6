"""Means and roots of positive definite matrices."""

from __future__ import annotations

import numpy as np

from .bands import Floats


def riemannian_mean(covariances: Floats) -> Floats:
    """Mean under the affine-invariant metric.

    Parameters
    ----------
    covariances : ndarray, shape (n, n_components, n_components)
        Positive definite.

    Returns
    -------
    mean : ndarray, shape (n_components, n_components)
        Their centre.
    """
    try:
        from pyriemann.geometry.mean import mean_riemann
    except ImportError:  # pyriemann before 0.12 keeps it elsewhere
        from pyriemann.utils.mean import mean_riemann
    # It is where features are seen from: further steps change them by less than a millionth.
    mean: Floats = mean_riemann(covariances, tol=1e-5)
    return mean


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
