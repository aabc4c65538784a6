"""Recordings of motor imagery as sources, and the loop that plays a model over them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import diverloop.gathering as gathering
from diverloop.assembly import open_model
from diverloop.fit_plan import FitPlan
from diverloop.hardware.recordings import Recording, read_recording
from diverloop.hardware.replay import ReplayConfig, ReplaySource
from diverloop.runtime.bundle import Arrays, Bundle
from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.collection import Collected
from diverloop.runtime.fanout import FanOut
from diverloop.runtime.feedback import EvidenceFeedback, FeedbackConfig
from diverloop.runtime.guard import Guard, Signal
from diverloop.runtime.loop import Loop
from diverloop.runtime.loop_config import LoopConfig, Stages
from diverloop.runtime.messages import Message, Turn
from diverloop.training_sources import TrainingSource

STEP_S = 0.25
"""From one decision to the next."""


@dataclass(frozen=True, slots=True)
class Run:
    """A recording, or a part of one, as a source."""

    name: str
    recording: Recording

    @property
    def training(self) -> TrainingSource:
        """The same to fit on."""
        return TrainingSource(name=self.name, data_id=self.name, make=self.source)

    def source(self, clock: Any) -> ReplaySource:
        """From the beginning."""
        return ReplaySource(ReplayConfig(path=self.name, chunk_s=0.05), clock, self.recording)


class Turns:
    """A watcher that keeps what was decided and done."""

    lossless = True

    def __init__(self) -> None:
        self.turns: list[Turn] = []

    def watch(self, message: Message) -> None:
        """Keep turns."""
        if isinstance(message, Turn):
            self.turns.append(message)

    def close(self) -> None:
        """Nothing to release."""


def run_of(root: Path, number: int, rename: bool = False) -> Run:
    """A run of EEGMMIDB; renamed, every movement is ``move``."""
    recording = read_recording(root / "mi" / f"eegmmidb_S001_R{number:02d}.npz", assume_unit="uV")
    if rename:
        markers = tuple(
            m if m.label == "rest" else replace(m, label="move") for m in recording.markers
        )
        recording = replace(recording, markers=markers)
    return Run(f"R{number:02d}", recording)


def halves_of_openbmi(root: Path) -> tuple[Run, Run]:
    """The first 25 trials and the others, each with the rest before it."""
    whole = read_recording(root / "mi" / "openbmi_O1_first50.npz", assume_unit="uV")
    cut_s = whole.markers[25].sample / whole.spec.rate_hz - 4.0
    first, second = whole.excerpt(0.0, cut_s), whole.excerpt(cut_s, None)
    return Run("first 25", first), Run("last 25", second)


def play(
    bundle: Bundle, run: Run, watchers: Sequence[Any], feedback: FeedbackConfig | None = None
) -> None:
    """Run a model in the loop, armed, over a whole recording."""
    model, clock, guard = open_model(bundle, STEP_S), VirtualClock(), Guard()
    guard.tell(Signal.PERSON_ARMS)
    stages = Stages(
        source=run.source(clock),
        conditioner=model.conditioner,
        encoder=model.encoder,
        adapter=model.adapter,
        feedback=EvidenceFeedback(feedback),
    )
    Loop(
        stages,
        clock=clock,
        window=model.window,
        config=LoopConfig(),
        guard=guard,
        fanout=FanOut(watchers),
        accept=model.accept,
    ).run()


def remember_collected(most: int = 8) -> None:
    """Conditioning is slow, and the same for every model that a run goes into."""
    known: dict[str, Collected] = {}
    collect = gathering._collect

    def remembered(source: TrainingSource, plan: FitPlan, arrays: Arrays) -> Collected:
        if arrays:
            return collect(source, plan, arrays)
        cut = (plan.span, plan.conditioning, plan.window, plan.training_step_s, plan.student)
        heard = plan.encoder == "student" and ("tuned" if plan.settings else "plain")
        key = f"{source.name} {heard} {cut}"
        if key not in known:
            while len(known) >= most:
                known.pop(next(iter(known)))
            known[key] = collect(source, plan, arrays)
        return known[key]

    gathering._collect = remembered


def note(text: str) -> None:
    """Say on the error stream how far it is."""
    print(text, file=sys.stderr, flush=True)
