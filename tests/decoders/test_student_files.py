"""A student's file gives back what was put in, or says in one sentence why not."""

import hashlib
import json

import pytest

torch = pytest.importorskip("torch", reason="teacher and student need torch")

import safetensors.torch

from diverloop.decoders.student import Student
from diverloop.decoders.student_config import StudentConfig
from diverloop.decoders.student_files import load_student, save_student, student_note
from diverloop.runtime.errors import BundleError

SMALL = StudentConfig(width=32, n_layers=1, n_latents=2, context=4, high_gamma=True)
NOTE = {"corpus": [{"name": "a", "licence": "CC0-1.0"}], "r2": 0.5}


@pytest.fixture
def student():
    torch.manual_seed(0)
    return Student(SMALL).eval()


@pytest.fixture
def path(student, tmp_path):
    save_student(student, tmp_path / "s.safetensors", NOTE)
    return tmp_path / "s.safetensors"


def rewrite(path, change=None, **card):
    """Write the file again with another card or other tensors."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    old = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["diverloop"])
    tensors = safetensors.torch.load(content)
    if change is not None:
        change(tensors)
    metadata = {"diverloop": json.dumps({**old, **card})}
    path.write_bytes(safetensors.torch.save(tensors, metadata=metadata))


def test_what_was_saved_comes_back_to_the_bit(student, path):
    loaded = load_student(path)
    assert loaded.config == SMALL
    assert not loaded.training
    for name, tensor in student.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)
    x = 20 * torch.randn(1, 3, 200)
    assert torch.equal(loaded(x).embedding, student(x).embedding)


def test_reading_draws_nothing(path):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    load_student(path)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_note_comes_back(path):
    assert student_note(path) == NOTE


def test_the_hash_is_that_of_the_file_and_another_file_is_refused(student, path):
    sha256 = save_student(student, path, NOTE)
    assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    load_student(path, sha256=sha256)
    with pytest.raises(BundleError, match="another file or was altered"):
        load_student(path, sha256="0" * 64)


def test_saving_twice_gives_the_same_bytes(student, path):
    before = path.read_bytes()
    save_student(student, path, NOTE)
    assert path.read_bytes() == before


def test_nothing_is_left_behind_and_the_old_file_stays_when_writing_fails(
    student, path, monkeypatch
):
    before = path.read_bytes()

    def full(*_):
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(BundleError, match="disk full"):
        save_student(student, path, {"other": 1})
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_weight_that_is_not_finite_is_not_written(student, tmp_path):
    with torch.no_grad():
        student.norm.weight[0] = float("nan")
    with pytest.raises(BundleError, match=r"norm\.weight"):
        save_student(student, tmp_path / "s.safetensors", {})
    assert not list(tmp_path.iterdir())


def test_a_note_that_is_not_json_is_refused(student, tmp_path):
    with pytest.raises(BundleError, match="JSON"):
        save_student(student, tmp_path / "s.safetensors", {"x": float("nan")})


@pytest.mark.parametrize("content", [b"", b"abc", b"\xff" * 100, b"{}" * 50])
def test_what_is_no_safetensors_file_is_refused(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(BundleError, match="not a whole safetensors file"):
        load_student(tmp_path / "x")


def test_a_file_cut_short_is_refused(path):
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(BundleError, match="not a whole safetensors file"):
        load_student(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(BundleError, match="cannot be read"):
        load_student(tmp_path / "none")


def test_a_safetensors_file_of_another_kind_is_refused(path):
    rewrite(path, format="diverloop-teacher-1")
    with pytest.raises(BundleError, match="does not say that it is a diverloop-student-1"):
        load_student(path)


def test_missing_and_unknown_weights_are_named(path):
    def change(tensors):
        tensors["extra"] = tensors.pop("norm.weight")

    rewrite(path, change)
    with pytest.raises(BundleError, match=r"norm\.weight.*extra"):
        load_student(path)


def test_a_weight_of_another_shape_is_named(path):
    def change(tensors):
        tensors["norm.weight"] = torch.ones(31)

    rewrite(path, change)
    with pytest.raises(BundleError, match=r"norm\.weight.*\(31,\)"):
        load_student(path)


def test_a_weight_of_another_type_is_named(path):
    def change(tensors):
        tensors["norm.weight"] = tensors["norm.weight"].half()

    rewrite(path, change)
    with pytest.raises(BundleError, match=r"norm\.weight.*float16"):
        load_student(path)


def test_a_weight_that_is_not_finite_is_not_loaded(path):
    def change(tensors):
        tensors["norm.weight"][3] = float("inf")

    rewrite(path, change)
    with pytest.raises(BundleError, match="NaN or infinity"):
        load_student(path)


@pytest.mark.parametrize("config", [{"width": 33}, {"colour": 1}, {"width": "a"}, [1], None])
def test_a_configuration_that_cannot_be_used_is_refused(path, config):
    rewrite(path, config=config)
    with pytest.raises(BundleError, match="config"):
        load_student(path)


@pytest.mark.parametrize(
    "settings", [{"width": 8192, "n_layers": 200}, {"width": 1e300}, {"n_layers": 10**12}]
)
def test_a_configuration_that_asks_for_more_than_the_file_holds_is_refused(path, settings):
    rewrite(path, config={**SMALL.to_dict(), **settings})
    with pytest.raises(BundleError, match=r"asks for|whole number"):
        load_student(path)


def test_what_a_configuration_asks_for_is_never_more_than_its_student_has(student):
    held = sum(tensor.numel() for tensor in student.state_dict().values())
    assert 0.5 * held < SMALL.least_weights <= held
