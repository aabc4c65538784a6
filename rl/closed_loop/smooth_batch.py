"""SmoothBatch and ReFIT: learn the encoding anew from batches in which the intention is assumed."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import BundleError, ConfigError
from .intentions import IntentionConfig, intended
from .steering import PathKeeper, Step
from .velocity_head import VelocityHead

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class SmoothBatchConfig:
    """When and how far.

    Parameters
    ----------
    batch_s : float
        Steering time after which a batch is used, 60 to 120 s as published [1]_.
    half_life_s : float
        Time in which half of the old encoding is forgotten; 0 forgets all at once.
    batches : int
        After which it rests; 0 for never.
    intentions : IntentionConfig
        What is assumed of the person.

    References
    ----------
    .. [1] Orsborn, Dangi, Moorman, Carmena. Closed-loop decoder adaptation on intermediate
       time-scales facilitates rapid BMI performance improvements independent of decoder
       initialization conditions. IEEE Trans. Neural Systems and Rehabilitation Engineering, 2012.
       The half-life that we take by default is our choice.
    """

    batch_s: float = 60.0
    half_life_s: float = 60.0
    batches: int = 0
    intentions: IntentionConfig = field(default_factory=IntentionConfig)

    def __post_init__(self) -> None:
        if not 1 <= self.batch_s < math.inf:
            raise ConfigError(
                f"batch_s must be at least 1 s, got {self.batch_s}: 60 to 120 is usual."
            )
        if not 0 <= self.half_life_s < math.inf or self.batches < 0:
            raise ConfigError(
                f"half_life_s and batches must not be negative, got {self.half_life_s} and "
                f"{self.batches}: give 0 or more."
            )

    @property
    def keeps(self) -> float:
        """Share of the old encoding that is left after a batch."""
        return 0.5 ** (self.batch_s / self.half_life_s) if self.half_life_s else 0.0


class SmoothBatch:
    """Averages the encoding of each batch into the one that decodes.

    Parameters
    ----------
    head : VelocityHead
        Of the calibration.
    config : SmoothBatchConfig
        When and how far.
    """

    Config = SmoothBatchConfig

    def __init__(
        self,
        head: VelocityHead,
        config: SmoothBatchConfig = SmoothBatchConfig(),
    ) -> None:
        self.head, self.rule = head, "calibration"
        self._config = config
        self._keeper = PathKeeper()
        self._batch: list[tuple[Floats, Floats]] = []
        self._seconds = 0.0
        self._done = 0

    def watch(self, step: Step) -> None:
        """Gather; at the end of a path that fills the batch, learn."""
        path = self._keeper.add(step)
        if path is None or (self._config.batches and self._done >= self._config.batches):
            return
        pair = intended(path, self.head.gain, self._config.intentions)
        if pair is not None:
            self._batch.append(pair)
            self._seconds += path.seconds
        if self._seconds >= self._config.batch_s:
            self._learn()
            self._batch, self._seconds = [], 0.0

    def adopt(self, head: VelocityHead) -> None:
        """Go on from another; what was gathered was steered with the last, and is dropped."""
        self.head, self.rule = head, "adopted"
        self._batch, self._seconds = [], 0.0

    def _learn(self) -> None:
        features = np.concatenate([pair[0] for pair in self._batch])
        intentions = np.concatenate([pair[1] for pair in self._batch])
        try:
            fresh = VelocityHead.fit(features, intentions)
        except BundleError as error:
            self.rule = f"batch refused: {error}"
            return
        old, keeps = self.head, self._config.keeps
        self.head = replace(
            old,
            tuning=keeps * old.tuning + (1 - keeps) * fresh.tuning,
            baseline=keeps * old.baseline + (1 - keeps) * fresh.baseline,
            noise=keeps * old.noise + (1 - keeps) * fresh.noise,
        )
        self._done += 1
        self.rule = f"batch {self._done} of {len(features)} steps, {1 - keeps:.0%} of it taken"


def refit(
    *, block_s: float = 120.0, intentions: IntentionConfig | None = None
) -> SmoothBatchConfig:
    """Settings that make `SmoothBatch` the one-time retraining of ReFIT [1]_.

    Parameters
    ----------
    block_s : float
        Length of the closed-loop training block.
    intentions : IntentionConfig or None
        None for those of the publication: the decoded velocity turned to the target given, and
        nothing meant within it.

    Returns
    -------
    config : SmoothBatchConfig
        One batch, that replaces the encoding.

    References
    ----------
    .. [1] Gilja et al. A high-performance neural prosthesis enabled by control algorithm design.
       Nature Neuroscience, 2012.
    """
    return SmoothBatchConfig(
        batch_s=block_s,
        half_life_s=0.0,
        batches=1,
        intentions=intentions or IntentionConfig(speed="decoded"),
    )
