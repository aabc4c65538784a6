"""What a result is named after: the bytes of its recordings, the settings, the code, the libraries.

Two runs that would compute the same thing give it the same key, on whatever machine; anything that
could change the result changes the key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from ..runtime.errors import RecordingError
from .item import Item, Recipe

_ROOT = Path(__file__).resolve().parents[1]
_SETTLED_S = 2.0  # younger files may change again within the clock's grain


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """A file as it was when it was hashed.

    Parameters
    ----------
    n_bytes, changed_ns, status_ns : int
        Size, and when content and inode were last changed.
    sha256 : str
        Of its bytes; empty if they were not read.
    settled : bool
        Whether an equal stamp later means equal bytes.
    """

    n_bytes: int
    changed_ns: int
    status_ns: int
    sha256: str = ""
    settled: bool = False

    def same_file(self, other: Stamp) -> bool:
        """Whether both are of one file that nobody has written to in between."""
        mine = (self.n_bytes, self.changed_ns, self.status_ns)
        return mine == (other.n_bytes, other.changed_ns, other.status_ns)


def stamp_of(path: str) -> Stamp:
    """A file as it is, unread.

    Parameters
    ----------
    path : str
        The file.

    Returns
    -------
    stamp : Stamp
        Without a hash.

    Raises
    ------
    RecordingError
        If it is gone, or cannot be looked at.
    """
    try:
        about = Path(path).stat()
    except OSError as error:
        raise RecordingError(
            f"{path} cannot be read here ({error.strerror}): workers need to see the recordings "
            f"under the same path, with the right to read them."
        ) from error
    age_s = datetime.now(UTC).timestamp() - about.st_mtime
    return Stamp(
        n_bytes=about.st_size,
        changed_ns=about.st_mtime_ns,
        status_ns=about.st_ctime_ns,
        settled=age_s > _SETTLED_S,
    )


def hash_files(
    batch: Sequence[tuple[str, Stamp | None]],
) -> list[tuple[str, Stamp | str]]:
    """Hash files, but for those that are known and unchanged; runs on a worker.

    Parameters
    ----------
    batch : sequence of (str, Stamp or None)
        Each file, and what is known of it.

    Returns
    -------
    found : list of (str, Stamp or str)
        Each file with its stamp, or with the reason why there is none.
    """
    found: list[tuple[str, Stamp | str]] = []
    for path, known in batch:
        try:
            found.append((path, _hashed(path, known)))
        except RecordingError as error:
            found.append((path, str(error)))
    return found


def _hashed(path: str, known: Stamp | None) -> Stamp:
    before = stamp_of(path)
    if known is not None and known.settled and known.same_file(before):
        return known
    try:
        with Path(path).open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise RecordingError(
            f"{path} cannot be read ({error.strerror}): correct its rights, or copy it again."
        ) from error
    if not before.same_file(stamp_of(path)):
        raise RecordingError(
            f"{path} was written to while it was read: run again when it is whole."
        )
    return Stamp(
        n_bytes=before.n_bytes,
        changed_ns=before.changed_ns,
        status_ns=before.status_ns,
        sha256=sha256,
        settled=before.settled,
    )


def data_sha256(item: Item, stamps: Mapping[str, Stamp]) -> str:
    """What the files of an item hold, whatever they are called.

    Parameters
    ----------
    item : Item
        Which.
    stamps : mapping of str to Stamp
        Of its files, hashed.

    Returns
    -------
    sha256 : str
        Of endings and hashes of the files, in order: an ending decides who reads a file.
    """
    told = [[Path(name).suffix.lower(), stamps[name].sha256] for name in item.files]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def key_of(item: Item, data: str, recipe: Recipe) -> str:
    """The name of an output.

    Parameters
    ----------
    item : Item
        Which.
    data : str
        From `data_sha256`.
    recipe : Recipe
        What is done with it.

    Returns
    -------
    key : str
        64 hexadecimal digits.
    """
    suffixes = {Path(name).suffix.lower() for name in item.recordings}
    readers = [recipe.readers[suffix] for suffix in sorted(suffixes) if suffix in recipe.readers]
    told = {
        "kind": recipe.kind,
        "data": data,
        "asked": dict(item.asked),
        "settings": dict(recipe.identity),
        "code": code_sha256(recipe.code),
        "versions": {name: version_of(name) for name in (*recipe.libraries, *readers)},
    }
    text = json.dumps(told, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


@lru_cache
def code_sha256(parts: tuple[str, ...]) -> str:
    """Hash of a part of this package as it is installed here.

    Parameters
    ----------
    parts : tuple of str
        Python files and folders below the package's root.

    Returns
    -------
    sha256 : str
        Of every ``.py`` file in them, with its name.
    """
    digest = hashlib.sha256()
    for part in parts:
        whole = _ROOT / part
        for path in sorted(whole.rglob("*.py")) if whole.is_dir() else [whole]:
            text = path.read_bytes().replace(b"\r\n", b"\n")
            name = path.relative_to(_ROOT).as_posix()
            digest.update(f"{name} {len(text)} ".encode() + text)
    return digest.hexdigest()


@lru_cache
def version_of(distribution: str) -> str:
    """Version of a library here; empty where it is missing."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""
