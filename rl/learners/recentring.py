"""Recentring: what all classes share is put back to where calibration had it.

A new day, a dried electrode or another posture moves the features of all classes together
[1]_ [2]_. The plain mean of a stream would also move when one class is more frequent than another,
so every class counts the same here, as the head sees it. Alignment of the signal itself, before
features, is a matter of the encoder.

References
----------
.. [1] Zanini, Congedo, Jutten, Said, Berthoumieu. Transfer learning: a Riemannian geometry
   framework with applications to brain-computer interfaces. IEEE Trans. Biomedical Engineering,
   2018.
.. [2] Vidaurre, Kawanabe, von Bünau, Blankertz, Müller. Toward unsupervised adaptation of LDA for
   brain-computer interfaces. IEEE Trans. Biomedical Engineering, 2011.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...runtime.prototype_head import Floats, PrototypeHead
from ..ranges import require
from ..trial import Reward, Trial
from .shrinkage import common_shift


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentringConfig:
    """How the centre follows the stream.

    Parameters
    ----------
    half_life : float
        Trials after which one counts half, 2 to 1000.
    own : float
        Trials up to which a class gains a say in the common centre, above 0 to 1000; beyond, how
        often it occurs hardly matters.
    common : float
        Trials that it takes to move the centre half of the way, above 0 to 1000.
    variance : bool
        Whether the spread within classes is put back as well, direction by direction.
    most_gain : float
        By which a direction may be stretched or shrunk, 1 to 10.

    Raises
    ------
    ConfigError
        If a value is out of range.
    """

    half_life: float = 30.0
    own: float = 5.0
    common: float = 3.0
    variance: bool = False
    most_gain: float = 2.0

    def __post_init__(self) -> None:
        require(self, half_life=(2, 1000), own=(1e-3, 1000), common=(1e-3, 1000), most_gain=(1, 10))


class Recentring:
    """Learner: moves the centre, and where asked the spread, of the head's space.

    Parameters
    ----------
    head : PrototypeHead
        To begin with; its prototypes say where calibration's mean was.
    config : RecentringConfig
        What was chosen.
    """

    Config = RecentringConfig

    _head: PrototypeHead
    _first: PrototypeHead
    _counts: Floats
    _sums: Floats
    _squares: Floats

    def __init__(self, head: PrototypeHead, config: RecentringConfig = RecentringConfig()) -> None:
        self.config = config
        self._begin(head)
        self._said = "nothing yet"

    @property
    def head(self) -> PrototypeHead:
        """What it would decide with now."""
        return self._head

    @property
    def rule(self) -> str:
        """What it last did."""
        return self._said

    def see(self, trial: Trial) -> None:
        """Count a trial to the classes that it probably holds, and move the centre."""
        features = trial.features
        if not features.size or not np.isfinite(features).all() or trial.quality <= 0:
            return
        n_classes = len(self._head.classes)
        shares = trial.shares(trial.posterior(self._head), n_classes)
        # A trial counts once, however many windows it was cut into.
        shares = shares * min(trial.quality, 1.0) / len(shares)
        points = self._first.project(features)
        fade = 0.5 ** (1 / self.config.half_life)
        self._counts = fade * self._counts + shares.sum(axis=0)
        self._sums = fade * self._sums + shares.T @ points
        self._squares = fade * self._squares + shares.T @ points**2
        self._head = self._recentred()
        self._said = f"centre of about {self._counts.sum():.0f} trials"

    def hear(self, reward: Reward) -> None:
        """Pass over a reward."""

    def adopt(self, head: PrototypeHead) -> None:
        """Go on from another head: what was counted stays if it has the same prototypes."""
        if np.array_equal(head.prototypes, self._first.prototypes):
            self._head = head
        else:
            self._begin(head)

    def _begin(self, head: PrototypeHead) -> None:
        self._head = self._first = head
        self._counts = np.zeros(len(head.classes))
        self._sums = np.zeros(head.prototypes.shape)
        self._squares = np.zeros(head.prototypes.shape)

    def _recentred(self) -> PrototypeHead:
        first, config = self._first, self.config
        means = self._sums / np.maximum(self._counts, 1e-12)[:, None]
        shift = common_shift(
            first.prototypes, self._counts, means, own=config.own, common=config.common
        )
        gain = self._gain(means) if config.variance else np.ones_like(shift)
        # Stretched about the middle of the classes, which thereby stays where it is.
        middle = first.prototypes.mean(axis=0)
        return replace(
            first,
            basis=first.basis * gain,
            centre=gain * (first.centre + shift + middle) - middle,
        )

    def _gain(self, means: Floats) -> Floats:
        """What brings the spread within classes back to one, shape (n_directions,)."""
        within = np.maximum(self._squares - self._counts[:, None] * means**2, 0.0).sum(axis=0)
        held = 10 * self.config.common
        spread = np.sqrt((within + held) / (self._counts.sum() + held))
        gain: Floats = np.clip(1 / spread, 1 / self.config.most_gain, self.config.most_gain)
        return gain
