"""Whether settings that stand in the pages would be accepted, by the parsers that read them."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from diverloop.corpus_recipe import read_recipe
from diverloop.fit_plan import read_options
from diverloop.hardware.mapping import parse_mapping
from diverloop.rl.protocol.bounds import read_bounds
from diverloop.runtime.errors import DiverloopError
from diverloop.runtime.guide_file import parse_guide
from diverloop.runtime.session import parse_session
from diverloop.study_sources import read_study

# What a piece of a session file leaves out.
_REST = {
    "session": {"name": "page"},
    "source": {"kind": "simulator"},
    "model": {"bundle": "page.bundle"},
}


def wrong(text: str, folder: Path) -> str:
    """What is wrong with settings, or nothing; `folder` is where files may be written."""
    try:
        _read(text, tomllib.loads(text), folder)
    except (tomllib.TOMLDecodeError, DiverloopError) as error:
        return str(error)
    return ""


def _read(text: str, tables: dict[str, Any], folder: Path) -> None:
    file = folder / "page.toml"
    file.write_text(text, "utf-8")
    if "calibration" in tables:
        parse_guide(tables)
    elif "protocol" in tables:
        read_bounds(file)
    elif "plan" in tables or "threshold" in tables:
        (folder / "what-i-write.txt").write_text("please open the door\nthank you very much\n")
        read_options("p300_speller", file)
    elif "channels" in tables:
        parse_mapping(tables)
    elif "cases" in tables:
        read_study(file)
    elif "recordings" in tables or "corpus" in tables:
        read_recipe(file)
    else:
        parse_session({**_REST, **tables}, folder)
