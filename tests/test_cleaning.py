"""What the calibration teaches about artefacts; each method has tests of its own."""

from __future__ import annotations

from diverloop.cleaning import learn_to_clean
from diverloop.runtime.signal.condition_config import ConditionConfig


def test_nothing_is_learnt_where_nothing_is_to_be_cleaned():
    assert learn_to_clean([], ConditionConfig(), lambda *_: None) == {}
