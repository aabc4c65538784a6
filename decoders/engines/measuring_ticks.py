"""Whether a call keeps Python's other threads waiting: ticks that came late beside it.

The interpreter lets one thread run at a time. A call into a library that gives the lock back while
it works disturbs nobody; one that holds it, or takes it again for every small operation, makes a
second thread late, and in a session that thread reads the amplifier.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np

_TICK_S = 1e-3
_LATE_S = 1e-3
_TURN_S = 0.5


def ticks_lost(
    busy: Callable[[], object], seconds: float, clock_s: Callable[[], float] = time.perf_counter
) -> dict[str, dict[str, float]]:
    """How well a second Python thread keeps time at 1 kHz, beside a call and without it.

    Both take turns of half a second, so that what else the machine does falls on both alike.

    Parameters
    ----------
    busy : callable
        What this thread does meanwhile, again and again.
    seconds : float
        How long, of each.
    clock_s : callable
        Monotonic seconds.

    Returns
    -------
    found : dict
        ``idle`` and ``busy``, each as `summary_of_ticks` has it.
    """
    late_s: dict[str, list[float]] = {"idle": [], "busy": []}
    for _ in range(max(1, round(seconds / _TURN_S))):
        late_s["idle"] += _ticked(None, min(seconds, _TURN_S), clock_s)
        late_s["busy"] += _ticked(busy, min(seconds, _TURN_S), clock_s)
    return {name: summary_of_ticks(late) for name, late in late_s.items()}


def _ticked(
    busy: Callable[[], object] | None, seconds: float, clock_s: Callable[[], float]
) -> list[float]:
    """Seconds by which each tick of another thread came after it was due."""
    late_s: list[float] = []
    over = threading.Event()

    def tick() -> None:
        start = clock_s()
        for place in range(1, round(seconds / _TICK_S) + 1):
            due = start + place * _TICK_S
            time.sleep(max(0.0, due - clock_s()))
            late_s.append(clock_s() - due)
        over.set()

    ticker = threading.Thread(target=tick, name="ticks", daemon=True)
    ticker.start()
    while busy is not None and not over.is_set():
        busy()
    ticker.join()
    return late_s


def summary_of_ticks(late_s: list[float]) -> dict[str, float]:
    """What is said of how late ticks came.

    Parameters
    ----------
    late_s : list of float
        Seconds after each was due.

    Returns
    -------
    figures : dict
        ``ticks``; ``late_share``, of those more than 1 ms late; ``p99_ms`` and ``worst_ms``.
    """
    late = np.array(late_s)
    return {
        "ticks": len(late),
        "late_share": float((late > _LATE_S).mean()),
        "p99_ms": 1e3 * float(np.quantile(late, 0.99)),
        "worst_ms": 1e3 * float(late.max()),
    }
