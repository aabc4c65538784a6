from __future__ import annotations

import pytest

from diverloop.runtime.errors import SourceError, UnitError
from diverloop.runtime.units import microvolts_per


@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        ("V", 1e6), ("volts", 1e6), ("Volt", 1e6),
        ("mV", 1e3), ("mv", 1e3), ("millivolts", 1e3),
        ("uV", 1.0), ("UV", 1.0), ("\N{MICRO SIGN}V", 1.0), ("\N{GREEK SMALL LETTER MU}V", 1.0),
        ("microvolts", 1.0), ("  microvolt ", 1.0),
        ("nV", 1e-3), ("nanovolts", 1e-3),
    ],
)  # fmt: skip
def test_voltages_are_known_by_every_name_in_use(unit, factor):
    assert microvolts_per(unit) == factor


@pytest.mark.parametrize("unit", ["", " ", "T", "fT", "degC", "u", "counts", "unknown", "V/m"])
def test_a_unit_that_is_no_voltage_is_refused_with_the_way_out(unit):
    with pytest.raises(UnitError, match=r"not known; allowed are V, mV, uV and nV") as caught:
        microvolts_per(unit)
    assert repr(unit) in str(caught.value)
    assert 'assume_unit = "uV"' in str(caught.value)
    assert isinstance(caught.value, SourceError)


def test_megavolts_are_not_taken_for_millivolts():
    with pytest.raises(UnitError, match="'MV'"):
        microvolts_per("MV")
