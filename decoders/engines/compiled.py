"""What compiling leaves in a bundle: graphs, plans, a probe, and an index that binds them.

::

    NAME.bundle/engines/
        index.json              what there is, for which bundle, with the hash of every file
        index.sig               who compiled it: a plan can hold code, so only whoever is trusted
        probe.safetensors       hops, masks, and the embeddings that torch made of them
        step-fp32.onnx          the student's step; also step-fp16.onnx, step-int8.onnx
        tensorrt-fp16-....plan  built for one GPU and driver, and rebuilt for another

All of it is derived: it can be deleted and made again, and no hash of the bundle speaks of it. The
index names the bundle it was made for, so that what belongs to another model is refused.
"""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import msgspec
import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from ...runtime.bundle import ENGINES
from ...runtime.errors import ConfigError, EngineError
from ...runtime.record.seal import give_seal, read_seal
from ...runtime.record.signing import load_or_create_key
from ...runtime.record.trusted import standing_of
from ...runtime.small_file import read_small
from ..whole_files import whole_file
from .engine import Bools, Engine, disagreement

_INDEX, _PROBE, _SEAL = "index.json", "probe.safetensors", "index.sig"
_FORMAT = 1
_MOST_BYTES = 1 << 36  # of a graph or a plan: more than any machine holds
_AGAIN = "run `diverloop compile` on the bundle again"


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledFile:
    """One file of the folder.

    Parameters
    ----------
    name : str
        File name.
    sha256 : str
        Of its content.
    precision : str
        A key of `TOLERANCE`.
    made_for : str
        GPU, driver and library that a plan was built for; empty for what runs anywhere.
    """

    name: str
    sha256: str
    precision: str
    made_for: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """What the folder holds.

    Parameters
    ----------
    bundle_sha256 : str
        Hash of the bundle that all of it was made from.
    files : tuple of CompiledFile
        Graphs and plans.
    probe_sha256 : str
        Of the probe.
    versions : dict of str to str
        Of the libraries that made it.
    format : int
        Grows when the meaning of something here changes.
    """

    bundle_sha256: str
    files: tuple[CompiledFile, ...] = ()
    probe_sha256: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    format: int = _FORMAT


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A stretch of signal, and what the student makes of it in torch, 32-bit floating point.

    Parameters
    ----------
    hops_uv : ndarray of float32, shape (n_hops, n_rows, hop)
        The signal.
    usable : ndarray of bool, shape (n_hops, n_rows)
        Which rows are there.
    embeddings : ndarray of float32, shape (n_hops, n_features)
        What has to come out.
    """

    hops_uv: NDArray[np.float32]
    usable: Bools
    embeddings: NDArray[np.float32]

    def error_of(self, engine: Engine) -> float:
        """Largest `disagreement` of an engine that hears it from the beginning.

        Parameters
        ----------
        engine : Engine
            Restarted before and after.

        Returns
        -------
        error : float
            To be compared with `TOLERANCE`.
        """
        engine.restart()
        said = [
            engine.hear(hop, there) for hop, there in zip(self.hops_uv, self.usable, strict=True)
        ]
        engine.restart()
        return max(
            disagreement(one, expected) for one, expected in zip(said, self.embeddings, strict=True)
        )


class Compiled:
    """The compiled files of one bundle.

    Parameters
    ----------
    folder : Path
        ``NAME.bundle/engines``.
    index : Index
        What it holds.
    """

    def __init__(self, folder: Path, index: Index) -> None:
        self.folder, self.index = folder, index

    @classmethod
    def of(cls, bundle_folder: Path | None, bundle_sha256: str) -> Self | None:
        """What was compiled from a bundle.

        Parameters
        ----------
        bundle_folder : Path or None
            ``NAME.bundle``; None for a bundle that was never saved.
        bundle_sha256 : str
            Its hash.

        Returns
        -------
        compiled : Compiled or None
            None if nothing was.

        Raises
        ------
        EngineError
            If it was compiled from another bundle, the index is damaged, or nobody whom this user
            trusts has signed it.
        """
        if bundle_folder is None or not (bundle_folder / ENGINES).is_dir():
            return None
        folder = bundle_folder / ENGINES
        try:
            text = read_small(folder / _INDEX)
            index = msgspec.json.decode(text, type=Index)
        except (OSError, msgspec.DecodeError, ValueError, RecursionError) as error:
            raise EngineError(
                f"The index of the compiled student in {folder} cannot be read ({error}): {_AGAIN}."
            ) from error
        if index.format != _FORMAT:
            raise EngineError(
                f"{folder} has format {index.format}, this diverloop reads {_FORMAT}: {_AGAIN}."
            )
        if index.bundle_sha256 != bundle_sha256:
            raise EngineError(
                f"What lies in {folder} was compiled from the bundle {index.bundle_sha256[:12]}, "
                f"this one is {bundle_sha256[:12]}: {_AGAIN}."
            )
        _check_seal(folder, text)
        return cls(folder, index)

    @classmethod
    def begin(cls, bundle_folder: Path, bundle_sha256: str, versions: Mapping[str, str]) -> Self:
        """An empty folder for a bundle; what it held of another bundle counts no more."""
        compiled = cls(bundle_folder / ENGINES, Index(bundle_sha256=bundle_sha256))
        compiled.index = replace(compiled.index, versions=dict(versions))
        return compiled

    def find(self, precision: str, made_for: str = "") -> CompiledFile | None:
        """The graph of a precision, or the plan that was built for this machine."""
        for file in self.index.files:
            if (file.precision, file.made_for) == (precision, made_for):
                return file
        return None

    def read(self, file: CompiledFile) -> bytes:
        """Content of a file; raises `EngineError` if it is not what the index says."""
        return self._read(file.name, file.sha256)

    def add(self, content: bytes, precision: str, made_for: str = "") -> CompiledFile:
        """Write a graph, or a plan for one machine, and enter it into the index.

        Parameters
        ----------
        content : bytes
            The file.
        precision : str
            A key of `TOLERANCE`.
        made_for : str
            For a plan: machine and library.

        Returns
        -------
        file : CompiledFile
            The entry; one of the same precision and machine is replaced.

        Raises
        ------
        EngineError
            If the disk refuses.
        """
        key = hashlib.sha256(made_for.encode()).hexdigest()[:8]
        name = f"tensorrt-{precision}-{key}.plan" if made_for else f"step-{precision}.onnx"
        file = CompiledFile(
            name=name,
            sha256=hashlib.sha256(content).hexdigest(),
            precision=precision,
            made_for=made_for,
        )
        self._write(name, content)
        others = tuple(one for one in self.index.files if one.name != name)
        self._enter(replace(self.index, files=(*others, file)))
        return file

    def probe(self) -> Probe:
        """The stored probe; raises `EngineError` if it is damaged or missing."""
        content = self._read(_PROBE, self.index.probe_sha256)
        try:
            arrays = safetensors.numpy.load(content)
            return Probe(
                hops_uv=arrays["hops_uv"],
                usable=arrays["usable"].astype(bool),
                embeddings=arrays["embeddings"],
            )
        except (safetensors.SafetensorError, KeyError, ValueError) as error:
            raise EngineError(f"{self.folder / _PROBE} is no probe ({error}): {_AGAIN}.") from error

    def add_probe(self, probe: Probe) -> None:
        """Write the probe; raises `EngineError` if the disk refuses."""
        content = safetensors.numpy.save(
            {
                "hops_uv": probe.hops_uv,
                "usable": probe.usable.astype(np.uint8),
                "embeddings": probe.embeddings,
            }
        )
        self._write(_PROBE, content)
        self._enter(replace(self.index, probe_sha256=hashlib.sha256(content).hexdigest()))

    def _enter(self, index: Index) -> None:
        self.index = index
        text = json.dumps(msgspec.to_builtins(index), sort_keys=True, indent=2)
        self._write(_INDEX, text.encode())
        try:
            seal = give_seal("engines", _sha256(text.encode()), load_or_create_key())
        except ConfigError as error:
            raise EngineError(f"What was compiled cannot be signed: {error}") from error
        self._write(_SEAL, seal.to_bytes())

    def _read(self, name: str, sha256: str) -> bytes:
        path = self.folder / name
        try:
            if Path(name).name != name:
                raise OSError(errno.EINVAL, "its name leads out of the folder")
            content = read_small(path, _MOST_BYTES)
        except OSError as error:
            raise EngineError(f"{path} cannot be read ({error.strerror}): {_AGAIN}.") from error
        got = hashlib.sha256(content).hexdigest()
        if got != sha256:
            raise EngineError(
                f"{path} has SHA-256 {got[:12]}, its index says {sha256[:12]}: it is damaged or "
                f"of another model, so {_AGAIN}."
            )
        return content

    def _write(self, name: str, content: bytes) -> None:
        path = self.folder / name
        try:
            with whole_file(path) as draft:
                draft.write_bytes(content)
        except OSError as error:
            raise EngineError(
                f"{path} cannot be written ({error.strerror}): check disk and rights."
            ) from error


def _check_seal(folder: Path, index: bytes) -> None:
    """Raise `EngineError` unless somebody trusted has signed exactly this index."""
    try:
        seal = read_seal(folder / _SEAL)
        standing = standing_of(seal)
    except ConfigError as error:
        raise EngineError(f"{error} Else {_AGAIN}.") from error
    if seal is not None and not seal.holds("engines", _sha256(index)):
        raise EngineError(f"The index in {folder} is not the one that was signed: {_AGAIN}.")
    if not standing.trusted:
        raise EngineError(f"What was compiled in {folder} is {standing.words()}: {_AGAIN}.")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def about_of(card_json: str, bundle_sha256: str, **more: Any) -> dict[str, Any]:
    """What a graph says of itself: the card of the model, its hash, and how it was made."""
    return {"bundle_sha256": bundle_sha256, "card": json.loads(card_json), **more}
