"""From a request to a simulated train, or to the reason why not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from diverloop.hardware.simulated_stimulator import (
    Failure,
    SimulatedStimulator,
    SimulatedStimulatorConfig,
)
from diverloop.runtime import stimulation_gate
from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.events import EventKind
from diverloop.runtime.guard import State
from diverloop.runtime.record.signing import new_key
from diverloop.runtime.stimulation import Rule
from diverloop.runtime.stimulation_gate import StimulationGate
from diverloop.runtime.stimulation_ledger import DoseLedger

from ..stimulating import CONTACTS, DOSE_NS, LIMITS, LOOP_NS, MODEST, PERMISSION

MS = 1_000_000
S = 1000 * MS
KEY = new_key()
ARMED = State.ARMED


class Bench:
    """A gate with its simulated device, its ledger and its clock."""

    def __init__(self, folder, failure=Failure.NONE, begin=True, after_s=0.0):
        self.clock = VirtualClock(LOOP_NS)
        self.device = SimulatedStimulator(SimulatedStimulatorConfig(failure=failure))
        self.ledger = DoseLedger.open(
            folder, KEY, self.clock, utc_ns=DOSE_NS + round(after_s * S), begin=begin
        )
        self.told = []
        self.permission = replace(PERMISSION, enabled_until_ns=LOOP_NS + 3600 * S)
        self.gate = StimulationGate(
            limits=LIMITS,
            contacts=tuple(CONTACTS.values()),
            stimulator=self.device,
            ledger=self.ledger,
            tell=self.told.append,
            permission=lambda: self.permission,
        )
        self.gate.open([MODEST])

    @property
    def now_ns(self):
        return self.clock.now_ns()

    def ask(self, state=ARMED, **changes):
        request = replace(MODEST, requested_ns=self.now_ns, **changes)
        return self.gate.ask(request, self.now_ns, state)

    def run(self, ms, state=ARMED, every_ms=20):
        for _ in range(round(ms / every_ms)):
            self.clock.advance(every_ms * MS)
            self.gate.follow(self.now_ns, state)
        self.gate.write()

    def charges(self):
        return [train.charges_pc["LA1"] for train in self.ledger.past]

    def texts(self):
        return [event.text for event in self.told]


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path)
    yield bench
    bench.gate.close(bench.now_ns)


def test_an_allowed_train_is_delivered_and_its_charge_is_on_record(bench):
    assert bench.ask().allowed
    assert bench.gate.busy
    bench.run(1100)
    assert not bench.gate.busy
    (train,) = bench.ledger.past
    assert train.charges_pc == {"LA1": 100 * 200_000, "LA2": 100 * 200_000}
    assert (train.start_ns, train.end_ns) == (DOSE_NS, DOSE_NS + S)
    assert {event.kind for event in bench.told} == {EventKind.STIMULATION}
    began, delivered = bench.texts()
    assert began == (
        "Stimulation was allowed and begins: LA1 to LA2, 1 mA for 200 us, 100 Hz, 1 s, decision "
        "800/0."
    )
    assert delivered == "Stimulation was delivered: 100 of 100 pulses of 0.2 uC."


def test_the_next_train_has_to_wait_and_then_may_come(bench):
    assert bench.ask().allowed
    outcome = bench.ask()
    assert [one.rule for one in outcome.broken] == [Rule.DEVICE]
    bench.run(2000)
    outcome = bench.ask()
    assert [one.rule for one in outcome.broken] == [Rule.REST]
    assert outcome.reason == "rest: got 1, allowed 10 s at least"
    assert bench.texts()[-1].startswith("Stimulation was denied (rest: got 1, allowed 10 s at ")
    bench.run(9000)
    assert bench.ask().allowed


def test_a_train_does_not_begin_before_the_last_is_on_the_disk(bench):
    assert bench.ask().allowed
    bench.clock.advance(20 * S)
    bench.gate.follow(bench.now_ns, ARMED)
    assert bench.gate.unwritten
    assert [one.rule for one in bench.ask().broken] == [Rule.LEDGER]
    bench.gate.write()
    assert bench.ask().allowed


@pytest.mark.parametrize(
    ("state", "rules"),
    [
        (State.DISARMED, {Rule.ARMED}),
        (State.HOLDING, {Rule.ARMED}),
        (State.STOPPED, {Rule.ARMED, Rule.STOPPED}),
    ],
)
def test_only_an_armed_guard_lets_a_train_begin_and_go_on(bench, state, rules):
    assert {one.rule for one in bench.ask(state).broken} == rules
    assert bench.ask().allowed
    bench.run(240)
    bench.gate.follow(bench.now_ns, state)
    assert not bench.gate.busy
    assert bench.charges() == [25 * 200_000]
    assert bench.texts()[-1].endswith(
        f"25 of 100 pulses of 0.2 uC, ended because the guard is {state}."
    )


def test_a_stop_ends_a_train_within_one_pulse(bench):
    assert bench.ask().allowed
    bench.clock.advance(505 * MS)
    bench.gate.stop(bench.now_ns, "somebody pressed the button")
    bench.run(1000)
    assert bench.charges() == [51 * 200_000]  # those at 0, 10, ... 500 ms
    assert "somebody pressed the button" in bench.texts()[-1]


def test_a_seizure_denies_and_ends(bench):
    bench.gate.seizure = True
    assert [one.rule for one in bench.ask().broken] == [Rule.SEIZURE]
    bench.gate.seizure = False
    assert bench.ask().allowed
    bench.gate.seizure = True
    bench.gate.follow(bench.now_ns, ARMED)
    assert not bench.gate.busy


def test_a_permission_that_ends_takes_the_train_with_it(bench):
    bench.permission = replace(PERMISSION, enabled_until_ns=LOOP_NS + 300 * MS)
    assert bench.ask().allowed
    bench.run(1000)
    assert bench.charges() == [31 * 200_000]
    assert "the permission is over" in bench.texts()[-1]
    bench.permission = None
    assert Rule.PERMISSION in {one.rule for one in bench.ask().broken}


@pytest.mark.parametrize(
    ("failure", "fault", "charges"),
    [
        (Failure.OPEN_CIRCUIT, "no current at LA2", [0]),
        (Failure.MORE, "delivers 0.3 uC a phase where 0.2 uC were asked for", [3 * 300_000]),
        (Failure.SILENT, "does not say what it delivered: all counts", [100 * 200_000]),
        (Failure.LESS, "", [100 * 160_000]),
    ],
)
def test_what_a_failing_device_did_is_counted_and_it_is_trusted_no_more(
    bench, failure, fault, charges
):
    bench.device.fail(failure)
    assert bench.ask().allowed
    bench.run(1100)
    assert bench.charges() == charges
    assert fault in bench.gate.fault
    assert bool(bench.gate.fault) == bool(fault)
    assert bench.texts()[-1].startswith("Stimulation was delivered, though less") == (
        failure in (Failure.OPEN_CIRCUIT, Failure.LESS, Failure.MORE)
    )
    bench.device.fail(Failure.NONE)
    bench.run(60_000, every_ms=1000)
    outcome = bench.ask()
    assert outcome.allowed == (not fault)
    if fault:
        assert fault in outcome.reason
        bench.gate.reset("E1", bench.now_ns)
        assert bench.ask().allowed


def test_a_device_that_does_not_stop_is_found_out_and_all_it_does_counts(bench):
    bench.device.fail(Failure.STUCK)
    assert bench.ask().allowed
    bench.run(1500)
    assert bench.gate.busy
    assert "pulses where" in bench.gate.fault
    bench.gate.reset("E1", bench.now_ns)
    assert bench.gate.fault, "nobody can reset what still runs"
    bench.gate.close(bench.now_ns)
    assert bench.charges()[0] > 150 * 200_000


def test_a_device_that_ignores_a_stop_is_found_out_one_period_later(bench):
    bench.device.fail(Failure.STUCK)
    assert bench.ask().allowed
    bench.run(100)
    bench.gate.follow(bench.now_ns, State.STOPPED)
    assert not bench.gate.fault
    bench.clock.advance(11 * MS)
    bench.gate.follow(bench.now_ns, State.STOPPED)
    assert bench.gate.fault == "The stimulator does not stop."


def test_a_device_that_ignores_a_stop_is_told_again_until_it_is_at_rest(bench, monkeypatch):
    told_ns, stop = [], bench.device.stop
    monkeypatch.setattr(bench.device, "stop", told_ns.append)  # it does not hear
    assert bench.ask().allowed
    bench.run(100)
    bench.gate.follow(bench.now_ns, State.STOPPED)
    bench.run(60, State.STOPPED)
    assert len(told_ns) == 4
    assert bench.gate.busy
    monkeypatch.setattr(bench.device, "stop", stop)
    bench.run(60, State.STOPPED)
    assert not bench.gate.busy


def test_a_lead_that_is_off_at_the_opening_is_found_before_anything_is_asked(tmp_path):
    bench = Bench(tmp_path, Failure.OPEN_CIRCUIT)
    assert "Contact LA1 has inf ohm" in bench.gate.fault
    assert [one.rule for one in bench.ask().broken] == [Rule.DEVICE]
    bench.gate.close(bench.now_ns)


def test_checks_that_disagree_deny_and_nothing_is_allowed_any_more(bench, monkeypatch):
    monkeypatch.setattr(stimulation_gate, "denied_by", lambda *_: frozenset({"dose"}))
    outcome = bench.ask()
    assert not outcome.allowed
    assert "The two checks of stimulation disagree (nothing against dose)" in outcome.reason
    assert bench.texts()[-1] == outcome.reason
    monkeypatch.undo()
    assert [one.rule for one in bench.ask().broken] == [Rule.DEVICE]
    assert not bench.gate.busy


def test_a_restart_remembers_the_rest_and_a_clock_set_back_denies(tmp_path):
    first = Bench(tmp_path)
    assert first.ask().allowed
    first.run(1100)
    first.gate.close(first.now_ns)
    for after_s, rules in ((5, [Rule.REST]), (11, []), (0.5, [Rule.CLOCK, Rule.REST])):
        again = Bench(tmp_path, begin=False, after_s=after_s)
        assert [one.rule for one in again.ask(duration_us=100).broken] == rules
        again.gate.stop(again.now_ns, "over")
        if not rules:
            break
        again.gate.close(again.now_ns)


def test_a_session_that_ends_in_a_train_ends_the_train_and_writes_it_down(tmp_path):
    first = Bench(tmp_path)
    assert first.ask().allowed
    first.run(100)
    first.gate.close(first.now_ns)
    again = Bench(tmp_path, begin=False, after_s=60)
    assert again.charges() == [11 * 200_000]
    again.gate.close(again.now_ns)


@pytest.mark.parametrize("claim", [False, None, 1, "yes"])
def test_nothing_but_a_simulated_stimulator_is_driven(tmp_path, claim):
    class Real(SimulatedStimulator):
        simulated = claim

    bench = Bench(tmp_path)
    with pytest.raises(ConfigError, match="drives a simulated stimulator only, got Real"):
        StimulationGate(
            limits=LIMITS, contacts=(), stimulator=Real(), ledger=bench.ledger, tell=print
        )
    bench.gate.close(bench.now_ns)


def test_each_pulse_is_given_once_with_its_moment(bench):
    assert bench.gate.new_pulses(bench.now_ns) == ()
    assert bench.ask().allowed
    bench.run(60)
    assert bench.gate.new_pulses(LOOP_NS + 35 * MS) == tuple(
        LOOP_NS + ms * MS for ms in (0, 10, 20, 30)
    )
    assert len(bench.gate.new_pulses(bench.now_ns)) == 3
    bench.run(2000)
    assert len(bench.gate.new_pulses(bench.now_ns)) == 93
    assert bench.gate.new_pulses(bench.now_ns) == ()


def test_requests_of_no_form_are_denied_and_told_like_others(bench):
    outcome = bench.ask(amplitude_na=float("nan"))
    assert [one.rule for one in outcome.broken] == [Rule.FORM]
    assert len(bench.told) == 1
