"""The speller's reader: each flash adds evidence, and it stops as soon as it is sure enough.

A flash that looks like one of the attended item makes all items that were lit more likely, any
other less. Bayes' rule puts this together with how likely each letter was to begin with, and a
selection is made when one item is probable enough [1]_. If none is before the flashes are over,
nothing is selected: the likeliest item is not good enough just because time is up.

Flashes come faster than responses fade, and a person who is tired is tired for a whole selection:
flashes are not independent, and their sum is too sure of itself. One number, fitted on selections
whose item is known, tempers it; single flashes are calibrated after Platt [2]_.

References
----------
.. [1] Throckmorton, Colwell, Ryan, Sellers, Collins. Bayesian approach to dynamically controlling
   data collection in P300 spellers. IEEE Trans. Neural Syst. Rehabil. Eng., 2013.
.. [2] Platt. Probabilistic outputs for support vector machines. Advances in Large Margin
   Classifiers, 1999.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..runtime.bundle import take
from ..runtime.errors import BundleError, ConfigError
from ..runtime.messages import Decision, Embedding, Window
from ..runtime.paradigms.letters import LetterModel
from ..runtime.paradigms.speller import (
    BACKSPACE,
    END,
    NONTARGET,
    TARGET,
    SpellerPlan,
    attended,
    is_flash,
    lit,
)
from ..runtime.prototype_head import PrototypeHead
from ..runtime.stages import Adapter
from .calibration import platt
from .linear import Floats, LinearAdapter, LinearConfig, recalibrated


@dataclass(frozen=True, slots=True, kw_only=True)
class SpellerConfig:
    """What can be chosen about `SpellerAdapter`.

    Parameters
    ----------
    plan : SpellerPlan
        What is shown; its items are the classes.
    threshold : float
        Probability at which an item is selected, in [0.9, 0.99].
    clip : float
        Most that one flash may add or take, 0.5 to 10 nats: one artefact must not decide.
    letter_weight : float
        Exponent of the letter model's probabilities, in [0, 1]; 0 makes all items equally likely.
    min_flashes : int
        Flashes before a selection at least: a letter that is easily guessed must be looked at.
    backspace : str
        The item that takes the last one back; it may be missing among the items.
    hole_windows : float
        Window lengths without a flash after which evidence starts anew, because a ``"select"``
        may have been lost, in [1, 100]. Shorter than the plan's pause.
    min_quality : float
        Quality that an embedding must reach, in [0, 1].
    """

    plan: SpellerPlan = field(default_factory=SpellerPlan)
    threshold: float = 0.98
    clip: float = 4.0
    letter_weight: float = 1.0
    min_flashes: int = 6
    backspace: str = BACKSPACE
    hole_windows: float = 3.0
    min_quality: float = 0.5

    def __post_init__(self) -> None:
        for name, low, high in (
            ("threshold", 0.9, 0.99),
            ("clip", 0.5, 10.0),
            ("letter_weight", 0.0, 1.0),
            ("min_flashes", 1, self.plan.n_flashes),
            ("hole_windows", 1.0, 100.0),
            ("min_quality", 0.0, 1.0),
        ):
            if not low <= getattr(self, name) <= high:
                raise ConfigError(
                    f"{name} must be in [{low:g}, {high:g}], got {getattr(self, name)}: change it."
                )


class SpellerAdapter:
    """Adapter: which item is attended, from windows locked to flashes.

    It hears the windows of all markers of `diverloop.runtime.paradigms.speller`, in order. A window
    that was refused for its signal is not heard and adds nothing.

    Parameters
    ----------
    config : SpellerConfig
        What was chosen.
    flashes : LinearAdapter
        Reads one flash: target or not.
    prior_log_odds : float
        Logarithm of targets per nontarget where it was calibrated.
    evidence_scale : float
        Tempers the evidence, see `fit_evidence_scale`.
    letters : LetterModel, optional
        All items are equally likely without one.
    epoch : int
        Which set of weights this is.
    """

    Config = SpellerConfig

    def __init__(
        self,
        config: SpellerConfig,
        *,
        flashes: LinearAdapter,
        prior_log_odds: float,
        evidence_scale: float = 1.0,
        letters: LetterModel | None = None,
        epoch: int = 0,
    ) -> None:
        if flashes.classes != (NONTARGET, TARGET):
            raise BundleError(
                f"The flashes' classes must be {NONTARGET}, {TARGET} in this order, got "
                f"{', '.join(flashes.classes)}: fit the model again."
            )
        if letters is not None and letters.alphabet != config.plan.items:
            raise BundleError("The letter model has other items than the plan: fit it again.")
        if not evidence_scale > 0:
            raise BundleError(f"evidence_scale must be positive, got {evidence_scale}: fit again.")
        self.config = config
        self._flashes, self._letters, self._epoch = flashes, letters, epoch
        self._prior_log_odds, self._evidence_scale = prior_log_odds, evidence_scale
        self._spelled: list[str] = []
        self._begin()

    @classmethod
    def from_arrays(
        cls, config: SpellerConfig, arrays: Mapping[str, NDArray[Any]], *, epoch: int = 0
    ) -> Self:
        """Rebuild from a bundle's arrays; raises `BundleError` if they do not fit.

        See `speller_arrays`, which makes them.
        """
        two = LinearConfig(classes=(NONTARGET, TARGET), min_quality=config.min_quality)
        counted = any(name.startswith("letter_") for name in arrays)
        return cls(
            config,
            flashes=LinearAdapter.from_arrays(two, arrays),
            prior_log_odds=float(take(arrays, "prior_log_odds", 1)[0]),
            evidence_scale=float(take(arrays, "evidence_scale", 1)[0]),
            letters=LetterModel.from_arrays(config.plan.items, arrays) if counted else None,
            epoch=epoch,
        )

    def to_arrays(self) -> dict[str, Floats]:
        """What was learnt, for a bundle."""
        return {
            **self._flashes.to_arrays(),
            "prior_log_odds": np.array([self._prior_log_odds]),
            "evidence_scale": np.array([self._evidence_scale]),
            **(self._letters.to_arrays() if self._letters else {}),
        }

    @property
    def classes(self) -> tuple[str, ...]:
        """The items."""
        return self.config.plan.items

    @property
    def head(self) -> PrototypeHead | None:
        """What the flashes' weights were made from, if they can be adapted."""
        return self._flashes.head

    @property
    def epoch(self) -> int:
        """Which set of weights is active."""
        return self._epoch

    @property
    def spelled(self) -> tuple[str, ...]:
        """Items that were selected and not taken back."""
        return tuple(self._spelled)

    def posterior(self) -> Floats:
        """Probability of each item, given the flashes of this selection so far; sums to 1."""
        logs = self._log_prior + self._evidence
        weights = np.exp(logs - logs.max())
        shares: Floats = weights / weights.sum()
        return shares

    def decide(self, embedding: Embedding, window: Window) -> Decision:
        """Take one marker's window into account.

        Parameters
        ----------
        embedding : Embedding
            From the encoder that the weights were fitted with.
        window : Window
            What it was made from, locked to a marker.

        Returns
        -------
        decision : Decision
            The item exactly once in a selection, at the flash that made it sure enough; else
            neutral, with a reason. Probabilities are those so far, NaN where a flash could not
            be read; it adds nothing.
        """
        label = window.marker.label if window.marker is not None else ""
        if attended(label) is not None:
            self._begin()
            return self._say(window, "a selection begins")
        if label == END:
            reason = self._over or self._too_unsure()
            self._begin()
            return self._say(window, reason)
        if window.marker is None or not is_flash(label):
            return self._say(window, "the window is not locked to a flash")
        items = list(lit(self.config.plan, label))
        if not items or self._over:
            return self._say(window, self._over or f"{label!r} lights no item of this speller")
        flash = self._flashes.decide(embedding, window)
        if flash.label is None:
            return replace(flash, classes=self.classes, probabilities=self.posterior() * math.nan)
        self._after_a_hole(window, window.marker.sample)
        self._add(flash.probabilities, items)
        return self._judge(window)

    def _begin(self) -> None:
        """Forget the selection before, and look up what is likely now."""
        prior = np.ones(len(self.classes))
        if self._letters is not None:
            prior = self._letters.prior(self._spelled) ** self.config.letter_weight
        self._log_prior = np.log(prior / prior.sum())
        self._evidence = np.zeros(len(self.classes))
        self._n_flashes, self._last_flash, self._over = 0, 0, ""

    def follow(self, before: Adapter) -> None:
        """Go on with the text and the selection of the speller before, if it has the same items.

        Parameters
        ----------
        before : Adapter
            Another speller.
        """
        if not isinstance(before, SpellerAdapter) or before.classes != self.classes:
            return
        self._spelled = before._spelled
        self._log_prior, self._evidence = before._log_prior, before._evidence
        self._n_flashes, self._last_flash = before._n_flashes, before._last_flash
        self._over = before._over

    def _after_a_hole(self, window: Window, sample: int) -> None:
        """Begin again if the last flash is so long ago that markers must be missing."""
        longest = self.config.hole_windows * (window.stop_sample - window.first_sample)
        if self._n_flashes and sample - self._last_flash > longest:
            self._begin()
        self._last_flash = sample

    def _add(self, probabilities: Floats, items: list[int]) -> None:
        # A probability of exactly 0 has no logarithm; the clip is far inside this bound.
        nontarget, target = np.log(np.maximum(probabilities, 1e-12))
        ratio = target - nontarget - self._prior_log_odds
        limit = self.config.clip
        self._evidence[items] += self._evidence_scale * np.clip(ratio, -limit, limit)
        self._n_flashes += 1

    def _judge(self, window: Window) -> Decision:
        posterior, config = self.posterior(), self.config
        best = int(posterior.argmax())
        item = self.classes[best]
        if posterior[best] >= config.threshold and self._n_flashes >= config.min_flashes:
            self._over = f"already selected: {item!r}"
            if item != config.backspace:
                self._spelled.append(item)
            elif self._spelled:
                self._spelled.pop()
            return self._say(window, "", item)
        if self._n_flashes >= config.plan.n_flashes:
            self._over = self._too_unsure()
            return self._say(window, self._over)
        sure = f"{item!r} at {posterior[best]:.2f} of {config.threshold:g}"
        return self._say(window, f"still deciding: {sure}")

    def _too_unsure(self) -> str:
        return f"no selection: the best item reached {self.posterior().max():.2f}"

    def _say(self, window: Window, reason: str, label: str | None = None) -> Decision:
        return Decision(
            classes=self.classes,
            probabilities=self.posterior(),
            label=label,
            reason=reason,
            first_sample=window.first_sample,
            stop_sample=window.stop_sample,
            epoch=self._epoch,
            marker=window.marker,
            lsl_raw_s=window.lsl_raw_s,
            lsl_corrected_s=window.lsl_corrected_s,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSelection:
    """Flashes of a selection whose item is known, read by weights that had not seen them.

    Parameters
    ----------
    scores : ndarray, shape (n_flashes,)
        For `speller_arrays`: score of target minus score of nontarget, before the temperature
        (`LinearAdapter.scores`). For `fit_evidence_scale`: log-likelihood ratios.
    lit : ndarray of bool, shape (n_flashes, n_items)
        What each flash showed.
    item : int
        Number of the item that was attended.
    """

    scores: Floats
    lit: NDArray[np.bool_]
    item: int


def speller_arrays(
    linear: Mapping[str, Floats],
    known: Sequence[KnownSelection],
    letters: LetterModel | None = None,
    *,
    clip: float = SpellerConfig().clip,
) -> dict[str, Floats]:
    """Calibrate flashes and evidence: all that `SpellerAdapter.from_arrays` needs.

    Parameters
    ----------
    linear : mapping of str to ndarray
        `LinearAdapter.to_arrays` of nontarget and target, fitted on all calibration data.
    known : sequence of KnownSelection
        Calibration selections, each read by weights fitted on the others.
    letters, clip
        As for `SpellerAdapter` and `SpellerConfig`.

    Returns
    -------
    arrays : dict
        With temperature and bias under which held-out flashes are most probable.

    """
    target = np.concatenate([each.lit[:, each.item] for each in known])
    slope, offset = platt(np.concatenate([each.scores for each in known]), target)
    odds = math.log((target.sum() + 1) / ((~target).sum() + 1))
    ratios = [
        replace(each, scores=np.clip(slope * each.scores + offset - odds, -clip, clip))
        for each in known
    ]
    offsets = np.array([0.0, offset])
    return {
        **recalibrated(linear, (NONTARGET, TARGET), slope, offsets),
        "prior_log_odds": np.array([odds]),
        "evidence_scale": np.array([fit_evidence_scale(ratios)]),
        **(letters.to_arrays() if letters else {}),
    }


def fit_evidence_scale(known: Sequence[KnownSelection]) -> float:
    """Exponent of the evidence under which the attended items are most probable.

    Parameters
    ----------
    known : sequence of KnownSelection
        With log-likelihood ratios, at least one.

    Returns
    -------
    scale : float
        In [0.1, 1.5]; below 1 where flashes say the same thing twice. A gentle pull towards 1,
        worth about one selection, keeps a few that all went well from making it certain.
    """
    from scipy.optimize import minimize_scalar

    # Judged all along, because it may be stopped after any flash; each sixth says as much.
    sums = [np.cumsum(each.scores[:, None] * each.lit, axis=0)[5::6] for each in known]
    behind = [of - of[:, [each.item]] for of, each in zip(sums, known, strict=True)]

    def loss(log_scale: float) -> float:
        lost = [np.log(np.exp(math.exp(log_scale) * of).sum(axis=1)).mean() for of in behind]
        return 2 * log_scale**2 + float(np.sum(lost))

    bounds = (math.log(0.1), math.log(1.5))
    return math.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x)
