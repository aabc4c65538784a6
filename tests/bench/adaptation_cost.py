"""What adaptation costs the loop, and how soon a trial becomes a proposal.

    python -m diverloop.tests.bench.adaptation_cost [--seconds 60] [--pairs 4] [--learner reward]
        [--trial cue] [--blind] [--priority 20]

A loop of 64 channels at 1 kHz with a decision every 50 ms, once with adaptation and once without,
in turns; each run is a process of its own. With adaptation there are the watcher, the envelope and
a learner in another process, as in a session. ``--trial window`` makes every decision a trial: 20
updates a second, far more than any session has. ``--blind`` takes the envelope away, so that every
proposal takes over: the most swaps that there can be.

**Update latency** is the time from the moment at which the watcher tells the learner of a trial to
that at which a proposal that rests on it is in the envelope.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

import numpy as np

from diverloop.adapters.linear import LinearAdapter, LinearConfig
from diverloop.assembly import open_adapter
from diverloop.rl.adaptation import Adaptation
from diverloop.rl.adaptation_parts import Neighbours, Serving
from diverloop.rl.envelope.config import EnvelopeConfig
from diverloop.rl.envelope.envelope import Envelope
from diverloop.rl.envelope.version import Proposal
from diverloop.rl.learning_link import LearningLink
from diverloop.rl.reward_desk import RewardDesk
from diverloop.rl.trial import Trial
from diverloop.runtime.adaptation_config import AdaptationConfig
from diverloop.runtime.clock import MonotonicClock
from diverloop.runtime.fanout import FanOut
from diverloop.runtime.feedback import EvidenceFeedback, FeedbackConfig
from diverloop.runtime.loop import Loop
from diverloop.runtime.loop_config import Stages
from diverloop.runtime.messages import Embedding, StreamSpec, Window
from diverloop.runtime.prototype_head import PrototypeHead
from diverloop.runtime.realtime import RealtimeConfig, realtime
from diverloop.runtime.signal.condition_config import ConditionConfig
from diverloop.runtime.signal.conditioning import StreamConditioner
from diverloop.runtime.windows import WindowConfig
from diverloop.tests.bench.safety_victim import CLASSES
from diverloop.tests.bench.screens import Ticking

N_CHANNELS, RATE_HZ, STEP_S, N_FEATURES = 64, 1000.0, 0.05, 64
SETTLE_S = 5.0
_QUANTILES = ("p50_ms", "p99_ms")


class Mixtures:
    """An encoder of a few milliseconds: power of mixtures, with noise that tells classes apart."""

    def open(self, spec: StreamSpec, n_times: int) -> None:
        """Make the matrix."""
        self._matrix = np.random.default_rng(1).normal(size=(N_FEATURES, spec.n_channels))

    def encode(self, window: Window) -> Embedding:
        """Logarithm of the power, in units of its scatter."""
        power = np.var(self._matrix @ window.samples, axis=1)
        return Embedding(values=np.log(power + 1e-9))

    def close(self) -> None:
        """Nothing to release."""


class Timed(LearningLink):
    """A link that takes the time from trial to proposal."""

    def __init__(self, *arguments: Any) -> None:
        self.took_ms: list[float] = []
        self._seen_s: dict[int, float] = {}
        super().__init__(*arguments)

    def see(self, trial: Trial) -> None:
        """Tell of a trial, and note when."""
        if self.ready:
            self._seen_s[trial.number] = time.perf_counter()
        super().see(trial)

    def proposal(self) -> Proposal | None:
        """The newest proposal; note how old the trials are that are new in it."""
        found = super().proposal()
        now_s = time.perf_counter()
        for number in found.trials if found else ():
            if (seen_s := self._seen_s.pop(number, None)) is not None:
                self.took_ms.append(1e3 * (now_s - seen_s))
        return found


def fitted() -> PrototypeHead:
    """A head on what the encoder gives of the bench's own signal."""
    clock, encoder = MonotonicClock(), Mixtures()
    source = Ticking(N_CHANNELS, RATE_HZ, clock)
    encoder.open(source.spec, 1000)
    noise, rng = source._noise, np.random.default_rng(2)
    starts = rng.integers(0, noise.shape[1] - 1000, 120)
    windows = [SimpleNamespace(samples=noise[:, start : start + 1000]) for start in starts]
    features = np.stack([encoder.encode(one).values for one in windows])
    labels = np.array(CLASSES)[np.arange(len(features)) % 2]
    features[labels == CLASSES[1], :4] += 0.5 * features.std(axis=0)[:4]
    return PrototypeHead.fit(features, labels, CLASSES)


def run_loop(learner: str, trial: str, blind: bool, priority: int, seconds: float) -> None:
    """One run; prints its figures."""
    clock, head = MonotonicClock(), fitted()
    arrays = {**head.linear(), **head.to_arrays()}
    adapter = LinearAdapter.from_arrays(LinearConfig(classes=CLASSES), arrays)
    adaptation, link = _adaptation(learner, trial, blind, head, adapter, clock)
    loop = Loop(
        Stages(
            source=Ticking(N_CHANNELS, RATE_HZ, clock),
            conditioner=StreamConditioner(ConditionConfig()),
            encoder=Mixtures(),
            adapter=adapter,
            feedback=EvidenceFeedback(FeedbackConfig(memory_s=0.0)),
        ),
        clock=clock,
        window=WindowConfig(length_s=1.0, step_s=STEP_S),
        fanout=FanOut((adaptation,) if adaptation else ()),
    )
    if adaptation:
        adaptation.serve(loop.promotions, loop.tell)
    threading.Timer(seconds + SETTLE_S, loop.stop).start()
    with realtime(RealtimeConfig(fifo_priority=priority)):
        report = loop.run().to_json()
    figures = {"stages": report["stages"], "update_ms": link.took_ms if link else []}
    figures["promotions"] = report["events"].get("promoted", 0)
    print(json.dumps(figures), flush=True)


def _adaptation(
    learner: str,
    trial: str,
    blind: bool,
    head: PrototypeHead,
    adapter: LinearAdapter,
    clock: MonotonicClock,
) -> tuple[Adaptation | None, Timed | None]:
    if not learner:
        return None, None
    config = AdaptationConfig(
        learner=learner, rewards=("cue",), trial=trial, trial_s=1.9, permission="session"
    )
    link = Timed(learner, {}, head)
    beside = Neighbours(
        learning=link,
        rewards=RewardDesk(config, CLASSES),
        clock=clock,
        adapter_of=open_adapter,
        why_not=lambda: "",
    )
    card: Any = SimpleNamespace(
        classes=CLASSES, adapter="linear", adapter_config=asdict(adapter.config)
    )
    serving = Serving(card=card, head=head, arrays=adapter.to_arrays())
    envelope = EnvelopeConfig(holds=False, least_gap_s=0.0) if blind else EnvelopeConfig()
    return Adaptation(config, serving, Envelope(head, envelope), beside), link


def one(learner: str, chosen: argparse.Namespace) -> dict[str, Any]:
    """A run in a process of its own."""
    environment = {"OMP_NUM_THREADS": "1", **os.environ}
    said = subprocess.run(
        [
            sys.executable, "-m", "diverloop.tests.bench.adaptation_cost", "--part", "loop",
            "--learner", learner, "--trial", chosen.trial, "--seconds", str(chosen.seconds),
            "--priority", str(chosen.priority), *(["--blind"] if chosen.blind else []),
        ],
        stdout=subprocess.PIPE, text=True, env=environment, check=True,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(said.stdout.splitlines()[-1])
    return found


def compare(chosen: argparse.Namespace) -> dict[str, Any]:
    """With adaptation and without, in turns."""
    rows: dict[str, list[dict[str, float]]] = {"off": [], "on": []}
    update_ms: list[float] = []
    promotions = 0
    for turn in range(2 * chosen.pairs):
        # The one that goes first changes from pair to pair: load that grows favours neither.
        on = (turn % 2 == 1) != (turn // 2 % 2 == 1)
        found = one(chosen.learner if on else "", chosen)
        stages = {row["name"]: row for row in found["stages"]}
        rows["on" if on else "off"].append(
            {f"{name}_{q}": stages[name][q] for name in ("loop", "total") for q in _QUANTILES}
        )
        update_ms += found["update_ms"]
        promotions += found["promotions"]
    medians = {
        turn: {key: round(_middle(runs, key), 3) for key in runs[0]} for turn, runs in rows.items()
    }
    difference = {key: round(medians["on"][key] - medians["off"][key], 3) for key in medians["on"]}
    return {
        "learner": chosen.learner,
        "trial": chosen.trial,
        "envelope": not chosen.blind,
        "seconds": chosen.seconds,
        "priority": chosen.priority,
        **rows,
        "medians": medians,
        "on_minus_off_of_medians": difference,
        "update_ms": _figures(update_ms),
        "promotions": promotions,
    }


def _middle(runs: list[dict[str, float]], key: str) -> float:
    return float(np.median([run[key] for run in runs]))


def _figures(times_ms: list[float]) -> dict[str, float | int]:
    if not times_ms:
        return {"n": 0}
    median, p99 = np.percentile(times_ms, (50, 99))
    return {
        "n": len(times_ms),
        "p50": round(float(median), 2),
        "p99": round(float(p99), 2),
        "worst": round(max(times_ms), 2),
    }


def main(arguments: list[str]) -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--learner", default="reward")
    parser.add_argument("--trial", choices=("cue", "window"), default="cue")
    parser.add_argument("--blind", action="store_true")
    parser.add_argument("--priority", type=int, default=0, help="of the loop, under SCHED_FIFO")
    parser.add_argument("--part", choices=("loop",), help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.part:
        run_loop(chosen.learner, chosen.trial, chosen.blind, chosen.priority, chosen.seconds)
        return
    print(json.dumps(compare(chosen), indent=2))


if __name__ == "__main__":
    main(sys.argv[1:])
