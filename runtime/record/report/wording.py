"""Numbers, times and lists as people write them."""

from __future__ import annotations

import math
from collections.abc import Sequence


def percent(share: float) -> str:
    """A share as whole per cent, ``"83 %"``; never 100 % or 0 % for what is not quite that."""
    if math.isnan(share):
        return "unknown"
    whole = round(100 * share)
    if whole == 100 and share < 1:
        return "over 99 %"
    if whole == 0 and share > 0:
        return "under 1 %"
    return f"{whole} %"


def percent_range(low: float, high: float) -> str:
    """Two shares as a range, ``"61 to 94 %"``."""
    return f"{round(100 * low)} to {round(100 * high)} %"


def count(n: int, one: str, many: str = "") -> str:
    """A number with its noun: ``"1 gap"``, ``"3 gaps"``."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def listed(words: Sequence[str], most: int = 6) -> str:
    """A list in a sentence: ``"F7, T8 and Oz"``; beyond `most`, the rest is counted."""
    if len(words) > most:
        return f"{', '.join(words[:most])} and {len(words) - most} more"
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def duration(seconds: float) -> str:
    """A length of time: ``"4.2 s"``, ``"12 min 4 s"``, ``"1 h 30 min"``."""
    if seconds < 0.0995:
        return f"{1e3 * seconds:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def moment(seconds: float) -> str:
    """A place on the session's own clock: ``"5:31"`` or ``"1:05:31"``."""
    whole = max(int(seconds), 0)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def milliseconds(value: float) -> str:
    """Milliseconds with as many digits as mean something; a dash where unknown."""
    if math.isnan(value):
        return "–"  # noqa: RUF001, a dash as it is printed in tables
    return f"{value:.2f}" if value < 1 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def probability(p_value: float) -> str:
    """A p value, ``"p = 0.02"`` or ``"p < 0.001"``."""
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.2g}"


def signed(value: float, digits: int = 0) -> str:
    """A difference with its sign, set as a minus and not as a hyphen: ``"−70"``."""
    return f"{value:+,.{digits}f}".replace("-", "−")  # noqa: RUF001


def spoken(name: str) -> str:
    """A name from a file without underscores, abbreviations in capitals: ``"both fists"``."""
    return name.upper() if name in ("p300", "ssvep") else name.replace("_", " ")
