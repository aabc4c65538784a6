"""Real recordings for the studies of adaptation: read, conditioned, encoded, cut into trials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from .calibration import candidate_of
from .fit_plan import FitPlan, plans_for
from .gathering import gather
from .hardware.recordings import Recording, read_recording
from .hardware.replay import ReplayConfig, ReplaySource
from .rl.study.recorded import Asked, RecordedCase, selections
from .runtime.collection import Collected
from .runtime.errors import ConfigError, RecordingError
from .runtime.prototype_head import Floats
from .runtime.settings import build
from .runtime.toml_file import read_toml
from .training_sources import TrainingSource

STUDY = Path(__file__).parent / "studies" / "adaptation.toml"
"""The cases that are reported."""

_WHOLE = (0.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CasePlan:
    """What a study file says of one case.

    Parameters
    ----------
    person, name : str
        Pseudonym, and what the case is.
    task : str
        Of the catalogue.
    classes : tuple of str
        What markers ask for.
    calibration : tuple of str
        Recordings that the decoder is fitted on.
    sessions : tuple of tuple of str
        Recordings of each session afterwards.
    way : str
        One of the task's ways; its first if empty.
    span_s : tuple of float
        Part of a trial that counts, in seconds after its marker; the task's own if empty.
    calibration_part, sessions_part : tuple of float
        Share of the recordings, where one of them serves as both.
    one_of, repeats : int
        For flashes: of how many items a selection is made, and how often each flashes.
    few_electrodes : bool
        Whether there are too few to tell bad ones by their neighbours.
    """

    person: str
    name: str
    task: str
    classes: tuple[str, ...]
    calibration: tuple[str, ...]
    sessions: tuple[tuple[str, ...], ...]
    way: str = ""
    span_s: tuple[float, ...] = ()
    calibration_part: tuple[float, float] = _WHOLE
    sessions_part: tuple[float, float] = _WHOLE
    one_of: int = 0
    repeats: int = 1
    few_electrodes: bool = False

    def __post_init__(self) -> None:
        if len(self.span_s) not in (0, 2):
            raise ConfigError(
                f"span_s of {self.name!r} must be two times, from and to, got {len(self.span_s)}: "
                f"correct it."
            )
        if self.one_of < 0 or self.one_of == 1 or self.repeats < 1:
            raise ConfigError(
                f"{self.name!r} must select one of 2 items or more that flash once or more, got "
                f"one_of {self.one_of} and repeats {self.repeats}: correct them."
            )
        self._keep_apart()

    def _keep_apart(self) -> None:
        """Nothing is judged on what its decoder was fitted on."""
        learnt, judged = self.calibration_part, self.sessions_part
        if not all(0 <= start < stop <= 1 for start, stop in (learnt, judged)):
            raise ConfigError(
                f"Parts of {self.name!r} must be shares that rise from 0 to 1, got {learnt} and "
                f"{judged}: correct them."
            )
        both = set(self.calibration) & {name for names in self.sessions for name in names}
        if both and max(learnt[0], judged[0]) < min(learnt[1], judged[1]):
            raise ConfigError(
                f"{self.name!r} is calibrated and judged on the same part of {sorted(both)[0]}: "
                f"give calibration_part and sessions_part that do not overlap."
            )


def read_study(path: Path = STUDY) -> tuple[CasePlan, ...]:
    """The cases of a study file.

    Parameters
    ----------
    path : Path
        A TOML file of ``[[case]]`` tables.

    Returns
    -------
    plans : tuple of CasePlan
        In order.

    Raises
    ------
    ConfigError
        If the file cannot be read, or a value in it cannot be used.
    """
    tables = read_toml(path, "study").get("case", [])
    return tuple(build(CasePlan, table, f"case {place}") for place, table in enumerate(tables, 1))


def recorded_case(root: Path, plan: CasePlan) -> RecordedCase:
    """One case.

    Parameters
    ----------
    root : Path
        Folder of the recordings.
    plan : CasePlan
        What it is made of.

    Returns
    -------
    case : RecordedCase
        Encoded by what was fitted on its calibration alone.

    Raises
    ------
    RecordingError
        If a recording cannot be read, or holds no trial of the classes.
    """
    fit = _fit_plan(plan)
    calibration = [_source(root, name, plan.calibration_part) for name in plan.calibration]
    heard = gather(calibration, fit, _quiet)
    candidate = candidate_of(heard)
    trials = candidate.trials
    encoder = candidate.fit_encoder(candidate.windows, trials.labels[trials.of_window])
    rng = np.random.default_rng(0)  # which item is attended, where a recording does not say

    def asked(part: Collected) -> tuple[Asked, ...]:
        return _asked(part, encoder.encode_many(part.windows), plan, rng)

    # Serving masks bad electrodes window by window; the model's own stay what they are.
    later = replace(heard.plan, conditioning=replace(heard.plan.conditioning, bad_channels=None))
    sessions = []
    for names in plan.sessions:
        sources = [_source(root, name, plan.sessions_part) for name in names]
        sessions.append(
            tuple(one for part in gather(sources, later, _quiet).parts for one in asked(part))
        )
    return RecordedCase(
        person=plan.person,
        name=plan.name,
        task=plan.task,
        classes=plan.classes,
        calibration=tuple(one for part in heard.parts for one in asked(part)),
        sessions=tuple(sessions),
        observed_priors=fit.priors == "observed",
    )


def _fit_plan(plan: CasePlan) -> FitPlan:
    start, stop = plan.span_s or (None, None)
    plans = plans_for(
        plan.task, encoder=plan.way or "auto", classes=plan.classes, start_s=start, stop_s=stop
    )
    first = plans[0]
    if not plan.few_electrodes:
        return first
    settings: Mapping[str, Any] = first.settings
    if first.encoder == "csp":
        settings = {**settings, "n_pairs": 1}
    conditioning = replace(first.conditioning, bad_channels=None)
    return replace(first, conditioning=conditioning, settings=settings)


def _source(root: Path, name: str, part: tuple[float, float]) -> TrainingSource:
    recording = read_recording(root / name, assume_unit="uV")
    if part != _WHOLE:
        length_s = recording.samples.shape[1] / recording.spec.rate_hz
        stop_s = None if part[1] >= 1 else part[1] * length_s
        recording = recording.excerpt(part[0] * length_s, stop_s)
    return TrainingSource(
        name=name, data_id=recording.data_id, make=lambda clock: _replay(recording, name, clock)
    )


def _replay(recording: Recording, name: str, clock: Any) -> ReplaySource:
    return ReplaySource(ReplayConfig(path=name, chunk_s=0.05), clock, recording)


def _asked(
    part: Collected, features: Floats, plan: CasePlan, rng: np.random.Generator
) -> tuple[Asked, ...]:
    """Trials of one recording."""
    if plan.one_of:
        targets = part.labels == plan.classes[-1]
        return selections(features, targets, one_of=plan.one_of, repeats=plan.repeats, rng=rng)
    made = []
    for trial in np.unique(part.trials):
        rows = part.trials == trial
        under = np.repeat(np.arange(len(plan.classes))[:, None], int(rows.sum()), axis=1)
        meant = plan.classes.index(str(part.labels[rows][0]))
        made.append(Asked(features=features[rows], under=under, meant=meant))
    if not made:
        raise RecordingError(f"{plan.name} has a recording without a trial of {plan.classes}.")
    return tuple(made)


def _quiet(what: str, done: int, of: int) -> None:
    """Nobody watches."""
