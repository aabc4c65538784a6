"""JSON that every reader accepts, and reading it when anybody may have written it."""

from __future__ import annotations

import json
import math
from typing import Any


def json_text(value: Any) -> str:
    """Write plain values as indented JSON; NaN and infinity, which it has not, become null.

    Parameters
    ----------
    value : dict, list, str, number, bool or None
        Dicts, lists and tuples may be nested.

    Returns
    -------
    text : str
        Strict JSON, UTF-8 characters as they are.
    """
    return json.dumps(finite(value), indent=2, ensure_ascii=False, allow_nan=False)


def parsed_json(text: str | bytes) -> Any:
    """Read JSON from outside; all that can be wrong with it is one kind of error.

    Parameters
    ----------
    text : str or bytes
        Anything.

    Returns
    -------
    value : dict, list, str, number, bool or None
        NaN and infinity are read as Python's ``json`` writes them.

    Raises
    ------
    ValueError
        If it is not JSON, is not UTF-8, or is nested deeper than a program would write it.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def finite(value: Any) -> Any:
    """Plain values in which NaN and infinity, which JSON has not, are None.

    Parameters
    ----------
    value : dict, list, tuple, str, number, bool or None
        May be nested.

    Returns
    -------
    value : dict, list, str, number, bool or None
        Tuples are lists.
    """
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
