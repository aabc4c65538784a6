"""A mapping file is read, checked and written; what cannot be used is one sentence."""

from __future__ import annotations

import pytest

from diverloop.hardware.mapping import (
    MappedChannel,
    MappingConfig,
    mapping_of,
    parse_mapping,
    placed,
    read_mapping,
    text_of,
)
from diverloop.hardware.montage import montage, scalp_position_m
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.messages import Channel, StreamSpec
from diverloop.runtime.received import Sent

SPEC = StreamSpec(
    name="amp",
    rate_hz=250.0,
    channels=(Channel(name="EEG Fp1-REF"), Channel(name="Cz"), Channel(name="AUX", kind="misc")),
    sent=Sent(dtype="<i2", microvolts=(1.0, 1000.0, 0.0488)),
)
FULL = MappingConfig(
    name='cap "32"', reference="FCz", ground="AFz", positions="standard", others="drop",
    drop=("AUX1", "AUX 2"),
    channels=(
        MappedChannel(device="E1", name="Fp1", kind="eeg", row=2, unit="mV", factor=-0.5),
        MappedChannel(device="E2\\", name="ä", bad=True, position_mm=(1.0, -2.25, 3.0)),
    ),
)  # fmt: skip


def test_a_mapping_that_was_written_is_read_again(tmp_path):
    path = tmp_path / "cap.toml"
    path.write_text(text_of(FULL), encoding="utf-8")
    assert read_mapping(path) == FULL
    assert read_mapping(path, text_of(FULL).encode()) == FULL


def test_a_mapping_made_of_a_stream_names_rows_units_and_kinds():
    mapping = mapping_of(SPEC, standard_names={"EEG Fp1-REF": "Fp1"})
    first, second, third = mapping.channels
    assert (first.label, first.device, first.row, first.unit) == ("Fp1", "EEG Fp1-REF", 1, "uV")
    assert (second.unit, third.unit, third.kind) == ("mV", "", "misc")
    assert mapping.positions == "standard"


def test_a_channel_may_say_nothing_but_where_it_comes_from(tmp_path):
    (only,) = parse_mapping({"channels": [{"device": "C3"}]}).channels
    assert only == MappedChannel(device="C3")
    assert only.label == "C3"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", r"at least one table \[\[channels\]\]"),
        ("[montage]\nname = 1", "montage.name must be a text"),
        ("[channel]\n", r"'channel' is no key.*Did you mean 'channels'"),
        ("[[channels]]\nname = 'x'", r"channels\[0\].device is missing"),
        ("[[channels]]\ndevice = ''", "channels.device is empty"),
        ("[[channels]]\ndevice = 'a'\nkind = 'eeeg'", r"kind of 'a' must be one of eeg, .* 'eeeg'"),
        ("[[channels]]\ndevice = 'a'\nunit = 'pV'", "unit of 'a' must be V, mV, uV or nV.*'pV'"),
        ("[[channels]]\ndevice = 'a'\nfactor = 0", "factor of 'a' must be 1e-6"),
        ("[[channels]]\ndevice = 'a'\nfactor = nan", "factor of 'a' must be 1e-6"),
        ("[[channels]]\ndevice = 'a'\nrow = -1", "row of 'a' counts from 1, got -1"),
        ("[[channels]]\ndevice = 'a'\nposition_mm = [1, 2]", "must hold 3 values"),
        ("[[channels]]\ndevice = 'a'\nposition_mm = [1, 2, 5000]", "at most 1000 mm"),
        ("[[channels]]\ndevice = 'a'\nposition_mm = [1, 2, nan]", "at most 1000 mm"),
        ("[[channels]]\ndevice = 'a'\n[[channels]]\ndevice = 'a'", "each device channel once"),
        ("[montage]\ndrop = ['a']\n[[channels]]\ndevice = 'a'", "each device channel once"),
        (
            "[[channels]]\ndevice = 'a'\nname = 'C3'\n[[channels]]\ndevice = 'C3'",
            "each name once, got C3",
        ),
        (
            "[[channels]]\ndevice = 'a'\nrow = 1\n[[channels]]\ndevice = 'b'\nrow = 1",
            "each row once",
        ),
        ("[montage]\nothers = 'keep'\n[[channels]]\ndevice = 'a'", '"refuse" or "drop"'),
        ("[montage]\npositions = ''\n[[channels]]\ndevice = 'a'", "positions is empty"),
        ("[montage]\npositions = 'no.tsv'\n[[channels]]\ndevice = 'a'", "no file of positions"),
        ("[montage]\nchannels = []\n", r"without channels"),
        ("montage = 3\n", r"\[montage\] must be a table"),
        ("[[channels]\n", "not valid TOML"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_one_sentence(tmp_path, text, says):
    path = tmp_path / "cap.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=says) as caught:
        read_mapping(path)
    assert "\n" not in str(caught.value)
    assert "cap.toml" in str(caught.value)


def test_a_file_that_is_not_there_is_said_so(tmp_path):
    with pytest.raises(ConfigError, match=r"There is no mapping file .*none\.toml"):
        read_mapping(tmp_path / "none.toml")


def test_positions_come_from_a_file_beside_the_mapping_unless_a_channel_says_its_own(tmp_path):
    (tmp_path / "sub-1_electrodes.tsv").write_text("name\tx\ty\tz\nFp1\t1\t2\t3\nE2\t4\t5\t6\n")
    (tmp_path / "sub-1_coordsystem.json").write_text('{"EEGCoordinateUnits": "cm"}')
    path = tmp_path / "cap.toml"
    path.write_text(
        "[montage]\npositions = 'sub-1_electrodes.tsv'\n"
        "[[channels]]\ndevice = 'E1'\nname = 'Fp1'\n[[channels]]\ndevice = 'E2'\nname = 'X'\n"
        "[[channels]]\ndevice = 'E3'\n[[channels]]\ndevice = 'E4'\nposition_mm = [7, 8, 9]\n"
    )
    first, second, third, fourth = read_mapping(path).channels
    assert first.position_mm == pytest.approx((10, 20, 30))
    assert second.position_mm == pytest.approx((40, 50, 60))
    assert third.position_mm is None
    assert fourth.position_mm == (7, 8, 9)
    path.write_text("[montage]\npositions = 'sub-1_electrodes.tsv'\n[[channels]]\ndevice = 'Q'\n")
    with pytest.raises(ConfigError, match=r"places none of Q.*about other electrodes"):
        read_mapping(path)


def test_a_place_is_the_channels_own_or_what_the_source_of_positions_has():
    device = Channel(name="E1", position_m=(0.01, 0.02, 0.03))
    named = MappedChannel(device="E1", name="EEG CZ-REF")
    own = MappedChannel(device="E1", position_mm=(1.0, 2.0, 3.0))
    assert placed(own, device, "none") == (0.001, 0.002, 0.003)
    assert placed(named, device, "device") == device.position_m
    assert placed(named, device, "standard") == scalp_position_m("Cz")
    assert placed(named, device, "none") is None
    assert placed(MappedChannel(device="E1"), device, "standard") is None
    shaft = MappedChannel(device="C3", kind="seeg")  # contact 3 of a shaft C, not on the scalp
    assert placed(shaft, Channel(name="C3"), "standard") is None


def test_a_montage_of_our_own_is_mapped_by_position_of_the_device():
    spec = StreamSpec(name="s", rate_hz=250.0, channels=montage("seeg4x10"))
    assert mapping_of(spec).positions == "device"
    assert [one.kind for one in mapping_of(spec).channels] == ["seeg"] * 40
