from __future__ import annotations

import math

import numpy as np
import pytest

from diverloop.adapters.speech.language_model import NGrams
from diverloop.runtime.errors import BundleError, ConfigError

TEXT = [[0, 1], [0, 1, 2], [2]]


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("context", [(), (3,), (0,), (3, 0), (0, 1), (2, 2), (1, 1, 0)])
def test_probabilities_of_the_next_word_sum_to_one(order, context):
    model = NGrams.fit(TEXT, order=order, n_words=3)
    total = sum(math.exp(model.log_probability(context, word)) for word in range(4))
    assert total == pytest.approx(1)


def test_a_bigram_is_weighed_as_witten_and_bell_say():
    model = NGrams.fit(TEXT, order=2, n_words=3)
    # 0 twice, 1 twice, 2 twice, end three times: 9 tokens of 4 types; uniform over 4 below that.
    unigram = (2 + 4 * 0.25) / (9 + 4)
    # 0 was followed twice, always by 1.
    assert math.exp(model.log_probability((0,), 1)) == pytest.approx((2 + unigram) / (2 + 1))
    assert math.exp(model.log_probability((0,), 2)) == pytest.approx(unigram / (2 + 1))


def test_a_model_that_counted_nothing_hesitates_between_all_words():
    model = NGrams.fit([], order=3, n_words=7)
    assert model.perplexity([[0, 3, 6]]) == pytest.approx(8)


def test_perplexity_is_the_inverse_of_the_mean_probability():
    model = NGrams.fit(TEXT, order=2, n_words=3)
    logs = [
        model.log_probability((3,), 2),
        model.log_probability((2,), 0),
        model.log_probability((0,), 3),
    ]
    assert model.perplexity([[2, 0]]) == pytest.approx(math.exp(-np.mean(logs)))


def test_longer_contexts_predict_a_text_with_habits_better():
    rng = np.random.default_rng(0)
    habit = rng.permutation(12)

    def sentence():
        words = [int(rng.integers(12))]
        while len(words) < 8:
            often = rng.random() < 0.8
            words.append(int(habit[words[-1]]) if often else int(rng.integers(12)))
        return words

    train, test = [sentence() for _ in range(100)], [sentence() for _ in range(30)]
    single, double = (NGrams.fit(train, order=order, n_words=12) for order in (1, 2))
    assert double.perplexity(test) < 0.6 * single.perplexity(test)


def test_counts_survive_a_bundle():
    model = NGrams.fit(TEXT, order=3, n_words=3)
    again = NGrams.from_array(model.to_array(), 3)
    assert again.order == 3
    for context in [(), (3, 0), (0, 1), (2,)]:
        for word in range(4):
            assert again.log_probability(context, word) == model.log_probability(context, word)


def test_a_word_outside_the_vocabulary_is_refused():
    with pytest.raises(ConfigError, match="add what is missing"):
        NGrams.fit([[0, 3]], order=2, n_words=3)


def test_counts_of_another_shape_are_refused():
    with pytest.raises(BundleError, match="two axes"):
        NGrams.from_array(np.zeros(3), 3)
