"""Training killed with SIGKILL ten times at random moments, against a run that never was, as JSON.

    python tests/bench/killed_training.py [--kills 10] [--steps 60] [--seed 0] [--only CASE]

Four cases: pretraining and distillation in one process, pretraining in two processes, and
distillation in two that is finished by one. Each run is killed with all its processes, as a power
cut would do it, at a random moment of a random step; a checkpoint is written every 0.3 s, so that
some kills fall into the writing of one and most lose steps. The command is then given again.

With the same number of processes the log and every weight must be the same to the last bit.
Where the number changes, sums are made in another order: see `two_processes.py`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from small_training import (
    checkpoints,
    command,
    corpus_in,
    curve_difference,
    identical,
    weight_difference,
)
from two_processes import CURVE_TOLERANCE, WEIGHT_TOLERANCE

CASES = {
    "pretrain": ("pretrain", 1, 1),
    "distill": ("distill", 1, 1),
    "pretrain in two processes": ("pretrain", 2, 2),
    "distill in two processes, finished by one": ("distill", 2, 1),
}
"""Case -> what, processes while it is killed, processes at the end."""


def family(pid: int) -> list[int]:
    """A process and all below it, parents first."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def killed_at(started: list[str], out: Path, chance: random.Random, last: int) -> dict[str, Any]:
    """Start, kill at a random moment of a random step, say where that was."""
    process = subprocess.Popen(
        started, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    began, seen = 0, 0
    wanted = 0
    for line in process.stdout:
        if not line.startswith("step "):
            continue
        seen = int(line.split()[1])
        if not began:
            began = seen
            wanted = chance.randint(began, max(began, min(last - 1, began + last // 8)))
        if seen >= wanted:
            time.sleep(chance.uniform(0, 0.15))
            break
    for pid in family(process.pid):  # torchrun gives each worker a session of its own
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    kept = checkpoints(out / "checkpoints")
    return {
        "went_on_from": began - 1,
        "killed_in_step": seen + 1,
        "exit": process.returncode,
        "newest_checkpoint": int(kept[0].name.split("-")[1]) if kept else 0,
        "half_written": len(list((out / "checkpoints").glob(".*"))),
    }


def measure(case: str, folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """A run that is never killed, one that is; what is the same."""
    kind, n, n_end = CASES[case]
    chance = random.Random(f"{asked.seed} {case}")
    told = {"steps": asked.steps, "log_every": 3, "save_every_s": 0.3}
    whole, parts = folder / case / "whole", folder / case / "parts"
    subprocess.run(
        command(kind, folder / "corpus", whole, n, **told), check=True, stdout=subprocess.DEVNULL
    )
    kills = []
    while len(kills) < asked.kills:
        started = command(kind, folder / "corpus", parts, n, **told)
        kills.append(killed_at(started, parts, chance, asked.steps))
    subprocess.run(
        command(kind, folder / "corpus", parts, n_end, **told), check=True,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    found: dict[str, Any] = {"kills": kills, "identical_to_the_bit": identical(whole, parts)}
    if n != n_end:
        found["loss_curve_largest_relative_difference"] = curve_difference(whole, parts)
        found["weights_largest_relative_difference"] = weight_difference(whole, parts)
    found["held"] = found["identical_to_the_bit"] or (
        n != n_end
        and found["loss_curve_largest_relative_difference"] <= CURVE_TOLERANCE
        and found["weights_largest_relative_difference"] <= WEIGHT_TOLERANCE
    )
    return found


def main() -> None:
    """Kill, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=list(CASES))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        corpus_in(Path(folder) / "corpus")
        cases = [asked.only] if asked.only else list(CASES)
        found = {case: measure(case, Path(folder), asked) for case in cases}
    told = {"kills": asked.kills, "steps": asked.steps,
            "held": all(case["held"] for case in found.values())}  # fmt: skip
    print(json.dumps(told | found, indent=1))


if __name__ == "__main__":
    main()
