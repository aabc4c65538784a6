"""A recording of a cohort, decoded by the live loop on a clock that jumps: one row of plain values.

What is counted here does not depend on the machine: times are those of the virtual clock, and how
long it took is none of the row's business.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from .adapters.scorer import Judgement
from .adapters.task import Task
from .assembly import Model, assemble, open_model
from .cohort.item import ColumnType, Item, Place, Recipe
from .hardware.recordings import READERS, marked_id
from .hardware.replay import ReplayConfig, ReplaySource
from .runtime.bundle import Bundle, load_bundle
from .runtime.catalog import find
from .runtime.clock import VirtualClock
from .runtime.decision_log import decision_record
from .runtime.errors import SchemaMismatch
from .runtime.latency import LatencyReport
from .runtime.messages import Chunk, Message, StreamSpec, Turn
from .runtime.session import PartConfig, SessionConfig

READ_BY = {
    suffix: {"read_xdf": "pyxdf", "read_mne": "mne"}[module]
    for suffix, module in READERS.items()
    if module in ("read_xdf", "read_mne")
}
"""Suffix of a recording -> distribution that reads it."""

_SEVERAL_FILES = (".vhdr", ".set", ".fif")

COLUMNS: Mapping[str, ColumnType] = {
    "n_channels": "int64", "rate_hz": "float64", "duration_s": "float64", "n_markers": "int64",
    "windows_due": "int64", "decoded": "int64", "skipped_late": "int64", "refused": "int64",
    "samples_lost": "int64", "n_decisions": "int64", "decisions_sha256": "string",
    "measure": "string", "score": "float64", "n": "int64", "n_correct": "int64",
    "unscored": "string", "model_sha256": "string", "fitted_on": "bool", "engine": "string",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaySettings:
    """How every recording is replayed.

    Parameters
    ----------
    models : tuple of (str, str)
        Bundles, under paths that every worker sees, each with its hash. A recording is decoded by
        the first that takes its stream.
    step_s : float, optional
        Another window step than the model's.
    engine : str
        What runs a student.
    assume_unit : str, optional
        Unit of recordings that name none.
    """

    models: tuple[tuple[str, str], ...]
    step_s: float | None = None
    engine: str = "auto"
    assume_unit: str | None = None


def replay_recipe(settings: ReplaySettings) -> Recipe:
    """What a cohort does with every recording that it replays.

    Parameters
    ----------
    settings : ReplaySettings
        How.

    Returns
    -------
    recipe : Recipe
        For `diverloop.cohort.engine.run_cohort`.
    """
    return Recipe(
        kind="replay",
        work=replay_item,
        settings=settings,
        identity={
            "models": [sha256 for _, sha256 in settings.models],
            "step_s": settings.step_s,
            "engine": settings.engine,
            "assume_unit": settings.assume_unit,
        },
        columns=COLUMNS,
        code=(
            "adapter_settings.py", "assembly.py", "cohort_replaying.py", "flicker_lock.py",
            "adapters", "decoders", "hardware", "runtime",
        ),
        libraries=("numpy", "scipy", "onnxruntime", "openvino", "torch"),
        readers=READ_BY,
    )  # fmt: skip


class _Digest:
    """A watcher that keeps of a run what fits into a row, however long the run is."""

    lossless = True

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self.n_decisions = self.n_markers = self.n_times = self.n_channels = 0
        self.rate_hz = 0.0

    def watch(self, message: Message) -> None:
        """Count, and hash decisions."""
        if isinstance(message, StreamSpec):
            self.n_channels, self.rate_hz = message.n_channels, message.rate_hz
        elif isinstance(message, Chunk):
            self.n_markers += len(message.markers)
            self.n_times = message.first_sample + message.samples.shape[1]
        elif isinstance(message, Turn):
            record = decision_record(message)
            record.pop("latency_ms")
            self._sha256.update(json.dumps(record, sort_keys=True).encode() + b"\n")
            self.n_decisions += 1

    def close(self) -> None:
        """Nothing to release."""

    def row(self) -> dict[str, Any]:
        """What was counted."""
        return {
            "n_channels": self.n_channels,
            "rate_hz": self.rate_hz,
            "duration_s": self.n_times / self.rate_hz if self.rate_hz else 0.0,
            "n_markers": self.n_markers,
            "n_decisions": self.n_decisions,
            "decisions_sha256": self._sha256.hexdigest(),
        }


def replay_item(item: Item, settings: ReplaySettings, place: Place) -> dict[str, Any]:
    """Replay one recording.

    Parameters
    ----------
    item : Item
        A single recording.
    settings : ReplaySettings
        With which model.
    place : Place
        Knows the hashes of the files.

    Returns
    -------
    row : dict
        The columns of `COLUMNS`.

    Raises
    ------
    DiverloopError
        If the recording cannot be read, or no model was fitted on such a stream.
    """
    source = ReplayConfig(
        path=item.recordings[0], assume_unit=settings.assume_unit, events=item.events
    )
    model = _model_for(source, settings)
    task: Task = find("task", model.card.task)
    scorer, digest = task.scorer(model.card), _Digest()
    session = SessionConfig(
        name="cohort",
        source=PartConfig(kind="replay", settings=source),
        model=Path(settings.models[0][0]),
    )
    # Watchers are told at once: how far they lag behind must not decide what they see.
    loop = assemble(
        session,
        clock=VirtualClock(),
        watchers=[scorer, digest],
        armed=True,
        model=model,
        prompt=True,
    )
    counts = _counts(loop.run())
    judged = _judged(scorer.report(), scorer.why_nothing)
    learnt = {part.data_id for part in model.card.trained_on}
    return {
        **digest.row(),
        **counts,
        **judged,
        "model_sha256": model.sha256,
        "fitted_on": not learnt.isdisjoint(_data_ids(source, place)),
        "engine": model.engine,
    }


def _model_for(source: ReplayConfig, settings: ReplaySettings) -> Model:
    """The first model that takes the stream; the only one is left to say itself what is wrong."""
    opened = (
        open_model(_bundle(path, sha256), settings.step_s, engine=settings.engine)
        for path, sha256 in settings.models
    )
    if len(settings.models) == 1:
        return next(opened)
    spec = ReplaySource(source, VirtualClock()).spec
    for model in opened:
        try:
            model.accept(spec)
        except SchemaMismatch:
            continue
        return model
    raise SchemaMismatch(
        f"None of the {len(settings.models)} models was fitted on such a stream, of "
        f"{spec.n_channels} channels at {spec.rate_hz:g} Hz: fit one."
    )


def _data_ids(source: ReplayConfig, place: Place) -> set[str]:
    """What a card may call this recording: by its bytes, or by those of its events, too.

    The latter is what it is called where it has no markers but those of the table beside it, the
    only file that stands beside one that is whole by itself.
    """
    if Path(source.path).suffix.lower() in _SEVERAL_FILES:
        return {ReplaySource(source, VirtualClock()).recording.data_id}
    own, beside = place.sha256[:1], place.sha256[1:]
    return {*own, *(marked_id(own[0], table) for table in beside)}


@lru_cache(maxsize=16)
def _bundle(path: str, sha256: str) -> Bundle:
    """The model, read once by each worker."""
    return load_bundle(path, sha256=sha256)


def _counts(report: LatencyReport) -> dict[str, int]:
    return {
        "windows_due": report.windows_due,
        "decoded": report.decoded,
        "skipped_late": report.skipped_late,
        "refused": sum(report.refused.values()),
        "samples_lost": report.samples_lost,
    }


def _judged(judgement: Judgement | None, why_nothing: Any) -> dict[str, Any]:
    if judgement is None:
        return {"unscored": why_nothing()}
    n = judgement.n
    return {
        "measure": judgement.measure,
        "score": judgement.n_correct / n if n else None,
        "n": n,
        "n_correct": judgement.n_correct,
    }
