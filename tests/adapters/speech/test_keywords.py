from __future__ import annotations

import itertools

import numpy as np
import pytest

from diverloop.adapters.speech.keywords import KeywordSpotter
from diverloop.runtime.errors import ConfigError


def frames(tokens, sure=0.9, n_tokens=5):
    rows = np.full((len(tokens), n_tokens), (1 - sure) / (n_tokens - 1))
    rows[np.arange(len(tokens)), tokens] = sure
    return rows


def scores(spotter, probabilities):
    return np.array([spotter.step(row) for row in probabilities])


def by_enumeration(keyword, probabilities):
    """Best path whose end spells the keyword, against the best of all, after the last frame."""
    logs = np.log(probabilities)
    logs = logs - logs.max(axis=1, keepdims=True)
    best = -np.inf
    for first in range(len(logs)):
        for path in itertools.product(range(logs.shape[1]), repeat=len(logs) - first):
            said = tuple(token for token, _ in itertools.groupby(path) if token)
            if said == keyword and path[0]:
                best = max(best, sum(logs[first + at, token] for at, token in enumerate(path)))
    return best / len(keyword)


@pytest.mark.parametrize("keyword", [(1,), (1, 2), (1, 1)])
@pytest.mark.parametrize("seed", range(3))
def test_a_score_is_that_of_the_best_path_that_ends_with_the_keyword(keyword, seed):
    raw = np.random.default_rng(seed).gamma(0.7, size=(5, 3)) + 1e-3
    probabilities = raw / raw.sum(axis=1, keepdims=True)
    spotter = KeywordSpotter([keyword, (2,)])
    got = scores(spotter, probabilities)[-1, 0]
    assert got == pytest.approx(by_enumeration(keyword, probabilities), abs=1e-9)


def test_a_keyword_scores_zero_where_it_is_said_wherever_that_is():
    found = scores(KeywordSpotter([(1, 2), (3, 2)]), frames([4, 4, 0, 1, 1, 2, 0, 4, 3, 2]))
    assert found[5, 0] == pytest.approx(0)
    assert found[9, 1] == pytest.approx(0)
    assert found[5, 1] < -1
    assert (found <= 1e-12).all()


def test_the_same_phoneme_twice_needs_a_blank_in_between():
    together = scores(KeywordSpotter([(1, 1)]), frames([1, 1, 1]))[-1, 0]
    apart = scores(KeywordSpotter([(1, 1)]), frames([1, 0, 1]))[-1, 0]
    assert apart == pytest.approx(0)
    assert together < -1


def test_a_restart_forgets_a_keyword_that_had_begun():
    spotter = KeywordSpotter([(1, 2)])
    scores(spotter, frames([1]))
    spotter.restart()
    assert scores(spotter, frames([2]))[-1, 0] < -1


def test_with_silence_around_it_a_keyword_has_to_be_all_that_was_said():
    silence = 4
    spotter = KeywordSpotter([(1, 2), (3, 2)], silence=silence)
    alone = scores(spotter, frames([4, 0, 4, 1, 1, 2, 0, 4, 4]))
    assert alone[-1, 0] == pytest.approx(0)
    assert alone[-1, 1] < -1
    spotter.restart()
    assert scores(spotter, frames([3, 4, 1, 2]))[-1, 0] < -1
    spotter.restart()
    assert scores(spotter, frames([1, 2, 4, 3]))[-1, 0] < -1
    spotter.restart()
    assert scores(spotter, frames([1, 2]))[-1, 0] == pytest.approx(0)


def test_no_keyword_is_refused():
    with pytest.raises(ConfigError, match="at least 1 keyword"):
        KeywordSpotter([])
