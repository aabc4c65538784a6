"""Which sources a corpus is built from, and on what terms: a recipe in TOML.

``corpora/shipped.toml`` names what the models that come with diverloop were trained on.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from .decoders.corpus_files import MODALITIES
from .hardware.montage import montage
from .runtime.catalog import find
from .runtime.clock import VirtualClock
from .runtime.errors import ConfigError
from .runtime.toml_file import read_toml
from .training_sources import TrainingSource

SHIPPED = Path(__file__).parent / "corpora" / "shipped.toml"
"""Recipe of what the models that come with diverloop were trained on."""

MODALITY_OF_KIND = {"eeg": "EEG", "ecog": "iEEG", "seeg": "iEEG", "lfp": "iEEG"}
"""Kind of a channel -> modality of its signal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusSource:
    """One recording, or simulated participant, to put into a corpus.

    Parameters
    ----------
    source : TrainingSource
        Where its samples come from. Two parts of one recording need two names.
    licence : str
        Terms of use.
    line_hz : float
        Mains frequency where it was recorded; 0 for none.
    credit : str
        Who is to be named.
    calibrated : bool
        False if its unit is unknown: its signal is scaled to a usual size.
    modality : str
        ``"EEG"`` or ``"iEEG"`` takes nothing else from it; empty takes both, as entries apart.
    kind : str
        Kind of its electrodes, where the file says otherwise: EDF calls everything EEG.
    pick : tuple of str
        Channels to take; empty takes every electrode.
    """

    source: TrainingSource
    licence: str
    line_hz: float = 50.0
    credit: str = ""
    calibrated: bool = True
    modality: str = ""
    kind: str = ""
    pick: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_one_of("modality", self.modality, ("", *MODALITIES))
        _check_one_of("kind", self.kind, ("", *MODALITY_OF_KIND))
        if not self.licence:
            raise ConfigError(
                f"{self.source.name} has no licence: say what allows a model to be trained on it."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeRecordings:
    """A table ``[[recordings]]`` of a recipe: files that have the same terms.

    Parameters
    ----------
    name : str
        Name of the data set.
    files : tuple of str
        Paths below the folder with the recordings.
    licence, credit, modality, kind, pick, line_hz
        As in `CorpusSource`.
    assume_unit : str
        Unit to take where the files' own is unknown; the entries then count as not calibrated.
    from_s, to_s : float
        Stretch to take, in seconds after the first sample; without `to_s`, to the end.
    """

    name: str
    files: tuple[str, ...]
    licence: str
    modality: str
    line_hz: float
    credit: str = ""
    kind: str = ""
    pick: tuple[str, ...] = ()
    assume_unit: str = ""
    from_s: float = 0.0
    to_s: float | None = None

    def sources(self, data_root: Path) -> Iterator[CorpusSource]:
        """The files, as sources.

        Parameters
        ----------
        data_root : Path
            Folder with the recordings.

        Yields
        ------
        source : CorpusSource
            One for each file.
        """
        for file in self.files:
            yield CorpusSource(
                source=self._recording(data_root / file, file),
                licence=self.licence,
                credit=self.credit or self.name,
                modality=self.modality,
                kind=self.kind,
                pick=self.pick,
                line_hz=self.line_hz,
                calibrated=not self.assume_unit,
            )

    def _recording(self, path: Path, name: str) -> TrainingSource:
        replay = find("source", "replay")
        settings = replay.Config(
            path=str(path),
            assume_unit=self.assume_unit or None,
            start_s=self.from_s,
            stop_s=self.to_s,
        )
        whole = self.to_s is None and not self.from_s
        end = "end" if self.to_s is None else f"{self.to_s:g} s"
        return TrainingSource(
            name=name if whole else f"{name} from {self.from_s:g} s to {end}",
            data_id=replay(settings, VirtualClock()).recording.data_id,
            make=lambda clock: replay(settings, clock),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeSimulated:
    """A table ``[[simulated]]`` of a recipe: participants who differ by their seed alone.

    Parameters
    ----------
    name : str
        What a person calls them.
    montage, task : str
        As in `diverloop.hardware.simulator_config.SimulatorConfig`.
    rate_hz, seconds, line_hz : float
        Rate and length of each stream, and mains frequency.
    seeds : tuple of int
        One participant for each.
    pick : tuple of str
        Electrodes to take; empty takes all.
    """

    name: str
    montage: str
    task: str
    rate_hz: float
    seconds: float
    seeds: tuple[int, ...]
    line_hz: float = 50.0
    pick: tuple[str, ...] = ()

    def sources(self) -> Iterator[CorpusSource]:
        """The participants, as sources.

        Yields
        ------
        source : CorpusSource
            One for each seed, with the licence ``"simulated"``.
        """
        for seed in self.seeds:
            yield CorpusSource(
                source=self._participant(seed),
                licence="simulated",
                credit="diverloop",
                line_hz=self.line_hz,
                pick=self.pick,
            )

    def _participant(self, seed: int) -> TrainingSource:
        simulator = find("source", "simulator")
        settings = simulator.Config(
            montage=self.montage,
            task=self.task,
            rate_hz=self.rate_hz,
            duration_s=self.seconds,
            line_hz=self.line_hz,
            seed=seed,
        )
        told = json.dumps(asdict(settings), sort_keys=True)
        return TrainingSource(
            name=f"{self.name} {seed}",
            data_id=f"simulated {told}",
            make=lambda clock: simulator(settings, clock),
        )


def read_recipe(
    path: str | Path, data_root: str | Path, *, modality: str = ""
) -> list[CorpusSource]:
    """Read which sources a corpus is built from.

    Parameters
    ----------
    path : str or Path
        A TOML file with tables ``[[recordings]]`` and ``[[simulated]]``, such as `SHIPPED`.
    data_root : str or Path
        Folder that the recordings lie below.
    modality : str
        Only the sources of one; empty for all.

    Returns
    -------
    sources : list of CorpusSource
        In the order of the file.

    Raises
    ------
    ConfigError
        If the recipe cannot be used.
    RecordingError
        If a recording is not there.
    """
    _check_one_of("modality", modality, ("", *MODALITIES))
    path = Path(path)
    content = read_toml(path, "recipe")
    unknown = sorted(set(content) - {"recordings", "simulated"})
    if unknown:
        raise ConfigError(
            f"The recipe {path} has {', '.join(unknown)}; it may have [[recordings]] and "
            f"[[simulated]] and nothing else."
        )
    files = [_table(path, row, RecipeRecordings) for row in _rows(path, content, "recordings")]
    made = [_table(path, row, RecipeSimulated) for row in _rows(path, content, "simulated")]
    return [
        *(s for t in files if modality in ("", t.modality) for s in t.sources(Path(data_root))),
        *(s for t in made if modality in ("", _modality_of(t)) for s in t.sources()),
    ]


def _modality_of(table: RecipeSimulated) -> str:
    return MODALITY_OF_KIND[montage(table.montage)[0].kind]


def _rows(path: Path, content: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = content.get(name, [])
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise ConfigError(
            f"{name} of the recipe {path} must be tables, each below a line [[{name}]]."
        )
    return found


_Table = TypeVar("_Table", RecipeRecordings, RecipeSimulated)


def _table(path: Path, row: dict[str, Any], kind: type[_Table]) -> _Table:
    unknown = sorted(set(row) - {field.name for field in dataclasses.fields(kind)})
    try:
        if unknown:
            raise msgspec.ValidationError(f"unknown {', '.join(unknown)}")
        return msgspec.convert(row, kind)
    except msgspec.ValidationError as error:
        raise ConfigError(
            f"The table {row.get('name', '?')!r} of the recipe {path} cannot be used ({error}): "
            f"correct it."
        ) from error


def _check_one_of(name: str, got: str, allowed: tuple[str, ...]) -> None:
    if got not in allowed:
        words = ", ".join(repr(one) for one in allowed)
        raise ConfigError(f"{name} must be one of {words}, got {got!r}.")
