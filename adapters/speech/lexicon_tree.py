"""The lexicon as a tree: from phonemes, one at a time, to the words that they may become.

Words are kept in the order of their phonemes, so that the words below a branch lie side by side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import ConfigError

ROOT = 0


class LexiconTree:
    """Branches by token; every branch knows its words.

    Parameters
    ----------
    pronunciations : sequence of sequence of int
        Tokens of each word, in the order of the vocabulary.
    priors : ndarray, shape (n_words,)
        How probable each word is without a context; all positive.

    Attributes
    ----------
    children : list of dict
        Token to branch, for each branch.
    ending : list of tuple of int
        Words that are complete there: several if they sound alike.
    log_ahead : list of float
        Logarithm of the most probable word below.
    sorted_words : ndarray of int, shape (n_words,)
        Words in the order of their phonemes.
    """

    def __init__(
        self, pronunciations: Sequence[Sequence[int]], priors: NDArray[np.float64]
    ) -> None:
        if not pronunciations or not all(len(tokens) for tokens in pronunciations):
            raise ConfigError("A lexicon needs at least 1 word, each with 1 phoneme or more.")
        order = sorted(range(len(pronunciations)), key=lambda word: tuple(pronunciations[word]))
        self.children: list[dict[int, int]] = [{}]
        self.ending: list[tuple[int, ...]] = [()]
        self._spans = [[0, len(order)]]
        for place, word in enumerate(order):
            self._grow(pronunciations[word], word, place)
        self.sorted_words = np.array(order)
        self._priors = priors[self.sorted_words]
        self.log_ahead = [math.log(self._priors[first:stop].max()) for first, stop in self._spans]

    def _grow(self, tokens: Sequence[int], word: int, place: int) -> None:
        branch = ROOT
        for token in tokens:
            if token not in self.children[branch]:
                self.children[branch][token] = len(self.children)
                self.children.append({})
                self.ending.append(())
                self._spans.append([place, place])
            branch = self.children[branch][token]
            self._spans[branch][1] = place + 1
        self.ending[branch] += (word,)

    def spread(self, branch: int, weight: float, sorted_shares: NDArray[np.float64]) -> None:
        """Share a weight among the words below a branch, by their priors.

        Parameters
        ----------
        branch : int
            Where in the tree.
        weight : float
            How much there is to share.
        sorted_shares : ndarray, shape (n_words,)
            Added to; in the order of `sorted_words`.
        """
        first, stop = self._spans[branch]
        below = self._priors[first:stop]
        sorted_shares[first:stop] += weight / below.sum() * below
