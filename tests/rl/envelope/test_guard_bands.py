"""Bad signal and hesitant detectors teach nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from diverloop.rl.envelope.config import EnvelopeConfig
from diverloop.rl.envelope.guard_bands import says_nothing, teaches_nothing
from diverloop.rl.trial import Reward, Trial

from .streams import Person, World

HEAD = Person(World(), 3).head()
GOOD = Trial.plain(1, HEAD.prototypes[0], 4, 0)
CONFIG = EnvelopeConfig()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"quality": 0.2}, "quality was 0.20"),
        ({"features": GOOD.features * np.nan}, "NaN"),
        ({"features": GOOD.features[:, :3]}, "shape"),
        ({"features": GOOD.features + 100}, "further off"),
    ],
    ids=str,
)
def test_a_trial_that_teaches_nothing_says_why(change, why):
    assert why in teaches_nothing(replace(GOOD, **change), HEAD, CONFIG)


def test_a_good_trial_and_one_after_an_abrupt_change_teach():
    assert teaches_nothing(GOOD, HEAD, CONFIG) == ""
    assert teaches_nothing(replace(GOOD, features=GOOD.features + 2.5), HEAD, CONFIG) == ""


@pytest.mark.parametrize("error", [0.41, 0.5, 0.59])
def test_a_detector_between_its_bands_says_nothing(error):
    assert says_nothing(Reward(trial=1, log_odds=np.log((1 - error) / error)), CONFIG)


def test_a_clear_detector_and_a_known_intention_are_heard():
    assert not says_nothing(Reward(trial=1, log_odds=1.1), CONFIG)
    assert not says_nothing(Reward(trial=1, log_odds=-1.1), CONFIG)
    assert not says_nothing(Reward(trial=1, meant=2), CONFIG)
    assert says_nothing(Reward(trial=1, log_odds=float("nan")), CONFIG)
