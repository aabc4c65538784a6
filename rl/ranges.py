"""Settings of what learns, held to what they may be."""

from __future__ import annotations

import math
from typing import Any

from ..runtime.errors import ConfigError


def require(config: Any, **ranges: tuple[float, float]) -> None:
    """Refuse a setting that is out of its range.

    Parameters
    ----------
    config : object
        Whose attributes are looked at.
    **ranges : tuple of float
        Smallest and largest value allowed, by name.

    Raises
    ------
    ConfigError
        Names the first setting that is out of range or no finite number.
    """
    for name, (low, high) in ranges.items():
        value = getattr(config, name)
        if not (math.isfinite(value) and low <= value <= high):
            raise ConfigError(
                f"{name} must be from {low:g} to {high:g}, got {value}: choose a value in between."
            )
