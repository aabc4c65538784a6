"""The context in which an update is chosen: eight figures that a person could check."""

from __future__ import annotations

import numpy as np

from ...runtime.prototype_head import Floats, PrototypeHead
from ..trial import ABSTAINED, Trial

NAMES = (
    "constant", "entropy", "margin", "drift", "quality", "belief", "running reward",
    "since the last change",
)  # fmt: skip
FADING = 0.9
LONG = 30
"""Trials since the last change beyond which it does not matter how many."""


class Situation:
    """Follows what is not in a single trial.

    Parameters
    ----------
    calibration : PrototypeHead
        Where the person was; drift is measured from its prototypes, in its space.
    """

    def __init__(self, calibration: PrototypeHead) -> None:
        self._calibration = calibration
        self._drift = 0.0
        self._reward = 0.5
        self._since = 0

    def see(self, trial: Trial) -> None:
        """Follow how far the windows are from the nearest prototype of calibration.

        In the whitened space noise within a class has variance one, so the mean square distance
        a direction is near 1 without drift, whatever the features.
        """
        points = self._calibration.project(trial.features)
        apart = points[:, None] - self._calibration.prototypes
        far = float((apart**2).mean(axis=2).min(axis=1).mean())
        self._drift = FADING * self._drift + (1 - FADING) * min(far - 1, 5.0)
        self._since += 1

    def hear(self, value: float) -> None:
        """Follow what the decisions earn."""
        self._reward = FADING * self._reward + (1 - FADING) * min(max(value, -1.0), 2.0)

    def changed(self) -> None:
        """An update other than keeping was applied."""
        self._since = 0

    def figures(self, trial: Trial, before: Floats, after: Floats) -> Floats:
        """The context, each figure within about -1 to 1.

        Parameters
        ----------
        trial : Trial
            The one that is to be learnt from.
        before, after : ndarray, shape (n_options,)
            How probable each option is, without and with the reward.

        Returns
        -------
        figures : ndarray, shape (8,)
            In the order of `NAMES`.
        """
        first, second = np.sort(before)[::-1][:2] if len(before) > 1 else (1.0, 0.0)
        entropy = -(before * np.log(np.maximum(before, 1e-12))).sum() / np.log(max(len(before), 2))
        belief = 0.0 if trial.decided == ABSTAINED else 2 * after[trial.decided] - 1
        return np.array([
            1.0, entropy, first - second, self._drift, trial.quality, belief,
            2 * self._reward - 1, min(self._since, LONG) / LONG,
        ])  # fmt: skip


