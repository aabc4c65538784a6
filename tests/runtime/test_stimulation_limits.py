from __future__ import annotations

import pytest

from diverloop.runtime.errors import ConfigError
from diverloop.runtime.stimulation_limits import (
    CEILINGS,
    Contact,
    StimulationLimits,
    cylinder_um2,
    disc_um2,
)


@pytest.mark.parametrize(("name", "bounds"), CEILINGS.items())
def test_each_limit_can_be_made_stricter_and_never_looser(name, bounds):
    low, high = bounds
    for value in (low, high):
        assert getattr(StimulationLimits(**{name: value}), name) == value
    for value in (low - 1, high + 1, -1, float(high), True, None, 10**30):
        if value != low or type(value) is not int:
            with pytest.raises(ConfigError, match=f"limits.{name} must be a whole number in {low}"):
                StimulationLimits(**{name: value})


def test_every_number_of_the_limits_has_a_ceiling_and_the_defaults_are_the_loosest():
    numbers = {n for n in StimulationLimits.__dataclass_fields__ if n != "allowed"}
    assert CEILINGS.keys() == numbers
    usual = StimulationLimits()
    at_the_edge = {n: getattr(usual, n) in (low, high) for n, (low, high) in CEILINGS.items()}
    assert all(at_the_edge.values())
    assert usual.allowed == ()


@pytest.mark.parametrize("allowed", [("LA1", "LA1"), ("",)])
def test_a_list_of_contacts_names_each_once(allowed):
    with pytest.raises(ConfigError, match="different contacts"):
        StimulationLimits(allowed=allowed)


@pytest.mark.parametrize(
    "settings",
    [
        {"name": "", "area_um2": 2_000_000},
        {"name": "a", "area_um2": 999_999},
        {"name": "a", "area_um2": 100_000_001},
        {"name": "a", "area_um2": 0, "size": "micro"},
        {"name": "a", "area_um2": 2e6},
        {"name": "a", "area_um2": 2_000_000, "size": "huge"},
    ],
)
def test_a_contact_that_cannot_be_is_refused(settings):
    with pytest.raises(ConfigError, match="contact"):
        Contact(**settings)


def test_areas_are_rounded_down():
    assert cylinder_um2(0.8, 2.0) == 5_026_548  # 5.0265482 mm2
    assert disc_um2(2.3) == 4_154_756  # 4.1547563 mm2
    assert Contact(name="a", area_um2=5_026_548).area_cm2 == pytest.approx(0.050265, abs=1e-6)


@pytest.mark.parametrize("measure_mm", [0.0, -1.0, float("nan"), 101.0])
def test_a_contact_without_a_size_has_no_area(measure_mm):
    with pytest.raises(ConfigError, match="above 0 and at most 100 mm"):
        disc_um2(measure_mm)
    with pytest.raises(ConfigError, match="above 0 and at most 100 mm"):
        cylinder_um2(0.8, measure_mm)
