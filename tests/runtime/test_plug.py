"""The loop's end of the watchdog, with a real process at the other end."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import closing

import numpy as np
import pytest

from diverloop.runtime.conformance import check_sink
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.messages import Channel, Command, Decision, EventKind, StreamSpec
from diverloop.runtime.plug import LOST, SAFE_FIRST, Plug
from diverloop.runtime.session import part_of
from diverloop.runtime.watchdog_config import WatchdogConfig

SPEC = StreamSpec(name="made", rate_hz=250.0, channels=(Channel(name="C3"),))
DECISION = Decision(classes=("yes", "no"), probabilities=np.array([0.9, 0.1]), label="yes")
GO = Command(label="yes", strength=0.9, velocity=(0.5,))
PATIENCE_S = 20.0


class Rig:
    """A plug for a sink that does nothing, and what it tells."""

    def __init__(self, **config):
        self.events, self.disarmed = [], threading.Event()
        self.plug = Plug(
            [part_of("sink", {"kind": "null"}, "sinks[0]")],
            WatchdogConfig(**config),
            disarm=self.disarmed.set,
            tell=self.events.append,
        )

    def opened(self):
        self.plug.open(SPEC, DECISION.classes)
        self.plug.act(DECISION, Command(label=None, reason="at rest"))
        return closing(self.plug)

    def until(self, so):
        """Give signs of life until something is so."""
        limit_s = time.monotonic() + PATIENCE_S
        tick = threading.Event()
        while not so():
            assert time.monotonic() < limit_s, [event.text for event in self.events]
            self.plug.beat()
            tick.wait(0.01)

    def told(self, words):
        return any(words in event.text for event in self.events)


def test_the_first_command_is_neutral_whatever_is_asked():
    rig = Rig()
    rig.plug.open(SPEC, DECISION.classes)
    with closing(rig.plug):
        first, second = (rig.plug.act(DECISION, GO) for _ in range(2))
    assert first == Command(label=None, reason=SAFE_FIRST, velocity=(0.0,))
    assert second is GO


def test_it_is_a_sink_like_any_other():
    rig = Rig()
    check_sink(rig.plug, SPEC)
    assert not rig.disarmed.is_set()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_watchdog_that_dies_or_hangs_is_replaced_and_nothing_passes_meanwhile(how):
    rig = Rig()
    with rig.opened():
        first = rig.plug.pid
        os.kill(first, how)
        rig.until(rig.disarmed.is_set)
        assert rig.plug.act(DECISION, GO).reason in (LOST, SAFE_FIRST)
        rig.until(lambda: rig.plug.pid not in (0, first))
        rig.until(lambda: rig.told("The watchdog is back"))
        assert rig.plug.restarts == 1
        assert rig.told("The watchdog was lost")
        assert {event.kind for event in rig.events} == {EventKind.WATCHDOG}
    assert rig.plug.pid == 0


@pytest.mark.parametrize(("forgive_s", "disarms"), [(0.2, True), (10.0, False)])
def test_a_loop_that_comes_back_from_a_silence_begins_with_rest(forgive_s, disarms):
    rig = Rig(limit_s=0.1, forgive_s=forgive_s)
    with rig.opened():
        rig.plug.beat()
        threading.Event().wait(0.4)  # what is tested is that nothing is said for so long
        rig.until(lambda: rig.told("stood still"))
        assert rig.plug.act(DECISION, GO).reason == SAFE_FIRST
        assert rig.plug.act(DECISION, GO) is GO
        assert rig.disarmed.is_set() is disarms


def test_after_an_emergency_stop_the_next_command_is_neutral():
    rig = Rig()
    with rig.opened():
        assert rig.plug.act(DECISION, GO) is GO
        rig.plug.stop()
        assert rig.plug.act(DECISION, GO).label is None


def test_a_description_too_long_for_the_watchdog_is_refused():
    rig = Rig()
    spec = StreamSpec(name="made", rate_hz=250.0, channels=(Channel(name="C" * 70_000),))
    with pytest.raises(ConfigError, match="shorten the channels' names"):
        rig.plug.open(spec, DECISION.classes)


def test_before_it_is_open_a_sign_of_life_is_nobodys():
    rig = Rig()
    rig.plug.beat()
    rig.plug.stop()
    rig.plug.close()
    assert not rig.events
