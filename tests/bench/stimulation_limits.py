"""A million requests for stimulation, random ones and ones at the edge of a limit: how many escape?

Two checks judge each (`runtime.stimulation_check` and `runtime.stimulation_second`). A third, in
this file, says plainly and in the usual units whether any limit is exceeded: it uses fractions and
the limits as they stand in the requirement, knows nothing of picocoulombs, and rounds nothing. An
escape is a request that a check allows although the third sees a limit exceeded; there must be
none. What the checks deny although the third sees nothing is counted too: they round against the
request, by a picocoulomb at most, so near an edge there may be a few.

Run with ``python tests/bench/stimulation_limits.py --cases 1000000 --seed 1``; it takes some
minutes on one core and prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from collections import Counter
from dataclasses import replace
from fractions import Fraction

from diverloop.runtime.stimulation import PastTrain, Situation, StimulationRequest
from diverloop.runtime.stimulation_check import broken_rules, shannon_charge_pc
from diverloop.runtime.stimulation_limits import StimulationLimits
from diverloop.runtime.stimulation_second import denied_by
from diverloop.tests.stimulating import CLEAR, CONTACTS, DOSE_NS, LIMITS, LOOP_NS, PERMISSION

NS = 10**9
NAMES = tuple(CONTACTS)
TIGHT = StimulationLimits(
    allowed=NAMES, shannon_k_hundredths=100, density_nc_cm2=15_000, macro_charge_pc=800_000,
    rate_millihz=130_000, train_us=1_000_000, rest_us=30_000_000, day_charge_nc=1_000_000,
    imbalance_permille=1, pulse_duty_permille=50, duty_permille=50,
)  # fmt: skip
SOME = StimulationLimits(allowed=NAMES[:3], shannon_k_hundredths=137)


def exceeds(request: StimulationRequest, limits: StimulationLimits, now: Situation) -> set[str]:
    """Which limits are exceeded, straight from the requirement."""
    wrong = set()
    first = Fraction(request.amplitude_na * request.width_ns, 10**12)  # uC
    second = Fraction(request.second_amplitude_na * request.second_width_ns, 10**12)
    charge_uc = max(first, second)
    rate_hz = Fraction(request.rate_millihz, 1000)
    train_s = Fraction(request.duration_us, 10**6)
    for name in request.anodes + request.cathodes:
        if name not in limits.allowed or name not in CONTACTS:
            wrong.add("contact")
            continue
        contact = CONTACTS[name]
        area_cm2 = Fraction(contact.area_um2, 10**8)
        cap_pc = limits.micro_charge_pc if contact.size == "micro" else limits.macro_charge_pc
        if charge_uc * 10**6 > cap_pc:
            wrong.add("charge")
        if charge_uc / area_cm2 > Fraction(limits.density_nc_cm2, 1000):
            wrong.add("density")
        k = math.log10(charge_uc * charge_uc / area_cm2)
        if k > limits.shannon_k_hundredths / 100 + 1e-14:  # a logarithm is not exact
            wrong.add("shannon")
        used = sum(
            train.charges_pc.get(name, 0) for train in now.past
            if now.dose_ns - train.end_ns < 86_400 * NS
        )  # fmt: skip
        pulses = math.ceil(train_s * rate_hz)
        if Fraction(used, 10**6) + pulses * charge_uc > limits.day_charge_nc * 1000 / Fraction(
            10**6
        ):
            wrong.add("dose")
    if abs(first - second) > min(first, second) * limits.imbalance_permille / 1000:
        wrong.add("balance")
    return wrong | _of_time(request, limits, now, rate_hz, train_s)


def _of_time(request, limits, now, rate_hz, train_s) -> set[str]:
    flows_s = Fraction(request.width_ns + request.second_width_ns, NS)
    window_s = Fraction(limits.duty_window_us, 10**6)
    ends_s = Fraction(now.dose_ns, NS) + train_s
    taken_s = train_s
    for train in now.past:
        begin_s = max(Fraction(train.start_ns, NS), ends_s - window_s)
        taken_s += max(Fraction(0), Fraction(train.end_ns, NS) - begin_s)
    least_s = min((now.dose_ns - train.end_ns for train in now.past), default=math.inf)
    given = now.permission
    allowed = given and given.role == "clinician" and given.second_factor
    checks = {
        "rate": request.rate_millihz > limits.rate_millihz,
        "train": request.duration_us > limits.train_us,
        "overlap": flows_s + Fraction(request.gap_ns, NS) > 1 / rate_hz,
        "pulse_duty": flows_s * rate_hz > Fraction(limits.pulse_duty_permille, 1000),
        "duty": taken_s > window_s * limits.duty_permille / 1000,
        "rest": least_s < limits.rest_us * 1000,
        "clock": least_s < 0,
        "armed": not now.armed, "stopped": now.stopped, "seizure": now.seizure,
        "ledger": not now.ledger_ready, "device": not now.device_ready,
        "permission": not allowed or given.enabled_until_ns <= now.loop_ns,
        "age": not 0 <= now.loop_ns - request.requested_ns <= limits.age_us * 1000,
    }  # fmt: skip
    return {name for name, wrong in checks.items() if wrong}


# ------------------------------------------------------------------------------------ what is asked


def any_case(rng: random.Random) -> tuple[StimulationRequest, StimulationLimits, Situation]:
    """A request, limits and a moment, most of them not far from what is allowed."""
    limits = rng.choice((LIMITS, LIMITS, TIGHT, SOME))
    names = rng.sample(
        NAMES if rng.random() < 0.9 else (*NAMES, "nobody"), rng.choice((2, 2, 2, 3))
    )
    width_ns = rng.choice((100_000, 200_000, 210_000, 333_333, rng.randint(1_000, 1_000_000)))
    amplitude_na = _amplitude(rng, names, limits, width_ns)
    second_width_ns, second_na = width_ns, amplitude_na
    if rng.random() < 0.3:  # a longer and lower second phase, more or less balanced
        second_width_ns = width_ns * rng.randint(1, 4)
        off = rng.choice((990, 999, 1000, 1001, 1010, 1020)) / 1000
        second_na = round(amplitude_na * width_ns * off / second_width_ns) + rng.randint(-1, 1)
    request = StimulationRequest(
        anodes=tuple(names[:1]), cathodes=tuple(names[1:]),
        amplitude_na=amplitude_na, width_ns=width_ns,
        second_amplitude_na=max(0, second_na), second_width_ns=second_width_ns,
        gap_ns=rng.choice((0, 0, 50_000)),
        rate_millihz=_near(rng, limits.rate_millihz, (1_000, 50_000, 130_000)),
        duration_us=_near(rng, limits.train_us, (1, 100_000, 500_000, 1_000_000)),
        requested_ns=LOOP_NS - rng.choice((0, 0, 0, 0, 1_000, 500_000_000, 500_000_001, -1)),
    )  # fmt: skip
    return _stretched(rng, request, limits), limits, _moment(rng, request, limits)


def _near(rng: random.Random, limit: int, others: tuple[int, ...]) -> int:
    return rng.choice((limit + rng.randint(-1, 1), rng.randint(1, limit), *others))


def _amplitude(
    rng: random.Random, names: list[str], limits: StimulationLimits, width_ns: int
) -> int:
    """Near one of the limits of a phase at one of the contacts, below it, or anything."""
    contact = CONTACTS.get(rng.choice(names), CONTACTS["LA1"])
    kind, area = rng.random(), contact.area_um2
    edge_pc = rng.choice((
        shannon_charge_pc(area, limits.shannon_k_hundredths),
        limits.density_nc_cm2 * area // 100_000,
        limits.micro_charge_pc, limits.macro_charge_pc,
    ))  # fmt: skip
    if kind < 0.4:
        return max(1, edge_pc * 10**6 // width_ns + rng.randint(-2, 2))
    if kind < 0.9:
        return max(1, int(edge_pc * 10**6 // width_ns * rng.random()))
    return rng.randint(1, 50_000_000)


def _stretched(rng, request, limits) -> StimulationRequest:
    """Sometimes with widths or gaps at the edge of what a period holds."""
    kind = rng.random()
    if kind < 0.05:  # current flows for just about the allowed share
        on_ns = limits.pulse_duty_permille * 10**9 // request.rate_millihz
        width_ns = min(10_000_000, max(1, on_ns // 2))
        return replace(
            request, width_ns=width_ns,
            second_width_ns=min(10_000_000, max(0, on_ns - width_ns + rng.randint(-1, 1))),
        )  # fmt: skip
    if kind < 0.1:  # a pulse just about fills its period
        left_ns = 10**12 // request.rate_millihz - request.width_ns - request.second_width_ns
        return replace(request, gap_ns=min(10_000_000, max(0, left_ns + rng.randint(-1, 1))))
    return request


def _moment(
    rng: random.Random, request: StimulationRequest, limits: StimulationLimits
) -> Situation:
    situation = replace(CLEAR, past=_past(rng, request, limits))
    kind = rng.random()
    if kind < 0.8:
        return situation
    name = rng.choice(("armed", "stopped", "seizure", "ledger_ready", "device_ready", "permission"))
    if name != "permission":
        return replace(situation, **{name: not getattr(situation, name)})
    given = rng.choice((
        None, replace(PERMISSION, role="operator"), replace(PERMISSION, second_factor=False),
        replace(PERMISSION, enabled_until_ns=LOOP_NS + rng.randint(-1, 1)),
    ))  # fmt: skip
    return replace(situation, permission=given)


def _past(rng, request, limits) -> tuple[PastTrain, ...]:
    trains, before_ns = [], rng.choice((
        limits.rest_us * 1000 + rng.randint(-1, 1), rng.randint(0, 90_000 * NS), 86_400 * NS,
        86_400 * NS - 1, rng.randint(10 * NS, 80 * NS), rng.randint(-2, 2),
    ))  # fmt: skip
    pulses = -(-request.duration_us * request.rate_millihz // 10**9)
    adds_pc = -(-request.amplitude_na * request.width_ns // 10**6) * pulses
    for _ in range(rng.choice((0, 0, 1, 1, 2, 3))):
        lasts_ns = rng.choice((rng.randint(0, 5 * NS), 1_000 * request.duration_us, NS))
        end_ns = DOSE_NS - before_ns
        edge_pc = max(0, limits.day_charge_nc * 1000 - adds_pc + rng.randint(-1, 1))
        charge = rng.choice((0, rng.randint(0, 10**9), edge_pc, edge_pc // 2))
        charges = {name: charge for name in rng.sample(NAMES, 2)}
        trains.append(PastTrain(start_ns=end_ns - lasts_ns, end_ns=end_ns, charges_pc=charges))
        before_ns += lasts_ns + rng.randint(0, 60 * NS)
    if trains and rng.random() < 0.1:  # all together take just about the allowed share
        rest_ns = limits.duty_window_us * limits.duty_permille - 1_000 * request.duration_us
        lasts_ns = max(0, rest_ns + rng.randint(-1, 1))
        end_ns = DOSE_NS - limits.rest_us * 1000
        trains = [PastTrain(start_ns=end_ns - lasts_ns, end_ns=end_ns, charges_pc={})]
    return tuple(trains)


def judge(cases: int, seed: int) -> dict[str, object]:
    """Ask for `cases` trains; count what became of them."""
    rng, began_s = random.Random(seed), time.perf_counter()
    reasons: Counter[str] = Counter()
    alone: Counter[str] = Counter()
    escapes = missed = disagreements = allowed = stricter = checks_ns = 0
    for _ in range(cases):
        request, limits, situation = any_case(rng)
        before_ns = time.perf_counter_ns()
        first = {str(b.rule) for b in broken_rules(request, limits, CONTACTS, situation)}
        second = denied_by(request, limits, CONTACTS, situation)
        checks_ns += time.perf_counter_ns() - before_ns
        wrong = exceeds(request, limits, situation)
        disagreements += first != second
        escapes += bool(wrong) and not (first and second)
        missed += "form" not in first and bool(wrong - first)
        stricter += bool(first - wrong - {"form"})
        allowed += not first
        reasons.update(first)
        if len(first) == 1:
            alone.update(first)
    return {
        "cases": cases,
        "seed": seed,
        "escapes": escapes,
        "denied_but_a_limit_unnamed": missed,
        "disagreements": disagreements,
        "allowed": allowed,
        "denied": cases - allowed,
        "denied_by_rounding_against_the_request": stricter,
        "denied_by": dict(reasons.most_common()),
        "denied_by_this_rule_alone": dict(alone.most_common()),
        "both_checks_us": round(checks_ns / cases / 1000, 1),
        "seconds": round(time.perf_counter() - began_s, 1),
    }


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(json.dumps(judge(options.cases, options.seed), indent=2))


if __name__ == "__main__":
    main()
