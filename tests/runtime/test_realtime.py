from __future__ import annotations

import gc
import os
import sys

import pytest

from diverloop.runtime import realtime as subject
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.realtime import RealtimeConfig, probe, realtime

# They lock the memory and change the scheduling of the whole process, which other tests share.
pytestmark = pytest.mark.live

NOTHING = {
    "freeze_gc": False, "switch_interval_s": 0.0, "keep_heap": False, "timer_slack_ns": 0,
}  # fmt: skip
EVERYTHING = RealtimeConfig(affinity=(0,), fifo_priority=50, lock_memory=True)


def only(**wishes):
    return RealtimeConfig(**{**NOTHING, **wishes})


def refuse(error):
    def call(*arguments):
        raise error

    return call


def test_who_asks_for_nothing_gets_no_answer():
    with realtime(only()) as grants:
        assert grants == ()


def test_the_collector_is_off_inside_and_on_outside():
    assert gc.isenabled()
    with realtime(only(freeze_gc=True)) as (grant,):
        inside = gc.isenabled(), gc.get_freeze_count() > 0
    assert grant.obtained
    assert inside == (False, True)
    assert (gc.isenabled(), gc.get_freeze_count()) == (True, 0)


def test_a_collector_that_was_off_stays_off():
    gc.disable()
    try:
        with realtime(only(freeze_gc=True)):
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_the_switch_interval_is_given_back():
    before = sys.getswitchinterval()
    with realtime(only(switch_interval_s=0.002)) as (grant,):
        inside = sys.getswitchinterval()
    assert grant.obtained
    assert inside == pytest.approx(0.002)
    assert sys.getswitchinterval() == before


def test_all_is_given_back_when_the_block_raises():
    before = sys.getswitchinterval()
    with pytest.raises(ZeroDivisionError), realtime(RealtimeConfig()):
        _ = 1 / 0
    assert gc.isenabled()
    assert sys.getswitchinterval() == before


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system chooses the cores")
def test_cores_are_chosen_inside_and_given_back():
    before = os.sched_getaffinity(0)
    core = min(before)
    with realtime(only(affinity=(core,))) as (grant,):
        inside = os.sched_getaffinity(0)
    assert grant.obtained
    assert inside == {core}
    assert os.sched_getaffinity(0) == before


@pytest.mark.skipif(sys.platform != "linux", reason="timer slack is Linux's")
def test_the_timer_slack_is_given_back():
    before = subject._libc("prctl", 30, 0, 0, 0, 0)
    with realtime(only(timer_slack_ns=1)) as (grant,):
        inside = subject._libc("prctl", 30, 0, 0, 0, 0)
    assert grant.obtained
    assert (inside, subject._libc("prctl", 30, 0, 0, 0, 0)) == (1, before)


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="this system has no SCHED_FIFO")
def test_the_scheduling_policy_is_given_back_whether_or_not_fifo_was_granted():
    before = os.sched_getscheduler(0), os.sched_getparam(0).sched_priority
    with realtime(only(fifo_priority=10)) as (grant,):
        inside = os.sched_getscheduler(0)
    wanted = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
    assert inside == (wanted if grant.obtained else before[0])
    now = os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK
    assert (now, os.sched_getparam(0).sched_priority) == before


def test_a_refused_priority_says_which_limit_to_raise(monkeypatch):
    refusal = refuse(PermissionError(1, "Operation not permitted"))
    monkeypatch.setattr(os, "sched_setscheduler", refusal, raising=False)
    monkeypatch.setattr(os, "sched_getscheduler", lambda pid: 0, raising=False)
    monkeypatch.setattr(os, "sched_getparam", lambda pid: None, raising=False)
    monkeypatch.setattr(os, "sched_param", lambda priority: priority, raising=False)
    monkeypatch.setattr(os, "SCHED_FIFO", 1, raising=False)
    monkeypatch.setattr(os, "SCHED_RESET_ON_FORK", 1 << 30, raising=False)
    with realtime(only(fifo_priority=50)) as (grant,):
        assert not grant.obtained
    assert "Operation not permitted" in grant.detail
    assert "rtprio" in grant.detail


def test_a_finite_memory_limit_is_refused_before_it_starves_the_session(monkeypatch):
    monkeypatch.setattr(os, "name", "posix")
    monkeypatch.setattr(subject, "_may_lock_everything", lambda: False)
    monkeypatch.setattr(subject, "_libc", refuse(AssertionError("must not be called")))
    with realtime(only(lock_memory=True)) as (grant,):
        assert not grant.obtained
    assert "memlock unlimited" in grant.detail


def test_a_core_that_is_not_there_is_refused_in_words():
    with realtime(only(affinity=(100_000,))) as (grant,):
        assert not grant.obtained
    assert grant.name == "cores"
    assert grant.detail.startswith("Refused: ")


def test_a_system_without_any_of_it_refuses_everything_that_is_its_own(monkeypatch):
    for name in ("sched_setaffinity", "sched_getaffinity", "sched_setscheduler"):
        monkeypatch.delattr(os, name, raising=False)
    monkeypatch.setattr(subject.os, "name", "nt")
    with realtime(EVERYTHING) as grants:
        obtained = {grant.name for grant in grants if grant.obtained}
    assert len(grants) == 7
    assert obtained == {"garbage collector", "switch interval"}
    assert all(" has no " in grant.detail for grant in grants if not grant.obtained)


def test_what_cannot_be_given_back_does_not_fail_the_session(monkeypatch):
    monkeypatch.setattr(sys, "getswitchinterval", lambda: 0.005)
    answers = iter([None])

    def change(seconds):
        if next(answers, "gone") == "gone":
            raise OSError(22, "gone")

    monkeypatch.setattr(sys, "setswitchinterval", change)
    with realtime(only(switch_interval_s=0.001)) as (grant,):
        pass
    assert grant.obtained


def test_probing_asks_for_everything_and_keeps_nothing():
    before = sys.getswitchinterval()
    names = [grant.name for grant in probe()]
    assert names == [
        "heap", "garbage collector", "switch interval", "cores", "timer slack", "memory lock",
        "scheduling",
    ]  # fmt: skip
    assert (gc.isenabled(), sys.getswitchinterval()) == (True, before)


@pytest.mark.parametrize(
    "wrong",
    [
        {"affinity": (-1,)},
        {"affinity": (1, 1)},
        {"fifo_priority": 100},
        {"fifo_priority": -1},
        {"switch_interval_s": -0.1},
        {"switch_interval_s": 2.0},
        {"timer_slack_ns": -1},
    ],
)
def test_a_wish_out_of_range_is_refused_at_once(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ConfigError, match=name) as caught:
        RealtimeConfig(**wrong)
    assert str(value) in str(caught.value)
