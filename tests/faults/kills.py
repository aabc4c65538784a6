"""Kills recorder, loop or player of a recorded session at random moments, as JSON.

    python tests/faults/kills.py [--n 200] [--seed 0] [--jobs 3] [--only PLACE] [--keep DIR]

Every session is the real thing: `diverloop play` sends a recording over LSL, `diverloop run`
decodes and records it, and its recorder writes, three processes. At moments drawn from the seed,
counted from the first sample or, in every fourth round, from the first sign of the session, one of
them is killed with SIGKILL, the recorder perhaps several times; or all three at once, as a power
cut does it, which also takes bytes that were written in the last half second, and may tear what is
left. Afterwards `aftermath` looks whether the file opens in diverloop, pyxdf and MNE, as it is and
repaired; whether at most the last second is missing of what the loop had received; whether the
audit log verifies up to its head; and whether what is there replays exactly.

Processes are forked from one that has everything imported, so that a session costs seconds; they
are processes of their own all the same. A failure names its place: ``--seed S --only PLACE``
repeats the same kills.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from aftermath import ALLOWED_S, ARRIVAL, Aftermath, Scene, children, kill, lives

VICTIMS = ("recorder", "loop", "player", "power cut")
SECONDS = 5.0
LIMIT_S = 90.0
UNSYNCED_S = 0.5  # a recorder syncs every quarter of a second; twice that, on a busy machine
PLAYED_S = 60.0
PRELOADED = [
    "mne", "pyxdf", "diverloop.cli", "diverloop.proving", "diverloop.hardware.lsl_inlet",
    "diverloop.hardware.player", "diverloop.adapters.linear",
    "diverloop.decoders.filterbank_covariance",
]  # fmt: skip
FORK = multiprocessing.get_context("forkserver")

SESSION = """\
[session]
name = "killed"
[source]
kind = "lsl"
name = "{stream}"
wait_s = 10
[model]
bundle = "{bundle}"
"""
LSL_CONFIG = """\
[multicast]
ResolveScope = machine
ListenAddress = 127.0.0.1
[ports]
IPv6 = disable
[lab]
KnownPeers = {{127.0.0.1}}
SessionID = kills-{run}
[log]
level = -2
[tuning]
MulticastMinRTT = 0.02
MulticastMaxRTT = 0.06
UnicastMinRTT = 0.02
UnicastMaxRTT = 0.08
"""


# --- the processes ---------------------------------------------------------------------------


def command(arguments: list[str], said: str, witness: str) -> None:
    """A diverloop command; what it prints goes into a file. In a process of its own."""
    file = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    if witness:
        bear_witness(witness)
    from diverloop import cli

    sys.argv = ["diverloop", *arguments]
    cli.main()


def bear_witness(path: str) -> None:
    """Let the source note, past all recording, what has arrived and when."""
    from diverloop.hardware.lsl_inlet import LslSource

    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    place = LslSource._place

    def noted(self: Any, raw: Any, stamps: Any) -> None:
        place(self, raw, stamps)
        os.write(file, ARRIVAL.pack(self._arrived_ns, self._n_rows))

    LslSource._place = noted  # type: ignore[method-assign]


def start(arguments: list[str], said: Path, witness: Path | None = None) -> BaseProcess:
    process = FORK.Process(
        target=command, args=(arguments, str(said), str(witness or "")), daemon=True
    )
    process.start()
    return process


# --- one session -----------------------------------------------------------------------------


class Execution:
    """One session, and its killing.

    Parameters
    ----------
    place : int
        Which of the sessions of a seed it is.
    seed : int
        With the place, determines who is killed when.
    stage : Stage
        What all sessions share.
    """

    def __init__(self, place: int, seed: int, stage: Stage) -> None:
        self._random = Random(f"{seed} {place}")
        self.victim = VICTIMS[place % len(VICTIMS)]
        self._early = place // len(VICTIMS) % 4 == 3  # struck while it starts, too
        n_kills = self._random.randint(1, 3) if self.victim == "recorder" else 1
        self.moments_s = sorted(self._random.uniform(0, SECONDS + 1.0) for _ in range(n_kills))
        self._take = self._random.random()
        self._folder = stage.folder / f"{place}"
        self._folder.mkdir()
        self._stream = f"kills-{place}-{uuid.uuid4().hex}"
        self._stage = stage
        self._sizes: list[tuple[float, int]] = []
        self.scene = Scene(
            victim=self.victim,
            recordings=self._folder / "recordings",
            played=stage.played,
            witness=self._folder / "witness",
        )

    def run(self) -> Scene:
        """Start everybody, kill, wait until all have gone."""
        session = self._folder / "session.toml"
        session.write_text(SESSION.format(stream=self._stream, bundle=self._stage.bundle))
        self._player = start(
            ["play", str(self._stage.played), "--name", self._stream, "--loop", "--json"],
            self._folder / "player.log",
        )
        self._loop = start(
            [
                "run", str(session), "--no-view", "--arm", "--seconds", f"{SECONDS:g}",
                "--recordings", str(self.scene.recordings), "--json",
            ],
            self._folder / "loop.log",
            self.scene.witness,
        )  # fmt: skip
        try:
            self._wait(self._has_begun, "the beginning of the session")
            began_s = time.monotonic()
            for moment_s in self.moments_s:
                self._wait_until(began_s + moment_s)
                self._strike()
            self._await_end()
        finally:
            for process in (self._player, self._loop):
                process.kill()
                process.join()
        return self.scene

    def _has_begun(self) -> bool:
        """Whether samples have come, or, for an early kill or a session that fails, a folder."""
        if self._early or not self._loop.is_alive():
            return bool(list(self.scene.recordings.glob("*/")))
        return self.scene.witness.exists() and self.scene.witness.stat().st_size > 0

    def _strike(self) -> None:
        loop = self._loop.pid
        assert loop is not None
        recorders = self._recorders()
        if not self._loop.is_alive():
            return
        struck_ns = time.monotonic_ns()
        if self.victim == "recorder":
            if any([kill(pid) for pid in recorders]):
                self.scene.killed_ns.append(struck_ns)
            return
        self.scene.killed_ns.append(struck_ns)
        if self.victim in ("player", "power cut"):
            self._player.kill()
        if self.victim in ("loop", "power cut"):
            self._loop.kill()
            self.scene.survived = False
        if self.victim == "power cut":
            for pid in recorders:
                kill(pid)
        self._left = recorders

    def _recorders(self) -> list[int]:
        with suppress(OSError):  # they come and go
            return list(children(self._loop.pid or 0))
        return []

    def _await_end(self) -> None:
        if self.scene.survived:
            self._loop.join(LIMIT_S)
            self.scene.exit_code = self._loop.exitcode
            return
        self._loop.join(LIMIT_S)
        self._wait(lambda: not any(map(lives, self._left)), "the end of the recorder")
        if self.victim == "power cut":
            self._lose_unsynced()

    def _lose_unsynced(self) -> None:
        """Take back some of what was written just before: it was not on the disk yet."""
        file = next(self.scene.recordings.glob("*/recording.xdf"), None)
        safe_s = self.scene.killed_ns[-1] / 1e9 - UNSYNCED_S
        safe = max((size for at_s, size in self._sizes if at_s <= safe_s), default=0)
        if file is None or not safe:
            return
        size = file.stat().st_size
        keep = safe + round(self._take * (size - safe))
        os.truncate(file, keep)
        self.scene.n_cut = size - keep

    def _wait_until(self, at_s: float) -> None:
        """Return at a moment; note meanwhile how the file grows."""
        while (left_s := at_s - time.monotonic()) > 0:
            for file in self.scene.recordings.glob("*/recording.xdf"):
                self._sizes.append((time.monotonic(), file.stat().st_size))
            threading.Event().wait(min(left_s, 0.02))

    def _wait(self, so: Any, what: str) -> None:
        deadline_s = time.monotonic() + LIMIT_S
        while not so():
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"{what} did not come: {self._words()}")
            threading.Event().wait(0.02)

    def _words(self) -> str:
        return " ".join(log.read_text()[-500:] for log in self._folder.glob("*.log"))


# --- all sessions ----------------------------------------------------------------------------


class Stage:
    """What all sessions share: a recording to play, and a model fitted on it.

    Parameters
    ----------
    folder : Path
        Where everything lies.
    """

    def __init__(self, folder: Path) -> None:
        from diverloop.calibration import fit_model
        from diverloop.demo import SPAN
        from diverloop.fit_plan import FitPlan
        from diverloop.runtime.bundle import save_bundle
        from diverloop.runtime.windows import WindowConfig
        from diverloop.training_sources import recordings

        self.folder = folder
        self.played = folder / "played.npz"
        self.bundle = folder / "played.bundle"
        write_recording(self.played)
        plan = FitPlan(span=SPAN, window=WindowConfig(length_s=0.5, step_s=0.1))
        save_bundle(fit_model(recordings([self.played], None), plan), self.bundle)


def write_recording(path: Path) -> None:
    """A minute of a simulated participant, as a file that the player reads."""
    from diverloop.hardware.simulator import SimulatedParticipant, SimulatorConfig
    from diverloop.runtime.clock import VirtualClock

    clock = VirtualClock()
    person = SimulatedParticipant(SimulatorConfig(montage="eeg8", duration_s=PLAYED_S), clock)
    person.open()
    chunks = []
    while not person.ended:
        chunk = person.read(250, clock.now_ns() + 1_000_000_000)
        if chunk is not None:
            chunks.append(chunk)
    spec, markers = person.spec, [marker for chunk in chunks for marker in chunk.markers]
    person.close()
    n_channels = spec.n_channels
    np.savez(
        path,
        data=np.concatenate([chunk.samples for chunk in chunks], axis=1),
        scale=np.ones(n_channels),
        offset=np.zeros(n_channels),
        units="uV",
        fs=spec.rate_hz,
        ch_names=list(spec.channel_names),
        ch_types=[channel.kind for channel in spec.channels],
        ch_pos=np.full((n_channels, 3), np.nan),
        ev_sample=np.array([marker.sample for marker in markers], np.int64),
        ev_label=[marker.label for marker in markers],
    )


def look(scene: Scene) -> dict[str, Any]:
    return Aftermath(scene).look()


def execute(place: int, seed: int, stage: Stage, lookers: ProcessPoolExecutor) -> dict[str, Any]:
    """Run one session and look at what is left."""
    execution = Execution(place, seed, stage)
    result: dict[str, Any] = {
        "place": place,
        "victim": execution.victim,
        "moments_s": [round(moment_s, 3) for moment_s in execution.moments_s],
    }
    try:
        scene = execution.run()
    except OSError as error:
        return {**result, "faults": [f"{type(error).__name__}: {error}"]}
    looking = lookers.submit(look, scene)
    if (fault := looking.exception()) is not None:
        found = {"faults": [f"{type(fault).__name__}: {fault}"]}
    else:
        found = looking.result()
    result |= {"kills": len(scene.killed_ns), "cut_bytes": scene.n_cut, **found}
    print(json.dumps(result, default=str), file=sys.stderr, flush=True)
    return result


def summary(results: list[dict[str, Any]]) -> dict[str, Any]:
    """What all sessions have shown."""

    def of(victim: str) -> dict[str, Any]:
        own = [result for result in results if result["victim"] == victim]
        missing_s = [result["missing_s"] for result in own if "missing_s" in result]
        return {
            "sessions": len(own),
            "kills": sum(result.get("kills", 0) for result in own),
            "over_before_the_kill": sum(not result.get("kills", 0) for result in own),
            "killed_before_the_stream": sum(not result.get("begun", True) for result in own),
            "refused_to_start": sum(result.get("refused", False) for result in own),
            "as_promised": sum(not result["faults"] for result in own),
            "worst_missing_s": max(missing_s, default=None),
            "opened_by_pyxdf_as_left": sum(bool(one.get("pyxdf_as_it_was")) for one in own),
            "files_torn": sum(bool(result.get("torn_bytes")) for result in own),
            "files_repaired": sum(bool(result.get("repaired")) for result in own),
        }

    totals: Counter[str] = Counter()
    for result in results:
        totals.update({key: result.get(key, 0) for key in ("n_rows", "n_compared", "n_equal")})
    failures = [result for result in results if result["faults"]]
    return {
        "sessions": len(results),
        "kills": sum(result.get("kills", 0) for result in results),
        "as_promised": len(results) - len(failures),
        "allowed_missing_s": ALLOWED_S,
        "by_victim": {victim: of(victim) for victim in VICTIMS},
        "rows_checked": totals["n_rows"],
        "turns_compared": totals["n_compared"],
        "turns_equal": totals["n_equal"],
        "failures": failures,
    }


def campaign(folder: Path, places: list[int], seed: int, jobs: int) -> dict[str, Any]:
    """Execute them, some at a time."""
    began_s = time.monotonic()
    config = folder / "lsl_api.cfg"
    config.write_text(LSL_CONFIG.format(run=uuid.uuid4().hex))
    os.environ |= {"LSLAPICFG": str(config), "DIVERLOOP_HOME": str(folder / "home")}
    stage = Stage(folder)
    with (
        ProcessPoolExecutor(min(jobs, os.cpu_count() or 1), FORK) as lookers,
        ThreadPoolExecutor(jobs) as hands,
    ):
        pending = [hands.submit(execute, place, seed, stage, lookers) for place in places]
        results = [one.result() for one in pending]
    return {"seed": seed, "took_s": round(time.monotonic() - began_s, 1), **summary(results)}


def main() -> int:
    """Kill, look, print; 0 if everything is as promised."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=3, help="sessions at a time")
    parser.add_argument("--only", type=int, help="repeat the session at this place")
    parser.add_argument("--keep", type=Path, help="keep all files in this new folder")
    parser.add_argument("--json", action="store_true", help="no other form is known")
    asked = parser.parse_args()
    places = list(range(asked.n)) if asked.only is None else [asked.only]
    with tempfile.TemporaryDirectory() as temporary:
        if asked.keep:
            asked.keep.mkdir(parents=True)
        found = campaign(asked.keep or Path(temporary), places, asked.seed, asked.jobs)
    print(json.dumps(found, indent=2, default=str))
    return 1 if found["failures"] else 0


if __name__ == "__main__":
    # One thread of arithmetic a process: they are several already, and a fork cannot take more.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = "1"
    FORK.set_forkserver_preload(PRELOADED)
    sys.exit(main())
