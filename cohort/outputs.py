"""Results as small files, named after what they were computed from; whole or absent.

A folder of results holds::

    outputs/ab/abcdef....json   one file a computed item
    models/, features/          what some kinds of work leave beside, under the same keys
    hashes.json                 what is known of the recordings' bytes
    results.parquet             the table, rows by name, no timings
    timings.parquet             how long each item took, and on which worker
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..runtime.errors import RecordingError
from ..runtime.json_text import json_text, parsed_json
from ..runtime.record.signing import sync_folder, write_through
from .hashing import Stamp

FORMAT = 1
_DRAFT = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What came of one item, whenever and wherever it is computed.

    Parameters
    ----------
    key : str
        See `hashing.key_of`.
    row : mapping
        Columns and their values; empty if it failed.
    failed : str
        Why there is no row, in one sentence; empty if there is.
    """

    key: str
    row: Mapping[str, Any] = field(default_factory=dict)
    failed: str = ""


def write_whole(path: Path, data: bytes) -> None:
    """Put a file in its place: readers see the old one, the new one or none, after a crash too.

    Parameters
    ----------
    path : Path
        Where; its folder is made if missing.
    data : bytes
        All of it.

    Raises
    ------
    RecordingError
        If the disk refuses.
    """
    # Another worker may be at the same file, so that each has a draft of its own.
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(draft, _DRAFT, 0o644)
        try:
            write_through(handle, data)
        finally:
            os.close(handle)
        os.replace(draft, path)
        sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise _refused(path, "written", error) from error


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """A draft of a folder that is put in its place when it is done; one that is there stays.

    It may be there from a run that was cut off, or from another worker that was given the same
    work: equal work has equal names.

    Parameters
    ----------
    target : Path
        Where it belongs.

    Yields
    ------
    draft : Path
        Beside it, not made yet, with the same ending; gone afterwards.

    Raises
    ------
    RecordingError
        If the disk refuses.
    """
    draft = target.with_name(f".{secrets.token_hex(6)}.{target.name}")
    try:
        yield draft
        try:
            os.replace(draft, target)
        except OSError:
            if not target.is_dir():
                raise
    except OSError as error:
        raise _refused(target, "kept", error) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _refused(path: Path, what: str, error: OSError) -> RecordingError:
    return RecordingError(
        f"{path} cannot be {what} ({error.strerror}): free space, or correct the rights of the "
        f"folder of results, which every worker must see."
    )


def path_of(folder: Path, key: str) -> Path:
    """Where an output lies."""
    return folder / "outputs" / key[:2] / f"{key}.json"


def write_output(folder: Path, output: Output) -> None:
    """Keep an output.

    Parameters
    ----------
    folder : Path
        Of the results.
    output : Output
        With values that JSON has; NaN is written as null.

    Raises
    ------
    RecordingError
        If the disk refuses.
    """
    told = {"format": FORMAT, **asdict(output)}
    write_whole(path_of(folder, output.key), json_text(told).encode() + b"\n")


def read_output(folder: Path, key: str) -> Output | None:
    """An output, if it is there and whole.

    Parameters
    ----------
    folder : Path
        Of the results.
    key : str
        Which.

    Returns
    -------
    output : Output or None
        None also for a file that is damaged, or of another format: it is computed again.
    """
    try:
        told = parsed_json(path_of(folder, key).read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(told, dict) or told.get("format") != FORMAT or told.get("key") != key:
        return None
    row, failed = told.get("row"), told.get("failed")
    if not isinstance(row, dict) or not isinstance(failed, str):
        return None
    return Output(key=key, row=row, failed=failed)


def is_complete(folder: Path, output: Output, leaves: Iterable[str]) -> bool:
    """Whether all that the work left beside its row is still there."""
    return bool(output.failed) or all(
        (folder / one.format(key=output.key)).exists() for one in leaves
    )


def read_stamps(folder: Path) -> dict[str, Stamp]:
    """What is known of the recordings' bytes from runs before; nothing if the file is damaged."""
    try:
        told = parsed_json((folder / "hashes.json").read_bytes())
        return {path: Stamp(**fields) for path, fields in told.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def write_stamps(folder: Path, stamps: Mapping[str, Stamp]) -> None:
    """Keep what is known of the recordings' bytes."""
    told = {path: asdict(stamp) for path, stamp in sorted(stamps.items())}
    write_whole(folder / "hashes.json", json.dumps(told, indent=0).encode())
