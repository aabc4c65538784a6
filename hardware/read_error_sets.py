"""Read two public sets of error potentials: BNCI Horizon 2020 "013-2015", and the BCI Challenge.

*Monitoring error-related potentials* (013-2015) [1]_: six people in two sessions watch a cursor
that moves towards a target or away from it. ``Subject01_s1.mat`` has a cell array ``run`` of
structs with ``eeg`` (n_times, 64) and ``header``: ``SampleRate`` (512), ``Label``, ``EVENT.POS``
(samples counted from 1) and ``EVENT.TYP`` (5 and 10: right, 6 and 9: wrong; 1, 2, 4 and 8 are
targets and cursors).

*BCI Challenge @ NER 2015* (INRIA) [2]_: 26 people spell by P300 and are shown what was understood.
``Data_S02_Sess01.csv`` has the columns ``Time``, 56 electrodes, ``EOG`` and ``FeedBackEvent`` (1
where feedback appears) at 200 Hz. ``TrainLabels.csv``, beside the folder or in it, has
``IdFeedBack`` (``S02_Sess01_FB001``) and ``Prediction`` (1: right, 0: wrong) for 16 of the people.

Confirmed: names of files, fields and event codes, rates, shapes, counting from 1, and microvolts
of the first set, by loading programs of several people, MOABB's among them; columns and rate of the
second by the description of its publishers, its labels by loading programs. Not confirmed, as the
files could not be had: that ``Label`` has a name more than there are columns (``Status``, which is
passed over, as some programs do), the number that ends ``IdFeedBack``, and microvolts in the second
set, where programs take them for granted.

References
----------
.. [1] Chavarriaga, Millán. Learning from EEG error-related potentials in noninvasive
   brain-computer interfaces. IEEE Transactions on Neural Systems and Rehabilitation Engineering,
   2010.
.. [2] Perrin, Maby, Daligault, Bertrand, Mattout. Objective and subjective evaluation of online
   error correction during P300-based spelling. Advances in Human-Computer Interaction, 2012.
"""

from __future__ import annotations

import csv
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import RecordingError
from ..runtime.messages import Channel, Marker, StreamSpec
from ..runtime.units import microvolts_per
from .recordings import Recording, check_signal, data_id_of

RIGHT, WRONG, UNKNOWN = "feedback:right", "feedback:wrong", "feedback"
MONITORED = {5: RIGHT, 10: RIGHT, 6: WRONG, 9: WRONG}
SPELLING_HZ = 200.0
PAUSE_S = 5.0  # put between runs, whose true distance the files do not tell

_MONITORING = re.compile(r"Subject\d+_s\d+\.mat")
_SPELLING = re.compile(r"Data_(S\d+_Sess\d+)\.csv")
_BROKEN = (
    OSError, ValueError, TypeError, LookupError, AttributeError, NotImplementedError, EOFError,
    MemoryError, OverflowError, RuntimeError, NameError, struct.error, zlib.error, csv.Error,
)  # fmt: skip


def read(path: Path, *, stream: str | None = None, assume_unit: str | None = None) -> Recording:
    """Read a session of either set, which is known by the name of its file.

    Parameters
    ----------
    path : Path
        ``Subject01_s1.mat`` or ``Data_S02_Sess01.csv``.
    stream : str, optional
        Not used: there is one.
    assume_unit : str, optional
        Unit of the numbers; microvolts unless somebody knows better.

    Returns
    -------
    recording : Recording
        In microvolts, with a marker ``"feedback:right"`` or ``"feedback:wrong"`` for each piece of
        feedback; ``"feedback"`` where nobody says what it was.

    Raises
    ------
    RecordingError
        If the file is of neither set, or damaged.
    UnitError
        If the assumed unit is unknown.
    """
    factor = microvolts_per(assume_unit or "uV")
    if _MONITORING.fullmatch(path.name):
        return _read_monitoring(path, factor)
    if match := _SPELLING.fullmatch(path.name):
        return _read_spelling(path, match.group(1), factor)
    raise RecordingError(
        f"{path} is of no known set of error potentials; files are called Subject01_s1.mat or "
        f"Data_S02_Sess01.csv: give it its first name back."
    )


def _read_monitoring(path: Path, factor: float) -> Recording:
    """All runs of a session, a gap between them."""
    try:
        from scipy.io import loadmat
        from scipy.io.matlab import MatReadError

        found = loadmat(path, squeeze_me=True, struct_as_record=False)["run"]
        runs = [_run(run) for run in np.atleast_1d(found)]
        rate_hz, names, _, _ = runs[0]
    except (*_BROKEN, MatReadError) as error:
        raise RecordingError(
            f"{path} has no runs with eeg, header.SampleRate, header.Label and header.EVENT "
            f"({error}); copy it again from BNCI Horizon 2020, 013-2015."
        ) from error
    for _, _, eeg, _ in runs:
        check_signal(path, eeg, rate_hz)
    if any((run[0], run[1]) != (rate_hz, names) for run in runs):
        raise RecordingError(f"The runs of {path} differ in rate or electrodes; it is damaged.")
    pause = round(PAUSE_S * rate_hz)
    pieces: list[NDArray[np.float64]] = []
    markers: list[Marker] = []
    gaps: list[tuple[int, int]] = []
    at = 0
    for place, (_, _, eeg, events) in enumerate(runs):
        if place:
            gaps.append((at, at + pause))
            pieces.append(np.full((len(names), pause), np.nan))
            at += pause
        markers += [Marker(label=label, sample=at + sample) for sample, label in events]
        pieces.append(eeg)
        at += eeg.shape[1]
    return _recording(
        [path],
        rate_hz,
        tuple(Channel(name=name) for name in names),
        np.concatenate(pieces, axis=1) * factor,
        markers,
        gaps=tuple(gaps),
        notes=(f"{len(runs)} runs, {PAUSE_S:g} s put between them: how far apart is unknown.",),
    )


_Run = tuple[float, tuple[str, ...], NDArray[np.float64], list[tuple[int, str]]]


def _run(run: Any) -> _Run:
    """Rate, electrodes, signal (n_channels, n_times), and what was shown where."""
    eeg = np.asarray(run.eeg, dtype=np.float64)
    labels = [str(label).strip() for label in np.atleast_1d(run.header.Label)]
    if eeg.ndim != 2 or not eeg.shape[1] <= len(labels):
        raise ValueError(f"eeg of shape {eeg.shape} and {len(labels)} labels")
    events = run.header.EVENT
    pairs = zip(np.atleast_1d(events.POS), np.atleast_1d(events.TYP), strict=True)
    shown = [(int(at) - 1, MONITORED[int(code)]) for at, code in pairs if int(code) in MONITORED]
    return float(run.header.SampleRate), tuple(labels[: eeg.shape[1]]), eeg.T, shown


def _read_spelling(path: Path, session: str, factor: float) -> Recording:
    """A session of the speller, and what its feedback was."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            names = next(csv.reader(file), [])
            table = np.loadtxt(file, delimiter=",", ndmin=2)
        times_s, events = (table[:, names.index(name)] for name in ("Time", "FeedBackEvent"))
    except _BROKEN as error:
        raise RecordingError(
            f"{path} is no table with Time, electrodes, EOG and FeedBackEvent ({error}); copy it "
            f"again from the BCI Challenge."
        ) from error
    off = np.flatnonzero(np.abs(np.diff(times_s) * SPELLING_HZ - 1) > 0.5)
    if len(off):
        raise RecordingError(
            f"{path} jumps in time after line {off[0] + 2}, where {SPELLING_HZ:g} samples a second "
            f"follow each other in the BCI Challenge; copy it again."
        )
    rows = [place for place, name in enumerate(names) if name not in ("Time", "FeedBackEvent")]
    # In the set's own spelling one electrode has a digit in place of a letter.
    right_names = ["PO8" if names[row] == "P08" else names[row] for row in rows]
    channels = tuple(
        Channel(name=name, kind="eog" if name == "EOG" else "eeg") for name in right_names
    )
    shown = np.flatnonzero(np.diff(events > 0.5, prepend=False) & (events > 0.5)).tolist()
    source, said = _answers(path, session, len(shown))
    return _recording(
        [path, *source],
        SPELLING_HZ,
        channels,
        table[:, rows].T * factor,
        [Marker(label=label, sample=at) for at, label in zip(shown, said, strict=True)],
        notes=() if source else ("No TrainLabels.csv knows this session's feedback.",),
    )


def _answers(path: Path, session: str, n: int) -> tuple[list[Path], list[str]]:
    """The table of labels, if it knows the session, and what it says of each piece of feedback."""
    tables = [folder / "TrainLabels.csv" for folder in (path.parent, path.parent.parent)]
    table = next((one for one in tables if one.is_file()), None)
    if table is None:
        return [], [UNKNOWN] * n
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            said = {
                int(row["IdFeedBack"].rpartition("FB")[2]): (WRONG, RIGHT)[int(row["Prediction"])]
                for row in csv.DictReader(file)
                if row["IdFeedBack"].startswith(f"{session}_")
            }
    except _BROKEN as error:
        raise RecordingError(
            f"{table} is no table of IdFeedBack and Prediction ({error}); copy it again."
        ) from error
    if not said:
        return [], [UNKNOWN] * n
    if len(said) != n:
        raise RecordingError(
            f"{path} shows feedback {n} times and {table.name} knows {len(said)}; one of them is "
            f"damaged."
        )
    return [table], [said[number] for number in sorted(said)]


def _recording(
    files: list[Path],
    rate_hz: float,
    channels: tuple[Channel, ...],
    samples: NDArray[np.float64],
    markers: list[Marker],
    *,
    notes: tuple[str, ...],
    gaps: tuple[tuple[int, int], ...] = (),
) -> Recording:
    path = files[0]
    check_signal(path, samples, rate_hz)
    if any(not 0 <= marker.sample < samples.shape[1] for marker in markers):
        raise RecordingError(
            f"{path} shows feedback outside of its {samples.shape[1]} samples; it is damaged."
        )
    spec = StreamSpec(name=path.stem, rate_hz=rate_hz, channels=channels, source_id=path.stem)
    return Recording(
        spec=spec,
        samples=np.ascontiguousarray(samples, dtype=np.float32),
        data_id=data_id_of(files),
        path=str(path),
        markers=tuple(sorted(markers, key=lambda marker: marker.sample)),
        gaps=gaps,
        notes=notes,
    )
