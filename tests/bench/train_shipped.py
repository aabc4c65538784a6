"""Train what ships: a teacher on the permitted corpus, and a student distilled from it.

    DIVERLOOP_DATA=... python tests/bench/train_shipped.py EEG --out runs/eeg [--scale gpu]

Builds the corpus, pretrains, distils; given again, it goes on where it was stopped. ``cpu`` is what
the shipped students were made with: about an hour and a half for each modality on one core.
``gpu`` is the same with a larger teacher, longer segments and larger batches, in bfloat16, for one
card; for several, run it behind ``python -m torch.distributed.run`` once the corpus is there.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from diverloop.corpus_building import build_corpus, read_recipe
from diverloop.decoders.corpus import Corpus, DrawPlan
from diverloop.decoders.distill import distill
from diverloop.decoders.distill_config import DistillConfig
from diverloop.decoders.pretrain import pretrain
from diverloop.decoders.reconstruction import PretrainConfig
from diverloop.decoders.student_config import StudentConfig
from diverloop.decoders.teacher import TeacherConfig
from diverloop.decoders.teacher_files import load_teacher
from diverloop.decoders.training_plan import TrainPlan

RECIPE = Path(__file__).parents[2] / "corpora" / "shipped.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much is trained."""

    teacher: str
    channels: int
    patches: int
    seconds: float
    teaching: dict[str, Any]
    learning: dict[str, Any]


SCALES = {
    ("EEG", "cpu"): Scale(
        teacher="tiny", channels=20, patches=8, seconds=4.0,
        teaching={"steps": 2400, "batch": 6}, learning={"steps": 1500, "batch": 4, "accumulate": 2},
    ),
    ("iEEG", "cpu"): Scale(
        teacher="tiny", channels=14, patches=20, seconds=2.0,
        teaching={"steps": 1000, "batch": 4}, learning={"steps": 1000, "batch": 4, "accumulate": 2},
    ),
    ("EEG", "gpu"): Scale(
        teacher="small", channels=32, patches=30, seconds=8.0,
        teaching={"steps": 40_000, "batch": 48, "precision": "bf16", "read_ahead": 8},
        learning={"steps": 20_000, "batch": 48, "precision": "bf16", "read_ahead": 8},
    ),
    ("iEEG", "gpu"): Scale(
        teacher="tiny", channels=32, patches=60, seconds=6.0,
        teaching={"steps": 40_000, "batch": 24, "precision": "bf16", "read_ahead": 8},
        learning={"steps": 20_000, "batch": 32, "precision": "bf16", "read_ahead": 8},
    ),
}  # fmt: skip
SHORTEST = {"EEG": (2, 2.0), "iEEG": (5, 1.0)}
"""Fewest patches of a teacher's segment, and fewest seconds of a student's."""


def told(what: str, done: int, of: int) -> None:
    """One line now and then."""
    if done % 100 == 0 or done == of:
        print(f"{what}: {done} of {of}", flush=True)


def corpus_in(folder: Path, modality: str) -> Corpus:
    """The corpus, built if it is not there."""
    if not (folder / "corpus.json").is_file():
        build_corpus(read_recipe(RECIPE, os.environ["DIVERLOOP_DATA"], modality=modality), folder)
    return Corpus.open(folder)


def taught(corpus: Corpus, scale: Scale, modality: str, out: Path) -> Path:
    """A teacher's file."""
    patch = 500 if modality == "EEG" else 50
    draw = DrawPlan(
        patch=patch, max_channels=scale.channels, max_patches=scale.patches,
        min_patches=SHORTEST[modality][0], power=0.5,
    )  # fmt: skip
    task = PretrainConfig(draw=draw, high_frequency_weight=0.0 if modality == "EEG" else 2.0)
    plan = TrainPlan(
        out=out, learning_rate=5e-4, weight_decay=1e-3, warmup=0.06, floor=0.02, save_every_s=240,
        validate_every=150, tensorboard=False, **scale.teaching,
    )  # fmt: skip
    return pretrain(corpus, TeacherConfig.named(scale.teacher, patch), task, plan, told)


def learnt(corpus: Corpus, teacher: Path, scale: Scale, modality: str, out: Path) -> Path:
    """A student's file."""
    task = DistillConfig(
        max_channels=scale.channels, min_channels=2,
        max_seconds=scale.seconds, min_seconds=SHORTEST[modality][1],
    )  # fmt: skip
    plan = TrainPlan(
        out=out, learning_rate=1e-3, weight_decay=0.01, warmup=0.05, save_every_s=240,
        validate_every=150, tensorboard=False, **scale.learning,
    )  # fmt: skip
    student = StudentConfig.named("S", modality)
    return distill(corpus, load_teacher(teacher), student, task, plan, told)


def main() -> None:
    """Read the command line, train."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("modality", choices=("EEG", "iEEG"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--scale", choices=("cpu", "gpu"), default="cpu")
    options = parser.parse_args()
    if options.scale == "cpu":
        torch.set_num_threads(1)
    scale = SCALES[options.modality, options.scale]
    corpus = corpus_in(options.out / "corpus", options.modality)
    teacher = taught(corpus, scale, options.modality, options.out / "teacher")
    print(learnt(corpus, teacher, scale, options.modality, options.out / "student"))


if __name__ == "__main__":
    main()
