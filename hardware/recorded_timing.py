"""The timing that a recording holds: its sensor channel, its markers, their clock."""

from __future__ import annotations

from ..runtime.timing_capture import TimingCapture
from ..runtime.timing_onsets import OnsetConfig
from .recordings import Recording

_PIECE_S = 30.0


def capture_recording(
    recording: Recording, channel: str, labels: str = "*", config: OnsetConfig | None = None
) -> TimingCapture:
    """Take a recording as a live measurement takes its stream.

    Parameters
    ----------
    recording : Recording
        Of any format. Where it holds the stamps of its samples, markers are placed to fractions
        of a sample; elsewhere to whole ones.
    channel : str
        Name of the channel with the sensor.
    labels : str
        Which markers count: patterns with ``*``, commas between.
    config : OnsetConfig, optional
        How onsets are found.

    Returns
    -------
    capture : TimingCapture
        Its `report` says what the recording shows.

    Raises
    ------
    RecordingError
        If there is no such channel.
    """
    capture = TimingCapture(recording.spec, channel, labels, config)
    capture.add_markers(recording.markers)
    for sample, stamp_s in recording.stamps:
        capture.add_moment(sample, stamp_s)
    row = recording.samples[recording.spec.channel_names.index(channel)]
    piece = max(1, round(_PIECE_S * recording.spec.rate_hz))
    for first in range(0, len(row), piece):
        capture.add_signal(row[first : first + piece], first)
    return capture
