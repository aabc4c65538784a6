"""Every engine says what the student says: the same hops, masks and restarts, within tolerance."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the reference engine needs torch")
pytest.importorskip("onnx", reason="compiling needs onnx")
pytest.importorskip("onnxscript", reason="compiling needs onnxscript")

from hypothesis import given, settings
from hypothesis import strategies as st

from diverloop.decoders.engines.engine import TOLERANCE, Engine, disagreement
from diverloop.decoders.engines.onnx_engine import OnnxEngine
from diverloop.decoders.engines.torch_engine import TorchEngine

from ...compiled import CONFIG, encoder, graph, shape, step, stream

ROWS = (1, 4, 19)
ENGINES = ("onnxruntime", "openvino", "torch")


def made(name: str, n_rows: int) -> Engine:
    if name == "torch":
        return TorchEngine(step(n_rows))
    if name == "openvino":
        pytest.importorskip("openvino", reason="the extra openvino is not installed")
        from diverloop.decoders.engines.openvino_engine import OpenVinoEngine

        return OpenVinoEngine(graph(n_rows), shape(n_rows))
    return OnnxEngine(graph(n_rows), shape(n_rows))


@pytest.fixture(scope="module")
def engines():
    """All of them on all numbers of rows, open at a time: none may disturb another."""
    kept: dict[tuple[str, int], Engine] = {}

    def get(name: str, n_rows: int) -> Engine:
        if (name, n_rows) not in kept:
            kept[name, n_rows] = made(name, n_rows)
        return kept[name, n_rows]

    yield get
    for engine in kept.values():
        engine.close()
        engine.close()


def student_says(hops, n_rows: int) -> np.ndarray:
    """The student itself, all hops at once."""
    one = step(n_rows)
    signal = np.concatenate([hop for hop, _ in hops], axis=1)[None]
    usable = np.stack([there for _, there in hops], axis=1)[None]
    with torch.inference_mode():
        heard = one.student(
            torch.from_numpy(signal),
            torch.from_numpy(usable),
            one.places,
            one.modality,
        )
    return heard.embedding[0].numpy()


@pytest.mark.parametrize("name", ENGINES)
@settings(max_examples=20, deadline=None)
@given(
    n_rows=st.sampled_from(ROWS),
    pieces=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    seed=st.integers(0, 10_000),
)
def test_every_engine_says_what_the_student_says(engines, name, n_rows, pieces, seed):
    """Any electrodes, any masks; each piece is a stream of its own, behind a restart."""
    engine = engines(name, n_rows)
    for place, n_hops in enumerate(pieces):
        hops = stream(n_hops, n_rows, seed + place)
        engine.restart()
        said = np.stack([engine.hear(*hop) for hop in hops])
        assert disagreement(said, student_says(hops, n_rows)) <= TOLERANCE["fp32"]


@pytest.mark.parametrize("name", ENGINES)
def test_what_an_engine_returned_stays(engines, name):
    engine, hops = engines(name, 4), stream(2 * CONFIG.context, seed=5)
    engine.restart()
    kept = [engine.hear(*hop) for hop in hops]
    copies = [one.copy() for one in kept]
    engine.restart()
    engine.hear(*hops[3])
    np.testing.assert_array_equal(kept, copies)


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_leaves_its_input_alone_and_repeats_itself(engines, name):
    engine, hops = engines(name, 4), stream(12, seed=6)
    for hop, there in hops:
        hop.flags.writeable = there.flags.writeable = False
    said = []
    for _ in range(2):
        engine.restart()
        said.append([engine.hear(*hop) for hop in hops])
    np.testing.assert_array_equal(*said)


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_says_which_it_is(engines, name):
    about = engines(name, 4).about
    assert (about.name, about.precision, about.device) == (name, "fp32", "cpu")
    assert str(about) == f"{name} {about.version} (fp32, cpu)"
    assert isinstance(engines(name, 4), Engine)


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_leaves_the_thread_s_arithmetic_as_it_was(engines, name):
    """Flushing tiny numbers to zero would reach the filters, and a replay's last bits."""
    engine = engines(name, 4)
    engine.restart()
    engine.hear(*stream(1)[0])
    tiny = np.array([1e-40], np.float32), np.array([1e-310])
    assert all((one * 1 > 0).all() for one in tiny)


def test_disagreement_is_relative_above_one_and_infinite_for_what_is_no_number():
    ones, small = np.ones(4), np.full(4, 1e-3)
    assert disagreement(small + 1e-4, small) == pytest.approx(1e-4)
    assert disagreement(100 * ones + 1, 100 * ones) == pytest.approx(0.01)
    assert disagreement(ones * np.nan, ones) == float("inf")
    assert disagreement(ones[:3], ones) == float("inf")


def test_the_encoder_of_these_tests_has_a_row_without_a_place():
    assert encoder(4).config.positions_mm[1] is None
