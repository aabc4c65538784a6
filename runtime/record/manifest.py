"""What is known of a run before its first sample: the first line of every recording."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ..json_text import json_text

FORMAT_VERSION = 1
"""Of the recording as a whole; a reader refuses what is newer than itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Who, what, with which settings: all that a replay needs besides the recorded stream.

    Parameters
    ----------
    session : str
        Name of the session.
    settings : mapping
        The checked settings, as the tables of a session file.
    model_sha256 : str
        Hash of the bundle that decoded; a copy of it lies beside the recording.
    live : bool
        Whether it ran in real time.
    started_utc : str
        ISO 8601, the wall clock at the start.
    started_ns : int
        The loop's clock at the same moment, so that any of its times can be dated.
    participant, operator : str
        Pseudonyms; empty where nobody gave one.
    engine : str
        What ran the student, ``"NAME:PRECISION"``; empty for a model that has none.
    versions : mapping of str to str
        Of diverloop and of the packages that compute.
    machine : mapping of str to str
        What it ran on.
    format_version : int
        See `FORMAT_VERSION`.
    """

    session: str
    settings: Mapping[str, Any]
    model_sha256: str
    live: bool
    started_utc: str
    started_ns: int
    participant: str = ""
    operator: str = ""
    engine: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    machine: Mapping[str, str] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION

    @property
    def settings_sha256(self) -> str:
        """Hash of the settings, in hexadecimal; the audit log and the report name it."""
        return hashlib.sha256(json_text(dict(self.settings)).encode()).hexdigest()


def utc_now() -> str:
    """The wall clock, ISO 8601 to the microsecond."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def machine_now() -> dict[str, str]:
    """What this process runs on, without a name that could identify anybody."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": platform.machine(),
        "cores": str(os.cpu_count() or 1),
        "python": platform.python_version(),
    }
