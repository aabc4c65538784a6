"""Records sessions of mixed kinds in which things go wrong, and replays each exactly, as JSON.

    python tests/faults/sessions.py [--n 100] [--seed 0] [--jobs 3] [--keep DIR]

Four kinds, by turns: simulated participants on a clock that jumps, and live; real recordings that
the product's player serves over LSL; and the same recordings from a sender that loses packets,
sends them twice or in the wrong order, whose stamps scatter or jump, that holds back, dies and
returns, sends NaN, or other number formats. In each session, at moments drawn from its seed, the
decoder takes longer than it may, a person arms, disarms, stops and resets, other weights take over
or are refused, the device does less than it was asked to, and the recorder is killed. None of that
is there when the session is replayed: what was recorded has to suffice.

Each session is then proved by `diverloop verify`: log, file, and every field of every turn and
event. Real recordings are looked for in DIVERLOOP_DATA, or in ``shared/data`` beside the
checkout; without them only participants are simulated.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

from mischief import Damaged, Device, Mischief
from senders import FaultySender, Player

from diverloop.assembly import Model, open_model
from diverloop.calibration import fit_model
from diverloop.demo import SPAN
from diverloop.fit_plan import FitPlan
from diverloop.hardware.lsl_inlet import LslConfig, LslSource
from diverloop.hardware.recordings import read_recording
from diverloop.hardware.simulator import Fault, SimulatedParticipant, SimulatorConfig
from diverloop.keeping import Keeping, keep
from diverloop.proving import verify
from diverloop.runtime.bundle import load_bundle, save_bundle
from diverloop.runtime.clock import MonotonicClock, VirtualClock
from diverloop.runtime.collection import TrialSpan
from diverloop.runtime.errors import DiverloopError
from diverloop.runtime.fanout import FanOut
from diverloop.runtime.guard import Signal
from diverloop.runtime.loop import Loop
from diverloop.runtime.loop_config import LoopConfig, Stages
from diverloop.runtime.record.contents import Record
from diverloop.runtime.record.reading import open_record
from diverloop.runtime.session import PartConfig, SessionConfig
from diverloop.runtime.signal.condition_config import ConditionConfig
from diverloop.runtime.stages import Source
from diverloop.runtime.windows import WindowConfig
from diverloop.training_sources import TrainingSource, recordings

BESIDE_THE_CHECKOUT = Path(__file__).resolve().parents[3] / "shared" / "data"
FITTED_S = 60.0  # of a simulated participant
LIVE_S = 8.0
WINDOW = WindowConfig(length_s=1.0, step_s=0.1)
JUMPING, LIVE, PLAYED, FAULTY = (
    "simulated on a jumping clock",
    "simulated live",
    "real recording over LSL, from the player",
    "real recording over LSL, from a faulty sender",
)
KINDS = (JUMPING, FAULTY, JUMPING, PLAYED, JUMPING, FAULTY, JUMPING, LIVE, JUMPING, FAULTY)
"""What every ten sessions are."""

PEOPLE = (
    ("eeg8", 250.0),
    ("eeg16", 250.0),
    ("eeg16", 512.0),
    ("ecog8x8", 500.0),
    ("seeg4x10", 1e3),
)
REAL = {
    "mi/eegmmidb_S001_R06.npz": (("both_fists", "both_feet"), 0.5, 4.0, ()),
    "mi/openbmi_O1_first50.npz": (("left", "right"), 0.5, 4.0, ()),
    "p300/gtec_S1.npz": (("target", "nontarget"), 0.0, 1.2, ()),
    "ecog/berlin_B1_buttonpress.npz": (
        ("move_on", "move_off"),
        0.0,
        1.5,
        ("ECOG_L_1_SMC_AT", "ECOG_L_2_SMC_AT", "ECOG_L_3_SMC_AT"),
    ),
}
"""Recording -> what begins a trial, which part of it counts, which rows are decoded."""

LSL_CONFIG = """\
[multicast]
ResolveScope = machine
ListenAddress = 127.0.0.1
[ports]
IPv6 = disable
[lab]
KnownPeers = {{127.0.0.1}}
SessionID = faults-{run}
[log]
level = -2
[tuning]
MulticastMinRTT = 0.02
MulticastMaxRTT = 0.06
UnicastMinRTT = 0.02
UnicastMaxRTT = 0.08
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One session to record: everything random in it follows from the seed."""

    kind: str
    seed: int
    bundle: Path
    what: str
    rate_hz: float = 0.0
    folder: Path
    live_s: float = LIVE_S


# --- one session -----------------------------------------------------------------------------


def simulated(case: Case, random: Random, length_s: float) -> SimulatorConfig:
    """Some participant, some faults."""
    faults = tuple(
        Fault(
            kind=random.choice(("gap", "stall")),
            at_s=random.uniform(0.1, length_s),
            length_s=random.choice((0.004, 0.05, 0.3, 0.9)),
        )
        for _ in range(random.randrange(5))
    )
    return SimulatorConfig(
        montage=case.what,
        rate_hz=case.rate_hz,
        seed=case.seed,
        duration_s=length_s,
        chunk_s=random.choice((0.0, 0.004, 0.02, 0.1)),
        faults=faults,
    )


def session_of(case: Case, random: Random, source: PartConfig, step_s: float) -> SessionConfig:
    """Settings that differ from session to session."""
    return SessionConfig(
        name=f"mixed-{case.seed}",
        source=source,
        model=case.bundle,
        loop=LoopConfig(
            deadline_s=random.choice((0.0, 0.0, 0.02, 0.3)),
            stale_s=random.choice((0.1, 0.25, 0.5)),
            lead_s=random.choice((0.0, 0.005, 0.03)),
        ),
        step_s=step_s,
        participant=f"P{case.seed}",
    )


@contextmanager
def sending(case: Case, random: Random, name: str) -> Iterator[Counter[str]]:
    """The other end of LSL; nothing for a simulated participant."""
    if case.kind in (JUMPING, LIVE):
        yield Counter()
        return
    recording = read_recording(case.what, assume_unit="uV")
    sender: FaultySender | Player
    if case.kind == PLAYED:
        sender = Player(case.what, name, random, recording.duration_s)
        sender.start()
    else:
        start_s = random.uniform(0, recording.duration_s / 2)
        sender = FaultySender(recording.excerpt(start_s), name, random)
        sender.start()
        sender.ready.wait()
    try:
        yield sender.done
    finally:
        sender.finish()


def record(case: Case) -> tuple[Path, Counter[str]]:
    """Run one session to its end; where it was kept, and what went wrong in it."""
    random = Random(case.seed)
    name = f"faults-{case.seed}-{uuid.uuid4().hex}"
    clock = VirtualClock() if case.kind == JUMPING else MonotonicClock()
    length_s = random.uniform(15, 40) if case.kind == JUMPING else case.live_s
    step_s = random.choice((0.05, 0.1, 0.2))
    model = open_model(load_bundle(case.bundle), step_s)
    source: Any
    if case.kind in (JUMPING, LIVE):
        settings: Any = simulated(case, random, length_s)
        part, source = PartConfig(kind="simulator", settings=settings), None
    else:
        settings = LslConfig(
            name=name, markers=random.choice(("*", f"{name}-markers", "")), assume_unit="uV"
        )
        part, source = PartConfig(kind="lsl", settings=settings), LslSource(settings, clock)
    session = session_of(case, random, part, step_s)
    live = case.kind != JUMPING
    mischief = Mischief(random, model, clock, max(10, round(0.5 * length_s / step_s)))
    device = Device(random)
    sinks: list[Any] = [device]
    if source is None:
        person = SimulatedParticipant(settings, clock)
        sinks.append(person)
        source = Damaged(person, random, length_s)
    with (
        sending(case, random, name) as sent,
        keep(session, model, clock, case.folder, live=live, armed=True) as keeping,
    ):
        loop = wired(session, model, source, sinks, mischief, keeping)
        stopped = threading.Event()
        helpers = []
        if live:
            helpers.append(threading.Thread(target=mischief.from_outside, args=(stopped,)))
            stop = threading.Timer(length_s + 3.0, loop.stop)
            helpers.append(stop)
        for helper in helpers:
            helper.daemon = True
            helper.start()
        try:
            loop.run()
        finally:
            stopped.set()
            for helper in helpers:
                if isinstance(helper, threading.Timer):
                    helper.cancel()
                helper.join()
        folder, restarts = keeping.folder, keeping.link.restarts
    done = mischief.done + sent + Counter(device_refused=device.refused, recorder_restarts=restarts)
    return folder, done


def wired(
    session: SessionConfig,
    model: Model,
    source: Source,
    sinks: list[Any],
    mischief: Mischief,
    keeping: Keeping,
) -> Loop:
    """A recorded loop as `assembly.assemble` makes it, with mischief inside."""
    tape = keeping.tape
    tape.guard.tell(Signal.PERSON_ARMS)
    stages = Stages(
        source=tape.source(source),
        conditioner=model.conditioner,
        encoder=mischief,
        adapter=model.adapter,
        feedback=model.feedback_for(session),
        sinks=sinks,
    )
    loop = Loop(
        stages,
        clock=tape.clock,
        window=model.window,
        config=session.loop,
        guard=tape.guard,
        fanout=FanOut(keeping.watchers),
        promotions=tape.promotions,
        accept=model.accept,
    )
    keeping.link.tell = loop.tell
    mischief.loop, mischief.keeping = loop, keeping
    return loop


def run(case: Case) -> dict[str, Any]:
    """Record one session and prove it.

    Returns
    -------
    result : dict
        Plain values; ``ok`` sums them up, ``why`` is the first thing that is wrong.
    """
    result: dict[str, Any] = {"kind": case.kind, "seed": case.seed, "what": Path(case.what).stem}
    try:
        folder, done = record(case)
        proof = verify(folder)
    except DiverloopError as error:
        return {**result, "ok": False, "why": f"{type(error).__name__}: {error}"}
    result |= {"injected": dict(done), "signal_s": round(proof.signal_s, 2)}
    result |= {"folder": str(folder), "why": proof.recording_fault or proof.audit.first_fault}
    comparison = proof.comparison
    if comparison is None:
        return {**result, "ok": False, "why": proof.replay_fault}
    if comparison.first is not None:
        result["why"] = comparison.first.sentence()
    counts = {key: value for key, value in asdict(comparison).items() if key.startswith("n_")}
    result |= counts | {"unfinished": comparison.unfinished}
    result |= {"events": events_in(open_record(folder)), "times_real_time": speed(proof)}
    # A session in which nothing was decoded differs in nothing, and proves nothing.
    same = proof.audit.ok and not result["why"] and proof.sealed and not proof.failure
    return {**result, "ok": same, "engaged": comparison.engaged}


def speed(proof: Any) -> float:
    return round(proof.signal_s / max(proof.wall_s, 1e-9), 1)


def events_in(record: Record) -> dict[str, int]:
    """How many events of each kind are on record."""
    return dict(Counter(str(event.kind) for event in record.events))


# --- all sessions ----------------------------------------------------------------------------


def data_root() -> Path:
    """Folder with real recordings; it may not exist."""
    return Path(os.environ.get("DIVERLOOP_DATA") or BESIDE_THE_CHECKOUT)


def simulated_bundle(folder: Path, montage: str, rate_hz: float) -> Path:
    """A model of a simulated participant."""
    settings = SimulatorConfig(montage=montage, rate_hz=rate_hz, duration_s=FITTED_S, seed=1)
    source = TrainingSource(
        name="simulated", data_id="seed 1", make=lambda clock: SimulatedParticipant(settings, clock)
    )
    path = folder / f"{montage}-{rate_hz:g}.bundle"
    save_bundle(fit_model([source], FitPlan(span=SPAN, window=WINDOW)), path)
    return path


def real_bundle(folder: Path, name: str) -> Path:
    """A model of a real recording; how well it decodes is of no interest here."""
    classes, start_s, stop_s, rows = REAL[name]
    plan = FitPlan(
        span=TrialSpan(classes=classes, start_s=start_s, stop_s=stop_s),
        conditioning=ConditionConfig(bands_hz=((8.0, 30.0),), order=2, pick=rows),
        window=WINDOW,
        training_step_s=0.1,
    )
    path = folder / f"{Path(name).stem}.bundle"
    save_bundle(fit_model(recordings([data_root() / name], "uV"), plan), path)
    return path


def cases(n: int, seed: int, folder: Path, live_s: float = LIVE_S) -> list[Case]:
    """What to record: models are fitted here, once for each participant and recording."""
    kinds = KINDS if data_root().is_dir() else (JUMPING, LIVE)
    bundles: dict[str, Path] = {}
    made = []
    for place in range(n):
        random = Random(f"{seed} {place}")
        kind = kinds[place % len(kinds)]
        rate_hz = 0.0
        if kind in (JUMPING, LIVE):
            what, rate_hz = random.choice(PEOPLE)
            key = f"{what} {rate_hz}"
            bundle = bundles.get(key) or simulated_bundle(folder, what, rate_hz)
        else:
            key = random.choice(tuple(REAL))
            what, bundle = str(data_root() / key), bundles.get(key) or real_bundle(folder, key)
        bundles[key] = bundle
        made.append(
            Case(
                kind=kind,
                seed=1000 * seed + place,
                bundle=bundle,
                what=what,
                rate_hz=rate_hz,
                folder=folder / "sessions",
                live_s=live_s,
            )
        )
    return made


def summary(results: list[dict[str, Any]]) -> dict[str, Any]:
    """What all sessions have shown."""

    def total(key: str, of: list[dict[str, Any]] = results) -> int:
        return sum(result.get(key, 0) for result in of)

    def added(key: str) -> dict[str, int]:
        counted: Counter[str] = Counter()
        for result in results:
            counted.update(result.get(key, {}))
        return dict(counted.most_common())

    by_kind = {}
    for kind in dict.fromkeys(KINDS):
        own = [result for result in results if result["kind"] == kind]
        by_kind[kind] = {
            "sessions": len(own),
            "equal": total("ok", own),
            "turns": total("n_turns", own),
            "turns_equal": total("n_equal", own),
            "windows_decoded": total("n_decoded", own),
            "commands_not_neutral": total("n_commanded", own),
        }
    turns, equal = total("n_turns"), total("n_equal")
    return {
        "sessions": len(results),
        "equal": total("ok"),
        "engaged": total("engaged"),
        "by_kind": by_kind,
        "turns_compared": turns,
        "events_compared": total("n_events"),
        "share_of_turns_equal": equal / turns if turns else None,
        "windows_decoded": total("n_decoded"),
        "embeddings_equal_to_the_bit": total("n_bit_equal"),
        "decided_for_a_class": total("n_decided"),
        "commands_not_neutral": total("n_commanded"),
        "injected": added("injected"),
        "events": added("events"),
        "idle": [r["seed"] for r in results if r["ok"] and not r.get("engaged")],
        "discrepancies": [result for result in results if not result["ok"]],
    }


def main() -> int:
    """Record, replay, print; 0 if every session came out as it was."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=3, help="sessions at the same time")
    parser.add_argument("--live-s", type=float, default=LIVE_S, help="length of a live session")
    parser.add_argument("--only", type=int, action="append", help="these seeds alone")
    parser.add_argument("--keep", type=Path, help="folder in which the recordings stay")
    asked = parser.parse_args()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as place:
        folder = asked.keep or Path(place)
        os.environ["DIVERLOOP_HOME"] = place  # a key of its own signs the logs
        if "LSLAPICFG" not in os.environ:
            config = Path(place) / "lsl_api.cfg"
            config.write_text(LSL_CONFIG.format(run=uuid.uuid4().hex))
            os.environ["LSLAPICFG"] = str(config)
        wanted = cases(asked.n, asked.seed, folder, asked.live_s)
        wanted = [case for case in wanted if not asked.only or case.seed in asked.only]
        results = []
        with ProcessPoolExecutor(asked.jobs, spawn) as pool:
            for result in pool.map(run, wanted):
                results.append(result)
                print(json.dumps(result), file=sys.stderr, flush=True)
    found = summary(results)
    print(json.dumps(found, indent=1))
    return 0 if not found["discrepancies"] else 1


if __name__ == "__main__":
    sys.exit(main())
