"""A head seen from above: where electrodes are drawn, and what lies between them.

Places are turned into directions from the centre of the sphere that fits the scalp, and directions
into a disc whose edge goes through nasion and inion, the nose up. What was measured at the
electrodes is interpolated with spherical splines [1]_, which are smooth, exact up to the smoothing
that is asked for, and know nothing of a grid.

References
----------
.. [1] Perrin, Pernier, Bertrand, Echallier. Spherical splines for scalp potential and current
   density mapping. Electroencephalogr. Clin. Neurophysiol. 72, 1989; corrigendum 76, 1990.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

EDGE_RAD = math.radians(115.0)
"""From the vertex to nasion and inion, on the sphere that fits a scalp: the edge of the disc."""

FEWEST = 4
"""Fewer electrodes than these say nothing of what lies between them."""

_ORDER, _TERMS = 4, 12  # m of Perrin et al.; their series is right to 1e-6 after 7 terms
_RADIUS_M = (0.05, 0.15)  # of a head: what is outside is no fit
_FARTHEST_M = 0.08  # from the origin of any usual head frame to the centre of the sphere
_SMALLEST_M = 1e-4

Places = NDArray[np.float64]


def directions(places_m: Places) -> Places:
    """From the centre of the head towards electrodes.

    Parameters
    ----------
    places_m : ndarray, shape (n, 3)
        Right, front and up, metres, in any head frame. The centre is that of the sphere which
        fits them, or the origin, where they are too few or do not lie on a head.

    Returns
    -------
    towards : ndarray, shape (n, 3)
        Of length 1; what lies at the centre is drawn at the vertex.
    """
    away = np.asarray(places_m, float).reshape(-1, 3) - _centre(np.asarray(places_m, float))
    length = np.linalg.norm(away, axis=1, keepdims=True)
    return np.where(length > _SMALLEST_M, away / np.maximum(length, _SMALLEST_M), (0.0, 0.0, 1.0))


def on_disc(towards: Places) -> Places:
    """Where directions are drawn: equal steps along the scalp are equal steps on the disc.

    Parameters
    ----------
    towards : ndarray, shape (n, 3)
        Of length 1.

    Returns
    -------
    places : ndarray, shape (n, 2)
        To the right and to the nose; 1 from the centre is the edge of the head.
    """
    flat = np.hypot(towards[:, 0], towards[:, 1])
    angle = np.arctan2(flat, towards[:, 2])
    stretch = np.where(flat > 1e-12, angle / EDGE_RAD / np.maximum(flat, 1e-12), 0.0)
    return np.asarray(towards[:, :2] * stretch[:, None])


def from_disc(places: Places) -> Places:
    """Undo `on_disc`.

    Parameters
    ----------
    places : ndarray, shape (n, 2)
        To the right and to the nose.

    Returns
    -------
    towards : ndarray, shape (n, 3)
        Of length 1.
    """
    far = np.hypot(places[:, 0], places[:, 1])
    angle = far * EDGE_RAD
    flat = np.divide(np.sin(angle), far, out=np.full_like(far, EDGE_RAD), where=far > 1e-12)
    return np.column_stack([places[:, 0] * flat, places[:, 1] * flat, np.cos(angle)])


class Scalp:
    """Interpolates between electrodes on a square of pixels over the disc.

    Parameters
    ----------
    towards : ndarray, shape (n, 3)
        Of length 1, one for each electrode.
    n_pixels : int
        Along a side of the square that holds the disc, its edge half a pixel inside.
    smooth : float
        Added to the diagonal of the equations, relative to it: 0 goes through every electrode,
        more lets noise of single electrodes count for less.
    """

    def __init__(self, towards: Places, n_pixels: int = 64, smooth: float = 1e-3) -> None:
        self.n_pixels = n_pixels
        self._smooth = smooth
        side = (np.arange(n_pixels) + 0.5) / n_pixels * 2 - 1
        across, up = np.meshgrid(side, -side)  # row 0 is drawn at the top, where the nose is
        pixels = from_disc(np.column_stack([across.ravel(), up.ravel()]))
        self._to_pixels = _spline(pixels @ towards.T).astype(np.float32)
        self._between = _spline(towards @ towards.T)
        self._solved: tuple[bytes, NDArray[np.float64]] = (b"", np.zeros((0, 0)))

    def between(self, values: NDArray[np.floating]) -> NDArray[np.float32] | None:
        """What lies between the electrodes.

        Parameters
        ----------
        values : ndarray, shape (n,)
            At the electrodes; one that is not finite is left out, as if it were not there.

        Returns
        -------
        picture : ndarray, shape (n_pixels, n_pixels), or None
            Within the range of what was measured; None from fewer than `FEWEST` electrodes.
        """
        known = np.isfinite(values)
        if known.sum() < FEWEST:
            return None
        measured = np.asarray(values, float)[known]
        weights = self._equations(known) @ np.append(measured, 0.0)
        picture = self._to_pixels[:, known] @ weights[:-1].astype(np.float32)
        picture += np.float32(weights[-1])
        clipped = np.clip(picture, measured.min(), measured.max())
        return np.asarray(clipped.reshape(self.n_pixels, self.n_pixels), np.float32)

    def _equations(self, known: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Inverse of the spline's equations; the same until other electrodes are left out."""
        key = known.tobytes()
        if self._solved[0] != key:
            n = int(known.sum())
            matrix = np.ones((n + 1, n + 1))
            matrix[:n, :n] = self._between[np.ix_(known, known)]
            matrix[np.arange(n), np.arange(n)] += self._smooth * float(_spline(np.ones(1))[0])
            matrix[n, n] = 0.0
            self._solved = (key, np.asarray(np.linalg.pinv(matrix), np.float64))
        return self._solved[1]


def _spline(cosines: NDArray[np.float64]) -> NDArray[np.float64]:
    """Perrin's g: how much an electrode says of a place, by the cosine of the angle between."""
    n = np.arange(1, _TERMS + 1)
    series = np.concatenate([[0.0], (2 * n + 1) / (n * (n + 1.0)) ** _ORDER]) / (4 * math.pi)
    return np.asarray(np.polynomial.legendre.legval(np.clip(cosines, -1, 1), series))


def _centre(places_m: Places) -> Places:
    """Of the sphere through the places, by least squares; the origin if there is no such head."""
    if len(places_m) < 8:
        return np.zeros(3)
    equations = np.column_stack([2 * places_m, np.ones(len(places_m))])
    solved, _, rank, _ = np.linalg.lstsq(equations, (places_m**2).sum(1), rcond=1e-6)
    centre = solved[:3]
    radius_m = math.sqrt(max(float(solved[3] + centre @ centre), 0.0))
    is_head = _RADIUS_M[0] <= radius_m <= _RADIUS_M[1] and np.linalg.norm(centre) <= _FARTHEST_M
    return np.asarray(centre if rank == 4 and is_head else np.zeros(3))
