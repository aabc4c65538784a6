"""The tables and sidecars that BIDS wants of channels, electrodes and the recording as a whole.

References
----------
Pernet, C. R. et al. (2019), EEG-BIDS, Scientific Data 6, 103. Holdgraf, C. et al. (2019),
iEEG-BIDS, Scientific Data 6, 102.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..errors import RecordingError
from ..messages import INTRACRANIAL, Channel, StreamSpec
from .contents import Record

Row = dict[str, Any]
"""One row of a table: column name to value; None and NaN are written ``n/a``."""

KINDS = {
    "eeg": ("eeg", "EEG", "scalp electrode"),
    "ecog": ("ecog", "ECOG", "electrode on the cortex"),
    "seeg": ("seeg", "SEEG", "contact of a depth electrode"),
    # BIDS has no type for it, and "DBS" would claim a stimulating lead.
    "lfp": ("seeg", "SEEG", "local field potential of a depth electrode"),
    "eog": ("eog", "EOG", "eye movements"),
    "emg": ("emg", "EMG", "muscle"),
    "misc": ("misc", "MISC", "of no stated kind"),
}
"""Kind of a `Channel`: what MNE calls it, what BIDS calls it, and in words."""

HEAD_FRAME = (
    "Right-anterior-superior, origin midway between the preauricular points, as stated by the "
    "recording. The positions may be those of a standard cap and need not have been measured."
)
"""What is known of scalp positions."""


def datatype_of(spec: StreamSpec) -> str:
    """Which folder of a data set a stream belongs to.

    Parameters
    ----------
    spec : StreamSpec
        The stream.

    Returns
    -------
    datatype : str
        ``"ieeg"`` if any channel is intracranial, else ``"eeg"``.

    Raises
    ------
    RecordingError
        If it holds neither.
    """
    kinds = {row.kind for row in spec.channels}
    if kinds & set(INTRACRANIAL):
        return "ieeg"
    if "eeg" in kinds:
        return "eeg"
    raise RecordingError(
        f"The stream {spec.name!r} holds channels of kind {', '.join(sorted(kinds)) or 'none'}; "
        f"BIDS wants at least one of eeg, ecog, seeg or lfp: set the kinds of its channels."
    )


def unique_names(channels: Sequence[Channel]) -> list[str]:
    """Channel names that a table can use as keys.

    Parameters
    ----------
    channels : sequence of Channel
        Rows of the stream.

    Returns
    -------
    names : list of str
        As they are, on one line; a name that came before gets a number, an empty one its place.
    """
    names: list[str] = []
    for place, channel in enumerate(channels, 1):
        plain = one_line(channel.name) or f"channel {place}"
        name, copy = plain, 2
        while name in names:
            name, copy = f"{plain}-{copy}", copy + 1
        names.append(name)
    return names


def lost_ranges(record: Record) -> list[tuple[int, int]]:
    """Stretches of stream indices that no chunk holds; reads the recording once.

    Parameters
    ----------
    record : Record
        The recording.

    Returns
    -------
    ranges : list of (int, int)
        First and last index, stop exclusive, in order.
    """
    ranges, reached = [], 0
    for chunk in record.chunks():
        if chunk.first_sample > reached:
            ranges.append((reached, chunk.first_sample))
        reached = max(reached, chunk.stop_sample)
    if reached < record.n_times:
        ranges.append((reached, record.n_times))
    return ranges


def channel_rows(
    spec: StreamSpec, names: Sequence[str], bads: Mapping[str, str], reference: str
) -> list[Row]:
    """The rows of ``_channels.tsv``: raw signal, so no filter is stated.

    Parameters
    ----------
    spec : StreamSpec
        The stream.
    names : sequence of str
        From `unique_names`.
    bads : mapping of str to str
        Bad channels and why.
    reference : str
        Electrical reference of the electrodes.

    Returns
    -------
    rows : list of dict
        In the order of the signal's rows.
    """
    return [
        {
            "name": name,
            "type": KINDS[channel.kind][1],
            "units": "µV",
            "low_cutoff": None,
            "high_cutoff": None,
            "description": KINDS[channel.kind][2],
            "sampling_frequency": spec.rate_hz,
            "reference": reference if channel.kind in ("eeg", *INTRACRANIAL) else None,
            "status": "bad" if name in bads else "good",
            "status_description": bads.get(name),
        }
        for channel, name in zip(spec.channels, names, strict=True)
    ]


def electrode_rows(spec: StreamSpec, names: Sequence[str], datatype: str) -> list[Row]:
    """The rows of ``_electrodes.tsv``, in metres; empty if no position is known.

    Parameters
    ----------
    spec : StreamSpec
        The stream.
    names : sequence of str
        From `unique_names`.
    datatype : str
        From `datatype_of`: a table has one frame, so scalp positions are left out of an
        intracranial one.

    Returns
    -------
    rows : list of dict
        One for each electrode.
    """
    wanted = INTRACRANIAL if datatype == "ieeg" else ("eeg",)
    rows = []
    for channel, name in zip(spec.channels, names, strict=True):
        if channel.kind in wanted:
            x, y, z = channel.position_m or (None, None, None)
            size = {"size": None} if datatype == "ieeg" else {}
            rows.append({"name": name, "x": x, "y": y, "z": z, **size, "impedance": None})
    return rows if any(row["x"] is not None for row in rows) else []


def coordinate_system(datatype: str, space: str, description: str) -> Row:
    """The content of ``_coordsystem.json``.

    Parameters
    ----------
    datatype : str
        From `datatype_of`.
    space, description : str
        Of intracranial positions: a template that BIDS knows, or ``"Other"``, and what it is.

    Returns
    -------
    content : dict
        Coordinates in metres.
    """
    if datatype == "eeg":
        return {
            "EEGCoordinateSystem": "CapTrak",
            "EEGCoordinateUnits": "m",
            "EEGCoordinateSystemDescription": HEAD_FRAME,
        }
    return {
        "iEEGCoordinateSystem": space,
        "iEEGCoordinateUnits": "m",
        "iEEGCoordinateSystemDescription": description,
        "iEEGCoordinateProcessingDescription": "n/a",
        "iEEGCoordinateProcessingReference": "n/a",
    }


def signal_sidecar(record: Record, datatype: str, stated: Mapping[str, Any]) -> Row:
    """The content of ``_eeg.json`` or ``_ieeg.json``.

    Parameters
    ----------
    record : Record
        The recording.
    datatype : str
        From `datatype_of`.
    stated : mapping
        What the person who exports says: task, reference, power line and so on.

    Returns
    -------
    content : dict
        Every key that is required or recommended; ``n/a`` where nothing is known.
    """
    kinds = [channel.kind for channel in record.spec.channels]
    count = {bids: 0 for _, bids, _ in KINDS.values()}
    for kind in kinds:
        count[KINDS[kind][1]] += 1
    unknown = dict.fromkeys(_UNKNOWN[datatype], "n/a")
    return {
        **unknown,
        **stated,
        "SamplingFrequency": record.spec.rate_hz,
        "SoftwareFilters": "n/a",
        "RecordingDuration": record.duration_s,
        "RecordingType": "continuous",
        "EEGChannelCount": count["EEG"],
        **({} if datatype == "eeg" else {f"{k}ChannelCount": count[k] for k in ("ECOG", "SEEG")}),
        "EOGChannelCount": count["EOG"],
        "EMGChannelCount": count["EMG"],
        "ECGChannelCount": 0,
        # The standard writes this key in two ways.
        f"{'MISC' if datatype == 'eeg' else 'Misc'}ChannelCount": count["MISC"],
        "TriggerChannelCount": 0,
    }


_ANY = (
    "Manufacturer",
    "ManufacturersModelName",
    "SoftwareVersions",
    "DeviceSerialNumber",
    "TaskDescription",
    "Instructions",
    "CogAtlasID",
    "CogPOID",
    "InstitutionName",
    "InstitutionAddress",
    "InstitutionalDepartmentName",
    "HardwareFilters",
)
_UNKNOWN = {
    "eeg": (
        *_ANY,
        "CapManufacturer",
        "CapManufacturersModelName",
        "EEGGround",
        "EEGPlacementScheme",
    ),
    "ieeg": (
        *_ANY,
        "ElectrodeManufacturer",
        "ElectrodeManufacturersModelName",
        "iEEGGround",
        "iEEGPlacementScheme",
        "iEEGElectrodeGroups",
    ),
}


def one_line(text: str) -> str:
    """The text without tabs and line breaks, which would end a cell of a table."""
    return " ".join(text.split())


def tsv(rows: Iterable[Row], columns: Sequence[str]) -> str:
    """A table as BIDS writes it.

    Parameters
    ----------
    rows : iterable of dict
        Its rows.
    columns : sequence of str
        Its columns, in order.

    Returns
    -------
    text : str
        Numbers in full, so that reading them gives the same; ``n/a`` for None, NaN and nothing.
    """
    lines = ["\t".join(columns)]
    lines += ["\t".join(_cell(row.get(name)) for name in columns) for row in rows]
    return "\n".join(lines) + "\n"


def _cell(value: object) -> str:
    """One value, as text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "n/a"
    if isinstance(value, float):
        return repr(float(value))
    return one_line(str(value)) or "n/a"


def rows_of(text: str) -> list[Row]:
    """The rows of a table that `tsv` wrote, every value as text.

    Parameters
    ----------
    text : str
        The file's content.

    Returns
    -------
    rows : list of dict
        In order.
    """
    head, *lines = text.removeprefix("\ufeff").splitlines() or [""]
    columns = head.split("\t")
    return [dict(zip(columns, line.split("\t"), strict=False)) for line in lines if line]


def merged(there: str, new: str) -> str:
    """A table with the rows of another: a row of the same first column is replaced.

    Parameters
    ----------
    there, new : str
        Content of the table on disk, and of the one to add to it.

    Returns
    -------
    text : str
        All columns of both.
    """
    old_rows, new_rows = rows_of(there), rows_of(new)
    columns = list(dict.fromkeys(name for row in (*old_rows, *new_rows) for name in row))
    key = columns[0]
    replaced = {row[key] for row in new_rows}
    return tsv([row for row in old_rows if row[key] not in replaced] + new_rows, columns)
