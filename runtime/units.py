"""Units at the door: everything inside is microvolts."""

from __future__ import annotations

from .errors import UnitError

_FACTORS = {
    "v": 1e6, "volt": 1e6, "volts": 1e6,
    "mv": 1e3, "millivolt": 1e3, "millivolts": 1e3,
    "uv": 1.0, "µv": 1.0, "μv": 1.0, "microvolt": 1.0, "microvolts": 1.0,
    "nv": 1e-3, "nanovolt": 1e-3, "nanovolts": 1e-3,
}  # fmt: skip


def microvolts_per(unit: str) -> float:
    """How many microvolts one of this unit is.

    Parameters
    ----------
    unit : str
        As a stream or a file writes it, for example ``"uV"``, ``"microvolts"`` or ``"V"``.

    Returns
    -------
    factor : float
        Multiply by it to get microvolts.

    Raises
    ------
    UnitError
        If the unit is unknown: a guess here would be wrong by a thousand.
    """
    key = unit.strip().lower()
    # "MV" would be megavolts; no amplifier has them, but some files write it for millivolts.
    if unit.strip() == "MV" or key not in _FACTORS:
        raise UnitError(
            f"The unit {unit!r} is not known; allowed are V, mV, uV and nV. If you know what "
            f'the numbers mean, say so with assume_unit = "uV" in the source.'
        )
    return _FACTORS[key]
