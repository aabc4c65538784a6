"""Markers of a screen as an LSL stream, each stamped with the moment at which it became visible."""

from __future__ import annotations

import pylsl

from ..runtime.clock import MonotonicClock
from ..runtime.errors import ConfigError
from ..runtime.stages import Clock


class FlipOutlet:
    """Sends markers with the times of their flips. For one thread.

    A marker is sent after its flip, so it comes late by a fraction of a frame; its stamp does not.

    Parameters
    ----------
    name : str
        Of the stream: what a session's source takes as its markers.
    clock : MonotonicClock
        The clock on which flips are timed.

    Raises
    ------
    ConfigError
        If the name is empty.
    """

    def __init__(self, name: str, clock: MonotonicClock) -> None:
        if not name:
            raise ConfigError('The stream of markers needs a name, got none: use "screen-markers".')
        info = pylsl.StreamInfo(
            name, "Markers", 1, pylsl.IRREGULAR_RATE, pylsl.cf_string, f"diverloop-screen-{name}"
        )
        info.desc().append_child_value("manufacturer", "diverloop screen")
        self._ahead_s = lsl_ahead_s(clock)
        self._outlet: pylsl.StreamOutlet | None = pylsl.StreamOutlet(info)

    def send(self, label: str, at_ns: int) -> None:
        """Send one marker.

        Parameters
        ----------
        label : str
            What became visible.
        at_ns : int
            When, on the clock of this outlet, in nanoseconds.
        """
        if self._outlet is not None:
            self._outlet.push_sample([label], at_ns / 1e9 + self._ahead_s)

    def has_listener(self) -> bool:
        """Whether somebody is connected."""
        return self._outlet is not None and bool(self._outlet.have_consumers())

    def close(self) -> None:
        """End the stream. Twice is harmless."""
        self._outlet = None


def lsl_ahead_s(clock: Clock) -> float:
    """LSL's clock minus another of this machine, from the quickest of some looks.

    Parameters
    ----------
    clock : Clock
        The other; one that goes on by itself.

    Returns
    -------
    ahead_s : float
        Seconds to add to its times.
    """
    looks = []
    for _ in range(20):
        before_ns, lsl_s, after_ns = clock.now_ns(), pylsl.local_clock(), clock.now_ns()
        looks.append((after_ns - before_ns, lsl_s - (before_ns + after_ns) / 2e9))
    return float(min(looks)[1])
