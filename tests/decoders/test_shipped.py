"""The students in the package are those that their hashes name, and say what they are."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the student needs torch")

from diverloop.corpus_building import read_recipe
from diverloop.corpus_recipe import SHIPPED as RECIPE
from diverloop.decoders import shipped
from diverloop.decoders.downloading import file_sha256
from diverloop.decoders.shipped import FOLDER, FOR_MODALITY, SHIPPED, find_student, open_student
from diverloop.decoders.student_config import StudentConfig
from diverloop.decoders.student_files import student_note
from diverloop.runtime.errors import BundleError, ConfigError

from ..data import data_root, recording_path

PERMITTED = {
    "CC0-1.0", "ODC-BY-1.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "MPL-2.0", "simulated",
}  # fmt: skip
NAMES = sorted(SHIPPED)


def test_there_is_one_for_every_modality_and_no_other_file():
    assert sorted(FOR_MODALITY.values()) == NAMES
    assert sorted(path.name for path in FOLDER.iterdir()) == [f"{n}.safetensors" for n in NAMES]


@pytest.mark.parametrize("modality", sorted(FOR_MODALITY))
def test_it_opens_and_hears(modality):
    student, sha256 = open_student(FOR_MODALITY[modality])
    path, wanted = find_student(FOR_MODALITY[modality])
    assert sha256 == wanted == file_sha256(path)
    assert student.config == StudentConfig.named("S", modality)
    assert path.stat().st_size < 6e6
    torch.manual_seed(0)
    with torch.inference_mode():
        loud, soft = (student(size * torch.randn(1, 3, 500)).embedding for size in (50, 5))
    assert loud.isfinite().all()
    assert not torch.allclose(loud, soft, atol=0.1)


@pytest.mark.parametrize("name", NAMES)
def test_its_card_says_from_what_it_was_made_and_what_it_is_not(name):
    note = student_note(find_student(name)[0])
    assert "not a medical device" in note["card"]["notice"]
    assert any("not a foundation model" in line for line in note["card"]["limits"])
    assert len(note["teacher"]["weights_sha256"]) == 64
    assert note["validation"]["pooled_cosine"] > 0.5
    assert note["evaluation"]["overall"]["student"]["subjects"] >= 1
    recordings = note["corpus"]["recordings"]
    assert sum(one["seconds"] for one in recordings) == pytest.approx(note["corpus"]["seconds"])
    for one in recordings:
        assert one["licence"] in PERMITTED, one


@pytest.mark.parametrize("name", NAMES)
def test_the_page_of_cards_has_the_figures_of_its_file(name):
    page = (Path(__file__).parents[2] / "docs" / "model-cards.md").read_text("utf-8")
    section = " ".join(
        page.partition(f"## `{name}`")[2].partition("\n## ")[0].replace("*", "").split()
    )
    note = student_note(find_student(name)[0])
    recordings, overall = note["corpus"]["recordings"], note["evaluation"]["overall"]
    simulated = sum(one["seconds"] for one in recordings if one["licence"] == "simulated")
    said = [
        f"{len(recordings)} recordings, {note['corpus']['seconds'] / 60:.1f} min of signal",
        f"{simulated / 60:.1f} min simulated",
        f"cosine {note['validation']['pooled_cosine']:.2f} of the mean",
        f"{note['validation']['token_cosine']:.2f} of each",
    ]
    for arm in ("student", "tangent"):
        low, high = overall[arm]["interval"]
        said.append(f"{overall[arm]['points']:.1f} ({low:.0f} to {high:.0f})")
    missing = [one for one in said if one not in section]
    assert not missing, missing


@pytest.mark.data
@pytest.mark.parametrize("modality", sorted(FOR_MODALITY))
def test_what_it_has_learnt_from_is_in_the_recipe(modality):
    recording_path("mi/eegmmidb_S001_R01.npz")  # skips where there are no recordings
    note = student_note(find_student(FOR_MODALITY[modality])[0])
    allowed = {one.source.name for one in read_recipe(RECIPE, data_root(), modality=modality)}
    assert {one["name"] for one in note["corpus"]["recordings"]} <= allowed


def test_an_altered_file_is_refused(tmp_path, monkeypatch):
    name = NAMES[0]
    content = bytearray((FOLDER / f"{name}.safetensors").read_bytes())
    content[-1] ^= 1
    (tmp_path / f"{name}.safetensors").write_bytes(content)
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    with pytest.raises(BundleError, match="altered"):
        open_student(name)


def test_a_name_that_is_almost_right_is_told():
    with pytest.raises(ConfigError, match=f"did you mean '{NAMES[0]}'"):
        find_student(NAMES[0] + "x")
