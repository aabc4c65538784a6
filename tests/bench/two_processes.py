"""Two processes against one: the same updates, curve by curve and weight by weight, as JSON.

    python tests/bench/two_processes.py [--steps 40]

Pretraining and distillation, each in one process and in two that gloo connects, with DDP and with
FSDP. The batches of an update are the same, whoever computes them. What is left is the order in
which floating-point numbers are added: gradients over two processes instead of over two batches.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from small_training import (
    command,
    corpus_in,
    curve,
    curve_difference,
    weight_difference,
)

CURVE_TOLERANCE = 1e-5
WEIGHT_TOLERANCE = 1e-3


def compare(kind: str, folder: Path, steps: int) -> dict[str, Any]:
    """One process, and two in both ways."""
    corpus_in(folder / "corpus")
    outs = {"one": (1, "ddp"), "ddp": (2, "ddp"), "fsdp": (2, "fsdp")}
    for name, (n, sharding) in outs.items():
        started = command(
            kind, folder / "corpus", folder / kind / name, n, steps=steps, sharding=sharding
        )
        subprocess.run(started, check=True, stdout=subprocess.DEVNULL)
    one = folder / kind / "one"
    loss = [float(value) for value in curve(one)["loss"]]
    return {
        "first_loss": loss[0],
        "last_loss": loss[-1],
        **{
            name: {
                "loss_curve_largest_relative_difference": curve_difference(one, two),
                "weights_largest_relative_difference": weight_difference(one, two),
                "weights_without_effect_largest_relative_difference": weight_difference(
                    one, two, without_effect=True
                ),
            }
            for name in ("ddp", "fsdp")
            for two in (folder / kind / name,)
        },
    }


def main() -> None:
    """Run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=40)
    steps = parser.parse_args().steps
    with tempfile.TemporaryDirectory() as folder:
        found = {kind: compare(kind, Path(folder), steps) for kind in ("pretrain", "distill")}
    held = all(
        row["loss_curve_largest_relative_difference"] <= CURVE_TOLERANCE
        and row["weights_largest_relative_difference"] <= WEIGHT_TOLERANCE
        for case in found.values()
        for row in (case["ddp"], case["fsdp"])
    )
    told = {"steps": steps, "curve_tolerance": CURVE_TOLERANCE,
            "weight_tolerance": WEIGHT_TOLERANCE, "held": held}  # fmt: skip
    print(json.dumps(told | found, indent=1))


if __name__ == "__main__":
    main()
