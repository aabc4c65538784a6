"""An n-gram model of words: what is likely to come next, by what was counted in a text.

Witten and Bell's interpolation [1]_: the more different words followed a context, the more weight
its shorter version gets. Simple, never zero, and good for small texts, where counts of counts
mean little.

References
----------
.. [1] Witten, Bell. The zero-frequency problem. IEEE Trans. Inf. Theory, 1991.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import BundleError, ConfigError

Context = tuple[int, ...]

_MOST = 6


class NGrams:
    """Probabilities of the next word.

    Parameters
    ----------
    order : int
        Words that are counted together, 1 to 6.
    n_words : int
        Words of the vocabulary. Number `n_words` is the boundary of a sentence.
    counts : mapping of tuple to dict
        How often each word followed each context, for contexts of every length below `order`.
    """

    def __init__(self, order: int, n_words: int, counts: dict[Context, dict[int, float]]) -> None:
        if not 1 <= order <= _MOST:
            raise ConfigError(f"order must be in 1 to {_MOST}, got {order}: 3 is a good start.")
        if n_words < 1:
            raise ConfigError(f"n_words must be at least 1, got {n_words}: give a vocabulary.")
        self.order, self.n_words, self.boundary = order, n_words, n_words
        self._counts = counts
        self._totals = {
            context: (sum(after.values()), float(len(after))) for context, after in counts.items()
        }

    @classmethod
    def fit(cls, sentences: Iterable[Sequence[int]], *, order: int, n_words: int) -> Self:
        """Count a text.

        Parameters
        ----------
        sentences : iterable of sequence of int
            Words by their number in the vocabulary.
        order, n_words : int
            As for the class.

        Returns
        -------
        model : NGrams
            Ready.

        Raises
        ------
        ConfigError
            If a word is not in the vocabulary, or a setting is out of range.
        """
        counts: dict[Context, dict[int, float]] = {}
        for sentence in sentences:
            if any(not 0 <= word < n_words for word in sentence):
                raise ConfigError(
                    f"Words must be numbers in 0 to {n_words - 1}, got {list(sentence)}: add what "
                    f"is missing to the lexicon."
                )
            padded = (n_words, *sentence, n_words)
            for place in range(1, len(padded)):
                for length in range(min(order, place + 1)):
                    after = counts.setdefault(padded[place - length : place], {})
                    after[padded[place]] = after.get(padded[place], 0.0) + 1
        return cls(order, n_words, counts)

    @classmethod
    def from_array(cls, array: NDArray[Any], n_words: int) -> Self:
        """Rebuild from what `to_array` gave; raises `BundleError` if it is nothing of the kind."""
        if array.ndim != 2 or array.shape[1] < 2:
            raise BundleError(
                f"Counts of a language model have two axes, got shape {array.shape}: fit it again."
            )
        counts: dict[Context, dict[int, float]] = {}
        for *numbers, count in array.tolist():
            *context, word = (int(number) for number in numbers if number >= 0)
            counts.setdefault(tuple(context), {})[word] = count
        return cls(array.shape[1] - 1, n_words, counts)

    def to_array(self) -> NDArray[np.float64]:
        """All counts, shape (n_ngrams, order + 1): the words, -1 before short ones, the count."""
        rows = [
            [-1.0] * (self.order - 1 - len(context)) + [*map(float, context), float(word), count]
            for context, after in self._counts.items()
            for word, count in after.items()
        ]
        return np.array(rows, dtype=np.float64).reshape(len(rows), self.order + 1)

    def begin(self) -> Context:
        """Context at the beginning of a sentence."""
        return (self.boundary,)

    def log_probability(self, before: Context, word: int) -> float:
        """Natural logarithm of how probable a word is.

        Parameters
        ----------
        before : tuple of int
            Words before it, the nearest last; as many as there are.
        word : int
            The word, or `boundary` for the end of the sentence.

        Returns
        -------
        log_probability : float
            Finite: no word is impossible.
        """
        probability = 1 / (self.n_words + 1)
        for length in range(min(self.order, len(before) + 1)):
            context = before[len(before) - length :]
            if (known := self._totals.get(context)) is None:
                break
            total, different = known
            seen = self._counts[context].get(word, 0.0)
            probability = (seen + different * probability) / (total + different)
        return math.log(probability)

    def log_sentence(self, sentence: Sequence[int]) -> float:
        """Natural logarithm of how probable a whole sentence is, its end included."""
        padded = (self.boundary, *sentence, self.boundary)
        return sum(
            self.log_probability(padded[max(0, place - self.order + 1) : place], padded[place])
            for place in range(1, len(padded))
        )

    def perplexity(self, sentences: Iterable[Sequence[int]]) -> float:
        """Between how many words the model hesitates, ends of sentences counted as words.

        Parameters
        ----------
        sentences : iterable of sequence of int
            A text, which should not be the one that was counted.

        Returns
        -------
        perplexity : float
            At least 1.
        """
        total, words = 0.0, 0
        for sentence in sentences:
            total += self.log_sentence(sentence)
            words += len(sentence) + 1
        if not words:
            raise ConfigError("Perplexity needs at least 1 sentence, got 0: give a text.")
        return math.exp(-total / words)
