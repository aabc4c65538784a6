from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diverloop.runtime import clock as subject
from diverloop.runtime.clock import MonotonicClock, VirtualClock
from diverloop.runtime.conformance import check_clock

NANOSECONDS = st.integers(-(10**15), 10**15)


class Machine:
    """Stands in for the module `time`: sleeping passes time, late by a known amount."""

    def __init__(self, late_ns: int = 0) -> None:
        self.now_ns = 1_000
        self.late_ns = late_ns
        self.slept_s: list[float] = []
        self.looks = 0

    def monotonic_ns(self) -> int:
        self.looks += 1
        self.now_ns += 10  # looking at a clock takes time, too
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.slept_s.append(seconds)
        self.now_ns += round(seconds * 1e9) + self.late_ns


@pytest.fixture
def machine(monkeypatch):
    machine = Machine()
    monkeypatch.setattr(subject, "time", machine)
    return machine


@pytest.mark.parametrize("clock", [MonotonicClock(), MonotonicClock(spin_ns=200_000)])
def test_the_machines_clock_keeps_the_protocol(clock):
    check_clock(clock)


def test_the_virtual_clock_keeps_the_protocol():
    check_clock(VirtualClock())


def test_waiting_sleeps_once_until_the_deadline(machine):
    MonotonicClock().wait_until(5_000_000)
    assert machine.slept_s == [pytest.approx(0.005, abs=2e-6)]
    assert machine.now_ns >= 5_000_000


def test_a_deadline_in_the_past_is_not_waited_for(machine):
    MonotonicClock(spin_ns=100).wait_until(900)
    assert not machine.slept_s
    assert machine.looks <= 2


def test_the_last_stretch_before_the_deadline_is_spun_and_not_slept(machine):
    MonotonicClock(spin_ns=2_000).wait_until(1_000_000)
    assert machine.slept_s == [pytest.approx(1e-6 * (1_000 - 1 - 2), abs=1e-7)]
    assert 1_000_000 <= machine.now_ns < 1_000_020
    assert machine.looks > 100


def test_a_wake_up_that_is_late_is_not_followed_by_spinning(machine):
    machine.late_ns = 50_000
    MonotonicClock(spin_ns=2_000).wait_until(1_000_000)
    assert machine.looks == 2


@given(start_ns=NANOSECONDS, deadlines_ns=st.lists(NANOSECONDS, max_size=20))
def test_virtual_time_jumps_to_every_deadline_and_never_goes_back(start_ns, deadlines_ns):
    clock = VirtualClock(start_ns)
    for deadline_ns in deadlines_ns:
        before_ns = clock.now_ns()
        clock.wait_until(deadline_ns)
        assert clock.now_ns() == max(before_ns, deadline_ns)


def test_virtual_time_stands_still_until_somebody_waits_or_works():
    clock = VirtualClock(5)
    assert clock.now_ns() == clock.now_ns() == 5
    clock.advance(7)
    clock.advance(0)
    assert clock.now_ns() == 12


def test_virtual_time_cannot_be_turned_back():
    clock = VirtualClock(5)
    with pytest.raises(ValueError, match=r"at least 0, got -1: time does not go back"):
        clock.advance(-1)
    assert clock.now_ns() == 5
