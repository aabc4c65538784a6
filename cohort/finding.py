"""Recordings in a folder or in a BIDS dataset: which files they are made of, and whose they are."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from ..runtime.errors import ConfigError, RecordingError
from .item import Item

DESCRIPTION = "dataset_description.json"
"""What every BIDS dataset has at its top."""

_ENTITIES = {"subject": "sub", "session": "ses", "task": "task", "run": "run"}
_NOT_RAW = ("derivatives", "sourcedata", "code", "stimuli")
_SIGNALS = ("_eeg", "_ieeg")
_BESIDE = {".vhdr": (".vmrk", ".eeg", ".dat"), ".set": (".fdt",)}
"""Suffix of a header -> suffixes of the files that hold the rest, unless the header names them."""
_NAMED = re.compile(r"^\s*(?:DataFile|MarkerFile)\s*=\s*(.+?)\s*$", re.MULTILINE)
_HEADER_BYTES = 1 << 20


def find_recordings(
    folder: Path,
    suffixes: Collection[str],
    *,
    subject_pattern: str = "",
    leave_out: Collection[Path] = (),
) -> list[Item]:
    """Every recording below a folder.

    Parameters
    ----------
    folder : Path
        A BIDS dataset, known by its ``dataset_description.json``, or any other folder.
    suffixes : collection of str
        Endings of recordings, lower case, with the dot.
    subject_pattern : str
        Regular expression with one group, searched in the path below the folder, that finds the
        subject where no ``sub-`` does.
    leave_out : collection of Path
        Folders that are not looked into, such as that of the results.

    Returns
    -------
    items : list of Item
        By name. A BIDS recording takes its markers from the ``_events.tsv`` beside it.

    Raises
    ------
    RecordingError
        If there is no such folder, one below it cannot be read, or no recording is in it.
    ConfigError
        If the pattern is none, or has not exactly one group.

    References
    ----------
    .. [1] Pernet et al. EEG-BIDS, an extension to the brain imaging data structure for
       electroencephalography. Scientific Data, 2019.
    """
    if not folder.is_dir():
        raise RecordingError(f"There is no folder {folder}: name one that holds recordings.")
    pattern, root = _compiled(subject_pattern), folder.resolve()
    paths = list(recording_files(root, suffixes, leave_out=leave_out))
    if not paths:
        raise RecordingError(
            f"{folder} holds no recording{' of BIDS' if is_bids(root) else ''}: they end in "
            f"{', '.join(sorted(suffixes))}."
        )
    items = [_item(path, root, pattern, bids=is_bids(root)) for path in paths]
    return sorted(items, key=lambda item: item.name)


def is_bids(folder: Path) -> bool:
    """Whether a folder is the top of a BIDS dataset."""
    return (folder / DESCRIPTION).is_file()


def recording_files(
    folder: Path, suffixes: Collection[str], *, leave_out: Collection[Path] = ()
) -> Iterator[Path]:
    """Files below a folder that are recordings, by their names.

    Of a BIDS dataset these are raw EEG and intracranial recordings: nothing derived, and no table
    that ends as a recording may.

    Parameters
    ----------
    folder : Path
        Of whatever kind.
    suffixes : collection of str
        Endings of recordings, lower case, with the dot.
    leave_out : collection of Path
        Folders that are not looked into.

    Yields
    ------
    path : Path
        Below the folder. Nothing hidden is among them.

    Raises
    ------
    RecordingError
        If a folder cannot be read: what is in it would be missing without a word.
    """
    bids = is_bids(folder)
    closed = frozenset(one.resolve() for one in leave_out)
    for path in _walk(folder, closed, _NOT_RAW if bids else ()):
        if path.suffix.lower() in suffixes and (not bids or path.stem.endswith(_SIGNALS)):
            yield path


def by_subject(items: Collection[Item]) -> list[Item]:
    """The recordings of each subject as one item.

    Parameters
    ----------
    items : collection of Item
        One recording each, all with a subject.

    Returns
    -------
    items : list of Item
        One a subject, recordings in order of their names.

    Raises
    ------
    ConfigError
        If a recording's subject is unknown.
    """
    groups: dict[str, list[Item]] = {}
    for item in sorted(items, key=lambda item: item.name):
        if not item.subject:
            raise ConfigError(
                f"The name of {item.name} does not tell its subject: give --subject-pattern, as "
                f"'(S[0-9]+)', or take each recording by itself."
            )
        groups.setdefault(item.subject, []).append(item)
    return [_joined(subject, group) for subject, group in sorted(groups.items())]


def _joined(subject: str, group: list[Item]) -> Item:
    recordings = [name for item in group for name in item.recordings]
    others = [name for item in group for name in item.files[item.n_recordings :]]
    return Item(
        name=subject,
        files=(*recordings, *others),
        n_recordings=len(recordings),
        subject=subject,
        n_bytes=sum(item.n_bytes for item in group),
        asked={"events": [item.events and _place(item.events, recordings) for item in group]},
    )


def _place(events: str, recordings: list[str]) -> str:
    """A table of events, named from the folder of the first recording: the key knows no paths."""
    return os.path.relpath(events, Path(recordings[0]).parent)


def _compiled(pattern: str) -> re.Pattern[str] | None:
    if not pattern:
        return None
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"{pattern!r} is no regular expression ({error}): correct it.") from error
    if compiled.groups != 1:
        raise ConfigError(
            f"{pattern!r} has {compiled.groups} groups, and the one that holds the subject is "
            f"wanted: write it as '(S[0-9]+)_R'."
        )
    return compiled


def _walk(root: Path, closed: frozenset[Path], not_at_the_top: Collection[str]) -> Iterator[Path]:
    for folder, folders, names in os.walk(root, onerror=_refuse):
        here = Path(folder)
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and (here / name).resolve() not in closed
            and not (here == root and name in not_at_the_top)
        )
        yield from (here / name for name in sorted(names) if not name.startswith("."))


def _refuse(error: OSError) -> None:
    raise RecordingError(
        f"The folder {error.filename} cannot be read ({error.strerror}): correct its rights, or "
        f"name a folder without it."
    ) from error


def _item(path: Path, root: Path, pattern: re.Pattern[str] | None, *, bids: bool) -> Item:
    name = path.relative_to(root).as_posix()
    known = {field: _entity(path.stem, short) for field, short in _ENTITIES.items()}
    if not known["subject"] and pattern and (match := pattern.search(name)):
        known["subject"] = match.group(1) or ""
    others = [one for one in _companions(path) if one.is_file()]
    events = path.with_name(f"{path.stem.rpartition('_')[0]}_events.tsv")
    # Outside a dataset, too, such a table is read where the file has no markers of its own.
    has_table = path.stem.endswith(_SIGNALS) and events.is_file()
    files = [path, *others, *([events] if has_table else [])]
    return Item(
        name=name,
        files=tuple(map(str, files)),
        subject=known["subject"],
        session=known["session"],
        task=known["task"],
        run=known["run"],
        events=str(events) if bids and has_table else "",
        # A link whose content was not fetched leads nowhere: said, too, when it is to be hashed.
        n_bytes=sum(one.stat().st_size for one in files if one.is_file()),
    )


def _entity(stem: str, short: str) -> str:
    match = re.search(rf"(?:^|_){short}-([A-Za-z0-9]+)", stem)
    return match.group(1) if match else ""


def _companions(path: Path) -> list[Path]:
    """Files without which a header is nothing."""
    suffix = path.suffix.lower()
    beside = [path.with_suffix(ending) for ending in _BESIDE.get(suffix, ())]
    if suffix == ".vhdr":
        try:
            with path.open("rb") as file:
                text = file.read(_HEADER_BYTES).decode("latin-1")
        except OSError:  # said of this recording alone, when it is to be hashed
            text = ""
        named = [name.replace("$b", path.stem) for name in _NAMED.findall(text)]
        beside += [path.parent / name for name in named]
    return sorted(dict.fromkeys(beside))
