"""Models and recordings of a simulated participant, for the tests of assembly and calibration."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path

import numpy as np

from diverloop.demo import CLASSES, DemoPlan, calibrate
from diverloop.hardware.simulator import SimulatedParticipant, SimulatorConfig
from diverloop.runtime.bundle import Bundle, save_bundle
from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.prototype_head import PrototypeHead
from diverloop.training_sources import TrainingSource

SEED = 70


def fitted(montage: str = "eeg16") -> Bundle:
    """The demonstration's model after a short calibration block, made once; do not change it."""
    return _fitted(montage)  # the cache would take `fitted()` and `fitted("eeg16")` for two


@functools.cache
def _fitted(montage: str) -> Bundle:
    plan = DemoPlan(calibration_s=100.0, montage=montage)
    return calibrate(plan, lambda what, done, of: None)


@functools.cache
def adaptive() -> Bundle:
    """The same weights as a head with one direction, so that they can be adapted."""
    bundle = fitted()
    learnt = bundle.part("adapter")
    apart = learnt["weights"][1] - learnt["weights"][0]
    head = PrototypeHead(
        classes=bundle.card.classes,
        mean=learnt["mean"],
        scale=learnt["scale"],
        basis=apart[:, None],
        centre=-np.diff(learnt["bias"]),
        prototypes=np.array([[-0.5], [0.5]]),
        log_priors=np.log([0.5, 0.5]),
        temperature=float(learnt["temperature"].item()),
    )
    arrays = {f"adapter.{name}": array for name, array in head.to_arrays().items()}
    served = {f"adapter.{name}": array for name, array in head.linear().items()}
    return replace(bundle, arrays={**bundle.arrays, **served, **arrays})


def saved(folder: Path, montage: str = "eeg16") -> Path:
    """The same as a bundle on disk."""
    path = folder / f"{montage}.bundle"
    save_bundle(fitted(montage), path)
    return path


def quickly_saved(folder: Path, montage: str = "eeg16") -> Path:
    """A bundle that is made in a moment, where it does not matter how good it is."""
    path = folder / f"{montage}.bundle"
    plan = DemoPlan(calibration_s=40.0, montage=montage, encoder="csp")
    save_bundle(calibrate(plan, lambda what, done, of: None), path)
    return path


def write_npz(path: Path, seconds: float = 12.0, rows: list[str] | None = None, **changes) -> Path:
    """A recording of the participant that `fitted` knows, perhaps with other rows or changes."""
    config = SimulatorConfig(seed=SEED, duration_s=seconds, classes=CLASSES)
    person = SimulatedParticipant(config, VirtualClock())
    person.open()
    chunk = person.read(round(seconds * config.rate_hz), round((seconds + 1) * 1e9))
    place = {name: row for row, name in enumerate(person.spec.channel_names)}
    names = rows or list(place)
    arrays = {
        "data": np.stack([chunk.samples[place.get(name, 0)] for name in names]),
        "scale": np.ones(len(names)),
        "offset": np.zeros(len(names)),
        "units": np.array("uV"),
        "fs": np.array(config.rate_hz),
        "ch_names": np.array(names),
        "ch_types": np.array(["eeg"] * len(names)),
        "ch_pos": np.full((len(names), 3), np.nan),
        "ev_sample": np.array([marker.sample for marker in chunk.markers]),
        "ev_code": np.arange(len(chunk.markers)),
        "ev_label": np.array([marker.label for marker in chunk.markers]),
    }
    np.savez(path, **(arrays | changes))
    return path


NAMES = [
    channel.name
    for channel in SimulatedParticipant(SimulatorConfig(), VirtualClock()).spec.channels
]


def block(montage: str = "eeg16", rate_hz: float = 250.0, seconds: float = 60.0) -> TrainingSource:
    settings = SimulatorConfig(
        seed=7, duration_s=seconds, classes=CLASSES, montage=montage, rate_hz=rate_hz
    )
    return TrainingSource(
        name=f"{montage} at {rate_hz:g}",
        data_id="simulated",
        make=lambda clock: SimulatedParticipant(settings, clock),
    )
