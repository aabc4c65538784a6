"""A line of the tape gives back what was written, bit for bit, or says that it cannot."""

from __future__ import annotations

import json
import typing

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diverloop.runtime.errors import RecordingError
from diverloop.runtime.messages import (
    Chunk,
    Command,
    Decision,
    Embedding,
    Promotion,
    StageTimes,
    Turn,
)
from diverloop.runtime.quality import Quality
from diverloop.runtime.record.entries import (
    TYPES,
    ChunkEntry,
    End,
    Entry,
    TurnEntry,
    read_entry,
    write_entry,
)
from diverloop.runtime.record.tape import Pass

from .samples import ARRAYS, CHUNKS, ENTRIES, RANGES, TURNS, bits

TIMES = StageTimes(
    due_ns=1, arrived_ns=2, conditioned_ns=3, cut_ns=4, encoded_ns=5, decided_ns=6, fed_back_ns=7,
    acted_ns=8,
)  # fmt: skip


def turn(values: np.ndarray | None = None, **changes) -> Turn:
    decision = Decision(classes=("a", "b"), probabilities=np.array([0.25, 0.75]), label="b")
    embedding = None if values is None else Embedding(values=values)
    made = {"decision": decision, "command": Command(label="b"), "times": TIMES}
    return Turn(**made | {"embedding": embedding} | changes)


def test_every_kind_of_entry_has_a_name_and_a_sample_here():
    assert set(TYPES.values()) == set(typing.get_args(Entry)) == set(ENTRIES)


@settings(max_examples=40)
@pytest.mark.parametrize("kind", ENTRIES, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_an_entry_comes_back_bit_for_bit_from_one_line(kind, data):
    entry = data.draw(ENTRIES[kind])
    line = write_entry(entry)
    assert "\n" not in line
    assert "\r" not in line
    again = read_entry(line)
    assert bits(again) == bits(entry)
    assert write_entry(again) == line
    line.encode()  # text, so that an XDF stream of strings can hold it


def test_a_line_is_json_that_says_what_it_is():
    line = write_entry(Pass(number=3, outcome="chunk", readings_ns=(1, 2), heard=((0, "fault"),)))
    assert json.loads(line) == {
        "pass": {
            "number": 3, "outcome": "chunk", "readings_ns": [1, 2], "heard": [[0, "fault"]],
            "promotions": 0, "told": [],
        }
    }  # fmt: skip


def test_names_and_causes_of_bad_electrodes_are_read_without_any_program():
    quality = Quality(
        channels=("C3", "T8"), scores=np.array([1.0, 0.25], np.float32), causes=("", "noisy"),
        usable=np.array([True, False]), sample=500, at_ns=7,
    )  # fmt: skip
    line = write_entry(quality)
    assert line.startswith('{"quality":{"channels":["C3","T8"],')
    assert '"causes":["","noisy"]' in line
    assert read_entry(line).reason == "noisy: T8"


def test_words_of_every_script_stand_as_they_are():
    assert "σήμα → 左" in write_entry(End(reason="σήμα → 左", orderly=True))


def test_short_arrays_are_written_for_people_and_long_ones_for_machines():
    for size, written in ((2, "[0.5,0.5]"), (64, "[0.5,"), (65, '"base64"')):
        decision = Decision(classes=("x",), probabilities=np.full(size, 0.5), label=None)
        line = write_entry(TurnEntry.of(turn(decision=decision)))
        assert written in line


@given(values=ARRAYS)
def test_an_array_that_is_not_in_order_is_written_as_if_it_were(values):
    odd = np.asfortranarray(values.astype(values.dtype.newbyteorder(">"))).reshape(values.shape)
    decision = Decision(classes=(), probabilities=odd, label=None)
    again = read_entry(write_entry(TurnEntry.of(turn(decision=decision))))
    assert bits(again.decision.probabilities) == bits(
        np.ascontiguousarray(values).reshape(values.shape)
    )


def test_numbers_of_numpy_become_plain_ones():
    command = Command(
        label=np.str_("b"), strength=np.float32(0.5), selected=np.bool_(True), reason=""
    )
    entry = read_entry(write_entry(TurnEntry.of(turn(command=command))))
    assert bits(entry.command) == bits(Command(label="b", strength=0.5, selected=True))


# ---------------------------------------------------------------------------- chunks and turns


@given(chunk=CHUNKS, rows=RANGES)
def test_a_chunk_is_its_entry_and_its_samples(chunk, rows):
    entry = ChunkEntry.of(chunk, rows)
    assert entry.rows == rows
    again = entry.chunk(chunk.samples)
    assert again.samples is chunk.samples
    for name in Chunk.__slots__:
        expected = () if name in ("received", "rows") else getattr(chunk, name)
        assert bits(getattr(again, name)) == bits(expected)


@given(whole=TURNS)
def test_a_turn_is_its_entry_without_the_embedding(whole):
    entry = TurnEntry.of(whole)
    again = entry.turn()
    for name in ("decision", "command", "times", "asked"):
        assert getattr(again, name) is getattr(whole, name)
    assert again.embedding is None
    assert (entry.embedding == "") == (whole.embedding is None)


def test_embeddings_have_one_fingerprint_exactly_if_they_are_equal_to_the_last_bit():
    values = np.array([0.0, 1.5, -2.25])
    prints = {TurnEntry.of(turn(values)).embedding, TurnEntry.of(turn(values.copy())).embedding}
    assert len(prints) == 1
    others = [np.nextafter(values, 9), -values, values[:2], values[::-1], np.append(values, 0.0)]
    assert len(prints | {TurnEntry.of(turn(other)).embedding for other in others}) == 6
    strided = np.repeat(values, 2)[::2]
    assert TurnEntry.of(turn(strided)).embedding in prints


def test_an_empty_embedding_is_still_an_embedding():
    assert TurnEntry.of(turn(np.zeros(0))).embedding


# ------------------------------------------------------------------------------- what is no line


@pytest.mark.parametrize(
    "line",
    [
        "", "{", "[]", "3", "null", "{}", '{"pass":{}}', '{"pass":3}', '{"pass":null}',
        '{"unknown":{}}', '{"end":{"reason":"x","orderly":true},"note":{}}',
        '{"end":{"reason":"x","orderly":"yes"}}', '{"end":{"reason":"x"}}',
        '{"event":{"kind":"a new kind","text":"x"}}',
        '{"promotion":{"epoch":1,"kind":"k","settings":{},"reason":"r","arrays":{"a":3}}}',
        '{"promotion":{"epoch":1,"kind":"k","settings":{},"reason":"r","arrays":{"a":{}}}}',
        '{"promotion":{"epoch":1,"kind":"k","settings":{},"reason":"r",'
        '"arrays":{"a":{"dtype":"<f8","shape":[2],"base64":"AAAA"}}}}',
        '{"promotion":{"epoch":1,"kind":"k","settings":{},"reason":"r",'
        '"arrays":{"a":{"dtype":"|O","shape":[1],"base64":"AAAAAAAAAAA="}}}}',
        '{"promotion":{"epoch":1,"kind":"k","settings":{},"reason":"r",'
        '"arrays":{"a":{"dtype":"<f8","shape":[1],"base64":"not!"}}}}',
        '{"promotion":{"epoch":1,"kind":"k","settings":{},"reason":"r",'
        '"arrays":{"a":{"dtype":",","shape":[1],"base64":"AAAAAAAAAAA="}}}}',
        '{"promotion":{"epoch":1,"kind":"k","settings":{},"reason":"r",'
        '"arrays":{"a":{"dtype":"<f8","shape":[-1],"base64":"AAAAAAAAAAA="}}}}',
    ],
)  # fmt: skip
def test_what_is_no_line_of_the_tape_is_refused_in_words(line):
    with pytest.raises(RecordingError) as caught:
        read_entry(line)
    text = str(caught.value)
    assert repr(line[:60]) in text
    assert "the recording is damaged, or of a newer diverloop" in text


@settings(max_examples=200)
@given(data=st.data())
def test_a_damaged_line_is_read_or_refused_and_nothing_else(data):
    line = write_entry(data.draw(st.one_of(*ENTRIES.values())))
    at = data.draw(st.integers(0, len(line)))
    length = data.draw(st.integers(0, 6))
    line = line[:at] + data.draw(st.text('{}[]",:0e-nul\\', max_size=3)) + line[at + length :]
    try:
        assert type(read_entry(line)) in ENTRIES
    except RecordingError as error:
        assert "cannot be read" in str(error)  # noqa: PT017


def test_what_has_no_place_on_the_tape_is_not_written():
    with pytest.raises(NotImplementedError, match="object has no place on the tape"):
        write_entry(TurnEntry.of(turn(command=Command(label=object()))))


def test_a_number_that_no_array_holds_is_damage():
    promotion = Promotion(
        epoch=1, kind="linear", settings={}, arrays={"bias": np.zeros(2)}, reason="why"
    )
    line = write_entry(promotion).replace("0.0", "9" * 400, 1)
    with pytest.raises(RecordingError, match="cannot be read"):
        read_entry(line)
