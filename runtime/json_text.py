"""JSON that every reader accepts: NaN and infinity, which JSON does not have, become null."""

from __future__ import annotations

import json
import math
from typing import Any


def json_text(value: Any) -> str:
    """Write plain values as indented JSON.

    Parameters
    ----------
    value : dict, list, str, number, bool or None
        Dicts, lists and tuples may be nested.

    Returns
    -------
    text : str
        Strict JSON, UTF-8 characters as they are.
    """
    return json.dumps(_finite(value), indent=2, ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
