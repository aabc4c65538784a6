"""What any stimulator must pass: the clauses of `stimulator.Stimulator`, tried out.

`check_stimulator` returns nothing and raises `ConformanceError` with the clause that was broken.
"""

from __future__ import annotations

from .conformance import _demand, _offers
from .stimulation import StimulationRequest
from .stimulation_limits import Contact
from .stimulator import Delivered, Stimulator

_MS_NS = 1_000_000
_CONTACTS = (Contact(name="one", area_um2=5_000_000), Contact(name="two", area_um2=5_000_000))
_TRAIN = StimulationRequest(
    anodes=("one",),
    cathodes=("two",),
    amplitude_na=1_000_000,
    width_ns=200_000,
    second_amplitude_na=1_000_000,
    second_width_ns=200_000,
    rate_millihz=100_000,
    duration_us=1_000_000,
    requested_ns=0,
)
_PHASE_PC, _PULSES = 200_000, 100


def check_stimulator(stimulator: Stimulator) -> None:
    """Try a stimulator: it is at rest, delivers what it was asked, stops within a pulse, closes.

    Parameters
    ----------
    stimulator : Stimulator
        Not yet open, and without a fault. Time is told to it, so this takes none.
    """
    offers = "simulated open start delivered stop close"
    _demand(_offers(stimulator, offers), f"a stimulator has {', '.join(offers.split())}")
    _demand(stimulator.simulated is True, "no current flows anywhere in this release")
    try:
        ohms = stimulator.open(_CONTACTS)
        named = set(ohms) == {contact.name for contact in _CONTACTS}
        _demand(named and all(ohm > 0 for ohm in ohms.values()), "each contact has an impedance")
        _check_whole(stimulator)
        _check_stopped(stimulator)
    finally:
        stimulator.close()
        stimulator.close()


def _check_whole(stimulator: Stimulator) -> None:
    start_ns = 5_000 * _MS_NS
    stimulator.start(_TRAIN, start_ns)
    before = 0
    for at_ms in range(0, 1000, 7):
        said = _said(stimulator, start_ns + at_ms * _MS_NS)
        due = at_ms // 10 + 1
        _demand(before <= said.pulses <= due, "pulses come one by one, none before its time")
        _demand(said.phase_pc <= _PHASE_PC, "a phase has no more charge than was asked for")
        before = said.pulses
    said = _said(stimulator, start_ns + 1_010 * _MS_NS)
    _demand(not said.running, "a train ends one period after its last pulse at the latest")
    _demand(said.pulses == _PULSES and not said.fault, "all pulses of a train are delivered")
    later = _said(stimulator, start_ns + 90_000 * _MS_NS)
    _demand(later == said, "a train that has ended stays as it was")


def _check_stopped(stimulator: Stimulator) -> None:
    start_ns = 200_000 * _MS_NS
    stimulator.start(_TRAIN, start_ns)
    begun = _said(stimulator, start_ns + 304 * _MS_NS).pulses
    stimulator.stop(start_ns + 304 * _MS_NS)
    stimulator.stop(start_ns + 305 * _MS_NS)
    said = _said(stimulator, start_ns + 315 * _MS_NS)
    _demand(not said.running, "a train that is stopped ends within one period")
    _demand(begun <= said.pulses <= begun + 1, "after a stop there is one more pulse at most")
    later = _said(stimulator, start_ns + 90_000 * _MS_NS)
    _demand(later == said, "a train that was stopped stays stopped")


def _said(stimulator: Stimulator, now_ns: int) -> Delivered:
    said = stimulator.delivered(now_ns)
    _demand(isinstance(said, Delivered), "delivered says what was delivered")
    assert said is not None
    return said
