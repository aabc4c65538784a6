"""A file of settings, read; whatever is wrong with it is said by name."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from .errors import ConfigError


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
        If it is not there, cannot be read or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"There is no {what} {path}: check the name.") from error
    except OSError as error:
        raise ConfigError(f"The {what} {path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"The {what} {path} is not valid TOML: {error}.") from error
