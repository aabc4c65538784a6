"""The demonstration: a simulated participant, calibrated, then in a closed loop, live.

No hardware, no network, no display: the participant's signal is made on the fly, the decoder's
output is shown back to the participant, and the participant reacts to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .assembly import open_model
from .calibration import fit_model
from .fit_plan import FitPlan
from .hardware.simulator import SimulatedParticipant, SimulatorConfig
from .running import RunOptions, RunReport, run_session
from .runtime.bundle import Bundle
from .runtime.collection import TrialSpan
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
    calibration_s : float
        Simulated signal to fit on; it passes at once.
    live_s : float
        Closed loop in real time.
    long_s : float
        Closed loop again, as fast as the machine goes, for enough trials to judge by.
    montage : str
        Electrodes of the participant, a key of `hardware.montage.MONTAGES`.
    """

    calibration_s: float = 300.0
    live_s: float = 30.0
    long_s: float = 700.0
    montage: str = "eeg16"


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
    settings = _participant(plan, SEED, plan.calibration_s)
    source = TrainingSource(
        name="simulated calibration block",
        data_id=f"simulator {plan.montage}, seed {settings.seed}, {settings.duration_s:g} s",
        make=lambda clock: SimulatedParticipant(settings, clock),
    )
    return fit_model([source], FitPlan(span=SPAN), progress)


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
    options = RunOptions(armed=True, view=view, reports=reports)
    return run_session(_session(plan, SEED + 1, plan.live_s), options, open_model(bundle))


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
    options = RunOptions(armed=True, live=False)
    return run_session(_session(plan, SEED + 2, plan.long_s), options, open_model(bundle))


def _session(plan: DemoPlan, seed: int, seconds: float) -> SessionConfig:
    """Another block than the one that was calibrated on: cues, noise, moods follow the seed.

    Armed without a person, because it acts on nothing but the simulation.
    """
    return SessionConfig(
        name="demonstration",
        source=PartConfig(kind="simulator", settings=_participant(plan, seed, seconds)),
        model=Path("demo.bundle"),
    )


def _participant(plan: DemoPlan, seed: int, seconds: float) -> SimulatorConfig:
    return SimulatorConfig(seed=seed, duration_s=seconds, classes=CLASSES, montage=plan.montage)
