"""The file of a guided calibration: like a session file, but there is no model yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .errors import ConfigError
from .montage_config import MontageConfig
from .paradigms.guided_plan import GuidedPlan, TrialLimits
from .session import PartConfig, override, part_of
from .settings import build, checked, convert, refuse_unknown
from .toml_file import read_toml

_HEAD = ("name", "participant", "operator")
_TABLES = ("session", "source", "calibration", "limits", "montage")


@dataclass(frozen=True, slots=True, kw_only=True)
class GuideConfig:
    """A whole guided calibration.

    Parameters
    ----------
    name : str
        What the screen and the summary call it.
    source : PartConfig
        Where samples come from.
    task : str
        What will be decoded, by its name in the catalogue.
    plan : GuidedPlan
        Classes, trials, times.
    limits : TrialLimits
        When a trial does not count.
    participant, operator : str
        Pseudonyms, never names.
    montage : MontageConfig
        What stands between the source's channels and what is recorded.
    """

    name: str
    source: PartConfig
    task: str
    plan: GuidedPlan = field(default_factory=GuidedPlan)
    limits: TrialLimits = field(default_factory=TrialLimits)
    participant: str = ""
    operator: str = ""
    montage: MontageConfig = field(default_factory=MontageConfig)


def read_guide(path: str | Path, overrides: Mapping[str, str] | None = None) -> GuideConfig:
    """Read and check the file of a guided calibration.

    Parameters
    ----------
    path : str or Path
        A TOML file.
    overrides : mapping of str to str, optional
        ``{"calibration.trials_per_class": "10"}``: values that replace what the file says.

    Returns
    -------
    guide : GuideConfig
        Frozen.

    Raises
    ------
    ConfigError
        If the file is not there, is not TOML, or a value cannot be used.
    """
    path = Path(path)
    tables = read_toml(path, "calibration file")
    for key, text in (overrides or {}).items():
        override(tables, key, text)
    try:
        guide = parse_guide(tables)
        montage = guide.montage.beside(path.parent).pinned(signed=False)
        return replace(guide, montage=montage)
    except ConfigError as error:
        raise type(error)(f"{path.name}: {error}") from error


def parse_guide(tables: Mapping[str, Any]) -> GuideConfig:
    """Check the tables of a guided calibration; see `read_guide`."""
    refuse_unknown("the calibration file", tables, _TABLES)
    for table in ("session", "source", "calibration"):
        if table not in tables:
            raise ConfigError(f"The table [{table}] is missing; a calibration needs it.")
    head = checked("session", tables["session"], dict.fromkeys(_HEAD, str))
    asked = tables["calibration"]
    if not isinstance(asked, Mapping):
        raise ConfigError(f"[calibration] must be a table, got {asked!r}.")
    for key, holds in (("session.name", "name" in head), ("calibration.task", "task" in asked)):
        if not holds:
            raise ConfigError(f"{key} is missing; a calibration needs it.")
    plan = {key: value for key, value in asked.items() if key != "task"}
    return GuideConfig(
        name=head["name"],
        source=part_of("source", tables["source"], "source"),
        task=convert("calibration.task", asked["task"], str),
        plan=build(GuidedPlan, plan, "calibration"),
        limits=build(TrialLimits, tables.get("limits", {}), "limits"),
        participant=head.get("participant", ""),
        operator=head.get("operator", ""),
        montage=build(MontageConfig, tables.get("montage", {}), "montage"),
    )
