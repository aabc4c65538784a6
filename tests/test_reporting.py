"""What leaves the house is exact, valid, and names nobody; what stays says how it went."""

from __future__ import annotations

import json
import platform
import re
import shutil
import socket
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from diverloop.hardware.montage import montage
from diverloop.reporting import house_secret, make_report, open_any
from diverloop.runtime.errors import DiverloopError, RecordingError, UnitError
from diverloop.runtime.record.bids import BidsOptions, export_bids
from diverloop.runtime.record.contents import Record
from diverloop.runtime.record.deidentify import DeidentifyOptions, ExportReport, deidentify
from diverloop.runtime.record.nwb import NwbOptions, export_nwb
from diverloop.runtime.record.reading import open_record
from diverloop.runtime.record.signing import load_or_create_key

from .data import data_root, recording_path
from .kept import LOST, SECRETS, copy_of, folder_of
from .modelled import write_npz

mne_bids = pytest.importorskip("mne_bids", reason="pip install 'diverloop[export]'")
pynwb = pytest.importorskip("pynwb", reason="pip install 'diverloop[export]'")

HOST, USER = "bedside-pc-77", "nurse-ratched"
MONTAGES = {"eeg16": "eeg", "ecog8x8": "ieeg"}
XDF_FILES = (
    "aborted_run", "clock_resets", "derived_corrupt_chunk", "derived_truncated", "empty_streams",
    "mi_switch_a", "minimal", "p300_markers_stop_early", "ssvep_dsi7",
)  # fmt: skip


# --- opening -----------------------------------------------------------------------------------


def test_a_session_opens_by_its_folder_and_by_its_file():
    by_folder, by_file = open_any(folder_of()), open_any(folder_of() / "recording.xdf")
    assert by_folder.manifest == by_file.manifest is not None
    assert by_folder.turns
    assert len(by_folder.turns) == len(by_file.turns)


def test_a_file_of_another_program_opens_with_its_gaps_and_without_decisions(tmp_path):
    path = write_npz(tmp_path / "run.npz", seconds=6.0)
    record = open_any(path)
    assert record.manifest is None
    assert record.turns == ()
    assert (record.path, record.n_times, record.duration_s) == (path, 1500, 6.0)
    assert record.samples().shape == (16, 1500)
    assert record.markers


@pytest.mark.data
def test_gaps_of_a_file_of_another_program_are_no_chunks():
    record = open_any(recording_path("xdf/derived_corrupt_chunk.xdf"))
    held = sum(chunk.samples.shape[1] for chunk in record.chunks())
    assert record.n_times - held == 25
    assert all(np.isfinite(chunk.samples).all() for chunk in record.chunks())


def test_what_is_not_there_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "gone.xdf", tmp_path / "gone.npz"):
        with pytest.raises(RecordingError, match=re.escape(str(tmp_path))):
            open_any(path)


def test_the_secret_behind_pseudonyms_is_stable_and_not_the_key():
    assert house_secret() == house_secret()
    assert len(house_secret()) == 64
    assert house_secret() != load_or_create_key().seed.hex()


def test_the_secret_is_another_one_for_another_user(tmp_path, monkeypatch):
    before = house_secret()
    monkeypatch.setenv("DIVERLOOP_HOME", str(tmp_path))
    assert house_secret() != before


# --- the report --------------------------------------------------------------------------------


def test_the_report_of_a_session_is_a_page_and_a_pdf(tmp_path):
    html, pdf = make_report(folder_of(), tmp_path / "report.html")
    page = html.read_text(encoding="utf-8")
    assert pdf.read_bytes().startswith(b"%PDF-")
    assert "Not a diagnosis" in page
    assert "whole and unaltered" in page
    assert 'class="alarm"' not in page
    assert "answered trials" in page
    assert re.search(r'(?:src|href)="(?!data:|#)', page) is None


def test_the_report_of_a_session_that_was_touched_and_cut_says_so(tmp_path):
    folder = copy_of(tmp_path)
    log, file = folder / "audit.jsonl", folder / "recording.xdf"
    log.write_bytes(log.read_bytes().replace(b"The guard is armed", b"The guard is ARMED"))
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])
    (html,) = make_report(folder, pdf=False)
    assert html == folder / "report.html"
    page = html.read_text(encoding="utf-8")
    assert "NOT whole: Line 6 of the log was edited" in page
    alarm, tiles = page.index('<p class="alarm"'), page.index('class="tiles"')
    assert alarm < page.index("Line 6 of the log was edited") < tiles
    assert "breaks off" in page


def test_the_report_of_a_file_of_another_program_lies_beside_it_under_its_name(tmp_path):
    path = write_npz(tmp_path / "run.npz", seconds=8.0)
    (html,) = make_report(path, pdf=False)
    assert html == tmp_path / "run-report.html"
    assert "Not a diagnosis" in html.read_text(encoding="utf-8")


# --- exports -----------------------------------------------------------------------------------


class Exported:
    """A recording as BIDS and as NWB, both below one folder."""

    def __init__(self, record: Record, folder: Path, name: str, privacy: DeidentifyOptions) -> None:
        self.record = record
        self.root, self.nwb = folder / "bids", folder / f"{name}.nwb"
        self.report: ExportReport = export_bids(record, self.root, BidsOptions(deidentify=privacy))
        export_nwb(record, self.nwb, NwbOptions(deidentify=privacy))
        self.label = self.report.privacy.participant

    def raw(self, datatype: str) -> Any:
        """What mne-bids reads."""
        path = mne_bids.BIDSPath(
            subject=self.label,
            session="01",
            task="motorimagery",
            run="1",
            datatype=datatype,
            root=self.root,
        )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Other is not an MNE-Python coordinate frame")
            warnings.filterwarnings("ignore", message="There are channels without locations")
            return mne_bids.read_raw_bids(path, verbose="error")


@pytest.fixture(scope="module")
def exports(tmp_path_factory) -> dict[str, Exported]:
    """A session on the scalp and one on a grid, exported on a machine with a telling name."""
    patch = pytest.MonkeyPatch()
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        patch.setenv(name, USER)
    patch.setenv("HOSTNAME", HOST)
    patch.setattr(socket, "gethostname", lambda: HOST)
    patch.setattr(platform, "node", lambda: HOST)
    privacy, folder = DeidentifyOptions(key=house_secret()), tmp_path_factory.mktemp("exports")
    try:
        return {
            name: Exported(open_any(folder_of(name)), folder, name, privacy) for name in MONTAGES
        }
    finally:
        patch.undo()


def validator() -> str:
    beside = shutil.which("bids-validator-deno", path=str(Path(sys.executable).parent))
    found = beside or shutil.which("bids-validator-deno")
    return found or pytest.skip("the validator is not here: pip install bids-validator-deno")


def bids_errors(root: Path) -> list[tuple[str, ...]]:
    """What the validator calls an error, in the data set and in what is derived from it."""
    command = [validator(), str(root), "--recursive", "--max-rows", "-1", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    answer = json.loads(done.stdout)
    return [
        (issue["code"], str(issue.get("issueMessage")), str(issue.get("location")))
        for part in (answer, *answer.get("derivativesSummary", {}).values())
        for issue in part["issues"]["issues"]
        if issue["severity"] == "error"
    ]


def nwb_errors(path: Path) -> list[str]:
    """What the inspector calls more than a suggestion."""
    inspector = pytest.importorskip("nwbinspector")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [
            f"{one.importance.name} {one.check_function_name}: {one.message}"
            for one in inspector.inspect_nwbfile(nwbfile_path=str(path))
            if one.importance.name != "BEST_PRACTICE_SUGGESTION"
        ]


def test_the_validators_find_no_error_in_recorded_sessions(exports):
    scalp, grid = exports.values()
    assert scalp.root == grid.root
    assert bids_errors(scalp.root) == []
    assert nwb_errors(scalp.nwb) == nwb_errors(grid.nwb) == []


@pytest.mark.parametrize("name", MONTAGES)
def test_samples_come_back_bit_for_bit(exports, name):
    samples = exports[name].record.samples()
    assert np.isnan(samples[:, slice(*LOST)]).all()
    microvolts = (exports[name].raw(MONTAGES[name]).get_data() * 1e6).astype(np.float32)
    assert np.array_equal(microvolts, np.nan_to_num(samples))
    with pynwb.NWBHDF5IO(exports[name].nwb, "r") as file:
        (series,) = file.read().acquisition.values()
        assert series.data.dtype == np.float32
        assert np.array_equal(series.data[:].T, samples, equal_nan=True)


@pytest.mark.parametrize("name", MONTAGES)
def test_markers_come_back_at_their_samples(exports, name):
    wanted = {(marker.sample, marker.label) for marker in exports[name].record.markers}
    assert len(wanted) > 3
    raw = exports[name].raw(MONTAGES[name])
    at = raw.time_as_index(raw.annotations.onset, use_rounding=True)
    assert wanted <= set(zip(at.tolist(), raw.annotations.description.tolist(), strict=True))
    with pynwb.NWBHDF5IO(exports[name].nwb, "r") as file:
        table = file.read().get_events_table("markers").to_dataframe()
    samples, labels = table["sample"].tolist(), table["annotation"].tolist()
    assert wanted == set(zip(samples, labels, strict=True))
    assert np.allclose(table["timestamp"] * exports[name].record.spec.rate_hz, samples)


@pytest.mark.parametrize("name", MONTAGES)
def test_positions_come_back_as_they_are(exports, name):
    wanted = {channel.name: channel.position_m for channel in montage(name)}
    found = exports[name].raw(MONTAGES[name]).get_montage().get_positions()["ch_pos"]
    assert {label: tuple(found[label]) for label in wanted} == wanted
    with pynwb.NWBHDF5IO(exports[name].nwb, "r") as file:
        table = file.read().electrodes.to_dataframe()
        exact = [column for column in table if column.endswith("_m")]
        assert len(exact) == 3
        got = dict(zip(table["label"], table[exact].to_numpy().tolist(), strict=True))
    assert {label: tuple(place) for label, place in got.items()} == wanted


def inside_hdf5(path: Path) -> Iterator[str]:
    """Every name, attribute and value in a file, as text."""
    import h5py

    with h5py.File(path, "r") as file:
        found: list[str] = [repr(list(file.attrs.items()))]

        def look(name: str, part: Any) -> None:
            found.append(name)
            found.extend(f"{key} {value!r}" for key, value in part.attrs.items())
            if isinstance(part, h5py.Dataset) and part.dtype.kind in "OSU":
                found.append(repr(part[()]))

        file.visititems(look)
    yield from found


def everything_in(folder: Path) -> Iterator[tuple[str, str]]:
    """Name and content of every file below a folder; HDF5 also as what it means."""
    for path in folder.rglob("*"):
        yield path.name, path.relative_to(folder).as_posix()
        if path.is_file():
            yield path.name, path.read_bytes().decode("latin-1")
        if path.suffix == ".nwb":
            for text in inside_hdf5(path):
                yield path.name, text


def test_nothing_that_names_person_machine_or_place_is_in_any_exported_byte(exports):
    folder = exports["eeg16"].root.parent
    places = (str(folder), *(str(folder_of(name)) for name in MONTAGES), str(Path.home()))
    words = "|".join(re.escape(word) for word in (*SECRETS, HOST, USER, *places))
    secret = re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE)
    texts = list(everything_in(folder))
    assert len(texts) > 100
    found = []
    for file, text in texts:
        # Three letters stand in compressed bytes by chance; what these mean is a text of its own.
        least = 5 if text.startswith("\x89HDF") else 1
        found += [(file, word) for word in secret.findall(text) if len(word) >= least]
    assert found == []


def test_the_true_date_is_in_no_exported_byte(exports):
    started = exports["eeg16"].record.manifest.started_utc[:10]
    for file, text in everything_in(exports["eeg16"].root.parent):
        assert started not in text, file
        assert started.replace("-", "") not in text, file


def test_an_identified_export_keeps_what_was_said(tmp_path):
    record = open_any(folder_of())
    exported = Exported(record, tmp_path, "eeg16", DeidentifyOptions(enabled=False))
    texts = "\n".join(text for _, text in everything_in(tmp_path))
    for said in ("jane.doe@example.org", "+1 555 123 4567", "12/03/1956", "JaneDoe"):
        assert said in texts
    assert (
        exported.raw("eeg").info["meas_date"].isoformat()[:19] == record.manifest.started_utc[:19]
    )


def test_sessions_of_one_participant_share_a_pseudonym_that_only_this_house_can_make(exports):
    (label,) = {exported.label for exported in exports.values()}
    _, elsewhere = deidentify(open_record(folder_of()), DeidentifyOptions(key="another house"))
    assert elsewhere.participant != label


# --- files of other programs -------------------------------------------------------------------


@pytest.fixture(scope="module")
def foreign(tmp_path_factory) -> tuple[Path, dict[str, Record | DiverloopError]]:
    """Every XDF file of the collection, exported into one data set, or why it was not."""
    if not (data_root() / "xdf").is_dir():
        pytest.skip(f"xdf is not in {data_root()}; point DIVERLOOP_DATA at the recordings")
    folder = tmp_path_factory.mktemp("foreign")
    found: dict[str, Record | DiverloopError] = {}
    for name in XDF_FILES:
        privacy = DeidentifyOptions(participant=name.replace("_", ""), key="k")
        try:
            record = open_any(recording_path(f"xdf/{name}.xdf"))
            export_bids(record, folder / "bids", BidsOptions(deidentify=privacy))
            export_nwb(record, folder / f"{name}.nwb", NwbOptions(deidentify=privacy))
            found[name] = record
        except DiverloopError as error:
            found[name] = error
    return folder, found


@pytest.mark.data
def test_odd_and_broken_files_are_exported_or_refused_with_one_sentence(foreign):
    _, found = foreign
    refused = {name: said for name, said in found.items() if isinstance(said, DiverloopError)}
    assert {name: type(said) for name, said in refused.items()} == {
        "clock_resets": UnitError,
        "empty_streams": RecordingError,
        "minimal": UnitError,
    }
    assert all(str(said).endswith(".") and "\n" not in str(said) for said in refused.values())


@pytest.mark.data
def test_files_of_other_programs_are_valid_when_they_are_exported(foreign):
    folder, found = foreign
    made = [name for name, said in found.items() if isinstance(said, Record)]
    assert len(made) == 6
    assert bids_errors(folder / "bids") == []
    assert [(name, nwb_errors(folder / f"{name}.nwb")) for name in made] == [
        (name, []) for name in made
    ]
