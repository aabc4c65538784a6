"""A recording as a BIDS data set: EEG or iEEG, its events, and its decisions as a derivative.

References
----------
Appelhoff, S. et al. (2019), MNE-BIDS, Journal of Open Source Software 4, 1896. Gorgolewski, K.
et al. (2016), The brain imaging data structure, Scientific Data 3, 160044.
"""

from __future__ import annotations

import re
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigError, RecordingError
from .bids_dataset import describe_dataset, describe_decisions, move_in, write_json, write_text
from .bids_events import (
    EVENT_COLUMNS,
    decision_columns,
    decision_rows,
    decisions_sidecar,
    event_rows,
    events_sidecar,
)
from .bids_tables import (
    KINDS,
    channel_rows,
    coordinate_system,
    datatype_of,
    electrode_rows,
    lost_ranges,
    signal_sidecar,
    tsv,
    unique_names,
)
from .contents import Record
from .deidentify import DeidentifyOptions, ExportReport, deidentify

_UNKNOWN_TEMPLATE = "MNI space in metres, right-anterior-superior; the recording names no template."


@dataclass(frozen=True, slots=True, kw_only=True)
class BidsOptions:
    """Where a recording goes within a data set, and what is known of it besides its samples.

    Parameters
    ----------
    session, task : str
        Labels of letters and digits; an empty task is taken from the model's card.
    run : int
        Counted from 1.
    line_hz : float, optional
        Power line, 50 or 60; None where unknown.
    reference : str
        Electrical reference while recording.
    bads : mapping of str to str
        Bad channels and why.
    space, space_description : str
        Of intracranial positions: a template as BIDS names it, for example
        ``"MNI152NLin2009cAsym"``, or ``"Other"`` and what it is.
    name : str
        Of the data set, where it is begun.
    authors : tuple of str
        Of the data set.
    license : str
        Of the data set, for example ``"CC0"``.
    overwrite : bool
        Replace the same run if it is there.
    deidentify : DeidentifyOptions
        How much of the person leaves.
    """

    session: str = "01"
    task: str = ""
    run: int = 1
    line_hz: float | None = None
    reference: str = "n/a"
    bads: Mapping[str, str] = field(default_factory=dict)
    space: str = "Other"
    space_description: str = _UNKNOWN_TEMPLATE
    name: str = "Closed-loop BCI sessions"
    authors: tuple[str, ...] = ()
    license: str = "n/a"
    overwrite: bool = False
    deidentify: DeidentifyOptions = field(default_factory=DeidentifyOptions)

    def __post_init__(self) -> None:
        for key, value in (("session", self.session), ("task", self.task or "bci")):
            if not re.fullmatch(r"[A-Za-z0-9]+", value):
                raise ConfigError(
                    f"export.{key} must be letters and digits, got {value!r}; leave out spaces, "
                    f"hyphens and underscores."
                )
        if self.run < 1:
            raise ConfigError(f"export.run must be 1 or more, got {self.run}; count from 1.")
        if self.line_hz not in (None, 50, 60):
            raise ConfigError(
                f"export.line_hz must be 50 or 60 Hz, got {self.line_hz}; leave it out where the "
                f"power line is unknown."
            )


@dataclass(frozen=True, slots=True)
class _Names:
    """Names of one run's files."""

    subject: str
    session: str
    task: str
    run: int
    datatype: str

    @property
    def folder(self) -> Path:
        """Below the root."""
        return Path(f"sub-{self.subject}", f"ses-{self.session}", self.datatype)

    @property
    def of_session(self) -> str:
        """Start of the files that the runs of a session share."""
        return f"sub-{self.subject}_ses-{self.session}"

    @property
    def stem(self) -> str:
        """Start of the files of this run."""
        return f"{self.of_session}_task-{self.task}_run-{self.run}"


def export_bids(
    record: Record, root: str | Path, options: BidsOptions | None = None
) -> ExportReport:
    """Add a recording to a BIDS data set, or begin one with it.

    The samples are written as they are: float32 microvolts in BrainVision, piece by piece, so
    memory stays bounded; the disk holds the run twice for a moment. Lost samples are zeros and
    marked ``BAD_gap``. All files are made aside and moved into the data set at the end.

    Parameters
    ----------
    record : Record
        What a reader gives; without a manifest there are no decisions to export.
    root : str or Path
        The data set's folder; made where it is not.
    options : BidsOptions, optional
        Labels, and what the recording does not know.

    Returns
    -------
    report : ExportReport
        Files written, what was kept back, remarks.

    Raises
    ------
    RecordingError
        If the run is there already, the recording is empty, or holds no electrode.
    ConfigError
        If a bad channel does not exist, or mne-bids and pybv are not installed.
    """
    options = options or BidsOptions()
    _need("mne_bids", "pybv")
    cleaned, privacy = deidentify(record, options.deidentify)
    root = Path(root)
    channels = unique_names(cleaned.spec.channels)
    names = _names(cleaned, privacy.participant, options)
    _refuse(cleaned, channels, root / names.folder, names, options)
    root.mkdir(parents=True, exist_ok=True)
    lost = lost_ranges(cleaned)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=root) as aside:
        made = Path(aside) / "made"
        _write_signal(cleaned, channels, Path(aside), made, names, options)
        _write_tables(cleaned, channels, lost, made, names, options)
        describe_dataset(made, options.name, options.license, options.authors)
        if cleaned.turns:
            _write_decisions(cleaned, made / "derivatives" / "diverloop", names)
        files = move_in(made, root)
    return ExportReport(
        path=root, files=files, privacy=privacy, remarks=_remarks(cleaned, channels, lost)
    )


def _need(*packages: str) -> None:
    """Raise if a package of the extra is missing."""
    from importlib.util import find_spec

    missing = [name.replace("_", "-") for name in packages if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"The export needs {' and '.join(missing)}, which is not installed; "
            f"pip install 'diverloop[export]'."
        )


def _names(record: Record, subject: str, options: BidsOptions) -> _Names:
    """Labels of this run."""
    task = options.task or re.sub(r"[^A-Za-z0-9]", "", record.card.task if record.card else "")
    return _Names(subject, options.session, task or "bci", options.run, datatype_of(record.spec))


def _refuse(
    record: Record, channels: Sequence[str], folder: Path, names: _Names, options: BidsOptions
) -> None:
    """Raise on what cannot be exported."""
    if record.n_times < 1:
        raise RecordingError("The recording holds no sample; there is nothing to export.")
    if unknown := sorted(set(options.bads) - set(channels)):
        raise ConfigError(
            f"export.bads names {', '.join(unknown)}; the channels are {', '.join(channels)}."
        )
    there = sorted(folder.glob(f"{names.stem}_*"))
    if there and not options.overwrite:
        raise RecordingError(
            f"{there[0]} is there already; give another run or session, or say overwrite."
        )


def _write_signal(
    record: Record,
    channels: Sequence[str],
    aside: Path,
    made: Path,
    names: _Names,
    options: BidsOptions,
) -> None:
    """Write the data file, and let mne-bids put it into a data set of its own."""
    import mne
    import mne_bids

    header = _write_brainvision(record, channels, aside)
    with warnings.catch_warnings():
        # Events are written by us, with their durations, texts and tags.
        warnings.filterwarnings("ignore", message="No events found or provided")
        raw = mne.io.read_raw_brainvision(header, preload=False, verbose="error")
        kinds = {
            name: KINDS[row.kind][0]
            for name, row in zip(channels, record.spec.channels, strict=True)
        }
        raw.set_channel_types(kinds, on_unit_change="ignore", verbose="error")
        raw.set_annotations(None)
        raw.info["line_freq"] = options.line_hz
        path = mne_bids.BIDSPath(
            subject=names.subject,
            session=names.session,
            task=names.task,
            run=str(names.run),
            datatype=names.datatype,
            root=made,
        )
        mne_bids.write_raw_bids(raw, path, verbose="error")
    header.with_suffix(".eeg").unlink()


def _write_brainvision(record: Record, channels: Sequence[str], folder: Path) -> Path:
    """Header and markers by pybv, from one sample; then the samples, piece by piece.

    A resolution of 1 uV in float32 stores the values bit for bit.
    """
    import pybv

    pybv.write_brainvision(
        data=np.zeros((record.spec.n_channels, 1)),
        sfreq=float(record.spec.rate_hz),
        ch_names=list(channels),
        fname_base="signal",
        folder_out=folder,
        resolution=1,
        unit="µV",
        fmt="binary_float32",
        meas_date=_started(record),
    )
    row_bytes = 4 * record.spec.n_channels
    with (folder / "signal.eeg").open("wb") as file:
        for chunk in record.chunks():
            # Seeking over a hole leaves zeros in it.
            file.seek(chunk.first_sample * row_bytes)
            file.write(np.ascontiguousarray(chunk.samples.T, "<f4").tobytes())
        file.truncate(record.n_times * row_bytes)
    return folder / "signal.vhdr"


def _started(record: Record) -> datetime | None:
    """When the recording started, if that is known."""
    utc = record.manifest.started_utc if record.manifest else ""
    return datetime.fromisoformat(utc) if utc else None


def _write_tables(
    record: Record,
    channels: Sequence[str],
    lost: Sequence[tuple[int, int]],
    made: Path,
    names: _Names,
    options: BidsOptions,
) -> None:
    """Replace what mne-bids could not know: channels, electrodes, events, sidecar."""
    folder, stem = made / names.folder, names.stem
    rows = channel_rows(record.spec, channels, options.bads, options.reference)
    write_text(folder / f"{stem}_channels.tsv", tsv(rows, list(rows[0])))
    for stale in folder.glob(f"{names.of_session}_electrodes.*"):
        stale.unlink()
    (folder / f"{names.of_session}_coordsystem.json").unlink(missing_ok=True)
    if places := electrode_rows(record.spec, channels, names.datatype):
        write_text(folder / f"{names.of_session}_electrodes.tsv", tsv(places, list(places[0])))
        system = coordinate_system(names.datatype, options.space, options.space_description)
        write_json(folder / f"{names.of_session}_coordsystem.json", system)
    events = event_rows(record, lost)
    write_text(folder / f"{stem}_events.tsv", tsv(events, EVENT_COLUMNS))
    write_json(folder / f"{stem}_events.json", events_sidecar(events, _version_of(record)))
    sidecar = signal_sidecar(record, names.datatype, _stated(names, lost, options))
    write_json(folder / f"{stem}_{names.datatype}.json", sidecar)


def _version_of(record: Record) -> str:
    """The diverloop that ran the session, if one did."""
    return record.manifest.versions.get("diverloop", "") if record.manifest else ""


def _stated(names: _Names, lost: Sequence[tuple[int, int]], options: BidsOptions) -> dict[str, Any]:
    """What the sidecar says besides what follows from the stream."""
    prefix = "EEG" if names.datatype == "eeg" else "iEEG"
    artefacts = f"{len(lost)} stretches of lost samples hold zeros and are marked BAD_gap"
    return {
        "TaskName": names.task,
        "TaskDescription": "Closed-loop brain-computer interface",
        f"{prefix}Reference": options.reference,
        "PowerLineFrequency": options.line_hz or "n/a",
        "SubjectArtefactDescription": artefacts if lost else "n/a",
    }


def _write_decisions(record: Record, made: Path, names: _Names) -> None:
    """The derivative data set: one row for each turn of the loop."""
    model = record.manifest.model_sha256 if record.manifest else ""
    folder = made / names.folder
    folder.mkdir(parents=True)
    stem = f"{names.stem}_desc-decisions_events"
    write_text(folder / f"{stem}.tsv", tsv(decision_rows(record), decision_columns(record)))
    write_json(folder / f"{stem}.json", decisions_sidecar(record))
    describe_decisions(made, model)


def _remarks(
    record: Record, channels: Sequence[str], lost: Sequence[tuple[int, int]]
) -> tuple[str, ...]:
    """What a reader of the data set should know."""
    remarks = list(record.remarks)
    if lost:
        count = sum(stop - first for first, stop in lost)
        remarks.append(f"{count} lost samples in {len(lost)} stretches are zeros, marked BAD_gap.")
    if [row.name for row in record.spec.channels] != list(channels):
        remarks.append("Channel names that were empty or came twice were numbered.")
    if any(row.kind == "lfp" for row in record.spec.channels):
        remarks.append("Channels of kind lfp are of type SEEG, since BIDS has no type for them.")
    if datatype_of(record.spec) == "ieeg" and any(
        row.kind == "eeg" and row.position_m for row in record.spec.channels
    ):
        remarks.append("Positions of scalp channels were left out: a table holds one frame.")
    return tuple(remarks)
