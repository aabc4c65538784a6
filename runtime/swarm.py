"""One message for a swarm of the same trouble: told at once, and then ever more seldom."""

from __future__ import annotations

import math


class Swarm:
    """Decides which of many occurrences people are told of, so that one trouble is one message.

    The first is told at once. What follows within `apart` of the one before belongs to the same
    episode and is summed up; of an episode that goes on people hear again after `apart`, then
    after twice as long each time, up to `most`.

    Parameters
    ----------
    apart : float
        Without an occurrence for so long an episode is over; in whatever unit `admit` is told.
    most : float
        Longest pause between two messages of one episode.

    Attributes
    ----------
    untold : int
        What has been counted since the last message; the next message speaks of it, too.
    """

    def __init__(self, apart: float, most: float) -> None:
        self._apart, self._most = apart, most
        self._pause = apart
        self._last = self._told = -math.inf
        self.untold = 0

    def admit(self, at: float, count: int) -> int:
        """Take an occurrence.

        Parameters
        ----------
        at : float
            When, or at which sample; never before the one before.
        count : int
            How many samples, packets or whatever it concerns.

        Returns
        -------
        count : int
            How many to tell of now; 0 to tell nothing yet.
        """
        anew = at - self._last > self._apart
        self._last = at
        self.untold += count
        if not anew and at - self._told < self._pause:
            return 0
        self._pause = self._apart if anew else min(2 * self._pause, self._most)
        self._told = at
        count, self.untold = self.untold, 0
        return count
