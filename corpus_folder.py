"""A BIDS folder as what a corpus is built from: which recordings, on what terms, and what is bad.

Signal is read when its turn comes, one recording at a time. What the tables beside a recording say
overrules its file, which may call everything EEG: type and status of each channel
(``_channels.tsv``), places (``_electrodes.tsv``), mains frequency (the JSON file). A table or JSON
file further up holds for everything below it, the nearest counts [1]_.

References
----------
.. [1] Gorgolewski et al. The brain imaging data structure. Scientific Data 3, 160044, 2016.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from .cohort.finding import DESCRIPTION, recording_files
from .cohort.finding import is_bids as is_bids
from .corpus_recipe import CorpusSource
from .hardware.positions import read_positions
from .hardware.recordings import READERS, Recording, read_recording
from .hardware.replay import ReplayConfig, ReplaySource
from .runtime.errors import ConfigError, RecordingError
from .runtime.json_text import parsed_json
from .runtime.messages import BRAIN, Channel
from .runtime.small_file import SETTINGS_BYTES, read_small
from .training_sources import TrainingSource

_KINDS = {
    "EEG": "eeg", "ECOG": "ecog", "SEEG": "seeg", "DBS": "lfp", "EOG": "eog", "VEOG": "eog",
    "HEOG": "eog", "EMG": "emg",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderTerms:
    """What a folder leaves open and a person has to say.

    Parameters
    ----------
    licence : str
        Terms of use; empty takes what the folder says of itself.
    line_hz : float, optional
        Mains frequency where it was recorded, 0 for none; None takes what the folder says.
    modality : str
        ``"EEG"`` or ``"iEEG"`` takes nothing else; empty takes both.
    """

    licence: str = ""
    line_hz: float | None = None
    modality: str = ""


def bids_sources(folder: Path, terms: FolderTerms) -> dict[str, Callable[[], CorpusSource]]:
    """List the EEG and intracranial recordings of a BIDS folder.

    Parameters
    ----------
    folder : Path
        Its top, where ``dataset_description.json`` lies.
    terms : FolderTerms
        What it leaves open.

    Returns
    -------
    sources : dict of str to callable
        Name of each recording, and what opens it: nothing is read before.

    Raises
    ------
    ConfigError
        If nobody says under what licence the recordings are, or there are none.
    RecordingError
        If a part of the folder cannot be read.
    """
    about = _json(folder / DESCRIPTION)
    licence = terms.licence or str(about.get("License") or "")
    if not licence:
        raise ConfigError(
            f"{folder / DESCRIPTION} names no License: say what allows a model to be trained on "
            f"these recordings with --licence."
        )
    credit = str(about.get("Name") or folder.name)
    paths = sorted(recording_files(folder, READERS))
    if not paths:
        raise ConfigError(
            f"{folder} has no EEG or intracranial recording: it must hold files such as "
            f"sub-01/eeg/sub-01_task-rest_eeg.edf."
        )
    open_one = partial(_source, folder, licence=licence, credit=credit, terms=terms)
    return {path.relative_to(folder).as_posix(): partial(open_one, path) for path in paths}


def _source(
    folder: Path, path: Path, licence: str, credit: str, terms: FolderTerms
) -> CorpusSource:
    recording = _described(folder, path, read_recording(path))
    settings = ReplayConfig(path=str(path))
    source = TrainingSource(
        name=path.relative_to(folder).as_posix(),
        data_id=recording.data_id,
        make=lambda clock: ReplaySource(settings, clock, recording),
    )
    return CorpusSource(
        source=source,
        licence=licence,
        credit=credit,
        line_hz=_line_hz(folder, path) if terms.line_hz is None else terms.line_hz,
        modality=terms.modality,
        pick=tuple(one.name for one in recording.spec.channels if _useful(one)),
    )


def _useful(channel: Channel) -> bool:
    return not channel.bad and channel.kind in BRAIN


def _described(folder: Path, path: Path, recording: Recording) -> Recording:
    """A recording with what the tables beside it say of its channels."""
    table = _nearest(folder, path, "_channels.tsv")
    rows = {row.get("name", ""): row for row in _rows(table)} if table else {}
    placed = _nearest(folder, path, "_electrodes.tsv")
    places = read_positions(placed).places_m if placed else {}

    def told(channel: Channel) -> Channel:
        row = rows.get(channel.name, {})
        kind = _KINDS.get(row.get("type", "").upper(), "misc") if "type" in row else channel.kind
        bad = channel.bad or row.get("status", "").lower() == "bad"
        place = places.get(channel.name, channel.position_m)
        return replace(channel, kind=kind, bad=bad, position_m=place)

    channels = tuple(told(channel) for channel in recording.spec.channels)
    if not any(_useful(channel) for channel in channels):
        raise RecordingError(
            f"{path} has no electrode that is not bad: its channels are "
            f"{', '.join(sorted({channel.kind for channel in channels}))}."
        )
    return replace(recording, spec=replace(recording.spec, channels=channels))


def _line_hz(folder: Path, path: Path) -> float:
    """Mains frequency, from the nearest JSON file that tells one."""
    for sidecar in _sidecars(folder, path, f"_{path.stem.rsplit('_', 1)[1]}.json"):
        value = _json(sidecar).get("PowerLineFrequency")
        if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
            return float(value)
    raise RecordingError(
        f"No JSON file tells the PowerLineFrequency of {path}: say it with --line-hz, 0 for none."
    )


def _nearest(folder: Path, path: Path, suffix: str) -> Path | None:
    return next(iter(_sidecars(folder, path, suffix)), None)


def _sidecars(folder: Path, path: Path, suffix: str) -> list[Path]:
    """Files with a suffix that hold for a recording, the nearest and most specific first."""
    told = _entities(path.stem)
    found: list[Path] = []
    for above in path.parents:
        holding = [
            file
            for file in above.glob(f"*{suffix}")
            if _entities(file.stem).items() <= told.items()
        ]
        found += sorted(holding, key=lambda file: len(_entities(file.stem)), reverse=True)
        if above == folder:
            break
    return found


def _entities(stem: str) -> dict[str, str]:
    """``sub-01_task-rest_eeg`` -> sub: 01, task: rest."""
    pairs = (part.split("-", 1) for part in stem.split("_") if "-" in part)
    return {key: value for key, value in pairs if key != "space"}  # of electrodes, not recordings


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        text = read_small(path, SETTINGS_BYTES).decode("utf-8-sig")
    except (OSError, ValueError) as error:
        raise RecordingError(f"{path} cannot be read ({error}): correct the table.") from error
    return [
        {str(key): value.strip() for key, value in row.items() if isinstance(value, str)}
        for row in csv.DictReader(text.splitlines(), delimiter="\t")
    ]


def _json(path: Path) -> Mapping[str, Any]:
    try:
        content = parsed_json(read_small(path, SETTINGS_BYTES))
    except (OSError, ValueError) as error:
        raise RecordingError(f"{path} cannot be read ({error}): correct it.") from error
    if not isinstance(content, dict):
        raise RecordingError(f"{path} must hold one JSON object: correct it.")
    return content
