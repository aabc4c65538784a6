"""A file of settings, read; whatever is wrong with it is said by name."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from .errors import ConfigError
from .small_file import read_small


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
        return tomllib.loads(read_small(path).decode("utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"There is no {what} {path}: check the name.") from error
    except OSError as error:
        raise ConfigError(f"The {what} {path} cannot be read: {error.strerror}.") from error
    except RecursionError as error:
        raise ConfigError(
            f"The {what} {path} has arrays or tables nested too deeply: no setting needs more than "
            f"a few levels."
        ) from error
    except ValueError as error:  # no TOML, no UTF-8, or a number of thousands of digits
        raise ConfigError(f"The {what} {path} is not valid TOML: {error}.") from error
