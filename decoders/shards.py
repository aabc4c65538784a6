"""Tensors spread over several safetensors files, with a table of contents that proves them whole.

Each process writes the rows that it holds, into files of a limited size; process 0 adds
``index.json``: which rows of which tensor are in which file, and the hash of every file. Whoever
reads takes the rows that are wanted and no others, so the number of processes may change between
writing and reading, and none of them ever holds more than its part.

The folder is filled under another name and renamed when all is on the disk: it is whole or absent.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import safetensors
import safetensors.torch
import torch

from ..runtime.errors import BundleError
from ..runtime.json_text import parsed_json
from ..runtime.small_file import CARD_BYTES, read_small
from .downloading import file_sha256
from .ranks import Ranks, own_rows, whole

INDEX = "index.json"
FORMAT = "diverloop-shards-1"


class Piece(msgspec.Struct, frozen=True, array_like=True):
    """Some rows of a tensor in a file.

    Parameters
    ----------
    file : str
        Name of the file in the folder.
    first, stop : int
        Rows, stop exclusive; 0 and 1 for a tensor without dimensions.
    """

    file: str
    first: int
    stop: int


class Entry(msgspec.Struct, frozen=True):
    """A tensor in the table of contents.

    Parameters
    ----------
    shape : list of int
        Of all of it.
    pieces : list of Piece
        Where its rows are.
    """

    shape: list[int]
    pieces: list[Piece]


class Index(msgspec.Struct, frozen=True):
    """The table of contents.

    Parameters
    ----------
    format : str
        ``FORMAT``.
    note : dict
        What the writer wanted to be remembered, in terms of JSON.
    files : dict of str to str
        SHA-256 of each file by its name.
    tensors : dict of str to Entry
        Each tensor by its name.
    """

    format: str
    note: dict[str, Any]
    files: dict[str, str]
    tensors: dict[str, Entry]


@dataclass(frozen=True, slots=True)
class _Part:
    """What one process has written: hashes of its files, and where which rows are."""

    files: dict[str, str]
    pieces: dict[str, list[Piece]]


def write_shards(
    path: Path,
    tensors: Mapping[str, torch.Tensor],
    note: Mapping[str, Any],
    ranks: Ranks,
    most_bytes: int,
) -> None:
    """Write tensors into a folder, whole or not at all; every process must call it.

    Parameters
    ----------
    path : Path
        The folder to be, on a disk that all processes share; one of that name is replaced.
    tensors : mapping of str to torch.Tensor
        Plain ones are the same on every process, sharded ones are written where they are.
    note : mapping
        To be remembered, in terms of JSON.
    ranks : Ranks
        The processes.
    most_bytes : int
        Most bytes of tensors in a file; a row that is larger has a file of its own.
    """
    draft = path.with_name(f".{path.name}.part")
    if ranks.rank == 0:
        _remove_leftovers(path.parent)
        draft.mkdir(parents=True)
    ranks.wait()
    part = _write_own(draft, tensors, ranks, most_bytes)
    _write_json(draft / f"part-{ranks.rank:05d}.json", {"files": part.files, "pieces": part.pieces})
    ranks.wait()
    if ranks.rank == 0:
        shapes = {name: list(tensor.shape) for name, tensor in tensors.items()}
        _write_json(draft / INDEX, _gathered(draft, shapes, note, ranks.n))
        _fsync_folder(draft)
        retire(path)
        os.replace(draft, path)
        _fsync_folder(path.parent)
    ranks.wait()


def _write_own(
    draft: Path, tensors: Mapping[str, torch.Tensor], ranks: Ranks, most_bytes: int
) -> _Part:
    """Write the rows that this process answers for, file by file."""
    part = _Part({}, {})
    held: dict[str, torch.Tensor] = {}
    n_bytes = 0

    def flush() -> None:
        nonlocal n_bytes
        if held:
            file = draft / f"shard-{ranks.rank:05d}-{len(part.files):05d}.safetensors"
            safetensors.torch.save_file(held, file)
            with file.open("rb+") as written:
                os.fsync(written.fileno())
            part.files[file.name] = file_sha256(file)
        held.clear()
        n_bytes = 0

    for name, first, rows in _own_pieces(tensors, ranks, most_bytes):
        size = rows.numel() * rows.element_size()
        if name in held or n_bytes + size > most_bytes:
            flush()
        held[name] = rows.detach().to("cpu", copy=True).contiguous()
        n_bytes += size
        stop = first + (len(rows) if rows.dim() else 1)
        file_name = f"shard-{ranks.rank:05d}-{len(part.files):05d}.safetensors"
        part.pieces.setdefault(name, []).append(Piece(file_name, first, stop))
    flush()
    return part


def _own_pieces(
    tensors: Mapping[str, torch.Tensor], ranks: Ranks, most_bytes: int
) -> Iterator[tuple[str, int, torch.Tensor]]:
    """Name, first row and rows of what this process writes, in pieces that fit into a file.

    What all processes hold is dealt out, to the one that has least to write so far.
    """
    load = [0] * ranks.n
    for name, tensor in tensors.items():
        own = own_rows(tensor)
        if own is not None:
            if len(own[1]):
                yield from _cut(name, own[0], own[1], most_bytes)
            continue
        writer = load.index(min(load))
        load[writer] += tensor.numel() * tensor.element_size()
        full = whole(tensor)  # every process must take part, even if it does not write
        if writer == ranks.rank:
            yield from _cut(name, 0, full, most_bytes)


def _cut(
    name: str, first: int, rows: torch.Tensor, most_bytes: int
) -> Iterator[tuple[str, int, torch.Tensor]]:
    if not rows.dim():
        yield name, 0, rows
        return
    row_bytes = max(1, math.prod(rows.shape[1:]) * rows.element_size())
    at_once = max(1, most_bytes // row_bytes)
    for start in range(0, max(1, len(rows)), at_once):  # a tensor without rows has a type, too
        yield name, first + start, rows[start : start + at_once]


def _gathered(
    draft: Path, shapes: Mapping[str, list[int]], note: Mapping[str, Any], n: int
) -> dict[str, Any]:
    """What the processes have written, as one table; their own tables are taken away."""
    files: dict[str, str] = {}
    pieces: dict[str, list[list[Any]]] = {name: [] for name in shapes}
    for rank in range(n):
        own = draft / f"part-{rank:05d}.json"
        told = json.loads(own.read_text(encoding="utf-8"))
        files |= told["files"]
        for name, rows in told["pieces"].items():
            pieces[name] += rows
        own.unlink()
    tensors = {
        name: {"shape": shape, "pieces": sorted(pieces[name], key=lambda piece: piece[1])}
        for name, shape in shapes.items()
    }
    return {"format": FORMAT, "note": dict(note), "files": files, "tensors": tensors}


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    with path.open("wb") as file:
        file.write(msgspec.json.encode(content))
        file.flush()
        os.fsync(file.fileno())


def _fsync_folder(path: Path) -> None:
    if hasattr(os, "O_DIRECTORY"):  # elsewhere a folder cannot be opened, and need not be
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def retire(path: Path) -> None:
    """Remove a folder of shards so that nobody ever sees half of it.

    Parameters
    ----------
    path : Path
        The folder; one that is not there is no error.
    """
    going = path.with_name(f".{path.name}.old")
    with contextlib.suppress(FileNotFoundError):
        os.replace(path, going)
    shutil.rmtree(going, ignore_errors=True)


def _remove_leftovers(folder: Path) -> None:
    """What a killed process was writing or removing."""
    for pattern in (".*.part", ".*.old"):
        for path in folder.glob(pattern):
            shutil.rmtree(path, ignore_errors=True)


class Shards:
    """A folder of shards, to read from.

    Parameters
    ----------
    path : Path
        The folder.

    Raises
    ------
    BundleError
        If it has no table of contents, or one that cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.index = msgspec.convert(parsed_json(read_small(path / INDEX, CARD_BYTES)), Index)
            _check_index(self.index)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BundleError(
                f"{path} cannot be read as a checkpoint of diverloop ({error}): delete it, the "
                f"run goes on from the one before."
            ) from error

    def verify(self, share: int = 0, of: int = 1) -> None:
        """Compare files with their hashes.

        Parameters
        ----------
        share, of : int
            Look at every ``of``-th file, beginning with number ``share``: so that processes share
            the work.

        Raises
        ------
        BundleError
            If a file is missing or has been altered.
        """
        for name, sha256 in list(self.index.files.items())[share::of]:
            try:
                found = file_sha256(self.path / name)
            except OSError as error:
                raise BundleError(
                    f"{self.path} lacks {name}, one of its {len(self.index.files)} shards "
                    f"({error.strerror}): bring it back, or delete the folder and the run goes on "
                    f"from the checkpoint before."
                ) from error
            if found != sha256:
                raise BundleError(
                    f"The shard {self.path / name} has been altered since it was written (its "
                    f"SHA-256 differs): delete {self.path}, and the run goes on from the "
                    f"checkpoint before."
                )

    def whole(self, name: str) -> torch.Tensor:
        """A tensor, put together, on the CPU."""
        shape = self._entry(name).shape
        return self.rows(name, 0, shape[0] if shape else 1)

    def rows(self, name: str, first: int, stop: int) -> torch.Tensor:
        """Some rows of a tensor, and nothing else of it.

        Parameters
        ----------
        name : str
            Of the tensor.
        first, stop : int
            Rows, stop exclusive; 0 and 1 for a tensor without dimensions.

        Returns
        -------
        rows : torch.Tensor
            On the CPU, with the dimensions of the tensor.

        Raises
        ------
        BundleError
            If a file does not hold what the table says.
        """
        entry = self._entry(name)
        wanted = [piece for piece in entry.pieces if piece.first < stop and piece.stop > first]
        wanted = wanted or entry.pieces[:1]  # of a tensor without rows
        try:
            parts = [self._read(name, entry, piece, first, stop) for piece in wanted]
            found = parts[0] if len(parts) == 1 else torch.cat(parts)
        except (safetensors.SafetensorError, OSError, ValueError, RuntimeError) as error:
            raise BundleError(
                f"{self.path} does not hold what its {INDEX} says of {name} ({error}): delete it, "
                f"the run goes on from the checkpoint before."
            ) from error
        expected = [stop - first, *entry.shape[1:]] if entry.shape else []
        if list(found.shape) != expected:
            raise BundleError(
                f"{self.path} holds {name} in the shape {list(found.shape)}, its {INDEX} says "
                f"{expected}: delete it, the run goes on from the checkpoint before."
            )
        return found

    def _entry(self, name: str) -> Entry:
        if name not in self.index.tensors:
            raise BundleError(
                f"{self.path} holds nothing called {name}: delete it, the run goes on from the "
                f"checkpoint before."
            )
        return self.index.tensors[name]

    def _read(self, name: str, entry: Entry, piece: Piece, first: int, stop: int) -> torch.Tensor:
        with safetensors.safe_open(self.path / piece.file, framework="pt") as file:
            if not entry.shape or piece.first == piece.stop:
                return torch.as_tensor(file.get_tensor(name))
            start, end = max(first, piece.first), min(stop, piece.stop)
            rows = file.get_slice(name)[start - piece.first : end - piece.first]
            return torch.as_tensor(rows)


def _check_index(index: Index) -> None:
    """Refuse a table that names files elsewhere, or rows that leave holes."""
    if index.format != FORMAT:
        raise ValueError(f"its format is {index.format!r}, this version reads {FORMAT!r}")
    for name in index.files:
        if Path(name).name != name or "\\" in name or not name.endswith(".safetensors"):
            raise ValueError(f"{name!r} is no name of a shard")
    for name, entry in index.tensors.items():
        reached = 0
        for piece in entry.pieces:
            follows = piece.first == reached and (piece.stop > reached or entry.shape[:1] == [0])
            if piece.file not in index.files or not follows:
                raise ValueError(f"the rows of {name} do not follow each other")
            reached = piece.stop
        if reached != (entry.shape[0] if entry.shape else 1):
            raise ValueError(f"{name} has {reached} rows of {entry.shape}")
