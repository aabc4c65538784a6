"""Markers come from the table of events beside a BIDS recording."""

from __future__ import annotations

import numpy as np
import pytest

from diverloop.hardware.bids_events import with_events
from diverloop.hardware.recordings import Recording
from diverloop.hardware.replay import ReplayConfig, ReplaySource
from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.errors import RecordingError
from diverloop.runtime.messages import Channel, Marker, StreamSpec


def recording() -> Recording:
    """Two seconds at 100 Hz with a marker of its own."""
    spec = StreamSpec(name="x", rate_hz=100.0, channels=(Channel(name="Cz"),), source_id="x")
    return Recording(
        spec=spec,
        samples=np.zeros((1, 200), np.float32),
        data_id="x",
        path="x.edf",
        markers=(Marker(label="own", sample=5),),
    )


def table(tmp_path, text: str):
    path = tmp_path / "x_events.tsv"
    path.write_text(text, encoding="utf-8")
    return path


def labels(found: Recording) -> list[tuple[str, int]]:
    return [(marker.label, marker.sample) for marker in found.markers]


def test_rows_become_markers_in_order_of_time_in_place_of_the_files_own(tmp_path):
    path = table(tmp_path, "onset\tduration\ttrial_type\n1.5\t0\tright\n0.256\tn/a\tleft\n")
    found = with_events(recording(), path)
    assert labels(found) == [("left", 26), ("right", 150)]
    assert found.markers[1].lsl_corrected_s == pytest.approx(1.5)


def test_value_is_the_label_where_there_is_no_trial_type(tmp_path):
    path = table(tmp_path, "\ufeffonset\tvalue\n0.5\t7\n")
    assert labels(with_events(recording(), path)) == [("7", 50)]


def test_rows_without_time_or_label_and_rows_beside_the_recording_are_left_out(tmp_path):
    rows = "n/a\tleft\n0.1\tn/a\n-1\tleft\n2.5\tleft\nnan\tleft\n1\tleft\n1.2\n"
    found = with_events(recording(), table(tmp_path, f"onset\ttrial_type\n{rows}"))
    assert labels(found) == [("left", 100)]
    assert found.notes == ("2 of 7 events lie beside the recording and were left out.",)


def test_a_table_without_rows_leaves_no_marker(tmp_path):
    found = with_events(recording(), table(tmp_path, "onset\ttrial_type\n"))
    assert found.markers == ()


@pytest.mark.parametrize("text", ["time\tlabel\n1\tleft\n", "onset\n1\n", "\x00\n1\t2\n"])
def test_a_table_of_something_else_is_refused_in_one_sentence(tmp_path, text):
    with pytest.raises(RecordingError, match="correct the file"):
        with_events(recording(), table(tmp_path, text))


def test_a_table_that_is_gone_or_no_text_is_refused(tmp_path):
    with pytest.raises(RecordingError, match="cannot be read"):
        with_events(recording(), tmp_path / "gone.tsv")
    (tmp_path / "bytes.tsv").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(RecordingError, match="cannot be read"):
        with_events(recording(), tmp_path / "bytes.tsv")


def test_a_replay_carries_the_markers_of_its_table(tmp_path):
    path = table(tmp_path, "onset\ttrial_type\n0.5\tleft\n")
    source = ReplaySource(ReplayConfig(path="x", events=str(path)), VirtualClock(), recording())
    source.open()
    chunk = source.read(200, 10**10)
    assert [marker.label for marker in chunk.markers] == ["left"]
