"""What has come to the other end of an output, and when."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """Bytes as they came.

    Parameters
    ----------
    data : bytes
        One datagram, or what was read at once from a line.
    came_ns : int
        Monotonic clock of this machine when it was read.
    """

    data: bytes
    came_ns: int


class Arrivals:
    """What has come, safe from any thread."""

    def __init__(self) -> None:
        self._list: list[Arrival] = []
        self._news = threading.Condition()

    def add(self, data: bytes) -> None:
        """Note something that came just now."""
        arrival = Arrival(data=data, came_ns=time.monotonic_ns())
        with self._news:
            self._list.append(arrival)
            self._news.notify_all()

    def all(self) -> tuple[Arrival, ...]:
        """Everything so far, in order."""
        with self._news:
            return tuple(self._list)

    def wait_for(self, count: int, limit_s: float) -> tuple[Arrival, ...]:
        """Everything, once so much has come, or after a time.

        Parameters
        ----------
        count : int
            How many arrivals to wait for.
        limit_s : float
            How long at most.

        Returns
        -------
        arrivals : tuple of Arrival
            All so far, in order.
        """
        with self._news:
            self._news.wait_for(lambda: len(self._list) >= count, limit_s)
            return tuple(self._list)
