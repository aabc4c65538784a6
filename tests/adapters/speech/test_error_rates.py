from __future__ import annotations

import numpy as np
import pytest

from diverloop.adapters.speech.error_rates import edit_distance, error_rate
from diverloop.runtime.errors import ConfigError


@pytest.mark.parametrize(
    ("said", "wanted", "edits"),
    [("", "", 0), ("abc", "abc", 0), ("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3)],
)
def test_edits_are_counted(said, wanted, edits):
    assert edit_distance(said, wanted) == edits


def test_the_distance_is_a_metric():
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("ab"), rng.integers(0, 6))) for _ in range(12)]
    for a in texts:
        for b in texts:
            assert edit_distance(a, b) == edit_distance(b, a)
            assert (edit_distance(a, b) == 0) == (a == b)
            for c in texts:
                assert edit_distance(a, c) <= edit_distance(a, b) + edit_distance(b, c)


def test_a_rate_counts_edits_over_all_that_was_meant():
    pairs = [(["i", "am", "here"], ["i", "was", "here"]), ([], ["yes"])]
    assert error_rate(pairs) == 2 / 4


def test_a_rate_of_nothing_is_refused():
    with pytest.raises(ConfigError, match="at least 1 unit"):
        error_rate([(["a"], [])])
