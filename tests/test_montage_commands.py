"""`diverloop montage`: a mapping file is made, shown and compared; a difference ends with 1."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from diverloop.hardware.mapping import read_mapping
from diverloop.runtime import bundle
from diverloop.runtime.card import CardInput
from diverloop.runtime.messages import Channel, StreamSpec

from .test_cli import call, refused, strict, told

SESSION = """
[session]
name = "s"
[source]
kind = "simulator"
montage = "eeg16"
[model]
bundle = "none"
"""


@pytest.fixture
def room(tmp_path) -> Path:
    """A folder with a session file and a mapping file that was made from it."""
    (tmp_path / "s.toml").write_text(SESSION)
    made = told("montage", "make", tmp_path / "cap.toml", "--source", tmp_path / "s.toml")
    assert made == {"file": str(tmp_path / "cap.toml"), "channels": 16}
    return tmp_path


def changed(room: Path, before: str, after: str) -> Path:
    text = (room / "cap.toml").read_text()
    assert before in text
    (room / "cap.toml").write_text(text.replace(before, after))
    return room / "cap.toml"


def differing(room: Path) -> list[dict]:
    arguments = ("montage", "check", room / "cap.toml", "--source", room / "s.toml")
    plain, machine = call(*arguments), call(*arguments, "--json")
    assert plain.exit_code == machine.exit_code == 1
    found = strict(machine.stdout)
    assert not found["same"]
    return found["differences"]


def test_a_mapping_that_was_made_of_a_stream_fits_it(room):
    result = call("montage", "check", room / "cap.toml", "--source", room / "s.toml")
    assert result.exit_code == 0
    assert "is as cap.toml says: 16 rows." in " ".join(result.stdout.split())


def test_exchanged_electrodes_are_told_and_end_with_one(room):
    text = (room / "cap.toml").read_text()
    rows = {name: re.search(rf'device = "{name}"\nrow = (\d+)', text)[0] for name in ("C3", "C4")}
    swapped = text.replace(rows["C3"], "@").replace(rows["C4"], rows["C3"].replace("C3", "C4"))
    (room / "cap.toml").write_text(swapped.replace("@", rows["C4"].replace("C4", "C3")))
    (only,) = differing(room)
    assert (only["what"], set(only["channel"].split(" and "))) == ("order", {"C3", "C4"})
    assert "exchanged" in only["to_do"]


def test_missing_and_renamed_channels_are_told(room):
    changed(room, 'device = "Pz"', 'device = "EEG PZ-REF"')
    changed(room, 'device = "O1"', 'device = "O1x"')
    assert [one["what"] for one in differing(room)] == ["renamed", "missing", "extra"]


def test_a_mapping_is_shown_with_its_hash(room):
    changed(room, 'name = "Cz"', 'name = "Cz"\nbad = true\nposition_mm = [1, 2, 3]')
    shown = told("montage", "show", room / "cap.toml")
    assert len(shown["sha256"]) == 64
    assert [one["bad"] for one in shown["channels"]].count(True) == 1
    plain = call("montage", "show", room / "cap.toml").stdout
    assert "1.0 2.0 3.0" in plain
    assert "bad" in plain


def test_a_model_says_whether_it_can_read_the_mapped_channels(room, monkeypatch):
    channels = tuple(Channel(name=name) for name in ("C3", "C4"))
    wanted = CardInput.of(StreamSpec(name="fitted on", rate_hz=250.0, channels=channels))
    card = SimpleNamespace(input=wanted)
    monkeypatch.setattr(bundle, "load_bundle", lambda path: SimpleNamespace(card=card))
    check = ("montage", "check", room / "cap.toml", "--source", room / "s.toml", "--model", "m")
    assert told(*check)["model"] == ""
    changed(room, 'name = "C3"', 'name = "left hand"')
    result = call(*check, "--json")
    assert result.exit_code == 1
    assert "missing channels C3" in strict(result.stdout)["model"]
    assert "missing channels C3" in " ".join(call(*check).stdout.split())
    changed(room, 'device = "C4"', 'device = "nothing"')
    assert strict(call(*check, "--json").stdout)["model"].startswith("Whether the model fits")


def test_standard_names_and_places_of_a_file_are_written_into_it(room, tmp_path):
    (tmp_path / "e_electrodes.tsv").write_text("name\tx\ty\tz\nCz\t1\t2\t3\n")
    (tmp_path / "e_coordsystem.json").write_text('{"EEGCoordinateUnits": "mm"}')
    to = tmp_path / "other.toml"
    told(
        "montage", "make", to, "--source", room / "s.toml", "--standard-names",
        "--positions", tmp_path / "e_electrodes.tsv",
    )  # fmt: skip
    placed = [one.label for one in read_mapping(to).channels if one.position_mm]
    assert placed == ["Cz"]


def test_what_cannot_be_looked_at_is_refused_in_one_sentence(room, tmp_path):
    cap, session = room / "cap.toml", room / "s.toml"
    assert "no mapping file" in refused("montage", "show", room / "none.toml")["message"]
    assert "is there already" in refused("montage", "make", cap, "--source", session)["message"]
    missing = refused("montage", "check", cap, "--source", tmp_path / "none.xdf")
    assert "There is no recording" in missing["message"]
    (tmp_path / "empty.toml").write_text("")
    nothing = refused("montage", "check", cap, "--source", tmp_path / "empty.toml")
    assert "has no table [source]" in nothing["message"]
