"""Which engine runs: what was asked for, what is there, what passes its self-test."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the reference engine needs torch")
onnx = pytest.importorskip("onnx", reason="compiling needs onnx")
pytest.importorskip("onnxscript", reason="compiling needs onnxscript")

from diverloop.decoders.engines import opening
from diverloop.decoders.engines.compiled import Compiled
from diverloop.decoders.engines.opening import EngineChoice, open_engine, untaught
from diverloop.decoders.engines.standby import StandbyEngine
from diverloop.decoders.student_encoder import StudentEncoderConfig
from diverloop.runtime.bundle import ENGINES, load_bundle
from diverloop.runtime.errors import ConfigError, EngineError

from ... import compiled as made


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return made.compiled(tmp_path_factory.mktemp("opening") / "one.bundle")


@pytest.fixture
def bundle(original, tmp_path):
    shutil.copytree(original.folder, tmp_path / "one.bundle")
    return load_bundle(tmp_path / "one.bundle")


def run(bundle, text="auto", **changes):
    return open_engine(made.encoder(), bundle, EngineChoice.parse(text, **changes))


def spoil(bundle, change) -> None:
    """Alter the graph and enter the altered one into the index, as an attacker would."""
    compiled = Compiled.of(bundle.folder, bundle.card.sha256)
    model = onnx.load_from_string(compiled.read(compiled.find("fp32")))
    change(model)
    compiled.add(model.SerializeToString(), "fp32")


def turn_a_weight(model) -> None:
    weight = next(one for one in model.graph.initializer if list(one.dims) == [32, 96])
    values = onnx.numpy_helper.to_array(weight).copy()
    values[3, 5] += 0.5
    weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))


def test_a_compiled_bundle_runs_on_onnx_runtime(bundle):
    opened = run(bundle)
    assert opened.choice == "onnxruntime:fp32"
    assert opened.notes == ()
    assert opened.engine.about.name == "onnxruntime"


def test_one_that_was_not_compiled_runs_in_torch_and_says_so(tmp_path):
    opened = run(made.save(tmp_path / "plain.bundle"))
    assert opened.choice == "torch:fp32"
    (note,) = opened.notes
    assert "diverloop compile" in note


@pytest.mark.parametrize("text", ["tensorrt", "torch-cuda", "onnxruntime-cuda:fp32"])
def test_without_a_gpu_the_processor_takes_over_and_the_reason_is_told(bundle, text):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    opened = run(bundle, text)
    assert opened.choice == "onnxruntime:fp32"
    (note,) = opened.notes
    assert "GPU" in note or "Provider" in note or "install" in note
    with pytest.raises((EngineError, ConfigError)):
        run(bundle, text, fallback=False)


def test_a_precision_that_was_not_compiled_is_named(bundle):
    opened = run(bundle, "onnxruntime:int8")
    assert opened.choice == "onnxruntime:fp32"
    assert "not compiled for int8 (there is fp32)" in opened.notes[0]


def test_a_graph_that_says_something_else_fails_its_self_test(bundle):
    spoil(bundle, turn_a_weight)
    opened = run(bundle)
    assert opened.choice == "torch:fp32"
    assert "fails its self-test" in opened.notes[0]
    assert "allowed is 0.0001" in opened.notes[0]
    with pytest.raises(EngineError, match="self-test"):
        run(bundle, "onnxruntime", fallback=False)


def test_a_graph_of_other_rows_is_refused_before_it_runs(bundle):
    compiled = Compiled.of(bundle.folder, bundle.card.sha256)
    compiled.add(made.graph(19), "fp32")
    with pytest.raises(EngineError, match="belongs to another model"):
        run(bundle, "onnxruntime", fallback=False)


def test_what_is_no_graph_is_refused(bundle):
    compiled = Compiled.of(bundle.folder, bundle.card.sha256)
    compiled.add(b"\x08\x01 nothing of the kind", "fp32")
    with pytest.raises(EngineError, match="cannot read the compiled student"):
        run(bundle, "onnxruntime", fallback=False)


@pytest.mark.parametrize("name", ["step-fp32.onnx", "probe.safetensors", "index.json"])
def test_damage_falls_back_to_torch_or_stops_as_configured(bundle, name):
    path = bundle.folder / ENGINES / name
    path.write_bytes(path.read_bytes()[:-7])
    opened = run(bundle)
    assert opened.engine.about.name in ("torch", "onnxruntime")
    assert len(opened.notes) == 1
    assert "compile" in opened.notes[0]
    with pytest.raises(EngineError, match="compile"):
        run(bundle, "onnxruntime", fallback=False)


def test_behind_a_gpu_stands_a_processor(bundle, monkeypatch):
    """A stand-in for the CUDA graph: the same step, by another name."""
    from diverloop.decoders.engines import torch_engine

    real = opening._in_torch

    def made_up(encoder, name, precision):
        engine = real(encoder, "torch", precision)
        engine.about = torch_engine.EngineAbout(
            name=name, precision=precision, device="a GPU", version="0"
        )
        return engine

    monkeypatch.setattr(opening, "_in_torch", made_up)
    opened = run(bundle, "torch-cuda")
    assert isinstance(opened.engine, StandbyEngine)
    assert opened.choice == "torch-cuda:fp32"
    alone = run(bundle, "torch-cuda", fallback=False)
    assert not isinstance(alone.engine, StandbyEngine)


def test_an_engine_that_fails_its_self_test_midway_is_closed(bundle, monkeypatch):
    real, closed = opening._in_torch, []

    def breaks(hop, usable):
        raise EngineError("The device is lost.")

    def made_up(encoder, name, precision):
        engine = real(encoder, "torch", precision)
        if name == "torch-cuda":
            engine.hear, engine.close = breaks, lambda: closed.append(name)
        return engine

    monkeypatch.setattr(opening, "_in_torch", made_up)
    with pytest.raises(EngineError, match="device is lost"):
        run(bundle, "torch-cuda", fallback=False)
    assert closed == ["torch-cuda"]


def test_a_gpu_is_taken_of_itself_where_there_is_one(bundle, monkeypatch):
    monkeypatch.setattr(opening, "gpu_here", lambda: True)
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    opened = run(bundle)
    assert opened.choice == "onnxruntime:fp32"
    assert any("GPU" in note for note in opened.notes)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("onnx", "Did you mean 'onnxruntime'"),
        ("torch:int8", "has no precision 'int8'; allowed are fp32"),
        ("auto:fp32", "auto chooses"),
    ],
)
def test_what_there_is_not_is_told_with_what_there_is(text, said):
    with pytest.raises(ConfigError, match=said):
        EngineChoice.parse(text)


def test_an_untaught_student_is_the_shipped_one_on_its_rows():
    config = StudentEncoderConfig(positions_mm=(None, (0.0, 10.0, 90.0)))
    encoder = untaught(config)
    assert encoder.config.student == "eeg-s"
    assert len(encoder.config.sha256) == 64
    assert encoder.usual.shape == (2, encoder.architecture.n_readings)
    assert not np.any(encoder.usual)
