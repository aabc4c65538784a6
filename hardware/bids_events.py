"""Markers from the table of events that stands beside a BIDS recording [1]_.

References
----------
.. [1] Pernet et al. EEG-BIDS, an extension to the brain imaging data structure for
   electroencephalography. Scientific Data, 2019.
"""

from __future__ import annotations

import csv
import math
from dataclasses import replace
from pathlib import Path

from ..runtime.errors import RecordingError
from ..runtime.messages import Marker
from ..runtime.small_file import CARD_BYTES, read_small
from .recordings import Recording

_LABELS = ("trial_type", "value")
_NOTHING = ("", "n/a")


def with_events(recording: Recording, path: str | Path) -> Recording:
    """A recording with the markers of a table of events, in place of its own.

    Parameters
    ----------
    recording : Recording
        Whole, from its first sample.
    path : str or Path
        Tab-separated, with the columns ``onset`` in seconds after the first sample, and
        ``trial_type`` or ``value``.

    Returns
    -------
    recording : Recording
        Rows whose onset or label is ``n/a`` are left out, and rows beside the recording, too;
        a note says how many.

    Raises
    ------
    RecordingError
        If the table cannot be read.
    """
    rows, labelled = _rows(Path(path))
    markers, lost = [], 0
    for row in rows:
        label = (row.get(labelled) or "").strip()
        at_s = _seconds(row.get("onset"))
        if label in _NOTHING or at_s is None:
            continue
        sample = round(at_s * recording.spec.rate_hz)
        if not 0 <= sample < recording.n_times:
            lost += 1
            continue
        lsl_s = recording.lsl_s(sample)
        markers.append(Marker(label=label, sample=sample, lsl_raw_s=lsl_s, lsl_corrected_s=lsl_s))
    text = f"{lost} of {len(rows)} events lie beside the recording and were left out."
    return replace(
        recording,
        markers=tuple(sorted(markers, key=lambda marker: marker.sample)),
        notes=(*recording.notes, *([text] if lost else [])),
    )


def _rows(path: Path) -> tuple[list[dict[str, str]], str]:
    """The rows, and which column holds the label."""
    try:
        text = read_small(path, CARD_BYTES).decode("utf-8-sig")
        rows = list(csv.DictReader(text.splitlines(), delimiter="\t"))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RecordingError(
            f"The events in {path} cannot be read ({error}): correct the file, or remove it to "
            f"take the markers of the recording itself."
        ) from error
    names = list(rows[0]) if rows else ["onset", "trial_type"]
    labelled = next((name for name in _LABELS if name in names), "")
    if "onset" not in names or not labelled:
        raise RecordingError(
            f"The events in {path} have the columns {', '.join(map(str, names))}; wanted are "
            f"onset, and trial_type or value: correct the file."
        )
    return rows, labelled


def _seconds(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
