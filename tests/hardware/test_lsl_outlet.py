"""What a plain pylsl inlet receives of decisions and commands."""

from __future__ import annotations

import math
import threading

import numpy as np
import pylsl
import pytest

from diverloop.hardware.lsl_outlet import FIXED, VELOCITY, LslSink, LslSinkConfig
from diverloop.hardware.resting import NOT_OPEN
from diverloop.runtime.conformance import check_sink
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.messages import Channel, Command, Decision, StreamSpec

from .test_lsl_link import unique

pytestmark = pytest.mark.live

SPEC = StreamSpec(name="amp", rate_hz=100.0, channels=(Channel(name="C3"),), source_id="serial-1")
CLASSES = ("left", "right")
PULL_S = 10.0  # an upper limit; samples come within milliseconds


class Listener(threading.Thread):
    """Receives both streams of a sink in a thread, until the sink says farewell."""

    def __init__(self, name: str) -> None:
        super().__init__(daemon=True)
        self.numbers: list[list[float]] = []
        self.words: list[str] = []
        self._signal, self._marks = self._inlet(name), self._inlet(f"{name}-markers")
        self.info = self._signal.info(PULL_S)
        self.start()

    def _inlet(self, name: str) -> pylsl.StreamInlet:
        (found,) = pylsl.resolve_byprop("name", name, timeout=PULL_S)
        # As a plain program does: an inlet that recovers keeps what came before the sender went.
        inlet = pylsl.StreamInlet(found)
        inlet.open_stream(PULL_S)
        return inlet

    def run(self) -> None:
        while (sample := self._signal.pull_sample(PULL_S)[0]) is not None:
            self.numbers.append(sample)
            if sample[0] < 0:  # the farewell
                break
        while (word := self._marks.pull_sample(0.1)[0]) is not None:
            self.words += word
        for inlet in (self._signal, self._marks):
            inlet.close_stream()


def decision(label: str | None, stop: int = 200) -> Decision:
    sure = {"left": (0.9, 0.1), "right": (0.25, 0.75), None: (math.nan, math.nan)}[label]
    return Decision(
        classes=CLASSES,
        probabilities=np.array(sure),
        label=label,
        reason="" if label else "tried out",
        first_sample=stop - 100,
        stop_sample=stop,
        epoch=3,
        lsl_corrected_s=12.5,
    )


def heard(*turns: tuple[Decision, Command]) -> Listener:
    """What a listener heard of a sink from the first turn to its closing."""
    sink = LslSink(LslSinkConfig(name=unique()))
    sink.open(SPEC, CLASSES)
    listener = Listener(sink._config.name)
    for one, command in turns:
        assert sink.act(one, command) is command
    sink.close()
    listener.join(30)
    assert not listener.is_alive()
    return listener


def test_the_stream_describes_its_schema():
    info = heard().info
    assert info.get_channel_labels() == [*FIXED, "p:left", "p:right", *VELOCITY]
    assert (info.type(), info.nominal_srate()) == ("Decisions", 0.0)
    described = {
        key: info.desc().child_value(key)
        for key in ("classes", "decoded_stream", "schema", "notice")
    }
    assert described == {
        "classes": "left,right",
        "decoded_stream": "amp",
        "schema": "diverloop-decisions-2",
        "notice": "Investigational, not a medical device.",
    }
    assert info.source_id().endswith("-serial-1")


def test_a_decision_arrives_as_the_schema_says():
    turn = decision("right"), Command(label="left", strength=0.5, selected=True)
    labels = [*FIXED, "p:left", "p:right", *VELOCITY]
    row = dict(zip(labels, heard(turn).numbers[0], strict=True))
    assert row == {
        "stop_sample": 200.0,
        "lsl_time": 12.5,
        "epoch": 3.0,
        "decided": 1.0,
        "commanded": 0.0,
        "strength": 0.5,
        "selected": 1.0,
        "p:left": 0.25,
        "p:right": 0.75,
        "v:1": 0.0,
        "v:2": 0.0,
        "v:3": 0.0,
    }


def test_a_velocity_leaves_along_its_axes_and_is_taken_back():
    moving = Command(label="left", strength=0.5, velocity=(-0.4, 0.3))
    resting = Command(label=None, reason="tried out", velocity=(0.0, 0.0))
    turns = [(decision("left"), moving), (decision(None), resting), (decision("left"), moving)]
    rows = heard(*turns).numbers
    assert [row[-3:] for row in rows] == [[-0.4, 0.3, 0], [0, 0, 0], [-0.4, 0.3, 0], [0, 0, 0]]


def test_a_neutral_decision_has_no_probabilities_and_no_class():
    row = heard((decision(None), Command(label=None, reason="tried out"))).numbers[0]
    assert row[3:7] == [-1, -1, 0, 0]
    assert np.isnan(row[7:-3]).all()
    assert row[-3:] == [0, 0, 0]


def test_every_decision_is_sent_in_order():
    turns = [(decision("left", stop), Command(label="left")) for stop in range(200, 300, 10)]
    stops = [row[0] for row in heard(*turns).numbers]
    assert stops == [*range(200, 300, 10), -1]


def test_markers_tell_of_changes_and_selections_only():
    shown = ("left", "left", "right", None, None, "right")
    turns = [(decision(label), Command(label=label)) for label in shown]
    chosen = (decision("right"), Command(label="right", selected=True))
    assert heard(*turns, chosen).words == [
        "left",
        "right",
        "neutral",
        "right",
        "selected:right",
        "neutral",
    ]


def test_closing_sends_a_last_neutral_that_arrives():
    listener = heard((decision("left"), Command(label="left", strength=0.9)))
    last = dict(zip(FIXED, listener.numbers[-1], strict=False))
    assert (last["stop_sample"], last["decided"], last["commanded"]) == (-1, -1, -1)
    assert (last["strength"], last["selected"]) == (0, 0)
    assert np.isnan(listener.numbers[-1][len(FIXED) : -3]).all()
    assert listener.words[-1] == "neutral"


def test_closing_twice_is_harmless_and_what_is_asked_for_when_closed_was_not_done():
    sink, command = LslSink(LslSinkConfig(name=unique())), Command(label="left")
    sink.close()
    assert sink.act(decision("left"), command) == command.at_rest(NOT_OPEN)
    sink.open(SPEC, CLASSES)
    sink.close()
    sink.close()
    assert sink.act(decision("left"), command) == command.at_rest(NOT_OPEN)


def test_it_is_a_sink():
    check_sink(LslSink(LslSinkConfig(name=unique())), SPEC)


def test_an_empty_name_is_refused():
    with pytest.raises(ConfigError, match=r"sinks\.name must not be empty"):
        LslSinkConfig(name="")


def test_two_sinks_of_one_name_are_one_too_many():
    config = LslSinkConfig(name=unique())
    first, second = LslSink(config), LslSink(config)
    first.open(SPEC, ("left", "right"))
    with pytest.raises(ConfigError, match="sends under the name"):
        second.open(SPEC, ("left", "right"))
    second.close()
    first.close()
    second.open(SPEC, ("left", "right"))
    second.close()
