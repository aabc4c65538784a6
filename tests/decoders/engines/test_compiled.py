"""The compiled folder: bound to its bundle, and every file to the index."""

from __future__ import annotations

import hashlib
import json
import shutil
from functools import partial

import numpy as np
import pytest

pytest.importorskip("torch", reason="compiling needs torch")
pytest.importorskip("onnxscript", reason="compiling needs onnxscript")

from diverloop.decoders.engines.compiled import Compiled, Probe
from diverloop.runtime.bundle import ENGINES, load_bundle, save_bundle
from diverloop.runtime.errors import EngineError
from diverloop.runtime.record.seal import give_seal
from diverloop.runtime.record.signing import new_key

from ... import compiled as made


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return made.compiled(tmp_path_factory.mktemp("compiled") / "one.bundle")


@pytest.fixture
def bundle(original, tmp_path):
    """A copy that a test may spoil."""
    shutil.copytree(original.folder, tmp_path / "one.bundle")
    return load_bundle(tmp_path / "one.bundle")


def opened(bundle):
    return Compiled.of(bundle.folder, bundle.card.sha256)


def test_what_was_compiled_is_found_by_precision_and_machine(bundle):
    compiled = opened(bundle)
    file = compiled.find("fp32")
    assert (file.name, file.made_for) == ("step-fp32.onnx", "")
    assert compiled.find("int8") is None
    assert compiled.find("fp32", "some GPU") is None
    plan = compiled.add(b"plan", "fp16", "some GPU, driver 1")
    again = opened(bundle)
    assert again.find("fp16", "some GPU, driver 1") == plan
    assert again.read(plan) == b"plan"
    assert again.find("fp16") is None


def test_a_file_of_the_same_kind_is_replaced(bundle):
    compiled = opened(bundle)
    for content in (b"one", b"other"):
        compiled.add(content, "fp16", "some GPU")
    assert [file.made_for for file in compiled.index.files].count("some GPU") == 1
    assert opened(bundle).read(compiled.find("fp16", "some GPU")) == b"other"


def test_a_bundle_that_was_not_compiled_has_nothing(tmp_path):
    bundle = made.save(tmp_path / "plain.bundle")
    assert opened(bundle) is None
    assert Compiled.of(None, "") is None


def test_what_was_compiled_goes_where_the_bundle_goes(bundle, tmp_path):
    assert save_bundle(bundle, tmp_path / "copy.bundle") == bundle.card.sha256
    copy = load_bundle(tmp_path / "copy.bundle")
    assert opened(copy).read(opened(copy).find("fp32")) == opened(bundle).read(
        opened(bundle).find("fp32")
    )


def test_another_bundle_s_files_are_refused(bundle, tmp_path):
    other = made.save(tmp_path / "other.bundle", seed=1)
    shutil.copytree(bundle.folder / ENGINES, other.folder / ENGINES)
    with pytest.raises(EngineError, match=r"was compiled from the bundle .* compile"):
        opened(other)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"files": []}'])
def test_a_damaged_index_is_refused(bundle, content):
    (bundle.folder / ENGINES / "index.json").write_bytes(content)
    with pytest.raises(EngineError, match=r"index .* cannot be read .* compile"):
        opened(bundle)


def test_what_somebody_unknown_compiled_is_not_run(bundle):
    folder = bundle.folder / ENGINES
    index = (folder / "index.json").read_bytes()
    seal = give_seal("engines", hashlib.sha256(index).hexdigest(), new_key())
    (folder / "index.sig").write_bytes(seal.to_bytes())
    with pytest.raises(EngineError, match=r"does not trust.* compile"):
        opened(bundle)
    (folder / "index.sig").unlink()
    with pytest.raises(EngineError, match=r"signed by nobody: .* compile"):
        opened(bundle)


def test_an_exchanged_file_is_refused_even_if_the_index_names_it(bundle):
    folder = bundle.folder / ENGINES
    (folder / "step-fp32.onnx").write_bytes(b"another graph")
    told = json.loads((folder / "index.json").read_text())
    for file in told["files"]:
        file["sha256"] = hashlib.sha256(b"another graph").hexdigest()
    (folder / "index.json").write_text(json.dumps(told))
    with pytest.raises(EngineError, match="not the one that was signed"):
        opened(bundle)


def test_a_newer_format_is_refused(bundle):
    path = bundle.folder / ENGINES / "index.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2}))
    with pytest.raises(EngineError, match="has format 2, this diverloop reads 1"):
        opened(bundle)


@pytest.mark.parametrize("name", ["step-fp32.onnx", "probe.safetensors"])
@pytest.mark.parametrize("damage", ["a bit", "cut", "gone"])
def test_a_damaged_file_is_refused(bundle, name, damage):
    path = bundle.folder / ENGINES / name
    content = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    else:
        content[len(content) // 2] ^= 1
        path.write_bytes(content if damage == "a bit" else content[: len(content) // 2])
    compiled = opened(bundle)
    found = compiled.find("fp32")
    read = compiled.probe if name.startswith("probe") else partial(compiled.read, found)
    with pytest.raises(EngineError, match=f"{name}.* compile"):
        read()


def test_a_probe_comes_back_as_it_was_and_finds_an_engine_that_is_off(bundle):
    class Off:
        def restart(self):
            self.heard = 0

        def hear(self, hop_uv, usable):
            self.heard += 1
            return np.full(3, float(self.heard) + (0.25 if self.heard == 2 else 0), np.float32)

    probe = Probe(
        hops_uv=np.zeros((3, 4, 50), np.float32),
        usable=np.array([[True, False, True, True]] * 3),
        embeddings=np.repeat([[1.0], [2.0], [3.0]], 3, axis=1).astype(np.float32),
    )
    opened(bundle).add_probe(probe)
    again = opened(bundle).probe()
    np.testing.assert_array_equal(again.usable, probe.usable)
    np.testing.assert_array_equal(again.embeddings, probe.embeddings)
    assert again.error_of(Off()) == pytest.approx(0.125)  # 0.25 in units of 2
