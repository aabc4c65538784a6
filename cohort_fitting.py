"""A model for each recording, or each subject, of a cohort: fitted, judged on what it had not seen.

Models are kept beside the table, under the key of their output. When a model was made stands in its
card, so its bundle differs from run to run; its weights do not, and the table names those.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from .calibration import fit_best
from .cohort.item import ColumnType, Item, Place, Recipe
from .cohort.outputs import whole_folder
from .cohort_replaying import READ_BY
from .fit_plan import FitPlan, plans_for
from .runtime.bundle import Bundle, load_bundle, save_bundle
from .runtime.catalog import find
from .runtime.clock import VirtualClock
from .runtime.stages import Clock, Source
from .training_sources import TrainingSource

MODELS = "models/{key}.bundle"

COLUMNS: Mapping[str, ColumnType] = {
    "n_recordings": "int64", "n_trials": "int64", "encoder": "string", "classes": "string",
    "judged_by": "string", "measure": "string", "score": "float64", "low": "float64",
    "high": "float64", "n": "int64", "n_correct": "int64", "other_recordings": "float64",
    "weights_sha256": "string", "model": "string",
}  # fmt: skip

_JUDGED = ("nested_choice", "cross_validation")


@dataclass(frozen=True, slots=True, kw_only=True)
class FitSettings:
    """How every model is fitted.

    Parameters
    ----------
    task : str
        Name in the catalogue.
    encoder : str
        ``"auto"`` for the way that does best, or the name of one.
    classes : tuple of str
        Other classes than the task's.
    start_s, stop_s, window_s, step_s : float, optional
        Another part of the trial, other windows.
    assume_unit : str, optional
        Unit of recordings that name none.
    """

    task: str = "motor_imagery"
    encoder: str = "auto"
    classes: tuple[str, ...] = ()
    start_s: float | None = None
    stop_s: float | None = None
    window_s: float | None = None
    step_s: float | None = None
    assume_unit: str | None = None

    def plans(self) -> list[FitPlan]:
        """The ways that are tried; raises `ConfigError` if there is none."""
        return plans_for(
            self.task,
            encoder=self.encoder,
            classes=self.classes,
            start_s=self.start_s,
            stop_s=self.stop_s,
            window_s=self.window_s,
            step_s=self.step_s,
        )


def fit_recipe(settings: FitSettings) -> Recipe:
    """What a cohort does with every recording, or subject, that it fits a model for.

    Parameters
    ----------
    settings : FitSettings
        How.

    Returns
    -------
    recipe : Recipe
        For `diverloop.cohort.engine.run_cohort`.
    """
    return Recipe(
        kind="fit",
        work=fit_item,
        settings=settings,
        identity=asdict(settings),
        columns=COLUMNS,
        code=(
            "calibration.py", "cleaning.py", "cohort_fitting.py", "fit_plan.py", "gathering.py",
            "training_sources.py", "adapters", "decoders", "hardware", "runtime",
        ),
        libraries=("numpy", "scipy", "scikit-learn", "python-picard", "torch"),
        readers=READ_BY,
        leaves=(MODELS,),
    )  # fmt: skip


def fit_item(item: Item, settings: FitSettings, place: Place) -> dict[str, Any]:
    """Fit one model and keep it.

    Parameters
    ----------
    item : Item
        A recording, or all of a subject's.
    settings : FitSettings
        How.
    place : Place
        Where the model goes.

    Returns
    -------
    row : dict
        The columns of `COLUMNS`. The score is that of trials which the weights, and the choice of
        the way, had not seen.

    Raises
    ------
    DiverloopError
        If a recording cannot be read, or holds too few trials.
    """
    bundle = fit_best(sources_of(item, settings.assume_unit), settings.plans())
    kept = _kept(bundle, place)
    scores = kept.card.scores
    judged = next((name for name in _JUDGED if name in scores), "")
    score: Mapping[str, Any] = scores.get(judged, {})
    low, high = score.get("interval", (None, None))
    n, value = score.get("n"), score.get("accuracy")
    return {
        "n_recordings": item.n_recordings,
        "n_trials": sum(part.n_trials for part in kept.card.trained_on),
        "encoder": str(scores.get("chosen", kept.card.encoder)),
        "classes": ",".join(kept.card.classes),
        "judged_by": judged,
        "measure": "accuracy" if score else None,
        "score": value,
        "low": low,
        "high": high,
        "n": n,
        "n_correct": None if n is None or value is None else round(n * value),
        "other_recordings": scores.get("leave_one_recording_out", {}).get("accuracy"),
        "weights_sha256": kept.card.weights_sha256,
        "model": MODELS.format(key=place.key),
    }


def sources_of(item: Item, assume_unit: str | None) -> list[TrainingSource]:
    """The recordings of an item, with the events that stand beside them.

    Parameters
    ----------
    item : Item
        One recording or several.
    assume_unit : str, optional
        Unit of recordings that name none.

    Returns
    -------
    sources : list of TrainingSource
        In order.

    Raises
    ------
    DiverloopError
        If a recording cannot be read.
    """
    replay = find("source", "replay")
    first = Path(item.recordings[0]).parent
    beside = item.asked.get("events") or [item.events]
    sources = []
    for path, events in zip(item.recordings, beside, strict=True):
        table = str(first / events) if events else ""
        settings = replay.Config(path=path, assume_unit=assume_unit, events=table)
        whole = replay(settings, VirtualClock()).recording
        make = partial(_replayed, settings)
        sources.append(TrainingSource(name=Path(path).name, data_id=whole.data_id, make=make))
    return sources


def _replayed(settings: Any, clock: Clock) -> Source:
    source: Source = find("source", "replay")(settings, clock)
    return source


def _kept(bundle: Bundle, place: Place) -> Bundle:
    """The bundle as it lies in the folder of results, whole."""
    target = place.folder / MODELS.format(key=place.key)
    with whole_folder(target) as draft:
        save_bundle(bundle, draft)
    return load_bundle(target)
