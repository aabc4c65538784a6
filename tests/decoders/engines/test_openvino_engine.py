"""OpenVINO: the same numbers as torch, whatever comes, and refusals in one sentence."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the reference is torch")
pytest.importorskip("onnx", reason="a model must be exported first")
pytest.importorskip("onnxscript", reason="a model must be exported first")
# Not importorskip: importing it by its own name would send its makers a note.
if not importlib.util.find_spec("openvino"):
    pytest.skip("openvino is not installed", allow_module_level=True)

from diverloop.decoders.engines.engine import TOLERANCE, Engine, disagreement
from diverloop.decoders.engines.openvino_engine import OpenVinoEngine
from diverloop.decoders.engines.step_export import Step, export_step
from diverloop.decoders.engines.step_shape import StepShape
from diverloop.decoders.engines.torch_engine import TorchEngine
from diverloop.decoders.student import Student
from diverloop.decoders.student_config import StudentConfig
from diverloop.runtime.errors import ConfigError, EngineError

CONFIG = StudentConfig(
    width=32, n_layers=2, n_latents=2, context=6, high_gamma=True, n_readings=3, n_heads=(2, 1)
)
ROWS = 5


@pytest.fixture(scope="module")
def step() -> Step:
    torch.manual_seed(7)
    torch.set_num_threads(1)
    places = 60 * torch.randn(1, ROWS, 3)
    places[0, 2] = torch.nan
    return Step(Student(CONFIG).eval().requires_grad_(False), places, 1)


@pytest.fixture(scope="module")
def model(step: Step) -> bytes:
    return export_step(step, {"name": "a test"})


@pytest.fixture(scope="module")
def shape() -> StepShape:
    return StepShape.of(CONFIG, ROWS)


@pytest.fixture(scope="module")
def opened(model: bytes, shape: StepShape):
    found = OpenVinoEngine(model, shape)
    yield found
    found.close()


@pytest.fixture
def engine(opened: OpenVinoEngine) -> OpenVinoEngine:
    """Opened once, and without a past for every test."""
    opened.restart()
    return opened


def stream(seed: int, n: int):
    """Hops of any size with rows that come and go, and NaN in those that are gone."""
    rng = np.random.default_rng(seed)
    for _ in range(n):
        hop = (10 ** rng.uniform(-1, 3) * rng.standard_normal((ROWS, 50))).astype(np.float32)
        usable = rng.random(ROWS) > 0.3
        hop[~usable] = np.nan
        yield hop, usable


def test_it_is_an_engine_that_says_what_it_is(engine):
    assert isinstance(engine, Engine)
    assert (engine.about.name, engine.about.precision, engine.about.device) == (
        "openvino",
        "fp32",
        "cpu",
    )


@pytest.mark.parametrize("seed", range(4))
def test_it_says_what_torch_says_over_streams_with_missing_rows_and_restarts(engine, step, seed):
    reference = TorchEngine(step)
    for _ in range(3):  # each behind a restart, after an odd number of hops
        pairs = [(engine.hear(*one), reference.hear(*one)) for one in stream(seed, 17)]
        found, expected = map(np.array, zip(*pairs, strict=True))
        assert disagreement(found, expected) <= TOLERANCE["fp32"]
        engine.restart()
        reference.restart()


def test_a_hop_with_no_row_at_all_is_survived(engine, step):
    reference = TorchEngine(step)
    nothing = np.full((ROWS, 50), np.nan, np.float32), np.zeros(ROWS, bool)
    for hop, usable in (*stream(1, 3), nothing, *stream(2, 9)):
        found, expected = engine.hear(hop, usable), reference.hear(hop, usable)
        assert disagreement(found, expected) <= TOLERANCE["fp32"]


def test_a_restart_forgets_everything(engine):
    first = [engine.hear(*one) for one in stream(3, 7)]
    engine.restart()
    again = [engine.hear(*one) for one in stream(3, 7)]
    np.testing.assert_array_equal(first, again)


def test_the_past_is_heard(engine):
    hops = list(stream(4, 4))
    fresh = engine.hear(*hops[-1])
    engine.restart()
    behind_others = [engine.hear(*one) for one in hops][-1]
    assert disagreement(behind_others, fresh) > 0.01


def test_what_it_returns_is_the_receivers_and_the_hop_is_not_kept(engine, step):
    reference = TorchEngine(step)
    (hop, usable), *rest = stream(5, 3)
    kept = engine.hear(hop, usable)
    before = kept.copy()
    expected = reference.hear(hop, usable)
    hop[...] = 1e6
    for one in rest:
        found, expected = engine.hear(*one), reference.hear(*one)
    np.testing.assert_array_equal(kept, before)
    assert disagreement(found, expected) <= TOLERANCE["fp32"]


def test_streams_of_two_engines_do_not_meet(model, shape, engine):
    other = OpenVinoEngine(model, shape)
    alone = [engine.hear(*one) for one in stream(6, 5)]
    engine.restart()
    among_others = []
    for one, theirs in zip(stream(6, 5), stream(60, 5), strict=True):
        among_others.append(engine.hear(*one))
        other.hear(*theirs)
    np.testing.assert_array_equal(alone, among_others)


def test_a_closed_engine_says_so(model, shape):
    engine = OpenVinoEngine(model, shape)
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine.hear(*next(stream(0, 1)))


@pytest.mark.parametrize("rubbish", [b"", b"no model at all", b"\x08\x0a" * 100])
def test_what_is_no_model_is_refused_in_one_sentence(shape, rubbish):
    with pytest.raises(EngineError, match="compile it again") as caught:
        OpenVinoEngine(rubbish, shape)
    assert "\n" not in str(caught.value)


def test_half_a_model_is_refused(model, shape):
    with pytest.raises(EngineError):
        OpenVinoEngine(model[: len(model) // 2], shape)


def test_a_model_for_other_rows_is_refused(model):
    with pytest.raises(EngineError, match="belongs to another model"):
        OpenVinoEngine(model, StepShape.of(CONFIG, ROWS + 1))


def test_a_precision_that_it_does_not_know_is_refused(model, shape):
    with pytest.raises(ConfigError, match="got 'fp64'"):
        OpenVinoEngine(model, shape, precision="fp64")


def test_half_precision_runs_where_the_processor_has_it_and_is_refused_elsewhere(
    model, shape, step
):
    from diverloop.decoders.engines.openvino_engine import _openvino

    if "BF16" not in _openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        with pytest.raises(EngineError, match="has no bf16"):
            OpenVinoEngine(model, shape, precision="bf16")
        return
    engine, reference = OpenVinoEngine(model, shape, precision="bf16"), TorchEngine(step)
    pairs = [(engine.hear(*one), reference.hear(*one)) for one in stream(8, 20)]
    found, expected = map(np.array, zip(*pairs, strict=True))
    assert disagreement(found, expected) <= TOLERANCE["bf16"]


def test_opening_it_reports_to_nobody():
    script = (
        "import sys, threading\n"
        "from diverloop.decoders.engines.openvino_engine import _openvino\n"
        "assert _openvino().Core().available_devices\n"
        "print(any(name.startswith('openvino_telemetry') for name in sys.modules),\n"
        "      threading.active_count())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["False", "1"]
