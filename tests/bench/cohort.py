"""What a cohort costs on this machine, and that a killed worker changes nothing, as JSON.

    python tests/bench/cohort.py [--recordings 500] [--seconds 25] [--out FOLDER] [--no-real]

Synthetic recordings of a simulated participant each, 8 channels at 250 Hz, are written as XDF, as
the product's own recorder writes them. A model is fitted on a participant who is not among them.
Then: the whole cohort with one worker and with two; a tenth, a fifth and a half of it, for the
cost of a recording; a run in which a worker is killed in the middle; a run in which all is there;
one after seven outputs were removed. Every table is compared to the byte. Times are those from the
first task to the table, without the start of the workers; that is given apart.

Real recordings are those below DIVERLOOP_DATA. One model is fitted for each of three data sets, on
recordings that are left out of the scores; every file is then given to the cohort, also those that
no model takes or nobody can read.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from diverloop.calibration import fit_best
from diverloop.cohort.clusters import ClusterConfig, open_client
from diverloop.cohort.engine import Ran, needed_bytes, run_cohort
from diverloop.cohort.finding import find_recordings
from diverloop.cohort.item import Item, Recipe
from diverloop.cohort.outputs import path_of
from diverloop.cohort.table import TABLE, read_table, rows_of, write_table, write_timings
from diverloop.cohort_replaying import ReplaySettings, replay_recipe
from diverloop.cohort_report import summary_of
from diverloop.demo import CLASSES, SPAN
from diverloop.fit_plan import FitPlan, plans_for
from diverloop.hardware.recordings import READERS
from diverloop.hardware.simulator import SimulatedParticipant, SimulatorConfig
from diverloop.runtime.bundle import Bundle, save_bundle
from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.record.plain_recording import PlainRecording
from diverloop.training_sources import TrainingSource, recordings

RATE_HZ, MONTAGE = 250.0, "eeg8"
RUNS_OF_A_SUBJECT = 10
KILL_AT = 0.4  # of the cohort

REAL = {
    "motor imagery, EEGMMIDB": (
        "motor_imagery", ("both_fists", "both_feet"), 4.1, ("mi/eegmmidb_S001_R06.npz",),
    ),
    "P300, Muse": ("p300", (), None, ("p300/muse_M1_ses1_run1.npz", "p300/muse_M1_ses1_run2.npz")),
    "P300, g.tec": ("p300", (), None, ("p300/gtec_S1.npz",)),
}  # fmt: skip
"""Data set -> task, classes, end of the trial, and what its model is fitted on."""


def settings(seed: int, seconds: float) -> SimulatorConfig:
    """A participant of eight electrodes."""
    return SimulatorConfig(
        montage=MONTAGE, rate_hz=RATE_HZ, seed=seed, person=7, duration_s=seconds, classes=CLASSES
    )


def write_recording(path: Path, config: SimulatorConfig) -> None:
    """A participant as a recording."""
    person = SimulatedParticipant(config, VirtualClock())
    person.open()
    recording = PlainRecording(path, person.spec)
    wanted = round(config.duration_s * RATE_HZ)
    while recording.n_samples < wanted:
        chunk = person.read(wanted, round((config.duration_s + 1) * 1e9))
        if chunk is None:
            break
        recording.take(chunk)
    recording.close()


def synthetic(folder: Path, n: int, seconds: float) -> None:
    """The recordings of a cohort, those that are not there yet."""
    for place in range(n):
        subject, run = divmod(place, RUNS_OF_A_SUBJECT)
        path = folder / f"sub-{subject:03d}" / f"sub-{subject:03d}_task-mi_run-{run:02d}_eeg.xdf"
        if not path.exists():
            draft = path.with_suffix(".part")
            draft.unlink(missing_ok=True)
            write_recording(draft, settings(1000 + place, seconds))
            draft.rename(path)


def model(path: Path) -> str:
    """A model of a participant who is in no recording."""
    config = settings(1, 240.0)
    source = TrainingSource(
        name="simulated",
        data_id="benchmark",
        make=lambda clock: SimulatedParticipant(config, clock),
    )
    return save_bundle(fit_best([source], [FitPlan(span=SPAN)]), path)


def replayed(
    items: list[Item],
    recipe: Recipe,
    out: Path,
    workers: int,
    during: Callable[[Any], Callable[[str, int, int], None]] | None = None,
) -> tuple[Ran, dict[str, Any]]:
    """A cohort to its table, and what is to be said of it."""
    began = time.perf_counter()
    with open_client(ClusterConfig(workers=workers), max(map(needed_bytes, items))) as client:
        tell = during(client) if during else lambda what, done, of: None
        ready = time.perf_counter()
        ran = run_cohort(client, items, recipe, out, tell)
        rows = rows_of(ran, recipe, out)
        write_table(rows, recipe, out)
        ended = time.perf_counter()
    write_timings(ran, out)
    told = {
        "workers": workers,
        "recordings": len(items),
        "start_s": round(ready - began, 2),
        "wall_s": round(ended - ready, 2),
        "computed": len(ran.computed),
        "reused": len(ran.reused),
        "failed": sum(row["state"] == "failed" for row in rows),
        "table_sha256": hashlib.sha256((out / TABLE).read_bytes()).hexdigest(),
    }
    # A long measurement that is cut off has said what it knew.
    print(json.dumps({out.name: told}), file=sys.stderr, flush=True)
    return ran, told


def killer(of: int) -> tuple[list[int], Callable[[Any], Callable[[str, int, int], None]]]:
    """Kill one worker with SIGKILL once a part of the cohort is done."""
    killed: list[int] = []
    once = threading.Lock()

    def watch(client: Any) -> Callable[[str, int, int], None]:
        pids = list(client.run(os.getpid).values())

        def tell(what: str, done: int, total: int) -> None:
            if total == of and done >= KILL_AT * of and once.acquire(blocking=False):
                os.kill(pids[0], signal.SIGKILL)
                killed.append(done)

        return tell

    return killed, watch


def synthetic_part(folder: Path, n: int, seconds: float) -> dict[str, Any]:
    """Everything that is shown on simulated participants."""
    data = folder / "synthetic"
    synthetic(data, n, seconds)
    bundle = folder / "model.bundle"
    sha256 = model(bundle)
    recipe = replay_recipe(ReplaySettings(models=((str(bundle), sha256),)))
    items = find_recordings(data, tuple(READERS))[:n]
    _, one = replayed(items, recipe, folder / "one", 1)
    ran, two = replayed(items, recipe, folder / "two", 2)
    sizes = [
        replayed(items[:part], recipe, folder / f"part-{part}", 2)[1]
        for part in sorted({max(2, n // 10), max(2, n // 5), max(2, n // 2)})
    ]
    killed, during = killer(len(items))
    _, struck = replayed(items, recipe, folder / "killed", 2, during)
    _, nothing = replayed(items, recipe, folder / "killed", 2)
    for name in [item.name for item in items][3::5][:7]:
        path_of(folder / "killed", ran.keys[name]).unlink()
    _, seven = replayed(items, recipe, folder / "killed", 2)
    tables = {each["table_sha256"] for each in (one, two, struck, nothing, seven)}
    rows = read_table(folder / "two" / TABLE)
    return {
        "signal_s": sum(row["duration_s"] or 0.0 for row in rows),
        "one_worker": one,
        "two_workers": two,
        "speed_up": round(one["wall_s"] / two["wall_s"], 2),
        "by_recordings": [
            {**each, "s_each": round(each["wall_s"] / each["recordings"], 4)}
            for each in (*sizes, two)
        ],
        "worker_killed_after": killed,
        "killed": struck,
        "again": nothing,
        "seven_removed": seven,
        "same_table_to_the_byte": len(tables) == 1,
        "rows_doubled": len(rows) - len({row["name"] for row in rows}),
        "scores": _overall(summary_of(ran, rows, "replay")),
    }


def real_part(folder: Path, root: Path) -> dict[str, Any]:
    """Every real recording, with the models of three data sets."""
    models = []
    for place, (task, classes, stop_s, names) in enumerate(REAL.values()):
        plans = plans_for(task, classes=classes, stop_s=stop_s)[:1]
        bundle = _fitted([root / name for name in names], plans)
        path = folder / f"real-{place}.bundle"
        models.append((str(path), save_bundle(bundle, path)))
    recipe = replay_recipe(ReplaySettings(models=tuple(models), assume_unit="uV"))
    items = find_recordings(root, tuple(READERS))
    _, one = replayed(items, recipe, folder / "real-one", 1)
    ran, two = replayed(items, recipe, folder / "real-two", 2)
    rows = read_table(folder / "real-two" / TABLE)
    summary = summary_of(ran, rows, "replay")
    reasons = Counter(row["reason"].replace(Path(row["name"]).name, "FILE") for row in rows)
    return {
        "one_worker": one,
        "two_workers": two,
        "speed_up": round(one["wall_s"] / two["wall_s"], 2),
        "same_table_to_the_byte": one["table_sha256"] == two["table_sha256"],
        "scores": _overall(summary),
        "fitted_on": summary["fitted_on"],
        "unscored": summary["unscored"],
        "reasons": {why: n for why, n in reasons.most_common() if why},
    }


def _fitted(paths: list[Path], plans: list[FitPlan]) -> Bundle:
    return fit_best(recordings(paths, "uV"), plans)


def _overall(summary: dict[str, Any]) -> dict[str, Any]:
    return {name: scores["overall"] for name, scores in summary["measures"].items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recordings", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=25.0)
    parser.add_argument("--out", type=Path, help="folder to leave everything in; must be empty")
    parser.add_argument("--no-real", action="store_true", help="leave real recordings out")
    chosen = parser.parse_args()
    root = os.environ.get("DIVERLOOP_DATA")
    with tempfile.TemporaryDirectory() as scratch:
        folder = (chosen.out or Path(scratch)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        told = {
            "machine": platform.platform(),
            "cores": os.cpu_count(),
            "load_before": os.getloadavg()[0],
            "synthetic": synthetic_part(folder, chosen.recordings, chosen.seconds),
            "real": real_part(folder, Path(root)) if root and not chosen.no_real else None,
        }
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
