"""What a distilled student is worth on tasks, beside its teacher, covariances and networks: JSON.

    DIVERLOOP_DATA=... python tests/bench/encoders.py --teacher T.safetensors \\
        --student S.safetensors --out FOLDER [--tasks mi-,p300-gtec] [--lost 0.1] [--quick]

Every method gets the same windows (`decoding_tasks`) to fit on and to judge on:

- ``teacher``, ``student``, ``random``: frozen encoder and linear head; ``random`` is the student's
  architecture with weights as they are drawn, so what the architecture gives without any training;
- ``scratch``: the student's architecture trained on the task's labels alone;
- ``tuned``: the student after task distillation (labels, and the teacher's head's held-out scores);
- ``tangent``: covariances in the tangent space and a linear head, no neural network;
- ``eegnet``, ``shallow``: EEGNet and ShallowFBCSPNet of braindecode, trained from scratch;
- ``both``: the better of student and tangent on folds inside the training data, unless their
  features side by side or the mean of their scores beat it there by a standard error.

Nothing is chosen on what is judged: heads, features, penalties and stopping by folds inside the
training windows. Sizes of networks and of their training were set beforehand and are the same for
all tasks. A score is the share of right trials, or the AUC of single flashes, in points of per
cent, with a 95 % interval from a bootstrap over trials or stretches of 8 s; differences are paired.
Over subjects every subject counts the same, whatever it did; subjects are drawn too. FEIS is a
control that nobody can decode: it is listed and not counted. Nor is `mi-four`, which shares its
runs with two other tasks, nor are the first two movements of the ECoG recording, whose first 9 s
are in the corpus of the shipped models, without the labels.

``--lost`` masks that share of channels, rounded up, in the test windows, at random; encoders are
told which. Only tasks with 8 channels or more: of 4 there is no tenth. Results are written task by
task; the same command goes on where it was stopped, unless the program was changed. ``--quick`` is
a check of the program and no result.
"""

from __future__ import annotations

import os

# One thread for everything: the machine may be shared, and sums must not depend on the number.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from decoding_heads import Floats, interval
from decoding_plans import PLANS
from decoding_rivals import NETWORKS
from decoding_tasks import load_task
from decoding_trial import ARMS, QUICK, Effort, Models, Trial, lose, say

PAIRS = (
    ("student", "teacher"), ("tuned", "teacher"), ("student", "random"), ("tuned", "scratch"),
    ("student", "tangent"), ("tuned", "tangent"), ("both", "student"), ("both", "tangent"),
    ("teacher", "tangent"), ("tuned", "eegnet"), ("tuned", "shallow"),
)  # fmt: skip
QUICK_TASKS = ("mi-fists-feet", "ssvep-exo/X01", "ecog-move/2")
NOT_COUNTED = ("feis-control", "mi-four", "ecog-move/1", "ecog-move/2")
FEWEST_TO_LOSE = 8
HERE = Path(__file__).parent


def compare(records: list[dict[str, Any]], draws: list[dict[str, Floats]]) -> dict[str, Any]:
    """Means over subjects and paired differences, with intervals over subjects and trials."""
    counted = [i for i, one in enumerate(records) if one["task"] not in NOT_COUNTED]
    subjects = sorted({records[i]["subject"] for i in counted})
    rng, found = np.random.default_rng(3), {"subjects": subjects}
    for a, b in [(arm, None) for arm in ARMS] + list(PAIRS):
        tables = []
        for subject in subjects:
            rows = [
                draws[i][a] - (draws[i][b] if b else 0)
                for i in counted
                if records[i]["subject"] == subject and a in draws[i] and (not b or b in draws[i])
            ]
            if rows:
                tables.append(np.mean(rows, axis=0))
        if not tables:
            continue
        table = np.array(tables)  # (n_subjects, 1 + n_draws); the first column is the score itself
        n_draws = table.shape[1] - 1
        picks = rng.integers(len(table), size=(n_draws, len(table)))
        means = table[picks, 1 + np.arange(n_draws)[:, None]].mean(axis=1)
        name = f"{a} - {b}" if b else a
        found[name] = {
            "points": round(float(table[:, 0].mean()), 2),
            "interval": interval(means),
            "subjects": len(table),
        }
    return found


def lost_points(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Points lost with the masked channels: mean over tasks of a subject, then over subjects."""
    by_arm: dict[str, dict[str, list[float]]] = {}
    for one in records:
        if "lost" in one and one["task"] not in NOT_COUNTED:
            for arm, found in one["lost"]["arms"].items():
                by_arm.setdefault(arm, {}).setdefault(one["subject"], []).append(found["points"])
    rng, told = np.random.default_rng(5), {}
    for arm, subjects in by_arm.items():
        points = np.array([np.mean(values) for values in subjects.values()])
        draws = rng.choice(points, size=(1000, len(points))).mean(axis=1)
        told[arm] = {
            "points": round(float(points.mean()), 2),
            "interval": interval(draws),
            "subjects": len(points),
        }
    return told


def table_of(records: list[dict[str, Any]]) -> str:
    """Scores for a person to read."""
    lines = [f"{'task':20s}" + "".join(f"{arm:>9s}" for arm in ARMS)]
    for one in records:
        cells = [one["arms"].get(arm, {}).get("score") for arm in ARMS]
        shown = "".join(f"{'-' if cell is None else format(cell, '.1f'):>9s}" for cell in cells)
        lines.append(f"{one['task']:20s}{shown}")
    return "\n".join(lines)


def one_task(
    name: str, models: Models, options: argparse.Namespace, folder: Path
) -> tuple[dict[str, Any], dict[str, Floats]]:
    """A task's record and draws, from the folder if they are there."""
    effort = QUICK if options.quick else Effort()
    settings = [name, models.sha256, options.arms, options.lost, options.repeats, repr(effort)]
    program = b"".join(file.read_bytes() for file in sorted(HERE.glob("decoding_*.py")))
    key = hashlib.sha256(json.dumps(settings).encode() + program).hexdigest()[:16]
    path = folder / f"{name.replace('/', '-')}-{key}.npz"
    if path.is_file():
        with np.load(path, allow_pickle=False) as kept:
            return json.loads(str(kept["record"])), {
                arm: kept[arm] for arm in kept.files if arm != "record"
            }
    say(f"{name}")
    task = load_task(name, Path(os.environ["DIVERLOOP_DATA"]), folder / "windows")
    trial = Trial(task, models, effort)
    trial.run(tuple(options.arms))
    record, draws = trial.record()
    if options.lost and len(task.channel_names) >= FEWEST_TO_LOSE:
        record["lost"] = lose(trial, task, options.lost, options.repeats)
    partial = path.with_suffix(".part.npz")
    np.savez(partial, record=json.dumps(record), **draws)
    partial.replace(path)
    return record, draws


def main() -> None:
    """Read the command line, run, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--teacher", required=True, help="file, or random:tiny-500")
    parser.add_argument("--student", required=True, help="file, or random:S")
    parser.add_argument("--teacher-ieeg", help="for intracranial tasks; otherwise the same")
    parser.add_argument("--student-ieeg", help="for intracranial tasks; otherwise the same")
    parser.add_argument("--tasks", default="", help="beginnings of names, separated by commas")
    parser.add_argument("--arms", default=",".join(ARMS), type=lambda text: text.split(","))
    parser.add_argument("--lost", type=float, default=0.0, help="share of channels to mask")
    parser.add_argument("--repeats", type=int, default=10, help="random masks for each task")
    parser.add_argument("--out", type=Path, required=True, help="folder for what is finished")
    parser.add_argument("--quick", action="store_true", help="try the program, no result")
    options = parser.parse_args()
    unknown = sorted(set(options.arms) - set(ARMS))
    if unknown or ("both" in options.arms and not {"student", "tangent"} <= set(options.arms)):
        parser.error(f"arms are {', '.join(ARMS)}; both needs student and tangent; got {unknown}")
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    wanted = tuple(options.tasks.split(",")) if options.tasks else ("",)
    names = [name for name in PLANS if name.startswith(wanted)]
    if options.quick and not options.tasks:
        names = list(QUICK_TASKS)
    scalp = Models.of(options.teacher, options.student)
    inside = scalp
    if options.teacher_ieeg or options.student_ieeg:
        inside = Models.of(
            options.teacher_ieeg or options.teacher, options.student_ieeg or options.student
        )
    done = [
        one_task(name, inside if name.startswith("ecog") else scalp, options, options.out)
        for name in names
    ]
    records = [record for record, _ in done]
    say(table_of(records))
    overall = compare(records, [draws for _, draws in done])
    about = {"eeg": scalp.about(), "ieeg": inside.about(), "network_rates_hz": NETWORKS}
    found = {"models": about, "overall": overall, "lost": lost_points(records), "tasks": records}
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
