"""Two clocks with one face: the machine's monotonic one, and one that tests and replays drive."""

from __future__ import annotations

import time


class MonotonicClock:
    """The machine's monotonic clock.

    Sleeping is left to the kernel up to `spin_ns` before the deadline; the rest is spun, because
    a wake-up is late by 40 to 100 us even on an idle Linux. The default does not spin: it costs
    a core.

    Parameters
    ----------
    spin_ns : int
        How long before a deadline to stop sleeping and spin instead.
    """

    def __init__(self, spin_ns: int = 0) -> None:
        self._spin_ns = spin_ns

    def now_ns(self) -> int:
        """Nanoseconds since an arbitrary start."""
        return time.monotonic_ns()

    def wait_until(self, deadline_ns: int) -> None:
        """Return at the deadline, or at once if it has passed."""
        left = deadline_ns - time.monotonic_ns() - self._spin_ns
        if left > 0:
            time.sleep(left / 1e9)
        while self._spin_ns and time.monotonic_ns() < deadline_ns:
            pass


class VirtualClock:
    """A clock that stands still until somebody waits: an hour of signal passes at once.

    Parameters
    ----------
    start_ns : int
        Its first reading.
    """

    def __init__(self, start_ns: int = 0) -> None:
        self._now_ns = start_ns

    def now_ns(self) -> int:
        """Nanoseconds since an arbitrary start."""
        return self._now_ns

    def wait_until(self, deadline_ns: int) -> None:
        """Jump to the deadline; time never goes back."""
        self._now_ns = max(self._now_ns, deadline_ns)

    def advance(self, by_ns: int) -> None:
        """Let time pass, as work would.

        Parameters
        ----------
        by_ns : int
            How much, at least 0.
        """
        if by_ns < 0:
            raise ValueError(f"by_ns must be at least 0, got {by_ns}: time does not go back.")
        self._now_ns += by_ns
