"""What a teacher or a student makes of every recording of a cohort, kept for distillation.

Each recording is conditioned as for a corpus, causally, cut into segments that reach across no
hole, and read by the model. The features go into shards of safetensors beside the table.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import safetensors.numpy

from .cohort.item import ColumnType, Item, Place, Recipe
from .cohort.outputs import whole_folder
from .cohort_fitting import sources_of
from .cohort_replaying import READ_BY
from .corpus_building import build_corpus
from .corpus_recipe import CorpusSource
from .decoders.corpus_array import Signal
from .decoders.corpus_files import CorpusEntry
from .decoders.whole_files import whole_file
from .runtime.errors import ConfigError, RecordingError

if TYPE_CHECKING:
    from .decoders.feature_reader import FeatureReader

FEATURES = "features/{key}"

COLUMNS: Mapping[str, ColumnType] = {
    "modalities": "string", "n_channels": "int64", "duration_s": "float64", "n_segments": "int64",
    "shape": "string", "features_sha256": "string", "features": "string", "n_shards": "int64",
}  # fmt: skip

_RATE_HZ = 500
_SHARD_BYTES = 1 << 28


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSettings:
    """What reads the recordings, and how they are cut.

    Parameters
    ----------
    kind : str
        ``"teacher"`` or ``"student"``.
    model : str
        Its file, under a path that every worker sees.
    sha256 : str
        Of that file.
    segment_s : float
        Length of a segment, whole patches of a teacher.
    line_hz : float
        Mains frequency; 0 for none.
    half : bool
        Whether features are kept as float16.
    assume_unit : str, optional
        Unit of recordings that name none; their signal is then scaled to a usual size.
    """

    kind: Literal["teacher", "student"]
    model: str
    sha256: str
    segment_s: float = 10.0
    line_hz: float = 50.0
    half: bool = False
    assume_unit: str | None = None

    def __post_init__(self) -> None:
        if not 0.1 <= self.segment_s <= 60:
            raise ConfigError(
                f"segment_s must be 0.1 to 60 s, got {self.segment_s}: a teacher was made for 30 "
                f"at most, and reads 10 well."
            )


def features_recipe(settings: FeatureSettings) -> Recipe:
    """What a cohort does with every recording that features are made of.

    Parameters
    ----------
    settings : FeatureSettings
        How.

    Returns
    -------
    recipe : Recipe
        For `diverloop.cohort.engine.run_cohort`.
    """
    return Recipe(
        kind="features",
        work=features_of,
        settings=settings,
        identity={
            "model": [settings.kind, settings.sha256],
            "segment_s": settings.segment_s,
            "line_hz": settings.line_hz,
            "half": settings.half,
            "assume_unit": settings.assume_unit,
        },
        columns=COLUMNS,
        code=(
            "cohort_features.py", "cohort_fitting.py", "corpus_building.py", "corpus_recipe.py",
            "training_sources.py", "decoders", "hardware", "runtime",
        ),
        libraries=("numpy", "scipy", "torch"),
        readers=READ_BY,
        leaves=(FEATURES,),
    )  # fmt: skip


def features_of(item: Item, settings: FeatureSettings, place: Place) -> dict[str, Any]:
    """Read one recording and keep the features.

    Parameters
    ----------
    item : Item
        A single recording.
    settings : FeatureSettings
        How.
    place : Place
        Where the features go: a folder of shards, whole or absent.

    Returns
    -------
    row : dict
        The columns of `COLUMNS`; the hash is over all features in order.

    Raises
    ------
    DiverloopError
        If the recording cannot be read, or has no stretch that is long enough.
    """
    with whole_folder(place.folder / FEATURES.format(key=place.key)) as draft:
        draft.mkdir(parents=True)
        row = _written(item, settings, draft)
    return {**row, "features": FEATURES.format(key=place.key)}


def _written(item: Item, settings: FeatureSettings, folder: Path) -> dict[str, Any]:
    """Everything of a recording, in shards, and what is said of it."""
    source = CorpusSource(
        source=sources_of(item, settings.assume_unit)[0],
        licence="of whoever runs this",
        line_hz=settings.line_hz,
        calibrated=settings.assume_unit is None,
    )
    digest, shapes, seconds, counts = hashlib.sha256(), [], 0.0, [0, 0]
    with tempfile.TemporaryDirectory() as scratch:
        corpus = build_corpus([source], scratch)
        for entry_place, entry in enumerate(corpus.entries):
            seconds += entry.seconds
            for first, features in _shards(entry, corpus.samples(entry_place), settings):
                _save(folder / f"{counts[1]:05d}.safetensors", entry, first, features, settings)
                digest.update(features.tobytes())
                counts[0] += len(features)
                counts[1] += 1
                shapes.append("x".join(map(str, features.shape[1:])))
    if not counts[0]:
        raise RecordingError(
            f"{item.recordings[0]} has no stretch of {settings.segment_s:g} s without a hole: "
            f"choose shorter segments."
        )
    return {
        "modalities": ",".join(entry.modality for entry in corpus.entries),
        "n_channels": sum(entry.n_channels for entry in corpus.entries),
        "duration_s": seconds,
        "n_segments": counts[0],
        "shape": ",".join(dict.fromkeys(shapes)),
        "features_sha256": digest.hexdigest(),
        "n_shards": counts[1],
    }


def _shards(
    entry: CorpusEntry, samples: Signal, settings: FeatureSettings
) -> Iterator[tuple[list[int], np.ndarray[Any, Any]]]:
    """Features of segments that follow each other, as many as fit into a shard."""
    length = round(settings.segment_s * _RATE_HZ)
    reader = _reader(settings.kind, settings.model, settings.sha256)
    kept: list[np.ndarray[Any, Any]] = []
    places: list[int] = []
    for start, stop in entry.stretches:
        for first in range(start, stop - length + 1, length):
            features = reader.read(entry, samples[:, first : first + length])
            kept.append(features.astype(np.float16 if settings.half else np.float32))
            places.append(first)
            if len(kept) * kept[0].nbytes >= _SHARD_BYTES:
                yield places, np.stack(kept)
                kept, places = [], []
    if kept:
        yield places, np.stack(kept)


@lru_cache(maxsize=1)
def _reader(kind: str, path: str, sha256: str) -> FeatureReader:
    """The model, read once by each worker."""
    from .decoders.downloading import file_sha256
    from .decoders.feature_reader import FeatureReader
    from .decoders.student_files import load_student
    from .model_commands import open_teacher

    if file_sha256(Path(path)) != sha256:
        raise ConfigError(f"{path} is another file here than where the work was asked for.")
    return FeatureReader(load_student(path) if kind == "student" else open_teacher(Path(path)))


def _save(
    path: Path,
    entry: CorpusEntry,
    first: list[int],
    features: np.ndarray[Any, Any],
    settings: FeatureSettings,
) -> None:
    told = {
        "model": f"{settings.kind} {settings.sha256}",
        "data_id": entry.data_id,
        "modality": entry.modality,
        "channels": json.dumps(entry.channel_names),
        "rate_hz": str(_RATE_HZ),
        "segment_s": str(settings.segment_s),
    }
    arrays = {"features": features, "first": np.array(first, dtype=np.int64)}
    with whole_file(path) as draft:
        safetensors.numpy.save_file(arrays, draft, metadata=told)
