"""A cap is put on again in the middle of a live session over LSL; the dashboard is filmed.

    python -m diverloop.tests.bench.recapped_live [--seed 3] [--before 45] [--after 95]
        [--picture adaptation.gif] [--folder FOLDER]

Three processes in real time: a simulated participant behind LSL outlets, who sees the decisions
of the second, ``diverloop run`` with adaptation and a recording; and a dashboard that watches it,
offscreen, and is pictured every few seconds. The participant's task says ``outcome:right`` or
``outcome:wrong`` after each trial, as a marker; nobody tells the decoder what was asked for. The
participant also keeps what was asked, and that is what the printed figures are judged by. Last, the
recording is verified: each decision and each change of weights must come out the same.

Seeds from 100 are for choosing. The people, the pace and the cap are those of `recapped`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import pylsl

from diverloop.hardware.player_streams import describe_channel
from diverloop.hardware.simulated_outcome import Outcome, OutcomePlan, OutcomeTeller
from diverloop.hardware.simulated_task import Trial
from diverloop.hardware.simulator import SimulatedParticipant
from diverloop.runtime.bundle import save_bundle
from diverloop.runtime.clock import MonotonicClock
from diverloop.runtime.control_client import DOOR
from diverloop.runtime.messages import Command, Decision
from diverloop.tests.bench.recapped import PERIOD_S, TRIAL_S, figures, fitted, person

NAME, DECISIONS = "recapped-participant", "recapped-decisions"
CHUNK_S, FRAME_S, WAIT_S = 0.04, 2.0, 60.0
SIZE, SHOWN = (1280, 800), (880, 550)
SESSION = """
[session]
name = "a cap that is put on again"

[source]
kind = "lsl"
name = "{name}"
wait_s = 30

[model]
bundle = "recapped.bundle"

[[sinks]]
kind = "lsl"
name = "{decisions}"

[adaptation]
learner = "reward"
rewards = ["task"]
trial = "cue"
trial_s = {trial_s}
permission = "session"

[adaptation.envelope]
least_gap_s = 20.0
"""


class Outlets:
    """The participant's signal and markers on LSL.

    Parameters
    ----------
    participant : SimulatedParticipant
        Who is described.
    """

    def __init__(self, participant: SimulatedParticipant) -> None:
        spec = participant.spec
        words = pylsl.StreamInfo(f"{NAME}-markers", "Markers", 1, 0.0, "string", f"{NAME}-markers")
        self._words = pylsl.StreamOutlet(words)
        info = pylsl.StreamInfo(NAME, "EEG", spec.n_channels, spec.rate_hz, "float32", NAME)
        rows = info.desc().append_child("channels")
        for channel in spec.channels:
            describe_channel(rows.append_child("channel"), channel)
        self._signal, self._rate_hz = pylsl.StreamOutlet(info), spec.rate_hz
        self.began_s = 0.0

    def await_reader(self) -> None:
        """Until signal and markers are read."""
        if not self._signal.wait_for_consumers(WAIT_S):
            raise SystemExit(f"Nobody read the stream {NAME} within {WAIT_S:g} s.")
        self._words.wait_for_consumers(5.0)
        self.began_s = pylsl.local_clock()

    def push(self, chunk: Any) -> None:
        """Send what there is, each sample at its time."""
        for marker in chunk.markers:
            self._words.push_sample([marker.label], self.began_s + marker.sample / self._rate_hz)
        last_s = self.began_s + (chunk.stop_sample - 1) / self._rate_hz
        self._signal.push_chunk(np.ascontiguousarray(chunk.samples.T), last_s)


class Seen:
    """Decisions that come back over LSL, as the participant sees them.

    Parameters
    ----------
    rate_hz : float
        Of the participant's signal.
    window_s : float
        What a decision rests on.
    """

    def __init__(self, rate_hz: float, window_s: float) -> None:
        self._rate_hz, self._window = rate_hz, round(window_s * rate_hz)
        found = pylsl.resolve_byprop("name", DECISIONS, timeout=WAIT_S)
        if not found:
            raise SystemExit(f"Nobody sends {DECISIONS}.")
        self._inlet = pylsl.StreamInlet(found[0])
        info = self._inlet.info(5.0)
        self._classes = tuple(info.desc().child_value("classes").split(","))
        names = info.get_channel_labels()
        self._at = {name: names.index(name) for name in ("stop_sample", "lsl_time", "commanded")}
        self._first = names.index(f"p:{self._classes[0]}")

    def decisions(self, began_s: float) -> Iterator[tuple[Decision, Command]]:
        """All that have come."""
        rows, _ = self._inlet.pull_chunk(0.0)
        for row in rows:
            if row[self._at["stop_sample"]] < 0:
                continue
            stop = round((row[self._at["lsl_time"]] - began_s) * self._rate_hz) + 1
            place = int(row[self._at["commanded"]])
            decision = Decision(
                classes=self._classes,
                probabilities=np.array(row[self._first : self._first + len(self._classes)]),
                label=None,
                first_sample=stop - self._window,
                stop_sample=stop,
            )
            yield decision, Command(label=self._classes[place] if place >= 0 else None)


def participate(seed: int, seconds: float, recap_s: float, window_s: float) -> None:
    """The participant's process: prints each outcome as a line of JSON."""
    plan = OutcomePlan(told=True, trial_s=TRIAL_S, delay_s=0.6)
    participant = SimulatedParticipant(
        person(seed, seconds, recap_s, outcome=plan), MonotonicClock()
    )
    due = OutcomeTeller.due

    def told(self: OutcomeTeller, until_s: float) -> Any:
        got = due(self, until_s)
        for one in got:
            print(json.dumps({"cue_s": one.trial.cue_s, "asked": one.trial.label,
                              "decided": one.decided}), flush=True)  # fmt: skip
        return got

    OutcomeTeller.due = told  # type: ignore[method-assign]
    outlets = Outlets(participant)
    print("ready", flush=True)
    outlets.await_reader()
    seen, clock = Seen(participant.spec.rate_hz, window_s), MonotonicClock()
    participant.open()
    outlets.began_s = pylsl.local_clock()
    step = round(CHUNK_S * participant.spec.rate_hz)
    while not participant.ended:
        chunk = participant.read(step, clock.now_ns() + 1_000_000_000)
        if chunk is not None:
            outlets.push(chunk)
        for decision, command in seen.decisions(outlets.began_s):
            participant.act(decision, command)
    participant.close()


def filmed(session: Path, ended: threading.Event, folder: Path) -> list[Path]:
    """Watch a session in a dashboard as `diverloop monitor` does; picture it every `FRAME_S`."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from PySide6.QtCore import QTimer

    from diverloop.gui.application import application, step_back
    from diverloop.gui.controls import Controls
    from diverloop.gui.dashboard import Dashboard
    from diverloop.gui.look import DARK
    from diverloop.screen_commands import panels, teller_of
    from diverloop.screening import watched

    step_back()
    found = watched(str(session))
    qt, controls = application(), Controls(found.link)
    window = Dashboard(
        panels(DARK, controls, found.may), teller_of(found), controls, session=found.title,
        may=found.may,
    )  # fmt: skip
    window.resize(*SIZE)
    window.show()
    frames: list[Path] = []
    folder.mkdir(exist_ok=True)

    def picture() -> None:
        frames.append(folder / f"frame{len(frames):04d}.png")
        window.grab().save(str(frames[-1]))
        if ended.is_set():
            qt.quit()

    window.docks.docks["adaptation"].raise_()
    timer = QTimer()
    timer.timeout.connect(picture)
    timer.start(round(FRAME_S * 1e3))
    window.start()
    qt.exec()
    window.close()
    controls.close()
    return frames


def animated(frames: Sequence[Path], picture: Path) -> None:
    """Frames as one animated picture of few colours."""
    from PIL import Image

    small = [Image.open(frame).convert("RGB").resize(SHOWN) for frame in frames[::3]]
    palette = small[len(small) // 2].quantize(128)
    made = [one.quantize(palette=palette, dither=Image.Dither.NONE) for one in small]
    made[0].save(
        picture, save_all=True, append_images=made[1:], duration=150, loop=0, optimize=True
    )


def live(seed: int, before: int, after: int, encoder: str, folder: Path) -> dict[str, Any]:
    """The session, from the fit to the proof of its recording."""
    bundle = fitted(seed, encoder)
    save_bundle(bundle, folder / "recapped.bundle")
    session = folder / "recapped.toml"
    session.write_text(SESSION.format(name=NAME, decisions=DECISIONS, trial_s=TRIAL_S))
    recap_s, seconds = PERIOD_S * before, PERIOD_S * (before + after)
    asked = json.dumps([seed, seconds, recap_s, float(bundle.card.window.length_s)])
    here = [sys.executable, "-m", "diverloop.tests.bench.recapped_live", "--participant", asked]
    participant = subprocess.Popen(here, stdout=subprocess.PIPE, text=True)
    assert participant.stdout is not None
    participant.stdout.readline()
    kept = folder / "recordings"
    run = subprocess.Popen(
        [sys.executable, "-m", "diverloop", "run", str(session), "--no-view", "--json",
         "--recordings", str(kept), "--seconds", str(seconds)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    ended, outcomes, said = threading.Event(), list[Outcome](), list[str]()
    threads = [
        threading.Thread(target=_gather, args=(participant.stdout, outcomes)),
        threading.Thread(target=_until_ended, args=(run, said, ended)),
    ]
    for thread in threads:
        thread.start()
    frames = filmed(_begun(kept, run), ended, folder / "frames")
    participant.terminate()
    for thread in threads:
        thread.join()
    found = next(kept.iterdir())
    verify = [sys.executable, "-m", "diverloop", "verify", str(found), "--json"]
    proof = subprocess.run(verify, stdout=subprocess.PIPE, text=True)
    report = json.loads(said[0])
    return {
        "seed": seed,
        "encoder": encoder,
        **figures(outcomes, recap_s),
        "events": report["counts"]["events"],
        "stages": report["latency"]["stages"],
        "verified": proof.returncode == 0,
        "verify": json.loads(proof.stdout or "{}"),
        "frames": [str(frame) for frame in frames],
    }


def _gather(lines: IO[str], outcomes: list[Outcome]) -> None:
    for line in lines:
        told = json.loads(line)
        cue_s = told["cue_s"]
        trial = Trial(
            label=told["asked"], cue_s=cue_s, start_s=cue_s, stop_s=cue_s + TRIAL_S, vigour=1.0,
            leaning=0.0, lateness_s=0.0,
        )  # fmt: skip
        outcomes.append(Outcome(trial=trial, decided=told["decided"], told="", at_s=0.0))


def _until_ended(run: subprocess.Popen[str], said: list[str], ended: threading.Event) -> None:
    said.append(run.communicate()[0])
    ended.set()


def _begun(kept: Path, run: subprocess.Popen[str]) -> Path:
    """The session's folder, once it answers."""
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until and run.poll() is None:
        if doors := list(kept.glob(f"*/{DOOR}")):
            return doors[0].parent
        time.sleep(0.1)
    raise SystemExit("The session did not begin: what it said is above.")


def main(arguments: list[str]) -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--before", type=int, default=45)
    parser.add_argument("--after", type=int, default=95)
    parser.add_argument("--encoder", default="csp")
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--participant", help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.participant:
        participate(*json.loads(chosen.participant))
        return
    with tempfile.TemporaryDirectory() as spare:
        folder = chosen.folder or Path(spare)
        folder.mkdir(parents=True, exist_ok=True)
        os.environ["DIVERLOOP_HOME"] = str(folder / "home")
        found = live(chosen.seed, chosen.before, chosen.after, chosen.encoder, folder)
        frames = [Path(frame) for frame in found.pop("frames")]
        if chosen.picture:
            animated(frames, chosen.picture)
    print(json.dumps({**found, "n_frames": len(frames)}))


if __name__ == "__main__":
    main(sys.argv[1:])
