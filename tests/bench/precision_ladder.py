"""What each precision costs and saves: one command, one table.

    DIVERLOOP_DATA=... python tests/bench/precision_ladder.py --out FOLDER [--table]
        [--corpus FOLDER --teacher T.safetensors [--steps 300]] [--tasks mi-,key] [--only INT8]

Rungs: 32-bit floating point; 16-bit; 8-bit integers after training (static ranges with and without
zero points, ranges by hop), 8-bit integers trained (``compress`` and ``distill`` for some hundred
steps), and 30 % and 50 % of heads and hidden units pruned. What is trained needs ``--corpus`` and
``--teacher``: without them trained integers are left out and pruned students are judged as they
are cut; the table says which. Size M has no trained weights here, so it is timed and no more.

*Latency* is that of a hop at 64 rows on one thread of the processor, ONNX Runtime: rungs take
turns in an order that is drawn anew every time, four hops each, of which the first, which finds
the caches full of others, is not counted. ``faster`` is the ratio of the medians. 16 bits are for
GPUs: their latency is not measured here.

*Agreement* with FP32 is over the embeddings of all judged windows: mean and worst cosine, and the
largest `disagreement` of a task.

*Scores*: tasks of `decoding_tasks`, fixed beforehand: two of imagery, two of flicker, one of
flashes and one of evoked potentials, six people. An engine hears every window hop by hop from a
fresh state, as it serves; features are the mean of the hops' embeddings or, where it matters when
something happens, perhaps the hops side by side; heads are those of `decoding_heads`. Which view,
how many components and how strong a penalty is chosen once, on the training windows as FP32 says
them; weights and temperature are fitted anew for each rung, on training windows alone. Ranges of
static rungs come from training windows, too. A score is the balanced accuracy of trials, or the
area under the curve of single flashes, in points of per cent; means go over people, and so does
the bootstrap of the difference to FP32, which draws people and then trials.

*ECE* is that of the judged windows of all tasks together, after the temperature that was fitted on
held-out training scores; scores of heads with equal class weights get the classes' training shares
back first. The interval of its growth is from a bootstrap over trials.

*Verdict*, a rule set beforehand: a rung earns its place if it is more than 1.1 times as fast as
FP32, loses less than 0.5 points, and its ECE grows by less than 0.01. With six people the intervals
are wide: read them beside the verdict.
"""

from __future__ import annotations

import os

# One thread for everything: the machine may be shared, and sums must not depend on the number.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from decoding_encoders import Frozen
from decoding_heads import (
    Choice,
    Floats,
    Outcome,
    fit_source,
    interval,
    probabilities,
)
from decoding_tasks import Task, load_task
from precision_rungs import (
    QAT,
    REFERENCE,
    Balanced,
    Heard,
    Rung,
    Site,
    Training,
    after_training,
    pruned,
    random_m,
    trained,
)

from diverloop.adapters.calibration import fit_temperature
from diverloop.adapters.reliability import expected_calibration_error
from diverloop.decoders.engines.engine import disagreement
from diverloop.decoders.engines.onnx_engine import OnnxEngine
from diverloop.decoders.shipped import open_student

TASKS = (
    "mi-fists-feet", "mi-openbmi", "ssvep-exo/X12", "ssvep-muse", "p300-gtec/G1", "key-press",
)  # fmt: skip
ROWS = 64
IN_A_ROW = 4
FASTER, POINTS, ECE = 1.1, 0.5, 0.01


def say(text: str) -> None:
    """To a person; the result alone goes to standard output."""
    print(text, file=sys.stderr, flush=True)


# --- latency and size ----------------------------------------------------------------------------


def costs(rungs: list[Rung], turns: int) -> dict[str, dict[str, Any]]:
    """Sizes of all, and times of those that are made for a processor, side by side."""
    site, found, engines = Site.made(ROWS), {}, {}
    for rung in rungs:
        say(f"building {rung.name} at {ROWS} rows")
        model, shape = site.graph(rung)
        found[rung.name] = {"weights_mb": weights_mb(model)}
        if rung.on_cpu:
            engines[rung.name] = OnnxEngine(model, shape, precision=rung.precision)
    hops = np.concatenate([*site.windows_uv], axis=1)
    wall_ms: dict[str, list[float]] = {name: [] for name in engines}
    rng, usable = np.random.default_rng(0), np.ones(ROWS, bool)
    for turn in range(turns):
        first = 50 * turn % (hops.shape[1] - 49)
        hop = np.ascontiguousarray(hops[:, first : first + 50])
        for name in rng.permutation(list(engines)):
            for place in range(IN_A_ROW):
                began = time.perf_counter()
                engines[name].hear(hop, usable)
                if place:
                    wall_ms[name].append(1000 * (time.perf_counter() - began))
    for name, times in wall_ms.items():
        baseline = wall_ms["M " + REFERENCE if name.startswith("M ") else REFERENCE]
        found[name] |= {
            "p50_ms": round(float(np.median(times)), 3),
            "p99_ms": round(float(np.percentile(times, 99)), 3),
            "faster": round(float(np.median(baseline) / np.median(times)), 3),
        }
    return found


def weights_mb(model: bytes) -> float:
    """Megabytes of the constants in a graph."""
    import onnx

    constants = onnx.load_from_string(model).graph.initializer
    return round(sum(onnx.numpy_helper.to_array(one).nbytes for one in constants) / 1e6, 3)


# --- what it is worth ----------------------------------------------------------------------------


def sureness(task: Task, outcome: Outcome) -> dict[str, Floats]:
    """Confidence of the judged windows, whether they are right, and their trials."""
    shares = np.log(np.bincount(task.y_train, minlength=len(task.classes)) / len(task.y_train))
    temperature = fit_temperature(outcome.held_out + shares, task.y_train)
    said = probabilities(outcome.test + shares, temperature)
    right = said.argmax(axis=1) == task.y_test
    return {"confidence": said.max(axis=1), "right": right, "group": task.groups_test}


def fitted(task: Task, source: Frozen, choice: Choice | None) -> Outcome:
    """Head and temperature; what is chosen already stays."""
    if choice is None:
        return fit_source(task, source)
    return fit_source(task, source, n_components=(choice.n_components,), costs=(choice.cost,))


def judged(task: Task, rungs: list[Rung]) -> dict[str, dict[str, Any]]:
    """Of every rung that has something to say: score, draws, ECE, agreement."""
    site, judge, found = Site.of(task), Balanced(task), {}
    expected: Floats = np.empty(0)
    choice: Choice | None = None
    for rung in rungs:  # FP32 is the first
        if not rung.scored:
            continue
        began = time.monotonic()
        model, shape = site.graph(rung)
        engine = OnnxEngine(model, shape, precision=rung.precision)
        encode = Heard(engine, rung.student.config, choice.view if choice else None)
        source = Frozen(task, encode)  # type: ignore[arg-type]
        embeddings = encode.last  # of the judged windows: they come last
        expected = embeddings if rung.name == REFERENCE else expected
        outcome = fitted(task, source, choice)
        choice = choice or outcome.choice
        score, draws = judge(outcome)
        cosines = cosine(embeddings, expected)
        found[rung.name] = {
            "score": score, "draws": draws, "sureness": sureness(task, outcome),
            "cosine": float(cosines.mean()), "worst_cosine": float(cosines.min()),
            "disagreement": disagreement(embeddings, expected),
        }  # fmt: skip
        say(f"    {rung.name:15s} {score:5.1f}  {time.monotonic() - began:.0f} s")
    return found


def cosine(found: Floats, expected: Floats) -> Floats:
    """Of every hop's embedding."""
    found, expected = found.astype(np.float64), expected.astype(np.float64)
    norms = np.linalg.norm(found, axis=-1) * np.linalg.norm(expected, axis=-1)
    return (found * expected).sum(axis=-1) / np.maximum(norms, 1e-12)


def overall(tasks: list[Task], results: list[dict[str, dict[str, Any]]]) -> dict[str, Any]:
    """Means over people; differences to FP32 with intervals over people and trials."""
    people = sorted({task.subject for task in tasks})
    rng, told = np.random.default_rng(3), {}
    for name in results[0] if results else ():
        rows = {person: [] for person in people}
        for task, one in zip(tasks, results, strict=True):
            mine, reference = one[name], one[REFERENCE]
            difference = np.append(mine["score"], mine["draws"])
            difference = difference - np.append(reference["score"], reference["draws"])
            rows[task.subject].append(difference)
        # (n_people, 1 + n_draws); the first column is the difference itself
        table = np.array([np.mean(rows[person], axis=0) for person in people])
        n_draws = table.shape[1] - 1
        picks = rng.integers(len(table), size=(n_draws, len(table)))
        means = np.nanmean(table[picks, 1 + np.arange(n_draws)[:, None]], axis=1)
        scores = [
            np.mean([r[name]["score"] for t, r in zip(tasks, results, strict=True)
                     if t.subject == person])
            for person in people
        ]  # fmt: skip
        eces, growths = calibrations(results, name)
        told[name] = {
            "score": round(float(np.mean(scores)), 2),
            "points": round(float(table[:, 0].mean()), 2),
            "interval": interval(means),
            "ece": round(eces, 4),
            "ece_growth": round(float(growths[0]), 4),
            "ece_interval": [round(float(v), 4) for v in np.percentile(growths[1:], (2.5, 97.5))],
            "cosine": round(float(np.mean([one[name]["cosine"] for one in results])), 5),
            "worst_cosine": round(min(one[name]["worst_cosine"] for one in results), 4),
            "disagreement": round(max(one[name]["disagreement"] for one in results), 4),
        }
    return told


def calibrations(
    results: list[dict[str, dict[str, Any]]], name: str, n_draws: int = 300
) -> tuple[float, Floats]:
    """ECE over all tasks; its growth over FP32, and that of bootstrap draws of trials."""
    parts: dict[str, dict[str, Floats]] = {}
    for rung in (name, REFERENCE):
        told = [one[rung]["sureness"] for one in results]
        parts[rung] = {key: np.concatenate([one[key] for one in told]) for key in told[0]}
    labels = [np.char.add(f"{i} ", one[name]["sureness"]["group"].astype(str))
              for i, one in enumerate(results)]  # fmt: skip
    of = np.unique(np.concatenate(labels), return_inverse=True)[1]
    members = [np.flatnonzero(of == group) for group in range(of.max() + 1)]

    def error(rung: str, rows: Any) -> float:
        mine = parts[rung]
        return expected_calibration_error(mine["confidence"][rows], mine["right"][rows])

    rng, growths = np.random.default_rng(7), []
    for draw in range(1 + n_draws):
        picks = rng.integers(len(members), size=len(members))
        rows = np.concatenate([members[i] for i in picks]) if draw else np.arange(len(of))
        growths.append(error(name, rows) - error(REFERENCE, rows))
    return error(name, np.arange(len(of))), np.array(growths)


# --- the table -----------------------------------------------------------------------------------


def verdict(row: dict[str, Any]) -> str:
    """By the rule of the docstring."""
    if row["rung"] == REFERENCE:
        return "reference"
    if "points" not in row:
        return "not judged"
    against = []
    if "faster" in row and row["faster"] <= FASTER:
        against.append("not faster")
    if row["points"] <= -POINTS:
        against.append("loses points")
    if row["ece_growth"] >= ECE:
        against.append("less calibrated")
    if against:
        return "no: " + ", ".join(against)
    return "earns its place" if "faster" in row else "accurate; latency not measured"


COLUMNS = (
    "rung", "p50_ms", "p99_ms", "faster", "weights_mb", "cosine", "disagreement", "score", "points",
    "interval", "ece", "ece_growth", "ece_interval", "verdict", "note",
)  # fmt: skip


def table_of(rows: list[dict[str, Any]]) -> str:
    """For a person to read."""
    cells = [[*COLUMNS]] + [[str(row.get(name, "-")) for name in COLUMNS] for row in rows]
    widths = [max(len(line[place]) for line in cells) for place in range(len(COLUMNS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


def all_rungs(options: argparse.Namespace, tasks: list[Task]) -> tuple[list[Rung], list[str]]:
    """What can be compared, and what was left out."""
    student, _ = open_student(options.student)
    rungs, left_out = list(after_training(student)), []
    if options.corpus and options.teacher:
        how = Training(
            corpus=options.corpus, teacher=options.teacher, steps=options.steps, out=options.out
        )
        rungs += trained(student, how)
    else:
        left_out.append(f"{QAT}: needs --corpus and --teacher")
        rungs += pruned(student, tasks)
    rungs += random_m()
    rungs = [
        replace(rung, note=rung.note or ("random weights: cost alone" if not rung.scored else ""))
        for rung in rungs
        if rung.name.removeprefix("M ") == REFERENCE or options.only in rung.name
    ]
    return rungs, left_out


def main() -> None:
    """Read the command line, run, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for windows and training")
    parser.add_argument("--student", default="eeg-s", help="name or file of a student for EEG")
    parser.add_argument("--corpus", type=Path, help="folder of a corpus to distil on")
    parser.add_argument("--teacher", type=Path, help="file of the teacher to distil from")
    parser.add_argument("--steps", type=int, default=300, help="of each distillation")
    parser.add_argument("--tasks", default="", help="beginnings of names, separated by commas")
    parser.add_argument("--only", default="", help="rungs with this in their name, and FP32")
    parser.add_argument("--turns", type=int, default=200, help="of each rung, for latency")
    parser.add_argument("--table", action="store_true", help="text behind the JSON")
    options = parser.parse_args()
    torch.set_num_threads(1)
    wanted = tuple(options.tasks.split(","))
    data, windows = Path(os.environ["DIVERLOOP_DATA"]), options.out / "windows"
    tasks = [load_task(name, data, windows) for name in TASKS if name.startswith(wanted)]
    rungs, left_out = all_rungs(options, tasks)
    cost = costs(rungs, options.turns)
    results = []
    for task in tasks:
        say(task.name)
        results.append(judged(task, rungs))
    worth = overall(tasks, results)
    rows = [
        {"rung": one.name, **cost[one.name], **worth.get(one.name, {}), "note": one.note}
        for one in rungs
    ]
    for row in rows:
        row["verdict"] = verdict(row)
    by_task = {
        task.name: {
            name: {k: round(v, 4) for k, v in told.items() if k not in ("draws", "sureness")}
            for name, told in one.items()
        }
        for task, one in zip(tasks, results, strict=True)
    }
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    found = {"rows": ROWS, "load_average": load, "left_out": left_out, "ladder": rows}
    print(json.dumps({**found, "tasks": by_task}, indent=1))
    if options.table:
        print(table_of(rows))
        print("\n".join(f"left out: {line}" for line in left_out))


if __name__ == "__main__":
    main()
