"""Three ways to read an attempt: words by beam search, phonemes by the best path, keywords.

A reader takes in probabilities frame by frame and says, hop by hop, what has become complete. It
keeps nothing beyond the attempt.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..calibration import softmax
from .beam import PrefixBeam, Words
from .config import SpeechConfig
from .greedy import BestPath
from .keywords import KeywordSpotter
from .language_model import NGrams
from .lexicon_tree import LexiconTree

Floats = NDArray[np.float64]
Said = tuple[int, Floats]
"""Place of a class, and the probabilities of all classes with which it was decided."""

_N_BEST = 10


class Reader(Protocol):
    """What the adapter needs of a way to read.

    Attributes
    ----------
    due : deque of Said
        Complete, and not yet said.
    posterior : ndarray, shape (n_classes,)
        What is being said now.
    """

    due: deque[Said]
    posterior: Floats

    def restart(self) -> None:
        """A new attempt begins."""

    def step(self, probabilities: Floats) -> None:
        """Take in a frame's probabilities of blank and tokens, shape (n_tokens,)."""

    def end_hop(self) -> None:
        """The hop is over: see what is complete, and bring `posterior` up to date."""

    def finish(self) -> None:
        """The attempt is over: what is complete now is all there is."""

    def texts(self) -> tuple[tuple[str, float], ...]:
        """What has been said so far, and what else it may have been, with log scores."""


class WordReader:
    """Words of the lexicon, decided as soon as the search agrees on them.

    Parameters
    ----------
    config : SpeechConfig
        Lexicon and search.
    model : NGrams
        The language.
    """

    def __init__(self, config: SpeechConfig, model: NGrams) -> None:
        tokens = [config.tokens(word) for word in config.words]
        priors = np.exp([model.log_probability((), word) for word in range(len(config.words))])
        self._beam = PrefixBeam(
            LexiconTree(tokens, priors), model, separator=config.separator, config=config.beam
        )
        self._config = config
        self.due: deque[Said] = deque()
        self.restart()

    def restart(self) -> None:
        """A new attempt begins; what is due stays due."""
        self._beam.restart()
        self._decided: Words = ()
        self._over = False
        self.end_hop()

    def step(self, probabilities: Floats) -> None:
        """Take in a frame."""
        self._beam.step(probabilities)

    def end_hop(self) -> None:
        """Decide the next word, if enough of the search agrees."""
        self.posterior, complete = self._beam.word_at(len(self._decided))
        word = int(complete.argmax())
        if complete[word] >= self._config.commit_at:
            self.due.append((word, self.posterior))
            self._decided += (word,)
            # What was said stays said: no spelling may take it back.
            self._beam.keep(self._decided)
            self.posterior, _ = self._beam.word_at(len(self._decided))

    def finish(self) -> None:
        """Decide the words that are left, each the most probable after those before it."""
        sentences = self._beam.sentences()
        most = sentences[0][1]
        while True:
            place = len(self._decided)
            posterior, ending = np.zeros(len(self._config.words)), 0.0
            for words, score in sentences:
                if words[:place] != self._decided:
                    continue
                if len(words) > place:
                    posterior[words[place]] += np.exp(score - most)
                else:
                    ending += np.exp(score - most)
            if posterior.max() <= ending:
                break
            word = int(posterior.argmax())
            self.due.append((word, posterior / posterior.sum()))
            self._decided += (word,)
        self._over = True

    def texts(self) -> tuple[tuple[str, float], ...]:
        """What was decided, then what else it may have been, the best first; ten at most."""
        found = self._beam.sentences() if self._over else self._beam.beginnings()
        # Sorting keeps the order of the rest.
        found = sorted(found, key=lambda pair: pair[0] != self._decided) if self._over else found
        names = self._config.words
        return tuple((" ".join(names[w] for w in words), s) for words, s in found[:_N_BEST])


class PhonemeReader:
    """Phonemes along the best path, each decided in the frame in which it begins.

    Parameters
    ----------
    config : SpeechConfig
        Names of the phonemes.
    """

    def __init__(self, config: SpeechConfig) -> None:
        self._path, self._config = BestPath(), config
        self.due: deque[Said] = deque()
        self.restart()

    def restart(self) -> None:
        """A new attempt begins; what is due stays due."""
        self._path.restart()
        n_classes = len(self._config.phonemes)
        self.posterior = np.full(n_classes, 1 / n_classes)

    def step(self, probabilities: Floats) -> None:
        """Take in a frame."""
        spoken = probabilities[1:]
        self.posterior = spoken / spoken.sum()
        token = self._path.step(int(probabilities.argmax()))
        if token is not None and token != self._config.separator:
            self.due.append((token - 1, self.posterior))

    def end_hop(self) -> None:
        """Nothing to do: phonemes are decided frame by frame."""

    def finish(self) -> None:
        """Nothing to do: nothing is held back."""

    def texts(self) -> tuple[tuple[str, float], ...]:
        """The phonemes of the best path."""
        names, pause = self._config.phonemes, self._config.separator
        said = [names[token - 1] for token in self._path.tokens if token != pause]
        return ((" ".join(said), 0.0),)


class KeywordReader:
    """Keywords: one that is all of an attempt, decided at its end, or one anywhere in it.

    Parameters
    ----------
    config : SpeechConfig
        Names of the phonemes, the words' pronunciations.
    keywords : tuple of str
        Which words are looked for.
    at : float
        Score that they must reach.
    anywhere : bool
        Whether other things may be said before it: decided when its score has passed its peak.
    """

    def __init__(
        self, config: SpeechConfig, keywords: tuple[str, ...], at: float, *, anywhere: bool = False
    ) -> None:
        tokens = [config.tokens(word) for word in keywords]
        self._spotter = KeywordSpotter(tokens, silence=None if anywhere else config.separator)
        self._length = float(np.mean([len(one) for one in tokens]))
        self._keywords, self._at, self._anywhere = keywords, at, anywhere
        self.due: deque[Said] = deque()
        self._scores, self._before = np.empty(len(keywords)), -np.inf
        self.restart()

    def restart(self) -> None:
        """A new attempt begins; what is due stays due."""
        self._spotter.restart()
        self._forget_scores()
        self._found: list[str] = []
        self.posterior = np.full(len(self._keywords), 1 / len(self._keywords))

    def step(self, probabilities: Floats) -> None:
        """Take in a frame."""
        scores = self._spotter.step(probabilities)
        self._scores = np.maximum(self._scores, scores) if self._anywhere else scores

    def end_hop(self) -> None:
        """Bring the probabilities up to date; decide what has passed its peak."""
        best = float(self._scores.max())
        self.posterior = softmax(self._scores * self._length)
        if self._anywhere and best >= self._at and best <= self._before:
            self._decide()
        else:
            self._before = best

    def finish(self) -> None:
        """Decide the best keyword, if it reaches its score."""
        if self._scores.max() >= self._at:
            self._decide()

    def texts(self) -> tuple[tuple[str, float], ...]:
        """Keywords that were found."""
        return ((" ".join(self._found), 0.0),)

    def _decide(self) -> None:
        word = int(self._scores.argmax())
        self.due.append((word, self.posterior))
        self._found.append(self._keywords[word])
        self._spotter.restart()
        self._forget_scores()

    def _forget_scores(self) -> None:
        self._scores[:] = -np.inf
        self._before = -np.inf
