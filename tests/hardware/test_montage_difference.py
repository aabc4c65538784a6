"""What is plugged in otherwise than the file says is found, and called what it is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from diverloop.hardware.mapping import MappingConfig, mapping_of
from diverloop.hardware.montage import montage
from diverloop.hardware.montage_difference import Difference, differences
from diverloop.runtime.messages import Channel, StreamSpec
from diverloop.runtime.received import Sent

CAP = [channel.name for channel in montage("eeg64")]


def stream(names, **changes) -> StreamSpec:
    channels = tuple(Channel(name=name) for name in names)
    return StreamSpec(**({"name": "amp", "rate_hz": 500.0, "channels": channels} | changes))


def of(names) -> MappingConfig:
    return mapping_of(stream(names))


def only(mapping: MappingConfig, spec: StreamSpec) -> Difference:
    (found,) = differences(mapping, spec)
    return found


def test_a_stream_as_the_file_says_has_no_difference():
    assert differences(of(CAP), stream(CAP)) == ()


def test_a_missing_channel_is_named_with_the_nearest_there_is():
    found = differences(of(["C3", "Oz", "AUX1"]), stream(["C3", "Oz"]))
    assert [(one.what, one.channel, one.refused) for one in found] == [("missing", "AUX1", True)]
    hint = only(of(["LEFT1", "LEFT12"]), stream(["LEFT1"])).to_do
    assert "the nearest name is 'LEFT1'" in hint


@pytest.mark.parametrize("others", ["refuse", "drop"])
def test_an_extra_channel_is_refused_unless_the_file_drops_others(others):
    mapping = replace(of(["C3"]), others=others)
    found = only(mapping, stream(["C3", "AUX"]))
    assert (found.what, found.stream, found.refused) == ("extra", "row 2", others == "refuse")
    assert differences(replace(of(["C3"]), drop=("AUX",)), stream(["C3", "AUX"])) == ()


@pytest.mark.parametrize(
    ("before", "now"), [("Fp1", "FP1"), ("Fp1", "EEG Fp1-REF"), ("T3", "T7"), ("AUX1", "Trigger")]
)
def test_a_renamed_channel_is_told_by_its_electrode_or_its_place(before, now):
    found = only(of([before, "Cz"]), stream([now, "Cz"]))
    assert (found.what, found.file, found.stream) == ("renamed", before, now)


def test_another_electrode_at_the_same_place_is_not_called_a_new_name():
    found = differences(of(["Fp1", "Cz"]), stream(["Fp2", "Cz"]))
    assert [one.what for one in found] == ["missing", "extra"]


def test_two_exchanged_electrodes_are_one_difference():
    names = list(CAP)
    names[3], names[40] = names[40], names[3]
    found = only(of(CAP), stream(names))
    assert (found.what, found.channel) == ("order", f"{CAP[3]} and {CAP[40]}")
    assert found.file == "rows 4 and 41"
    assert found.refused


def test_two_exchanged_connectors_are_called_so():
    found = only(of(CAP), stream(CAP[32:] + CAP[:32]))
    assert found.channel == "rows 1 to 32 and rows 33 to 64"
    assert "Two connectors are exchanged" in found.to_do


def test_a_connector_the_wrong_way_round_is_called_so():
    found = only(of(CAP), stream(CAP[:16] + CAP[16:32][::-1] + CAP[32:]))
    assert found.channel == "rows 17 to 32"
    assert "turned round" in found.to_do


def test_a_connector_shifted_by_one_is_told_as_a_run_of_rows():
    found = differences(of(CAP), stream([CAP[-1], *CAP[:-1]]))
    assert [one.channel for one in found] == ["rows 1 to 63", "row 64"]
    assert found[0].stream == "1 rows later"
    assert "shifted" in found[0].to_do


def test_any_other_order_is_told_row_by_row():
    names = [*CAP[:10:2], *CAP[1:10:2], *CAP[10:]]
    found = differences(of(CAP), stream(names))
    assert {one.what for one in found} == {"order"}
    assert all(one.file.startswith("row ") and one.stream.startswith("row ") for one in found)


def test_the_order_does_not_matter_where_the_file_states_no_rows():
    mapping = of(CAP)
    free = tuple(replace(one, row=0) for one in mapping.channels)
    assert differences(replace(mapping, channels=free), stream(CAP[::-1])) == ()


def test_a_shaft_whose_contacts_are_numbered_one_further_is_one_difference():
    before = [f"LA{n}" for n in range(1, 11)] + ["RB1", "RB2"]
    now = [f"LA{n}" for n in range(2, 12)] + ["RB1", "RB2"]
    found = [one for one in differences(of(before), stream(now)) if one.what != "order"]
    assert [(one.what, one.channel) for one in found] == [("shifted", "shaft LA")]
    assert found[0].stream == "contacts are numbered 1 higher"


@pytest.mark.parametrize(("sent", "said"), [(1000.0, "mV"), (0.0488, "a resolution"), (1e6, "V")])
def test_another_unit_is_refused(sent, said):
    spec = stream(["C3"], sent=Sent(dtype="<f4", microvolts=(sent,)))
    found = only(of(["C3"]), spec)
    assert (found.what, found.file, found.stream, found.refused) == ("unit", "uV", said, True)


def test_a_unit_may_be_spelt_in_any_way():
    mapping = of(["C3"])
    (channel,) = mapping.channels
    spelt = replace(mapping, channels=(replace(channel, unit="microvolts"),))
    assert differences(spelt, stream(["C3"])) == ()


@pytest.mark.parametrize(("x_mm", "told"), [(4.0, False), (10.0, True)])
def test_a_place_is_told_of_from_five_millimetres_and_refused_by_nobody(x_mm, told):
    mapping = of(["C3"])
    (channel,) = mapping.channels
    mapping = replace(mapping, channels=(replace(channel, position_mm=(x_mm, 0.0, 0.0)),))
    spec = stream(["C3"], channels=(Channel(name="C3", position_m=(0.0, 0.0, 0.0)),))
    found = differences(mapping, spec)
    assert [one.what for one in found] == ["position"] * told
    assert not any(one.refused for one in found)
    assert all("10 mm away" in one.stream for one in found)


def test_a_label_that_the_stream_has_twice_is_refused():
    found = differences(of(["C3", "C4"]), stream(["C3", "C3", "C4"]))
    assert found[0].what == "twice"
    assert found[0].sentence() == "C3: twice (file: once; stream: 2 times)"
