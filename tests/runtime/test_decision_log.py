from __future__ import annotations

import json
import math

import numpy as np

from diverloop.runtime.conformance import check_watcher
from diverloop.runtime.decision_log import DecisionLog, decision_record, read_decisions
from diverloop.runtime.messages import (
    Channel,
    Chunk,
    Command,
    Decision,
    Event,
    EventKind,
    StageTimes,
    StreamSpec,
    Turn,
)

SPEC = StreamSpec(name="amp", rate_hz=250.0, channels=(Channel(name="C3"),))


def turn(label: str | None = "left", **changes) -> Turn:
    share = [0.75, 0.25] if label else [math.nan, math.nan]
    decision = Decision(
        classes=("left", "right"),
        probabilities=np.array(share),
        label=label,
        **{"first_sample": 100, "stop_sample": 350, "epoch": 3} | changes,
    )
    command = Command(label=label, strength=0.5, selected=bool(label), reason="")
    times = StageTimes(
        due_ns=1_000_000, arrived_ns=2, conditioned_ns=3, cut_ns=4,
        encoded_ns=5, decided_ns=6, fed_back_ns=7, acted_ns=3_500_000,
    )  # fmt: skip
    return Turn(decision=decision, command=command, times=times)


def test_it_keeps_the_protocol_of_a_watcher_that_misses_nothing(tmp_path):
    log = DecisionLog(tmp_path / "log.jsonl")
    check_watcher(log, SPEC)
    assert log.lossless


def test_what_is_written_is_what_is_read_one_line_a_decision(tmp_path):
    path = tmp_path / "log.jsonl"
    turns = [turn(), turn(None, reason="lost µV"), turn("right", first_sample=125)]
    log = DecisionLog(path)
    log.watch(SPEC)
    for one in turns:
        log.watch(one)
        log.watch(Event(kind=EventKind.LATE, text="late"))
        log.watch(Chunk(samples=np.zeros((1, 2), np.float32), first_sample=0, arrived_ns=0))
    log.close()
    assert read_decisions(path) == [decision_record(one) for one in turns]
    assert len(path.read_text(encoding="utf-8").splitlines()) == 3


def test_a_record_names_samples_probabilities_label_command_weights_and_latency():
    assert decision_record(turn()) == {
        "format": 1,
        "first_sample": 100,
        "stop_sample": 350,
        "probabilities": {"left": 0.75, "right": 0.25},
        "label": "left",
        "reason": "",
        "command": "left",
        "strength": 0.5,
        "selected": True,
        "epoch": 3,
        "latency_ms": 2.5,
    }


def test_probabilities_of_a_neutral_decision_are_null_in_strict_json():
    text = json.dumps(decision_record(turn(None, reason="lost")), allow_nan=False)
    record = json.loads(text)
    assert record["probabilities"] == {"left": None, "right": None}
    assert (record["label"], record["reason"]) == (None, "lost")


def test_probabilities_survive_the_file_to_the_last_bit(tmp_path):
    one, third = turn(), np.array([1 / 3, 1 - 1 / 3])
    one.decision.probabilities[:] = third
    log = DecisionLog(tmp_path / "log.jsonl")
    log.watch(one)
    log.close()
    (record,) = read_decisions(tmp_path / "log.jsonl")
    assert list(record["probabilities"].values()) == third.tolist()


def test_an_older_log_is_overwritten_and_closing_twice_is_harmless(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text("old\n", encoding="utf-8")
    log = DecisionLog(str(path))
    log.close()
    log.close()
    assert read_decisions(path) == []
