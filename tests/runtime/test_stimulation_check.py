"""Each limit just below, at and just above; and what holds of both checks whatever is asked."""

from __future__ import annotations

import ast
import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diverloop.runtime import stimulation_second
from diverloop.runtime.stimulation import Rule
from diverloop.runtime.stimulation_check import (
    broken_rules,
    phase_charge_pc,
    pulses_of,
    shannon_charge_pc,
)
from diverloop.runtime.stimulation_limits import CEILINGS, StimulationLimits
from diverloop.runtime.stimulation_second import charge_on_the_line_pc, denied_by

from ..stimulating import (
    CLEAR,
    CONTACTS,
    DOSE_NS,
    LIMITS,
    LOOP_NS,
    MODEST,
    PERMISSION,
    past,
    phases,
)


def judged(request, situation=CLEAR, limits=LIMITS, contacts=CONTACTS) -> set[str]:
    """What speaks against a request, by both checks, which must say the same."""
    first = {str(one.rule) for one in broken_rules(request, limits, contacts, situation)}
    assert first == denied_by(request, limits, contacts, situation)
    return first


def test_a_modest_train_is_allowed_by_both():
    assert judged(MODEST) == set()


# ------------------------------------------------------------------------------ worked examples


def test_the_worked_contact_of_a_depth_electrode():
    """3 mA for 0.3 ms through 0.8 mm x 2 mm: 0.9 uC, 17.9 uC/cm2, k 1.21."""
    area_cm2 = CONTACTS["LA1"].area_cm2
    charge_uc = phase_charge_pc(phases(3_000_000, 300_000)) / 1e6
    assert area_cm2 == pytest.approx(0.0503, abs=5e-5)
    assert charge_uc == 0.9
    assert charge_uc / area_cm2 == pytest.approx(17.9, abs=0.05)
    assert math.log10(charge_uc**2 / area_cm2) == pytest.approx(1.21, abs=0.005)
    assert judged(phases(3_000_000, 300_000)) == set()


def test_the_line_of_shannon_gives_what_was_worked_out_by_hand():
    depth, disc = CONTACTS["LA1"].area_um2, CONTACTS["G1"].area_um2
    assert shannon_charge_pc(depth, 150) / 1e6 == pytest.approx(1.26, abs=0.005)
    assert shannon_charge_pc(disc, 150) / 1e6 == pytest.approx(1.15, abs=0.005)
    assert CONTACTS["G1"].area_cm2 == pytest.approx(0.0415, abs=5e-5)
    # By k = 1.85, where damage was seen, the density has long been beyond 30 uC/cm2.
    assert charge_on_the_line_pc(depth, 185) / 1e6 == pytest.approx(1.89, abs=0.005)
    assert charge_on_the_line_pc(depth, 185) / 1e6 / 0.0503 > 30


# ---------------------------------------------------------------------- each limit, and around it

LINE_PC = shannon_charge_pc(CONTACTS["LA1"].area_um2, 150)
MICRO = {"anodes": ("u1",), "cathodes": ("big",)}
LOOSE = {"rate_millihz": 1_000, "duration_us": 1_000}
# Charges in pC: a current in nA for 1 ms. Micro contact u1: the line allows 6887 pC, its area 4500.
BY_CHARGE = [
    ("shannon", "LA1", LINE_PC), ("shannon", "G1", 1_146_232), ("charge", "u1", 4_000),
    ("charge", "big", 2_000_000), ("density", "u2", 600),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "name", "most_pc"), BY_CHARGE)
@pytest.mark.parametrize("off_pc", [-1, 0, 1])
def test_the_charge_of_a_phase_at_each_contact(rule, name, most_pc, off_pc):
    other = "big" if name != "big" else "LA1"
    request = phases(most_pc + off_pc, 1_000_000, anodes=(name,), cathodes=(other,), **LOOSE)
    found = [
        one.rule for one in broken_rules(request, LIMITS, CONTACTS, CLEAR) if one.contact == name
    ]
    judged(request)
    assert found == ([Rule(rule)] if off_pc > 0 else [])


def test_a_part_of_a_picocoulomb_counts_as_a_whole_one():
    at = phases(4_000, 1_000_000, **MICRO, **LOOSE)
    assert judged(at) == set()
    assert judged(replace(at, second_amplitude_na=4_001, second_width_ns=999_751)) == {"charge"}
    assert phase_charge_pc(phases(1, 1)) == 1


@pytest.mark.parametrize(
    ("second_ns", "denied"),
    [(99_009, True), (99_010, False), (100_000, False), (101_000, False), (101_001, True)],
)
def test_the_phases_balance_to_a_hundredth_of_the_smaller(second_ns, denied):
    request = replace(phases(1_000_000, 100_000), second_width_ns=second_ns)
    assert judged(request) == ({"balance"} if denied else set())


def test_a_pulse_with_one_phase_is_denied():
    assert judged(replace(MODEST, second_amplitude_na=0)) == {"balance"}
    assert judged(replace(MODEST, second_width_ns=0)) == {"balance"}


@pytest.mark.parametrize(
    ("name", "most", "rule"),
    [("rate_millihz", 200_000, "rate"), ("duration_us", 5_000_000, "train")],
)
@pytest.mark.parametrize("off", [-1, 0, 1])
def test_rate_and_train_are_allowed_up_to_their_limit(name, most, rule, off):
    assert judged(replace(MODEST, **{name: most + off})) == ({rule} if off > 0 else set())


@pytest.mark.parametrize("off_ns", [-1, 0, 1])
def test_a_pulse_ends_before_the_next_begins(off_ns):
    request = replace(MODEST, gap_ns=9_600_000 + off_ns)  # 0.2 + 9.6 + 0.2 ms at 100 Hz
    assert judged(request) == ({"overlap"} if off_ns > 0 else set())


@pytest.mark.parametrize("off_ns", [-1, 0, 1])
def test_current_flows_for_a_tenth_of_the_train(off_ns):
    request = phases(100_000, 500_000)  # 2 x 0.5 ms at 100 Hz
    request = replace(request, second_width_ns=500_000 + off_ns)
    assert judged(request) == ({"pulse_duty"} if off_ns > 0 else set())


@pytest.mark.parametrize("off_ns", [-1, 0, 1])
def test_ten_seconds_pass_between_trains(off_ns):
    situation = replace(CLEAR, past=(past(10 - off_ns / 1e9),))
    assert judged(MODEST, situation) == ({"rest"} if off_ns > 0 else set())


@pytest.mark.parametrize("off_us", [-1, 0, 1])
def test_trains_take_a_tenth_of_any_minute(off_us):
    situation = replace(CLEAR, past=(past(20, 3), past(40, 2)))
    request = replace(MODEST, duration_us=1_000_000 + off_us)
    assert judged(request, situation) == ({"duty"} if off_us > 0 else set())


def test_a_train_that_ended_a_minute_ago_takes_nothing_of_this_minute():
    """The minute ends with the train that is asked for: one of 5 s leaves 1 s to all others."""
    asked = replace(MODEST, duration_us=5_000_000)
    assert judged(asked, replace(CLEAR, past=(past(55, 30),))) == set()
    assert judged(asked, replace(CLEAR, past=(past(54, 30),))) == set()
    assert judged(asked, replace(CLEAR, past=(past(53.999, 30),))) == {"duty"}


@pytest.mark.parametrize("off_pc", [-1, 0, 1])
def test_a_contact_has_its_charge_of_a_day(off_pc):
    left_pc = 200_000 * 100
    had_pc = LIMITS.day_charge_nc * 1000 - left_pc + off_pc
    for name in ("LA1", "LA2"):
        situation = replace(CLEAR, past=(past(3600, **{name: had_pc}), past(100, u1=10**15)))
        assert judged(MODEST, situation) == ({"dose"} if off_pc > 0 else set())


@pytest.mark.parametrize(("off_ns", "denied"), [(-1, True), (0, False), (1, False)])
def test_a_day_later_a_dose_is_forgotten(off_ns, denied):
    situation = replace(CLEAR, past=(past(86_400, LA1=LIMITS.day_charge_nc * 1000),))
    situation = replace(situation, dose_ns=DOSE_NS + off_ns)
    assert judged(MODEST, situation) == ({"dose"} if denied else set())


@pytest.mark.parametrize(
    ("age_ns", "denied"),
    [(-1, True), (0, False), (500_000_000, False), (500_000_001, True)],
)
def test_a_request_is_carried_out_at_once_or_not_at_all(age_ns, denied):
    request = replace(MODEST, requested_ns=LOOP_NS - age_ns)
    assert judged(request) == ({"age"} if denied else set())


@pytest.mark.parametrize("off_ns", [-1, 0, 1])
def test_a_clock_behind_the_ledger_denies(off_ns):
    situation = replace(CLEAR, past=(past(0, LA1=1), past(500)), dose_ns=DOSE_NS - off_ns)
    assert ("clock" in judged(MODEST, situation)) == (off_ns > 0)


@pytest.mark.parametrize(
    ("change", "rules"),
    [
        ({"armed": False}, {"armed"}),
        ({"stopped": True}, {"stopped"}),
        ({"seizure": True}, {"seizure"}),
        ({"ledger_ready": False}, {"ledger"}),
        ({"device_ready": False}, {"device"}),
        ({"permission": None}, {"permission"}),
        ({"permission": replace(PERMISSION, role="operator")}, {"permission"}),
        ({"permission": replace(PERMISSION, role="")}, {"permission"}),
        ({"permission": replace(PERMISSION, second_factor=False)}, {"permission"}),
        ({"permission": replace(PERMISSION, enabled_until_ns=LOOP_NS)}, {"permission"}),
        ({"permission": replace(PERMISSION, enabled_until_ns=LOOP_NS + 1)}, set()),
    ],
)
def test_each_condition_of_the_moment_denies_by_itself(change, rules):
    assert judged(MODEST, replace(CLEAR, **change)) == rules


def test_a_situation_of_which_nothing_is_said_allows_nothing():
    situation = type(CLEAR)(loop_ns=LOOP_NS, dose_ns=DOSE_NS)
    assert judged(MODEST, situation) == {
        "armed", "stopped", "seizure", "ledger", "device", "permission",
    }  # fmt: skip


def test_no_contact_is_allowed_until_it_is_named():
    assert judged(MODEST, limits=StimulationLimits()) == {"contact"}
    assert judged(MODEST, limits=StimulationLimits(allowed=("LA1",))) == {"contact"}
    assert judged(MODEST, limits=StimulationLimits(allowed=("LA1", "LA2"))) == set()
    assert judged(MODEST, contacts={"LA1": CONTACTS["LA1"]}) == {"contact"}


@pytest.mark.parametrize(
    "change",
    [
        {"anodes": ()}, {"cathodes": ()}, {"anodes": ("LA2",)}, {"cathodes": ("LA2", "LA2")},
        {"amplitude_na": 0}, {"amplitude_na": -1_000_000}, {"amplitude_na": 50_000_001},
        {"amplitude_na": 1e6}, {"amplitude_na": math.nan}, {"amplitude_na": True},
        {"amplitude_na": "1"}, {"amplitude_na": None}, {"width_ns": 10_000_001},
        {"second_amplitude_na": -1}, {"second_width_ns": math.inf}, {"gap_ns": -1},
        {"rate_millihz": 0}, {"rate_millihz": 1_000_001}, {"duration_us": 0},
        {"duration_us": 60_000_001}, {"requested_ns": 4e10},
    ],
)  # fmt: skip
def test_what_is_no_request_is_denied_for_its_form_alone(change):
    request = replace(MODEST, **change)
    assert judged(request) == {"form"}
    assert request.sentence()


def test_a_denial_says_what_was_got_and_what_is_allowed():
    (one,) = broken_rules(replace(MODEST, rate_millihz=250_000), LIMITS, CONTACTS, CLEAR)
    assert one.sentence() == "rate: got 250, allowed 200 Hz"
    strong = phases(1_200_000, 1_000_000, **LOOSE, cathodes=("G1",))
    (one,) = broken_rules(strong, LIMITS, CONTACTS, CLEAR)
    assert one.sentence().startswith("shannon at G1: got 1.53")


def test_denials_come_in_the_order_of_the_rules():
    bad = replace(MODEST, rate_millihz=900_000, duration_us=9_000_000, anodes=("nobody",))
    rules = [one.rule for one in broken_rules(bad, LIMITS, CONTACTS, replace(CLEAR, armed=False))]
    assert rules == sorted(rules, key=list(Rule).index)
    assert rules[0] is Rule.CONTACT


# ------------------------------------------------------------------------------ what always holds

NAMES = tuple(CONTACTS)
FEW = settings(max_examples=30)  # a million of them are in tests/bench/stimulation_limits.py


@st.composite
def requests(draw):
    ends = draw(st.lists(st.sampled_from((*NAMES, "nobody")), min_size=2, max_size=5, unique=True))
    cut = draw(st.integers(1, len(ends) - 1))
    width_ns = draw(st.integers(1_000, 1_500_000))
    amplitude_na = draw(st.sampled_from([500, 4_000, 900_000, 1_260_767, 3_000_000]))
    return phases(
        amplitude_na + draw(st.integers(-2, 2)),
        width_ns,
        anodes=tuple(ends[:cut]),
        cathodes=tuple(ends[cut:]),
        rate_millihz=draw(st.sampled_from([1_000, 50_000, 130_000, 200_000, 200_001])),
        duration_us=draw(st.integers(1, 6_000_000)),
        gap_ns=draw(st.integers(0, 100_000)),
    )


@st.composite
def situations(draw):
    trains = draw(
        st.lists(
            st.builds(
                past,
                st.integers(-1, 100_000),
                st.integers(0, 5),
                LA1=st.integers(0, 21_000_000_000),
                u1=st.integers(0, 2_000_000),
            ),
            max_size=4,
        )
    )
    return replace(
        CLEAR, past=tuple(trains), armed=draw(st.booleans()), seizure=draw(st.booleans())
    )


@FEW
@given(requests(), situations())
def test_both_checks_agree(request, situation):
    judged(request, situation)


@FEW
@given(requests(), situations(), st.integers(1, 40))
def test_more_current_never_makes_a_denied_train_allowed(request, situation, times):
    more = replace(
        request,
        amplitude_na=request.amplitude_na * times,
        second_amplitude_na=request.second_amplitude_na * times,
    )
    assert judged(request, situation) <= judged(more, situation) or judged(more) == {"form"}


@FEW
@given(requests(), situations(), st.integers(0, 3_000_000), st.integers(0, 100_000))
def test_a_longer_or_faster_train_never_makes_a_denied_one_allowed(request, situation, us, millihz):
    more = replace(
        request,
        duration_us=request.duration_us + us,
        rate_millihz=request.rate_millihz + millihz,
    )
    assert judged(request, situation) <= judged(more, situation)


@FEW
@given(requests(), situations(), st.randoms())
def test_the_order_of_contacts_and_of_past_trains_does_not_matter(request, situation, rng):
    anodes, trains = list(request.anodes), list(situation.past)
    rng.shuffle(anodes)
    rng.shuffle(trains)
    other = replace(request, anodes=tuple(anodes))
    shuffled = replace(situation, past=tuple(trains))
    assert judged(request, situation) == judged(other, shuffled)
    turned = replace(request, anodes=request.cathodes, cathodes=request.anodes)
    assert judged(request, situation) == judged(turned, situation)


@FEW
@given(requests(), situations(), st.data())
def test_stricter_limits_never_allow_what_the_usual_ones_deny(request, situation, data):
    tight = {
        name: data.draw(st.integers(low, high), label=name)
        for name, (low, high) in CEILINGS.items()
    }
    limits = StimulationLimits(allowed=LIMITS.allowed, **tight)
    assert judged(request, situation) <= judged(request, situation, limits)


@FEW
@given(requests(), situations())
def test_one_more_past_train_never_makes_a_denied_one_allowed(request, situation):
    more = replace(situation, past=(*situation.past, past(15, 2, LA1=5, big=5)))
    assert judged(request, situation) <= judged(request, more)


@FEW
@given(st.integers(1, 100_000_000), st.integers(0, 150))
def test_both_find_the_same_charge_on_the_line_of_shannon(area_um2, k_hundredths):
    charge_pc = shannon_charge_pc(area_um2, k_hundredths)
    assert charge_pc == charge_on_the_line_pc(area_um2, k_hundredths)
    if charge_pc > 100:
        area_cm2 = area_um2 / 1e8
        k = [math.log10(((charge_pc + d) / 1e6) ** 2 / area_cm2) for d in (0, 1)]
        assert k[0] <= k_hundredths / 100 + 1e-9
        assert k[1] > k_hundredths / 100 - 1e-9


@FEW
@given(st.integers(1, 60_000_000), st.integers(1, 1_000_000))
def test_a_train_has_the_pulses_that_begin_before_its_end(duration_us, rate_millihz):
    request = replace(MODEST, duration_us=duration_us, rate_millihz=rate_millihz)
    n = pulses_of(request)
    assert (n - 1) * 10**9 < duration_us * rate_millihz <= n * 10**9


def test_the_second_check_imports_nothing_of_diverloop():
    tree = ast.parse(Path(stimulation_second.__file__).read_text(encoding="utf-8"))
    brought = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert {getattr(node, "module", None) for node in brought} == {
        "__future__", "collections.abc", "functools", "typing",
    }  # fmt: skip
    constants = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    assert not any(type(value) is float for value in constants)
    assert not any(isinstance(node, ast.Div) for node in ast.walk(tree))
