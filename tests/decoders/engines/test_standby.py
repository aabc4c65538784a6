"""An engine that stops in mid-session: the spare goes on as if it had heard everything."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="the reference engine needs torch")

from diverloop.decoders.engines.standby import StandbyEngine, hops_remembered
from diverloop.decoders.engines.torch_engine import TorchEngine
from diverloop.runtime.errors import EngineError

from ...compiled import CONFIG, step, stream

LONG = 3 * hops_remembered(CONFIG)


class Failing:
    """An engine that stops at its n-th hop, or when it is restarted then."""

    def __init__(self, stops_at: int) -> None:
        self._engine, self._left = TorchEngine(step()), stops_at
        self.about = self._engine.about
        self.closed = 0

    def restart(self):
        if self._left <= 0:
            raise EngineError("The GPU is gone.")
        self._engine.restart()

    def hear(self, hop_uv, usable):
        if self._left <= 0:
            raise EngineError("The GPU is gone.")
        self._left -= 1
        return self._engine.hear(hop_uv, usable)

    def close(self):
        self.closed += 1


def reference(hops):
    engine = TorchEngine(step())
    return [engine.hear(*hop) for hop in hops]


@pytest.mark.parametrize("stops_at", [0, 1, 7, LONG - 2])
def test_the_spare_goes_on_where_the_lost_one_was(stops_at):
    hops = stream(LONG)
    failing = Failing(stops_at)
    engine = StandbyEngine(failing, TorchEngine(step()), CONFIG, 4)
    said = [engine.hear(*hop) for hop in hops]
    np.testing.assert_allclose(said, reference(hops), atol=1e-5)
    (note,) = engine.take_notes()
    assert note.startswith("The GPU is gone. torch 2")
    assert "took over within" in note
    assert engine.take_notes() == ()
    assert failing.closed == 1
    assert engine.about.name == "torch"


def test_what_is_remembered_is_enough_and_no_hop_less():
    """The state depends on exactly so many hops: whatever came before leaves no trace."""
    n = hops_remembered(CONFIG)
    hops = stream(n + 20)
    whole = reference(hops)[-1]
    np.testing.assert_allclose(reference(hops[-n:])[-1], whole, atol=1e-6)
    assert np.abs(reference(hops[-n + 3 :])[-1] - whole).max() > 1e-6


def test_a_restart_forgets_what_would_be_told_to_the_spare():
    hops = stream(20)
    engine = StandbyEngine(Failing(12), TorchEngine(step()), CONFIG, 4)
    for hop in hops[:8]:
        engine.hear(*hop)
    engine.restart()
    said = [engine.hear(*hop) for hop in hops[8:]]
    np.testing.assert_allclose(said, reference(hops[8:]), atol=1e-5)


def test_an_engine_that_is_lost_at_a_restart_is_replaced_too():
    engine = StandbyEngine(Failing(3), TorchEngine(step()), CONFIG, 4)
    hops = stream(8)
    for hop in hops[:3]:
        engine.hear(*hop)
    engine.restart()
    said = [engine.hear(*hop) for hop in hops[3:]]
    np.testing.assert_allclose(said, reference(hops[3:]), atol=1e-5)


def test_if_the_spare_stops_as_well_the_error_is_told():
    engine = StandbyEngine(Failing(2), Failing(4), CONFIG, 4)
    hops = stream(12)
    for hop in hops[:4]:
        engine.hear(*hop)
    with pytest.raises(EngineError, match="The GPU is gone"):
        engine.hear(*hops[4])
    engine.close()
