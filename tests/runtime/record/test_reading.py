"""What was put into a file comes out of it, entry by entry and as a record; damage is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from diverloop.assembly import open_adapter
from diverloop.runtime.errors import RecordingError
from diverloop.runtime.messages import Chunk, Event, Marker, StreamSpec
from diverloop.runtime.quality import Quality
from diverloop.runtime.received import Received
from diverloop.runtime.record.contents import Note
from diverloop.runtime.record.entries import ChunkEntry, End, TurnEntry, write_entry
from diverloop.runtime.record.exact import ExactReplay
from diverloop.runtime.record.layout import TAPE, Begun, Layout
from diverloop.runtime.record.link import FILE
from diverloop.runtime.record.manifest import FORMAT_VERSION
from diverloop.runtime.record.reading import TapeReader, open_record, recording_file
from diverloop.runtime.record.tape import Pass
from diverloop.runtime.record.xdf_chunks import stream_xml
from diverloop.runtime.record.xdf_write import XdfWriter

from .samples import bits
from .taped import CHANNELS, MANIFEST, RATE_HZ, Session, Trial, World, run, write
from .taped import RestlessClock as Clock

FORMS = ("plain", "f4", "i2")
RNG = np.random.default_rng


@pytest.fixture(scope="module", params=FORMS)
def session(request) -> Session:
    return run(Trial(seed=2, form=request.param, faults=0.1))


@pytest.fixture
def path(tmp_path):
    return tmp_path / FILE


def samples_of(session: Session) -> list[np.ndarray]:
    """The samples of every chunk, taken from what was sent without the code under test."""
    sent = session.all(StreamSpec)[0].sent
    rows = [r.values for chunk in session.all(Chunk) for r in chunk.received]
    all_rows = np.concatenate(rows) if rows else np.empty((0, 3))
    found = []
    for chunk in session.all(Chunk):
        if sent is None:
            found.append(chunk.samples)
            continue
        parts = [all_rows[start:stop] for start, stop in chunk.rows]
        values = np.concatenate([np.empty((0, 3), sent.dtype), *parts])
        found.append(values.astype(np.float32).T * np.array(sent.microvolts, np.float32)[:, None])
    return found


# ------------------------------------------------------------------------------ entry by entry


def test_entries_come_back_in_order_and_chunks_with_their_samples(path, session):
    write(path, session.sent, finished=True)
    got = list(TapeReader(path))
    assert [type(entry) for entry in got] == [type(message) for message in session.sent]
    samples = iter(samples_of(session))
    for entry, message in zip(got, session.sent, strict=True):
        if isinstance(message, Chunk):
            expected = replace(message, samples=next(samples), received=(), rows=())
            assert entry.samples.dtype == np.float32
            assert bits(entry) == bits(
                replace(expected, samples=np.ascontiguousarray(expected.samples))
            )
        else:
            assert bits(entry) == bits(message)


def test_every_iteration_begins_anew(path, session):
    reader = TapeReader(write(path, session.sent))
    for entry in reader:  # a reading that somebody gave up
        if isinstance(entry, Chunk) and entry.first_sample > 300:
            break
    first = [bits(entry) for entry in reader]
    assert [bits(entry) for entry in reader] == first
    assert first == [bits(entry) for entry in TapeReader(path)]
    assert reader.remarks


def test_without_the_signal_chunks_come_as_entries_that_name_their_rows(path, session):
    entries = list(TapeReader(write(path, session.sent), signal=False))
    chunks = [entry for entry in entries if isinstance(entry, ChunkEntry)]
    assert len(chunks) == len(session.all(Chunk))
    assert not any(isinstance(entry, Chunk) for entry in entries)
    stop = 0
    for entry, chunk, samples in zip(chunks, session.all(Chunk), samples_of(session), strict=True):
        assert entry.first_sample == chunk.first_sample
        n_rows = sum(b - a for a, b in entry.rows)
        assert n_rows == samples.shape[1]
        if chunk.rows:
            assert entry.rows == chunk.rows
        elif n_rows:
            assert entry.rows == ((stop, stop + n_rows),)
        stop += n_rows


def test_samples_of_a_chunk_belong_to_whoever_read_it(path, session):
    reader = TapeReader(write(path, session.sent))
    chunks = [entry for entry in reader if isinstance(entry, Chunk)]
    before = [chunk.samples.copy() for chunk in chunks]
    for chunk in chunks[::2]:
        chunk.samples[:] = 0
    for chunk, was in zip(chunks[1::2], before[1::2], strict=False):
        np.testing.assert_array_equal(chunk.samples, was)


def test_rows_far_back_in_the_file_are_still_found_after_long_silence(path):
    """Ten seconds of rows are kept: more than anybody holds back, and not all of the file."""
    trial = Trial(form="f4", n_packets=1)
    world = World(trial, Clock(np.random.default_rng(0), 0.0), np.random.default_rng(0))
    values = np.arange(3 * 4000, dtype="<f4").reshape(4000, 3)
    sent: list[Any] = [MANIFEST, world.spec, Pass(number=0, outcome="opening", readings_ns=())]
    received = [
        received_rows(values[at : at + 100], at) for at in range(0, 4000, 100)
    ]  # fmt: skip
    nothing = np.zeros((3, 0), np.float32)
    for at, part in enumerate(received):
        sent.append(Chunk(samples=nothing, first_sample=-1, arrived_ns=at, received=(part,)))
    kept = round(10 * RATE_HZ)
    reach = Chunk(
        samples=nothing, first_sample=0, arrived_ns=9, rows=((4000 - kept, 4000 - kept + 60),)
    )
    *_, last = TapeReader(write(path, [*sent, reach]))
    np.testing.assert_array_equal(last.samples.T, values[4000 - kept : 4000 - kept + 60])
    beyond = replace(reach, rows=((0, 60),))
    with pytest.raises(RecordingError, match="asks for rows 0 to 60 of the signal, which are not"):
        list(TapeReader(write(path, [*sent, beyond])))
    ahead = replace(reach, rows=((3990, 4001),))
    with pytest.raises(RecordingError, match="rows 3990 to 4001"):
        list(TapeReader(with_line(path, sent, ChunkEntry.of(ahead, ahead.rows))))


def received_rows(values: np.ndarray, first_row: int) -> Received:
    stamps_s = (first_row + np.arange(len(values))) / RATE_HZ
    return Received(values=values, stamps_s=stamps_s, first_row=first_row)


def with_line(path: Path, sent: list[Any], entry: ChunkEntry) -> Path:
    """A file with one more line on its tape, which no layout would have written."""
    path.unlink(missing_ok=True)
    writer = XdfWriter(path)
    layout = Layout(writer, lambda act: act(), Begun())
    for message in sent:
        layout.put(message)
    writer.write_texts(TAPE, [write_entry(entry)], [0.0])
    writer.close()
    return path


def test_a_row_range_may_be_empty_and_ranges_may_lie_apart(path):
    session = run(Trial(seed=2, form="f4", faults=0))
    entry = ChunkEntry(rows=((5, 5), (9, 12), (3, 4)), first_sample=0, arrived_ns=0)
    *_, chunk = TapeReader(with_line(path, session.sent[:40], entry))
    rows = np.concatenate([r.values for c in session.all(Chunk) for r in c.received])
    np.testing.assert_array_equal(chunk.samples.T, rows[[9, 10, 11, 3]])
    for row in (0, 5, len(session.all(Chunk)[0].received[0].values), 10**9):
        none = replace(entry, rows=((row, row),))
        *_, chunk = TapeReader(with_line(path, session.sent[:40], none))
        assert chunk.samples.shape == (3, 0)


# ----------------------------------------------------------------------------------- as a record


def test_a_record_holds_what_was_sent(path, session):
    note = Note(text="The participant yawns.", who="op", at_ns=5)
    sent = [*session.sent[:-1], note, session.sent[-1]]
    record = open_record(write(path, sent, finished=True))
    assert record.path == path
    assert record.manifest == MANIFEST
    assert record.spec == session.all(StreamSpec)[0]
    assert record.card is None
    assert record.notes == (note,)
    assert record.events == tuple(session.all(Event))
    assert [bits(turn) for turn in record.turns] == [bits(e.turn()) for e in session.turns]
    markers = [marker for chunk in session.all(Chunk) for marker in chunk.markers]
    assert bits(record.markers) == bits(tuple(sorted(markers, key=lambda m: m.sample)))
    assert record.remarks == ()
    chunks = [c for c in session.all(Chunk) if c.first_sample >= 0]
    sizes = [samples.shape[1] for samples in samples_of(session) if samples.shape[1]]
    assert record.n_times == chunks[-1].first_sample + sizes[-1]


def test_a_record_holds_what_was_thought_of_the_signal_in_its_order(path, session):
    said = [
        Quality(
            channels=("A", "B"),
            scores=np.array([0.5, n / 8], np.float32),
            causes=("", "flat" if n < 4 else ""),
            usable=np.array([True, n >= 4]),
            changed=n / 9,
            sample=n,
            at_ns=n,
        )
        for n in range(6)
    ]
    sent = [*session.sent]
    for n, quality in enumerate(said):
        sent.insert(len(sent) * (n + 1) // 8 + 3, quality)
    record = open_record(write(path, sent, finished=True))
    assert [bits(quality) for quality in record.qualities] == [bits(quality) for quality in said]
    assert record.qualities[0].reason == "flat: B"
    assert open_record(write(path, session.sent, finished=True)).qualities == ()


def test_the_signal_of_a_record_has_every_sample_in_its_place(path, session):
    record = open_record(write(path, session.sent))
    expected = np.full((3, record.n_times), np.nan, np.float32)
    for chunk, samples in zip(session.all(Chunk), samples_of(session), strict=True):
        if samples.shape[1]:
            expected[:, chunk.first_sample : chunk.first_sample + samples.shape[1]] = samples
    np.testing.assert_array_equal(record.samples(), expected)
    assert np.isnan(expected).any()
    given = list(record.chunks())
    assert all(chunk.samples.shape[1] and chunk.events == () for chunk in given)
    assert sum(len(chunk.markers) for chunk in given) == len(record.markers)


def test_the_beginning_is_dated_by_the_first_chunk(path, session):
    record = open_record(write(path, session.sent))
    number, first = next(
        (n, c) for n, c in enumerate(session.all(Chunk)) if samples_of(session)[n].shape[1]
    )
    stop = first.first_sample + samples_of(session)[number].shape[1]
    assert record.start_ns == first.arrived_ns - round(stop * 1e9 / RATE_HZ)
    assert record.start_lsl_s == pytest.approx(first.lsl_corrected_s - (stop - 1) / RATE_HZ)
    assert record.sample_at(first.arrived_ns) == pytest.approx(stop, abs=1)


def test_markers_are_sorted_by_sample_and_stay_in_their_order(path):
    labels = [("b", 5), ("a", 5), ("c", 2)]
    markers = tuple(Marker(label=label, sample=sample) for label, sample in labels)
    chunk = Chunk(
        samples=np.zeros((3, 9), np.float32), first_sample=0, arrived_ns=0, markers=markers
    )
    spec = StreamSpec(name="made", rate_hz=RATE_HZ, channels=CHANNELS)
    record = open_record(write(path, [MANIFEST, spec, chunk]))
    assert [marker.label for marker in record.markers] == ["c", "b", "a"]
    assert record.start_lsl_s == 0.0  # no LSL time was known


def test_a_recording_that_breaks_off_says_so(path, session):
    record = open_record(write(path, session.sent[:-1]))
    assert any(remark.startswith("The recording breaks off: ") for remark in record.remarks)
    gone = End(reason="The session went away without a word.", orderly=False)
    record = open_record(write(path, [*session.sent[:-1], gone], finished=True))
    assert record.remarks == ("The session went away without a word.",)


def test_a_torn_file_opens_up_to_its_last_whole_message(path, session):
    whole = write(path, session.sent).read_bytes()
    for share in (0.3, 0.6, 0.9, 0.999):
        path.write_bytes(whole[: round(len(whole) * share)])
        record = open_record(path)
        assert record.remarks
        assert record.samples().shape[1] == record.n_times
        turns = [bits(e.turn()) for e in session.turns]
        assert [bits(turn) for turn in record.turns] == turns[: len(record.turns)]


# ------------------------------------------------------------------------------------ refusals


def test_a_folder_or_its_file_may_be_named(path, session, tmp_path):
    write(path, session.sent)
    assert recording_file(tmp_path) == recording_file(str(tmp_path)) == path
    assert recording_file(path) == path
    assert open_record(tmp_path).n_times == open_record(path).n_times


@pytest.mark.parametrize("name", ["", "nothing.xdf"])
def test_where_there_is_no_recording_the_way_out_is_told(tmp_path, name):
    with pytest.raises(
        RecordingError, match=rf"no recording .*: give a session's folder, or its {FILE}"
    ):
        open_record(tmp_path / name)


def test_a_recording_of_another_program_has_no_tape(path):
    writer = XdfWriter(path)
    writer.add_stream(1, stream_xml(name="amp", type="EEG", channel_format="float32",
                                    nominal_srate=10.0, channels=CHANNELS))  # fmt: skip
    writer.write_numbers(1, np.zeros((4, 3), "<f4"), np.arange(4.0))
    writer.add_stream(2, stream_xml(name="words", type="Markers", channel_format="string"))
    writer.write_texts(2, ['{"end":{}}'], [0.0])
    writer.close()
    assert list(TapeReader(path)) == []
    with pytest.raises(RecordingError, match="holds no session of diverloop"):
        open_record(path)
    with pytest.raises(RecordingError, match="breaks off before the first pass"):
        ExactReplay(path, open_adapter)


def test_a_newer_format_is_refused_with_both_numbers(path, session):
    newer = replace(MANIFEST, format_version=FORMAT_VERSION + 1)
    write(path, [newer, *session.sent[1:]])
    with pytest.raises(
        RecordingError, match=f"has format {FORMAT_VERSION + 1}, this program reads"
    ):
        open_record(path)
    older = replace(MANIFEST, format_version=FORMAT_VERSION)
    assert open_record(write(path, [older, *session.sent[1:]])).manifest == older


def test_samples_before_any_description_are_refused(path):
    session = run(Trial(seed=2, form="f4", n_packets=20))
    entry = ChunkEntry(rows=((0, 1),), first_sample=0, arrived_ns=0)
    with pytest.raises(RecordingError, match="samples before it says of which stream they are"):
        list(TapeReader(with_line(path, [MANIFEST], entry)))
    assert session.turns is not None


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_signal_behind_a_damage_is_refused_and_never_taken_for_other_signal(path, session, share):
    """Rows are counted from the beginning: after a lost block every number would be another's."""
    hurt = bytearray(write(path, session.sent, finished=True).read_bytes())
    at = round(len(hurt) * share)
    at = hurt.index(b"\x03\x00\x01\x00\x00\x00", at)  # the tag of samples, of stream 1
    hurt[at] = 77
    path.write_bytes(hurt)
    expected = samples_of(session)
    got: list[np.ndarray] = []
    with pytest.raises(RecordingError, match="a part of the recording is damaged"):
        take_samples(path, got)
    assert got
    for one, other in zip(got, expected, strict=False):
        np.testing.assert_array_equal(one, other)
    assert any("damaged and were skipped" in remark for remark in open_record(path).remarks)


def test_held_back_rows_behind_a_damage_are_not_taken_for_their_neighbours(path):
    """As many rows are lost as are held back: every row that is asked for would be there."""
    world = World(Trial(form="f4", n_packets=1), Clock(RNG(0), 0.0), RNG(0))
    values = np.arange(3 * 200, dtype="<f4").reshape(200, 3)
    sent: list[Any] = [MANIFEST, world.spec]
    for at in range(0, 200, 10):
        rows = ((at - 10, at),) if at else ()
        block = received_rows(values[at : at + 10], at)
        nothing = np.zeros((3, 0), np.float32)
        sent.append(
            Chunk(samples=nothing, first_sample=at, arrived_ns=at, received=(block,), rows=rows)
        )
    hurt = bytearray(write(path, sent).read_bytes())
    mark = values[100].tobytes()
    hurt[hurt.rindex(b"\x03\x00\x01\x00\x00\x00", 0, hurt.index(mark))] = 77
    path.write_bytes(hurt)
    got: list[np.ndarray] = []
    with pytest.raises(RecordingError, match="asks for rows 100 to 110 of the signal"):
        take_samples(path, got)
    np.testing.assert_array_equal(np.hstack(got).T, values[:100])


def take_samples(path: Path, into: list[np.ndarray]) -> None:
    into.extend(entry.samples for entry in TapeReader(path) if isinstance(entry, Chunk))


def test_turns_can_be_read_from_a_record_whose_signal_is_damaged(path, session):
    hurt = bytearray(write(path, session.sent).read_bytes())
    at = hurt.index(b"\x03\x00\x01\x00\x00\x00", len(hurt) // 2)
    hurt[at] = 77
    path.write_bytes(hurt)
    assert len(open_record(path).turns) == len(session.all(TurnEntry))
