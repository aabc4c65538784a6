"""The first check of a request: the physics, in the units in which it is written down.

Amounts are floating point, but each is a whole number below 2**53, which floating point holds
exactly, and a limit is compared with a product and never with a quotient. So nothing is decided by
rounding. `stimulation_second` does the same another way, and must agree.

Two roundings are there on purpose and both are against the request: the charge of a phase is
rounded up to a whole picocoulomb, and the largest charge by Shannon's line down to one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from .stimulation import CLINICIAN, Broken, Rule, Situation, StimulationRequest
from .stimulation_limits import Contact, Size, StimulationLimits

DAY_NS = 86_400_000_000_000

# Beyond these nothing is a request: no stimulator does it, and floats would not hold the products.
_MOST = {
    "amplitude_na": 50_000_000, "width_ns": 10_000_000, "second_amplitude_na": 50_000_000,
    "second_width_ns": 10_000_000, "gap_ns": 10_000_000, "rate_millihz": 1_000_000,
    "duration_us": 60_000_000,
}  # fmt: skip
_MAY_BE_ZERO = ("second_amplitude_na", "second_width_ns", "gap_ns")


def phase_charge_pc(request: StimulationRequest) -> int:
    """Charge of the larger phase.

    Parameters
    ----------
    request : StimulationRequest
        Of sound form.

    Returns
    -------
    charge_pc : int
        In picocoulombs, rounded up.
    """
    first_ac, second_ac = _phases_ac(request)
    return math.ceil(max(first_ac, second_ac) / 1e6)


def pulses_of(request: StimulationRequest) -> int:
    """How many pulses a train has: one at its beginning, and one more for each period it lasts.

    Parameters
    ----------
    request : StimulationRequest
        Of sound form.

    Returns
    -------
    n_pulses : int
        At least 1.
    """
    return math.ceil(float(request.duration_us) * request.rate_millihz / 1e9)


def shannon_charge_pc(area_um2: int, k_hundredths: int) -> int:
    """Largest charge of a phase for which log10(Q D) is at most k.

    With Q in uC and D = Q / A in uC/cm2 that is the square root of 10**k times A.

    Parameters
    ----------
    area_um2 : int
        Of the contact.
    k_hundredths : int
        A hundred times k.

    Returns
    -------
    charge_pc : int
        In picocoulombs, rounded down.

    Examples
    --------
    >>> shannon_charge_pc(5_026_548, 150)  # 1.26 uC for the contact of a depth electrode
    1260767
    """
    # sqrt(10**k * A[cm2]) uC, with A in um2 and the result in pC: 1e6 / sqrt(1e8) = 100.
    return math.floor(100.0 * math.sqrt(10.0 ** (k_hundredths / 100) * area_um2))


def broken_rules(
    request: StimulationRequest,
    limits: StimulationLimits,
    contacts: Mapping[str, Contact],
    situation: Situation,
) -> tuple[Broken, ...]:
    """Say everything that speaks against a request.

    Parameters
    ----------
    request : StimulationRequest
        What is asked for.
    limits : StimulationLimits
        What no train may exceed.
    contacts : mapping of str to Contact
        By name.
    situation : Situation
        What else counts.

    Returns
    -------
    broken : tuple of Broken
        In the order of `Rule`; empty if the train may be delivered. Where the form is wrong there
        is nothing else to be said.
    """
    if not _sound(request):
        return (Broken(rule=Rule.FORM),)
    named = (*request.anodes, *request.cathodes)
    usable = [contacts[name] for name in named if name in contacts and name in limits.allowed]
    found = [
        *(
            Broken(rule=Rule.CONTACT, contact=name)
            for name in named
            if name not in contacts or name not in limits.allowed
        ),
        *_of_the_moment(request, limits, situation),
        *_of_a_phase(request, limits, usable),
        *_of_the_train(request, limits),
        *_of_the_day(request, limits, usable, situation),
    ]
    order = list(Rule)
    return tuple(sorted(found, key=lambda broken: order.index(broken.rule)))


def _sound(request: StimulationRequest) -> bool:
    for name, most in _MOST.items():
        value = getattr(request, name)
        if type(value) is not int or not (0 if name in _MAY_BE_ZERO else 1) <= value <= most:
            return False
    named = [*request.anodes, *request.cathodes]
    whole = type(request.requested_ns) is int
    return whole and bool(request.anodes and request.cathodes) and len(set(named)) == len(named)


def _of_the_moment(
    request: StimulationRequest, limits: StimulationLimits, now: Situation
) -> Iterator[Broken]:
    if now.stopped:
        yield Broken(rule=Rule.STOPPED)
    if now.seizure:
        yield Broken(rule=Rule.SEIZURE)
    if not now.armed:
        yield Broken(rule=Rule.ARMED)
    given = now.permission
    if given is None or given.role != CLINICIAN or not given.second_factor:
        yield Broken(rule=Rule.PERMISSION)
    elif now.loop_ns >= given.enabled_until_ns:
        over_s = (now.loop_ns - given.enabled_until_ns) / 1e9
        yield Broken(rule=Rule.PERMISSION, got=over_s, unit="s after its end")
    age_ns = now.loop_ns - request.requested_ns
    if not 0 <= age_ns <= limits.age_us * 1000:
        yield Broken(rule=Rule.AGE, got=age_ns / 1e9, allowed=limits.age_us / 1e6, unit="s")
    ahead_ns = max((train.end_ns - now.dose_ns for train in now.past), default=0)
    if ahead_ns > 0:
        yield Broken(rule=Rule.CLOCK, got=ahead_ns / 1e9, unit="s back")
    if not now.ledger_ready:
        yield Broken(rule=Rule.LEDGER)
    if not now.device_ready:
        yield Broken(rule=Rule.DEVICE)


def _of_a_phase(
    request: StimulationRequest, limits: StimulationLimits, usable: list[Contact]
) -> Iterator[Broken]:
    charge_pc = float(phase_charge_pc(request))
    for contact in usable:
        micro = contact.size == Size.MICRO
        most_pc = limits.micro_charge_pc if micro else limits.macro_charge_pc
        if charge_pc > most_pc:
            yield Broken(
                rule=Rule.CHARGE, got=charge_pc / 1e6, allowed=most_pc / 1e6, unit="uC",
                contact=contact.name,
            )  # fmt: skip
        # 1 nC/cm2 is 1e-5 pC/um2.
        if charge_pc * 1e5 > float(limits.density_nc_cm2) * contact.area_um2:
            yield Broken(
                rule=Rule.DENSITY, got=charge_pc / 1e6 / contact.area_cm2,
                allowed=limits.density_nc_cm2 / 1e3, unit="uC/cm2", contact=contact.name,
            )  # fmt: skip
        if charge_pc > shannon_charge_pc(contact.area_um2, limits.shannon_k_hundredths):
            k = math.log10((charge_pc / 1e6) ** 2 / contact.area_cm2)
            yield Broken(
                rule=Rule.SHANNON, got=k, allowed=limits.shannon_k_hundredths / 100, unit="(k)",
                contact=contact.name,
            )  # fmt: skip
    first_ac, second_ac = _phases_ac(request)
    smaller_ac, apart_ac = min(first_ac, second_ac), abs(first_ac - second_ac)
    if apart_ac * 1000.0 > smaller_ac * limits.imbalance_permille:
        yield Broken(
            rule=Rule.BALANCE, got=100 * apart_ac / max(smaller_ac, 1.0),
            allowed=limits.imbalance_permille / 10, unit="%",
        )  # fmt: skip


def _of_the_train(request: StimulationRequest, limits: StimulationLimits) -> Iterator[Broken]:
    rate_hz, most_hz = request.rate_millihz / 1e3, limits.rate_millihz / 1e3
    if request.rate_millihz > limits.rate_millihz:
        yield Broken(rule=Rule.RATE, got=rate_hz, allowed=most_hz, unit="Hz")
    flows_ns = float(request.width_ns + request.second_width_ns)
    lasts_ns = flows_ns + request.gap_ns
    if lasts_ns * request.rate_millihz > 1e12:
        yield Broken(rule=Rule.OVERLAP, got=lasts_ns / 1e6, allowed=1e3 / rate_hz, unit="ms")
    if request.duration_us > limits.train_us:
        asked_s, most_s = request.duration_us / 1e6, limits.train_us / 1e6
        yield Broken(rule=Rule.TRAIN, got=asked_s, allowed=most_s, unit="s")
    if flows_ns * request.rate_millihz * 1000.0 > limits.pulse_duty_permille * 1e12:
        yield Broken(
            rule=Rule.PULSE_DUTY, got=flows_ns * rate_hz / 1e7,
            allowed=limits.pulse_duty_permille / 10, unit="%",
        )  # fmt: skip


def _of_the_day(
    request: StimulationRequest,
    limits: StimulationLimits,
    usable: list[Contact],
    now: Situation,
) -> Iterator[Broken]:
    since_ns = min((now.dose_ns - train.end_ns for train in now.past), default=None)
    if since_ns is not None and since_ns < limits.rest_us * 1000:
        rest_s, least_s = since_ns / 1e9, limits.rest_us / 1e6
        yield Broken(rule=Rule.REST, got=rest_s, allowed=least_s, unit="s at least")
    window_ns = limits.duty_window_us * 1000
    begin_ns = now.dose_ns + request.duration_us * 1000 - window_ns
    on_ns = float(request.duration_us) * 1000.0
    for train in now.past:
        on_ns += max(0, min(train.end_ns, now.dose_ns) - max(train.start_ns, begin_ns))
    if on_ns * 1000.0 > float(window_ns) * limits.duty_permille:
        share, most = 100 * on_ns / window_ns, limits.duty_permille / 10
        yield Broken(rule=Rule.DUTY, got=share, allowed=most, unit="% of a minute")
    adds_pc = float(phase_charge_pc(request)) * pulses_of(request)
    recent = [train for train in now.past if now.dose_ns - train.end_ns < DAY_NS]
    for contact in usable:
        had_pc = float(sum(train.charges_pc.get(contact.name, 0) for train in recent))
        if had_pc + adds_pc > limits.day_charge_nc * 1000.0:
            yield Broken(
                rule=Rule.DOSE, got=(had_pc + adds_pc) / 1e9, allowed=limits.day_charge_nc / 1e6,
                unit="mC in a day", contact=contact.name,
            )  # fmt: skip


def _phases_ac(request: StimulationRequest) -> tuple[float, float]:
    """Charge of both phases: nanoamperes times nanoseconds are attocoulombs."""
    return (
        float(request.amplitude_na) * request.width_ns,
        float(request.second_amplitude_na) * request.second_width_ns,
    )
