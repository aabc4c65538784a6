"""Tables as settings: types and names are checked here, ranges where the settings are made.

What is wrong is said with the key, the value, what is allowed and, for a misspelt key, the nearest
known one.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
import unicodedata
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from .catalog import nearest
from .errors import ConfigError

_WORD = 2**63  # TOML's whole numbers, and everybody else's
_UNSEEN = ("Cc", "Cs")  # they move a terminal's cursor, or cannot be written down as UTF-8


def build(cls: Any, values: Mapping[str, Any], where: str) -> Any:
    """Make a settings object from a table.

    Parameters
    ----------
    cls : type
        A frozen dataclass that checks its ranges.
    values : mapping
        One table.
    where : str
        Name of the table, for the error.

    Returns
    -------
    settings : object
        Instance of `cls`.

    Raises
    ------
    ConfigError
        If a key is unknown or missing, or a value has the wrong type or range.
    """
    fields = _converted(where, values, types_of(cls))
    for name in sorted(_needed(cls) - fields.keys()):
        raise ConfigError(f"{where}.{name} is missing; {where} needs it.")
    made = cls(**fields)  # its ranges speak first: they say what is allowed
    _refuse_infinite(where, fields)
    return made


def named(cls: Any, values: Any, where: str) -> dict[str, Any]:
    """The fields of a settings class that a table names, checked together.

    Parameters
    ----------
    cls : type
        See `build`.
    values : object
        The table; fields that have no default may be missing, for somebody else to bring.
    where : str
        Name of the table, for the error.

    Returns
    -------
    fields : dict
        Converted. If some are missing, ranges are for `build` to check once all are there.

    Raises
    ------
    ConfigError
        See `build`.
    """
    if isinstance(values, Mapping) and (_needed(cls) - set(values)):
        return checked(where, values, types_of(cls))
    settings = build(cls, values, where)
    return {name: getattr(settings, name) for name in values}


@cache
def types_of(cls: Any) -> Mapping[str, Any]:
    """Type of each field of a settings class."""
    hints = typing.get_type_hints(cls)
    return {entry.name: hints[entry.name] for entry in dataclasses.fields(cls)}


def _needed(cls: Any) -> set[str]:
    """Fields of a settings class that have no default."""
    return {
        entry.name
        for entry in dataclasses.fields(cls)
        if entry.default is dataclasses.MISSING and entry.default_factory is dataclasses.MISSING
    }


def checked(where: str, values: Any, types_by_name: Mapping[str, Any]) -> dict[str, Any]:
    """A table whose keys are known, with every value as its type wants it.

    Raises `ConfigError` for any other key or type, and for a number that is none.
    """
    fields = _converted(where, values, types_by_name)
    _refuse_infinite(where, fields)
    return fields


def _converted(where: str, values: Any, types_by_name: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(values, Mapping):
        raise ConfigError(f"[{where}] must be a table, got {values!r}.")
    refuse_unknown(f"[{where}]", values, types_by_name)
    return {
        name: convert(f"{where}.{name}", value, types_by_name[name])
        for name, value in values.items()
    }


def _refuse_infinite(key: str, value: Any) -> None:
    """Raise `ConfigError` for NaN and infinity, wherever they stand: nothing can use them."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{key} must be a finite number, got {value!r}.")
    if isinstance(value, Mapping):
        for name, each in value.items():
            _refuse_infinite(f"{key}.{name}", each)
    elif isinstance(value, tuple | list):
        for place, each in enumerate(value):
            _refuse_infinite(f"{key}[{place}]", each)


def refuse_unknown(where: str, values: Mapping[str, Any], known: Any) -> None:
    """Raise `ConfigError` for a key that is not known, with the nearest that is."""
    for name in values:
        if name not in known:
            raise ConfigError(f"{name!r} is no key of {where}. {nearest(name, known)}")


def convert(key: str, value: Any, wanted: Any) -> Any:
    """A TOML value as the type a field wants: arrays as tuples, whole numbers as floats.

    Raises `ConfigError` for a value of another type.
    """
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in (types.UnionType, typing.Union):
        if value is None:
            return None
        return convert(key, value, next(a for a in arguments if a is not type(None)))
    if origin is tuple and isinstance(value, list | tuple):
        each = arguments[:1] * len(value) if arguments[-1] is Ellipsis else arguments
        if len(each) != len(value):
            raise ConfigError(f"{key} must hold {len(each)} values, got {value!r}.")
        return tuple(
            convert(f"{key}[{i}]", v, t) for i, (v, t) in enumerate(zip(value, each, strict=True))
        )
    if dataclasses.is_dataclass(wanted):
        return build(wanted, value, key)
    if origin is Mapping and isinstance(value, Mapping) and arguments[1] is not Any:
        return {name: convert(f"{key}.{name}", each, arguments[1]) for name, each in value.items()}
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        if abs(value) < 10**300:
            return float(value)
        return math.inf if value > 0 else -math.inf  # ranges refuse it, and `_refuse_infinite`
    if isinstance(value, int) and not -_WORD <= value < _WORD:
        raise ConfigError(f"{key} must be {_plain_name(wanted)} of 64 bits, got {_short(value)}.")
    if isinstance(value, str) and any(unicodedata.category(one) in _UNSEEN for one in value):
        raise ConfigError(
            f"{key} must be {_plain_name(wanted)} without control characters, got {value!r}."
        )
    plain = origin or wanted
    if not isinstance(value, plain) or (isinstance(value, bool) and plain is not bool):
        raise ConfigError(f"{key} must be {_plain_name(wanted)}, got {value!r}.")
    return value


def _short(value: int) -> str:
    """A whole number of many digits: its beginning and how many there are."""
    digits = str(value)
    return digits if len(digits) < 30 else f"{digits[:10]}... ({len(digits.lstrip('-'))} digits)"


def _plain_name(wanted: Any) -> str:
    names = {
        str: "a text in quotes",
        float: "a number",
        int: "a whole number",
        bool: "true or false",
        Path: "a path in quotes",
    }
    made_of = {tuple: "an array", Mapping: "a table"}
    return names.get(wanted) or made_of.get(typing.get_origin(wanted), str(wanted))
