"""ONNX Runtime as an engine: what it refuses, and in which words. Parity stands in test_engine."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("torch", reason="exporting needs torch")
pytest.importorskip("onnxscript", reason="exporting needs onnxscript")

from diverloop.decoders.engines.onnx_engine import OnnxEngine, metadata_of
from diverloop.decoders.engines.step_shape import ABOUT
from diverloop.runtime.errors import EngineError

from ...compiled import graph, shape, stream


def test_what_a_graph_says_of_itself_can_be_read_without_onnx():
    assert json.loads(metadata_of(graph())[ABOUT]) == {"made_by": "a test"}


@pytest.mark.parametrize("kind", ["nothing", "text", "half"])
def test_what_is_no_graph_is_told_in_one_sentence(kind):
    # Made here, and not when tests are collected: the first graph of a process takes seconds.
    content = {"nothing": b"", "text": b"no graph", "half": graph()[:5000]}[kind]
    with pytest.raises(EngineError, match=r"cannot read the compiled student \(.+\): compile it"):
        OnnxEngine(content, shape())


def test_a_graph_of_other_rows_is_refused_by_name_and_shape():
    with pytest.raises(EngineError, match=r"embedding \(552,\), the model needs \(192,\)"):
        OnnxEngine(graph(19), shape())


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_a_provider_that_is_not_there_is_named_with_those_that_are(provider):
    import onnxruntime

    if len(onnxruntime.get_available_providers()) > 2:
        pytest.skip("this onnxruntime has providers for a GPU")
    with pytest.raises(EngineError, match=r"has no .*Provider \(it has .*CPUExecutionProvider"):
        OnnxEngine(graph(), shape(), provider=provider)


def test_a_hop_of_another_shape_is_an_engine_error_and_the_stream_goes_on():
    engine = OnnxEngine(graph(), shape())
    hops = stream(4)
    engine.hear(*hops[0])
    with pytest.raises(EngineError, match=r"hop of shape \(4, 49\), a step reads \(4, 50\)"):
        engine.hear(hops[1][0][:, :-1], hops[1][1])
    said = engine.hear(*hops[1])
    other = OnnxEngine(graph(), shape())
    np.testing.assert_array_equal([other.hear(*hop) for hop in hops[:2]][1], said)


def test_a_closed_engine_says_so():
    engine = OnnxEngine(graph(), shape())
    engine.close()
    with pytest.raises(EngineError, match="is closed: open it again"):
        engine.hear(*stream(1)[0])


def test_it_runs_one_thread_that_does_not_spin():
    import threading

    before = threading.active_count()
    engine = OnnxEngine(graph(), shape())
    engine.hear(*stream(1)[0])
    assert threading.active_count() == before
    options = engine._session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
