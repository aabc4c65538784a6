"""What is noted at the doors reaches the audit log, and a flood does not fill it."""

from __future__ import annotations

import pytest

from diverloop.runtime.access import AccessNote, Action, Why
from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.record.access_log import AccessLog
from diverloop.runtime.record.audit import AuditKind, AuditLog, read_audit, verify_audit
from diverloop.runtime.record.signing import new_key


def done(action, who="p1"):
    return AccessNote(at_ns=1, who=who, role="operator", action=action, done=True, text="It is.")


def refused(why=Why.NOT_ALLOWED, who="p2", role="viewer", action="arm", at_ns=1):
    return AccessNote(at_ns=at_ns, who=who, role=role, action=action, why=why, text="No.")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "session"


def written(folder, notes, clock=None):
    clock = clock or VirtualClock()
    key = new_key()
    audit = AuditLog.create(folder, key, clock)
    log = AccessLog(audit, clock)
    for note in notes:
        log.put(note)
    log.close()
    audit.close()
    assert verify_audit(folder, public_key=key.public).ok
    assert log.lost == 0
    return read_audit(folder)[1:]


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        (Action.STOP, AuditKind.EMERGENCY_STOP),
        (Action.ARM, AuditKind.ARMED),
        (Action.DISARM, AuditKind.DISARMED),
        (Action.LET_GO, AuditKind.DISARMED),
        (Action.LISTEN, AuditKind.LISTENING),
        (Action.RESET, AuditKind.ACCESS),
        (Action.ENABLE_STIMULATION, AuditKind.ACCESS),
    ],
)
def test_an_act_is_on_record_with_who_did_it(folder, action, kind):
    (entry,) = written(folder, [done(action)])
    assert (entry.what, entry.who) == (kind, "p1")
    assert entry.details["role"] == "operator"
    assert entry.details["done"] is True


def test_a_refusal_is_on_record_with_why_and_never_as_the_act_itself(folder):
    (entry,) = written(folder, [refused(action="stop")])
    assert (entry.what, entry.who, entry.why) == (AuditKind.ACCESS, "p2", "No.")
    assert entry.details["refused"] == "role does not allow it"


def test_every_act_has_an_entry_of_its_own(folder):
    assert len(written(folder, [done(Action.ARM), done(Action.DISARM)] * 5)) == 10


def test_a_flood_is_one_entry_and_a_count(folder):
    entries = written(folder, [refused()] * 5000)
    assert [entry.details["count"] for entry in entries] == [1, 4999]
    assert entries[1].why == "4999 more like this: No."


def test_unknown_keys_are_one_crowd_however_many_they_are(folder):
    notes = [refused(Why.UNKNOWN_KEY, who=f"key {n}", role="", action="") for n in range(3000)]
    entries = written(folder, notes)
    assert [entry.details["count"] for entry in entries] == [1, 2999]


def test_persons_actions_and_reasons_are_told_apart(folder):
    notes = [refused(), refused(who="p3"), refused(action="reset"), refused(Why.REPLAYED)] * 2
    entries = written(folder, notes)
    assert len(entries) == 8
    assert sum(entry.details["count"] for entry in entries) == 8


def test_an_unwritable_log_loses_nothing_it_has_room_for(folder):
    clock = VirtualClock()
    audit = AuditLog.create(folder, new_key(), clock)
    audit.close()  # appending raises from now on
    log = AccessLog(audit, clock)
    for _ in range(2500):
        log.put(done(Action.ARM))
    log.close()
    assert log.lost == 500
    assert len(log._waiting) == 2000
