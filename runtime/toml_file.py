"""A file of settings, read; whatever is wrong with it is said by name."""

from __future__ import annotations

import json
import re
import secrets
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import ConfigError
from .small_file import read_small

Scalar = str | float | int

SETTINGS_FORMAT = 1
"""What every file of settings may say of itself, as ``format = 1`` above its tables; one that says
nothing is of format 1. Grows when a key changes its meaning."""

_MOST_BYTES = 256 * 1024
_MOST_PARTS = 16  # of a dotted key: the parser's memory grows with their square
_PART = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')"""
# Only where a part may begin: from every letter of a long word the search would be a square.
_LONG_KEY = re.compile(rf"(?<![\w-]){_PART}(?:[ \t]*+\.[ \t]*+{_PART}){{{_MOST_PARTS},}}")


def read_toml(path: Path, what: str = "session file") -> dict[str, Any]:
    """Read the tables of a TOML file.

    Parameters
    ----------
    path : Path
        Where it is.
    what : str
        What it is called in an error.

    Returns
    -------
    tables : dict
        Plain values.

    Raises
    ------
    ConfigError
        If it is not there, cannot be read, is not TOML or larger than settings can be.
    """
    return parse_toml(read_file(path, what), f"The {what} {path}")


def read_file(path: Path, what: str = "session file") -> bytes:
    """Read a file of settings as it is.

    Parameters
    ----------
    path : Path
        Where it is.
    what : str
        What it is called in an error.

    Returns
    -------
    content : bytes
        Of a size that settings can have.

    Raises
    ------
    ConfigError
        If it is not there, cannot be read or is larger.
    """
    try:
        return read_small(path, _MOST_BYTES)
    except FileNotFoundError as error:
        raise ConfigError(f"There is no {what} {path}: check the name.") from error
    except OSError as error:
        raise ConfigError(f"The {what} {path} cannot be read: {error.strerror}.") from error


def parse_toml(content: bytes, where: str) -> dict[str, Any]:
    """Read settings that come from outside.

    Parameters
    ----------
    content : bytes
        From `read_file`.
    where : str
        What they are called at the beginning of an error.

    Returns
    -------
    tables : dict
        Plain values.

    Raises
    ------
    ConfigError
        If they are not TOML, nested as no settings are, or of another format.
    """
    try:
        text = content.decode().replace("\r\n", "\n")
        if _LONG_KEY.search(text):
            raise ValueError(f"it holds a key of more than {_MOST_PARTS} parts")
        return _of_this_format(tomllib.loads(text), where)
    except RecursionError as error:
        raise ConfigError(f"{where} is nested too deeply: no settings are.") from error
    except ConfigError:
        raise
    except ValueError as error:  # TOML, UTF-8, or a number of thousands of digits
        raise ConfigError(f"{where} is not valid TOML: {error}.") from error


def _of_this_format(tables: dict[str, Any], where: str) -> dict[str, Any]:
    """The tables without the format that they name, if it is one that is understood."""
    told = tables.pop("format", SETTINGS_FORMAT)
    if isinstance(told, bool) or told != SETTINGS_FORMAT:
        raise ConfigError(
            f"{where} has format {told!r}, this diverloop reads {SETTINGS_FORMAT}: use the "
            f"diverloop that it was written for, or a newer one."
        )
    return tables


def put_table(path: Path, keys: tuple[str, ...], values: Mapping[str, Scalar]) -> None:
    """Write a table into a file, in place of the one that is there, or at its end.

    All else, comments too, stays as it is.

    Parameters
    ----------
    path : Path
        A TOML file.
    keys : tuple of str
        Name of the table, for example ``("source", "pin")``; one or two.
    values : mapping of str to str, float or int
        What it is to hold; finite.

    Raises
    ------
    ConfigError
        If the file cannot be read or written, or holds the table in another form than under a
        header of its own.
    """
    tables, name = read_toml(path), ".".join(keys)
    inner = dict(values)
    wanted = {**tables, keys[0]: inner if len(keys) == 1 else _with(tables, keys, inner)}
    texts = {key: json.dumps(value, ensure_ascii=False) for key, value in values.items()}
    lines = [f"[{name}]", *(f"{key} = {text}" for key, text in texts.items())]
    text = _with_table(path.read_text(encoding="utf-8"), lines)
    try:
        content = text.encode()
        written = parse_toml(content, f"The file {path}")
    except (ConfigError, UnicodeEncodeError):
        written = {}
    if written != wanted:
        raise ConfigError(
            f"{path} holds {name} in a form that cannot be replaced: take it out, or write these "
            f"lines yourself: {'; '.join(lines)}."
        )
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        draft.write_bytes(content)
        draft.replace(path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}.") from error


def _with(
    tables: Mapping[str, Any], keys: tuple[str, ...], inner: dict[str, Scalar]
) -> dict[str, Any]:
    """The outer of two tables with another inner one."""
    return {**tables.get(keys[0], {}), keys[1]: inner}


def _with_table(text: str, table: list[str]) -> str:
    """A file's text with a table's lines in place of those below its header, or at the end."""
    lines = text.splitlines()
    places = [at for at, line in enumerate(lines) if line.strip() == table[0]]
    if not places:
        return "\n".join([*lines, "", *table]) + "\n"
    begin = stop = places[0]
    while stop + 1 < len(lines) and lines[stop + 1].partition("=")[1]:
        stop += 1
    return "\n".join([*lines[:begin], *table, *lines[stop + 1 :]]) + "\n"
