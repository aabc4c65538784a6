"""From the times of single hops to what a person wants to know of an engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

REFERENCE = ("torch", "fp32")
"""Engine and precision that the others are compared with."""

COLUMNS = (
    "engine", "ch", "context", "p50 ms", "p99 ms", "p99.9 ms", "jitter ms", "hops/s", "MB",
    "start s", "late ticks", "x floor", "x torch",
)  # fmt: skip
"""What the rows of `table` hold: the last two are times slower than the floor, and times faster
than the reference with its 95 % interval."""

_DRAWS = 1000

Rounds = Sequence[Sequence[float]]
Name = tuple[str, str]


def summarise(rounds_ms: Rounds) -> dict[str, float]:
    """Latency, jitter and throughput.

    Parameters
    ----------
    rounds_ms : sequence of sequences of float
        Milliseconds of each hop, round by round.

    Returns
    -------
    figures : dict
        ``n``, ``p50_ms``, ``p99_ms``, ``p999_ms``, ``max_ms``, ``jitter_ms`` (p99 less p50),
        ``std_ms``, ``hops_per_s``.
    """
    times_ms = np.concatenate([np.asarray(one, float) for one in rounds_ms])
    p50, p99, p999 = (float(q) for q in np.quantile(times_ms, (0.5, 0.99, 0.999)))
    return {
        "n": len(times_ms),
        "p50_ms": p50,
        "p99_ms": p99,
        "p999_ms": p999,
        "max_ms": float(times_ms.max()),
        "jitter_ms": p99 - p50,
        "std_ms": float(times_ms.std()),
        "hops_per_s": 1e3 / float(times_ms.mean()),
    }


def ratio(reference_ms: Rounds, rounds_ms: Rounds, seed: int = 0) -> dict[str, float]:
    """How many times faster than the reference, by medians.

    Parameters
    ----------
    reference_ms, rounds_ms : sequence of sequences of float
        Milliseconds of each hop of both, round by round, measured in turns.
    seed : int
        Of the bootstrap.

    Returns
    -------
    figures : dict
        ``ratio``, and ``low`` and ``high`` of its 95 % interval over rounds.
    """
    ours, theirs = _by_round(rounds_ms), _by_round(reference_ms)
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(ours), size=(_DRAWS, len(ours)))
    ratios = [_median_of(theirs, rows) / _median_of(ours, rows) for rows in drawn]
    low, high = (float(q) for q in np.quantile(ratios, (0.025, 0.975)))
    everything = np.arange(len(ours))
    found = _median_of(theirs, everything) / _median_of(ours, everything)
    return {"ratio": found, "low": low, "high": high}


def table(figures: dict[str, Any]) -> list[tuple[str, ...]]:
    """Rows for the console, in the order of `COLUMNS`.

    Parameters
    ----------
    figures : dict
        From `measure_all`.

    Returns
    -------
    rows : list of tuple of str
        One for each engine and size that ran, sorted by context, channels and latency.
    """
    faster = {
        _key(one): f"{one['ratio']:.1f} ({one['low']:.1f} to {one['high']:.1f})"
        for one in figures["ratios"]
    }
    ran = [one for one in figures["engines"] if "p50_ms" in one]
    ran.sort(key=lambda one: (one["context"], one["channels"], one["p50_ms"]))
    return [_row(one, faster.get(_key(one), "-")) for one in ran]


def refusals(figures: dict[str, Any]) -> list[tuple[str, str]]:
    """Engines that could not run, and why, each reason once.

    Parameters
    ----------
    figures : dict
        From `measure_all`.

    Returns
    -------
    rows : list of (str, str)
        Engine with its precision, and a sentence.
    """
    rows = [
        (f"{one['engine']} {one['precision']}", one["refused"])
        for one in figures["engines"]
        if "refused" in one
    ]
    return list(dict.fromkeys(rows))


def against_floor(
    engines: list[dict[str, Any]], floors: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Entries of engines with ``times_floor``, how far their median is from the floor.

    Parameters
    ----------
    engines, floors : list of dict
        As in the figures of `measure_all`.

    Returns
    -------
    engines : list of dict
        New entries, in the same order; those that could not run are as they were.
    """
    floor_ms = {(one["channels"], one["context"]): one["floor_ms"] for one in floors}
    return [
        {**one, "times_floor": one["p50_ms"] / floor_ms[one["channels"], one["context"]]}
        if "p50_ms" in one
        else one
        for one in engines
    ]


def ratios_of(rounds_ms: dict[Name, list[list[float]]], seed: int = 0) -> dict[Name, Any]:
    """`ratio` of every engine to the reference, if that was measured.

    Parameters
    ----------
    rounds_ms : dict
        Engine and precision -> milliseconds of each hop, round by round; empty if it stopped.
    seed : int
        Of the bootstrap.

    Returns
    -------
    ratios : dict
        Engine and precision -> figures; not of the reference itself.
    """
    reference = rounds_ms.get(REFERENCE)
    if not reference:
        return {}
    others = {name: one for name, one in rounds_ms.items() if one and name != REFERENCE}
    return {name: ratio(reference, one, seed) for name, one in others.items()}


def _by_round(rounds_ms: Rounds) -> list[NDArray[np.float64]]:
    return [np.asarray(one, np.float64) for one in rounds_ms]


def _median_of(rounds: list[NDArray[np.float64]], rows: NDArray[np.intp]) -> float:
    return float(np.median(np.concatenate([rounds[row] for row in rows])))


def _key(entry: dict[str, Any]) -> tuple[Any, ...]:
    return entry["engine"], entry["precision"], entry["channels"], entry["context"]


def _row(entry: dict[str, Any], faster: str) -> tuple[str, ...]:
    memory_mb, ticks = entry["memory_mb"], entry.get("ticks")
    return (
        f"{entry['engine']} {entry['precision']}",
        str(entry["channels"]),
        str(entry["context"]),
        *(f"{entry[name]:.2f}" for name in ("p50_ms", "p99_ms", "p999_ms", "jitter_ms")),
        f"{entry['hops_per_s']:.0f}",
        "-" if memory_mb is None else f"{memory_mb:.0f}",
        f"{entry['start_up_s']:.1f}",
        "-" if ticks is None else f"{100 * ticks['busy']['late_share']:.1f} %",
        f"{entry['times_floor']:.1f}",
        faster,
    )
