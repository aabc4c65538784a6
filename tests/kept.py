"""Sessions that were recorded once for many tests to look at: do not change them, copy them.

Whoever runs the participant of these sessions says too much: see `SECRETS`.
"""

from __future__ import annotations

import functools
import itertools
import shutil
import tempfile
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from unittest import mock

from diverloop.adapters.motor_imagery import MU_BETA
from diverloop.assembly import open_model
from diverloop.calibration import fit_model
from diverloop.demo import CLASSES, SPAN
from diverloop.fit_plan import FitPlan
from diverloop.hardware.simulator import Fault, SimulatedParticipant, SimulatorConfig
from diverloop.run_report import RunReport
from diverloop.running import RunOptions, run_session
from diverloop.runtime.bundle import Bundle
from diverloop.runtime.record.note_server import send_note
from diverloop.runtime.session import PartConfig, SessionConfig
from diverloop.training_sources import TrainingSource

from .modelled import fitted

SEED = 71
RATE_HZ = 250.0
LOST = (3075, 3175)
"""Samples that the simulated amplifier loses."""
NOTES = (
    ("Jane moved. Call her husband Mr Doe on +1 555 123 4567, jane.doe@example.org.", "jsmith"),
    ("Born 12/03/1956, was here in June 2026 too.", ""),
)
SECRETS = ("jane", "doe", "jsmith", "555 123", "example.org", "12/03/1956")
"""Nothing of this may leave, in whatever case."""
_NOTED_AT = 50  # commands after the beginning

_GRID = ("G1", "G2", "G3", "G9", "G10", "G11", "G17", "G18")

_root = tempfile.TemporaryDirectory(prefix="diverloop-kept-")


def settings(montage: str = "eeg16", **changes: object) -> SimulatorConfig:
    """A participant who loses a few samples on the way."""
    chosen = {
        "montage": montage,
        "seed": SEED,
        "duration_s": 30.0,
        "classes": CLASSES,
        "faults": (
            Fault(kind="gap", at_s=LOST[0] / RATE_HZ, length_s=(LOST[1] - LOST[0]) / RATE_HZ),
        ),
    }
    return SimulatorConfig(**(chosen | changes))


def session(simulator: SimulatorConfig | None = None, **changes: object) -> SessionConfig:
    """A session whose name, participant and operator are those of persons."""
    chosen = {
        "name": "Jane's first",
        "source": PartConfig(kind="simulator", settings=simulator or settings()),
        "model": Path("none.bundle"),
        "participant": "Jane Doe",
        "operator": "jsmith",
    }
    return SessionConfig(**(chosen | changes))


@functools.cache
def model_of(montage: str) -> Bundle:
    """A model for a montage; of a grid, it looks at a few electrodes only, to be quick."""
    if montage == "eeg16":
        return fitted()
    block = SimulatorConfig(montage=montage, seed=7, duration_s=60.0, classes=CLASSES)
    source = TrainingSource(
        name="a block", data_id="simulated", make=lambda clock: SimulatedParticipant(block, clock)
    )
    plan = FitPlan(span=SPAN, encoder="csp", conditioning=replace(MU_BETA, pick=_GRID))
    return fit_model([source], plan)


def kept(montage: str = "eeg16", seconds: float = 30.0) -> RunReport:
    """A recorded session, with notes that were written while it ran; its folder is `kept`."""
    return _recorded(montage, seconds)


@functools.cache
def _recorded(montage: str, seconds: float) -> RunReport:
    root = Path(_root.name) / f"{montage} {seconds:g}"
    options = RunOptions(live=False, armed=True, recordings=root)
    with _noting(root):
        wanted = session(settings(montage, duration_s=seconds))
        return run_session(wanted, options, open_model(model_of(montage)))


def folder_of(montage: str = "eeg16", seconds: float = 30.0) -> Path:
    """The folder of the session; read it only."""
    folder = kept(montage, seconds).kept
    assert folder is not None
    return folder


def copy_of(place: Path) -> Path:
    """A copy of a shorter session's folder that may be spoilt; it ends before samples are lost."""
    return Path(shutil.copytree(folder_of(seconds=10.0), place / "session"))


def _noting(root: Path) -> AbstractContextManager[object]:
    """Write the notes from outside while the loop is in the middle of the session."""
    act, count = SimulatedParticipant.act, itertools.count()

    def noting(self: SimulatedParticipant, *given: object) -> object:
        if next(count) == _NOTED_AT:
            (folder,) = root.iterdir()
            for text, who in NOTES:
                send_note(folder, text, who)
        return act(self, *given)

    return mock.patch.object(SimulatedParticipant, "act", noting)
