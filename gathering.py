"""From recordings to the windows that a plan learns from.

The recordings pass through the live loop, on a clock that jumps: what a model learns from is what
it will be served.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .cleaning import learn_to_clean
from .fit_plan import FitPlan
from .runtime.bundle import Arrays
from .runtime.catalog import find
from .runtime.clock import VirtualClock
from .runtime.collection import Collected, collect
from .runtime.errors import BundleError, RecordingError
from .runtime.messages import StreamSpec
from .runtime.signal.condition_config import ConditionConfig
from .runtime.signal.conditioning import StreamConditioner, rows_to_keep
from .training_sources import Progress, TrainingSource

_OFTEN_BAD = 0.2  # share of the calibration's windows


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """What one plan has to learn from.

    Parameters
    ----------
    plan : FitPlan
        Narrowed to the electrodes that were good.
    arrays : mapping
        What its conditioner has learnt.
    parts : list of Collected
        One for each recording.
    left_out : list of str
        Electrodes that were bad too often.
    """

    plan: FitPlan
    arrays: Arrays
    parts: list[Collected]
    left_out: list[str]


def gather(sources: Sequence[TrainingSource], plan: FitPlan, progress: Progress) -> Gathered:
    """Windows of good electrodes alone; those that were often bad are left out of the model.

    Parameters
    ----------
    sources : sequence of TrainingSource
        Recordings.
    plan : FitPlan
        How to condition and to cut.
    progress : callable
        Told what is being done, how far, and of how much.

    Returns
    -------
    gathered : Gathered
        All windows in which every electrode is good.

    Raises
    ------
    RecordingError
        If a recording has no trial of the classes, or no window that is good.
    BundleError
        If the recordings' channels or rates differ.
    """
    arrays = learn_to_clean(sources, plan.conditioning, progress)
    parts = []
    for place, source in enumerate(sources):
        progress(f"conditioning {source.name}", place, len(sources))
        parts.append(_collect(source, plan, arrays))
    _refuse_mixture(parts, sources)
    picked = picked_electrodes(plan, parts[0].spec)
    left_out = _often_bad(picked, parts)
    if left_out:
        kept = tuple(name for name in picked if name not in left_out)
        if not kept:
            raise RecordingError(
                f"Every electrode was bad in more than {_OFTEN_BAD:.0%} of the calibration: record "
                f"it again, or fit without conditioning.bad_channels."
            )
        narrower = replace(plan, conditioning=_without(plan.conditioning, kept))
        fewer = gather(sources, narrower, progress)
        return replace(fewer, left_out=[*left_out, *fewer.left_out])
    whole = [part.whole() for part in parts]
    lost = [s.name for s, part in zip(sources, whole, strict=True) if not len(part.windows)]
    if lost:
        raise RecordingError(
            f"{', '.join(lost)} has no window in which every electrode is good: record it again, "
            f"or fit without conditioning.bad_channels."
        )
    return Gathered(plan=plan, arrays=arrays, parts=whole, left_out=[])


def picked_electrodes(plan: FitPlan, spec: StreamSpec) -> tuple[str, ...]:
    """Electrodes that go into the chain; what comes out may have other names."""
    return tuple(spec.channel_names[row] for row in rows_to_keep(plan.conditioning.pick, spec))


def _without(config: ConditionConfig, kept: tuple[str, ...]) -> ConditionConfig:
    """The same conditioning of fewer electrodes."""
    groups = [tuple(name for name in group if name in kept) for group in config.reference_groups]
    return replace(config, pick=kept, reference_groups=tuple(group for group in groups if group))


def _often_bad(picked: tuple[str, ...], parts: Sequence[Collected]) -> list[str]:
    """Electrodes of which no row was good for most of the calibration."""
    rows = [row.rpartition("/")[2] for row in parts[0].conditioned.channel_names]
    usable = np.concatenate([part.usable for part in parts])
    good = usable.mean(axis=0) >= 1 - _OFTEN_BAD
    # A bipolar row is named after both of its contacts.
    of = {
        name: [r for r, row in enumerate(rows) if name in (row, *row.split("-"))] for name in picked
    }
    return sorted(name for name in picked if of[name] and not good[of[name]].any())


def _collect(source: TrainingSource, plan: FitPlan, arrays: Arrays) -> Collected:
    clock = VirtualClock()
    streams = plan.encoder == "student"
    return collect(
        source.make(clock),
        StreamConditioner(plan.conditioning, arrays),
        clock,
        window=plan.window if streams else replace(plan.window, step_s=plan.training_step_s),
        span=plan.learns_from or plan.span,
        every_s=plan.training_step_s if streams else 0.0,
        make_encoder=(lambda spec: _hearing(plan, spec)) if streams else None,
    )


def _refuse_mixture(parts: list[Collected], sources: Sequence[TrainingSource]) -> None:
    for part, source in zip(parts, sources, strict=True):
        if part.spec.schema != parts[0].spec.schema:
            raise BundleError(
                f"{source.name} has {part.spec.n_channels} channels at {part.spec.rate_hz:g} Hz, "
                f"{sources[0].name} has {parts[0].spec.n_channels} at "
                f"{parts[0].spec.rate_hz:g} Hz, or in another order: fit them apart."
            )


def _hearing(plan: FitPlan, conditioned: StreamSpec) -> Any:
    """What hears the stream: the student, or, if it will be tuned, what its tail is told."""
    student = student_for(plan, conditioned)
    if not plan.settings:
        return student
    from .decoders.student_tail import TailHearing

    return TailHearing(student)


def student_for(plan: FitPlan, conditioned: StreamSpec) -> Any:
    """The plan's student on the rows of a conditioned stream, before it knows the person."""
    from .decoders.engines.opening import untaught
    from .hardware.montage import with_places

    config = find("encoder", "student").Config
    return untaught(config.for_stream(with_places(conditioned), plan.student))
