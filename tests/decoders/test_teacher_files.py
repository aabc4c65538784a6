"""A teacher's file gives back what was put in, or says in one sentence why not."""

import hashlib
import os
import re

import pytest

torch = pytest.importorskip("torch", reason="teacher and student need torch")

import safetensors.torch

from diverloop.decoders.teacher import Teacher, TeacherConfig
from diverloop.decoders.teacher_files import load_teacher, save_teacher
from diverloop.decoders.weight_files import read_about
from diverloop.runtime.errors import BundleError

OWN = TeacherConfig(width=64, n_layers=2, patch=50, dropout=0.0, mup=False)
NOTE = {"corpora": [{"name": "one", "licence": "CC0-1.0", "sha256": "ab"}], "steps": 12}


def sha256_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def own_teacher(seed=4, **kwargs):
    torch.manual_seed(seed)
    teacher = Teacher(OWN, **kwargs)
    with torch.no_grad():
        for parameter in teacher.parameters():
            parameter.normal_(std=0.1)
    return teacher


@pytest.mark.parametrize("with_heads", [True, False])
def test_a_saved_teacher_comes_back_with_its_weights_configuration_and_note(tmp_path, with_heads):
    teacher = own_teacher(with_heads=with_heads)
    path = tmp_path / "new" / "t.safetensors"
    sha256 = save_teacher(teacher, path, NOTE)
    assert sha256 == sha256_of(path)
    assert [item.name for item in path.parent.iterdir()] == ["t.safetensors"]
    again = load_teacher(path, sha256=sha256)
    assert again.config == OWN
    assert not again.training
    assert (again.heads is not None) == with_heads
    for name, item in teacher.state_dict().items():
        assert torch.equal(again.state_dict()[name], item), name
    x = torch.randn(2, 3, 250, generator=torch.Generator().manual_seed(5))
    assert torch.equal(again(x), teacher.eval()(x))
    assert read_about(path, "diverloop-teacher-1")["note"] == NOTE


def test_the_same_teacher_and_note_give_the_same_bytes(tmp_path):
    hashes = [
        save_teacher(own_teacher(), tmp_path / f"{n}.safetensors", note)
        for n, note in enumerate((NOTE, dict(reversed(NOTE.items())), {"steps": 13}))
    ]
    assert hashes[0] == hashes[1] != hashes[2]


def test_saving_replaces_the_file_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "t.safetensors"
    save_teacher(own_teacher(), path, NOTE)
    second = save_teacher(own_teacher(seed=6), path, NOTE)
    assert sha256_of(path) == second

    def fail(*args):
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(BundleError, match="no space left"):
        save_teacher(own_teacher(), path, NOTE)
    assert sha256_of(path) == second
    assert [item.name for item in tmp_path.iterdir()] == ["t.safetensors"]


def test_a_teacher_that_is_not_finite_or_a_note_that_is_not_json_is_not_saved(tmp_path):
    teacher = own_teacher()
    with pytest.raises(BundleError, match="cannot be written as JSON"):
        save_teacher(teacher, tmp_path / "t.safetensors", {"loss": float("nan")})
    with torch.no_grad():
        teacher.chan_register[0, 0, 0] = torch.inf
    with pytest.raises(BundleError, match=r"'chan_register'.*NaN or infinity"):
        save_teacher(teacher, tmp_path / "t.safetensors", NOTE)
    assert list(tmp_path.iterdir()) == []


def test_another_file_than_a_saved_teacher_is_refused(tmp_path):
    path = tmp_path / "t.safetensors"
    save_teacher(own_teacher(), path, NOTE)
    with pytest.raises(BundleError, match="another file or was altered"):
        load_teacher(path, sha256="0" * 64)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(BundleError, match="not a whole safetensors file"):
        load_teacher(path)
    safetensors.torch.save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(BundleError, match="does not say that it is"):
        load_teacher(path)
    with pytest.raises(BundleError, match="cannot be read"):
        load_teacher(tmp_path / "missing")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (rb'\\"width\\": 64', rb'\\"width\\": 65', "width must be"),
        (rb'\\"n_layers\\": 2', rb'\\"n_layers\\": 1', r"has encoder\.layers\.1"),
        (rb'\\"n_layers\\"', rb'\\"n_lawyers\\"', "made by another version"),
    ],
)
def test_a_header_that_does_not_fit_the_weights_is_refused(tmp_path, old, new, told):
    path = tmp_path / "t.safetensors"
    save_teacher(own_teacher(), path, NOTE)
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = content[8 : 8 + length].rstrip()
    changed = re.sub(
        re.escape(old.replace(rb"\\", b"\\")), lambda _: new.replace(rb"\\", b"\\"), header
    )
    assert changed != header
    path.write_bytes(len(changed).to_bytes(8, "little") + changed + content[8 + length :])
    with pytest.raises(BundleError, match=told):
        load_teacher(path)
