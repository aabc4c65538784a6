"""What began with a frame is on record in order and exactly once, or somebody is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from diverloop.gui.participant.flips import FlipConfig, FlipRecord
from diverloop.gui.participant.frame_count import Flip
from diverloop.runtime.errors import ConfigError, RecordingError, SinkError


def a_flip(frame: int, lost: int = 0) -> Flip:
    return Flip(frame=frame, due_ns=frame * 10, at_ns=frame * 10 + 1, lost=lost)


def lines_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_each_label_is_sent_and_written_once_and_in_order(tmp_path: Path) -> None:
    sent: list[tuple[str, int]] = []
    path = tmp_path / "flips.jsonl"
    record = FlipRecord(path, lambda label, at_ns: sent.append((label, at_ns)))
    labels = [("left",), (), ("rest", "왼손"), ()]
    for frame, each in enumerate(labels):
        record.flipped(a_flip(frame), each, lit=frame == 0)
    record.close()
    assert sent == [("left", 1), ("rest", 21), ("왼손", 21)]
    seen = [line for line in lines_of(path) if line["what"] == "seen"]
    assert [(line["label"], line["flip_ns"]) for line in seen] == sent
    assert [line["lit"] for line in seen] == [True, False, False]
    assert lines_of(path)[-1] == {
        "what": "closed", "frames": 4, "lost": 0, "labels": 3, "unwritten": 0, "unsent": 0,
    }  # fmt: skip


def test_frames_that_nobody_saw_are_named(tmp_path: Path) -> None:
    path = tmp_path / "flips.jsonl"
    record = FlipRecord(path)
    record.flipped(a_flip(7, lost=2), ("go",))
    record.close()
    _, lost, seen, closed = lines_of(path)
    assert (lost["what"], lost["count"], lost["beside"]) == ("lost", 2, 7)
    assert seen["late"] is True
    assert closed["lost"] == 2


def test_what_the_display_adds_is_in_the_marker_and_in_the_log(tmp_path: Path) -> None:
    sent: list[int] = []
    path = tmp_path / "flips.jsonl"
    config = FlipConfig(display_ms=12.5)
    record = FlipRecord(path, lambda label, at_ns: sent.append(at_ns), config=config)
    record.flipped(a_flip(0), ("go",))
    record.close()
    assert sent == [12_500_001]
    opened, seen, _ = lines_of(path)
    assert opened["display_ms"] == 12.5
    assert (seen["flip_ns"], seen["light_ns"]) == (1, 12_500_001)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_log_that_cannot_be_written_any_more_is_told_once_and_markers_go_on() -> None:
    sent: list[str] = []
    told: list[str] = []
    record = FlipRecord(None, lambda label, at_ns: sent.append(label), tell=told.append)
    record._path = Path("/dev/full")
    record._file = record._path.open("w", encoding="utf-8")
    for frame in range(3):
        record.flipped(a_flip(frame), ("go",))
    record.close()
    assert len(told) == 1
    assert "cannot be written any more" in told[0]
    assert (sent, record.unwritten, record.labels) == (["go"] * 3, 3, 3)


def test_a_marker_that_cannot_be_sent_is_told_once_and_is_in_the_log(tmp_path: Path) -> None:
    def broken(label: str, at_ns: int) -> None:
        raise SinkError("The outlet is gone.")

    told: list[str] = []
    record = FlipRecord(tmp_path / "flips.jsonl", broken, tell=told.append)
    for frame in range(3):
        record.flipped(a_flip(frame), ("go",))
    record.close()
    assert len(told) == 1
    assert record.unsent == 3
    assert sum(line["what"] == "seen" for line in lines_of(tmp_path / "flips.jsonl")) == 3


def test_no_log_is_overwritten_and_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "flips.jsonl"
    path.write_text("{}\n")
    with pytest.raises(RecordingError, match="already"):
        FlipRecord(path)
    with pytest.raises(RecordingError, match="folder that exists"):
        FlipRecord(tmp_path / "nowhere" / "flips.jsonl")


def test_the_operator_is_told_in_a_sentence() -> None:
    record = FlipRecord()
    record.flipped(a_flip(0), ("go",))
    assert record.sentence() == "1 frames were seen, none was lost; 1 markers."
    record.flipped(a_flip(1, lost=2))
    record.unsent = 1
    assert record.sentence() == "2 frames were seen, 2 were lost; 1 markers, 1 of them not sent."


def test_a_delay_that_no_display_has_is_refused() -> None:
    with pytest.raises(ConfigError, match="photodiode"):
        FlipConfig(display_ms=5000.0)
