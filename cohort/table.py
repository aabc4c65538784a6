"""The one table of a cohort: a row a recording, by name, the same bytes whoever computed it."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..runtime.errors import ConfigError, RecordingError
from .engine import Ran
from .item import IDENTITY, ColumnType, Recipe
from .outputs import read_output, write_whole

TABLE, TIMINGS = "results.parquet", "timings.parquet"
_STATE: Mapping[str, ColumnType] = {
    "data_sha256": "string", "key": "string", "state": "string", "reason": "string",
}  # fmt: skip
_TIMES: Mapping[str, ColumnType] = {
    "name": "string", "key": "string", "seconds": "float64", "worker": "string",
}  # fmt: skip


def rows_of(ran: Ran, recipe: Recipe, folder: Path) -> list[dict[str, Any]]:
    """The rows of a cohort, from its outputs.

    Parameters
    ----------
    ran : Ran
        What was run.
    recipe : Recipe
        Whose columns.
    folder : Path
        Of the results.

    Returns
    -------
    rows : list of dict
        By name: whose it is, hashes, ``state`` (``"done"`` or ``"failed"``), ``reason``, and the
        recipe's columns, None where there is nothing to say.
    """
    rows = []
    for item in ran.items:
        row: dict[str, Any] = {name: getattr(item, name) for name in IDENTITY}
        key, reason = ran.keys.get(item.name, ""), ran.unfinished.get(item.name, "")
        found: Mapping[str, Any] = {}
        if not reason:
            output = read_output(folder, key)
            reason = output.failed if output else "Its output was lost: run again."
            found = output.row if output else {}
        state = "failed" if reason else "done"
        row |= {"data_sha256": ran.data.get(item.name, ""), "key": key}
        row |= {"state": state, "reason": reason}
        rows.append({**row, **{name: found.get(name) for name in recipe.columns}})
    return rows


def write_table(rows: Sequence[Mapping[str, Any]], recipe: Recipe, folder: Path) -> Path:
    """Write the table of a cohort.

    Parameters
    ----------
    rows : sequence of mapping
        From `rows_of`.
    recipe : Recipe
        Whose columns.
    folder : Path
        Of the results.

    Returns
    -------
    path : Path
        A Parquet file. Equal rows make equal bytes with equal versions of pyarrow.

    Raises
    ------
    ConfigError
        If pyarrow is missing.
    RecordingError
        If the disk refuses.
    """
    columns = {**IDENTITY, **_STATE, **recipe.columns}
    write_whole(folder / TABLE, _parquet(rows, columns))
    return folder / TABLE


def write_timings(ran: Ran, folder: Path) -> Path:
    """Write how long each item took when it was computed, in this run or in an earlier one.

    Parameters
    ----------
    ran : Ran
        What was run.
    folder : Path
        Of the results.

    Returns
    -------
    path : Path
        A Parquet file beside the table, which holds nothing that differs from run to run.
    """
    path, names = folder / TIMINGS, {key: name for name, key in ran.keys.items()}
    known = {row["key"]: row for row in (read_table(path) if path.is_file() else [])}
    for one in (one for one in ran.outcomes if one.seconds is not None or one.key not in known):
        known[one.key] = {
            "name": names[one.key],
            "key": one.key,
            "seconds": one.seconds,
            "worker": one.worker,
        }
    rows = sorted(
        (row for row in known.values() if row["key"] in names), key=lambda row: row["name"]
    )
    write_whole(path, _parquet(rows, _TIMES))
    return path


def read_table(path: Path) -> list[dict[str, Any]]:
    """The rows of a table.

    Parameters
    ----------
    path : Path
        A Parquet file.

    Returns
    -------
    rows : list of dict
        In order.

    Raises
    ------
    RecordingError
        If it cannot be read.
    """
    _need_arrow()
    import pyarrow
    from pyarrow import parquet

    try:
        rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    except (OSError, pyarrow.ArrowException) as error:
        raise RecordingError(
            f"{path} is no table that can be read: remove it and run again, no result is lost."
        ) from error
    return rows


def _parquet(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, ColumnType]) -> bytes:
    _need_arrow()
    import pyarrow
    from pyarrow import parquet

    kinds = {
        "string": pyarrow.string(),
        "int64": pyarrow.int64(),
        "float64": pyarrow.float64(),
        "bool": pyarrow.bool_(),
    }
    schema = pyarrow.schema([(name, kinds[kind]) for name, kind in columns.items()])
    arrays = {name: [row[name] for row in rows] for name in columns}
    buffer = io.BytesIO()
    parquet.write_table(pyarrow.table(arrays, schema=schema), buffer, compression="zstd")
    return buffer.getvalue()


def _need_arrow() -> None:
    if find_spec("pyarrow") is None:
        raise ConfigError(
            "The table needs pyarrow, which is not installed: pip install 'diverloop[cohort]'."
        )
