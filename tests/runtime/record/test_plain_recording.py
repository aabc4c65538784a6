from __future__ import annotations

import numpy as np
import pytest

from diverloop.hardware.recordings import read_recording
from diverloop.runtime.errors import RecordingError
from diverloop.runtime.messages import Channel, Chunk, Marker, StreamSpec
from diverloop.runtime.record.plain_recording import PlainRecording

SPEC = StreamSpec(
    name="amp",
    rate_hz=512.0,
    channels=(
        Channel(name="C3", position_m=(0.01, 0.02, 0.03)),
        Channel(name="EOG", kind="eog"),
    ),
    source_id="amp-1",
)
RNG = np.random.default_rng(1)


def chunk(first: int, n: int, *markers: tuple[str, int]) -> Chunk:
    return Chunk(
        samples=RNG.normal(0, 20, (2, n)).astype(np.float32),
        first_sample=first,
        arrived_ns=0,
        markers=tuple(Marker(label=label, sample=sample) for label, sample in markers),
    )


CHUNKS = [
    chunk(7, 400, ("left", 7), ("rest", 300)),
    chunk(407, 0, ("late", 400)),
    chunk(500, 1000, ("in the gap", 450), ("reject", 1499)),
]


def written(path, chunks=CHUNKS) -> PlainRecording:
    recording = PlainRecording(path, SPEC, told={"participant": "P1"})
    for one in chunks:
        recording.take(one)
    return recording


def test_every_sample_and_marker_is_read_back_at_its_place_and_a_gap_stays_one(tmp_path):
    recording = written(tmp_path / "new" / "r.xdf")
    recording.close()
    recording.close()
    assert (recording.n_samples, recording.n_markers) == (1400, 5)
    found = read_recording(tmp_path / "new" / "r.xdf")
    assert found.spec.schema == SPEC.schema
    assert found.spec.channels == SPEC.channels
    assert found.gaps == ((400, 493),)
    assert np.array_equal(found.samples[:, :400], CHUNKS[0].samples)
    assert np.array_equal(found.samples[:, 493:], CHUNKS[2].samples)
    assert not found.notes
    placed = [(marker.label, marker.sample + 7) for marker in found.markers]
    assert placed == [
        ("left", 7), ("rest", 300), ("late", 400), ("in the gap", 450), ("reject", 1499),
    ]  # fmt: skip
    assert b"P1" in (tmp_path / "new" / "r.xdf").read_bytes()


def test_what_a_killed_process_leaves_can_be_read(tmp_path):
    recording = written(tmp_path / "r.xdf")
    found = read_recording(tmp_path / "r.xdf")
    assert found.n_times == 1493
    assert len(found.markers) == 5
    assert "has no footer" in found.notes[0]
    recording.close()


def test_a_recording_is_never_overwritten(tmp_path):
    written(tmp_path / "r.xdf").close()
    with pytest.raises(RecordingError, match=r"r\.xdf"):
        written(tmp_path / "r.xdf")
