"""Small runs of pretraining and distillation, for what compares runs with each other.

    python tests/bench/small_training.py {pretrain,distill} FOLDER OUT [--batches 4] ...

Not a benchmark: `two_processes.py`, `killed_training.py` and `corpus_memory.py` start it, alone or
behind ``torchrun``. The networks are the product's own, narrow; the corpus is made here.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from diverloop.decoders.corpus import Corpus, CorpusEntry, DrawPlan
from diverloop.decoders.distill import distill
from diverloop.decoders.distill_config import DistillConfig
from diverloop.decoders.pretrain import pretrain
from diverloop.decoders.reconstruction import PretrainConfig
from diverloop.decoders.student_config import StudentConfig
from diverloop.decoders.teacher import Teacher, TeacherConfig
from diverloop.decoders.training_files import checkpoints, read_weights
from diverloop.decoders.training_plan import TrainPlan

TEACHER = TeacherConfig(width=64, n_layers=2, patch=500)
STUDENT = StudentConfig(width=32, n_layers=2, n_latents=2, context=10)
WITHOUT_EFFECT = re.compile(r"patch_cnn\.convs\.\d\.bias")
CLOCKED = ("seconds", "samples_per_s")
"""Columns of the log that the clock writes."""


def corpus_in(folder: Path, n: int = 6, seconds: float = 30.0) -> Corpus:
    """A corpus of rhythms that come and go, under noise, made from one seed."""
    if (folder / "corpus.json").is_file():
        return Corpus.open(folder)
    rng = np.random.default_rng(7)
    names = tuple(f"C{place}" for place in range(6))

    def recording(number: int) -> tuple[CorpusEntry, list[np.ndarray]]:
        time_s = np.arange(round(500 * seconds)) / 500
        size = 1 + 0.5 * np.sin(2 * np.pi * 0.1 * time_s + rng.uniform(0, 6))
        rhythm = 10 * size * np.sin(2 * np.pi * 10 * time_s + rng.uniform(0, 6))
        noise = 4 * rng.standard_normal((len(names), len(time_s)))
        entry = CorpusEntry(
            name=f"made {number}", data_id=f"made {number}", licence="simulated", modality="EEG",
            channel_names=names, positions_mm=((0.0, 10.0, 80.0),) * len(names),
            subtypes=(-1,) * len(names),
        )  # fmt: skip
        return entry, [(rhythm + noise).astype(np.float32)]

    return Corpus.build(folder, (recording(number) for number in range(n)))


def run(kind: str, folder: Path, out: Path, asked: argparse.Namespace) -> None:
    """One run, to its end."""
    n_processes = int(os.environ.get("WORLD_SIZE", "1"))
    plan = TrainPlan(
        out=out, steps=asked.steps, batch=3, accumulate=asked.batches // n_processes,
        learning_rate=3e-3, log_every=asked.log_every, validate_every=1000, tensorboard=False,
        device="cpu", sharding=asked.sharding, save_every_s=asked.save_every_s,
        shard_bytes=1 << 18,
    )  # fmt: skip

    def say(_text: str, done: int, _of: int) -> None:
        sys.stdout.write(f"step {done}\n")
        sys.stdout.flush()

    corpus = corpus_in(folder)
    if kind == "pretrain":
        draw = DrawPlan(patch=500, max_channels=5, max_patches=4, min_patches=2)
        task = PretrainConfig(draw=draw, held_out=0.2, validation_batches=2)
        pretrain(corpus, TEACHER, task, plan, say)
        return
    torch.manual_seed(1)
    teacher = Teacher(TEACHER)
    config = DistillConfig(aside=0.2, validation_batches=2, max_channels=5, max_seconds=3)
    distill(corpus, teacher, STUDENT, config, plan, lambda *told: say(*told))


def command(kind: str, folder: Path, out: Path, n: int = 1, **told: object) -> list[str]:
    """How to start such a run, in so many processes."""
    settings = [f"--{name.replace('_', '-')}={value}" for name, value in told.items()]
    behind: Sequence[str] = ()
    if n > 1:
        behind = (
            "-m", "torch.distributed.run", "--nproc-per-node", str(n), "--rdzv-backend", "c10d",
            "--rdzv-endpoint", "127.0.0.1:0", "--local-addr", "127.0.0.1",
        )  # fmt: skip
    return [sys.executable, *behind, __file__, kind, str(folder), str(out), *settings]


def curve(out: Path) -> dict[str, list[str]]:
    """Columns of the log as they are written, without those of the clock."""
    with (out / "log.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {name: [row[name] for row in rows] for name in rows[0] if name not in CLOCKED}


def weights(out: Path) -> dict[str, torch.Tensor]:
    """Weights and statistics of the newest checkpoint."""
    return read_weights(checkpoints(out / "checkpoints")[0])


def curve_difference(one: Path, two: Path) -> float:
    """Largest difference of the losses, each against its own size."""
    a, b = (np.array(curve(out)["loss"], dtype=float) for out in (one, two))
    return float(np.max(np.abs(a - b) / np.abs(a)))


def weight_difference(one: Path, two: Path, without_effect: bool = False) -> float:
    """Largest difference of a weight, against the root mean square of its own tensor.

    Either of those that matter or of those that do not: what a bias in front of a group norm adds
    is taken out again, its gradient is rounding error, and AdamW makes whole steps of it.
    """
    a, b = weights(one), weights(two)
    worst = 0.0
    for name, tensor in a.items():
        if (WITHOUT_EFFECT.fullmatch(name) is not None) is without_effect:
            size = float(tensor.double().square().mean().sqrt()) or 1.0
            worst = max(worst, float((tensor.double() - b[name].double()).abs().max()) / size)
    return worst


def identical(one: Path, two: Path) -> bool:
    """Whether logs and weights are the same to the last bit."""
    a, b = weights(one), weights(two)
    same = a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
    return same and curve(one) == curve(two)


def main() -> None:
    """Run as asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["pretrain", "distill"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--batches", type=int, default=4, help="of an update, over all processes")
    parser.add_argument("--sharding", default="ddp")
    parser.add_argument("--log-every", type=int, default=1)
    parser.add_argument("--save-every-s", type=float, default=1e6)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    run(asked.kind, asked.folder, asked.out, asked)


if __name__ == "__main__":
    main()
