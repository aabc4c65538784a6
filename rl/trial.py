"""What learners are told: decisions that may have been right or wrong, and what came of them.

A *trial* is the smallest thing that somebody can call right or wrong: a selection, with all the
windows that it rests on. It has *options*, which are what could have been meant. In motor imagery
or SSVEP an option is a class and every window belongs to it. In a speller an option is an item, and
which flashes would have been targets depends on it; so options say, window by window, which class
of the decoder they would make it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..runtime.prototype_head import Floats, PrototypeHead, softmax

ABSTAINED = -1
UNKNOWN = -1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trial:
    """One decision, and what it rests on.

    Parameters
    ----------
    number : int
        Its name: the stream index at which it was decided, or a count. Grows.
    features : ndarray, shape (n_windows, n_features)
        Embeddings of its windows.
    under : ndarray of int, shape (n_options, n_windows)
        Class of each window if that option was meant.
    prior : ndarray, shape (n_options,)
        How probable each option was before any signal; sums to 1.
    decided : int
        The option that was acted on, `ABSTAINED` if none was.
    at_s : float
        When, in seconds of the loop's clock.
    quality : float
        Of the signal, 0 to 1: the worst of its windows.
    """

    number: int
    features: Floats
    under: NDArray[np.int64]
    prior: Floats
    decided: int
    at_s: float = 0.0
    quality: float = 1.0

    @classmethod
    def plain(
        cls, number: int, features: Floats, n_classes: int, decided: int, **more: float
    ) -> Self:
        """A trial whose options are the classes, all equally probable beforehand.

        Parameters
        ----------
        number : int
            Its name.
        features : ndarray, shape (n_windows, n_features) or (n_features,)
            Embeddings of its windows.
        n_classes : int
            How many there are.
        decided : int
            Which was acted on.
        **more : float
            ``at_s`` and ``quality``.

        Returns
        -------
        trial : Trial
            The same in full.
        """
        features = np.atleast_2d(features)
        under = np.repeat(np.arange(n_classes)[:, None], len(features), axis=1)
        prior = np.full(n_classes, 1 / n_classes)
        return cls(
            number=number, features=features, under=under, prior=prior, decided=decided, **more
        )

    @property
    def n_options(self) -> int:
        """How many things could have been meant."""
        return len(self.under)

    def posterior(self, head: PrototypeHead) -> Floats:
        """How probable each option is to a head, shape (n_options,).

        Windows of one selection overlap or follow each other closely, and their evidence is not
        independent; a head's temperature is where that is accounted for.
        """
        scores = head.scores(self.features)
        picked = scores[np.arange(len(scores)), self.under]
        return softmax(picked.sum(axis=1) + np.log(np.maximum(self.prior, 1e-12)))

    def shares(self, options: Floats, n_classes: int) -> Floats:
        """How much of each window belongs to each class, from how probable the options are.

        Parameters
        ----------
        options : ndarray, shape (n_options,)
            Sums to 1.
        n_classes : int
            Of the head.

        Returns
        -------
        shares : ndarray, shape (n_windows, n_classes)
            Every row sums to 1.
        """
        member = self.under[:, :, None] == np.arange(n_classes)
        shares: Floats = np.einsum("o,owk->wk", options, member.astype(np.float64))
        return shares


@dataclass(frozen=True, slots=True, kw_only=True)
class Reward:
    """What somebody or something said of a trial, later.

    Parameters
    ----------
    trial : int
        Number of the trial.
    log_odds : float
        Logarithm of how much more probable what was seen is if the decision was right than if it
        was wrong; 0 says nothing.
    value : float
        Unbiased estimate of whether it was right: its mean over many is the accuracy, but a single
        one may lie outside 0 to 1.
    meant : int
        The option that was meant, where that is known (a cue, a correction); `UNKNOWN` otherwise.
    at_s : float
        When it came, in seconds of the loop's clock.
    source : str
        Who said so: ``"error potential"``, ``"undo"``, ``"task"``, ``"operator"`` or ``"cue"``.
    """

    trial: int
    log_odds: float = 0.0
    value: float = 0.5
    meant: int = UNKNOWN
    at_s: float = 0.0
    source: str = ""

    def weigh(self, trial: Trial, options: Floats) -> Floats:
        """How probable each option is once this is known [1]_.

        An error only says that it was not the decided one: all others share what it loses, in the
        proportion that the signal gives them.

        Parameters
        ----------
        trial : Trial
            The one that this is about.
        options : ndarray, shape (n_options,)
            How probable they were before.

        Returns
        -------
        options : ndarray, shape (n_options,)
            Sums to 1.

        References
        ----------
        .. [1] Bayes' rule for one observation with a known likelihood ratio.
        """
        if self.meant != UNKNOWN:
            known = np.zeros(trial.n_options)
            known[self.meant] = 1.0
            return known
        if trial.decided == ABSTAINED:
            return options
        logs = np.log(np.maximum(options, 1e-12))
        logs[trial.decided] += self.log_odds
        return softmax(logs)
