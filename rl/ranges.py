"""Settings of what learns, held to what they may be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar

from ..runtime.errors import ConfigError

_Config = TypeVar("_Config")


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


def changed(config: _Config, settings: Mapping[str, Any], whose: str) -> _Config:
    """The same settings with some of them replaced.

    Parameters
    ----------
    config : dataclass
        Before.
    settings : mapping
        By the names of its fields.
    whose : str
        Begins the sentence if one is not known: ``"A person"``.

    Returns
    -------
    config : dataclass
        Valid.

    Raises
    ------
    ConfigError
        If a name is unknown or a value does not fit.
    """
    known = [item.name for item in fields(config)]  # type: ignore[arg-type]
    if unknown := sorted(set(settings) - set(known)):
        raise ConfigError(f"{whose} has no {unknown[0]!r}; known are {', '.join(known)}.")
    return replace(config, **settings) if settings else config  # type: ignore[type-var]
