"""Keyword spotting: whether what was just said spells one of a few words.

For each keyword the best path that spells it is set against the best path of all: a log-likelihood
ratio, 0 if the network would have said the keyword anyway, and the lower the more it has to be
bent. The path may begin anywhere, or it has to explain everything since `restart`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import ConfigError
from .beam import BLANK

Floats = NDArray[np.float64]

_NEVER = -1e30
_RAREST = 1e-8


class KeywordSpotter:
    """Viterbi through all keywords at once, one frame at a time.

    Parameters
    ----------
    pronunciations : sequence of sequence of int
        Tokens of each keyword.
    silence : int, optional
        Token of silence: nothing but the keyword may have been said, with silence or blanks before
        and after it. None if it may begin anywhere in what was said.

    Notes
    -----
    A keyword of n tokens has 2 n states: each token, and the blank behind it. The same token twice
    in a row must pass through the blank.
    """

    def __init__(
        self, pronunciations: Sequence[Sequence[int]], *, silence: int | None = None
    ) -> None:
        if not pronunciations or not all(len(tokens) for tokens in pronunciations):
            raise ConfigError("A spotter needs at least 1 keyword, each with 1 phoneme or more.")
        n_states = 2 * max(len(tokens) for tokens in pronunciations)
        self._lengths = np.array([len(tokens) for tokens in pronunciations])
        # What each state emits; behind a keyword's end nothing is ever read.
        self._emits = np.full((len(pronunciations), n_states), BLANK)
        self._may_skip = np.zeros((len(pronunciations), n_states), bool)
        for keyword, tokens in enumerate(pronunciations):
            for place, token in enumerate(tokens):
                self._emits[keyword, 2 * place] = token
                self._may_skip[keyword, 2 * place] = place > 0 and token != tokens[place - 1]
        self._rows, self._last = np.arange(len(pronunciations)), 2 * self._lengths - 1
        self._silence = silence
        self.restart()

    def restart(self) -> None:
        """Nothing was said yet."""
        self._ratios = np.full(self._emits.shape, _NEVER)
        self._entry = 0.0

    def step(self, probabilities: Floats) -> Floats:
        """Take in the next frame.

        Parameters
        ----------
        probabilities : ndarray, shape (n_tokens,)
            Of the blank and of each token.

        Returns
        -------
        scores : ndarray, shape (n_keywords,)
            Log-likelihood ratio of each keyword that would end here, for each of its phonemes; at
            most 0.
        """
        logs = np.log(np.maximum(probabilities, _RAREST))
        logs -= logs.max()
        stay = self._ratios
        came = np.full_like(stay, _NEVER)
        came[:, 1:] = stay[:, :-1]
        came[:, 0] = self._entry
        skipped = np.full_like(stay, _NEVER)
        skipped[:, 2:] = stay[:, :-2]
        skipped[~self._may_skip] = _NEVER
        emitted = logs[self._emits]
        if self._silence is not None:
            quiet = max(logs[BLANK], logs[self._silence])
            emitted[self._rows, self._last] = quiet
            self._entry += quiet
        self._ratios = np.maximum(np.maximum(stay, came), skipped) + emitted
        np.maximum(self._ratios, _NEVER, out=self._ratios)
        behind, within = self._last, self._last - 1
        ends = np.maximum(self._ratios[self._rows, behind], self._ratios[self._rows, within])
        scores: Floats = ends / self._lengths
        return scores
