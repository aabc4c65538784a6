"""Positions from files: what is wrong is said with its line, and no unit is guessed."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from diverloop.hardware.montage import montage, scalp_position_m
from diverloop.hardware.positions import read_positions
from diverloop.runtime.errors import ConfigError, RecordingError
from diverloop.runtime.messages import StreamSpec
from diverloop.runtime.record.bids_tables import coordinate_system, electrode_rows, tsv

HEAD = "name\tx\ty\tz\timpedance\n"


@pytest.fixture
def table(tmp_path):
    def write(text: str, unit: str | None = "mm", system: str = "EEG", space: str = "CapTrak"):
        path = tmp_path / "sub-01_electrodes.tsv"
        path.write_text(text, encoding="utf-8")
        if unit is not None:
            said = {f"{system}CoordinateUnits": unit, f"{system}CoordinateSystem": space}
            (tmp_path / "sub-01_coordsystem.json").write_text(json.dumps(said))
        return path

    return write


@pytest.mark.parametrize(("unit", "value"), [("mm", 20.0), ("cm", 2.0), ("m", 0.02)])
def test_a_table_is_read_in_its_unit(table, unit, value):
    found = read_positions(table(f"{HEAD}Cz\t{value}\t0\t-{value}\tn/a\n", unit))
    assert found.places_m["Cz"] == pytest.approx((0.02, 0.0, -0.02))
    assert found.space == "CapTrak"


def test_electrodes_without_a_place_are_named_and_left_out(table):
    found = read_positions(table(f"{HEAD}Cz\t1\t2\t3\t5\nREF\tn/a\tn/a\tn/a\tn/a\n\n"))
    assert list(found.places_m) == ["Cz"]
    assert found.without == ("REF",)


def test_of_several_coordinate_systems_the_same_one_counts_each_time(table, tmp_path):
    path = table(f"{HEAD}A1\t1\t2\t3\t5\n", unit=None)
    units = {"MEGCoordinateUnits": "m", "iEEGCoordinateUnits": "cm", "EEGCoordinateUnits": "mm"}
    beside = tmp_path / "sub-01_coordsystem.json"
    beside.write_text(json.dumps(units))
    assert read_positions(path).places_m["A1"][0] == pytest.approx(0.001)
    del units["EEGCoordinateUnits"]
    beside.write_text(json.dumps(units))
    assert read_positions(path).places_m["A1"][0] == pytest.approx(0.01)


def test_what_the_export_writes_is_read_again(tmp_path):
    spec = StreamSpec(name="s", rate_hz=500.0, channels=montage("seeg4x10"))
    rows = electrode_rows(spec, spec.channel_names, "ieeg")
    columns = ["name", "x", "y", "z", "size", "impedance"]
    folder = tmp_path / "ieeg"
    folder.mkdir()
    path = folder / "sub-1_space-MNI152NLin6ASym_electrodes.tsv"
    path.write_text(tsv(rows, columns))
    system = coordinate_system("ieeg", "MNI152NLin6ASym", "x")
    path.with_name("sub-1_space-MNI152NLin6ASym_coordsystem.json").write_text(json.dumps(system))
    found = read_positions(path)
    assert found.places_m == {c.name: c.position_m for c in spec.channels}
    assert found.space == "MNI152NLin6ASym"


@pytest.mark.parametrize(
    ("text", "unit", "says"),
    [
        ("name\tx\ty\n", "mm", r"line 1: the columns z are missing"),
        ("", "mm", r"line 1: the columns name, x, y, z are missing"),
        (f"{HEAD}Cz\t1\t2\n", "mm", r"line 2: 3 values for 5 columns"),
        (
            f"{HEAD}C3\t1\t2\t3\t4\nCz\t1\ttwo\t3\t4\n",
            "mm",
            r"line 3: the place of 'Cz'.*1, two, 3",
        ),
        (f"{HEAD}Cz\t1\tn/a\t3\t4\n", "mm", r"line 2: .*got 1, n/a, 3"),
        (f"{HEAD}Cz\t1\tnan\t3\t4\n", "mm", r"line 2: 'Cz' would be nan m"),
        (
            f"{HEAD}Cz\t1\t2\t3\t4\nCz\t1\t2\t3\t4\n",
            "mm",
            r"line 3: the name 'Cz' is empty or came",
        ),
        (f"{HEAD}Cz\t1\t2\t3\t4\n", "inch", r"line 2: nothing says in what unit.*'inch'"),
        (f"{HEAD}Cz\t1\t2\t3\t4\n", None, r"line 2: nothing says in what unit.*'none'"),
        (f"{HEAD}Cz\t90\t2\t3\t4\n", "m", r"line 2: 'Cz' would be 90.1 m from the origin"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_with_its_line(table, text, unit, says):
    with pytest.raises(RecordingError, match=says):
        read_positions(table(text, unit))


@pytest.mark.parametrize("text", ["{", "[]", '"m"'])
def test_a_coordinate_file_that_is_none_is_refused(table, tmp_path, text):
    path = table(f"{HEAD}Cz\t1\t2\t3\t4\n")
    (tmp_path / "sub-01_coordsystem.json").write_text(text)
    with pytest.raises(RecordingError, match=r"coordsystem\.json"):
        read_positions(path)


@pytest.mark.parametrize(("name", "says"), [("none.tsv", "no file of positions"), ("", "no file")])
def test_a_file_that_is_not_there_is_refused(tmp_path, name, says):
    with pytest.raises(ConfigError, match=says):
        read_positions(tmp_path / name)


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "cap.txt").write_text("Cz 0 0 1")
    with pytest.raises(ConfigError, match=r"read from .tsv \(BIDS\) and .elc"):
        read_positions(tmp_path / "cap.txt")


@pytest.mark.parametrize("bad", [b"\xff\xfe\x00", b"name\tx\ty\tz\nCz\t1\t2\t\xff\n"])
def test_a_table_that_is_no_text_is_refused(tmp_path, bad):
    path = tmp_path / "e_electrodes.tsv"
    path.write_bytes(bad)
    with pytest.raises(RecordingError, match="is not text"):
        read_positions(path)


@pytest.mark.parametrize("per_metre", [1.0, 100.0, 1000.0])
def test_sfp_files_are_read_through_mne_in_whatever_unit_a_head_fits(tmp_path, per_metre):
    pytest.importorskip("mne")
    names = ("Fp1", "Cz", "Oz", "T8")
    lines = [
        f"{name}\t" + "\t".join(f"{per_metre * x:.6f}" for x in scalp_position_m(name))
        for name in names
    ]
    path = tmp_path / "cap.sfp"
    path.write_text("\n".join(lines) + "\n")
    found = read_positions(path).places_m
    for name in names:
        np.testing.assert_allclose(found[name], scalp_position_m(name), atol=1e-5)


def test_elc_files_are_read_through_mne(tmp_path):
    mne = pytest.importorskip("mne")
    from pathlib import Path

    path = Path(mne.__file__).parent / "channels" / "data" / "montages" / "mgh60.elc"
    found = read_positions(path).places_m
    assert len(found) >= 60
    assert all(0.02 < math.dist(place, (0, 0, 0)) < 0.2 for place in found.values())


@pytest.mark.parametrize("name", ["cap.sfp", "cap.elc", "cap.locs", "cap.bvef"])
@pytest.mark.parametrize("text", ["", "rubbish\n", "a\tb\tc\td\n", "Cz 1e9 0 0\nC3 0 1e9 0\n"])
def test_rubbish_in_a_format_of_mne_is_one_sentence(tmp_path, name, text):
    pytest.importorskip("mne")
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(RecordingError, match="cap"):  # a warning of MNE would be an error here
        read_positions(path)
