from __future__ import annotations

import json
import math

import pytest

from diverloop.hardware.command_form import (
    MAGIC,
    SCHEMA,
    SIZE,
    binary_form,
    class_index,
    json_form,
    read_binary_form,
)
from diverloop.runtime.errors import DiverloopError

from .sink_turns import CHOSEN, CLASSES, LEFT, NEUTRAL, decision

INDEX = class_index(CLASSES)


def test_json_says_all_of_a_command_and_what_it_rests_on():
    record = json.loads(json_form(decision("right"), LEFT, 7, 123))
    assert record == {
        "schema": SCHEMA,
        "sequence": 7,
        "label": "left",
        "strength": 0.5,
        "selected": False,
        "velocity": [-0.4, 0.3],
        "reason": "",
        "decided": "right",
        "stop_sample": 200,
        "epoch": 3,
        "lsl_time": 12.5,
        "sent_ns": 123,
        "notice": "Investigational, not a medical device.",
    }


def test_json_has_null_for_neutral_and_for_a_number_that_is_none():
    record = json.loads(json_form(decision(None), NEUTRAL, 0, 0))
    assert (record["label"], record["decided"], record["lsl_time"]) == (None, None, None)
    assert record["reason"] == "nothing stands out"


def test_json_of_a_long_reason_still_fits_into_one_packet():
    long = NEUTRAL.at_rest("x" * 5000)
    assert len(json_form(decision(), long, 2**40, 2**62)) < 1000


def test_the_binary_form_is_read_as_it_was_written():
    packed = binary_form(decision("right"), LEFT, 7, 2**40, INDEX)
    record = read_binary_form(packed)
    assert (len(packed), SIZE, packed[:4]) == (56, 56, MAGIC)
    assert (record["v1"], record["v2"]) == pytest.approx((-0.4, 0.3))
    assert (record["sequence"], record["sent_ns"], record["stop_sample"]) == (7, 2**40, 200)
    assert (record["label"], record["axes"], record["selected"], record["epoch"]) == (0, 2, 0, 3)


def test_the_binary_form_of_neutral_is_minus_one_and_still():
    record = read_binary_form(binary_form(decision(None), NEUTRAL, 2**32, 0, INDEX))
    assert (record["label"], record["axes"], record["v1"], record["sequence"]) == (-1, 0, 0, 0)
    assert math.isnan(record["lsl_time"])
    chosen = read_binary_form(binary_form(decision(), CHOSEN, 1, 0, INDEX))
    assert (chosen["selected"], chosen["strength"]) == (1, 1.0)


@pytest.mark.parametrize("junk", [b"", b"DLC1", b"x" * SIZE, MAGIC + b"0" * SIZE])
def test_bytes_that_are_no_command_are_refused_in_one_sentence(junk):
    with pytest.raises(DiverloopError, match="has 56 bytes and begins with DLC1"):
        read_binary_form(junk)
