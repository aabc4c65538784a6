from __future__ import annotations

import dataclasses
import inspect
import math
import typing

import numpy as np
import pytest

from diverloop.runtime import messages
from diverloop.runtime.messages import Channel, Chunk, Event, EventKind, StreamSpec
from diverloop.runtime.received import Sent
from diverloop.runtime.stream_spec import sent_of

KINDS = [cls for cls in vars(messages).values() if dataclasses.is_dataclass(cls)]


def spec(**changes) -> StreamSpec:
    channels = (Channel(name="C3"), Channel(name="C4"))
    return StreamSpec(**{"name": "amp", "rate_hz": 250.0, "channels": channels} | changes)


def test_rows_of_which_nothing_is_said_were_sent_as_microvolts_in_float32():
    assert sent_of(spec()) == Sent(dtype="<f4", microvolts=(1.0, 1.0))
    said = Sent(dtype="<i2", microvolts=(0.5, 0.5))
    assert sent_of(spec(sent=said)) is said


@pytest.mark.parametrize("cls", KINDS, ids=lambda cls: cls.__name__)
def test_messages_are_frozen_slotted_and_keyword_only(cls):
    assert cls.__dataclass_params__.frozen
    assert "__slots__" in vars(cls)
    parameters = inspect.signature(cls).parameters.values()
    assert all(parameter.kind is inspect.Parameter.KEYWORD_ONLY for parameter in parameters)


def test_a_message_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec().rate_hz = 1.0


def test_watchers_receive_six_kinds_of_message():
    assert {cls.__name__ for cls in typing.get_args(messages.Message)} == {
        "StreamSpec", "Chunk", "Turn", "Event", "Promotion", "Quality",
    }  # fmt: skip


def test_a_stream_knows_its_rows():
    assert spec().n_channels == 2
    assert spec().channel_names == ("C3", "C4")


def test_streams_that_a_model_cannot_tell_apart_have_one_schema():
    same = spec(name="other", source_id="x", rate_hz=250)
    moved = spec(channels=(Channel(name="C3", position_m=(0.0, 0.1, 0.0)), Channel(name="C4")))
    assert spec().schema == same.schema == moved.schema
    assert len(spec().schema) == 64


@pytest.mark.parametrize(
    "changes",
    [
        {"rate_hz": 250.5},
        {"channels": (Channel(name="C4"), Channel(name="C3"))},
        {"channels": (Channel(name="C3"),)},
        {"channels": (Channel(name="C3"), Channel(name="C4", kind="ecog"))},
        {"channels": (Channel(name='C3", "C4'),)},
    ],
)
def test_streams_that_differ_for_a_model_differ_in_schema(changes):
    assert spec(**changes).schema != spec().schema


@pytest.mark.parametrize("n_times", [0, 1, 40])
def test_a_chunk_stops_one_past_its_last_sample(n_times):
    chunk = Chunk(samples=np.zeros((2, n_times), np.float32), first_sample=7, arrived_ns=0)
    assert chunk.stop_sample == 7 + n_times


def test_times_that_nobody_gave_are_not_numbers():
    chunk = Chunk(samples=np.zeros((1, 1), np.float32), first_sample=0, arrived_ns=0)
    assert math.isnan(chunk.lsl_raw_s)
    assert math.isnan(chunk.lsl_corrected_s)


def test_event_kinds_are_words_that_can_be_written_to_a_file():
    for kind in EventKind:
        assert kind.value == kind.name.lower() == str(kind)
        assert Event(kind=EventKind(kind.value), text="").kind is kind
