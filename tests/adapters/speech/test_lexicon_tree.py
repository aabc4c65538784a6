from __future__ import annotations

import math

import numpy as np
import pytest

from diverloop.adapters.speech.lexicon_tree import ROOT, LexiconTree
from diverloop.runtime.errors import ConfigError

# "at", "a", "cat", "at" once more by another spelling.
TREE = LexiconTree([(1, 2), (1,), (3, 1, 2), (1, 2)], np.array([0.4, 0.3, 0.2, 0.1]))


def branch(*tokens):
    at = ROOT
    for token in tokens:
        at = TREE.children[at][token]
    return at


def test_words_end_where_their_phonemes_do_also_those_that_sound_alike():
    assert TREE.ending[branch(1)] == (1,)
    assert set(TREE.ending[branch(1, 2)]) == {0, 3}
    assert TREE.ending[branch(3, 1)] == ()


def test_a_branch_knows_its_most_probable_word():
    assert TREE.log_ahead[ROOT] == pytest.approx(math.log(0.4))
    assert TREE.log_ahead[branch(3)] == pytest.approx(math.log(0.2))


@pytest.mark.parametrize(
    ("tokens", "shares"),
    [((), [0.4, 0.3, 0.2, 0.1]), ((1,), [0.5, 0.375, 0, 0.125]), ((3, 1), [0, 0, 1, 0])],
)
def test_a_weight_is_shared_among_the_words_below(tokens, shares):
    found = np.zeros(4)
    TREE.spread(branch(*tokens), 2.0, found)
    by_word = np.zeros(4)
    by_word[TREE.sorted_words] = found
    np.testing.assert_allclose(by_word, 2 * np.array(shares))


def test_a_word_without_phonemes_is_refused():
    with pytest.raises(ConfigError, match="1 phoneme or more"):
        LexiconTree([(1,), ()], np.array([0.5, 0.5]))
