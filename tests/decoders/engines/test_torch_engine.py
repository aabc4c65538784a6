"""torch as an engine: the compiled mode, and what it says without a GPU."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="this engine is torch")

from diverloop.decoders.engines.engine import TOLERANCE, disagreement
from diverloop.decoders.engines.torch_engine import TorchEngine
from diverloop.runtime.errors import EngineError

from ...compiled import step, stream


def said(engine, hops):
    return np.stack([engine.hear(*hop) for hop in hops])


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("ignore")  # the compiler warns of its own future
@pytest.mark.long
def test_compiled_it_says_the_same():
    hops = stream(12)
    engine = TorchEngine(step(), "compiled")
    assert disagreement(said(engine, hops), said(TorchEngine(step()), hops)) <= TOLERANCE["fp32"]
    assert engine.about.name == "torch-compiled"


def test_without_a_gpu_it_says_what_to_choose():
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(EngineError, match=r"no NVIDIA GPU .* choose the engine onnxruntime"):
        TorchEngine(step(), "cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no NVIDIA GPU here")
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_as_a_cuda_graph_it_says_the_same(precision):
    hops = stream(40)
    engine = TorchEngine(step(), "cuda", precision)
    expected = said(TorchEngine(step()), hops)
    for _ in range(2):
        engine.restart()
        assert disagreement(said(engine, hops), expected) <= TOLERANCE[precision]


def test_a_closed_engine_does_not_go_on():
    engine = TorchEngine(step())
    engine.close()
    with pytest.raises(EngineError, match="stopped"):
        engine.hear(*stream(1)[0])
