from __future__ import annotations

import numpy as np

from diverloop.hardware.null import NullConfig, NullSink
from diverloop.runtime.conformance import check_sink
from diverloop.runtime.messages import Channel, Command, Decision, StreamSpec

SPEC = StreamSpec(name="any", rate_hz=100.0, channels=(Channel(name="C3"),))


def test_it_is_a_sink():
    check_sink(NullSink(NullConfig()), SPEC)


def test_it_passes_a_command_on_as_it_is():
    decision = Decision(classes=("a", "b"), probabilities=np.array([0.2, 0.8]), label="b")
    command = Command(label="b", strength=0.8, selected=True)
    assert NullSink().act(decision, command) is command
