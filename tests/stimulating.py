"""Requests, limits and situations for the tests and benches of stimulation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from diverloop.hardware.simulator import SimulatorConfig
from diverloop.hardware.stimulation_config import StimulationSinkConfig, TrainConfig
from diverloop.runtime.session import PartConfig, SessionConfig
from diverloop.runtime.stimulation import (
    CLINICIAN,
    PastTrain,
    Situation,
    StimulationPermission,
    StimulationRequest,
)
from diverloop.runtime.stimulation_limits import (
    Contact,
    StimulationLimits,
    cylinder_um2,
    disc_um2,
)

from .modelled import CLASSES, SEED

SECOND_NS = 1_000_000_000
CONTACTS = {
    contact.name: contact
    for contact in (
        Contact(name="LA1", area_um2=cylinder_um2(0.8, 2.0)),
        Contact(name="LA2", area_um2=cylinder_um2(0.8, 2.0)),
        Contact(name="G1", area_um2=disc_um2(2.3)),
        Contact(name="u1", area_um2=15_000, size="micro"),
        Contact(name="u2", area_um2=2_000, size="micro"),
        Contact(name="big", area_um2=100_000_000),
    )
}
LIMITS = StimulationLimits(allowed=tuple(CONTACTS))
LOOP_NS, DOSE_NS = 40 * SECOND_NS, 1_790_000_000 * SECOND_NS
PERMISSION = StimulationPermission(
    who="C1", role=CLINICIAN, second_factor=True, enabled_until_ns=LOOP_NS + 1
)
ALWAYS = replace(PERMISSION, enabled_until_ns=10**18)
CLEAR = Situation(
    loop_ns=LOOP_NS, dose_ns=DOSE_NS, ledger_ready=True, armed=True, stopped=False, seizure=False,
    device_ready=True, permission=PERMISSION,
)  # fmt: skip
MODEST = StimulationRequest(
    anodes=("LA1",),
    cathodes=("LA2",),
    amplitude_na=1_000_000,
    width_ns=200_000,
    second_amplitude_na=1_000_000,
    second_width_ns=200_000,
    rate_millihz=100_000,
    duration_us=1_000_000,
    requested_ns=LOOP_NS,
    decision="800/0",
)


def phases(amplitude_na: int, width_ns: int, **others) -> StimulationRequest:
    """A modest request with other phases, both alike."""
    return replace(
        MODEST,
        amplitude_na=amplitude_na, width_ns=width_ns,
        second_amplitude_na=amplitude_na, second_width_ns=width_ns, **others,
    )  # fmt: skip


def past(end_s: float, lasted_s: float = 1.0, **charges_pc: int) -> PastTrain:
    """A train that ended so many seconds ago."""
    end_ns = DOSE_NS - round(end_s * SECOND_NS)
    start_ns = end_ns - round(lasted_s * SECOND_NS)
    return PastTrain(start_ns=start_ns, end_ns=end_ns, charges_pc=charges_pc)


def stimulating(folder: Path) -> SessionConfig:
    """A simulated participant whose left-hand selections ask for a train."""
    train = TrainConfig(
        label="left", anodes=("LA1",), cathodes=("LA2",), amplitude_na=1_000_000,
        width_ns=200_000, second_amplitude_na=1_000_000, second_width_ns=200_000,
        rate_millihz=50_000, duration_us=200_000,
    )  # fmt: skip
    sink = StimulationSinkConfig(
        enabled=True,
        ledger=str(folder),
        begin_ledger=True,
        contacts=tuple(Contact(name=name, area_um2=5_026_548) for name in ("LA1", "LA2")),
        trains=(train,),
        limits=StimulationLimits(allowed=("LA1", "LA2")),
    )
    config = SimulatorConfig(montage="eeg16", classes=CLASSES, seed=SEED, duration_s=40.0)
    return SessionConfig(
        name="test",
        source=PartConfig(kind="simulator", settings=config),
        model=Path("none.bundle"),
        sinks=(PartConfig(kind="stimulation", settings=sink),),
        feedback={"select_at": 0.55, "dwell_s": 0.1, "memory_s": 0.5},
    )
