"""A quick look at a calibration while it is being recorded: how well is it decoded so far."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace

import numpy as np

from .adapters.cross_validation import CrossValidation, FitConfig
from .adapters.folds import held_out_folds
from .adapters.task import Task, nothing_flashes
from .calibration import candidate_of
from .fit_plan import FitPlan, plans_for
from .gathering import gather
from .hardware.recordings import Recording
from .hardware.replay import ReplayConfig, ReplaySource
from .runtime.catalog import find
from .runtime.collection import WholeRecording
from .runtime.errors import ConfigError, DiverloopError, RecordingError
from .runtime.guide_file import GuideConfig
from .runtime.messages import Chunk, Marker, StreamSpec
from .training_sources import TrainingSource

_COSTS = (1e-2,)

Look = Callable[[], tuple[int, int]]
"""How many trials are right, and of how many."""

Submit = Callable[[Look], "Future[tuple[int, int]]"]
"""Lets somebody look, now or on another thread."""


def way_of(guide: GuideConfig) -> FitPlan:
    """How a guided calibration will be decoded, as far as that is known before: the first way.

    Parameters
    ----------
    guide : GuideConfig
        Checked settings.

    Returns
    -------
    plan : FitPlan
        Of the task's first way, for the guide's classes and times.

    Raises
    ------
    ConfigError
        If the task cannot be cued trial by trial, or a trial is too short for its windows.
    """
    task: Task = find("task", guide.task)
    _refuse_uncued(task, guide.plan.classes)
    length_s = guide.plan.cue_s + guide.plan.trial_s
    # Windows are cut on a grid of steps, wherever the cue lies on it.
    needed_s = task.span.start_s + task.window.length_s + task.training_step_s
    if length_s < needed_s:
        raise ConfigError(
            f"calibration.cue_s and trial_s make {length_s:g} s, and a window of "
            f"{task.window.length_s:g} s is sure to fit into {needed_s:g} s only: make trial_s "
            f"{needed_s - guide.plan.cue_s:g} or more."
        )
    stop_s = min(task.span.stop_s, length_s)
    plans = plans_for(guide.task, classes=guide.plan.classes, stop_s=stop_s)
    return plans[0]


def _refuse_uncued(task: Task, classes: tuple[str, ...]) -> None:
    if task.flashes_hz is not nothing_flashes:
        why = "shows flashes or flicker, which a terminal cannot"
    elif task.window.lock_to:
        why = "asks at every event of its own, not trial by trial"
    elif isinstance(task.span, WholeRecording) or task.ways(classes)[0].learn:
        why = "learns from a whole recording, not from trials"
    else:
        return
    raise ConfigError(
        f"The task {task.name} {why}: record it with the program that presents it, or choose "
        f"motor_imagery."
    )


class SoFar:
    """What a stream has brought so far, for somebody who looks at it while it goes on.

    Parameters
    ----------
    spec : StreamSpec
        The stream.
    """

    def __init__(self, spec: StreamSpec) -> None:
        self._spec = spec
        self._chunks: list[Chunk] = []

    def take(self, chunk: Chunk) -> None:
        """Remember a chunk."""
        self._chunks.append(chunk)

    def recording(self) -> Recording:
        """All of it as a recording of its own; raises `RecordingError` if nothing has come."""
        return _recording(self._spec, tuple(self._chunks))


def _recording(spec: StreamSpec, chunks: Sequence[Chunk]) -> Recording:
    filled = [chunk for chunk in chunks if chunk.samples.shape[1]]
    if not filled:
        raise RecordingError("No sample has come yet: check that the stream is running.")
    first, stop = filled[0].first_sample, filled[-1].stop_sample
    samples = np.full((spec.n_channels, stop - first), np.nan, dtype=np.float32)
    gaps, before = [], first
    for chunk in filled:
        samples[:, chunk.first_sample - first : chunk.stop_sample - first] = chunk.samples
        if chunk.first_sample > before:
            gaps.append((before - first, chunk.first_sample - first))
        before = chunk.stop_sample
    placed = [replace(one, sample=one.sample - first) for chunk in chunks for one in chunk.markers]
    inside = sorted((m for m in placed if 0 <= m.sample < stop - first), key=_place)
    return Recording(
        spec=spec,
        samples=samples,
        data_id="so far",
        path="what was recorded so far",
        markers=tuple(inside),
        gaps=tuple(gaps),
    )


def _place(marker: Marker) -> int:
    return marker.sample


def _quick(config: FitConfig) -> FitConfig:
    """One penalty instead of a search for the best, which takes five times as long."""
    parts = tuple(replace(part, costs=_COSTS) for part in config.parts)
    return replace(config, costs=_COSTS, parts=parts)


def look_at(recording: Recording, plan: FitPlan) -> tuple[int, int]:
    """Hold trials out in turn, and count those that the others decode.

    Parameters
    ----------
    recording : Recording
        What there is; trials that were rejected are left out.
    plan : FitPlan
        One way to decode.

    Returns
    -------
    n_right, n_judged : int
        Trials.

    Raises
    ------
    RecordingError, ConfigError
        If there are too few trials, or too few good ones.
    """
    config = ReplayConfig(path=recording.path)
    source = TrainingSource(
        name=recording.path,
        data_id=recording.data_id,
        make=lambda clock: ReplaySource(config, clock, recording),
    )
    gathered = gather([source], plan, lambda what, done, of: None)
    candidate = candidate_of(gathered)
    trials = candidate.trials
    validation = CrossValidation(
        candidate.windows,
        trials,
        candidate.fit_encoder,
        _quick(candidate.config),
        aligned=candidate.aligned,
    )
    scores = validation.predict(held_out_folds(trials, candidate.config.n_folds))
    judged = np.isfinite(scores).all(axis=1)
    right = scores[judged].argmax(axis=1) == trials.targets[judged]
    return int(right.sum()), int(judged.sum())


def at_once(look: Look) -> Future[tuple[int, int]]:
    """Look now and here: on a clock that jumps, the stream must not run on meanwhile."""
    done: Future[tuple[int, int]] = Future()
    try:
        done.set_result(look())
    except DiverloopError as error:
        done.set_exception(error)
    return done
