"""Where calibration lies, for whoever refuses what is unlike it, moved along with the head.

A cap that was put on again moves all features together, and every window is then unlike
calibration, although the head that serves has followed. So with a promotion the middle of
calibration moves to where the trials lie that it rests on. Nothing else moves: how far windows may
lie from there stays as it was fitted, and so does what counts as noise.
"""

from __future__ import annotations

from collections import OrderedDict, deque

import numpy as np

from ..runtime.prototype_head import Floats
from .envelope.version import ROLL_BACK, Version
from .trial import Trial


class Reference:
    """The middle of calibration, for each version that served.

    Parameters
    ----------
    home : ndarray, shape (n_features,)
        As fitted.
    n_trials : int
        A version's is the median of the last so many trials, so that it stays where it is until
        more than half of them lie elsewhere.
    kept : int
        Versions that are remembered, beside that as fitted.
    """

    def __init__(self, home: Floats, *, n_trials: int, kept: int) -> None:
        self._home, self._kept = home, kept
        self._last: deque[Floats] = deque(maxlen=n_trials)
        self._of: OrderedDict[str, Floats] = OrderedDict()

    def see(self, trial: Trial) -> None:
        """Take a trial that something may be learnt from."""
        self._last.append(trial.features.mean(axis=0))

    def of(self, version: Version) -> Floats:
        """The middle that goes with a version; one that is gone back to gets back its own.

        Parameters
        ----------
        version : Version
            That is to serve.

        Returns
        -------
        middle : ndarray, shape (n_features,)
            Not to be written to.
        """
        if version.rule == ROLL_BACK:
            return self._of.get(version.sha256, self._home)
        full = len(self._last) == self._last.maxlen
        middle: Floats = np.median(self._last, axis=0) if full else self._home
        self._of[version.sha256] = middle
        while len(self._of) > self._kept:
            self._of.popitem(last=False)
        return middle
