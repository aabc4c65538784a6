"""What was given is never forgotten: not by a restart, a crash, a bad disk or a meddler."""

from __future__ import annotations

import json
import os

import pytest

from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.errors import RecordingError
from diverloop.runtime.record.audit import AuditKind, AuditLog, read_audit
from diverloop.runtime.record.signing import new_key
from diverloop.runtime.stimulation import PastTrain
from diverloop.runtime.stimulation_ledger import DoseLedger

KEY = new_key()
UTC_NS = 1_790_000_000 * 10**9
S = 10**9


def opened(folder, utc_ns=UTC_NS, clock=None, begin=True, key=KEY) -> DoseLedger:
    clock = clock or VirtualClock(77 * S)
    return DoseLedger.open(folder, key, clock, utc_ns=utc_ns, begin=begin, who="P1")


def train(end_s: float, **charges) -> PastTrain:
    end_ns = UTC_NS + round(end_s * S)
    return PastTrain(start_ns=end_ns - S, end_ns=end_ns, charges_pc=charges)


def states(folder) -> list[str]:
    return [
        str(entry.details["state"])
        for entry in read_audit(folder)
        if entry.what == AuditKind.STIMULATION
    ]


def test_a_restart_finds_what_was_given(tmp_path):
    ledger = opened(tmp_path)
    ledger.reserve({"A": 500, "B": 500})
    given = [train(1, A=100, B=100), train(20, A=30)]
    for one in given:
        assert ledger.covers({"A": 500})
        ledger.deliver(one)
        assert not ledger.covers({"A": 1}), "the reservation is used up"
        ledger.write()
    ledger.close()
    again = opened(tmp_path, UTC_NS + 60 * S, begin=False)
    assert again.past == tuple(given)
    assert states(tmp_path) == [
        "reserved", "delivered", "reserved", "delivered", "reserved", "released",
    ]  # fmt: skip
    again.close()


def test_a_train_that_is_not_written_yet_counts_already(tmp_path):
    ledger = opened(tmp_path)
    ledger.reserve({"A": 5})
    ledger.deliver(train(1, A=5))
    assert [one.charges_pc for one in ledger.past] == [{"A": 5}]
    assert ledger.due
    ledger.close()
    assert not ledger.due
    assert opened(tmp_path, UTC_NS + 5 * S).past == ledger.past


def test_more_than_was_reserved_is_not_covered(tmp_path):
    ledger = opened(tmp_path)
    assert not ledger.covers({"A": 1})
    ledger.reserve({"A": 5})
    assert ledger.covers({"A": 5})
    assert not ledger.covers({"A": 6})
    assert not ledger.covers({"A": 5, "B": 1})
    ledger.close()
    assert not ledger.covers({"A": 5})


def crash(ledger):
    """Do what the system does for a process that dies: close its file. Nothing more is written."""
    os.close(ledger._log._file)
    ledger._log._file = -1


@pytest.mark.parametrize("begun", [False, True])
def test_after_a_crash_what_was_reserved_counts_as_given(tmp_path, begun):
    ledger = opened(tmp_path)
    ledger.reserve({"A": 70, "B": 7})
    if begun:  # it was delivered, and never reached the disk
        ledger.deliver(train(1, A=60))
    crash(ledger)
    again = opened(tmp_path, UTC_NS + 100 * S)
    assert again.past == (
        PastTrain(start_ns=UTC_NS, end_ns=UTC_NS + 100 * S, charges_pc={"A": 70, "B": 7}),
    )
    again.close()
    assert opened(tmp_path, UTC_NS + 200 * S).past == again.past, "it is assumed once"


def test_a_person_without_a_ledger_needs_one_to_be_begun(tmp_path):
    with pytest.raises(RecordingError, match="There is no dose ledger in"):
        opened(tmp_path / "P01", begin=False)
    opened(tmp_path / "P01").close()
    opened(tmp_path / "P01", begin=False).close()


def edit(lines):
    lines[2] = lines[2].replace(b'"pc:A":5', b'"pc:A":4')
    return lines


@pytest.mark.parametrize(
    "damage",
    [edit, lambda x: x[:-3], lambda x: x[1:], lambda x: [*x, x[-1]], lambda x: []],
    ids=["edited", "cut short", "beginning gone", "repeated", "empty"],
)
def test_a_ledger_that_was_touched_is_not_believed(tmp_path, damage):
    ledger = opened(tmp_path)
    ledger.reserve({"A": 5})
    ledger.deliver(train(1, A=5))
    ledger.close()
    path = tmp_path / "audit.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    damaged = damage(list(lines))
    assert damaged != lines
    path.write_bytes(b"".join(damaged))
    with pytest.raises(RecordingError, match="cannot be believed, so nothing is allowed"):
        opened(tmp_path, UTC_NS + 60 * S)


def test_half_a_ledger_is_not_begun_anew(tmp_path):
    opened(tmp_path).close()
    (tmp_path / "audit.jsonl").unlink()
    with pytest.raises(RecordingError, match="cannot be believed"):
        opened(tmp_path, begin=True)


def test_a_ledger_of_another_user_is_not_believed(tmp_path):
    opened(tmp_path).close()
    with pytest.raises(RecordingError, match="another key"):
        opened(tmp_path, key=new_key())


@pytest.mark.parametrize(
    "details",
    [
        {"state": "given", "start_utc_ns": 0, "end_utc_ns": 1, "pc:A": 1},
        {"state": "delivered", "start_utc_ns": 0, "pc:A": 1},
        {"state": "delivered", "start_utc_ns": 0, "end_utc_ns": 1, "pc:A": -1},
        {"state": "delivered", "start_utc_ns": 0, "end_utc_ns": 1, "pc:A": 1.5},
    ],
)
def test_an_entry_that_says_nothing_known_is_no_dose_of_nothing(tmp_path, details):
    log = AuditLog.create(tmp_path, KEY, VirtualClock())
    log.append(AuditKind.STIMULATION, who="x", why="y", details=details)
    log.close()
    with pytest.raises(RecordingError, match="says nothing that is known of a dose"):
        opened(tmp_path)


def test_a_disk_that_fails_ends_all_cover_and_the_crash_rule_holds(tmp_path):
    ledger = opened(tmp_path)
    ledger.reserve({"A": 9})
    before = (tmp_path / "audit.jsonl").read_bytes()
    (tmp_path / "audit.jsonl").write_bytes(before + b"x")  # somebody else writes
    ledger.deliver(train(1, A=9))
    ledger.write()
    assert "something else changed it" in ledger.fault
    assert not ledger.covers({})
    assert not ledger.due
    ledger.close()
    (tmp_path / "audit.jsonl").write_bytes(before)
    assert opened(tmp_path, UTC_NS + 9 * S).past[-1].charges_pc == {"A": 9}


def test_the_ledger_keeps_the_time_of_the_loop_from_its_opening_on(tmp_path):
    clock = VirtualClock(1000)
    ledger = opened(tmp_path, clock=clock)
    clock.advance(5 * S)
    assert ledger.now_ns(clock.now_ns()) == UTC_NS + 5 * S
    ledger.close()


def test_old_trains_leave_the_memory_and_stay_on_the_disk(tmp_path):
    ledger = opened(tmp_path)
    ledger.reserve({"A": 1})
    for day in range(6):
        ledger.deliver(train(86_400 * day, A=1))
        ledger.write()
    assert len(ledger.past) == 2
    ledger.close()
    assert len(opened(tmp_path, UTC_NS + 10**15).past) == 6
    entry = json.loads((tmp_path / "audit.jsonl").read_text().splitlines()[2])
    assert entry["details"]["pc:A"] == 1
