"""What somebody must have meant on a path, if the target is known, or known in hindsight."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import ConfigError
from .steering import Path

Floats = NDArray[np.float64]

SPEEDS = ("distance", "decoded")
TARGETS = ("given", "hindsight")


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentionConfig:
    """By which rule.

    Parameters
    ----------
    target : str
        ``"given"``: the one the program set (a closed-loop training block [1]_);
        ``"hindsight"``: where the path ended, if it ended in a selection, so that what was not
        acquired teaches nothing. Inferring the target with a hidden Markov model while it is not
        yet acquired [2]_ is more; this is the simple form.
    speed : str
        Length of the intention: ``"decoded"`` keeps the decoded speed [1]_; ``"distance"`` is full
        far from the target and falls off within `slow_within`, so that noise of the decoder cannot
        make its own gain creep.
    radius : float
        Of targets in half widths; within, nothing is meant but to stay [1]_.
    slow_within : float
        Half widths; for ``"distance"``.
    skip_s : float
        Beginning of a path that is left out: the person has not yet seen the target.

    References
    ----------
    .. [1] Gilja et al. A high-performance neural prosthesis enabled by control algorithm design.
       Nature Neuroscience, 2012.
    .. [2] Wilson et al. Long-term unsupervised recalibration of cursor-based intracortical
       brain-computer interfaces using a hidden Markov model. Nature Biomedical Engineering, 2025.
    """

    target: str = "given"
    speed: str = "distance"
    radius: float = 0.15
    slow_within: float = 0.35
    skip_s: float = 0.3

    def __post_init__(self) -> None:
        if self.target not in TARGETS or self.speed not in SPEEDS:
            raise ConfigError(
                f"Intentions need a target of {', '.join(TARGETS)} and a speed of "
                f"{', '.join(SPEEDS)}, got {self.target!r} and {self.speed!r}: choose among these."
            )
        for name in ("radius", "slow_within"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigError(
                    f"{name} of intentions must be positive, got {getattr(self, name)}: give a "
                    f"positive number."
                )
        if not 0 <= self.skip_s < math.inf:
            raise ConfigError(
                f"skip_s of intentions must not be negative, got {self.skip_s}: give 0 or more."
            )


def intended(path: Path, gain: float, config: IntentionConfig) -> tuple[Floats, Floats] | None:
    """Features and what must have been meant with them.

    Parameters
    ----------
    path : Path
        Ended.
    gain : float
        Of the decoder that it was steered with, in half widths a second.
    config : IntentionConfig
        The rule.

    Returns
    -------
    pair : (ndarray (n_steps, n_features), ndarray (n_steps, 2)) or None
        None where the rule says nothing: no target is known.
    """
    target = path.target if config.target == "given" else path.positions[-1]
    if target is None or (config.target == "hindsight" and not path.acquired):
        return None
    first = round(config.skip_s / (path.seconds / len(path.features)))
    towards = target - path.positions[first:]
    distance = np.maximum(np.linalg.norm(towards, axis=1), 1e-9)
    if config.speed == "decoded":
        length = np.minimum(np.linalg.norm(path.velocities[first:], axis=1) / gain, 1.0)
    else:
        length = np.minimum(distance / config.slow_within, 1.0)
    length = np.where(distance <= config.radius, 0.0, length)
    return path.features[first:], towards * (length / distance)[:, None]
