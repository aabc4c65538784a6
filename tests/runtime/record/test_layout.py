from __future__ import annotations

import math
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from diverloop.runtime.errors import RecordingError
from diverloop.runtime.messages import Chunk, Command, Event, EventKind, Marker, Message, Turn
from diverloop.runtime.quality import Quality
from diverloop.runtime.received import Received, Sent
from diverloop.runtime.record.contents import Note
from diverloop.runtime.record.entries import ChunkEntry, End, TurnEntry, write_entry
from diverloop.runtime.record.layout import (
    DECISION_COLUMNS,
    DECISIONS_NAME,
    EVENTS_NAME,
    NOTES_NAME,
    QUALITY_NAME,
    TAPE_NAME,
    Begun,
    Layout,
)
from diverloop.runtime.record.manifest import Manifest
from diverloop.runtime.record.reading import TapeReader
from diverloop.runtime.record.xdf_format import NUMBER_FORMATS
from diverloop.runtime.record.xdf_read import XdfReader
from diverloop.runtime.record.xdf_write import XdfWriter

from .flow import (
    CHANNELS,
    FROM_LSL,
    MANIFEST,
    N_ROWS,
    RATE_HZ,
    SIMULATED,
    at_ns,
    lsl_chunk,
    plain_chunk,
    pyxdf_streams,
    rows,
    stamps_s,
    turn,
)


def write(path: Path, *messages: Message | Manifest | Note | End) -> Layout:
    """Put messages into a new file and finish it."""
    with closing(XdfWriter(path)) as writer:
        layout = Layout(writer, lambda act: act(), Begun())
        for message in messages:
            layout.put(TurnEntry.of(message) if isinstance(message, Turn) else message)
        writer.finish()
    return layout


def stream(path: Path, name: str) -> dict:
    (found,) = pyxdf_streams(path)[name]
    return found


def tape(path: Path) -> list:
    return list(TapeReader(path, signal=False))


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "recording.xdf"


def test_a_new_file_has_its_own_streams_before_the_first_message(path):
    write(path)
    assert sorted(pyxdf_streams(path)) == sorted((TAPE_NAME, EVENTS_NAME, NOTES_NAME))


def test_every_message_is_a_line_of_the_tape_in_its_order(path):
    note = Note(text="hello", who="", at_ns=1)
    end = End(reason="x", orderly=True)
    event = Event(kind=EventKind.GAP, text="gap", at_ns=2)
    sent = [MANIFEST, FROM_LSL, lsl_chunk(0), turn(0), event, note, end]
    write(path, *sent)
    kinds = [type(entry).__name__ for entry in tape(path)]
    assert kinds == ["Manifest", "StreamSpec", "ChunkEntry", "TurnEntry", "Event", "Note", "End"]
    assert tape(path)[4:] == [event, note, end]


def test_rows_are_in_the_file_as_they_were_sent(path):
    write(path, FROM_LSL, lsl_chunk(0), lsl_chunk(1))
    found = stream(path, "amp")
    assert found["time_series"].dtype == np.int16
    np.testing.assert_array_equal(found["time_series"], np.concatenate([rows(0), rows(1)]))
    np.testing.assert_array_equal(found["time_stamps"], np.r_[stamps_s(0), stamps_s(1)])
    assert FROM_LSL.sent.description in path.read_text("utf-8", "replace")


@pytest.mark.parametrize("kind", NUMBER_FORMATS)
def test_a_sender_without_a_usable_description_gets_one_in_its_own_number_format(path, kind):
    dtype = NUMBER_FORMATS[kind]
    sent = Sent(dtype=dtype.str, microvolts=(1.0,) * 4, description="<info><broken")
    values = rows(0).astype(dtype)
    received = Received(values=values, stamps_s=stamps_s(0), first_row=0)
    chunk = replace(lsl_chunk(0), received=(received,), markers=())
    write(path, replace(FROM_LSL, sent=sent), chunk)
    found = stream(path, "amp")
    np.testing.assert_array_equal(found["time_series"], values)
    assert found["info"]["channel_format"] == [kind]
    labels = [one["label"][0] for one in found["info"]["desc"][0]["channels"][0]["channel"]]
    assert labels == [channel.name for channel in CHANNELS]


@pytest.mark.parametrize(
    "change", [("int16", "int32"), ("<channel_count>4", "<channel_count>5"), ("<info>", "\x01")]
)
def test_a_description_under_which_the_rows_cannot_be_written_is_not_used(path, change):
    sent = replace(FROM_LSL.sent, description=FROM_LSL.sent.description.replace(*change))
    write(path, replace(FROM_LSL, sent=sent), lsl_chunk(0))
    np.testing.assert_array_equal(stream(path, "amp")["time_series"], rows(0))


def test_samples_without_stamps_lie_on_a_grid_that_begins_at_the_first_arrival(path):
    layout = write(path, SIMULATED, plain_chunk(0), plain_chunk(1), plain_chunk(3))
    found = stream(path, "amp")
    grid_s = at_ns(0) / 1e9 - N_ROWS / RATE_HZ
    index = np.r_[0:20, 30:40]
    np.testing.assert_allclose(found["time_stamps"], grid_s + index / RATE_HZ, rtol=0, atol=1e-9)
    assert layout.kept().grid_s == pytest.approx(grid_s)
    assert [entry.rows for entry in tape(path) if isinstance(entry, ChunkEntry)] == [
        ((0, 10),),
        ((10, 20),),
        ((20, 30),),
    ]


def test_samples_with_one_stamp_are_counted_back_from_it_and_have_its_offset(path):
    chunk = replace(plain_chunk(0), lsl_raw_s=70.0, lsl_corrected_s=69.5, markers=())
    write(path, SIMULATED, chunk)
    found = stream(path, "amp")
    np.testing.assert_allclose(found["time_stamps"], 70 - np.arange(9, -1, -1) / RATE_HZ)
    assert found["clock_values"] == [-0.5]


def test_marker_streams_keep_apart_even_if_one_is_called_as_the_signal_is(path):
    chunk = replace(
        lsl_chunk(0),
        markers=tuple(
            Marker(label=f"{name}!", sample=3, lsl_raw_s=7.0, lsl_corrected_s=6.0, stream=name)
            for name in ("cues", "amp", "", TAPE_NAME, NOTES_NAME, "cues")
        ),
    )
    write(path, FROM_LSL, chunk, Note(text="n", who="", at_ns=0))
    streams = pyxdf_streams(path)
    assert len(streams["amp"]) == len(streams[TAPE_NAME]) == len(streams[NOTES_NAME]) == 2
    texts = {
        (name, one["info"]["stream_id"]): [row[0] for row in one["time_series"]]
        for name, named in streams.items()
        for one in named
        if one["info"]["type"] == ["Markers"]
    }
    assert texts == {
        ("cues", 10): ["cues!", "cues!"],
        ("amp", 11): ["amp!"],
        ("amp-markers", 12): ["!"],
        (TAPE_NAME, 13): [f"{TAPE_NAME}!"],
        (NOTES_NAME, 14): [f"{NOTES_NAME}!"],
    }
    assert streams["cues"][0]["clock_values"] == [-1.0]
    assert len(tape(path)) == 3


def test_a_marker_without_a_stamp_is_put_where_its_sample_is(path):
    marker = Marker(label="cue", sample=4)
    write(path, SIMULATED, replace(plain_chunk(0), markers=(marker,)))
    samples, cues = stream(path, "amp"), stream(path, "amp-markers")
    assert cues["time_stamps"][0] == pytest.approx(samples["time_stamps"][4], abs=1e-9)


def test_a_marker_before_any_sample_is_put_where_it_arrived(path):
    nothing = np.zeros((4, 0), np.float32)
    early = Chunk(
        samples=nothing,
        first_sample=-1,
        arrived_ns=at_ns(3),
        markers=(Marker(label="a", sample=0),),
    )
    write(path, SIMULATED, early)
    assert stream(path, "amp-markers")["time_stamps"].tolist() == [at_ns(3) / 1e9]


def test_an_offset_is_written_when_it_changes_and_every_few_seconds(path):
    def chunk(n: int, offset_s: float) -> Chunk:
        received = Received(
            values=rows(n), stamps_s=stamps_s(n), first_row=n * N_ROWS, offset_s=offset_s
        )
        return replace(lsl_chunk(n), received=(received,), markers=())

    write(path, FROM_LSL, *(chunk(n, -1000.0 if n < 200 else -1000.5) for n in range(300)))
    found = stream(path, "amp")
    # 300 chunks of 40 ms: one at once, two after 5 and 10 s, one for the change at 8 s on its own.
    assert found["clock_values"] == [-1000.0, -1000.0, -1000.5]


def test_the_last_bits_of_a_difference_of_stamps_are_no_new_offset(path):
    def chunk(n: int) -> Chunk:
        raw_s = 123456.7 + n / 7
        marker = Marker(
            label="a", sample=n, lsl_raw_s=raw_s, lsl_corrected_s=raw_s - 1000.1, stream="cues"
        )
        return replace(
            lsl_chunk(n), received=(), rows=(), samples=np.zeros((4, 0)), markers=(marker,)
        )

    differences = {chunk(n).markers[0].lsl_corrected_s - 123456.7 - n / 7 for n in range(20)}
    assert len(differences) > 1
    write(path, FROM_LSL, *(chunk(n) for n in range(20)))
    assert len(stream(path, "cues")["clock_values"]) == 1


def test_decisions_are_numbers_that_any_program_reads(path):
    write(path, FROM_LSL, turn(0), turn(1))
    found = stream(path, DECISIONS_NAME)
    names = [one["label"][0] for one in found["info"]["desc"][0]["channels"][0]["channel"]]
    assert names == [*DECISION_COLUMNS, "p:left", "p:right"]
    unsure, right = (dict(zip(names, row, strict=True)) for row in found["time_series"].tolist())
    assert (unsure["decided"], right["decided"]) == (-1, 1)
    assert math.isnan(unsure["p:left"])
    assert (right["p:left"], right["p:right"]) == (0.25, 0.75)
    assert (right["selected"], right["strength"]) == (1, 0.001)
    assert right["latency_ms"] == pytest.approx(7e-6)
    assert found["time_stamps"].tolist() == [turn(n).times.acted_ns / 1e9 for n in (0, 1)]


def test_a_velocity_stands_behind_the_probabilities_whatever_a_sink_makes_of_it(path):
    def moved(number: int, done: tuple[float, ...], asked: tuple[float, ...]) -> TurnEntry:
        command, wanted = (Command(label="right", velocity=v) for v in (done, asked))
        return replace(turn(number), command=command, asked=None if done == asked else wanted)

    write(path, FROM_LSL, moved(0, (0.5, -0.1), (0.5, -0.1)), moved(1, (), (0.4, 0.2)))
    found = stream(path, DECISIONS_NAME)
    names = [one["label"][0] for one in found["info"]["desc"][0]["channels"][0]["channel"]]
    assert names == [*DECISION_COLUMNS, "p:left", "p:right", "v:1", "v:2"]
    assert found["time_series"][:, -2:].tolist() == [[0.5, -0.1], [0.0, 0.0]]


def test_events_and_notes_are_sentences_at_their_time(path):
    event = Event(kind=EventKind.GAP, text="10 samples were lost.", at_ns=3_000_000_000)
    write(path, event, Note(text="tired", who="nurse", at_ns=4_000_000_000))
    assert stream(path, EVENTS_NAME)["time_series"] == [["gap: 10 samples were lost."]]
    assert stream(path, EVENTS_NAME)["time_stamps"].tolist() == [3.0]
    assert stream(path, NOTES_NAME)["time_series"] == [["nurse: tired"]]
    assert stream(path, NOTES_NAME)["time_stamps"].tolist() == [4.0]


def quality(n: int) -> Quality:
    """What is said in second `n`: the second electrode gets worse until it is masked."""
    score = 1 - n / 4
    return Quality(
        channels=("C1", "C2"), scores=np.array([1.0, score], np.float32),
        causes=("", "noisy" if score < 0.5 else ""), usable=np.array([True, score >= 0.5]),
        sample=250 * n, at_ns=at_ns(25 * n),
    )  # fmt: skip


def test_the_quality_of_each_electrode_is_a_column_that_any_program_reads(path):
    write(path, FROM_LSL, *(quality(n) for n in range(4)))
    found = stream(path, QUALITY_NAME)
    assert found["info"]["type"] == ["Quality"]
    names = [one["label"][0] for one in found["info"]["desc"][0]["channels"][0]["channel"]]
    assert names == ["C1", "C2"]
    np.testing.assert_array_equal(found["time_series"][:, 0], 1.0)
    np.testing.assert_array_equal(found["time_series"][:, 1], [1.0, 0.75, 0.5, 0.25])
    assert found["time_stamps"].tolist() == [at_ns(25 * n) / 1e9 for n in range(4)]


def test_causes_and_masks_are_on_the_tape(path):
    write(path, FROM_LSL, quality(0), quality(3))
    _, good, bad = tape(path)
    assert (good.causes, good.usable.tolist()) == (("", ""), [True, True])
    assert (bad.causes, bad.usable.tolist()) == (("", "noisy"), [True, False])
    assert (bad.sample, bad.reason) == (750, "noisy: C2")


def test_a_session_that_does_not_judge_its_signal_has_no_stream_for_it(path):
    write(path, FROM_LSL, lsl_chunk(0), turn(0))
    assert QUALITY_NAME not in pyxdf_streams(path)


def test_a_second_recorder_goes_on_in_the_stream_of_quality_that_the_first_began(path):
    with closing(XdfWriter(path)) as writer:
        layout = Layout(writer, lambda act: act(), Begun())
        layout.put(FROM_LSL)
        layout.put(quality(0))
        kept = layout.kept()
    reader = XdfReader(path)
    names = {chunk.stream_id: chunk.name for chunk in reader if hasattr(chunk, "name")}
    begun = Begun(streams=names, spec=FROM_LSL)
    with closing(XdfWriter.resume(path, kept.bytes, reader.tallies)) as writer:
        Layout(writer, lambda act: act(), begun).put(quality(1))
        writer.finish()
    np.testing.assert_array_equal(stream(path, QUALITY_NAME)["time_series"][:, 1], [1.0, 0.75])


def found_rows(path: Path) -> list[tuple]:
    return [entry.rows for entry in tape(path) if isinstance(entry, ChunkEntry)]


def test_rows_are_numbered_as_the_file_counts_them_after_some_were_missed(path):
    write(path, FROM_LSL, lsl_chunk(0), lsl_chunk(1), lsl_chunk(4), lsl_chunk(5), lsl_chunk(8))
    assert found_rows(path) == [((n, n + 10),) for n in range(0, 50, 10)]


def test_a_chunk_of_rows_that_came_before_and_after_a_miss_is_made_of_both(path):
    held = replace(lsl_chunk(4), rows=((15, 20), (40, 45)))
    write(path, FROM_LSL, lsl_chunk(0), lsl_chunk(1), held)
    assert found_rows(path)[-1] == ((15, 20), (20, 25))


def test_a_chunk_of_rows_that_were_missed_has_none(path):
    held = replace(lsl_chunk(4), rows=((25, 30), (40, 45)))
    write(path, FROM_LSL, lsl_chunk(0), lsl_chunk(1), held)
    assert found_rows(path)[-1] == ()


def test_the_count_of_rows_goes_on_in_a_file_that_another_recorder_began(path):
    with closing(XdfWriter(path)) as writer:
        layout = Layout(writer, lambda act: act(), Begun())
        for message in (FROM_LSL, lsl_chunk(0), lsl_chunk(3)):
            layout.put(message)
        kept = layout.kept()
    assert kept.row_shift == -20
    reader = XdfReader(path)
    names = {chunk.stream_id: chunk.name for chunk in reader if hasattr(chunk, "name")}
    assert reader.bytes_read == kept.bytes
    begun = Begun(streams=names, spec=FROM_LSL, row_shift=kept.row_shift)
    with closing(XdfWriter.resume(path, kept.bytes, reader.tallies)) as writer:
        layout = Layout(writer, lambda act: act(), begun)
        layout.put(replace(lsl_chunk(3), received=(), rows=((33, 40),)))
        layout.put(replace(lsl_chunk(6), rows=((38, 40), (60, 70))))
        layout.put(replace(lsl_chunk(6), received=(), rows=((41, 43),)))
    assert found_rows(path)[2:] == [((13, 20),), ((18, 20), (20, 30)), ()]


def test_a_tape_is_learnt_from_its_lines():
    begun = Begun()
    begun.learn([write_entry(MANIFEST), write_entry(FROM_LSL)])
    assert begun.spec == FROM_LSL
    assert not begun.ended
    begun.learn([write_entry(End(reason="", orderly=True))])
    assert begun.ended
    begun.learn([write_entry(Note(text="", who="", at_ns=0))])
    assert not begun.ended
    begun.learn([write_entry(End(reason="", orderly=False))])
    assert not begun.ended


def test_samples_before_the_stream_is_known_are_refused(path):
    with pytest.raises((RecordingError, KeyError)):
        write(path, lsl_chunk(0))
