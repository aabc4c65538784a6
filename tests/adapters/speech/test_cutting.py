from __future__ import annotations

import numpy as np
import pytest

from diverloop.adapters.speech.cutting import Utterance, cut_utterances
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.messages import Marker

STEP = 80
STOPS = STEP * np.arange(1, 101)
HOPS = np.arange(100.0)[:, None] * np.ones(4)


def markers(*pairs):
    return [Marker(label=label, sample=sample) for label, sample in pairs]


ONE = markers(("say:i am here", 800), ("onset", 1600), ("offset", 3200), ("rest", 3400))


def test_an_attempt_is_cut_with_its_text_and_rest_around_it():
    (found,) = cut_utterances(HOPS, STOPS, ONE, before_hops=5, after_hops=3)
    assert found.words == ("i", "am", "here")
    # Hop 20 holds samples 1600 to 1680, hop 39 samples 3120 to 3200.
    assert found.hops[found.onset, 0] == 20
    assert found.hops[found.offset - 1, 0] == 39
    assert (found.onset, len(found.hops)) == (5, 5 + 20 + 3)
    assert found.attempting.sum() == 20


def test_rest_is_not_shared_with_the_neighbours_attempt():
    two = [*ONE, *markers(("say:yes", 3400), ("onset", 3600), ("offset", 4000))]
    first, second = cut_utterances(HOPS, STOPS, two, before_hops=12, after_hops=12)
    assert first.hops[-1, 0] < 45
    assert second.hops[0, 0] >= 40
    assert second.words == ("yes",)


def test_an_attempt_across_a_gap_is_left_out():
    keep = np.arange(100) != 30
    assert cut_utterances(HOPS[keep], STOPS[keep], ONE) == []


def test_an_attempt_with_frames_that_are_not_finite_is_left_out():
    broken = HOPS.copy()
    broken[25, 1] = np.nan
    assert cut_utterances(broken, STOPS, ONE) == []


def test_an_attempt_that_was_not_finished_is_left_out():
    assert cut_utterances(HOPS, STOPS, ONE[:2]) == []


def test_an_attempt_outside_its_hops_is_refused():
    with pytest.raises(ConfigError, match="within its 3 hops"):
        Utterance(hops=np.zeros((3, 2)), words=("yes",), onset=1, offset=4)
