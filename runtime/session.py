"""A session file and overrides, turned into frozen, checked settings.

Every table of the file is one settings class, every key one of its fields. What is wrong is said
with the key, the value, what is allowed and, for a misspelt key, the nearest known one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .adaptation_config import AdaptationConfig
from .beside_config import BesideConfig
from .bundle import Bundle, load_bundle
from .catalog import CATALOG, find, nearest
from .control_config import ControlConfig
from .errors import ConfigError
from .feedback import FeedbackConfig
from .limits import GuardConfig
from .loop_config import LoopConfig
from .lsl_network import LslNetwork
from .montage_config import MontageConfig
from .paradigms.flicker import FlickerConfig
from .realtime import RealtimeConfig
from .security import SecurityConfig, check_settings, house_signed
from .session_config import PartConfig as PartConfig
from .session_config import SessionConfig as SessionConfig
from .session_config import SidePart as SidePart
from .settings import build, checked, convert, named, refuse_unknown, types_of
from .signal.condition_config import ConditionConfig
from .store.kept_models import SCHEME, KeptModels, checked_hash
from .timing_offset import timing_of
from .toml_file import parse_toml, read_file, read_toml
from .watchdog_config import WatchdogConfig

_HEAD = ("name", "participant", "operator")
_MODEL = {
    "bundle": str, "step_s": float, "engine": str, "engine_fallback": bool, "second_stage": str,
    "second_stage_key": str,
}  # fmt: skip
_TABLES = (
    "session", "source", "beside", "model", "sinks", "feedback", "adapter", "loop", "realtime",
    "conditioning", "flicker", "guard", "watchdog", "control", "security", "montage", "timing",
    "adaptation", "lsl",
)  # fmt: skip


def read_session(path: str | Path, overrides: Mapping[str, str] | None = None) -> SessionConfig:
    """Read and check a session file.

    Parameters
    ----------
    path : str or Path
        A TOML file; a relative model path counts from its folder.
    overrides : mapping of str to str, optional
        ``{"source.name": "amp-2"}``: values that replace what the file says, as on the command
        line.

    Returns
    -------
    session : SessionConfig
        Frozen.

    Raises
    ------
    ConfigError
        If the file is not there, is not TOML, or a value cannot be used; or if it is not what was
        signed, or not signed where it must be.
    """
    path = Path(path)
    content = read_file(path)
    tables = parse_toml(content, f"The session file {path}")
    signed = _asks_to_be_signed(tables)
    try:
        for key, text in (overrides or {}).items():
            override(tables, key, text)
        changed = set(overrides or {})
        if _asks_to_be_signed(tables):  # an override may ask for a signature, not ask one away
            signed = True
            changed.discard("security.signed")
        standing = check_settings(path, content, signed, changed)
        session = parse_session(tables, path.parent)
        must = session.security.signed or (bool(session.montage.file) and house_signed())
        montage = session.montage.pinned(signed=must)
        return dataclasses.replace(session, montage=montage, signed_by=standing.words())
    except ConfigError as error:
        raise type(error)(f"{path.name}: {error}") from error


def read_conditioning(path: str | Path) -> ConditionConfig:
    """Read the table ``[conditioning]`` of a session file, or of a file with nothing else.

    Parameters
    ----------
    path : str or Path
        A TOML file.

    Returns
    -------
    config : ConditionConfig
        What a model is to be fitted with.

    Raises
    ------
    ConfigError
        If the file cannot be read, has no such table, or a value cannot be used.
    """
    tables = read_toml(Path(path))
    if "conditioning" not in tables:
        raise ConfigError(f"{path} has no table [conditioning]: add it, or leave the option out.")
    config: ConditionConfig = build(ConditionConfig, tables["conditioning"], "conditioning")
    return config


def parse_session(tables: Mapping[str, Any], folder: Path) -> SessionConfig:
    """Check the tables of a session.

    Parameters
    ----------
    tables : mapping
        As TOML gives them.
    folder : Path
        What a relative model path counts from.

    Returns
    -------
    session : SessionConfig
        Frozen.

    Raises
    ------
    ConfigError
        If a table or a value cannot be used.
    """
    refuse_unknown("the session file", tables, _TABLES)
    for table in ("session", "source", "model"):
        if table not in tables:
            raise ConfigError(f"The table [{table}] is missing; a session needs it.")
    head = checked("session", tables["session"], dict.fromkeys(_HEAD, str))
    model = checked("model", tables["model"], _MODEL)
    if "name" not in head or "bundle" not in model:
        missing = "session.name" if "name" not in head else "model.bundle"
        raise ConfigError(f"{missing} is missing; a session needs it.")
    security = build(SecurityConfig, tables.get("security", {}), "security")
    path, sha256 = _bundle_path(folder, model["bundle"])
    sinks = _array(tables, "sinks")
    return SessionConfig(
        name=head["name"],
        source=part_of("source", tables["source"], "source"),
        model=path,
        model_sha256=sha256,
        beside=_sides(_array(tables, "beside")),
        sinks=tuple(part_of("sink", sink, f"sinks[{place}]") for place, sink in enumerate(sinks)),
        feedback=_feedback(tables.get("feedback", {})),
        adapter=_table(tables, "adapter"),
        loop=build(LoopConfig, tables.get("loop", {}), "loop"),
        realtime=build(RealtimeConfig, tables.get("realtime", {}), "realtime"),
        conditioning=named(ConditionConfig, tables.get("conditioning", {}), "conditioning"),
        step_s=model.get("step_s"),
        engine=model.get("engine", "auto"),
        engine_fallback=model.get("engine_fallback", True),
        second_stage=model.get("second_stage", ""),
        second_stage_key=_path("model.second_stage_key", folder, model.get("second_stage_key", "")),
        participant=head.get("participant", ""),
        operator=head.get("operator", ""),
        flicker=build(FlickerConfig, tables.get("flicker", {}), "flicker"),
        guard=build(GuardConfig, tables.get("guard", {}), "guard"),
        watchdog=build(WatchdogConfig, tables.get("watchdog", {}), "watchdog"),
        control=build(ControlConfig, tables.get("control", {}), "control"),
        security=security,
        montage=build(MontageConfig, tables.get("montage", {}), "montage").beside(folder),
        lsl=build(LslNetwork, tables.get("lsl", {}), "lsl"),
        timing=timing_of(
            tables.get("timing", {}), folder, signed=lambda: security.signed or house_signed()
        ),
        adaptation=_adaptation(tables.get("adaptation", {}), folder),
    )


def _asks_to_be_signed(tables: Mapping[str, Any]) -> bool:
    asks = tables.get("security")
    return isinstance(asks, dict) and asks.get("signed") is True


def session_bundle(session: SessionConfig) -> Bundle:
    """Open the model that a session names.

    Parameters
    ----------
    session : SessionConfig
        Checked settings.

    Returns
    -------
    bundle : Bundle
        From its path, or, named by its hash, from the models that this machine keeps.

    Raises
    ------
    BundleError
        If it is not there, damaged, or another than the one that was named.
    """
    if session.model_sha256:
        return KeptModels(session.model.parent).load(session.model_sha256)
    return load_bundle(session.model)


def tables_of(session: SessionConfig) -> dict[str, Any]:
    """Write a session as the tables of a session file: the way back from `parse_session`.

    Parameters
    ----------
    session : SessionConfig
        Checked settings.

    Returns
    -------
    tables : dict
        Plain values that JSON and TOML can hold; settings that are None are left out.
    """
    head = {key: getattr(session, key) for key in _HEAD if key == "name" or getattr(session, key)}
    model = {
        "bundle": f"{SCHEME}{session.model_sha256}" if session.model_sha256 else str(session.model),
        "step_s": session.step_s,
        "engine": session.engine,
        "engine_fallback": session.engine_fallback,
        "second_stage": session.second_stage or None,
        "second_stage_key": str(session.second_stage_key) if session.second_stage_key else None,
    }
    return {
        "session": head,
        "source": _part_table(session.source),
        "model": _without_none(model),
        **({"beside": [_side_table(side) for side in session.beside]} if session.beside else {}),
        "sinks": [_part_table(sink) for sink in session.sinks],
        "feedback": {name: _plain(value) for name, value in session.feedback.items()},
        **({"adapter": dict(session.adapter)} if session.adapter else {}),
        "loop": _without_none(dataclasses.asdict(session.loop)),
        "realtime": _without_none(dataclasses.asdict(session.realtime)),
        "conditioning": {name: _plain(value) for name, value in session.conditioning.items()},
        "flicker": dataclasses.asdict(session.flicker),
        "guard": dataclasses.asdict(session.guard),
        "watchdog": dataclasses.asdict(session.watchdog),
        "control": dataclasses.asdict(session.control),
        "security": dataclasses.asdict(session.security),
        "montage": dataclasses.asdict(session.montage),
        **({"lsl": dataclasses.asdict(session.lsl)} if session.lsl.asked_for else {}),
        "timing": dataclasses.asdict(session.timing),
        **({"adaptation": dataclasses.asdict(session.adaptation)} if session.adaptation.on else {}),
    }


def _array(tables: Mapping[str, Any], name: str) -> list[Any]:
    array = tables.get(name, [])
    if not isinstance(array, list | tuple):
        raise ConfigError(f"[[{name}]] must be an array of tables, got {array!r}.")
    return list(array)


def _table(tables: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table: Any = tables.get(name, {})
    if not isinstance(table, Mapping):
        raise ConfigError(f"[{name}] must be a table, got {table!r}.")
    return table


def _sides(array: list[Any]) -> tuple[SidePart, ...]:
    sides = tuple(_side(table, f"beside[{place}]") for place, table in enumerate(array))
    roles = [side.beside.role for side in sides]
    if twice := sorted({role for role in roles if roles.count(role) > 1}):
        raise ConfigError(f"beside.role {twice[0]!r} is given twice: give each stream its own.")
    return sides


def _side(table: Any, where: str) -> SidePart:
    """A stream beside the signal: keys of `BesideConfig` are its own, the rest is its source's."""
    rest = dict(table) if isinstance(table, Mapping) else {}
    own = {key: rest.pop(key) for key in types_of(BesideConfig) if key in rest}
    part, config = part_of("source", rest, where), build(BesideConfig, own, where)
    if getattr(part.settings, "markers", "*") not in ("*", ""):
        raise ConfigError(
            f"{where}.markers is {part.settings.markers!r}, but markers belong to the signal: name "
            f"the marker stream in source.markers."
        )
    return SidePart(kind=part.kind, settings=part.settings, beside=config)


def _side_table(side: SidePart) -> dict[str, Any]:
    return {**_part_table(side), **dataclasses.asdict(side.beside)}


def _feedback(table: Any) -> dict[str, Any]:
    """What a table names of a feedback: its kind, if it does, and its settings."""
    if isinstance(table, Mapping) and "kind" in table:
        name, cls, rest = _chosen("feedback", table, "feedback")
        return {"kind": name, **named(cls.Config, rest, "feedback")}
    if isinstance(table, Mapping):
        refuse_unknown("[feedback]", table, ("kind", *types_of(FeedbackConfig)))
    return named(FeedbackConfig, table, "feedback")


def _adaptation(table: Any, folder: Path) -> AdaptationConfig:
    """Who may change the decoder; the rule's own settings are checked with it."""
    config: AdaptationConfig = build(AdaptationConfig, table, "adaptation")
    if config.on:
        try:
            cls = find("learner", config.learner)
        except ConfigError as error:
            raise type(error)(f"adaptation.learner: {error}") from error
        named(cls.Config, config.settings, "adaptation.settings")
    return config.beside(folder)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    plain = dataclasses.is_dataclass(value) and not isinstance(value, type)
    return _without_none(dataclasses.asdict(value)) if plain else value


def _part_table(part: PartConfig) -> dict[str, Any]:
    return {"kind": part.kind, **_without_none(dataclasses.asdict(part.settings))}


def _without_none(table: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if value is not None}


def _path(name: str, folder: Path, text: str) -> Path | None:
    return folder / _expanded(name, text) if text else None


def _bundle_path(folder: Path, text: str) -> tuple[Path, str]:
    """Where the model lies, and the hash it was named by; empty for one named by its path."""
    if not text.startswith(SCHEME):
        return folder / _expanded("model.bundle", text), ""
    try:
        sha256 = checked_hash(text)
    except ConfigError as error:
        raise ConfigError(f"model.bundle: {error}") from error
    return KeptModels().path_of(sha256), sha256


def _expanded(name: str, text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise ConfigError(
            f"{name} starts with the home folder of nobody here, got {text!r}: write the path out."
        ) from error


def part_of(kind: str, table: Any, where: str) -> PartConfig:
    """A stage as a table chooses it; raises `ConfigError` if the table cannot be used."""
    name, cls, rest = _chosen(kind, table, where)
    return PartConfig(kind=name, settings=build(cls.Config, rest, where))


def _chosen(kind: str, table: Any, where: str) -> tuple[str, Any, dict[str, Any]]:
    """Name and class of what a table chooses from the catalogue, and the rest of the table."""
    if not isinstance(table, Mapping) or "kind" not in table:
        raise ConfigError(f"{where}.kind is missing. {nearest('', CATALOG[kind])}")
    name = convert(f"{where}.kind", table["kind"], str)
    rest = {key: value for key, value in table.items() if key != "kind"}
    try:
        cls = find(kind, name)
    except ConfigError as error:
        raise type(error)(f"{where}.kind: {error}") from error
    return name, cls, rest


def override(tables: dict[str, Any], key: str, text: str) -> None:
    """Replace a value of a file's tables, as in ``table.key=value``; raises `ConfigError`."""
    *path, last = key.split(".")
    if not path:
        raise ConfigError(f"An override is written table.key=value, got {key!r}.")
    table = tables
    for name in path:
        table = table.setdefault(name, {})
        if not isinstance(table, dict):
            raise ConfigError(f"{key!r} leads into {name!r}, which is no table.")
    try:
        table[last] = parse_toml(f"value = {text}".encode(), key)["value"]
    except ConfigError:
        table[last] = text  # a bare word is a text: nobody wants to quote on a command line
