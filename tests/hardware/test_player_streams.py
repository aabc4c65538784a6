"""What a played recording says of itself over LSL."""

from __future__ import annotations

import pylsl

from diverloop.hardware.player_streams import (
    event_info,
    event_labels,
    marker_info,
    signal_info,
)
from diverloop.hardware.recordings import read_recording

from .test_recordings import write_npz


def rows(info: pylsl.StreamInfo, *keys: str) -> list[tuple[str, ...]]:
    """What each channel says under those keys."""
    found, channel = [], info.desc().child("channels").child("channel")
    while not channel.empty():
        found.append(tuple(channel.child_value(key) for key in keys))
        channel = channel.next_sibling("channel")
    return found


def test_a_signal_names_its_channels_kinds_and_units(tmp_path):
    info = signal_info(read_recording(write_npz(tmp_path / "run.npz")), "run")
    assert (info.name(), info.type(), info.channel_count()) == ("run", "EEG", 2)
    assert rows(info, "label", "type", "unit") == [
        ("C3", "EEG", "microvolts"), ("aux", "MISC", "microvolts")
    ]  # fmt: skip


def test_markers_are_texts_and_events_a_channel_for_each_label(tmp_path):
    recording = read_recording(write_npz(tmp_path / "run.npz"))
    words, numbers = marker_info(recording, "run"), event_info(recording, "run")
    assert (words.name(), words.channel_format()) == ("run-markers", pylsl.cf_string)
    assert (numbers.name(), numbers.type()) == ("run-annotations", "annotations")
    assert event_labels(recording) == numbers.get_channel_labels() == ["left", "right"]
    assert len({words.source_id(), numbers.source_id()}) == 2
