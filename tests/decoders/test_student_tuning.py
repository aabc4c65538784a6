"""A tuned student: what was fitted on remembered hops is what an ordinary student serves."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the student needs torch")

from diverloop.decoders.engines.opening import untaught
from diverloop.decoders.student import Student
from diverloop.decoders.student_config import StudentConfig
from diverloop.decoders.student_encoder import StudentEncoder, StudentEncoderConfig
from diverloop.decoders.student_files import save_student
from diverloop.decoders.student_tail import TailHearing
from diverloop.decoders.student_tuning import tune
from diverloop.decoders.student_tuning_config import StudentTuningConfig
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.messages import Channel, StreamSpec, Window
from diverloop.runtime.settings import build

SPEC = StreamSpec(
    name="test", rate_hz=500.0, channels=tuple(Channel(name=f"E{i}") for i in range(4))
)
N_TIMES = 250
LABELS = np.array(["left", "right"] * 6)
PLANS = {
    "tuned": StudentTuningConfig(rank=2, steps=12, n_hops=3, batch=6, learning_rate=1e-2),
    "attention": StudentTuningConfig(rank=0, pooling="attention", steps=12, batch=6),
    "both": StudentTuningConfig(rank=2, pooling="attention", steps=12, batch=6),
}


@pytest.fixture(scope="module")
def student(tmp_path_factory):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        made = Student(StudentConfig(width=32, n_layers=2, n_latents=2, context=6))
    path = tmp_path_factory.mktemp("student") / "small.safetensors"
    save_student(made, path, {"made_by": "a test"})
    return untaught(StudentEncoderConfig.for_stream(SPEC, str(path)))


def said(encoder) -> np.ndarray:
    """What an encoder makes of a stream's windows, each a hop behind the last."""
    stream = 20 * np.random.default_rng(1).standard_normal((4, N_TIMES + 11 * 50))
    encoder.open(SPEC, N_TIMES)
    found = []
    for first in range(0, 12 * 50, 50):
        window = Window(
            samples=stream[:, first : first + N_TIMES],
            first_sample=first,
            stop_sample=first + N_TIMES,
            due_ns=0,
            conditioned_first=first,
        )
        found.append(encoder.encode(window).values)
    encoder.close()
    return np.stack(found)


@pytest.fixture(scope="module")
def inputs(student):
    return said(TailHearing(student.taught(np.zeros((1, student.n_features)))))


@pytest.mark.parametrize("name", sorted(PLANS))
def test_a_bundle_serves_in_a_stream_what_was_fitted(student, inputs, name):
    tuned = tune(student, inputs, LABELS, PLANS[name])
    said_by_card = json.loads(json.dumps(asdict(tuned.config)))
    config = build(StudentEncoderConfig, said_by_card, "card")
    served = StudentEncoder.from_arrays(config, tuned.to_arrays())
    np.testing.assert_allclose(said(served), tuned.encode_many(inputs), atol=1e-4)
    plain = student.taught(np.zeros((1, student.n_features)))
    assert np.abs(said(plain) - tuned.encode_many(inputs)).max() > 1e-3


def test_the_card_says_that_weights_are_tuned_from_which_student_and_how(student, inputs):
    config = tune(student, inputs, LABELS, PLANS["tuned"]).config
    assert config.tuned["from_sha256"] == student.config.sha256 != config.sha256
    assert config.tuned["from"] == student.config.student
    assert config.tuned["rank"] == 2
    assert "blocks.1.ffn.down.weight" in config.tuned["weights"]
    asked = tune(student, inputs, LABELS, PLANS["attention"]).config
    assert asked.sha256 == student.config.sha256
    assert asked.tuned["weights"] == []


def test_only_the_weights_that_the_card_names_are_others(student, inputs):
    tuned = tune(student, inputs, LABELS, PLANS["tuned"])
    changed = {
        name
        for name, value in tuned.encoder.weights.items()
        if not np.array_equal(value, student.weights[name])
    }
    assert changed == set(tuned.config.tuned["weights"])


def test_the_same_seed_tunes_alike(student, inputs):
    first, second = (tune(student, inputs, LABELS, PLANS["both"]) for _ in range(2))
    assert first.config.sha256 == second.config.sha256
    np.testing.assert_array_equal(first.encode_many(inputs), second.encode_many(inputs))


def test_tuning_ends_when_its_time_is_over(student, inputs):
    ticks = iter([0.0, 1e6])
    short = tune(student, inputs, LABELS, PLANS["tuned"], clock=lambda: next(ticks))
    whole = student.weights["norm.weight"]
    np.testing.assert_array_equal(short.encoder.weights["norm.weight"], whole)


def test_a_plan_that_would_learn_nothing_is_refused():
    with pytest.raises(ConfigError, match="nothing would be learnt"):
        StudentTuningConfig(rank=0)
