"""Memory of training while the corpus grows ten-fold, as JSON.

    python tests/bench/corpus_memory.py [--megabytes 60] [--steps 60]

Four corpora: one size and ten times it, made of longer recordings and of more of them. Each is
pretrained on for as many steps by a process of its own, with a narrow teacher, so that signal and
not weights would fill memory. Read are the peak of the resident set (``VmHWM``), mapped files
included, and how much signal had passed through by then.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from diverloop.decoders.corpus import RATE_HZ, Corpus, CorpusEntry, CorpusWriter, DrawPlan

N_CHANNELS = 32
BLOCK = 10 * RATE_HZ


def noise(rng: np.random.Generator, n_blocks: int) -> Iterator[tuple[bool, np.ndarray]]:
    """Blocks of ten seconds, of which one is in memory."""
    for number in range(n_blocks):
        yield not number, (10 * rng.standard_normal((N_CHANNELS, BLOCK))).astype(np.float32)


def build(folder: Path, n: int, megabytes: float) -> None:
    """So many recordings of so much signal in all."""
    n_blocks = max(1, round(megabytes * 1e6 / n / (4 * N_CHANNELS * BLOCK)))
    writer = CorpusWriter(folder)
    for number in range(n):
        entry = CorpusEntry(
            name=f"noise {number}", data_id=f"noise {number}", licence="simulated", modality="EEG",
            channel_names=tuple(f"C{place}" for place in range(N_CHANNELS)),
            positions_mm=((0.0, 10.0, 80.0),) * N_CHANNELS, subtypes=(-1,) * N_CHANNELS,
        )  # fmt: skip
        writer.add_blocks(entry, noise(np.random.default_rng(number), n_blocks))
    writer.close()


def train(folder: Path, out: Path, steps: int) -> dict[str, Any]:
    """Train, and say what it took; this runs in a process of its own."""
    import torch

    from diverloop.decoders.pretrain import pretrain
    from diverloop.decoders.reconstruction import PretrainConfig
    from diverloop.decoders.teacher import TeacherConfig
    from diverloop.decoders.training_plan import TrainPlan

    torch.set_num_threads(1)
    began = peak_mib()
    corpus = Corpus.open(folder)
    opened = peak_mib()
    draw = DrawPlan(patch=500, max_channels=4, max_patches=30, min_patches=30)
    plan = TrainPlan(
        out=out, steps=steps, batch=16, save_every_s=1e6, validate_every=10_000, device="cpu",
        tensorboard=False,
    )  # fmt: skip
    task = PretrainConfig(draw=draw, held_out=0.0)
    pretrain(corpus, TeacherConfig(width=32, n_layers=1), task, plan)
    # Every segment is looked at with all its channels before some of them are taken.
    return {
        "recordings": len(corpus.entries),
        "corpus_mb": round(sum((folder / one.file).stat().st_size for one in corpus.entries) / 1e6),
        "segments_read_mb": round(steps * 16 * 30 * 500 * N_CHANNELS * 4 / 1e6),
        "peak_mib_before": round(began, 1),
        "peak_mib_opened": round(opened, 1),
        "peak_mib": round(peak_mib(), 1),
    }


def peak_mib() -> float:
    """Highest resident set of this process so far."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def main() -> None:
    """Build, train, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=60.0)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--train", nargs=2, type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.train:
        print(json.dumps(train(*asked.train, asked.steps)))
        return
    found = {}
    cases = {"1x": (6, 1), "10x, longer": (6, 10), "10x, more": (60, 10)}
    for name, (n, factor) in cases.items():
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            build(place / "corpus", n, factor * asked.megabytes)
            command = [
                sys.executable, __file__, "--steps", str(asked.steps), "--train",
                str(place / "corpus"), str(place / "run"),
            ]  # fmt: skip
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            found[name] = json.loads(done.stdout)
    peaks = [case["peak_mib"] for case in found.values()]
    told = {"growth_mib": round(max(peaks[1:]) - peaks[0], 1)}
    print(json.dumps(told | found, indent=1))


if __name__ == "__main__":
    main()
