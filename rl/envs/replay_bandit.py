"""A real recording whose labels are told only as error potentials: ``diverloop/ReplayBandit-v0``.

What was recorded with cues does not depend on what a decoder would have decided. So feedback on
decisions can be made from the labels exactly, and what adaptation does to decisions is exact too.
What cannot be had so: the person neither learns from this decoder nor is frustrated by it, attends
always, and the error potentials are drawn, not recorded.

References
----------
- Dudík, Langford, Li. Doubly robust policy evaluation and learning. ICML, 2011.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import ConfigError
from ...runtime.prototype_head import Floats
from .trial_environment import UTILITY, Asked, TrialEnvironment, TrialsConfig


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BanditRecording:
    """Trials of one person, in the order of recording.

    Parameters
    ----------
    features : ndarray, shape (n_trials, n_windows, n_features)
        Finite.
    labels : ndarray of int, shape (n_trials,)
        Places in `classes`.
    runs : ndarray of int, shape (n_trials,)
        Does not fall.
    classes : tuple of str
        What could be meant.

    Raises
    ------
    ConfigError
        If the arrays do not fit each other.
    """

    features: Floats
    labels: NDArray[np.int64]
    runs: NDArray[np.int64]
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.features.ndim != 3 or not np.isfinite(self.features).all():
            raise ConfigError(
                f"Features must be finite, of shape (n_trials, n_windows, n_features); got shape "
                f"{self.features.shape}."
            )
        if not self.labels.shape == self.runs.shape == self.features.shape[:1]:
            raise ConfigError(
                f"{len(self.features)} trials need as many labels and runs, got "
                f"{self.labels.shape} and {self.runs.shape}."
            )
        if not set(self.labels.tolist()) <= set(range(len(self.classes))):
            raise ConfigError(
                f"Labels must be places in the {len(self.classes)} classes, got "
                f"{sorted(set(self.labels.tolist()))}."
            )
        if (np.diff(self.runs) < 0).any():
            raise ConfigError("Trials must be in the order of their runs: sort them by time.")


class ReplayBandit(TrialEnvironment):
    """Trials of a recording, one after another, with the error channel instead of labels.

    Parameters
    ----------
    recording : BanditRecording
        Of one person.
    calibration_runs : int
        Runs at the beginning that serve as calibration, with labels; the rest is the episode.
    trial_s, pause_s : float
        Of a trial and after it, in seconds.
    reward : str
        ``"utility"`` or ``"observed"``; see `TrialsConfig`.

    Raises
    ------
    ConfigError
        If no recording is given, or calibration would leave fewer than two trials.
    """

    Config = TrialsConfig

    def __init__(
        self,
        recording: BanditRecording | None = None,
        calibration_runs: int = 1,
        trial_s: float = 4.0,
        pause_s: float = 1.5,
        reward: str = UTILITY,
    ) -> None:
        if not isinstance(recording, BanditRecording):
            raise ConfigError(
                "diverloop/ReplayBandit-v0 needs a recording: "
                "gymnasium.make(..., recording=BanditRecording(features=..., labels=..., ...))."
            )
        runs = np.unique(recording.runs)
        cued = np.isin(recording.runs, runs[:calibration_runs])
        if calibration_runs < 1 or (~cued).sum() < 2:
            raise ConfigError(
                f"calibration_runs must be at least 1 and leave two trials; got {calibration_runs} "
                f"of {len(runs)} runs."
            )
        self.classes, self._cued = recording.classes, cued
        self._recording, self._played = recording, np.flatnonzero(~cued)
        # Whatever a decoder may see is within what the recording holds.
        most = float(np.abs(recording.features).max()) + 1.0
        seen = {
            "features": gymnasium.spaces.Box(-most, most, recording.features.shape[1:], np.float64)
        }
        trials = TrialsConfig(
            n_trials=len(self._played), trial_s=trial_s, pause_s=pause_s, reward=reward
        )
        super().__init__(len(recording.classes), seen, trials)

    def _begin(self, options: dict[str, Any]) -> dict[str, Any]:
        """The runs that come first."""
        features = self._recording.features[self._cued]
        labels = self._recording.labels[self._cued]
        windows = np.repeat(labels[:, None], features.shape[1], axis=1)
        return {"features": features.astype(np.float64), "labels": windows}

    def _ask(self, number: int) -> Asked:
        """The next one recorded."""
        place = self._played[number]
        features = self._recording.features[place].astype(np.float64)
        shown = {"features": features, "quality": np.ones(1)}
        return Asked(observation=shown, meant=int(self._recording.labels[place]), attended=True)
