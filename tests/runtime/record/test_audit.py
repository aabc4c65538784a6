from __future__ import annotations

import errno
import hashlib
import importlib.util
import json
import math
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.conformance import check_watcher
from diverloop.runtime.errors import ConfigError, RecordingError
from diverloop.runtime.fanout import FanOut
from diverloop.runtime.messages import Channel, Chunk, Event, EventKind, StreamSpec
from diverloop.runtime.record import audit
from diverloop.runtime.record.audit import (
    AuditKind,
    AuditLog,
    AuditWatcher,
    read_audit,
    verify_audit,
)
from diverloop.runtime.record.signing import PublicKey, fingerprint, new_key, verify

KEY = new_key()
SECOND_NS = 1_000_000_000


def load_tamper():
    path = Path(__file__).resolve().parents[2] / "faults" / "tamper.py"
    spec = importlib.util.spec_from_file_location("tamper", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def note(log: AuditLog, why: str = "The cap was moved.", **details):
    return log.append(AuditKind.NOTE, who="operator", why=why, details=details)


def log_of(folder: Path, n_entries: int = 4) -> AuditLog:
    log = AuditLog.create(folder, KEY, VirtualClock(7))
    for n in range(1, n_entries):
        note(log, cap=n)
    return log


def judged(folder: Path):
    return verify_audit(folder, public_key=KEY.public)


def paths(folder: Path) -> tuple[Path, Path]:
    return folder / "audit.jsonl", folder / "audit.head.json"


@pytest.fixture
def full_disk(monkeypatch):
    """Switches a disk on and off that has no room for another head."""

    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    def switch(full: bool) -> None:
        monkeypatch.setattr(audit.os, "replace", refuse if full else replace)

    replace = os.replace
    return switch


# --- what is written -------------------------------------------------------------------------


def test_what_is_appended_is_read_back_with_who_what_why_and_both_times(tmp_path):
    clock = VirtualClock(5)
    log = AuditLog.create(tmp_path, KEY, clock)
    clock.advance(37)
    written = log.append(
        AuditKind.OVERRIDE, who="Kim", why="손이 떨림 \u2028 µV", details={"level": 0.5, "on": True}
    )
    log.close()
    opened, override = read_audit(tmp_path)
    assert (opened.n, opened.what, opened.mono_ns) == (0, "log_opened", 5)
    assert override == written
    assert (override.n, override.who, override.what) == (1, "Kim", AuditKind.OVERRIDE)
    assert (override.why, override.details) == ("손이 떨림 \u2028 µV", {"level": 0.5, "on": True})
    assert override.mono_ns == 42
    assert override.utc.endswith("+00:00")
    assert len(override.utc) == len("2026-11-22T11:34:42.315367+00:00")


def test_every_line_carries_its_own_hash_and_that_of_the_line_before(tmp_path):
    log_of(tmp_path, 5).close()
    entries = [json.loads(line) for line in paths(tmp_path)[0].read_bytes().splitlines()]
    previous = hashlib.sha256(entries[0]["details"]["log"].encode()).hexdigest()
    for n, entry in enumerate(entries):
        stated = entry.pop("hash")
        text = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert stated == hashlib.sha256(text.encode()).hexdigest()
        assert (entry["n"], entry["previous"]) == (n, previous)
        previous = stated
    assert len(entries) == 5


def test_the_head_counts_entries_and_bytes_and_is_signed_after_every_append(tmp_path):
    log = AuditLog.create(tmp_path, KEY, VirtualClock())
    for n in range(2, 6):
        note(log)
        head = json.loads(paths(tmp_path)[1].read_bytes())
        signature = bytes.fromhex(head.pop("signature"))
        text = json.dumps(head, sort_keys=True, separators=(",", ":"))
        assert verify(KEY.public, text.encode(), signature)
        assert (head["entries"], head["last"]) == (n, log.head_hash)
        assert head["size"] == paths(tmp_path)[0].stat().st_size
    log.close()


def test_an_untouched_log_verifies_and_the_verdict_names_head_and_key(tmp_path):
    log = log_of(tmp_path, 4)
    verdict = judged(tmp_path)
    assert (verdict.ok, verdict.n_entries, verdict.n_signed) == (True, 4, 4)
    assert (verdict.first_fault, verdict.remarks) == ("", ())
    assert verdict.head_hash == log.head_hash
    assert verdict.fingerprint == fingerprint(KEY.public)
    log.close()


def test_details_become_plain_json_whatever_numbers_they_hold(tmp_path):
    log = AuditLog.create(tmp_path, KEY, VirtualClock())
    note(
        log,
        score=np.float32(0.5),
        n=np.int64(3),
        none=math.nan,
        bands=((8, math.inf), (12, 16.5)),
        file="\udc80",
        kind=EventKind.LATE,
    )
    log.close()
    assert read_audit(tmp_path)[1].details == {
        "score": 0.5,
        "n": 3,
        "none": None,
        "bands": [[8, None], [12, 16.5]],
        "file": "\\udc80",
        "kind": "late",
    }
    assert judged(tmp_path).ok


def test_details_that_json_cannot_hold_are_refused_and_leave_no_entry(tmp_path):
    log = log_of(tmp_path, 2)
    with pytest.raises(ConfigError, match="set"):
        note(log, labels={"left", "right"})
    note(log)
    log.close()
    assert judged(tmp_path).n_entries == 3


def test_threads_that_append_at_once_make_one_chain_without_a_loss(tmp_path):
    log = AuditLog.create(tmp_path, KEY, VirtualClock())

    def work(name: int) -> None:
        for n in range(10):
            note(log, thread=name, n=n)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    assert judged(tmp_path).n_entries == 41
    told = [entry.details for entry in read_audit(tmp_path)[1:]]
    for name in range(4):
        assert [one["n"] for one in told if one["thread"] == name] == list(range(10))


def test_two_logs_never_share_an_id(tmp_path):
    first, second = log_of(tmp_path / "a", 1), log_of(tmp_path / "b", 1)
    first.close()
    second.close()
    assert first.head_hash != second.head_hash
    ids = {read_audit(tmp_path / name)[0].details["log"] for name in "ab"}
    assert len(ids) == 2


# --- what is detected ------------------------------------------------------------------------


def test_random_edits_deletions_swaps_cuts_and_forgeries_are_all_detected(tmp_path):
    counts = load_tamper().tamper(tmp_path, 150, seed=1)
    missed = {k: c for k, c in counts["kinds"].items() if c["made"] != c["detected"]}
    assert missed == {}
    assert counts["made"] == counts["detected"] == 150
    assert counts["untouched_log_verifies"]


@pytest.mark.parametrize("which", [0, 1], ids=["log", "head"])
def test_a_file_cut_at_any_byte_does_not_verify(tmp_path, which):
    log_of(tmp_path, 3).close()
    path = paths(tmp_path)[which]
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        assert not judged(tmp_path).ok, size
    path.write_bytes(whole)
    assert judged(tmp_path).ok


@pytest.mark.parametrize("which", [0, 1], ids=["log", "head"])
def test_a_file_with_any_one_byte_changed_does_not_verify(tmp_path, which):
    log_of(tmp_path, 2).close()
    path = paths(tmp_path)[which]
    whole = path.read_bytes()
    for at in range(len(whole)):
        # Bit 5 turns lower case into upper case, which hexadecimal readers do not tell apart.
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x20]) + whole[at + 1 :])
        assert not judged(tmp_path).ok, at


def test_the_first_fault_says_in_which_line_it_is(tmp_path):
    log_of(tmp_path, 5).close()
    path = paths(tmp_path)[0]
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], *lines[3:]]))
    verdict = judged(tmp_path)
    assert verdict.first_fault.startswith("Line 3 of the log holds entry 3 where entry 2 belongs")
    assert (verdict.ok, verdict.n_entries, verdict.n_signed) == (False, 2, 0)
    path.write_bytes(b"".join(lines).replace(b'"cap":3', b'"cap":4'))
    assert judged(tmp_path).first_fault.startswith("Line 4 of the log was edited")


def test_a_log_signed_with_another_key_is_refused_if_the_right_one_is_known(tmp_path):
    other = new_key()
    AuditLog.create(tmp_path, other, VirtualClock()).close()
    verdict = judged(tmp_path)
    assert not verdict.ok
    assert fingerprint(other.public) in verdict.first_fault


def test_a_head_from_another_session_of_the_same_user_does_not_fit(tmp_path):
    log_of(tmp_path / "a").close()
    log_of(tmp_path / "b").close()
    paths(tmp_path / "a")[1].write_bytes(paths(tmp_path / "b")[1].read_bytes())
    assert judged(tmp_path / "a").first_fault.startswith("The head belongs to another log")


def test_a_last_entry_that_was_replaced_by_another_that_fits_the_chain_is_seen(tmp_path):
    log_of(tmp_path, 3).close()
    path, head_path = paths(tmp_path)
    head, until = head_path.read_bytes(), path.read_bytes()
    log = AuditLog.resume(tmp_path, KEY, VirtualClock())
    note(log, "The cap was left.")
    log.close()
    honest = path.read_bytes(), head_path.read_bytes()
    path.write_bytes(until)
    head_path.write_bytes(head)
    log = AuditLog.resume(tmp_path, KEY, VirtualClock())
    note(log, "The cap was lost.")
    log.close()
    head_path.write_bytes(honest[1])
    assert judged(tmp_path).first_fault == "Entry 3 is not the one that the head was signed over."
    path.write_bytes(honest[0])
    assert judged(tmp_path).ok


def test_without_a_key_the_verdict_asks_to_compare_the_fingerprint(tmp_path):
    log_of(tmp_path).close()
    verdict = verify_audit(tmp_path)
    assert verdict.ok
    (remark,) = verdict.remarks
    assert "fingerprint" in remark


@pytest.mark.parametrize("which", [0, 1], ids=["log", "head"])
def test_a_missing_file_is_a_fault_with_its_name_and_no_error(tmp_path, which):
    log_of(tmp_path).close()
    gone = paths(tmp_path)[which]
    gone.unlink()
    verdict = judged(tmp_path)
    assert not verdict.ok
    assert f"{gone} cannot be read (No such file" in verdict.first_fault


def test_reading_a_folder_without_a_log_is_an_error_with_a_sentence(tmp_path):
    with pytest.raises(RecordingError, match=r"no readable audit\.jsonl"):
        read_audit(tmp_path)


# --- what a crash leaves ---------------------------------------------------------------------


def one_ahead(folder: Path, ahead: int = 1) -> None:
    """Log as after a crash between an append and its head."""
    log = log_of(folder, 4)
    head = paths(folder)[1].read_bytes()
    for _ in range(ahead):
        note(log, "Just before the crash.")
    log.close()
    paths(folder)[1].write_bytes(head)


def test_an_entry_ahead_of_its_head_passes_with_a_remark(tmp_path):
    one_ahead(tmp_path)
    verdict = judged(tmp_path)
    assert (verdict.ok, verdict.n_entries, verdict.n_signed) == (True, 5, 4)
    (remark,) = verdict.remarks
    assert remark == "The log verifies up to its head, 1 entry after it is not signed."


def test_two_entries_ahead_of_the_head_were_not_left_by_a_crash(tmp_path):
    one_ahead(tmp_path, ahead=2)
    verdict = judged(tmp_path)
    assert (verdict.ok, verdict.n_entries, verdict.n_signed) == (False, 6, 0)
    assert "2 entries" in verdict.first_fault


def test_a_torn_line_after_the_head_passes_with_the_number_of_its_bytes(tmp_path):
    log_of(tmp_path).close()
    with paths(tmp_path)[0].open("ab") as file:
        file.write(b'{"details":{"cap"')
    verdict = judged(tmp_path)
    assert (verdict.ok, verdict.n_entries, verdict.n_signed) == (True, 4, 4)
    (remark,) = verdict.remarks
    assert "17 bytes" in remark


def test_a_torn_line_after_an_unsigned_entry_was_not_left_by_a_crash(tmp_path):
    one_ahead(tmp_path)
    with paths(tmp_path)[0].open("ab") as file:
        file.write(b'{"details":{"cap"')
    assert not judged(tmp_path).ok


def test_a_log_that_is_resumed_goes_on_and_keeps_every_byte(tmp_path):
    log_of(tmp_path, 4).close()
    before = paths(tmp_path)[0].read_bytes()
    log = AuditLog.resume(tmp_path, KEY, VirtualClock())
    assert log.n_entries == 4
    assert paths(tmp_path)[0].read_bytes() == before
    assert note(log).n == 4
    log.close()
    assert paths(tmp_path)[0].read_bytes().startswith(before)
    assert judged(tmp_path).n_signed == 5


def test_resuming_signs_the_entry_that_a_crash_left_unsigned(tmp_path):
    one_ahead(tmp_path)
    AuditLog.resume(tmp_path, KEY, VirtualClock()).close()
    verdict = judged(tmp_path)
    assert (verdict.ok, verdict.n_signed, verdict.remarks) == (True, 5, ())


def test_resuming_names_what_a_crash_tore_off_and_leaves_it_there(tmp_path):
    log_of(tmp_path, 4).close()
    path = paths(tmp_path)[0]
    with path.open("ab") as file:
        file.write(b'{"details":{"cap"')
    before = path.read_bytes()
    log = AuditLog.resume(tmp_path, KEY, VirtualClock())
    note(log, "Power is back.")
    log.close()
    assert path.read_bytes().startswith(before + b"\n")
    verdict = judged(tmp_path)
    assert (verdict.ok, verdict.n_entries, verdict.n_signed) == (True, 6, 6)
    entries = read_audit(tmp_path)
    assert [entry.n for entry in entries] == list(range(6))
    assert (entries[4].what, entries[5].why) == (AuditKind.FAULT, "Power is back.")
    assert "17 bytes" in entries[4].why
    path.write_bytes(path.read_bytes().replace(b'{"cap"\n', b'{"cup"\n'))
    assert not judged(tmp_path).ok


def test_a_log_that_was_touched_or_signed_by_another_key_is_not_resumed(tmp_path):
    log_of(tmp_path).close()
    with pytest.raises(RecordingError, match="cannot be continued: The head is signed with anoth"):
        AuditLog.resume(tmp_path, new_key(), VirtualClock())
    path = paths(tmp_path)[0]
    path.write_bytes(path.read_bytes().replace(b"operator", b"visitor!"))
    with pytest.raises(RecordingError, match=r"cannot be continued: Line 2 .*--recordings\."):
        AuditLog.resume(tmp_path, KEY, VirtualClock())


def test_a_log_that_a_session_still_writes_is_not_gone_on_with_by_another(tmp_path):
    pytest.importorskip("fcntl", reason="no locks here that die with their process")
    running = log_of(tmp_path, 2)
    with pytest.raises(RecordingError, match="A session still writes the log"):
        AuditLog.resume(tmp_path, KEY, VirtualClock())
    note(running, "The session goes on.")  # nothing was written in between
    running.close()
    AuditLog.resume(tmp_path, KEY, VirtualClock()).close()
    assert judged(tmp_path).ok


def test_a_log_verifies_up_to_its_head_when_its_process_is_killed_while_it_appends(tmp_path):
    script = (
        "import sys\n"
        "from diverloop.runtime.clock import MonotonicClock\n"
        "from diverloop.runtime.record.audit import AuditKind, AuditLog\n"
        "from diverloop.runtime.record.signing import load_or_create_key\n"
        "key = load_or_create_key(sys.argv[1])\n"
        "log = AuditLog.create(sys.argv[1] + '/log', key, MonotonicClock())\n"
        "while True:\n"
        "    print(log.append(AuditKind.NOTE, who='x', why='y' * 5000).n, flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    with process:
        for line in process.stdout:
            if int(line) == 20:
                process.kill()
    verdict = verify_audit(tmp_path / "log")
    assert verdict.ok, verdict.first_fault
    assert 21 <= verdict.n_signed <= verdict.n_entries <= verdict.n_signed + 1


# --- what cannot be written ------------------------------------------------------------------


@pytest.mark.parametrize("which", [0, 1], ids=["log", "head"])
def test_a_folder_that_has_a_log_or_the_head_of_one_is_refused(tmp_path, which):
    log_of(tmp_path).close()
    paths(tmp_path)[1 - which].unlink()
    with pytest.raises(RecordingError, match="has an audit log already"):
        AuditLog.create(tmp_path, KEY, VirtualClock())


def test_a_folder_that_cannot_be_written_stops_the_session_with_one_sentence(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(RecordingError) as caught:
        AuditLog.create(tmp_path / "file" / "log", KEY, VirtualClock())
    log_path = tmp_path / "file" / "log" / "audit.jsonl"
    assert str(caught.value) == (
        f"The audit log {log_path} cannot be written (Not a directory): a session cannot start "
        f"without it; free space or choose another folder with --recordings."
    )


def test_a_log_that_could_not_be_begun_leaves_nothing_behind(tmp_path, full_disk):
    full_disk(True)
    with pytest.raises(RecordingError, match=r"\(No space left on device\): a session cannot sta"):
        AuditLog.create(tmp_path, KEY, VirtualClock())
    assert list(tmp_path.iterdir()) == []
    full_disk(False)
    AuditLog.create(tmp_path, KEY, VirtualClock()).close()
    assert judged(tmp_path).ok


def test_an_append_torn_by_a_full_disk_is_taken_back_to_the_last_whole_line(tmp_path):
    resource = pytest.importorskip("resource")
    log = log_of(tmp_path, 8)
    path = paths(tmp_path)[0]
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 100, hard))
    try:
        with pytest.raises(RecordingError, match=r"100 of \d+ bytes fitted\): nothing more goes"):
            note(log, "x" * 300)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert judged(tmp_path).n_signed == 8
    note(log, "There is room again.")
    log.close()
    assert judged(tmp_path).n_signed == 9


def test_an_entry_whose_head_cannot_be_written_is_taken_back(tmp_path, full_disk):
    log = log_of(tmp_path, 4)
    before, head_hash = paths(tmp_path)[0].read_bytes(), log.head_hash
    full_disk(True)
    for _ in range(3):
        with pytest.raises(RecordingError, match="No space left on device"):
            note(log)
    assert paths(tmp_path)[0].read_bytes() == before
    assert (log.n_entries, log.head_hash) == (4, head_hash)
    full_disk(False)
    note(log)
    log.close()
    assert judged(tmp_path).n_signed == 5


def test_what_could_not_be_taken_back_at_once_is_before_the_next_entry(
    tmp_path, full_disk, monkeypatch
):
    log = log_of(tmp_path, 4)

    def refuse(*_):
        raise OSError(errno.EIO, "Input/output error")

    truncate = os.ftruncate
    full_disk(True)
    monkeypatch.setattr(audit.os, "ftruncate", refuse)
    with pytest.raises(RecordingError, match="Input/output error"):
        note(log)
    monkeypatch.setattr(audit.os, "ftruncate", truncate)
    full_disk(False)
    note(log, "Written after all.")
    log.close()
    verdict = judged(tmp_path)
    assert (verdict.ok, verdict.n_signed, verdict.remarks) == (True, 5, ())


def test_a_log_that_something_else_has_changed_takes_no_entry(tmp_path):
    log = log_of(tmp_path, 4)
    with paths(tmp_path)[0].open("ab") as file:
        file.write(b"{}\n")
    with pytest.raises(RecordingError, match="something else changed it"):
        note(log)
    log.close()


def test_a_closed_log_takes_no_entry_and_closing_twice_is_harmless(tmp_path):
    log = log_of(tmp_path)
    log.close()
    log.close()
    with pytest.raises(RecordingError, match="is closed"):
        note(log)


# --- what the loop reports -------------------------------------------------------------------


def event(kind: EventKind, at_s: float = 0.0, count: int = 1, **changes) -> Event:
    return Event(
        kind=kind, text=f"{kind} at {at_s:g}", count=count, at_ns=round(at_s * 1e9), **changes
    )


def entries_after(folder: Path) -> list:
    return list(read_audit(folder)[1:])


@pytest.fixture
def log(tmp_path):
    log = AuditLog.create(tmp_path, KEY, VirtualClock())
    yield log
    log.close()


def test_the_watcher_keeps_its_protocol_and_misses_nothing(tmp_path, log):
    watcher = AuditWatcher(log)
    check_watcher(watcher, StreamSpec(name="amp", rate_hz=250.0, channels=(Channel(name="C3"),)))
    assert watcher.lossless
    assert [entry.details["kind"] for entry in entries_after(tmp_path)] == ["gap"]


def test_signal_leaves_nothing_in_the_log(tmp_path, log):
    watcher = AuditWatcher(log)
    watcher.watch(Chunk(samples=np.zeros((1, 2), np.float32), first_sample=0, arrived_ns=0))
    watcher.close()
    assert entries_after(tmp_path) == []


@pytest.mark.parametrize("kind", list(EventKind))
def test_every_kind_of_event_goes_on_record_at_once(tmp_path, log, kind):
    AuditWatcher(log, who="loop 1").watch(event(kind, 2.0, count=5, sample=500, lasting=True))
    (entry,) = entries_after(tmp_path)
    what = {
        EventKind.GUARD: AuditKind.GUARD,
        EventKind.STOPPED: AuditKind.EMERGENCY_STOP,
        EventKind.WATCHDOG: AuditKind.WATCHDOG,
        EventKind.SENT: AuditKind.WATCHDOG,
        EventKind.PROMOTED: AuditKind.PROMOTION,
        EventKind.LISTENING: AuditKind.LISTENING,
        EventKind.STIMULATION: AuditKind.STIMULATION,
        EventKind.LEARNER: AuditKind.LEARNER,
    }
    assert entry.what == what.get(kind, AuditKind.FAULT)
    assert (entry.who, entry.why) == ("loop 1", f"{kind} at 2")
    assert entry.details == {
        "kind": str(kind),
        "sample": 500,
        "count": 5,
        "at_ns": 2_000_000_000,
        "lasting": True,
    }


@pytest.mark.parametrize("kind", [EventKind.GUARD, EventKind.SOURCE_LOST, EventKind.STALE])
def test_what_is_rare_is_written_each_time(tmp_path, log, kind):
    watcher = AuditWatcher(log)
    for n in range(5):
        watcher.watch(event(kind, n / 10))
    assert len(entries_after(tmp_path)) == 5


def test_a_crowd_is_written_once_at_once_and_then_once_in_ten_seconds(tmp_path, log):
    watcher = AuditWatcher(log)
    for n in range(2500):  # 25 s, a hundred a second
        watcher.watch(event(EventKind.LATE, n / 100, count=2, sample=n))
    watcher.close()
    watcher.close()
    first, *sums = entries_after(tmp_path)
    assert first.why == "late at 0"
    assert [entry.details["events"] for entry in sums] == [999, 1000, 500]
    assert [entry.details["count"] for entry in sums] == [1998, 2000, 1000]
    assert sums[0].why == "999 more events of kind late, the last: late at 9.99"
    places = [(entry.details["first_sample"], entry.details["last_sample"]) for entry in sums]
    assert places == [(1, 999), (1000, 1999), (2000, 2499)]
    assert sums[1].details["from_ns"] == 10 * SECOND_NS


def test_a_crowd_is_summed_up_when_any_other_event_comes_after_its_time(tmp_path, log):
    watcher = AuditWatcher(log)
    for at_s in (0.0, 1.0, 2.0):
        watcher.watch(event(EventKind.GAP, at_s))
    watcher.watch(event(EventKind.GUARD, 11.0))
    assert [entry.what for entry in entries_after(tmp_path)] == ["fault", "fault", "guard"]
    assert entries_after(tmp_path)[1].details["events"] == 2


def test_after_ten_quiet_seconds_an_event_is_written_at_once_again(tmp_path, log):
    watcher = AuditWatcher(log)
    watcher.watch(event(EventKind.MISSED, 0.0))
    watcher.watch(event(EventKind.MISSED, 10.0))
    assert [entry.why for entry in entries_after(tmp_path)] == ["missed at 0", "missed at 10"]


def test_one_event_too_many_keeps_its_own_words(tmp_path, log):
    watcher = AuditWatcher(log)
    watcher.watch(event(EventKind.JITTER, 0.0))
    watcher.watch(event(EventKind.JITTER, 1.0))
    watcher.close()
    assert [entry.why for entry in entries_after(tmp_path)] == ["jitter at 0", "jitter at 1"]


def test_a_lasting_fault_in_a_crowd_is_written_at_once(tmp_path, log):
    watcher = AuditWatcher(log)
    watcher.watch(event(EventKind.GAP, 0.0))
    watcher.watch(event(EventKind.GAP, 1.0, lasting=True))
    assert [entry.details["lasting"] for entry in entries_after(tmp_path)] == [False, True]


class Kept:
    """Stands in for a log where only the entries matter."""

    def __init__(self) -> None:
        self.details: list[dict] = []

    def append(self, what, *, who, why, details):
        self.details.append(details)


@given(
    st.lists(
        st.tuples(st.sampled_from(list(EventKind)), st.integers(0, 9000), st.integers(0, 5)),
        max_size=60,
    )
)
def test_no_event_and_no_count_is_lost_by_summing_up(steps):
    kept, at_ms = Kept(), 0
    watcher = AuditWatcher(kept)
    for kind, wait_ms, count in steps:
        at_ms += wait_ms
        watcher.watch(event(kind, at_ms / 1e3, count))
    watcher.close()
    for kind in EventKind:
        told = [one for one in kept.details if one["kind"] == kind]
        meant = [count for one, _, count in steps if one is kind]
        assert sum(one.get("events", 1) for one in told) == len(meant)
        assert sum(one["count"] for one in told) == sum(meant)


def test_a_disk_that_is_full_for_a_while_costs_no_entry_and_no_session(tmp_path, log, full_disk):
    watcher = AuditWatcher(log)
    watcher.watch(event(EventKind.STALE, 1.0))
    full_disk(True)
    for at_s in (2.0, 3.0, 4.0):
        watcher.watch(event(EventKind.GUARD, at_s))
    assert watcher.pending == 3
    full_disk(False)
    watcher.watch(event(EventKind.FRESH, 5.0))
    assert watcher.pending == 0
    entries = entries_after(tmp_path)
    assert [entry.details["at_ns"] // SECOND_NS for entry in entries] == [1, 2, 3, 4, 5]
    late = [entry.details.get("written_late", False) for entry in entries]
    assert late[:4] == [False, True, True, True]
    assert judged(tmp_path).n_signed == 6


def test_what_is_pending_is_tried_once_more_at_the_end(tmp_path, log, full_disk):
    watcher = AuditWatcher(log)
    full_disk(True)
    watcher.watch(event(EventKind.GUARD, 1.0))
    watcher.close()
    assert watcher.pending == 1
    full_disk(False)
    watcher.close()
    assert watcher.pending == 0
    assert [entry.what for entry in entries_after(tmp_path)] == ["guard"]


def test_behind_the_fan_out_every_event_reaches_the_log(tmp_path, log):
    watcher = AuditWatcher(log)
    fanout = FanOut([watcher])
    for n in range(20):
        fanout.publish(event(EventKind.GUARD, n))
    fanout.close()
    assert [entry.details["at_ns"] // SECOND_NS for entry in entries_after(tmp_path)] == list(
        range(20)
    )
    assert judged(tmp_path).ok


def test_the_public_key_in_the_first_entry_is_the_one_that_signs(tmp_path, log):
    assert PublicKey.from_text(read_audit(tmp_path)[0].details["public_key"]) == KEY.public
