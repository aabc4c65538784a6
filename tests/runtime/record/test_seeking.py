"""A recording in any order is the recording in its own order."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.runtime.errors import RecordingError
from diverloop.runtime.messages import Chunk
from diverloop.runtime.record.link import FILE
from diverloop.runtime.record.reading import TapeReader
from diverloop.runtime.record.seeking import SeekableTape

from ...gui.taped_session import write_session


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_session(tmp_path_factory.mktemp("session"))


def same(one, other) -> bool:
    if isinstance(one, Chunk):
        alike = (one.first_sample, one.markers) == (other.first_sample, other.markers)
        return alike and np.array_equal(one.samples, other.samples)
    return type(one) is type(other) and str(one) == str(other)


def test_every_entry_is_what_the_reader_in_order_gives_whatever_the_order(folder):
    tape = SeekableTape(folder)
    in_order = list(TapeReader(folder))
    places = np.random.default_rng(0).permutation(len(in_order))[:300]
    assert len(tape.kinds) == len(in_order) > 800
    assert all(same(tape.entry(int(n)), in_order[n]) for n in places)
    tape.close()


def test_times_begin_with_the_loop_never_fall_and_believe_no_other_clock(folder):
    tape = SeekableTape(folder)
    assert tape.times_s[0] == 0
    assert (np.diff(tape.times_s) >= 0).all()
    assert 19.0 < tape.times_s[-1] < 19.5  # not the 3 s before, nor the note's own clock
    tape.close()


def test_marks_tell_markers_events_and_notes_and_turns_who_abstained(folder):
    tape = SeekableTape(folder)
    kinds = [mark.kind for mark in tape.marks]
    assert kinds.count("marker") == 3
    assert kinds.count("guard") == 2
    assert {"gap", "note"} <= set(kinds)
    turns = [tape.entry(n).decision for n, kind in enumerate(tape.kinds) if kind == "turn"]
    assert tape.abstained.tolist() == [turn.label is None for turn in turns]
    assert tape.abstained.any()
    tape.close()


def test_behind_a_damage_chunks_come_without_samples_and_nothing_raises(folder, tmp_path):
    whole = bytearray((folder / FILE).read_bytes())
    middle = len(whole) // 2
    whole[middle : middle + 3000] = bytes(3000)
    (tmp_path / FILE).write_bytes(whole)
    tape = SeekableTape(tmp_path)
    chunks = [tape.entry(n) for n, kind in enumerate(tape.kinds) if kind == "chunk"]
    assert chunks[0].samples.shape[1] > 0
    assert chunks[-1].samples.shape[1] == 0
    assert tape.remarks
    tape.close()


def test_what_is_no_session_is_refused_in_one_sentence(tmp_path):
    with pytest.raises(RecordingError, match="There is no recording"):
        SeekableTape(tmp_path / "nowhere")
    (tmp_path / FILE).write_bytes(b"XDF:")
    with pytest.raises(RecordingError, match="no session of diverloop"):
        _ = SeekableTape(tmp_path).spec
