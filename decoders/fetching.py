"""The published teacher weights: what there is, where it is, and what proves that it is it.

Two checkpoints of DIVER-1 are public [1]_. `PUBLISHED` names them, with size and SHA-256 of the
authors' own files and the address of a converted copy. No address here could be tried from the
machine this was written on. Sizes and hashes come from the authors' repository, where the files
are Git-LFS pointers, and the objects behind them are known to have been out of service: so
`fetch_published` tries the authors' file first and the converted copy after it.

**The converted copies have no pinned hash.** What comes from there is checked by its layout, which
`load_published` compares strictly, and by nothing else. The SHA-256 of what came is written beside
the file and given back: show it, so that it can be compared with what others got.

References
----------
.. [1] Han et al. DIVER-1, arXiv:2512.19097, 2025. Weights: MIT, Copyright (c) 2026 DIVER Project.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ..runtime.errors import BundleError, ConfigError, UnknownName
from .downloading import Progress, fetch, file_sha256, recorded_sha256

__all__ = [
    "PUBLISHED",
    "Fetched",
    "Progress",
    "PublishedFile",
    "fetch",
    "fetch_published",
    "file_sha256",
    "recorded_sha256",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedFile:
    """One published checkpoint and where it is.

    Parameters
    ----------
    url : str
        The authors' own file: bfloat16, with reconstruction heads.
    sha256 : str
        Its SHA-256, 64 hexadecimal digits in lower case.
    n_bytes : int
        Its size.
    converted_url : str
        A copy in braindecode's layout: float32, without heads, **with no pinned hash**.
    model : str
        What it is.
    licence : str
        SPDX name and holder.
    """

    url: str
    sha256: str
    n_bytes: int
    converted_url: str
    model: str
    licence: str = "MIT, Copyright (c) 2026 DIVER Project"

    def __post_init__(self) -> None:
        if not re.fullmatch("[0-9a-f]{64}", self.sha256) or self.n_bytes < 1:
            raise ConfigError(
                f"A published file has SHA-256 {self.sha256!r} and {self.n_bytes} bytes, allowed "
                f"are 64 hexadecimal digits and at least 1 byte: correct the entry."
            )


_AUTHORS = "https://media.githubusercontent.com/media/DIVER-Project/DIVER-1/main/weights"
_CONVERTED = "https://huggingface.co/braindecode"

PUBLISHED = {
    "ieeg-tiny-0.1s": PublishedFile(
        url=f"{_AUTHORS}/ieeg_pretrained_weights.pt",
        sha256="b812093779fb5cf1b76e18f8307df4136b67b008b6cd94c6be75fa286a87864c",
        n_bytes=25_515_984,
        converted_url=f"{_CONVERTED}/DIVER-1-0.1s-tiny/resolve/main/model.safetensors",
        model="DIVER-1 Tiny, patches of 0.1 s, intracranial",
    ),
    "joint-small-1s": PublishedFile(
        url=f"{_AUTHORS}/i_eeg_pretrained_weights.pt",
        sha256="dbfa48289989475a52719b1bcb868e62a82877120ac8272ca7dab772e407b891",
        n_bytes=102_787_420,
        converted_url=f"{_CONVERTED}/DIVER-1-1s-small/resolve/main/model.safetensors",
        model="DIVER-1 Small, patches of 1 s, scalp and intracranial",
    ),
}
"""Every checkpoint that can be fetched, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What `fetch_published` brought.

    Parameters
    ----------
    path : Path
        The file.
    sha256 : str
        Of the file as it is; give it to `load_published`.
    pinned : bool
        Whether the hash is the authors'. False for a converted copy: show the hash then.
    """

    path: Path
    sha256: str
    pinned: bool


def fetch_published(
    name: str, folder: str | Path, progress: Progress | None = None, *, converted: bool = True
) -> Fetched:
    """Fetch a published checkpoint: the authors' file, or else the converted copy.

    Parameters
    ----------
    name : str
        Of `PUBLISHED`.
    folder : str or Path
        Where to put it. It is made if needed.
    progress : callable, optional
        Called with (bytes there are, bytes there will be or None) after every block.
    converted : bool
        Whether to try the converted copy, which has no pinned hash, after the authors' file.

    Returns
    -------
    fetched : Fetched
        Path, hash, and whether the hash is pinned.

    Raises
    ------
    UnknownName
        If there is no such checkpoint.
    BundleError
        If no address gave the file.
    """
    if name not in PUBLISHED:
        raise UnknownName(
            f"No published teacher is called {name!r}, allowed are {', '.join(PUBLISHED)}: choose "
            f"one of them."
        )
    entry, folder = PUBLISHED[name], Path(folder)
    try:
        path = folder / f"diver1-{name}.pt"
        sha256 = fetch(entry.url, path, entry.sha256, entry.n_bytes, progress)
        return Fetched(path=path, sha256=sha256, pinned=True)
    except BundleError as error:
        reasons = [error]
    if converted:
        try:
            path = folder / f"diver1-{name}.safetensors"
            sha256 = fetch(entry.converted_url, path, None, None, progress)
            return Fetched(path=path, sha256=sha256, pinned=False)
        except BundleError as error:
            reasons.append(error)
    told = "; ".join(str(reason).rstrip(".") for reason in reasons)
    raise BundleError(
        f"{name} could not be fetched ({told}): download {Path(entry.url).name} by hand from the "
        f"Google Drive folder that the README of https://github.com/DIVER-Project/DIVER-1 names."
    ) from reasons[-1]
