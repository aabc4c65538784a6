"""Compiling a bundle: what is made, what is inside, what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="compiling needs torch")
pytest.importorskip("onnx", reason="compiling needs onnx")
pytest.importorskip("onnxscript", reason="compiling needs onnxscript")

from diverloop.decoders.engines import compiling, step_export
from diverloop.decoders.engines.compiled import Compiled
from diverloop.decoders.engines.compiling import compile_bundle, make_probe
from diverloop.decoders.engines.engine import TOLERANCE
from diverloop.decoders.engines.onnx_engine import OnnxEngine, metadata_of
from diverloop.decoders.engines.step_shape import ABOUT
from diverloop.decoders.engines.torch_engine import TorchEngine
from diverloop.runtime.errors import ConfigError, EngineError

from ... import compiled as made


def opened(bundle):
    return Compiled.of(bundle.folder, bundle.card.sha256)


def test_the_graph_carries_the_card_and_the_hash_of_its_bundle(tmp_path):
    bundle = made.compiled(tmp_path / "one.bundle")
    graph = opened(bundle).read(opened(bundle).find("fp32"))
    about = json.loads(metadata_of(graph)[ABOUT])
    assert about["bundle_sha256"] == bundle.card.sha256
    assert about["student_sha256"] == "ab"
    assert about["card"]["classes"] == ["left", "right"]


@pytest.mark.long
def test_every_precision_is_kept_beside_the_others(tmp_path):
    bundle = made.save(tmp_path / "one.bundle")
    steps = []
    first = compile_bundle(made.encoder(), bundle, ("fp16",), None, lambda *s: steps.append(s))
    assert [file.precision for file, _ in first] == ["fp32", "fp16"]
    assert all(error <= TOLERANCE[file.precision] for file, error in first)
    hops = [(np.nan_to_num(hop), there) for hop, there in made.stream(60)]
    compile_bundle(made.encoder(), bundle, ("int8",), hops)
    precisions = {file.precision for file in opened(bundle).index.files}
    assert precisions == {"fp32", "fp16", "int8"}
    assert [done for _, done, _ in steps] == sorted(done for _, done, _ in steps)


@pytest.mark.long
def test_what_was_compiled_with_other_libraries_is_made_anew(tmp_path, monkeypatch):
    bundle = made.save(tmp_path / "one.bundle")
    compile_bundle(made.encoder(), bundle, ("fp16",))
    monkeypatch.setattr(compiling.metadata, "version", lambda name: "0.0")
    compile_bundle(made.encoder(), bundle)
    assert {file.precision for file in opened(bundle).index.files} == {"fp32"}
    assert set(opened(bundle).index.versions.values()) == {"0.0"}


def test_a_student_that_compiles_to_something_else_is_not_kept(tmp_path, monkeypatch):
    bundle = made.save(tmp_path / "one.bundle")
    monkeypatch.setattr(step_export, "export_step", lambda *given: made.graph(4))
    with pytest.raises(EngineError, match=r"away from torch, allowed is 0\.0001"):
        compile_bundle(made.encoder(4, seed=9), replace(bundle, card=bundle.card))
    assert opened(bundle).find("fp32") is None


def test_the_probe_tries_what_an_engine_can_get_wrong():
    probe = make_probe(made.step())
    assert len(probe.hops_uv) > made.CONFIG.context
    assert 0 < (~probe.usable).sum() < probe.usable.size
    assert np.isnan(probe.hops_uv[~probe.usable]).all()
    assert np.isfinite(probe.embeddings).all()
    assert probe.error_of(TorchEngine(made.step())) == 0
    assert probe.error_of(OnnxEngine(made.graph(), made.shape())) < TOLERANCE["fp32"]


@pytest.mark.parametrize(
    ("precisions", "said"),
    [(("fp64",), "compiled to fp32, fp16, int8, got 'fp64'"), (("int8",), "name recordings")],
)
def test_what_cannot_be_compiled_is_told_before_anything_is_made(tmp_path, precisions, said):
    bundle = made.save(tmp_path / "one.bundle")
    with pytest.raises(ConfigError, match=said):
        compile_bundle(made.encoder(), bundle, precisions)
    assert opened(bundle) is None


def test_a_model_without_a_student_is_refused(tmp_path):
    bundle = made.save(tmp_path / "one.bundle")
    other = replace(bundle, card=replace(bundle.card, encoder="csp"))
    with pytest.raises(ConfigError, match="encoder is 'csp', which runs as it is"):
        compile_bundle(made.encoder(), other)
