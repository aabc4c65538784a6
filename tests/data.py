"""Where the tests find real recordings, and what they do without them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_BESIDE_THE_CHECKOUT = Path(__file__).resolve().parents[2] / "shared" / "data"


def data_root() -> Path:
    """The folder with the recordings; it may not exist."""
    return Path(os.environ.get("DIVERLOOP_DATA") or _BESIDE_THE_CHECKOUT)


def recording_path(name: str) -> Path:
    """Path of one recording, for example ``"mi/eegmmidb_S001_R06.npz"``; skips where it is not."""
    path = data_root() / name
    if not path.is_file():
        pytest.skip(f"{name} is not in {data_root()}; point DIVERLOOP_DATA at the recordings")
    return path
