"""How much a study of adaptation tries."""

from __future__ import annotations

from dataclasses import dataclass

from ..ranges import require

SCORED_FROM = {"recorded": 0.0, "simulated": 0.5}
"""Share of a course from which on it is scored: people are judged whole, drifts once they came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignConfig:
    """How much is tried.

    Parameters
    ----------
    people : int
        Simulated persons for each drift.
    first_seed : int
        Of the first of them; below 100 for what is reported, 100 and more for tuning.
    detectors : int
        Draws of the error detector for each recording.
    balanced_accuracy : float
        Of the detector of errors.
    lapses : float
        Share of trials in which a simulated person is elsewhere.
    n_trials : int
        Of a simulated course.

    Raises
    ------
    ConfigError
        If a value is out of range.
    """

    people: int = 16
    first_seed: int = 0
    detectors: int = 5
    balanced_accuracy: float = 0.75
    lapses: float = 0.1
    n_trials: int = 240

    def __post_init__(self) -> None:
        require(
            self, people=(1, 100_000), first_seed=(0, 2**31), detectors=(1, 1000),
            balanced_accuracy=(0.5, 0.999), lapses=(0, 1), n_trials=(30, 100_000),
        )  # fmt: skip

    @property
    def onset(self) -> int:
        """Trial at which an abrupt drift comes: before it, an envelope has seen what is usual."""
        return self.n_trials // 3
