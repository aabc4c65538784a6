from __future__ import annotations

import numpy as np
import pytest

from diverloop.adapters.speech.gate import AttemptGate, GateConfig
from diverloop.runtime.errors import BundleError, ConfigError


def gate(**changes):
    config = GateConfig(
        **(dict(open_hops=2, hang_over_hops=3, open_at=0.6, close_at=0.4) | changes)
    )
    return AttemptGate(config, np.ones(1), 0.0)


def states(one, probabilities):
    values = [np.array([np.log(p / (1 - p))]) for p in probabilities]
    return [one.advance(value) for value in values]


def test_it_opens_after_as_many_hops_in_a_row_as_it_was_told():
    assert states(gate(), [0.9, 0.1, 0.9, 0.9]) == [False, False, False, True]


def test_a_pause_shorter_than_the_hang_over_does_not_close_it():
    one = gate()
    states(one, [0.9, 0.9])
    assert states(one, [0.1, 0.1, 0.9, 0.1, 0.1, 0.1]) == [True] * 5 + [False]


def test_between_its_two_levels_it_stays_as_it_is():
    one = gate()
    assert states(one, [0.5] * 5) == [False] * 5
    states(one, [0.9, 0.9])
    assert states(one, [0.5] * 9) == [True] * 9


def test_a_restart_closes_it():
    one = gate()
    states(one, [0.9, 0.9])
    one.restart()
    assert not one.open
    assert states(one, [0.9]) == [False]


def test_levels_in_the_wrong_order_and_weights_of_a_wrong_shape_are_refused():
    with pytest.raises(ConfigError, match="close_at <= open_at"):
        GateConfig(open_at=0.2, close_at=0.3)
    with pytest.raises(ConfigError, match="hang_over_hops"):
        GateConfig(hang_over_hops=0)
    with pytest.raises(BundleError, match="one axis"):
        AttemptGate(GateConfig(), np.ones((2, 2)), 0.0)
