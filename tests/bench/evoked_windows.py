"""Windows around single flashes, conditioned in any way, for `evoked`.

Which recordings and which events is told by `decoding_plans.PLANS`; what is different from
`decoding_tasks` is that the conditioning can be chosen, and that windows hold nothing but what an
encoder for evoked responses is served. Flashes come every 0.13 to 0.6 s, so neighbouring windows
share samples: a training window that overlaps a window to be judged is left out
(`decoding_tasks.split_cut`), and so it is where a fold inside the training part holds windows out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from decoding_plans import PLANS, Plan
from decoding_tasks import Cut, Ints, Task, assemble, join, split_cut

from diverloop.hardware.recordings import read_recording
from diverloop.runtime.messages import Chunk, StreamSpec
from diverloop.runtime.signal.condition_config import ConditionConfig
from diverloop.runtime.signal.conditioning import StreamConditioner

PARTS: Mapping[str, tuple[str, ...]] = {
    "G1": ("p300-gtec/G1",),
    "G2": ("p300-gtec/G2",),
    "G3": ("p300-gtec/G3",),
    "O1": ("p300-openbmi",),
    "M1": ("p300-muse",),
    "E1-D": tuple(f"p300-emotiv-D/{letter}" for letter in (1, 2, 3, 4)),
    "E1-E": tuple(f"p300-emotiv-E/{letter}" for letter in (1, 2, 3, 4, 5)),
    "L1": ("visual-field",),
}
"""Who -> the tasks whose mean is reported: one for each letter that is left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flashes:
    """A task, the folds of its training part, and the rate of its windows in hertz."""

    task: Task
    folds: tuple[tuple[Ints, Ints], ...]
    rate_hz: float


def flashes(
    name: str, data: Path, config: ConditionConfig, *, start_s: float = 0.0, stop_s: float = 0.8
) -> Flashes:
    """Cut the windows of a task.

    Parameters
    ----------
    name : str
        A key of `decoding_plans.PLANS`.
    data : Path
        Folder of the recordings.
    config : ConditionConfig
        How they are conditioned.
    start_s, stop_s : float
        Of a window, from its flash.
    """
    plan = replace(PLANS[name], start_s=start_s, stop_s=stop_s, window_s=stop_s - start_s)
    cuts = [_cut(data / path, plan, config) for path in plan.train]
    rate_hz, spec = cuts[0][1].rate_hz, cuts[0][1]
    length = round(plan.window_s * rate_hz)
    if plan.train_share is None:
        parts = [each for each, _ in cuts]
        train, place = join(parts), np.repeat(np.arange(len(parts)), [len(p.y) for p in parts])
        test = join([_cut(data / path, plan, config)[0] for path in plan.test])
        folds = [
            (np.flatnonzero(place != held), np.flatnonzero(place == held)) for held in set(place)
        ]
    else:
        with np.load(data / plan.train[0], allow_pickle=False) as file:
            early = plan.train_share(file)[cuts[0][0].events]
        train, test = split_cut(cuts[0][0], early, ~early, length)
        folds = _blocks(train, length)
    task = assemble(name, plan, spec, train, test)
    return Flashes(task=task, folds=tuple(folds), rate_hz=rate_hz)


def _cut(path: Path, plan: Plan, config: ConditionConfig) -> tuple[Cut, StreamSpec]:
    recording = read_recording(path, assume_unit="uV")
    conditioner = StreamConditioner(config)
    spec = conditioner.open(recording.spec)
    chunk = Chunk(samples=np.nan_to_num(recording.samples), first_sample=0, arrived_ns=0)
    signal = conditioner.process(chunk).samples.astype(np.float32)
    length = round(plan.window_s * spec.rate_hz)
    rows = []
    for place, marker in enumerate(recording.markers):
        if marker.label not in plan.classes:
            continue
        at_s = marker.sample / recording.spec.rate_hz
        first = round(at_s * spec.rate_hz) + round(plan.start_s * spec.rate_hz)
        if conditioner.settle_samples <= first <= signal.shape[1] - length:
            rows.append((plan.classes.index(marker.label), int(at_s / plan.group_s), place, first))
    y, groups, events, first = np.array(rows, dtype=np.int64).T
    windows = np.array([signal[:, at : at + length] for at in first])
    found = Cut(windows=windows, banded=windows, y=y, groups=groups, events=events, first=first)
    return found, spec


def _blocks(train: Cut, length: int, n_folds: int = 4) -> list[tuple[Ints, Ints]]:
    """Blocks of time, and for each the windows that share no sample with it."""
    found = []
    for block in np.array_split(np.unique(train.groups), n_folds):
        held = np.isin(train.groups, block)
        near = np.abs(train.first[:, None] - train.first[held][None]).min(axis=1) < length
        found.append((np.flatnonzero(~near), np.flatnonzero(held)))
    return found
