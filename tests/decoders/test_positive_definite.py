"""Means of positive definite matrices: their laws, and another library's numbers."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from diverloop.decoders.positive_definite import inverse_root, riemannian_mean


def drawn(n: int = 30, size: int = 8, seed: int = 0, spread: float = 1.0) -> np.ndarray:
    """Covariances whose channels differ as much as those of electrodes do."""
    rng = np.random.default_rng(seed)
    signal = rng.standard_normal((n, size, 4 * size)) * 10 ** rng.uniform(0, spread, (n, size, 1))
    return signal @ signal.swapaxes(1, 2) / signal.shape[2]


@pytest.mark.parametrize("spread", [0.1, 1.0, 2.0])
def test_the_mean_is_that_of_pyriemann(spread):
    try:
        from pyriemann.geometry.mean import mean_riemann
    except ImportError:  # pyriemann before 0.12 keeps it elsewhere
        from pyriemann.utils.mean import mean_riemann
    mean = riemannian_mean(drawn(spread=spread))
    whitening = inverse_root(mean_riemann(drawn(spread=spread), tol=1e-9))
    np.testing.assert_allclose(whitening @ mean @ whitening, np.eye(8), atol=1e-5)


def test_what_is_seen_through_other_electrodes_has_its_mean_there():
    mixing = np.random.default_rng(1).standard_normal((8, 8))
    there = riemannian_mean(mixing @ drawn() @ mixing.T)
    np.testing.assert_allclose(there, mixing @ riemannian_mean(drawn()) @ mixing.T, rtol=1e-4)


def test_a_matrix_and_its_inverse_meet_at_the_identity():
    one = drawn(1)[0]
    mean = riemannian_mean(np.stack([one, np.linalg.inv(one)]))
    np.testing.assert_allclose(mean, np.eye(8), atol=1e-5)


def test_one_matrix_is_its_own_mean_and_its_root_whitens_it():
    one = drawn(1)
    np.testing.assert_allclose(riemannian_mean(one), one[0], rtol=1e-9)
    root = inverse_root(one[0])
    np.testing.assert_allclose(root @ one[0] @ root, np.eye(8), atol=1e-9)


def test_a_mean_waits_for_no_library_of_windows_pictures_or_networks():
    script = (
        "import sys, numpy as np\n"
        "from diverloop.decoders.positive_definite import riemannian_mean\n"
        "riemannian_mean(np.eye(3)[None])\n"
        "print(*sorted({'pyriemann', 'torch', 'matplotlib', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == []
