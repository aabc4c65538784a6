"""A recording as an NWB file: signal in volts, markers, decisions, events and notes.

References
----------
Rübel, O. et al. (2022), The Neurodata Without Borders ecosystem for neurophysiological data
science, eLife 11, e78362.
"""

from __future__ import annotations

import math
import os
import uuid
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigError, RecordingError
from ..messages import INTRACRANIAL, Channel
from .bids_tables import lost_ranges, unique_names
from .contents import Record
from .deidentify import DeidentifyOptions, DeidentifyReport, ExportReport, deidentify
from .manifest import utc_now
from .nwb_tables import add_decisions, add_happenings, add_markers
from .pseudonym import shifted

_SIGNAL = "ElectricalSeries"
_VOLTS = 1e-6  # NWB wants volts, as a factor on the stored microvolts
# About 1 MiB, which is HDF5's own cache: small chunks of samples then cost one compression.
_PIECE_BYTES = 1 << 20
# A file needs a date; this one says that none is known.
_NO_DATE = datetime(1902, 1, 1, tzinfo=UTC)
_NOTICE = "Recorded with diverloop, which is investigational and not a medical device."


@dataclass(frozen=True, slots=True, kw_only=True)
class NwbOptions:
    """What is known of a session besides its samples.

    Parameters
    ----------
    description : str
        Of the session.
    institution : str
        Where it was recorded; empty leaves it out.
    age : str
        Of the participant, ISO 8601, for example ``"P40Y"``, or ``"P40Y/P45Y"`` for a range; the
        default says 0 years or more, since the standard has no word for unknown.
    sex : str
        ``"F"``, ``"M"``, ``"O"`` or ``"U"`` for unknown.
    species : str
        Latin binomial.
    location : str
        Where the electrodes were, in words.
    reference : str
        Electrical reference while recording; empty where unknown.
    bads : mapping of str to str
        Bad channels and why.
    overwrite : bool
        Replace the file if it is there.
    deidentify : DeidentifyOptions
        How much of the person leaves.
    """

    description: str = "Closed-loop brain-computer interface session"
    institution: str = ""
    age: str = "P0Y/"
    sex: str = "U"
    species: str = "Homo sapiens"
    location: str = "unknown"
    reference: str = ""
    bads: Mapping[str, str] = field(default_factory=dict)
    overwrite: bool = False
    deidentify: DeidentifyOptions = field(default_factory=DeidentifyOptions)

    def __post_init__(self) -> None:
        if self.sex not in ("F", "M", "O", "U"):
            raise ConfigError(
                f"export.sex must be F, M, O or U, got {self.sex!r}; U says that it is unknown."
            )
        if not self.description.strip() or not self.location.strip():
            raise ConfigError(
                "export.description and export.location must not be empty; say unknown instead."
            )


def export_nwb(record: Record, path: str | Path, options: NwbOptions | None = None) -> ExportReport:
    """Write a recording as one NWB file.

    The samples are stored as they are, float32 microvolts with a conversion to volts, written
    piece by piece, so memory stays bounded. Lost samples are NaN, so that an index stays a time,
    and listed as invalid times. Positions stand in the table of electrodes twice: as NWB wants
    them (micrometres; posterior, inferior, right) and exactly (metres; right, anterior, superior).

    Parameters
    ----------
    record : Record
        What a reader gives; without a manifest there are no decisions to export.
    path : str or Path
        The file, ending in ``.nwb``.
    options : NwbOptions, optional
        What the recording does not know.

    Returns
    -------
    report : ExportReport
        The file, what was kept back, remarks.

    Raises
    ------
    RecordingError
        If the file is there already, or the recording is empty.
    ConfigError
        If the name does not end in ``.nwb``, a bad channel does not exist, or pynwb is not
        installed.
    """
    options, path = options or NwbOptions(), Path(path)
    cleaned, privacy = deidentify(record, options.deidentify)
    channels = unique_names(cleaned.spec.channels)
    _refuse(cleaned, channels, path, options)
    lost = lost_ranges(cleaned)
    with _quiet():
        file = _empty_file(cleaned, privacy, options)
        series = _signal_series(cleaned)
        _add_signal(file, series, cleaned, channels, lost, options)
        add_markers(file, cleaned)
        add_happenings(file, cleaned)
        if cleaned.turns:
            add_decisions(file, cleaned)
        _write(file, cleaned, path)
    return ExportReport(path=path, files=(path,), privacy=privacy, remarks=_remarks(cleaned, lost))


def _refuse(record: Record, channels: Sequence[str], path: Path, options: NwbOptions) -> None:
    """Raise on what cannot be exported."""
    if find_spec("pynwb") is None:
        raise ConfigError(
            "The export needs pynwb, which is not installed; pip install 'diverloop[export]'."
        )
    if path.suffix != ".nwb":
        raise ConfigError(f"The file must end in .nwb, got {path.name!r}; give it that ending.")
    if record.n_times < 1:
        raise RecordingError("The recording holds no sample; there is nothing to export.")
    if unknown := sorted(set(options.bads) - set(channels)):
        raise ConfigError(
            f"export.bads names {', '.join(unknown)}; the channels are {', '.join(channels)}."
        )
    if path.exists() and not options.overwrite:
        raise RecordingError(f"{path} is there already; give another name, or say overwrite.")


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what pynwb says of dates before 1980: ours are shifted on purpose."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*session_start_time.*")
        yield


def _empty_file(record: Record, privacy: DeidentifyReport, options: NwbOptions) -> Any:
    """The file with everything that is said of the session as a whole."""
    from pynwb import NWBFile
    from pynwb.file import Subject

    version = metadata.version("diverloop")
    manifest = record.manifest
    model = f" Model {manifest.model_sha256}." if manifest and manifest.model_sha256 else ""
    return NWBFile(
        session_description=options.description,
        identifier=str(uuid.uuid4()),
        session_start_time=_started(record) or _NO_DATE,
        # A session is often exported on its own day: that date moves with all others.
        file_create_date=_moment(shifted(utc_now(), privacy.shift_days)) or _NO_DATE,
        session_id=(manifest.session if manifest else "").replace("/", "-") or None,
        experiment_description=f"{_NOTICE}{model}",
        keywords=["brain-computer interface", "closed loop", "decoding"],
        institution=options.institution or None,
        was_generated_by=[["diverloop", version]],
        source_script=f"diverloop {version}, command export",
        source_script_file_name="diverloop/runtime/record/nwb.py",
        subject=Subject(
            subject_id=f"sub-{privacy.participant}",
            species=options.species,
            sex=options.sex,
            age=options.age,
            description="Participant under a pseudonym",
        ),
    )


def _started(record: Record) -> datetime | None:
    """When the recording started, if that is known."""
    return _moment(record.manifest.started_utc) if record.manifest else None


def _moment(utc: str) -> datetime | None:
    return datetime.fromisoformat(utc) if utc else None


def _signal_series(record: Record) -> Any:
    """The place of the samples: NaN wherever none will be written."""
    from hdmf.backends.hdf5.h5_utils import H5DataIO

    n_channels = record.spec.n_channels
    rows = max(1, min(record.n_times, _PIECE_BYTES // (4 * n_channels)))
    return H5DataIO(
        shape=(record.n_times, n_channels),
        dtype=np.dtype("<f4"),
        fillvalue=np.nan,
        chunks=(rows, n_channels),
        compression="gzip",
        compression_opts=4,
        shuffle=True,
    )


def _add_signal(
    file: Any,
    data: Any,
    record: Record,
    channels: Sequence[str],
    lost: Sequence[tuple[int, int]],
    options: NwbOptions,
) -> None:
    """Device, electrodes, series, and the times at which there is no signal."""
    from pynwb.ecephys import ElectricalSeries

    _add_electrodes(file, record, channels, options)
    region = file.create_electrode_table_region(
        list(range(len(channels))), "every row of the signal, in order"
    )
    file.add_acquisition(
        ElectricalSeries(
            name=_SIGNAL,
            description=f"Stream {record.spec.name}, as it was received; NaN where samples were "
            f"lost",
            data=data,
            electrodes=region,
            conversion=_VOLTS,
            rate=float(record.spec.rate_hz),
            starting_time=0.0,
            filtering="none after the amplifier",
        )
    )
    rate_hz = record.spec.rate_hz
    for first, stop in lost:
        file.add_invalid_time_interval(
            start_time=first / rate_hz, stop_time=stop / rate_hz, tags=["lost samples"]
        )


def _add_electrodes(
    file: Any, record: Record, channels: Sequence[str], options: NwbOptions
) -> None:
    """One row for each channel, one group for each kind."""
    device = file.create_device(name="amplifier", description="Sender of the recorded stream")
    kinds = dict.fromkeys(channel.kind for channel in record.spec.channels)
    groups = {
        kind: file.create_electrode_group(
            name=kind,
            description=f"Channels of kind {kind}",
            location=options.location,
            device=device,
        )
        for kind in kinds
    }
    file.add_electrode_column("label", "Name of the channel in the recording")
    file.add_electrode_column("kind", "Kind of the channel")
    file.add_electrode_column("good", "Whether the channel was fit for use")
    file.add_electrode_column("status", "Why it was not; good otherwise")
    placed = any(channel.position_m for channel in record.spec.channels)
    if placed:
        for axis in _AXES:
            file.add_electrode_column(f"{axis}_m", f"Metres towards {axis}, exact; see frame")
        file.add_electrode_column("frame", "Frame of the position")
    for channel, name in zip(record.spec.channels, channels, strict=True):
        file.add_electrode(
            group=groups[channel.kind],
            location=options.location,
            filtering="unknown",
            label=name,
            kind=channel.kind,
            good=name not in options.bads,
            status=options.bads.get(name, "good"),
            **({"reference": options.reference} if options.reference else {}),
            **(_position(channel) if placed else {}),
        )


_AXES = ("right", "anterior", "superior")


def _position(channel: Channel) -> dict[str, Any]:
    """The position in NWB's axes, and in our own."""
    right, anterior, superior = channel.position_m or (math.nan,) * 3
    frame = "MNI" if channel.kind in INTRACRANIAL else "head"
    return {
        "x": -anterior * 1e6,
        "y": -superior * 1e6,
        "z": right * 1e6,
        "right_m": right,
        "anterior_m": anterior,
        "superior_m": superior,
        "frame": frame if channel.position_m else "unknown",
    }


def _write(file: Any, record: Record, path: Path) -> None:
    """Write aside, then put in place: a file that is there is complete."""
    from pynwb import NWBHDF5IO

    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.stem}.part.nwb")
    try:
        with NWBHDF5IO(str(aside), "w") as io:
            io.write(file)
            samples = file.acquisition[_SIGNAL].data.dataset
            for chunk in record.chunks():
                samples[chunk.first_sample : chunk.stop_sample] = chunk.samples.T
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def _remarks(record: Record, lost: Sequence[tuple[int, int]]) -> tuple[str, ...]:
    """What a reader of the file should know."""
    remarks = list(record.remarks)
    if lost:
        count = sum(stop - first for first, stop in lost)
        remarks.append(f"{count} lost samples in {len(lost)} stretches are NaN and invalid times.")
    if _started(record) is None:
        remarks.append("The start of the session is not known: the file says 1 January 1902.")
    return tuple(remarks)
