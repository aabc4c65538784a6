"""Settings with one value replaced by every kind of wrong one: what a session must withstand."""

from __future__ import annotations

import copy
import dataclasses
import datetime
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from diverloop.runtime.catalog import CATALOG, find
from diverloop.runtime.errors import ConfigError, DiverloopError
from diverloop.runtime.session import parse_session, read_session, tables_of
from diverloop.runtime.signal.condition_config import ConditionConfig

Path_ = tuple[str | int, ...]
NUMBERS: tuple[Any, ...] = (
    math.nan, -math.nan, math.inf, -math.inf, -1, -0.5, 0, 0.0, 1, 0.25, 7.5, 1e-300, -1e308, 1e308,
    2**31, 2**63, -(10**400), 10**400,
)  # fmt: skip
OTHERS: tuple[Any, ...] = (
    True, False, "", " ", "no-such-name", "x" * 10_000, "a'b", "\0", "nan", "ü\n", "\ud800",
    datetime.date(2026, 1, 1), datetime.time(1), [], [[]], [math.nan], [1], [-1], ["x"], [1, 2, 3],
    [{}], ["x"] * 10_000, {}, {"no_such_key": 1}, {"": 1}, {"x": math.nan}, {"x": [math.nan]},
)  # fmt: skip
FEW: tuple[Any, ...] = (math.nan, math.inf, -1, 10**400, "no-such-name\0", [math.nan], {})
"""For the short form: one of each sort."""
_GONE = object()

NEEDED = {"serial": {"port": "/dev/ttyUSB0"}}
"""What a sink cannot be made without, by its name."""


def subjects(folder: Path) -> dict[str, dict[str, Any]]:
    """Sessions by name, with every field of every section written out.

    Parameters
    ----------
    folder : Path
        Of the ready sessions.
    """
    made = {
        path.stem: _bare(tables_of(read_session(path))) for path in sorted(folder.glob("*.toml"))
    }
    plain = copy.deepcopy(made["lsl-motor-imagery"])
    pin = {"source_id": "a", "hostname": "b", "schema": "0" * 64, "about": "c"}
    conditioning = {"pick": ["C3"], "bad_channels": {}, "spikes": {}, "seizures": {}, "ripples": {}}
    conditioning["blanking"] = {"labels": ["pulse"]}
    return made | {
        "conditioned": plain | {"conditioning": _whole(ConditionConfig, conditioning)},
        "pinned": plain | {"source": {**made["lsl-motor-imagery"]["source"], "pin": pin}},
        "feedback": plain | {"feedback": _kind("feedback", "evidence")},
        "sinks": plain | {"sinks": [_kind("sink", name) for name in CATALOG["sink"]]},
    }


def _whole(cls: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """A settings class's fields, those with defaults written out."""
    from diverloop.runtime.settings import build

    return _bare(dataclasses.asdict(build(cls, values, "x")))


def _kind(kind: str, name: str) -> dict[str, Any]:
    return {"kind": name, **_whole(find(kind, name).Config, NEEDED.get(name, {}))}


def _bare(value: Any) -> Any:
    """Without what TOML cannot say."""
    if isinstance(value, Mapping):
        return {key: _bare(item) for key, item in value.items() if item is not None}
    return [_bare(item) for item in value] if isinstance(value, list | tuple) else value


def places(value: Any, here: Path_ = ()) -> Iterator[Path_]:
    """Where something stands, sections and their fields alike."""
    if here:
        yield here
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from places(item, (*here, key))
    elif isinstance(value, list | tuple):
        for at, item in enumerate(value[:2]):
            yield from places(item, (*here, at))


def mutated(tables: Any, place: Path_, value: Any) -> Any:
    """The same tables with one value replaced, or taken out."""
    key, rest = place[0], place[1:]
    found: Any = tables.copy()  # what is not on the way is shared: nobody changes it
    if rest:
        found[key] = mutated(found[key], rest, value)
    elif value is _GONE:
        del found[key]
    else:
        found[key] = value
    return found


def cases(
    tables: Mapping[str, Any], few: bool = False
) -> Iterator[tuple[Path_, str, dict[str, Any]]]:
    """Every mutation of a session: where, what, and the tables."""
    values = FEW if few else (*NUMBERS, *OTHERS, _GONE)
    for place in places(tables):
        for value in values:
            told = "gone" if value is _GONE else repr(value)[:40]
            yield place, told, mutated(tables, place, value)
        if isinstance(_at(tables, place), Mapping):
            yield (
                (*place, "no_such_key"),
                "unknown key",
                mutated(tables, (*place, "no_such_key"), 1),
            )


def _at(tables: Any, place: Path_) -> Any:
    for key in place:
        tables = tables[key]
    return tables


def judge(place: Path_, tables: Mapping[str, Any]) -> str:
    """What became of a mutation.

    Returns
    -------
    verdict : str
        ``"accepted"``, ``"refused"``, or what is wrong with the answer.
    """
    try:
        session = parse_session(tables, Path("/nowhere"))
    except ConfigError as error:
        text = str(error)
        names = [str(key) for key in place if isinstance(key, str)]
        if "\n" in text or not text.endswith((".", ":", "?")):
            return f"not one sentence: {text[:100]!r}"
        named = any(name in text for name in names[-2:])
        return "refused" if named else f"names no field: {text[:160]!r}"
    except DiverloopError as error:
        return f"{type(error).__name__}: {error}"[:160]
    except Exception as error:  # noqa: BLE001  what it must never be is the subject
        return f"another exception: {type(error).__name__}: {error}"[:160]
    kept = tables_of(session)
    return "accepted" if not _holds_nan(kept) else "accepted NaN"


def _holds_nan(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_holds_nan(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(_holds_nan(item) for item in value)
    return isinstance(value, float) and math.isnan(value)
