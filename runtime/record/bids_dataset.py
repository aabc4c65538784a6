"""What a BIDS data set says of itself as a whole, and how finished files are moved into it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from .bids_events import HED_VERSION
from .bids_tables import merged

BIDS_VERSION = "1.10.0"
"""Of the standard that is written."""

NOTICE = (
    "Recorded with diverloop, which is investigational and not a medical device. The data must "
    "not be used for diagnosis or treatment."
)
"""What every data set says of itself."""


_README = """{name}

{notice}

Signal: as it was received, unfiltered, float32 microvolts in BrainVision files. Lost samples are
zeros in the data files and marked BAD_gap in the events.

Events: markers of the task, what the participant was shown, and what happened to the stream and
to the loop. The decisions of the decoder are in derivatives/diverloop.

Unless its operator chose otherwise, the data set was de-identified: pseudonyms, dates shifted to
before 1925, by the same number of days for all sessions of a participant, free text scanned.
"""


def describe_dataset(folder: Path, name: str, license: str, authors: Sequence[str]) -> None:
    """Write ``dataset_description.json`` and the README of the raw data set.

    Parameters
    ----------
    folder : Path
        Its root.
    name, license : str
        Of the data set.
    authors : sequence of str
        May be empty.
    """
    description = {
        "Name": name,
        "BIDSVersion": BIDS_VERSION,
        "HEDVersion": HED_VERSION,
        "DatasetType": "raw",
        "License": license,
        **({"Authors": list(authors)} if authors else {}),
        "GeneratedBy": [
            _generator(),
            {"Name": "mne-bids", "Version": metadata.version("mne-bids")},
        ],
    }
    write_json(folder / "dataset_description.json", description)
    write_text(folder / "README", _README.format(name=name, notice=NOTICE))


def describe_decisions(folder: Path, model_sha256: str) -> None:
    """Write ``dataset_description.json`` and the README of the derivative with the decisions.

    Parameters
    ----------
    folder : Path
        Its root.
    model_sha256 : str
        Hash of the model that decided; empty where unknown.
    """
    description = {
        "Name": "Decisions of the closed loop",
        "BIDSVersion": BIDS_VERSION,
        "HEDVersion": HED_VERSION,
        "DatasetType": "derivative",
        "License": "n/a",
        "GeneratedBy": [_generator(model_sha256)],
        "SourceDatasets": [{"URL": "../../"}],
    }
    write_json(folder / "dataset_description.json", description)
    readme = f"Decisions of the decoder, one row for each turn of the loop.\n\n{NOTICE}\n"
    write_text(folder / "README", readme)


def _generator(model_sha256: str = "") -> dict[str, str]:
    """What made the files."""
    model = {"Description": f"model {model_sha256}"} if model_sha256 else {}
    return {"Name": "diverloop", "Version": metadata.version("diverloop"), **model}


def move_in(made: Path, root: Path) -> tuple[Path, ...]:
    """Put finished files into the data set; what sessions share is merged, or left as it is.

    Parameters
    ----------
    made : Path
        A data set of its own, on the same disk. It is taken apart.
    root : Path
        The data set to add to.

    Returns
    -------
    files : tuple of Path
        What is new or changed, in place.
    """
    files = []
    for source in sorted(path for path in made.rglob("*") if path.is_file()):
        target = root / source.relative_to(made)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists() and target.name.endswith(("participants.tsv", "_scans.tsv")):
            both = merged(target.read_text("utf-8"), source.read_text("utf-8-sig"))
            write_text(source, both)
        elif target.exists() and target.name == "dataset_description.json":
            write_json(source, _with_generators(target, source))
        elif target.exists() and target.name in ("README", "participants.json"):
            continue
        os.replace(source, target)
        files.append(target)
    return tuple(files)


def _with_generators(there: Path, new: Path) -> dict[str, Any]:
    """The description on disk, with the generators of another one added to its own."""
    description: dict[str, Any] = json.loads(there.read_text("utf-8"))
    known = description.setdefault("GeneratedBy", [])
    known += [
        entry for entry in json.loads(new.read_text("utf-8"))["GeneratedBy"] if entry not in known
    ]
    return description


def write_text(path: Path, text: str) -> None:
    """Write a text as BIDS wants it: UTF-8, plain line ends."""
    path.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a sidecar, indented for people."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
