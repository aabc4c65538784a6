"""A small student compiled for some electrodes, for the tests of engines. Import it after torch."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from diverloop.adapters.linear import LinearAdapter, LinearConfig
from diverloop.decoders.engines.compiling import compile_bundle
from diverloop.decoders.engines.step_export import Step, export_step
from diverloop.decoders.engines.step_shape import StepShape
from diverloop.decoders.student import Student
from diverloop.decoders.student_config import StudentConfig
from diverloop.decoders.student_encoder import StudentEncoder, StudentEncoderConfig
from diverloop.runtime.bundle import Bundle, join_parts, load_bundle, save_bundle
from diverloop.runtime.card import Card, CardInput, CardWindow
from diverloop.runtime.messages import Channel, StreamSpec
from diverloop.runtime.signal.condition_config import ConditionConfig

CONFIG = StudentConfig(width=32, n_layers=2, n_latents=3, context=5, scales=(50, 100))


@functools.cache
def encoder(n_rows: int = 4, seed: int = 0) -> StudentEncoder:
    """Random weights, made once; the second row has no place."""
    torch.manual_seed(seed)
    weights = {name: one.numpy() for name, one in Student(CONFIG).state_dict().items()}
    places = tuple(None if row == 1 else (9.0 * row, 20.0, 80.0) for row in range(n_rows))
    config = StudentEncoderConfig(
        positions_mm=places, architecture=CONFIG.to_dict(), sha256="ab", streams=True
    )
    return StudentEncoder(config, weights, np.zeros((n_rows, CONFIG.n_readings)))


def step(n_rows: int = 4) -> Step:
    """The encoder's step."""
    from diverloop.decoders.engines.opening import step_of

    return step_of(encoder(n_rows))


def graph(n_rows: int = 4) -> bytes:
    """Exported once, however it is asked for; the first time in a process takes seconds."""
    return _graph(n_rows)


@functools.cache
def _graph(n_rows: int) -> bytes:
    return export_step(step(n_rows), {"made_by": "a test"})


def shape(n_rows: int = 4) -> StepShape:
    """Its interface."""
    return StepShape.of(CONFIG, n_rows)


def stream(n_hops: int, n_rows: int = 4, seed: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    """Hops and masks; a row that is absent holds NaN."""
    rng = np.random.default_rng(seed)
    hops = 30 * rng.standard_normal((n_hops, n_rows, CONFIG.hop)).astype(np.float32)
    usable = rng.random((n_hops, n_rows)) > 0.2
    hops[~usable] = np.nan
    return list(zip(hops, usable, strict=True))


def save(folder: Path, n_rows: int = 4, seed: int = 0) -> Bundle:
    """A model around the encoder, saved as ``folder`` and read back; not compiled."""
    one = encoder(n_rows, seed)
    channels = tuple(Channel(name=f"E{row}") for row in range(n_rows))
    spec = StreamSpec(name="made", rate_hz=500.0, channels=channels)
    classes = ("left", "right")
    linear = LinearAdapter(
        LinearConfig(classes=classes),
        mean=np.zeros(one.n_features),
        scale=np.ones(one.n_features),
        weights=np.random.default_rng(seed).standard_normal((1, one.n_features)) / 9,
        bias=np.zeros(1),
        temperature=1.0,
    )
    card = Card(
        task="motor_imagery",
        classes=classes,
        encoder="student",
        adapter="linear",
        encoder_config=asdict(one.config),
        adapter_config=asdict(linear.config),
        conditioning=asdict(ConditionConfig(high_pass_hz=0.5, rate_hz=500.0)),
        input=CardInput.of(spec),
        conditioned_rows=spec.channel_names,
        window=CardWindow(length_s=0.5, step_s=0.1, n_times=250),
        reference="none",
        band=(0.5, 250.0),
        trained_on=(),
        scores={},
        versions={},
        created_utc="2026-01-01T00:00:00+00:00",
    )
    arrays = join_parts(encoder=one.to_arrays(), adapter=linear.to_arrays())
    save_bundle(Bundle(card=card, arrays=arrays), folder)
    return load_bundle(folder)


def compiled(folder: Path, n_rows: int = 4, seed: int = 0) -> Bundle:
    """The same, compiled to FP32: a copy of what was made once."""
    shutil.copytree(_compiled(n_rows, seed), folder)
    return load_bundle(folder)


@functools.cache
def _compiled(n_rows: int, seed: int) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="diverloop-compiled-")) / "one.bundle"
    atexit.register(shutil.rmtree, folder.parent, ignore_errors=True)
    compile_bundle(encoder(n_rows, seed), save(folder, n_rows, seed))
    return folder
