"""The second check of a request: written from the requirement, sharing nothing with the first.

Whole numbers of any size and no floating point; each rule is a row of a table that says when it is
kept, ``amount <= limit``; Shannon's line is found by trying whole numbers. Nothing is imported from
the rest of diverloop: requests, limits and what else counts are read by the names of their
fields, so that a mistake in a shared routine cannot pass both checks.

A train is delivered only if its contacts are on the list; no emergency stop, suspected seizure or
disarmed guard stands against it; a clinician with a second factor has permitted it, and the
permission is not over; it is not older than its age allows; the ledger is known, is not ahead of
the clock and holds the cost; the device is ready; and charge, charge density and Shannon's k of the
larger phase, balance of the phases, rate, length of a pulse, length of the train, share of the
train with current, rest since the last train, share of a minute with trains, and charge of a day
and a contact are all within their limits.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

_Row = tuple[str, int, int]

_WHOLE = (
    ("amplitude_na", 1, 50 * 10**6), ("width_ns", 1, 10**7),
    ("second_amplitude_na", 0, 50 * 10**6), ("second_width_ns", 0, 10**7), ("gap_ns", 0, 10**7),
    ("rate_millihz", 1, 10**6), ("duration_us", 1, 60 * 10**6),
)  # fmt: skip


def denied_by(request: Any, limits: Any, contacts: Any, situation: Any) -> frozenset[str]:
    """Name everything that speaks against a request.

    Parameters
    ----------
    request, limits, contacts, situation : object
        As the first check takes them.

    Returns
    -------
    rules : frozenset of str
        Names of rules; empty if the train may be delivered.
    """
    if _misshapen(request):
        return frozenset({"form"})
    rows = (
        *_contact_rows(request, limits, contacts),
        *_moment_rows(request, limits, situation),
        *_train_rows(request, limits),
        *_history_rows(request, limits, contacts, situation),
    )
    return frozenset(name for name, amount, limit in rows if amount > limit)


@lru_cache(maxsize=1024)
def charge_on_the_line_pc(area_um2: int, k_hundredths: int) -> int:
    """Largest whole number of picocoulombs on or below Shannon's line.

    Parameters
    ----------
    area_um2 : int
        Of the contact.
    k_hundredths : int
        A hundred times k.

    Returns
    -------
    charge_pc : int
        The largest m with m**200 <= 10**(400 + 100 k) * area**100, which says the same as
        log10(Q D) <= k without a root or a logarithm.
    """
    bound = 10 ** (400 + k_hundredths) * area_um2**100
    below, above = 0, 1
    while above**200 <= bound:
        below, above = above, 2 * above
    while above - below > 1:
        middle = (below + above) // 2
        below, above = (middle, above) if middle**200 <= bound else (below, middle)
    return below


def _misshapen(request: Any) -> bool:
    ranges = [(getattr(request, name), low, high) for name, low, high in _WHOLE]
    odd = any(type(x) is not int or x < low or x > high for x, low, high in ranges)
    ends = list(request.anodes) + list(request.cathodes)
    twice = any(ends.count(name) > 1 for name in ends)
    missing = not request.anodes or not request.cathodes
    return odd or twice or missing or type(request.requested_ns) is not int


def _larger_phase_pc(request: Any) -> int:
    """Picocoulombs, rounded up."""
    first = request.amplitude_na * request.width_ns
    second = request.second_amplitude_na * request.second_width_ns
    charge: int = -(-(first if first > second else second) // 1_000_000)
    return charge


def _contact_rows(request: Any, limits: Any, contacts: Any) -> Iterator[_Row]:
    charge = _larger_phase_pc(request)
    for name in (*request.anodes, *request.cathodes):
        if name not in limits.allowed or name not in contacts:
            yield "contact", 1, 0
            continue
        area = contacts[name].area_um2
        caps = {"micro": limits.micro_charge_pc, "macro": limits.macro_charge_pc}
        yield "charge", charge, caps[str(contacts[name].size)]
        yield "density", 100_000 * charge, limits.density_nc_cm2 * area
        yield "shannon", charge, charge_on_the_line_pc(area, limits.shannon_k_hundredths)


def _moment_rows(request: Any, limits: Any, situation: Any) -> Iterator[_Row]:
    given = situation.permission
    left = 0
    if given is not None and given.second_factor and str(given.role) == "clinician":
        left = given.enabled_until_ns - situation.loop_ns
    age = situation.loop_ns - request.requested_ns
    yield "permission", 1, left
    yield "stopped", int(situation.stopped), 0
    yield "seizure", int(situation.seizure), 0
    yield "armed", 1, int(situation.armed)
    yield "age", age, 1000 * limits.age_us
    yield "age", -age, 0
    yield "ledger", 1, int(situation.ledger_ready)
    yield "device", 1, int(situation.device_ready)
    for train in situation.past:
        yield "clock", train.end_ns, situation.dose_ns


def _train_rows(request: Any, limits: Any) -> Iterator[_Row]:
    first = request.amplitude_na * request.width_ns
    second = request.second_amplitude_na * request.second_width_ns
    on = request.width_ns + request.second_width_ns
    rate = request.rate_millihz
    # Both phases within so many thousandths of each other, counted from either.
    yield "balance", (first - second) * 1000, second * limits.imbalance_permille
    yield "balance", (second - first) * 1000, first * limits.imbalance_permille
    yield "rate", rate, limits.rate_millihz
    yield "overlap", (on + request.gap_ns) * rate, 10**12
    yield "train", request.duration_us, limits.train_us
    yield "pulse_duty", on * rate, limits.pulse_duty_permille * 10**9


def _history_rows(request: Any, limits: Any, contacts: Any, situation: Any) -> Iterator[_Row]:
    now, lasts = situation.dose_ns, 1000 * request.duration_us
    window = 1000 * limits.duty_window_us
    on = lasts
    for train in situation.past:
        yield "rest", train.end_ns + 1000 * limits.rest_us, now
        overlap = min(now, train.end_ns) - max(now + lasts - window, train.start_ns)
        on += overlap if overlap > 0 else 0
    yield "duty", on * 1000, window * limits.duty_permille
    pulses = (request.duration_us * request.rate_millihz + 10**9 - 1) // 10**9
    adds = pulses * _larger_phase_pc(request)
    for name in (*request.anodes, *request.cathodes):
        if name in limits.allowed and name in contacts:
            before = sum(
                train.charges_pc[name]
                for train in situation.past
                if name in train.charges_pc and train.end_ns + 86_400 * 10**9 > now
            )
            yield "dose", before + adds, 1000 * limits.day_charge_nc
