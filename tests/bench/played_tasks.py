"""Every task in a closed loop on a recording that another process plays over LSL, in real time.

    DIVERLOOP_DATA=... python tests/bench/played_tasks.py [--tasks ssvep p300] [--seconds 60]

prints one JSON object. Each model is fitted on other recordings than the one that is played; the
session runs as a process of its own, is recorded, and then proved: replayed to the last bit.

Real recordings: motor imagery (EEGMMIDB S001, run 6 and then 10), single flashes (g.tec S1, the
first 150 s and then the rest), a speller (Emotiv session D, runs 1 to 3 and then 4), SSVEP (exo
X01, run 1 and then 2; its amplitudes are taken for millivolts), neurofeedback (EEGMMIDB S001, eyes
open and then closed).
Of error potentials and of speech no recording could be had: there a simulated person is recorded,
and that file is played (``"real": false``).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from diverloop.calibration import fit_best
from diverloop.fit_plan import plans_for
from diverloop.runtime.bundle import save_bundle
from diverloop.runtime.catalog import find
from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.paradigms.speller import MATRIX
from diverloop.training_sources import recordings


@dataclass(frozen=True)
class Case:
    """What is fitted on, what is played, and which classes there are."""

    task: str
    fitted_on: tuple[Path, ...]
    played: Path
    classes: tuple[str, ...] = ()
    real: bool = True
    start_s: float = 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tasks", nargs="+", choices=sorted(CASES), default=sorted(CASES))
    parser.add_argument("--seconds", type=float, default=60.0)
    chosen = parser.parse_args()
    data = Path(os.environ["DIVERLOOP_DATA"])
    found = {}
    for name in chosen.tasks:
        with tempfile.TemporaryDirectory() as folder:
            found[name] = played(CASES[name](data, Path(folder)), Path(folder), chosen.seconds)
        print(f"{name}: {found[name]['score']}", file=sys.stderr)
    print(json.dumps(found, indent=1))


def played(case: Case, folder: Path, seconds: float) -> dict[str, Any]:
    """Fit, play and run at once, prove."""
    plans = plans_for(case.task, classes=case.classes)[:1]
    bundle = fit_best(recordings(case.fitted_on), plans)
    brief = find("task", case.task).brief
    settings = {**bundle.card.adapter_config, **brief}
    save_bundle(replace(bundle, card=replace(bundle.card, adapter_config=settings)),
                folder / "model.bundle")  # fmt: skip
    stream = f"bench-{uuid.uuid4().hex}"
    session = folder / "session.toml"
    session.write_text(
        f'[session]\nname = "played {case.task}"\n[source]\nkind = "lsl"\nname = "{stream}"\n'
        f'wait_s = 60\n[model]\nbundle = "model.bundle"\n[[sinks]]\nkind = "lsl"\n'
        f'name = "{stream}-decisions"\n',
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "diverloop"]
    stop_s = case.start_s + seconds
    player = subprocess.Popen(
        [*command, "play", str(case.played), "--name", stream, "--json",
         "--start-s", str(case.start_s), "--stop-s", str(_at_most(case.played, stop_s))],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    more = ["--listen"] if case.task == "speech" else []
    if case.task == "ssvep":
        more = ["--operator", "bench", "--unlock-flicker", "A recording is played: nobody looks."]
    try:
        run = _json(
            [*command, "run", str(session), "--arm", "--no-view", "--json", *more,
             "--seconds", str(seconds + 12), "--recordings", str(folder / "kept")]
        )  # fmt: skip
    finally:
        player.kill()
        player.wait()
    proof = _json([*command, "verify", run["recording"], "--json"])
    measures = ("accuracy", "detection", "words", "course")
    return {
        "real": case.real,
        "fitted_on": [path.name for path in case.fitted_on],
        "played": case.played.name,
        "score": next((run[name] for name in measures if run.get(name)), None),
        "counts": run["counts"],
        "total": _total(run["latency"]),
        "proved": proof["ok"],
    }


def _total(latency: dict[str, Any]) -> dict[str, Any]:
    """From the last sample of a window to the act."""
    return next(row for row in latency["stages"] if row["name"] == "total")


def _json(command: Sequence[str]) -> dict[str, Any]:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not done.stdout.strip():
        raise SystemExit(f"{' '.join(command)} said nothing: {done.stderr}")
    said: dict[str, Any] = json.loads(done.stdout)
    if "error" in said:
        raise SystemExit(f"{' '.join(command)}: {said['message']}")
    return said


def _at_most(path: Path, stop_s: float) -> float:
    with np.load(path) as stored:
        return min(stop_s, stored["data"].shape[1] / float(stored["fs"]))


# -------------------------------------------------------------------------------------- cases


def _motor_imagery(data: Path, folder: Path) -> Case:
    runs = [data / "mi" / f"eegmmidb_S001_R{run}.npz" for run in ("06", "10")]
    return Case("motor_imagery", (runs[0],), runs[1], ("both_fists", "both_feet"))


def _p300(data: Path, folder: Path) -> Case:
    def cut(first_s: float, stop_s: float) -> Callable[[dict[str, Any]], dict[str, Any]]:
        def part(stored: dict[str, Any]) -> dict[str, Any]:
            first, stop = (round(at_s * float(stored["fs"])) for at_s in (first_s, stop_s))
            inside = (stored["ev_sample"] >= first) & (stored["ev_sample"] < stop)
            kept = {name: stored[name][inside] for name in ("ev_code", "ev_label")}
            samples = stored["ev_sample"][inside] - first
            return {"data": stored["data"][:, first:stop], "ev_sample": samples, **kept}

        return part

    whole = data / "p300" / "gtec_S1.npz"
    first = _copy(whole, folder / "gtec_S1_first.npz", cut(0.0, 150.0))
    return Case("p300", (first,), _copy(whole, folder / "gtec_S1_rest.npz", cut(150.0, 240.0)))


def _ssvep(data: Path, folder: Path) -> Case:
    def hertz(stored: dict[str, Any]) -> dict[str, Any]:
        labels = [label.removesuffix("Hz") for label in stored["ev_label"].tolist()]
        return {"ev_label": np.array(labels), "units": np.array("mV")}

    runs = [
        _copy(data / "ssvep" / f"exo_X01_run{run}.npz", folder / f"exo_X01_run{run}.npz", hertz)
        for run in (1, 2)
    ]
    return Case("ssvep", (runs[0],), runs[1], ("13", "17", "21"), start_s=145.0)


def _speller(data: Path, folder: Path) -> Case:
    names = [f"emotiv_E1_sesD_run0{run}.npz" for run in (1, 2, 3, 4)]
    runs = [_copy(data / "p300" / name, folder / name, _flashes) for name in names]
    return Case("p300_speller", tuple(runs[:3]), runs[3])


def _flashes(stored: dict[str, Any]) -> dict[str, Any]:
    """Rows and columns as markers of this project: what was lit, and what was to be looked at."""
    lit = [
        range(6 * line, 6 * line + 6) if is_col else range(line, 36, 6)
        for line, is_col in zip(stored["flash_index"], stored["flash_is_col"], strict=True)
    ]
    labels = ["flash:" + ",".join(str(int(cell)) for cell in cells) for cells in lit]
    samples = stored["ev_sample"].tolist()
    cells = np.broadcast_to(stored["target_cell"], len(samples)).tolist()
    out_labels, out_samples = [], []
    for place, (sample, cell) in enumerate(zip(samples, cells, strict=True)):
        if not place or cell != cells[place - 1]:
            out_labels.append(f"select:{MATRIX[int(cell)]}")
            out_samples.append(sample - 1)
        out_labels.append(labels[place])
        out_samples.append(sample)
    return {
        "ev_label": np.array(out_labels),
        "ev_sample": np.array(out_samples),
        "ev_code": np.zeros(len(out_labels), dtype=int),
    }


def _neurofeedback(data: Path, folder: Path) -> Case:
    runs = [data / "mi" / f"eegmmidb_S001_R{run}.npz" for run in ("01", "02")]
    return Case("neurofeedback", (runs[0],), runs[1])


def _error_potential(data: Path, folder: Path) -> Case:
    return _simulated("error_potential", folder, 300.0)


def _speech(data: Path, folder: Path) -> Case:
    return _simulated("speech", folder, 300.0)


def _simulated(task: str, folder: Path, seconds: float) -> Case:
    """Two recordings of a simulated person, on two days."""
    settings = dict(find("task", task).simulator)
    kind = find("source", settings.pop("kind", "simulator"))
    paths = []
    for name, seed, length_s in (("fitted", 7, seconds), ("played", 8, 90.0)):
        config = kind.Config(**{"person": 7, "seed": seed, "duration_s": length_s, **settings})
        paths.append(_recorded(kind(config, VirtualClock()), folder / f"simulated_{name}.npz"))
    return Case(task, (paths[0],), paths[1], real=False)


def _recorded(source: Any, path: Path) -> Path:
    source.open()
    chunks = []
    while not source.ended:
        if (chunk := source.read(1000, 10**18)) is not None:
            chunks.append(chunk)
    channels = source.spec.channels
    markers = [marker for chunk in chunks for marker in chunk.markers]
    np.savez(
        path,
        data=np.concatenate([chunk.samples for chunk in chunks], axis=1),
        scale=np.ones(len(channels)),
        offset=np.zeros(len(channels)),
        units=np.array("uV"),
        fs=np.array(source.spec.rate_hz),
        ch_names=np.array([channel.name for channel in channels]),
        ch_types=np.array([channel.kind for channel in channels]),
        ch_pos=np.full((len(channels), 3), np.nan),
        ev_sample=np.array([marker.sample for marker in markers]),
        ev_code=np.zeros(len(markers), dtype=int),
        ev_label=np.array([marker.label for marker in markers]),
    )
    source.close()
    return path


def _copy(path: Path, target: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Path:
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files}
    np.savez(target, **(arrays | change(arrays)))
    return target


CASES: dict[str, Callable[[Path, Path], Case]] = {
    "motor_imagery": _motor_imagery,
    "p300": _p300,
    "p300_speller": _speller,
    "ssvep": _ssvep,
    "neurofeedback": _neurofeedback,
    "error_potential": _error_potential,
    "speech": _speech,
}


if __name__ == "__main__":
    main()
