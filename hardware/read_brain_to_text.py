"""Read the Brain-to-Text sets: spiking features of attempted speech in bins of 20 ms, with text.

Two layouts, told apart by their suffix:

- *'24* (participant T12), one ``.mat`` a session in ``train``, ``test`` and
  ``competitionHoldOut``: for every sentence ``tx1`` to ``tx4`` (threshold crossings) and
  ``spikePow`` (spike band power), each (n_bins, 256), ``sentenceText`` as rows of characters, and
  ``blockIdx`` [1]_. The first 128 columns are area 6v.
- *'25* (participant T15), a folder a session with ``data_train.hdf5``, ``data_val.hdf5`` and
  ``data_test.hdf5``: a group ``trial_0000``, ``trial_0001``, ... for every sentence with
  ``input_features`` (n_bins, 512), first crossings, then power, ``seq_class_ids`` (blank 0,
  phonemes 1 to 39, silence 40; zeros behind ``seq_len``), ``transcription`` (character codes up
  to a zero), and the attributes ``n_time_steps``, ``seq_len``, ``sentence_label``, ``session``,
  ``block_num``, ``trial_num``; test files have no labels [2]_.

Confirmed: '24 by the readme that lies beside the data and by the authors' notebook that loads it;
'25 by the authors' loading function, data set class and readme. Neither by the files themselves,
which could not be had.

References
----------
.. [1] Willett et al. A high-performance speech neuroprosthesis. Nature, 2023.
.. [2] Card et al. An accurate and rapidly calibrating speech neuroprosthesis. New England Journal
   of Medicine, 2024.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import ConfigError, RecordingError
from ..runtime.paradigms.phonemes import PHONEMES
from .recordings import data_id_of, load_h5py, unreadable

BIN_S = 0.02
CROSSINGS = ("tx1", "tx2", "tx3", "tx4")
"""Threshold crossings of the '24 set, at -3.5, -4.5, -5.5 and -6.5 times the noise."""

AREAS = {"6v": 128, "all": None}
"""Areas of the '24 set -> how many of the first columns they are."""

_PARTS_25 = ("train", "val", "test")
_PARTS_24 = ("train", "test", "competitionHoldOut")
_BROKEN = (
    OSError, ValueError, TypeError, LookupError, AttributeError, NotImplementedError, EOFError,
    MemoryError, OverflowError, RuntimeError, NameError, struct.error, zlib.error,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpeechTrials:
    """Sentences as they were attempted, in the order of the file.

    Parameters
    ----------
    features : tuple of ndarray of float32, each (n_bins, n_features)
        Threshold crossings in the first half of the columns, spike band power in the second.
    texts : tuple of (str or None)
        What was to be said; None where the file does not tell.
    phonemes : tuple of (ndarray of int, or None)
        The same as rows of ``PHONEMES``, silence after each word; None where the file does not
        tell, as in all of '24.
    blocks : ndarray of int, shape (n_trials,)
        Block of each trial. Features drift from block to block.
    sessions : tuple of str
        Session of each trial.
    bin_s : float
        Length of a bin.
    data_id : str
        SHA-256 of the file's bytes.
    path : str
        Where it was read from.
    """

    features: tuple[NDArray[np.float32], ...]
    texts: tuple[str | None, ...]
    phonemes: tuple[NDArray[np.intp] | None, ...]
    blocks: NDArray[np.intp]
    sessions: tuple[str, ...]
    bin_s: float = BIN_S
    data_id: str = ""
    path: str = ""

    def __len__(self) -> int:
        return len(self.features)

    @property
    def n_features(self) -> int:
        """Columns of every trial."""
        return int(self.features[0].shape[1])


def session_files(folder: str | Path, part: str) -> tuple[Path, ...]:
    """Find the files of one part of a set, one a session, in order of their names.

    Parameters
    ----------
    folder : str or Path
        What the archive unpacks to: ``competitionData`` of '24, ``hdf5_data_final`` of '25.
    part : str
        ``"train"``, ``"val"``, ``"test"`` or ``"competitionHoldOut"``.

    Returns
    -------
    paths : tuple of Path
        At least one.

    Raises
    ------
    ConfigError
        If there is no such part in either set.
    RecordingError
        If the folder holds no file of this part.
    """
    known = tuple(dict.fromkeys((*_PARTS_24, *_PARTS_25)))
    if part not in known:
        raise ConfigError(f"The sets have no part {part!r}; take one of {', '.join(known)}.")
    root = Path(folder)
    found = sorted([*root.glob(f"{part}/*.mat"), *root.glob(f"*/data_{part}.hdf5")])
    if not found:
        raise RecordingError(
            f"{root} holds neither {part}/*.mat nor */data_{part}.hdf5; name the folder that the "
            f"archive of a Brain-to-Text set was unpacked to."
        )
    return tuple(found)


def read_speech_trials(
    path: str | Path, *, crossings: str = "tx1", area: str = "all"
) -> SpeechTrials:
    """Read one session of either set.

    Parameters
    ----------
    path : str or Path
        A ``.mat`` of '24, a ``.hdf5`` of '25.
    crossings : str
        Which threshold to take of '24, one of `CROSSINGS`.
    area : str
        Which area to take of '24, one of `AREAS`; '25 is always taken whole.

    Returns
    -------
    trials : SpeechTrials
        Features and text, nothing normalised.

    Raises
    ------
    ConfigError
        If there is no such threshold or area.
    RecordingError
        If the file is missing, damaged, of another layout, or needs h5py and there is none.
    """
    file = Path(path)
    if crossings not in CROSSINGS or area not in AREAS:
        raise ConfigError(
            f"crossings must be one of {', '.join(CROSSINGS)} and area one of "
            f"{', '.join(AREAS)}, got {crossings!r} and {area!r}: the authors advise tx1 and 6v."
        )
    if not file.is_file():
        raise RecordingError(f"There is no file {file}; check the path of the session.")
    if file.suffix.lower() == ".mat":
        return _read_24(file, crossings, AREAS[area])
    if file.suffix.lower() in (".hdf5", ".h5"):
        return _read_25(file)
    raise RecordingError(
        f"{file} ends in {file.suffix!r}; sessions end in .mat (Brain-to-Text '24) or .hdf5 ('25)."
    )


def _read_24(path: Path, crossings: str, n_columns: int | None) -> SpeechTrials:
    held = _matlab(path)
    needed = (crossings, "spikePow", "sentenceText", "blockIdx")
    if missing := [name for name in needed if name not in held]:
        raise _other(path, f"lacks {', '.join(missing)}", "'24")
    try:
        counts, power = (np.asarray(held[name]).ravel() for name in (crossings, "spikePow"))
        texts = [str(row).strip() or None for row in np.atleast_1d(held["sentenceText"])]
        blocks = np.asarray(held["blockIdx"]).ravel().astype(np.intp)
        features = tuple(
            _joined(path, index, np.asarray(one)[:, :n_columns], np.asarray(two)[:, :n_columns])
            for index, (one, two) in enumerate(zip(counts, power, strict=True))
        )
    except _BROKEN as error:
        raise _other(path, f"cannot be taken apart ({error})", "'24") from error
    if not len(features) == len(texts) == len(blocks) > 0:
        raise _other(
            path,
            f"has {len(features)} trials, {len(texts)} texts and {len(blocks)} block numbers",
            "'24",
        )
    return SpeechTrials(
        features=features,
        texts=tuple(texts),
        phonemes=(None,) * len(features),
        blocks=blocks,
        sessions=(path.stem,) * len(features),
        data_id=data_id_of([path]),
        path=str(path),
    )


def _matlab(path: Path) -> Mapping[str, Any]:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        return dict(loadmat(path))
    except (*_BROKEN, MatReadError) as error:
        raise unreadable(path, "MATLAB file", error) from error


def _joined(
    path: Path, index: int, counts: NDArray[Any], power: NDArray[Any]
) -> NDArray[np.float32]:
    """Crossings and power of one trial side by side."""
    if counts.ndim != 2 or counts.shape != power.shape or 0 in counts.shape:
        raise _other(
            path, f"has crossings {counts.shape} and power {power.shape} in trial {index}", "'24"
        )
    return np.concatenate([counts, power], axis=1).astype(np.float32)


def _read_25(path: Path) -> SpeechTrials:
    h5py = load_h5py(path)
    try:
        with h5py.File(path, "r") as file:
            names = sorted(name for name in file if name.startswith("trial_"))
            trials = [_trial(path, name, file[name]) for name in names]
    except _BROKEN as error:
        raise unreadable(path, "HDF5 file of Brain-to-Text '25", error) from error
    if not trials or len({one[0].shape[1] for one in trials}) != 1:
        raise _other(path, f"has {len(trials)} trials, or trials of different width", "'25")
    features, texts, phonemes, blocks, sessions = zip(*trials, strict=True)
    return SpeechTrials(
        features=features,
        texts=texts,
        phonemes=phonemes,
        blocks=np.array(blocks, dtype=np.intp),
        sessions=sessions,
        data_id=data_id_of([path]),
        path=str(path),
    )


def _trial(
    path: Path, name: str, group: Any
) -> tuple[NDArray[np.float32], str | None, NDArray[np.intp] | None, int, str]:
    """Features, text, phonemes, block and session of one trial."""
    attributes = dict(group.attrs)
    values = np.asarray(group["input_features"][()], dtype=np.float32)
    n_bins = int(attributes.get("n_time_steps", len(values)))
    if values.ndim != 2 or not 0 < n_bins <= len(values):
        raise _other(path, f"has features {values.shape} for {n_bins} bins in {name}", "'25")
    phonemes = None
    if "seq_class_ids" in group:
        classes = np.asarray(group["seq_class_ids"][()]).ravel()
        classes = classes[: int(attributes.get("seq_len", np.count_nonzero(classes)))]
        if len(classes) and not (classes.min() >= 1 and classes.max() <= len(PHONEMES)):
            raise _other(
                path, f"has class {classes.min()} to {classes.max()} in {name}, not 1 to 40", "'25"
            )
        phonemes = (classes - 1).astype(np.intp)
    session = _words(attributes.get("session")) or path.parent.name
    return (
        values[:n_bins],
        _text(attributes, group),
        phonemes,
        int(attributes["block_num"]),
        session,
    )


def _text(attributes: Mapping[str, Any], group: Any) -> str | None:
    """The sentence, from its attribute or else from its character codes."""
    if "sentence_label" in attributes:
        return _words(attributes["sentence_label"]) or None
    if "transcription" not in group:
        return None
    codes = np.asarray(group["transcription"][()]).ravel().tolist()
    codes = codes[: codes.index(0)] if 0 in codes else codes
    return "".join(map(chr, codes)).strip() or None


def _words(value: object) -> str:
    """An attribute as text, whether it was stored as text or as bytes."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").strip()
    return "" if value is None else str(value).strip()


def _other(path: Path, what: str, which: str) -> RecordingError:
    return RecordingError(
        f"{path} {what}; it is no session of Brain-to-Text {which}, or it is damaged, so compare "
        f"it with the file at its source."
    )
