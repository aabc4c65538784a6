"""Recordings as BIDS data sets: valid, exact, and without what must not leave."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from diverloop.runtime.errors import ConfigError, RecordingError
from diverloop.runtime.record import bids
from diverloop.runtime.record.bids import BidsOptions, export_bids
from diverloop.runtime.record.deidentify import DeidentifyOptions

from .example import INTRACRANIAL, SCALP, SECRETS, foreign, recording

mne_bids = pytest.importorskip("mne_bids", reason="pip install 'diverloop[export]'")
pytest.importorskip("pybv", reason="pip install 'diverloop[export]'")

KEYED = DeidentifyOptions(participant="P07", key="k")
TEMPLATE = {"space": "MNI152NLin2009cAsym", "space_description": "as the clinic registered it"}
SETS = {"eeg": SCALP, "ieeg": INTRACRANIAL}


def exported(root, channels=SCALP, **more):
    options = BidsOptions(**{"deidentify": KEYED, "task": "mi", "line_hz": 50, **more})
    return export_bids(recording(channels), root, options)


def read(root, datatype):
    path = mne_bids.BIDSPath(
        subject="P07", session="01", task="mi", run="1", datatype=datatype, root=root
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Other is not an MNE-Python coordinate frame")
        warnings.filterwarnings("ignore", message="There are channels without locations")
        warnings.filterwarnings("ignore", message="(?s)DigMontage is only a subset")
        return mne_bids.read_raw_bids(path, verbose="error")


def validator() -> str:
    beside = shutil.which("bids-validator-deno", path=str(Path(sys.executable).parent))
    found = beside or shutil.which("bids-validator-deno")
    return found or pytest.skip("the validator is not here: pip install bids-validator-deno")


def verdict(root) -> dict:
    command = [validator(), str(root), "--recursive", "--max-rows", "-1", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def complaints(answer: dict, severity: str) -> list[tuple]:
    below = answer.get("derivativesSummary", {}).values()
    return [
        (issue["code"], issue.get("subCode"), issue.get("issueMessage"))
        for part in (answer, *below)
        for issue in part["issues"]["issues"]
        if issue["severity"] == severity
    ]


@pytest.mark.parametrize("datatype", SETS)
def test_the_validator_finds_no_error_in_data_set_or_derivative(tmp_path, datatype):
    channels = SETS[datatype]
    exported(tmp_path, channels, bads={channels[0].name: "loose"}, authors=("A. B", "C. D"))
    exported(tmp_path, channels, run=2)
    answer = verdict(tmp_path)
    assert answer["derivativesSummary"]
    assert complaints(answer, "error") == []


def test_the_validator_accepts_a_file_of_another_program_and_a_named_template(tmp_path):
    export_bids(foreign(), tmp_path / "foreign", BidsOptions(deidentify=KEYED))
    exported(tmp_path / "template", INTRACRANIAL, **TEMPLATE)
    for name in ("foreign", "template"):
        assert complaints(verdict(tmp_path / name), "error") == []


def test_the_validator_would_have_seen_an_error(tmp_path):
    exported(tmp_path)
    table = next(tmp_path.glob("sub-*/ses-*/eeg/*_events.tsv"))
    table.write_text(table.read_text().replace("Sensory-event", "No-such-tag"))
    assert complaints(verdict(tmp_path), "error")


@pytest.mark.parametrize("datatype", SETS)
def test_samples_come_back_bit_for_bit_with_zeros_where_they_were_lost(tmp_path, datatype):
    exported(tmp_path, SETS[datatype])
    microvolts = (read(tmp_path, datatype).get_data() * 1e6).astype(np.float32)
    assert np.array_equal(microvolts, np.nan_to_num(recording(SETS[datatype]).samples()))


@pytest.mark.parametrize("datatype", SETS)
def test_markers_come_back_at_their_samples(tmp_path, datatype):
    exported(tmp_path, SETS[datatype])
    raw = read(tmp_path, datatype)
    samples = raw.time_as_index(raw.annotations.onset, use_rounding=True)
    found = set(zip(samples.tolist(), raw.annotations.description.tolist(), strict=True))
    assert {(m.sample, m.label) for m in recording().markers[:4]} <= found
    assert {(700, "BAD_gap"), (1990, "BAD_gap")} <= found


@pytest.mark.parametrize(
    ("datatype", "more", "frame"),
    [("eeg", {}, "head"), ("ieeg", {}, "unknown"), ("ieeg", TEMPLATE, "mni_tal")],
)
def test_positions_come_back_equal_in_their_frame(tmp_path, datatype, more, frame):
    exported(tmp_path, SETS[datatype], **more)
    found = read(tmp_path, datatype).get_montage().get_positions()
    wanted = ("eeg",) if datatype == "eeg" else ("ecog", "seeg", "lfp")
    placed = {c.name: c.position_m for c in SETS[datatype] if c.kind in wanted and c.position_m}
    assert found["coord_frame"] == frame
    assert {name: tuple(found["ch_pos"][name]) for name in placed} == placed


def test_bad_channels_line_frequency_kinds_and_date_come_back(tmp_path):
    report = exported(tmp_path, bads={"C4": "loose"})
    raw = read(tmp_path, "eeg")
    assert raw.info["bads"] == ["C4"]
    assert raw.info["line_freq"] == 50
    assert raw.get_channel_types() == ["eeg", "eeg", "eeg", "eog", "emg", "misc"]
    assert raw.info["meas_date"].year < 1925
    assert report.privacy.participant == "P07"


@pytest.mark.parametrize("datatype", SETS)
def test_nothing_that_names_the_participant_is_in_any_file(tmp_path, datatype):
    report = exported(tmp_path, SETS[datatype])
    texts = {
        path: path.as_posix() + path.read_text("utf-8")
        for path in tmp_path.rglob("*")
        if path.is_file() and path.suffix != ".eeg"
    }
    assert len(texts) > 10
    root = tmp_path.as_posix()
    found = [
        (path.name, secret)
        for path, text in texts.items()
        for secret in SECRETS
        if secret in text.replace(root, "")
    ]
    assert found == []
    assert set(report.files) >= {path for path in texts if "ses-01" in path.name}


def test_a_file_of_another_program_has_no_derivative(tmp_path):
    export_bids(foreign(), tmp_path, BidsOptions(deidentify=KEYED))
    assert not (tmp_path / "derivatives").exists()
    assert list(tmp_path.glob("sub-P07/ses-01/eeg/*_events.tsv"))


def test_a_run_that_is_there_is_replaced_only_when_told(tmp_path):
    exported(tmp_path)
    with pytest.raises(RecordingError, match="there already"):
        exported(tmp_path)
    exported(tmp_path, overwrite=True, bads={"C3": "dry"})
    assert "dry" in next(tmp_path.glob("sub-*/ses-*/eeg/*_channels.tsv")).read_text()
    assert len(next(tmp_path.glob("sub-*/ses-*/*_scans.tsv")).read_text().splitlines()) == 2


def test_a_second_participant_joins_the_first(tmp_path):
    exported(tmp_path)
    exported(tmp_path, deidentify=DeidentifyOptions(participant="P08", key="k"))
    lines = (tmp_path / "participants.tsv").read_text().splitlines()
    assert [line.split("\t")[0] for line in lines] == ["participant_id", "sub-P07", "sub-P08"]


def test_nothing_is_left_in_the_data_set_when_writing_fails(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(bids, "describe_dataset", fail)
    with pytest.raises(OSError, match="disk full"):
        exported(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_bad_channel_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="Oz"):
        exported(tmp_path, bads={"Oz": "loose"})


def test_an_empty_recording_is_refused(tmp_path):
    empty = replace(recording(), n_times=0)
    with pytest.raises(RecordingError, match="no sample"):
        export_bids(empty, tmp_path)


@pytest.mark.parametrize(
    ("wrong", "key"),
    [({"session": "a-b"}, "session"), ({"task": "m i"}, "task"), ({"run": 0}, "run"),
     ({"line_hz": 55}, "line_hz")],
)  # fmt: skip
def test_options_that_cannot_be_used_are_refused_by_name(wrong, key):
    with pytest.raises(ConfigError, match=rf"export\.{key}"):
        BidsOptions(**wrong)


def test_a_missing_package_is_named_with_its_remedy(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pybv", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "pybv" else name)
    with pytest.raises(ConfigError, match=r"pybv.*diverloop\[export\]"):
        exported(tmp_path)
