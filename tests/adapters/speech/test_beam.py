from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from diverloop.adapters.speech.beam import BLANK, BeamConfig, PrefixBeam
from diverloop.adapters.speech.language_model import NGrams
from diverloop.adapters.speech.lexicon_tree import LexiconTree
from diverloop.runtime.errors import ConfigError

# Tokens 1, 2 and the silence 3; words "a" (1), "aa" (1 1), "ab" (1 2), "b" (2).
LEXICON = [(1,), (1, 1), (1, 2), (2,)]
SILENCE = 3
WIDE = dict(width=1000, margin=1000.0, least_probability=1e-12)


def model(order=2):
    text = [[0, 3], [2], [1, 2], [0, 3, 3], [3]]
    return NGrams.fit(text, order=order, n_words=4)


def search(language_weight=1.0, **changes):
    language = model()
    priors = np.exp([language.log_probability((), word) for word in range(4)])
    settings = BeamConfig(language_weight=language_weight, **(WIDE | changes))
    tree = LexiconTree(LEXICON, priors)
    return PrefixBeam(tree, language, separator=SILENCE, config=settings)


def frames(seed, n=5):
    raw = np.random.default_rng(seed).gamma(0.6, size=(n, 4)) + 1e-3
    return raw / raw.sum(axis=1, keepdims=True)


def spellings(tokens):
    """All ways to read tokens as words with optional silence between, before and behind."""
    if not tokens:
        return {()}
    found = set()
    if tokens[0] == SILENCE:
        found |= spellings(tokens[1:])
    for word, said in enumerate(LEXICON):
        if tokens[: len(said)] == said:
            found |= {(word, *rest) for rest in spellings(tokens[len(said) :])}
    return found


def by_enumeration(probabilities, language_weight):
    """Score of every sentence by adding up every path there is."""
    masses = {}
    for path in itertools.product(range(4), repeat=len(probabilities)):
        tokens = tuple(token for token, _ in itertools.groupby(path) if token != BLANK)
        mass = math.prod(row[token] for row, token in zip(probabilities, path, strict=True))
        for words in spellings(tokens):
            masses[words] = masses.get(words, 0.0) + mass
    language = model()
    return {
        words: math.log(mass) + language_weight * language.log_sentence(words)
        for words, mass in masses.items()
    }


@pytest.mark.parametrize("language_weight", [0.0, 0.7])
@pytest.mark.parametrize("seed", range(4))
def test_a_wide_beam_finds_what_adding_up_all_paths_finds(seed, language_weight):
    beam, probabilities = search(language_weight), frames(seed)
    for row in probabilities:
        beam.step(row)
    wanted = by_enumeration(probabilities, language_weight)
    # Sentences that end in the stump of a word carry its mass too: leave it out by its price.
    got = {words: score for words, score in beam.sentences() if words in wanted}
    assert max(got, key=got.get) == max(wanted, key=wanted.get)
    offset = got[max(got, key=got.get)] - wanted[max(got, key=got.get)]
    for words in sorted(wanted, key=wanted.get)[-4:]:
        assert got[words] - offset == pytest.approx(wanted[words], abs=0.01)


def test_a_narrow_beam_stays_narrow_and_its_shares_sum_to_one():
    beam = search(width=3, margin=14.0, least_probability=1e-3)
    for row in frames(5, 30):
        beam.step(row)
        assert len(beam.beginnings()) <= 3
        probabilities, complete = beam.word_at(0)
        assert probabilities.sum() == pytest.approx(1)
        assert (complete <= probabilities + 1e-12).all()


def test_the_language_decides_between_words_that_sound_alike():
    text = [[0, 1]] * 9 + [[0, 2]]
    language = NGrams.fit(text, order=2, n_words=3)
    priors = np.array([0.4, 0.3, 0.3])
    beam = PrefixBeam(LexiconTree([(1,), (2,), (2,)], priors), language, separator=SILENCE)
    for token in (1, 3, 2, 3):
        row = np.full(4, 0.01)
        row[token] = 0.97
        beam.step(row)
    assert beam.best == (0, 1)
    shares = dict(beam.sentences())
    assert shares[(0, 1)] > shares[(0, 2)]


def test_a_word_in_the_making_counts_as_what_it_may_become():
    beam = search(0.0)
    beam.step(np.array([0.0, 1.0, 0.0, 0.0]))
    probabilities, complete = beam.word_at(0)
    assert probabilities[3] == 0
    assert probabilities[:3].sum() == pytest.approx(1)
    assert complete.sum() == 0


def test_what_was_decided_is_kept_from_then_on():
    beam, probabilities = search(), frames(1, 12)
    for row in probabilities[:6]:
        beam.step(row)
    other = sorted(words for words, _ in beam.beginnings() if words)[0]
    beam.keep(other[:1])
    for row in probabilities[6:]:
        beam.step(row)
    assert all(words[:1] == other[:1] for words, _ in beam.beginnings())


def test_a_restart_forgets_everything():
    beam = search()
    for row in frames(2):
        beam.step(row)
    first = beam.sentences()
    beam.restart()
    for row in frames(2):
        beam.step(row)
    assert beam.sentences() == first


@pytest.mark.parametrize("wrong", [{"width": 0}, {"margin": 0.0}, {"language_weight": -1.0}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError, match="must be in"):
        BeamConfig(**wrong)
