"""The demonstration: a simulated participant, calibrated, then in a closed loop, live.

No hardware, no network, no display: the participant's signal is made on the fly, the decoder's
output is shown back to the participant, and the participant reacts to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .adapters.task import Task
from .assembly import Model, open_model
from .calibration import fit_best
from .fit_plan import plans_for
from .run_report import RunReport
from .running import RunOptions, run_session
from .runtime.bundle import Bundle
from .runtime.catalog import CATALOG, find
from .runtime.collection import TrialSpan
from .runtime.deciding import Hears
from .runtime.errors import ConfigError
from .runtime.session import PartConfig, SessionConfig
from .training_sources import TrainingSource

CLASSES = ("left", "right")
SPAN = TrialSpan(classes=CLASSES, start_s=0.75, stop_s=4.25)
SEED = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPlan:
    """How long each part takes.

    Parameters
    ----------
    task : str
        What the participant does: a task of the catalogue that can be simulated.
    encoder : str
        How it is decoded; empty takes the task's first way, ``"auto"`` the one that does best.
    calibration_s : float
        Simulated signal to fit on; it passes at once.
    live_s : float
        Closed loop in real time.
    long_s : float
        Closed loop again, as fast as the machine goes, for enough trials to judge by.
    montage : str
        Electrodes of the participant, a key of `hardware.montage.MONTAGES`; empty for the task's
        own.
    """

    task: str = "motor_imagery"
    encoder: str = ""
    calibration_s: float = 300.0
    live_s: float = 30.0
    long_s: float = 700.0
    montage: str = ""

    def __post_init__(self) -> None:
        task: Task = find("task", self.task)
        if not task.simulator:
            able = ", ".join(name for name in CATALOG["task"] if find("task", name).simulator)
            raise ConfigError(
                f"Nobody can be simulated who does the task {self.task}; there is somebody for "
                f"{able}: choose one."
            )


def calibrate(plan: DemoPlan, progress: Callable[[str, int, int], None]) -> Bundle:
    """Fit a model on the participant's calibration block.

    Parameters
    ----------
    plan : DemoPlan
        Lengths.
    progress : callable
        Told what is being done, how far, and of how much.

    Returns
    -------
    bundle : Bundle
        Not saved.
    """
    part = _participant(plan, SEED, plan.calibration_s)
    source = TrainingSource(
        name="simulated calibration block",
        data_id=f"simulated {plan.task}, {plan.montage}, seed {SEED}, {plan.calibration_s:g} s",
        make=lambda clock: find("source", part.kind)(part.settings, clock),
    )
    task: Task = find("task", plan.task)
    first = task.ways(task.span.classes)[0].encoder
    plans = plans_for(plan.task, encoder=plan.encoder or first)
    if plan.task == "motor_imagery":
        plans = [replace(each, span=SPAN) for each in plans]
    bundle = fit_best([source], plans, progress)
    settings = {**bundle.card.adapter_config, **task.brief}
    return replace(bundle, card=replace(bundle.card, adapter_config=settings))


def live_block(bundle: Bundle, plan: DemoPlan, *, view: bool, reports: Path) -> RunReport:
    """Closed loop in real time.

    Parameters
    ----------
    bundle : Bundle
        From `calibrate`.
    plan : DemoPlan
        Lengths.
    view : bool
        Draw the live view in this terminal.
    reports : Path
        Folder for the report.

    Returns
    -------
    report : RunReport
        Latencies and accuracy.
    """
    model = open_model(bundle)
    options = RunOptions(armed=True, listen=_hears(model), view=view, reports=reports)
    return run_session(_session(plan, SEED + 1, plan.live_s), options, model)


def long_block(bundle: Bundle, plan: DemoPlan) -> RunReport:
    """Closed loop over many trials, on a clock that jumps.

    Parameters
    ----------
    bundle : Bundle
        From `calibrate`.
    plan : DemoPlan
        Lengths.

    Returns
    -------
    report : RunReport
        Its latencies are those of the virtual clock, and mean nothing.
    """
    model = open_model(bundle)
    options = RunOptions(armed=True, listen=_hears(model), live=False)
    return run_session(_session(plan, SEED + 2, plan.long_s), options, model)


def _hears(model: Model) -> bool:
    """Nobody is spied on here, so a speech decoder listens from the start."""
    return isinstance(model.adapter, Hears)


def _session(plan: DemoPlan, seed: int, seconds: float) -> SessionConfig:
    """Another block than the one that was calibrated on: cues, noise, moods follow the seed.

    Armed without a person, because it acts on nothing but the simulation.
    """
    return SessionConfig(
        name="demonstration",
        source=_participant(plan, seed, seconds),
        model=Path("demo.bundle"),
    )


def _participant(plan: DemoPlan, seed: int, seconds: float) -> PartConfig:
    task: Task = find("task", plan.task)
    chosen: dict[str, Any] = {
        "seed": seed,
        "person": SEED,
        "duration_s": seconds,
        **task.simulator,
    }
    kind = chosen.pop("kind", "simulator")
    if plan.montage:
        chosen["montage"] = plan.montage
    return PartConfig(kind=kind, settings=find("source", kind).Config(**chosen))
