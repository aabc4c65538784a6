"""Labels of the five percent electrode system (10-05), and where on the head they lie.

The system [1]_ divides the lines of the 10-20 system in steps of five per cent. Of its 345 labels
the 10-10 and 10-20 systems are parts. A label is a row and a column: ``z`` on the midline, odd
numbers to the left of it, even ones to the right, and ``h`` for half a column nearer to the
midline. The row's letters change where it leaves the top of the head (``FFC5h``, ``FFT7h``).

Places are geometry, on the sphere that fits a scalp: no head was measured.

References
----------
.. [1] Oostenveld, Praamstra. The five percent electrode system for high-resolution EEG and ERP
   measurements. Clinical Neurophysiology, 2001.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

# On the sphere that fits a scalp best, nasion and inion lie 115 degrees from the vertex, below
# the equator: ten per cent of the arc between them is 23 degrees. Around the ring, ten per cent
# of a half turn is 18.
_ALONG_DEG, _AROUND_DEG = 23.0, 18.0
_RING, _LOW_RING = 4, 5  # steps from the vertex to the ring of T7, and to that of P9

# Ten-per-cent steps of each row's midline electrode before (+) or behind (-) the vertex, and steps
# from the nose around the ring to its outermost electrode.
_ROWS = {
    "AFp": (3.5, 1.5), "AF": (3, 2), "AFF": (2.5, 2.5), "F": (2, 3), "FFC": (1.5, 3.5),
    "FC": (1, 4), "FCC": (0.5, 4.5), "C": (0, 5), "CCP": (-0.5, 5.5), "CP": (-1, 6),
    "CPP": (-1.5, 6.5), "P": (-2, 7), "PPO": (-2.5, 7.5), "PO": (-3, 8), "POO": (-3.5, 8.5),
}  # fmt: skip
# The same rows where they leave the top of the head.
_AT_THE_SIDE = {
    "FFT": "FFC", "FT": "FC", "FTT": "FCC", "T": "C", "TTP": "CCP", "TP": "CP", "TPP": "CPP",
}  # fmt: skip
# Rows that follow a ring themselves: steps from the vertex to it, and whether it is at the back.
_ALONG_A_RING = {
    "Fp": (4, False), "NFp": (4.5, False), "N": (5, False),
    "O": (4, True), "OI": (4.5, True), "I": (5, True),
}  # fmt: skip
_TOP = ("1h", "2h", "1", "2", "3h", "4h", "3", "4", "5h", "6h", "5", "6")
_SIDE = ("7h", "8h", "7", "8", "9h", "10h", "9", "10")

_OTHER_NAMES = {
    "T3": "T7", "T4": "T8", "T5": "P7", "T6": "P8",  # as the 10-20 system had them
    "O9": "I1", "O10": "I2",
}  # fmt: skip
_BEFORE = re.compile(r"(?:EEG|POL)[ _-]+", re.IGNORECASE)
_BEHIND = re.compile(
    r"[ _-]+(?:REF\d?|LE|RE|AVG|AV|AR|CAR|A1|A2|A1A2|M1|M2|M1M2|ORG|GND)$", re.IGNORECASE
)


def _labels() -> Iterator[str]:
    for row in _ROWS:
        yield f"{row}z"
        at_the_side = [side for side, top in _AT_THE_SIDE.items() if top == row]
        for column in _TOP:
            yield f"{row}{column}"
        for column in _SIDE:
            yield f"{(at_the_side or [row])[0]}{column}"
    for row in _ALONG_A_RING:
        for column in ("z", "1h", "2h", "1", "2"):
            yield f"{row}{column}"


LABELS: tuple[str, ...] = tuple(_labels())
"""All 345 labels of the system."""

_BY_LETTERS = {label.lower(): label for label in LABELS} | {
    other.lower(): label for other, label in _OTHER_NAMES.items()
}


def standard_name(label: str) -> str | None:
    """The name that the 10-05 system has for an electrode, however a device writes it.

    Parameters
    ----------
    label : str
        For example ``"FP1"``, ``"EEG Fp1-REF"``, ``"Fc5."`` or ``"T3"``.

    Returns
    -------
    name : str or None
        One of `LABELS`: ``"Fp1"``, ``"Fp1"``, ``"FC5"``, ``"T7"``. None for what is no electrode
        of the system; a difference of two electrodes, as ``"Fp1-F7"``, is none.
    """
    plain = label.strip().strip(".").strip()
    if (name := _BY_LETTERS.get(plain.lower())) is not None:
        return name
    plain = _BEHIND.sub("", _BEFORE.sub("", plain, count=1)).strip()
    return _BY_LETTERS.get(plain.lower())


def unit_place(name: str) -> NDArray[np.float64]:
    """Place of an electrode on the unit sphere.

    Midline and ring electrodes lie on their marks; those between share the arc through the
    midline and both ends on the ring in equal parts.

    Parameters
    ----------
    name : str
        One of `LABELS`.

    Returns
    -------
    place : ndarray, shape (3,)
        Right, front and up.
    """
    row = name.rstrip("zh0123456789")
    column = name[len(row) :]
    number = int(column.rstrip("h")) if column != "z" else 0
    # 1 and 2 are a step from the midline, 7 and 8 on the ring
    steps = (number + 1) // 2 - (0.5 if column.endswith("h") else 0.0)
    place = _along_ring(row, steps) if row in _ALONG_A_RING else _in_row(row, steps)
    return np.asarray(place * (-1.0 if number % 2 else 1.0, 1.0, 1.0))


def _along_ring(row: str, steps: float) -> NDArray[np.float64]:
    along, behind = _ALONG_A_RING[row]
    if not steps:
        return _direction(-along if behind else along, 0)
    return _direction(along, 10 - steps if behind else steps)


def _in_row(row: str, steps: float) -> NDArray[np.float64]:
    before, around = _ROWS[_AT_THE_SIDE.get(row, row)]
    midline = _direction(before, 0)
    if not steps:
        return midline
    if steps >= 4:  # from the ring on straight down
        return _direction(_RING + (steps - 4) * (_LOW_RING - _RING), around)
    return _on_arc(midline, _direction(_RING, around), steps / 4)


def _direction(along: float, around: float) -> NDArray[np.float64]:
    """Unit vector so many steps from the vertex, turned so many from the nose to the right."""
    polar, turn = math.radians(_ALONG_DEG * along), math.radians(_AROUND_DEG * around)
    side = math.sin(polar)
    return np.array([side * math.sin(turn), side * math.cos(turn), math.cos(polar)])


def _on_arc(
    midline: NDArray[np.float64], ring: NDArray[np.float64], share: float
) -> NDArray[np.float64]:
    """Go a share of the way on the circle through the midline point and both ring points."""
    # By symmetry the centre of that circle lies on the line from the midline point to the middle
    # between the two ring points: the spine.
    spine = midline - ring * (0, 1, 1)
    width, height = float(ring[0]), float(np.linalg.norm(spine))
    radius = (width**2 + height**2) / (2 * height)
    angle = share * math.atan2(width, radius - height)
    fall = radius * (1 - math.cos(angle)) / height
    return np.asarray(midline - fall * spine + (radius * math.sin(angle), 0.0, 0.0))
