"""Prefix beam search over words, one frame at a time: the search of the loop.

Connectionist temporal classification gives, for every frame, probabilities of the phonemes and of
a blank [1]_. Many paths spell the same phonemes; the search keeps the best spellings and adds up
their paths [2]_. Only spellings that the lexicon knows survive, each weighed by the language
model; inside a word, the most probable word ahead stands for it until it is known which one it is.

References
----------
.. [1] Graves, Fernández, Gomez, Schmidhuber. Connectionist temporal classification. ICML, 2006.
.. [2] Hannun, Maas, Jurafsky, Ng. First-pass large vocabulary continuous speech recognition using
   bi-directional recurrent DNNs. arXiv:1408.2873, 2014.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import ConfigError
from .language_model import NGrams
from .lexicon_tree import ROOT, LexiconTree

Floats = NDArray[np.float64]
Words = tuple[int, ...]
_Key = tuple[Words, int, int]  # words so far, branch of the lexicon, last token

BLANK = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BeamConfig:
    """What can be chosen about `PrefixBeam`.

    Parameters
    ----------
    width : int
        Spellings that are kept, 1 to 1000.
    margin : float
        Spellings this far below the best, in log probability, are dropped; above 0.
    least_probability : float
        Tokens less probable than this in a frame are passed over, in (0, 0.1].
    most_tokens : int
        Of the others, so many are tried, the most probable first, 1 to 100.
    language_weight : float
        How much the language model counts, 0 to 10; 0 leaves only the lexicon.
    word_bonus : float
        Log probability given to each word, -20 to 20: without it long sentences are too dear.
    """

    width: int = 40
    margin: float = 14.0
    least_probability: float = 1e-3
    most_tokens: int = 10
    language_weight: float = 1.0
    word_bonus: float = 0.0

    def __post_init__(self) -> None:
        for name, low, high in (
            ("width", 1, 1000),
            ("margin", 0.1, 1000),
            ("least_probability", 1e-12, 0.1),
            ("most_tokens", 1, 100),
            ("language_weight", 0, 10),
            ("word_bonus", -20, 20),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"beam.{name} must be in [{low:g}, {high:g}], got {value:g}.")


class PrefixBeam:
    """The most probable beginnings of a sentence, given the frames since `restart`.

    Parameters
    ----------
    tree : LexiconTree
        Allowed words, as tokens above `BLANK`.
    model : NGrams
        What follows what.
    separator : int
        Token of the silence between words. It may be there or not.
    config : BeamConfig, optional
        What was chosen.
    """

    def __init__(
        self, tree: LexiconTree, model: NGrams, *, separator: int, config: BeamConfig | None = None
    ) -> None:
        self._tree, self._model, self._separator = tree, model, separator
        self._config = config or BeamConfig()
        weight = self._config.language_weight
        self._ahead = [weight * value for value in tree.log_ahead]
        self.restart()

    def restart(self) -> None:
        """Nothing was said yet."""
        # Of each spelling: mass of the paths that end in a blank, of those that do not, and the
        # logarithm of what the language says of it. Masses are relative to the best spelling's.
        self._beam: dict[_Key, list[float]] = {((), ROOT, BLANK): [1.0, 0.0, self._ahead[ROOT]]}
        self._weigh()

    def step(self, probabilities: Floats) -> None:
        """Take in the next frame.

        Parameters
        ----------
        probabilities : ndarray, shape (n_tokens,)
            Of the blank and of each token; sum to 1.
        """
        of = probabilities.tolist()
        least = self._config.least_probability
        likely = [token for token in range(1, len(of)) if of[token] >= least]
        likely = sorted(likely, key=lambda token: -of[token])[: self._config.most_tokens]
        grown: dict[_Key, list[float]] = {}
        for key, (blank, spoken, language) in self._beam.items():
            last, both = key[2], blank + spoken
            stays = grown.setdefault(key, [0.0, 0.0, language])
            stays[0] += both * of[BLANK]
            stays[1] += spoken * of[last] if last != BLANK else 0.0
            for token in likely:
                # The same token twice needs a blank in between, or it is only a longer one.
                mass = (blank if token == last else both) * of[token]
                if mass > 0:
                    for longer, gain in self._longer(key, token):
                        grown.setdefault(longer, [0.0, 0.0, language + gain])[1] += mass
        self._prune(grown)

    def _longer(self, key: _Key, token: int) -> Iterator[tuple[_Key, float]]:
        """What a spelling becomes with one more token, and what the language says to that."""
        words, branch, _ = key
        tree, ahead = self._tree, self._ahead
        pause = token == self._separator
        if branch == ROOT and pause:
            yield (words, ROOT, token), 0.0
        if not pause and (below := tree.children[branch].get(token)) is not None:
            yield (words, below, token), ahead[below] - ahead[branch]
        for word in tree.ending[branch]:
            after = ROOT if pause else tree.children[ROOT].get(token)
            if after is not None:
                gain = self._gain(words, word) + ahead[after] - ahead[branch]
                yield ((*words, word), after, token), gain

    def _gain(self, words: Words, word: int) -> float:
        """What the language says to a word, or to the end of the sentence."""
        before = (self._model.boundary, *words)[-self._model.order + 1 :]
        if self._model.order == 1:
            before = ()
        bonus = self._config.word_bonus if word != self._model.boundary else 0.0
        return self._config.language_weight * self._model.log_probability(before, word) + bonus

    def _prune(self, grown: dict[_Key, list[float]]) -> None:
        scored = [
            (math.log(blank + spoken) + language, key)
            for key, (blank, spoken, language) in grown.items()
            if blank + spoken > 1e-300
        ]
        scored.sort(reverse=True)
        best = scored[0][0]
        kept = [key for s, key in scored[: self._config.width] if s >= best - self._config.margin]
        most = max(grown[key][0] + grown[key][1] for key in kept)
        self._beam = {
            key: [grown[key][0] / most, grown[key][1] / most, grown[key][2]] for key in kept
        }
        self._weigh()

    def _weigh(self) -> None:
        scores = {
            key: math.log(blank + spoken) + language
            for key, (blank, spoken, language) in self._beam.items()
        }
        best = max(scores.values())
        weights = {key: math.exp(score - best) for key, score in scores.items()}
        total = sum(weights.values())
        self._shares = {key: weight / total for key, weight in weights.items()}

    @property
    def best(self) -> Words:
        """Words that are complete in the most probable spelling."""
        return max(self._shares, key=lambda key: self._shares[key])[0]

    def word_at(self, place: int) -> tuple[Floats, Floats]:
        """What the word at a place of the sentence may be.

        Parameters
        ----------
        place : int
            0 for the first word.

        Returns
        -------
        probabilities : ndarray, shape (n_words,)
            Sum to 1 unless every spelling stops short of the place; a word that is still in the
            making counts as those that it may become, by their priors.
        complete : ndarray, shape (n_words,)
            Its part that rests on complete words.
        """
        complete = np.zeros(len(self._tree.sorted_words))
        coming = np.zeros_like(complete)
        for (words, branch, _), share in self._shares.items():
            if len(words) > place:
                complete[words[place]] += share
            elif len(words) == place:
                self._tree.spread(branch, share, coming)
        probabilities = complete.copy()
        probabilities[self._tree.sorted_words] += coming
        return probabilities, complete

    def beginnings(self) -> list[tuple[Words, float]]:
        """Complete words of every spelling with their log scores, the best first."""
        found: dict[Words, float] = {}
        for (words, _, _), share in self._shares.items():
            found[words] = found.get(words, 0.0) + share
        scored = [(words, math.log(share)) for words, share in found.items() if share > 0]
        return sorted(scored, key=lambda pair: (-pair[1], pair[0]))

    def keep(self, words: Words) -> None:
        """Drop every spelling that does not begin with these words, if any does."""
        n = len(words)
        kept = {key: masses for key, masses in self._beam.items() if key[0][:n] == words}
        if kept:
            self._beam = kept
            self._weigh()

    def sentences(self) -> list[tuple[Words, float]]:
        """Whole sentences, if nothing comes any more.

        Returns
        -------
        sentences : list of (tuple of int, float)
            Words and log score, the best first; a word that has only begun is left out.
        """
        found: dict[Words, float] = {}
        for (words, branch, _), (blank, spoken, language) in self._beam.items():
            score = math.log(blank + spoken) + language - self._ahead[branch]
            # At the root nothing has begun, and inside a word its stump is lost if it is no word.
            endings = [
                ((*words, word), self._gain(words, word)) for word in self._tree.ending[branch]
            ]
            for whole, gain in endings or [(words, 0.0 if branch == ROOT else -_STUMP)]:
                total = score + gain + self._gain(whole, self._model.boundary)
                found[whole] = float(np.logaddexp(found.get(whole, -math.inf), total))
        return sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))


_STUMP = 10.0  # what a word that was begun and not finished costs, in log probability
