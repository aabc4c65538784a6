"""What a training costs: counted as torch counts, close to what was published, nothing invented."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the cost of training is counted with torch")

from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from diverloop.decoders.corpus import Batch, DrawPlan
from diverloop.decoders.corpus_drawing import _count
from diverloop.decoders.masking import MaskedBatch
from diverloop.decoders.reconstruction import PretrainConfig, Reconstruction
from diverloop.decoders.student_config import StudentConfig
from diverloop.decoders.teacher import Teacher, TeacherConfig, flops
from diverloop.decoders.training_cost import (
    CostQuestion,
    Hardware,
    counted,
    elsewhere,
    forward_flops,
    hours_here,
    mean_over_sizes,
    mean_size,
    measure,
    sample_flops,
    size_chances,
    student_flops,
    training_flops,
)
from diverloop.runtime.errors import ConfigError

TINY = TeacherConfig.named("tiny", 500)
DRAW = DrawPlan(patch=500)


@pytest.mark.parametrize(
    ("config", "n_patches", "tolerance"),
    [
        (TeacherConfig(width=256, n_layers=2, patch=500), 4, 0.03),
        (TeacherConfig(width=256, n_layers=2, patch=50), 6, 0.03),
    ],
)
def test_a_pretraining_step_costs_what_torch_counts(config, n_patches, tolerance):
    teacher = Teacher(config)
    objective = Reconstruction(config, PretrainConfig(draw=DrawPlan(patch=config.patch)))
    x = torch.randn(1, 16, n_patches * config.patch)
    batch = Batch(
        x, torch.zeros(1, 16, 3), torch.zeros(1, dtype=torch.int64), torch.full((1, 16), -1),
        torch.ones(1, 16, dtype=torch.bool),
    )  # fmt: skip
    masked = MaskedBatch(batch, torch.rand(1, 16, n_patches) < 0.5)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        loss, _ = objective.loss(teacher, masked)
        forward = counter.get_total_flops()
        loss.backward()
    assert forward_flops(config, 16, n_patches) == pytest.approx(forward, rel=tolerance)
    whole = counter.get_total_flops()
    assert training_flops(config, 16, n_patches) == pytest.approx(whole, rel=tolerance)


@pytest.mark.parametrize(
    ("size", "patch", "published"),
    [("tiny", 500, 77.5e15), ("small", 500, 256e15), ("base", 500, 537e15),
     ("large", 500, 919e15), ("xl", 500, 3.46e18), ("xxl", 500, 7.64e18),
     ("tiny", 50, 76.3e15), ("large", 50, 913e15)],
)  # fmt: skip
def test_an_epoch_of_the_published_models_costs_what_was_published(size, patch, published):
    # 636 480 segments of the whole grid, 32 channels by 30 patches.
    config = TeacherConfig.named(size, patch)
    assert 636_480 * training_flops(config, 32, 30) == pytest.approx(published, rel=0.05)


def test_sizes_are_as_likely_as_they_are_drawn():
    rng = np.random.default_rng(0)
    drawn = np.bincount([_count(rng, 3, 12) for _ in range(20_000)], minlength=13) / 20_000
    chances = size_chances(3, 12)
    assert sum(chances.values()) == pytest.approx(1)
    assert [chances.get(n, 0.0) for n in range(13)] == pytest.approx(drawn.tolist(), abs=0.01)
    assert size_chances(5, 2) == {2: 1.0}


def test_the_mean_cost_is_that_of_drawn_segments():
    question = CostQuestion(teacher=TINY, draw=DRAW, hours=1.0)
    rng = np.random.default_rng(1)
    drawn = [training_flops(TINY, _count(rng, 1, 32), _count(rng, 1, 30)) for _ in range(4000)]
    assert sample_flops(question) == pytest.approx(np.mean(drawn), rel=0.03)
    assert mean_over_sizes(question, lambda c, n: c * n) == pytest.approx(24.5 * 23.0, rel=0.02)
    assert mean_size(question) == (24, 23)
    few = replace(question, n_channels=8)
    assert mean_size(few)[0] == 6


def test_diver_1s_own_corpus_is_counted():
    figures = counted(CostQuestion(teacher=TINY, draw=DRAW, hours=59_613, passes=16))
    assert figures["segments"] == 16 * 59_613 * 120
    assert figures["updates"] == 16 * 59_613 * 120 // 192
    assert figures["parameters"] == pytest.approx(13.03e6, rel=0.01)
    assert figures["checkpoint_bytes"] == 12 * figures["parameters"]
    assert figures["corpus_bytes"] == 59_613 * 3600 * 500 * 64 * 4
    # The whole grid would cost 75 P for 636 480 segments; drawn sizes are smaller.
    assert 0.5 < figures["flops"] / figures["segments"] * 636_480 / 75.1e15 < 0.7


def test_a_distillation_runs_the_teacher_forward_and_trains_the_student():
    draw = DrawPlan(patch=500, max_channels=8, max_patches=4)
    large = TeacherConfig.named("large", 500)
    question = CostQuestion(
        teacher=large, draw=draw, hours=2.0, student=StudentConfig.named("S", "EEG")
    )
    teaching = mean_over_sizes(question, lambda c, n: flops(large, c, n))
    trained = student_flops(question.student, *(np.array(mean_size(question)) * (1, 10)).tolist())
    assert sample_flops(question) == pytest.approx(teaching + trained)
    assert trained < 0.2 * teaching
    assert counted(question)["parameters"] < 2e6


def test_this_machine_is_measured_and_the_rest_follows_from_what_is_stated():
    narrow = TeacherConfig(width=32, n_layers=1, patch=500)
    draw = DrawPlan(patch=500, max_channels=2, max_patches=2)
    speed = measure(narrow, draw, 0.0)
    assert speed.updates == 2
    assert speed.flops_per_s == pytest.approx(
        2 * (8 if "cuda" in speed.device else 1) * training_flops(narrow, 2, 2) / speed.seconds
    )
    figures = {"flops": 3.6e18, "state_bytes": 1600}
    assert hours_here(figures, replace(speed, flops_per_s=1e12)) == pytest.approx(1000)
    stated = Hardware(gpus=4, tflops=100.0, utilisation=0.25, price_per_gpu_hour=2.0)
    there = elsewhere(figures, stated)
    assert there == pytest.approx(
        {"hours": 10.0, "gpu_hours": 40.0, "price": 80.0, "state_bytes_per_gpu": 400}
    )
    assert elsewhere(figures, replace(stated, price_per_gpu_hour=None))["price"] is None


@pytest.mark.parametrize(
    ("told", "says"),
    [({"hours": 0.0}, "hours"), ({"passes": -1.0}, "passes"), ({"batch": 0}, "batch")],
)
def test_a_question_that_cannot_be_is_refused(told, says):
    with pytest.raises(ConfigError, match=says):
        CostQuestion(**{"teacher": TINY, "draw": DRAW, "hours": 1.0, **told})


@pytest.mark.parametrize(
    ("told", "says"),
    [({"gpus": 0}, "gpus"), ({"utilisation": 1.5}, "utilisation"), ({"tflops": 0.0}, "tflops"),
     ({"price_per_gpu_hour": -1.0}, "price")],
)  # fmt: skip
def test_hardware_that_cannot_be_is_refused(told, says):
    with pytest.raises(ConfigError, match=says):
        Hardware(**{"gpus": 1, "tflops": 300.0, "utilisation": 0.3, **told})
